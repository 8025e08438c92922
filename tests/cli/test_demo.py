"""`freehold demo`: everything works, in time, and leaves nothing behind."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.protocols.registry import CODECS
from freehold.sandbox.clients import CLIENTS
from freehold.sandbox.fleet import Fleet
from tests.cli.conftest import PATIENCE, Freehold, environment, start


@pytest.mark.timeout(120)  # dozens of exchanges in a process of their own, beside other tests
def test_the_demo_works_without_a_terminal_and_tells_everything(freehold: Freehold) -> None:
    done = freehold("demo", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "error" not in told
    assert told["failures"] == []
    asked = {(row["client"], row["asked"]) for row in told["exchanges"] if row["step"] == "everywhere"}
    clients = [client.protocol for client in CLIENTS if client.protocol in CODECS]
    assert asked == {(client, cloud) for client in clients for cloud in Fleet().clouds}
    steps = [row for row in told["exchanges"] if row["asked"] == "assistant"]
    assert [len(row["attempts"]) for row in steps] == [1, 2, 1]
    assert steps[0]["target"] == steps[2]["target"] != steps[1]["target"]
    assert all(row["cost_usd"] is not None for row in told["exchanges"] if row["asked"] != "rack")


@pytest.mark.timeout(120)  # as above
def test_people_see_tables_and_what_to_do_next(freehold: Freehold) -> None:
    done = freehold("demo")
    assert done.returncode == 0, done.stderr
    for shown in ("anthropic-messages", "bedrock-eu", "get_weather(Paris)", "is switched off", "serve --sandbox"):
        assert shown in done.stdout
    assert done.stderr == ""


@pytest.mark.timeout(120)  # as above
def test_interrupted_it_cleans_up(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    process = start("demo", env=environment(tmp_path, TMPDIR=str(folder)), cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Freehold on")
    assert list(folder.iterdir())
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, error) == (130, "")
    assert list(folder.iterdir()) == []


def test_wrong_use_is_2(freehold: Freehold) -> None:
    assert freehold("demo", "--no-such-option").returncode == 2


QUICK = ("demo", "init", "check", "chat", "record", "ledger", "sandbox", "providers", "models")


def test_a_command_s_help_loads_nothing_heavy() -> None:
    heavy = "sqlalchemy|httpx|uvloop|genai_prices|freehold.app|rich.table"
    code = (
        f"import sys, re; import freehold.cli as c; c.build({QUICK!r}); "
        f"print([m for m in sys.modules if re.fullmatch({heavy!r}, m)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
