"""The laws of every fault: a whole answer whenever a target can give one, else a proper error; one record; fair blame.

Answers are judged by the vendors' own types and parsers (`tests.vendors`), and read by hand here, never by our codecs.
"""

from __future__ import annotations

import json
from typing import cast, get_args

import msgspec
import pytest

from freehold.errors import ErrorKind
from freehold.exchange.record import ExchangeRecord
from freehold.routing.health import blame
from tests.faults.conftest import target
from tests.faults.faults import FAULTS, HTML, Fault, Scene
from tests.faults.protocols import PROTOCOLS, Answer, Protocol
from tests.upstreams.gateway import Gateway
from tests.upstreams.scenarios import FIRST, Said
from tests.vendors import judgement
from tests.vendors.typed import Problem

SAID = cast("Said", FIRST["text"])

each_fault = pytest.mark.parametrize("name", FAULTS)
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def ask(
    gateway: Gateway, protocol: Protocol, fault: Fault, vendor: str, model: str, *, stream: bool
) -> tuple[Answer, ExchangeRecord]:
    """Ask while a vendor is ill: the answer, and its one record."""
    emulator = gateway.emulators[f"sick-{vendor}"]
    if (play := fault.play) is not None:
        emulator.instead = lambda asked: play(Scene(emulator, asked, streamed=stream))
    with (gateway.folder / "spool" / "exchanges.jsonl").open("rb") as rows:
        rows.seek(0, 2)
        answer = protocol.ask(gateway, model, stream=stream)
        (row,) = rows.read().splitlines()
    return answer, msgspec.json.decode(row, type=ExchangeRecord)


def problems(protocol: Protocol, answer: Answer, *, stream: bool) -> list[Problem]:
    """What the vendor's own types and parsers do not like; members of the provider's own pass as they are."""
    found = (
        judgement.stream_problems(protocol.codec, answer.body)
        if stream
        else judgement.answer_problems(protocol.codec, answer.body, "generate")
    )
    by_own = answer.headers["freehold-target"].partition("/")[0].endswith(f"-{protocol.own}")
    return [problem for problem in found if not (by_own and "." in problem.path)]


def check_whole(protocol: Protocol, answer: Answer, *, stream: bool) -> None:
    """The well one's words, all of them, in a form that the protocol's own clients take."""
    assert (answer.status, answer.whole) == (200, True), answer.body
    assert problems(protocol, answer, stream=stream) == []
    assert protocol.text(answer) == SAID.whole
    assert protocol.tokens(answer) == (SAID.prompt, SAID.output)


def check_error(protocol: Protocol, answer: Answer, status: int | None) -> None:
    """An error of the protocol's own, with the status that it has for it."""
    if status is None:
        assert 500 <= answer.status < 600 or answer.status in protocol.statuses.values()
    else:
        assert answer.status in {status, protocol.statuses.get(status)}
    if answer.headers["content-type"] != "application/json":
        assert answer.body == HTML, "what is in nobody's form passes as it is, to a client of who said it"
        return
    assert judgement.error_problems(protocol.codec, answer.body) == []
    if protocol.codec.startswith("bedrock"):
        assert answer.headers["x-amzn-errortype"].endswith("Exception")


def check_break(protocol: Protocol, answer: Answer) -> None:
    """Some words, and then the news that no more will come, in the protocol's own way or by cutting the connection."""
    assert answer.status == 200
    assert SAID.whole.startswith(protocol.text(answer))
    assert protocol.text(answer) != SAID.whole
    assert problems(protocol, answer, stream=True) == []
    told = json.dumps(answer.values()[-1])
    assert "error" in told or not answer.whole


def usage_of(record: ExchangeRecord) -> tuple[int | None, int | None, str] | None:
    used = record.usage
    return None if used is None else (used.input_tokens, used.output_tokens, used.source)


def counted(gateway: Gateway, name: str) -> tuple[int, bool, bool]:
    """What stands against a target: faults in a row, whether it is left alone, and whether its account is suspect."""
    health = gateway.service.road.health
    known = health._targets.get(name)
    domain = health._domains.get(f"account:{name.partition('/')[0]}")
    faults = 0 if known is None else known.breaker.faults
    return faults, known is not None and known.cooling > 0, domain is not None and domain.faults > 0


def check_blame(gateway: Gateway, fault: Fault, ill: str, well: str | None) -> None:
    """The target's faults are counted there and nowhere else, a caller's nowhere at all."""
    counts = fault.blame not in {"caller", "nobody"} and not fault.later
    assert counted(gateway, ill) == (int(counts), fault.later, fault.blame == "account")
    if well is not None:
        assert counted(gateway, well) == (0, False, False)
    domains = set(gateway.service.road.health._domains)
    assert domains == ({f"account:{ill.partition('/')[0]}"} if fault.blame == "account" else set())


def named(vendor: str, state: str) -> str:
    return target(state, vendor).partition("@")[0]


@each_fault
@each_protocol
@pytest.mark.parametrize("foreign", [False, True], ids=["own", "other"])
@both_ways
def test_a_target_without_another(
    gateway: Gateway, name: str, protocol: Protocol, *, foreign: bool, stream: bool
) -> None:
    fault, vendor = FAULTS[name], protocol.other if foreign else protocol.own
    answer, record = ask(gateway, protocol, fault, vendor, target(fault.where, vendor), stream=stream)
    ill = named(vendor, fault.where)
    assert [attempt.target for attempt in record.attempts] == [ill]
    if fault.status == 200:
        check_whole(protocol, answer, stream=stream)
        assert (record.outcome, record.status) == ("ok", 200)
        assert usage_of(record) == (SAID.prompt, SAID.output, "provider")
        assert record.attempts[0].error is None
    elif fault.breaks and stream and answer.status == 200:
        check_break(protocol, answer)
        assert (record.outcome, record.status) == ("broken", 200)
        assert usage_of(record) in {None, *((SAID.prompt, output, "partial") for output in (None, 1, SAID.output))}
    else:
        check_error(protocol, answer, fault.status)
        assert record.outcome == ("refused" if fault.blame == "caller" else "failed")
        assert record.status == answer.status
        assert record.error == record.attempts[0].error
        assert usage_of(record) is None
        assert (record.cost_nano_usd, answer.headers.get("freehold-cost")) == (None, None)
    assert answer.headers["freehold-attempts"] == "1"
    if fault.later and protocol.codec.startswith("openai"):
        assert answer.headers["retry-after"] == "17"
    check_blame(gateway, fault, ill, None)


@each_fault
@each_protocol
@pytest.mark.parametrize("pair", ["own-own", "own-other", "other-own"])
@both_ways
def test_a_target_with_another(gateway: Gateway, name: str, protocol: Protocol, pair: str, *, stream: bool) -> None:
    fault = FAULTS[name]
    first, second = (getattr(protocol, each) for each in pair.split("-"))
    answer, record = ask(gateway, protocol, fault, first, f"{fault.where}.{first}.{second}", stream=stream)
    ill, well = named(first, fault.where), named(second, "well")
    if fault.blame == "caller":
        check_error(protocol, answer, fault.status)
        asked = [ill]
    elif fault.breaks and stream and record.outcome == "broken":
        check_break(protocol, answer)
        asked = [ill]
    else:
        check_whole(protocol, answer, stream=stream)
        asked = [ill] if fault.status == 200 else [ill, well]
        assert (record.outcome, record.status) == ("ok", 200)
        assert usage_of(record) == (SAID.prompt, SAID.output, "provider")
        assert answer.headers["freehold-target"] == asked[-1]
    assert [attempt.target for attempt in record.attempts] == asked
    assert answer.headers["freehold-attempts"] == str(len(asked))
    assert [attempt.error is None for attempt in record.attempts] == [
        each == well or fault.status == 200 for each in asked
    ]
    check_blame(gateway, fault, ill, well)


@each_protocol
@both_ways
def test_all_are_ill(gateway: Gateway, protocol: Protocol, *, stream: bool) -> None:
    """Two targets fail, each in its own way; the last word counts, and both are blamed."""
    other = gateway.emulators[f"well-{protocol.other}"]
    other.instead = lambda asked: Scene(other, asked, streamed=stream).refuse(503)
    model = f"sick.{protocol.own}.{protocol.other}"
    answer, record = ask(gateway, protocol, FAULTS["hangs-up"], protocol.own, model, stream=stream)
    check_error(protocol, answer, 503)
    ill = [named(protocol.own, "sick"), named(protocol.other, "well")]
    assert [attempt.target for attempt in record.attempts] == ill
    assert (record.outcome, usage_of(record)) == ("failed", None)
    assert [counted(gateway, each) for each in ill] == [(1, False, False)] * 2


def test_whose_fault_each_kind_is() -> None:
    """The table of faults speaks of the same four as health does."""
    assert {blame(kind) for kind in get_args(ErrorKind)} == {"caller", "account", "model", "target"}
