"""On the road: reserved throughput is filled and spills over, and committed spend is counted from the records."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from freehold.exchange.record import AttemptRecord, ExchangeRecord, Spool
from freehold.exchange.spending import spent
from freehold.ir import JsonObject
from freehold.routing.commitments import Commitments, Spend, Throughput
from freehold.transport.fake import FakeUpstream, Reply
from tests.exchange.road import CONFIG, Roadside
from tests.exchange.test_warm import answer

CHAT = "/v1/chat/completions"
RESERVED = """
[commitments.ptu]
targets = ["two/gpt-4o"]
tokens_per_minute = 5000
"""


def prompt(number: int, model: str = "pair") -> JsonObject:
    """A conversation of its own, so that nothing of it is cached."""
    return {"model": model, "messages": [{"role": "user", "content": f"{number}: " + "Hello. " * 1100}]}


async def test_what_does_not_fit_spills_over(tmp_path: Path) -> None:
    """Each is expected to take some 2000 tokens of input and 500 of output, and uses 2002."""
    side = Roadside(tmp_path, FakeUpstream(answer), CONFIG + RESERVED)
    doors = [await side.ask(CHAT, prompt(number), strategy="committed") for number in range(3)]
    assert [door.headers["freehold-target"] for door in doors] == ["two/gpt-4o", "two/gpt-4o", "one/gpt-4o"]
    scores = side.records()[0].scores["two/gpt-4o"]
    assert (scores["marginal_usd"], scores["headroom"]) == (0.0, 5000.0)


async def test_requests_at_once_do_not_all_believe_in_the_same_room(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(answer), CONFIG + RESERVED)
    doors = await asyncio.gather(*(side.ask(CHAT, prompt(number), strategy="committed") for number in range(6)))
    assert sorted(door.headers["freehold-target"] for door in doors).count("two/gpt-4o") == 2


async def test_failures_give_back_what_was_held(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(Reply(status=500, body=[b"{}"]), answer), CONFIG + RESERVED)
    await side.ask(CHAT, prompt(0), strategy="committed")
    (commitment,) = [each.candidate.commitment for each in side.snapshot.resolver.resolve("pair").places[1:]]
    assert isinstance(commitment, Throughput)
    assert side.road.fills.free([commitment], side.road.clock.monotonic(), 0.0) == {"ptu": 5000.0}


async def test_another_strategy_fills_it_all_the_same(tmp_path: Path) -> None:
    """What is used is used, whoever chose."""
    side = Roadside(tmp_path, FakeUpstream(answer), CONFIG + RESERVED)
    await side.ask(CHAT, prompt(0, "two/gpt-4o"))
    await side.ask(CHAT, prompt(1), strategy="committed")
    door = await side.ask(CHAT, prompt(2), strategy="committed")
    assert door.headers["freehold-target"] == "one/gpt-4o"


def test_spend_is_counted_from_the_records(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for started, target, nano in (
        (50.0, "aws/a", 9_000_000_000),  # before it began
        (150.0, "aws/a", 2_000_000_000),
        (160.0, "aws/b", None),
        (170.0, "azure/a", 5_000_000_000),
        (900.0, "aws/a", 1_000_000_000),  # this process counts it itself
    ):
        attempts = [AttemptRecord(target="azure/x", lane="tunnel"), AttemptRecord(target=target, lane="tunnel")]
        attempts[1].cost_nano_usd = nano
        spool.write(ExchangeRecord(id="x", started=started, protocol="p", operation="generate", attempts=attempts))
    spool.close()
    contract = Spend(name="year", usd=100.0, start=100.0, until=1000.0, discount=0.25)
    assert spent(tmp_path, Commitments([(("aws/*",), contract)]), 800.0) == {"year": pytest.approx(1.5)}
    assert spent(tmp_path, Commitments(), 800.0) == {}
