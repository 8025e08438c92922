"""Racing: who is slow to begin gets company, the first that proves itself answers, and everybody is billed."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from freehold.exchange.record import ExchangeRecord
from freehold.ir import JsonObject
from freehold.routing.health import LEAST_READINGS
from freehold.routing.retries import RESERVE
from freehold.transport.fake import FakeRequest, FakeUpstream, Plan, Refuse, Reply, Reset, Stall
from tests.exchange.road import CONFIG, Door, Roadside
from tests.exchange.test_road import ANSWER, CHAT, HELLO, SSE, STREAM, error, reply

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])

SOON = "hedge = { after = 0.01, extra_cost = 1.0 }"
NEVER = "hedge = { after = 1000, extra_cost = 1.0 }"
ONE, TWO, THREE = "one/gpt-4o", "two/gpt-4o", "claude/claude-sonnet-4-5"


def hedged(settings: str = SOON, targets: str = '["one/gpt-4o", "two/gpt-4o"]') -> str:
    return CONFIG.replace("[models.pair]", f'[models.pair]\nstrategy = "hedged"\n{settings}').replace(
        'targets = ["one/gpt-4o", "two/gpt-4o"]', f"targets = {targets}"
    )


def by_account(**plans: Plan | Callable[[FakeRequest], Plan]) -> FakeUpstream:
    """Each account answers in its own way, however often."""

    def plan(request: FakeRequest) -> Plan:
        host = {1: "one", 2: "two", 3: "claude"}[request.endpoint.port]
        chosen = plans[host]
        return chosen(request) if callable(chosen) else chosen

    return FakeUpstream(plan)


def good(*, stream: bool, before: float = 0.0) -> Reply:
    return (
        Reply(headers=SSE, body=STREAM, before=before)
        if stream
        else msgspec.structs.replace(reply(ANSWER), before=before)
    )


def question(*, stream: bool) -> JsonObject:
    return {**HELLO, "stream": True} if stream else HELLO


def asked(side: Roadside) -> list[int]:
    return [request.endpoint.port for request in side.upstream.requests]


async def alone() -> bool:
    """Whether no task is left but the test's own."""
    for _ in range(5):
        await asyncio.sleep(0)
    return asyncio.all_tasks() == {asyncio.current_task()}


def adds_up(record: ExchangeRecord) -> None:
    """The total is the sum of what each attempt was billed."""
    billed = [attempt.usage for attempt in record.attempts if attempt.usage is not None]
    if not billed:
        return
    assert record.usage is not None
    assert record.usage.input_tokens == sum(usage.input_tokens or 0 for usage in billed)
    assert record.usage.output_tokens == sum(usage.output_tokens or 0 for usage in billed)


@both_ways
async def test_the_second_answers_where_the_first_is_slow_and_the_first_is_cut_and_billed(
    tmp_path: Path, *, stream: bool
) -> None:
    side = Roadside(tmp_path, by_account(one=Stall(), two=good(stream=stream)), hedged())
    door = await side.ask(CHAT, question(stream=stream))
    assert door.status == 200
    assert b'"content":"hi"' in door.body
    assert door.headers["freehold-target"] == TWO
    assert await alone()
    record = side.records()[0]
    slow, quick = record.attempts
    assert (slow.target, slow.lost, slow.hedge, slow.error) == (ONE, True, False, None)
    assert (quick.target, quick.lost, quick.hedge, quick.error) == (TWO, False, True, None)
    assert slow.last_byte_ms is not None
    assert slow.usage is not None
    assert slow.usage.source == "estimate"
    assert 5 <= (slow.usage.input_tokens or 0) <= 20, "`hello`, counted here"
    assert slow.usage.output_tokens == 0
    assert record.usage is not None
    assert record.usage.source == "estimate", "a sum is as good as the worst of its parts"
    assert record.outcome == "ok"
    adds_up(record)


async def test_a_stream_that_only_announced_itself_has_proved_nothing(tmp_path: Path) -> None:
    begun = Reply(headers=SSE, body=[STREAM[0], Stall()])
    side = Roadside(tmp_path, by_account(one=begun, two=good(stream=True)), hedged())
    door = await side.ask(CHAT, question(stream=True))
    assert door.headers["freehold-target"] == TWO
    assert [exchange.outcome for exchange in side.upstream.exchanges] == ["aborted", "done"]
    assert side.records()[0].attempts[0].status == 200


@both_ways
async def test_who_is_as_quick_as_usual_gets_no_company(tmp_path: Path, *, stream: bool) -> None:
    side = Roadside(tmp_path, by_account(one=good(stream=stream), two=Stall()), hedged(NEVER))
    await side.ask(CHAT, question(stream=stream))
    assert asked(side) == [1]
    record = side.records()[0]
    assert (record.strategy, record.rejections) == ("hedged", {})
    assert await alone()


@both_ways
async def test_the_delay_is_a_percentile_of_the_targets_own_times(tmp_path: Path, *, stream: bool) -> None:
    slow = False

    def one(_: FakeRequest) -> Plan:
        return Stall() if slow else good(stream=stream)

    side = Roadside(tmp_path, by_account(one=one, two=good(stream=stream)), hedged(NEVER))
    for _ in range(LEAST_READINGS):
        await side.ask(CHAT, question(stream=stream))
    assert set(asked(side)) == {1}
    slow = True
    door = await side.ask(CHAT, question(stream=stream))
    assert door.headers["freehold-target"] == TWO, "a fixed delay of 1000 s no longer counts"


@both_ways
async def test_who_was_outrun_is_measured_by_what_it_had(tmp_path: Path, *, stream: bool) -> None:
    """Else only quick answers would be known, and the delay would shrink."""
    side = Roadside(tmp_path, by_account(one=Stall(), two=good(stream=stream)), hedged())
    await side.ask(CHAT, question(stream=stream))
    measured = side.road.health.standings(side.snapshot.resolver.resolve("pair").candidates, time.monotonic())
    assert set(measured) == {ONE, TWO}
    assert (measured[ONE].first_token is not None) == stream


@both_ways
async def test_one_that_fails_before_the_delay_is_followed_as_in_failover(tmp_path: Path, *, stream: bool) -> None:
    side = Roadside(tmp_path, by_account(one=error(500), two=good(stream=stream)), hedged(NEVER))
    door = await side.ask(CHAT, question(stream=stream))
    assert door.headers["freehold-target"] == TWO
    first, second = side.records()[0].attempts
    assert first.error is not None
    assert (first.lost, second.hedge) == (False, False)


@both_ways
async def test_when_the_first_fails_in_the_race_the_second_answers(tmp_path: Path, *, stream: bool) -> None:
    failing = msgspec.structs.replace(error(500), before=0.05)
    side = Roadside(tmp_path, by_account(one=failing, two=good(stream=stream, before=0.1)), hedged())
    door = await side.ask(CHAT, question(stream=stream))
    assert door.headers["freehold-target"] == TWO
    record = side.records()[0]
    assert [attempt.lost for attempt in record.attempts] == [False, False]
    assert record.attempts[0].error is not None
    assert record.attempts[0].usage is None, "a refused request is not charged"


@both_ways
async def test_when_the_second_fails_in_the_race_the_first_answers(tmp_path: Path, *, stream: bool) -> None:
    side = Roadside(tmp_path, by_account(one=good(stream=stream, before=0.1), two=error(500)), hedged())
    door = await side.ask(CHAT, question(stream=stream))
    assert door.headers["freehold-target"] == ONE
    assert door.headers["freehold-attempts"] == "2"
    assert side.records()[0].attempts[1].error is not None


@both_ways
async def test_when_both_fail_the_third_is_asked_and_else_the_caller_is_told(tmp_path: Path, *, stream: bool) -> None:
    late = msgspec.structs.replace(error(503), before=0.05)
    side = Roadside(tmp_path, by_account(one=late, two=late), hedged())
    door = await side.ask(CHAT, question(stream=stream))
    assert door.status == 503
    assert side.records()[0].outcome == "failed"
    assert await alone()


async def test_the_callers_mistake_ends_the_race(tmp_path: Path) -> None:
    late = msgspec.structs.replace(error(400), before=0.05)
    side = Roadside(tmp_path, by_account(one=late, two=Stall()), hedged())
    door = await side.ask(CHAT, question(stream=False))
    assert door.status == 400
    assert await alone()
    assert side.records()[0].attempts[1].lost is False, "nobody won"


async def test_the_deadline_ends_the_race(tmp_path: Path) -> None:
    side = Roadside(tmp_path, by_account(one=Stall(), two=Stall()), hedged())
    door = await side.ask(CHAT, question(stream=True), deadline=time.monotonic() + 0.2)
    assert door.status == 504
    assert len(side.records()[0].attempts) == 2
    assert await alone()


@both_ways
async def test_a_client_that_leaves_in_the_race_ends_both(tmp_path: Path, *, stream: bool) -> None:
    side = Roadside(tmp_path, by_account(one=Stall(), two=Reply(headers=SSE, body=[STREAM[0], Stall()])), hedged())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await side.ask(CHAT, question(stream=stream))
    assert await alone()
    assert side.upstream.exchanges[1].outcome == "aborted"
    record = side.records()[0]
    assert record.outcome == "client_gone"
    assert [attempt.usage.source for attempt in record.attempts if attempt.usage is not None] == ["estimate"] * 2
    assert [attempt.lost for attempt in record.attempts] == [False, False]
    adds_up(record)


async def test_a_winner_that_breaks_later_breaks_as_any_other(tmp_path: Path) -> None:
    broken = Reply(headers=SSE, body=[*STREAM[:2], Reset()])
    side = Roadside(tmp_path, by_account(one=Stall(), two=broken), hedged())
    door = await side.ask(CHAT, question(stream=True))
    assert door.status == 200
    assert b'"error"' in door.body
    assert b"[DONE]" not in door.body
    record = side.records()[0]
    assert record.outcome == "broken"
    assert (record.attempts[0].lost, record.attempts[1].lost) == (True, False)
    assert record.attempts[1].error is not None
    assert await alone()


KEPT: JsonObject = {**HELLO, "store": True}


@pytest.mark.parametrize(("body", "what"), [(KEPT, "the field store")])
async def test_what_must_not_happen_twice_is_not_hedged(body: JsonObject, what: str, tmp_path: Path) -> None:
    side = Roadside(tmp_path, by_account(one=good(stream=False, before=0.1), two=good(stream=False)), hedged())
    door = await side.ask(CHAT, body)
    assert door.status == 200
    assert asked(side) == [1]
    assert side.records()[0].rejections == {TWO: f"hedge: {what}"}


async def test_hedges_stay_within_their_share(tmp_path: Path) -> None:
    late = good(stream=False, before=0.05)
    config = hedged("hedge = { after = 0.005, extra_cost = 0.1 }")
    side = Roadside(tmp_path, by_account(one=late, two=good(stream=False)), config)
    for _ in range(40):
        await side.ask(CHAT, HELLO)
        side.road.health = type(side.road.health)()  # nobody learns that the second is quicker
    records = side.records()
    assert sum(len(record.attempts) == 2 for record in records) == 4
    refused = [record for record in records if record.rejections]
    assert {reason for record in refused for reason in record.rejections.values()} == {"hedge: extra_cost is used up"}


async def test_what_a_hedge_costs_is_what_was_billed(tmp_path: Path) -> None:
    """A race that the first wins after all costs the second, and the other way round."""
    side = Roadside(tmp_path, by_account(one=Stall(), two=good(stream=False)), hedged())
    purse = side.road.purses.of("pair")
    await side.ask(CHAT, HELLO)
    assert purse.left == 0.0, "earned a whole one, and lost one"
    side.upstream = side.road.client = by_account(one=error(500), two=error(500))
    await side.ask(CHAT, HELLO)
    assert purse.left == 0.0, "nobody answered, so nothing was earned"


async def test_the_retry_budget_holds_for_hedges(tmp_path: Path) -> None:
    side = Roadside(tmp_path, by_account(one=good(stream=False, before=0.1), two=good(stream=False)), hedged())
    now = time.monotonic()
    for _ in range(int(RESERVE) + 1):
        side.road.retries.take(TWO, TWO, now, 0.0)
    side.snapshot = msgspec.structs.replace(side.snapshot, retry_share=0.0)
    await side.ask(CHAT, HELLO)
    assert asked(side) == [1]
    assert side.records()[0].rejections[TWO].startswith("retries:")


async def test_no_more_run_at_once_than_may(tmp_path: Path) -> None:
    targets = '["one/gpt-4o", "two/gpt-4o", "claude/claude-sonnet-4-5"]'
    slow = Reply(headers=SSE, body=[STREAM[0], Stall()])
    for most, expected in ((2, 2), (3, 3)):
        settings = f"hedge = {{ after = 0.005, extra_cost = 1.0, at_most = {most} }}"
        folder = tmp_path / str(most)
        folder.mkdir()
        side = Roadside(folder, by_account(one=slow, two=slow, claude=Stall()), hedged(settings, targets))
        side.road.purses.of("pair").earn(10.0, 1.0)
        door = await side.ask(CHAT, question(stream=True), deadline=time.monotonic() + 0.3)
        assert door.status in {200, 504}
        assert len(side.upstream.exchanges) == expected
        assert await alone()


WAYS: dict[str, Callable[[bool], Plan]] = {
    "good": lambda stream: good(stream=stream),
    "late": lambda stream: good(stream=stream, before=0.05),
    "stall": lambda _: Stall(),
    "500": lambda _: error(500),
    "late 500": lambda _: msgspec.structs.replace(error(500), before=0.04),
    "refused": lambda _: Refuse(),
    "empty": lambda _: Reply(headers=SSE, body=[]),
    "reset": lambda _: Reply(headers=SSE, body=[STREAM[0], Reset()]),
}


@both_ways
@pytest.mark.parametrize(("one", "two"), list(itertools.product(WAYS, WAYS)))
async def test_whatever_two_targets_do(one: str, two: str, tmp_path: Path, *, stream: bool) -> None:
    """A full answer whenever either can give one, a proper error otherwise; usage adds up; no task is left behind."""
    side = Roadside(tmp_path, by_account(one=WAYS[one](stream), two=WAYS[two](stream)), hedged())
    door = Door()
    await side.travel(CHAT, question(stream=stream), door, "openai-chat", deadline=time.monotonic() + 0.4)
    if {"good", "late"} & {one, two}:
        assert door.status == 200
        assert b'"content":"hi"' in door.body
    else:
        assert door.status >= 500
        assert door.json["error"]
    assert await alone()
    record = side.records()[0]
    assert all(attempt.last_byte_ms is not None for attempt in record.attempts)
    assert sum(attempt.lost for attempt in record.attempts) <= 1
    assert all(exchange.outcome != "reading" for exchange in side.upstream.exchanges)
    adds_up(record)
