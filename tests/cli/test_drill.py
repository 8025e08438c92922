"""`freehold drill` as a process: in the sandbox, on a running gateway, interrupted and killed."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.routing.health import FAULTS_TO_OPEN
from tests.cli.conftest import PATIENCE, Freehold, environment, start

# Each test starts a command or two, with a gateway and clouds in it, on a machine that may be busy with others.
pytestmark = pytest.mark.timeout(240)

AZURE = "provider:azure"
QUESTION = json.dumps({"model": "assistant", "messages": [{"role": "user", "content": "Who is there?"}]})


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway of two workers with emulated clouds."""

    home: Path
    data: str
    admin: str
    config: str
    log: Path

    def ask(self, url: str, method: str, path: str, body: str | None = None) -> tuple[dict[str, str], Any]:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
        try:
            connection.request(method, path, body, {} if body is None else {"content-type": "application/json"})
            answer = connection.getresponse()
            return {name.lower(): value for name, value in answer.getheaders()}, json.loads(answer.read())
        finally:
            connection.close()

    def outages(self) -> list[str]:
        return [each["domain"] for each in self.ask(self.admin, "GET", "/outages")[1]["outages"]]

    def answered_by(self) -> str:
        headers, _ = self.ask(self.data, "POST", "/v1/chat/completions", QUESTION)
        return headers["freehold-target"].partition("/")[0]

    def live(self) -> tuple[str, ...]:
        return ("--live", "--config", self.config, "--admin", self.admin, "--gateway", self.data)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("live")
    log = home / "log"
    words = (
        "serve",
        "--sandbox",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--workers",
        "2",
        "--json",
    )
    with log.open("w") as file:
        process = start(*words, env=environment(home), cwd=home, log=file)
    try:
        assert process.stdout is not None
        places = json.loads(process.stdout.readline())
        eventually(lambda: "configuration: " in log.read_text())
        config = next(line for line in log.read_text().splitlines() if line.startswith("configuration: "))
        yield Running(
            home=home, data=places["listen"], admin=places["admin"], config=config.partition(": ")[2], log=log
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for what follows soon from what was done."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def said(process: subprocess.Popen[str], words: str) -> None:
    """Wait until a command has said something on standard error."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it ended without a word of {words!r}")


def test_the_death_of_one_of_two_providers_fails_nobody(freehold: Freehold, tmp_path: Path) -> None:
    finished = freehold(
        "drill", AZURE, "--before", "1", "--for", "4", "--fail-on", "failed>0", "--html", "drill.html", "--json"
    )
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    assert (report["failed"], report["load"]["failed"], report["interrupted"]) == (0, 0, False)
    assert report["phases"]["before"]["failed"] == 0
    assert 1 <= report["delayed"] <= report["in_flight"] + FAULTS_TO_OPEN
    (azure,) = report["targets"]
    assert azure["served_before"] > 0
    assert azure["failed_attempts"] >= 1
    assert report["detection_s"] is not None
    assert report["recovery_s"] is not None
    assert report["cost"]["change"] > 0, "Claude answers instead of GPT-5"
    assert report["stranded"] == ["gpt-on-azure"]
    assert report["exchanges"] == sum(phase["exchanges"] for phase in report["phases"].values())
    assert "</svg>" in (tmp_path / "drill.html").read_text()


def test_a_model_that_has_nobody_else_fails_and_says_why(freehold: Freehold) -> None:
    finished = freehold(
        "drill", "cloud:azure", "--model", "gpt-on-azure", "--client", "bedrock-converse", "--how", "503",
        "--before", "0.5", "--for", "1", "--wait", "0", "--fail-on", "failed>0", "--json",
    )  # fmt: skip
    assert finished.returncode == 1
    report = json.loads(finished.stdout)
    assert report["error"]["code"] == "threshold_crossed"
    assert report["failed"] > 0
    assert report["load"]["failed"] == report["failed"]
    (unserved,) = report["unserved"]
    assert unserved["model"] == "gpt-on-azure"
    assert "azure/gpt-5" in unserved["reasons"][0]["reason"]


def test_an_interrupted_drill_heals_and_reports_what_it_saw(tmp_path: Path) -> None:
    drill = start("drill", AZURE, "--before", "0.5", "--for", "600", "--json", env=environment(tmp_path), cwd=tmp_path)
    said(drill, "is out for")
    drill.send_signal(signal.SIGINT)
    out, _ = drill.communicate(timeout=PATIENCE)
    assert drill.returncode == 130
    report = json.loads(out)
    assert report["interrupted"]
    assert report["seconds"] < 600
    assert report["phases"]["before"]["exchanges"] > 0


def test_a_live_drill_measures_the_running_gateway(freehold: Freehold, running: Running) -> None:
    finished = freehold(
        "drill", AZURE, "--yes", "--probe", "assistant", "--rate", "20", "--before", "1", "--for", "2", "--wait", "0",
        "--json", *running.live(),
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    assert (report["where"], report["failed"], report["load"]["failed"]) == ("live", 0, 0)
    (azure,) = report["targets"]
    assert azure["failed_attempts"] >= 1
    # Those in flight are answered, for only new attempts are refused: each answer lets its worker count anew.
    assert 1 <= report["delayed"] <= (report["in_flight"] + 2) * FAULTS_TO_OPEN
    assert running.outages() == []
    # Whichever comes first, the server's own clock or the command's word.
    assert f"domain {AZURE} is no longer taken out: " in running.log.read_text()


def test_without_a_yes_nothing_happens(freehold: Freehold, running: Running) -> None:
    finished = freehold("drill", AZURE, "--json", *running.live())
    assert finished.returncode == 1
    assert json.loads(finished.stdout)["error"]["code"] == "drill_not_agreed"
    assert running.outages() == []


def test_an_interrupted_live_drill_ends_its_outage(running: Running) -> None:
    drill = start(
        "drill", AZURE, "--yes", "--before", "0.1", "--for", "600", "--json", *running.live(),
        env=environment(running.home), cwd=running.home,
    )  # fmt: skip
    eventually(lambda: running.outages() == [AZURE])
    drill.send_signal(signal.SIGINT)
    out, _ = drill.communicate(timeout=PATIENCE)
    assert drill.returncode == 130
    assert json.loads(out)["interrupted"]
    assert running.outages() == []


def test_the_outage_of_a_drill_that_was_killed_ends_by_itself(running: Running) -> None:
    drill = start(
        "drill", "cloud:azure", "--yes", "--before", "0.1", "--for", "3", *running.live(),
        env=environment(running.home), cwd=running.home,
    )  # fmt: skip
    eventually(lambda: running.outages() == ["cloud:azure"])
    drill.kill()
    drill.communicate(timeout=PATIENCE)
    eventually(lambda: running.outages() == [])
    eventually(lambda: "domain cloud:azure is no longer taken out: its time is up" in running.log.read_text())
    eventually(lambda: running.answered_by() == "azure")


def test_an_operator_ends_what_somebody_left_behind(freehold: Freehold, running: Running) -> None:
    body = json.dumps({"domain": "account:gemini", "seconds": 600})
    running.ask(running.admin, "POST", "/outages", body)
    finished = freehold("drill", "account:gemini", "--end", "--config", running.config, "--admin", running.admin)
    assert finished.returncode == 0, finished.stderr
    assert running.outages() == []


@pytest.mark.parametrize(
    "words",
    [
        (AZURE, "--how", "earthquake"),
        (AZURE, "--fail-on", "everything"),
        (AZURE, "--live", "--how", "stall"),
        (AZURE, "--probe", "assistant"),
        (AZURE, "--client", "telegraph"),
        (AZURE, "--html", "nowhere/drill.html"),
        ("--end",),
    ],
)
def test_wrong_use_is_said_before_anything_starts(freehold: Freehold, words: tuple[str, ...]) -> None:
    assert freehold("drill", *words).returncode == 2


def test_domains_are_listed_and_a_wrong_one_is_told(freehold: Freehold) -> None:
    listed = json.loads(freehold("drill", "--json").stdout)["domains"]
    known = {each["domain"]: each for each in listed}
    assert {name.partition(":")[0] for name in known} == {
        "account", "provider", "region", "cloud", "silicon", "jurisdiction",
    }  # fmt: skip
    assert "local" not in known["jurisdiction:US"]["stranded"]
    assert known["jurisdiction:DE"]["stranded"] == ["local"]
    wrong = freehold("drill", "provider:azzure", "--json")
    assert wrong.returncode == 1
    assert AZURE in json.loads(wrong.stdout)["error"]["message"]
