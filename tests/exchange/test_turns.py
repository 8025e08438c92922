"""Second-hand attempts are bounded for each target: failure moves load, and does not multiply it."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from freehold.routing.retries import RESERVE
from freehold.transport.fake import FakeUpstream
from tests.exchange.road import Roadside
from tests.exchange.test_road import ANSWER, CHAT, HELLO, error, reply


class Stopped:
    """A clock on which no time passes, so that nothing fills up by itself."""

    def __init__(self) -> None:
        self._now = time.monotonic()

    def time(self) -> float:
        return 1_760_000_000.0

    def monotonic(self) -> float:
        return self._now


def drained(folder: Path, upstream: FakeUpstream, *targets: str, share: float = 0.0) -> Roadside:
    """A road on which these targets have nothing left."""
    side = Roadside(folder, upstream)
    side.road.clock = Stopped()
    side.snapshot = msgspec.structs.replace(side.snapshot, retry_share=share)
    for target in targets:
        for _ in range(int(RESERVE)):
            assert side.road.retries.take(target, target, side.road.clock.monotonic(), 0.0)
    return side


async def test_an_empty_budget_lets_nobody_through_and_says_so(tmp_path: Path) -> None:
    side = drained(tmp_path, FakeUpstream(error(500), reply(ANSWER)), "two/gpt-4o")
    door = await side.ask(CHAT, HELLO)
    assert door.status == 500, "what the first target said"
    assert len(side.upstream.requests) == 1
    assert side.records()[0].rejections == {
        "two/gpt-4o": "retries: it has been asked at second hand too often just now"
    }


async def test_going_round_once_more_is_second_hand_too(tmp_path: Path) -> None:
    side = drained(tmp_path, FakeUpstream(error(429, retry_after="1")), "one/gpt-4o", "two/gpt-4o")
    door = await side.ask(CHAT, HELLO)
    assert door.status == 429
    assert len(side.upstream.requests) == 1
    assert len(side.naps) == 1


async def test_first_attempts_are_never_refused(tmp_path: Path) -> None:
    side = drained(tmp_path, FakeUpstream(reply(ANSWER)), "one/gpt-4o", "two/gpt-4o")
    assert (await side.ask(CHAT, HELLO)).status == 200


async def test_in_an_outage_of_everything_the_second_gets_a_fifth_of_the_load(tmp_path: Path) -> None:
    """Not all of it: a target that is overloaded itself is not asked by everybody whom another one failed."""
    side = drained(tmp_path, FakeUpstream(error(500)), "two/gpt-4o", share=0.2)
    for _ in range(50):
        side.road.health = type(side.road.health)()  # as if no breaker opened
        await side.ask(CHAT, HELLO)
    asked = [request.endpoint.port for request in side.upstream.requests]
    assert asked.count(1) == 50
    assert asked.count(2) == 10
