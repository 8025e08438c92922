"""The decision over real sockets: breakers keep requests away, strategies choose, and the record says why."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from freehold.cli import build
from freehold.cli.failure import run
from freehold.routing.health import FAULTS_TO_OPEN
from tests.gateway.conftest import Post, chat
from tests.gateway.test_failover import error, words
from tests.upstreams.gateway import Gateway
from tests.upstreams.server import SILENT, Asked, Reply

FIRST = "openai-chat/gpt-4o"
SECOND = "anthropic-messages/claude-sonnet-4-5"


def asked(gateway: Gateway, name: str) -> int:
    return len(gateway.emulators[name].asked)


def test_what_keeps_failing_is_not_asked_any_more(post: Post, gateway: Gateway) -> None:
    gateway.emulators["openai-chat"].instead = lambda _: error(500)
    for _ in range(FAULTS_TO_OPEN + 3):
        assert post(chat("both")).status == 200
    assert asked(gateway, "openai-chat") == FAULTS_TO_OPEN
    record = gateway.records()[-1]
    assert [attempt.target for attempt in record.attempts] == [SECOND]
    assert record.rejections == {FIRST: f"broken: the breaker of {FIRST} is open"}
    assert record.strategy == "failover"
    assert record.scores == {SECOND: {"score": 1.0, "order": 1.0}}


def test_the_callers_mistakes_open_nothing(post: Post, gateway: Gateway) -> None:
    gateway.emulators["openai-chat"].instead = lambda _: error(400)
    for _ in range(2 * FAULTS_TO_OPEN):
        assert post(chat("both")).status == 400
    gateway.emulators["openai-chat"].instead = None
    answer = post(chat("both"))
    assert answer.headers["freehold-target"] == FIRST


def test_a_lone_target_is_asked_however_often_it_fails(post: Post, gateway: Gateway) -> None:
    gateway.emulators["openai-chat"].instead = lambda _: error(500)
    for _ in range(FAULTS_TO_OPEN + 2):
        assert post(chat("openai-chat")).status == 500
    gateway.emulators["openai-chat"].instead = None
    assert post(chat("openai-chat")).status == 200


def test_under_load_the_death_of_a_provider_fails_nobody(post: Post, gateway: Gateway) -> None:
    """Those in flight see a second attempt, and soon nobody asks the dead any more."""
    dead = False

    def dying(_: Asked) -> Reply | None:
        return error(503) if dead else None

    gateway.emulators["openai-chat"].instead = dying
    before = len(gateway.records())
    with ThreadPoolExecutor(8) as clients:
        answers = [clients.submit(post, chat("both", stream=number % 2 == 0)) for number in range(40)]
        dead = True
        answers += [clients.submit(post, chat("both", stream=number % 2 == 0)) for number in range(80)]
        finished = [each.result() for each in answers]
    assert {answer.status for answer in finished} == {200}
    assert all(words(answer.body) for answer in finished)
    records = gateway.records()[before:]
    retried = [record for record in records if len(record.attempts) > 1]
    assert 1 <= len(retried) <= FAULTS_TO_OPEN + 8, "at most those that were in flight when the breaker opened"


def test_a_request_may_name_its_strategy(post: Post, gateway: Gateway) -> None:
    chosen = {
        strategy: post(chat("both"), freehold_strategy=strategy).headers["freehold-target"]
        for strategy in ("failover", "cheapest")
    }
    assert chosen == {"failover": FIRST, "cheapest": FIRST}
    record = gateway.records()[-1]
    assert record.strategy == "cheapest"
    assert record.scores[FIRST]["score"] < record.scores[SECOND]["score"], "gpt-4o is cheaper than Claude Sonnet 4.5"
    assert record.scores[FIRST]["cost_usd"] == record.scores[FIRST]["score"]
    refused = post(chat("both"), freehold_strategy="luckiest")
    assert refused.status == 400
    assert refused.json()["error"]["code"] == "unknown_strategy"


def test_a_keys_strategy_counts_before_the_models_and_after_the_requests(post: Post, gateway: Gateway) -> None:
    key, _ = gateway.mint(strategy="weighted")

    def strategy_of(**headers: str) -> str | None:
        assert post(chat("both"), authorization=f"Bearer {key}", **headers).status == 200
        return gateway.records()[-1].strategy

    assert strategy_of() == "weighted"
    assert strategy_of(freehold_strategy="fastest") == "fastest"
    assert strategy_of(freehold_strategy="failover") == "failover"
    assert post(chat("both")).status == 200
    assert gateway.records()[-1].strategy == "failover", "without a key the model's counts"


@pytest.mark.parametrize("streamed", [True, False])
def test_fastest_learns_from_live_traffic(post: Post, gateway: Gateway, *, streamed: bool) -> None:
    for model in ("openai-chat", "anthropic-messages"):
        post(chat(model, stream=streamed))
    record_of = gateway.records
    post(chat("both"), freehold_strategy="fastest")
    known = {name for name, terms in record_of()[-1].scores.items() if "score" in terms}
    assert known == ({FIRST, SECOND} if streamed else set()), "only streams tell when the first token came"


def test_an_operator_takes_a_target_out_and_puts_it_back(
    post: Post, gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    host, port = gateway.service.admin_address
    where = ("--config", str(gateway.folder / "freehold.toml"), "--admin", f"http://{host}:{port}")

    def target(*words: str) -> dict[str, dict[str, object]]:
        assert run_command("target", *words, *where, "--json") == 0
        listed = json.loads(capsys.readouterr().out)["targets"]
        return {each["target"]: each for each in listed}

    assert target("list")[FIRST]["state"] == "ready"
    assert target("disable", FIRST, "--reason", "maintenance")[FIRST]["why"] == "maintenance"
    answer = post(chat("both"))
    assert answer.headers["freehold-target"] == SECOND
    assert gateway.records()[-1].rejections == {FIRST: "disabled: maintenance"}
    alone = post(chat("openai-chat"))
    assert alone.status == 503
    assert alone.json()["error"]["code"] == "all_targets_disabled"
    assert "maintenance" in alone.json()["error"]["message"]
    assert target("enable", FIRST)[FIRST]["state"] == "ready"
    assert post(chat("both")).headers["freehold-target"] == FIRST
    assert run_command("target", "disable", "openai-chat/gpt-4oo", *where) == 1
    assert FIRST in capsys.readouterr().err, "the nearest names are the remedy"


def test_the_control_plane_takes_a_word_in_json_only(gateway: Gateway) -> None:
    """A web page may post plain text to loopback without anybody's leave."""
    host, port = gateway.service.admin_address
    for headers, body, status in (
        ({"content-type": "text/plain"}, b'{"target": "a/b"}', 415),
        ({"content-type": "application/json"}, b"[]", 400),
        ({"content-type": "application/json"}, b'{"target": "nobody/nothing"}', 404),
    ):
        connection = http.client.HTTPConnection(host, port, timeout=20)
        connection.request("POST", "/targets/disable", body, headers)
        assert connection.getresponse().status == status
        connection.close()


def test_a_target_is_disabled_without_a_reason_too(post: Post, gateway: Gateway) -> None:
    host, port = gateway.service.admin_address
    connection = http.client.HTTPConnection(host, port, timeout=20)
    word = json.dumps({"target": FIRST, "reason": " "})
    connection.request("POST", "/targets/disable", word, {"content-type": "application/json"})
    assert connection.getresponse().status == 200
    connection.close()
    assert post(chat("both")).headers["freehold-target"] == SECOND


def test_a_probe_whose_client_leaves_keeps_nobody_out(post: Post, gateway: Gateway) -> None:
    health = gateway.service.road.health
    emulator = gateway.emulators["anthropic-messages"]
    emulator.instead = lambda _: error(500)
    for _ in range(FAULTS_TO_OPEN):
        post(chat("anthropic-messages"))
    known = health._targets[SECOND].breaker
    known.until = 0.001  # its time is up
    emulator.instead = lambda _: SILENT
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=20)
    connection.request("POST", "/v1/chat/completions", chat("anthropic-messages"), {"content-type": "application/json"})
    settled(lambda: len(emulator.asked) == FAULTS_TO_OPEN + 1)
    assert known._probing > 0
    connection.close()
    settled(lambda: known._probing == 0)


def settled(holds: Callable[[], bool]) -> None:
    """Wait until something holds; pytest's own limit ends what never does."""
    while not holds():
        time.sleep(0.01)


def test_a_drill_takes_a_domain_out_and_ends_it(post: Post, gateway: Gateway) -> None:
    def order(said: str, status: int = 200) -> dict[str, list[dict[str, object]]]:
        return control(gateway, "POST", "/outages", said, status)

    order('{"domain": "provider:openai", "seconds": 60, "reason": "a test"}')
    answer = post(chat("both"))
    assert (answer.status, answer.headers["freehold-target"]) == (200, SECOND)
    first, second = gateway.records()[-1].attempts
    assert (first.target, first.error, first.status) == (FIRST, "drill", None)
    assert second.error is None
    (known,) = (each for each in control(gateway, "GET", "/targets")["targets"] if each["target"] == FIRST)
    assert known["taken_out"] == "provider:openai"
    assert "provider:openai" in str(known["domains"])
    assert "jurisdiction:US" in str(known["domains"])
    assert [each["domain"] for each in control(gateway, "GET", "/outages")["outages"]] == ["provider:openai"]
    alone = post(chat("openai-chat"))
    assert alone.status == 503
    assert "taken out by a drill" in alone.json()["error"]["message"]

    assert order('{"domain": "provider:openai", "seconds": 0}') == {"outages": []}
    assert post(chat("both")).headers["freehold-target"] == FIRST
    order('{"domain": "provider:nobody", "seconds": 1}', 404)
    order('{"domain": "provider:openai", "seconds": 1e9}', 400)
    order('{"domain": "provider:openai"}', 400)


def control(gateway: Gateway, method: str, path: str, body: str = "", status: int = 200) -> Any:  # noqa: ANN401 -- whatever the port answers
    """What the control plane answers, with the status that is expected."""
    connection = http.client.HTTPConnection(*gateway.service.admin_address, timeout=20)
    try:
        connection.request(method, path, body or None, {"content-type": "application/json"} if body else {})
        answer = connection.getresponse()
        assert answer.status == status, answer.read()
        return json.loads(answer.read())
    finally:
        connection.close()


def run_command(*words: str) -> int:
    """The command line in this process; its exit status."""
    return run(build((words[0],)), words)


def test_a_dry_run_knows_what_the_running_server_knows(
    post: Post, gateway: Gateway, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEHOLD_DATA", str(tmp_path))
    host, port = gateway.service.admin_address
    body = tmp_path / "body.json"
    body.write_bytes(chat("both"))
    config = tmp_path / "freehold.toml"
    # The running server's store and spool are its own.
    text = (gateway.folder / "freehold.toml").read_text().replace(str(gateway.folder), str(tmp_path))
    config.write_text(text)
    where = ("--protocol", "openai-chat", "--config", str(config), "--json")

    def explained(*more: str) -> tuple[int, dict[str, Any]]:
        status = run_command("route", "explain", str(body), *where, *more)
        return status, json.loads(capsys.readouterr().out)

    live = ("--live", "--admin", f"http://{host}:{port}")
    gateway.emulators["openai-chat"].instead = lambda _: error(500)
    for _ in range(FAULTS_TO_OPEN):
        post(chat("both"))
    before = asked(gateway, SECOND.split("/", maxsplit=1)[0])
    assert explained()[1]["chosen"] == FIRST
    status, told = explained(*live)
    assert (status, told["chosen"]) == (0, SECOND)
    rejected = {each["target"]: each["evidence"] for each in told["targets"] if each["reason"] == "broken"}
    assert rejected == {FIRST: f"the breaker of {FIRST} is open"}
    assert asked(gateway, SECOND.split("/", maxsplit=1)[0]) == before
    for target in (FIRST, SECOND):
        gateway.service.road.health.disable(target, "maintenance")
    try:
        status, told = explained(*live)
        assert (status, told["error"]["code"], told["chosen"]) == (1, "no_target", None)
        assert {each["evidence"] for each in told["targets"]} == {"maintenance"}
    finally:
        for target in (FIRST, SECOND):
            gateway.service.road.health.enable(target)
