"""`chat`, `check`, `ledger`, `models`, `record` against a sandbox in another process."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Freehold, Sandbox

pytestmark = pytest.mark.timeout(120)  # several commands, each a process of its own


def test_chat_streams_words_to_standard_output_and_explains_beside(freehold: Freehold, sandbox: Sandbox) -> None:
    done = freehold("chat", "claude", "Who is there?", "--explain", "--config", sandbox.config)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("claude-sonnet-4-5 at Anthropic answers. You asked: Who is there?\n")
    assert "anthropic/claude-sonnet-4-5 (translate): answered" in done.stderr
    assert "cost: 0.000" in done.stderr


def test_chat_takes_instructions_limits_and_standard_input(freehold: Freehold, sandbox: Sandbox) -> None:
    limits = ("--system", "Be brief.", "--max-tokens", "3")
    done = freehold("chat", "gpt", "-", *limits, "--json", "--config", sandbox.config, stdin="Hi")
    told = json.loads(done.stdout)
    assert "error" not in told
    assert told["exchange"]["usage"]["output_tokens"] == 3
    assert told["exchange"]["attempts"][0]["last_byte_ms"] > 0


def test_chat_fails_with_the_reason(freehold: Freehold, sandbox: Sandbox) -> None:
    done = freehold("chat", "nonsense", "Hi", "--config", sandbox.config)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no model `nonsense`" in done.stderr
    told = json.loads(freehold("chat", "nonsense", "Hi", "--json", "--config", sandbox.config).stdout)
    assert told["error"]["code"] == "model_not_found"
    assert told["exchange"]["error"] == "model_not_found"


def test_check_live_asks_every_account(freehold: Freehold, sandbox: Sandbox) -> None:
    done = freehold("check", "--live", "--json", "--config", sandbox.config)
    told = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert {row["account"]: row["ok"] for row in told["accounts"]} == dict.fromkeys(
        (row["account"] for row in told["accounts"]), True
    )
    assert all(row["milliseconds"] > 0 for row in told["accounts"])


def test_check_live_names_the_account_that_fails(freehold: Freehold, sandbox: Sandbox, tmp_path: Path) -> None:
    text = Path(sandbox.config).read_text().replace("sandbox-openai-", "wrong-")
    (tmp_path / "freehold.toml").write_text(text)
    done = freehold("check", "--live")
    assert done.returncode == 1
    assert "FAILED gpt-5" in done.stdout
    assert "Incorrect API key" in done.stdout
    assert done.stdout.count(" ok ") == len(text.split("[accounts.")) - 2
    told = json.loads(freehold("check", "--live", "--json").stdout)
    assert told["error"] == {"code": "check_failed", "message": "1 account did not answer: openai"}
    assert [row["account"] for row in told["accounts"] if not row["ok"]] == ["openai"]


def test_the_ledger_shows_what_was_asked(freehold: Freehold, sandbox: Sandbox) -> None:
    assert freehold("ledger", "show").stderr == "Nothing has been asked yet.\n"
    for model in ("gpt", "claude"):
        freehold("chat", model, "Hi", "--config", sandbox.config)
    rows = [json.loads(line) for line in freehold("ledger", "show", "--json").stdout.splitlines()]
    assert [row["model"] for row in rows] == ["gpt", "claude"]
    last = freehold("ledger", "show", "--last", "1").stdout
    assert rows[1]["id"] in last
    assert rows[0]["id"] not in last
    one = freehold("ledger", "show", "--exchange", rows[0]["id"]).stdout
    assert "attempt    openai/gpt-5 (tunnel): 200" in one
    assert freehold("ledger", "show", "--exchange", "nothing").returncode == 1


def test_models_show_targets_with_facts_and_prices(freehold: Freehold, sandbox: Sandbox) -> None:
    rows = json.loads(freehold("models", "--json", "--config", sandbox.config).stdout)["models"]
    claude = next(row for row in rows if row["name"] == "claude")
    (target,) = claude["targets"]
    assert target["target"] == "anthropic/claude-sonnet-4-5"
    assert (target["family"], target["context"], target["input"], target["output"]) == ("claude", 200000, 3.0, 15.0)
    assert "anthropic/claude-sonnet-4-5" in freehold("models", "--config", sandbox.config).stdout


def test_record_writes_exchanges_that_can_be_read_again(freehold: Freehold, sandbox: Sandbox, tmp_path: Path) -> None:
    done = freehold("record", "bedrock-us", "--output", "recordings", "--json", "--config", sandbox.config)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["recordings"]
    assert {row["status"] for row in rows} == {200, 404}
    texts = [(tmp_path / row["file"]).read_text() for row in rows]
    secrets = [line.split('"')[1] for line in Path(sandbox.config).read_text().splitlines() if "secret_access" in line]
    assert secrets
    assert not [text for text in texts if any(secret in text for secret in secrets) or "authorization" in text.lower()]
    translated = freehold("translate", "recordings", "--json")
    assert translated.returncode == 0, translated.stderr
    statuses = [json.loads(line) for line in translated.stdout.splitlines()]
    own = {row["status"] for row in statuses if row["from"] == row["to"]}
    assert own <= {"identical", "equal"}


def test_record_names_the_accounts_there_are(freehold: Freehold, sandbox: Sandbox) -> None:
    done = freehold("record", "venus", "--config", sandbox.config)
    assert done.returncode == 2
    assert "bedrock-us" in done.stderr
