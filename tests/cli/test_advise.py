"""`freehold advise` as a command: from the spool, from a trace, in words and in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freehold.exchange.record import ExchangeRecord, Spool, UsageRecord
from tests.cli.conftest import Freehold

# Each command is a process that starts on a machine which may be busy with others.
pytestmark = pytest.mark.timeout(240)

TRACES = Path(__file__).parents[1] / "traces"
CONFIG = """
[accounts.one]
provider = "openai"
api_key = "k"
[models.assistant]
targets = ["one/gpt-5", "one/gpt-5.4"]
"""


def write_records(folder: Path, count: int) -> None:
    """One request an hour: a conversation of project `a`, longer from day to day."""
    spool = Spool(folder)
    for number in range(count):
        record = ExchangeRecord(
            id=f"fx{number}",
            started=1_790_000_000 + number * 3600.0,
            finished=1_790_000_001 + number * 3600.0,
            protocol="openai-chat",
            operation="generate",
            project="a",
            model="assistant",
            tags={"session": "s"},
            usage=UsageRecord(source="provider", input_tokens=1000 * 1001**number // 1000**number, output_tokens=100),
            cost_nano_usd=2_000_000_000,
        )
        spool.write(record)
    spool.write(ExchangeRecord(id="fx", started=1_790_000_000.0, protocol="p", operation="generate", outcome="failed"))
    spool.close()


def test_the_records_of_this_machine(freehold: Freehold, tmp_path: Path) -> None:
    (tmp_path / "freehold.toml").write_text(CONFIG)
    (tmp_path / "freehold.toml").chmod(0o600)
    write_records(tmp_path / "data" / "spool", 480)
    finished = freehold("advise", "--json")
    assert finished.returncode == 0, finished.stderr
    said = json.loads(finished.stdout)
    assert said["skipped"] == {"unread": 0, "unanswered": 1}
    (advice,) = said["workloads"]
    assert advice["workload"] == ["project=a", "model=assistant"]
    assert (advice["requests"], advice["cost_usd"]) == (480, 960.0)
    assert advice["state"]["verdict"] == "stateful"
    assert advice["load"]["factor"] > 0.6
    assert [fit["target"] for fit in advice["fits"]] == ["one/gpt-5", "one/gpt-5.4"]
    assert advice["fits"][0]["context"] == 400_000
    assert advice["fits"][1]["step"] == 272_000
    inflation = advice["input_inflation"]
    assert 0 < inflation["low"] <= inflation["per_month"] <= inflation["high"]
    assert [suits["place"] for suits in advice["suits"]] == ["committed", "cache-friendly"]
    assert freehold("advise", "--days", "1", "--json").returncode == 0


def test_a_trace_in_words(freehold: Freehold) -> None:
    finished = freehold("advise", str(TRACES / "azure-2023-conversation.csv"), "--by", "shape")
    assert finished.returncode == 0, finished.stderr
    assert "shape=under 1k: " in finished.stdout
    assert "not known  inflation" in finished.stdout
    assert "2023-11-16" in finished.stdout
    mooncake = freehold("advise", str(TRACES / "mooncake-conversation.jsonl"), "--by", "model")
    assert "60 requests: nothing is said before 100" in mooncake.stdout
    assert "suits" not in mooncake.stdout


def test_what_can_not_be_read_is_told(freehold: Freehold, tmp_path: Path) -> None:
    nothing = freehold("advise")
    assert nothing.returncode == 0
    assert "Nothing was asked" in nothing.stderr
    missing = freehold("advise", "nowhere.csv", "--json")
    assert missing.returncode == 1
    assert json.loads(missing.stdout)["error"]["code"] == "trace_unreadable"
    (tmp_path / "empty.csv").write_text("")
    assert freehold("advise", "empty.csv").returncode == 0
    assert freehold("advise", "--by", "weather").returncode == 2
    assert freehold("advise", "empty.csv", "--by", "project").returncode == 2
    assert freehold("advise", "empty.csv", "--model", "nobody/knows").returncode == 1
