"""A rehearsal foresees what the road then does, and does nothing itself."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from freehold.errors import CallerError
from freehold.exchange.door import Arrival
from freehold.exchange.rehearsal import Rehearsal, rehearse
from freehold.ir import JsonObject
from freehold.protocols.codec import WireRequest
from freehold.protocols.registry import CODECS
from freehold.routing.features import Standing
from freehold.routing.health import Health
from freehold.routing.strategies import STRATEGIES
from freehold.transport.fake import FakeUpstream, Refuse
from tests.exchange.road import CONFIG, Roadside

MIXED = (
    CONFIG
    + """
[models.mixed]
targets = ["one/gpt-4o", "claude/claude-sonnet-4-5", "two/gpt-4o", "one/text-embedding-3-small"]
"""
)
HELLO: JsonObject = {"model": "mixed", "messages": [{"role": "user", "content": "hello"}]}


def foresee(
    side: Roadside, body: JsonObject, standings: dict[str, Standing] | None = None, **more: object
) -> Rehearsal:
    fields: dict[str, object] = {
        "id": "fx1",
        "codec": CODECS["openai-chat"],
        "operation": "generate",
        "wire": WireRequest(path="/v1/chat/completions", body=msgspec.json.encode(body)),
        "project": "local",
        "key": None,
        "models": (),
        "started": 1_760_000_000.0,
        "deadline": time.monotonic() + 30,
        **more,
    }
    return rehearse(side.road, Arrival(**fields), side.snapshot, standings)  # pyright: ignore[reportArgumentType] -- as the test says


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("seed", [{}, {"seed": 7}, {"stream": True}, {"logprobs": True}], ids=str)
async def test_who_is_asked_in_which_order_is_what_was_foreseen(
    tmp_path: Path, strategy: str, seed: JsonObject
) -> None:
    upstream = FakeUpstream(Refuse())
    side = Roadside(tmp_path, upstream, MIXED)
    for draw in ("00000000", "7fffffff", "fffffffe"):
        side.road.health = Health()  # the failures of before must not count
        exchange = f"fx1234567800000000{draw}"
        found = foresee(side, {**HELLO, **seed}, id=exchange, strategy=strategy, strictness="report")
        before = len(side.records())
        await side.ask("/v1/chat/completions", {**HELLO, **seed}, id=exchange, strategy=strategy, strictness="report")
        (record,) = side.records()[before:]
        ranked = [each for each in found.targets if each.rank is not None]
        assert [(each.target, each.lane) for each in ranked] == [(a.target, a.lane) for a in record.attempts]
        assert {each.target: each.score for each in found.targets if each.reason is None} == record.scores
        assert found.chosen == record.attempts[0].target


def test_nothing_is_sent_counted_or_recorded(tmp_path: Path) -> None:
    upstream = FakeUpstream()
    side = Roadside(tmp_path, upstream, MIXED)
    found = foresee(side, HELLO)
    assert found.chosen == "one/gpt-4o"
    assert upstream.requests == []
    assert side.records() == []
    assert side.road.counters.text({}) == Roadside(tmp_path, upstream, MIXED).road.counters.text({})


def test_each_target_says_how_it_would_be_asked_and_what_that_loses(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(), MIXED)
    found = foresee(side, {**HELLO, "seed": 7})
    by_name = {each.target: each for each in found.targets}
    assert (by_name["one/gpt-4o"].protocol, by_name["one/gpt-4o"].lane) == ("openai-chat", "tunnel")
    claude = by_name["claude/claude-sonnet-4-5"]
    assert (claude.protocol, claude.lane) == ("anthropic-messages", "translate")
    assert "seed" in {loss.path for loss in claude.losses}
    assert claude.rank == 2
    strict = foresee(side, {**HELLO, "seed": 7}, strictness="reject")
    refused = next(each for each in strict.targets if each.target == claude.target)
    assert refused.rank is None
    assert refused.obstacle.startswith("would lose ")


def test_a_running_servers_health_has_the_last_word(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(), MIXED)
    standings = {"one/gpt-4o": Standing(disabled="maintenance"), "two/gpt-4o": Standing(broken="account:two")}
    found = foresee(side, HELLO, standings)
    assert found.chosen == "claude/claude-sonnet-4-5"
    against = {each.target: (each.reason, each.evidence, each.rank) for each in found.targets if each.reason}
    assert against == {
        "one/gpt-4o": ("disabled", "maintenance", None),
        "two/gpt-4o": ("broken", "the breaker of account:two is open", None),
    }


def test_where_everybody_is_disabled_nobody_is_chosen(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream())
    standings = {name: Standing(disabled="off") for name in ("one/gpt-4o", "two/gpt-4o")}
    found = foresee(side, {**HELLO, "model": "pair"}, standings)
    assert found.chosen is None
    assert not found.counted_here


@pytest.mark.parametrize("body", [{"messages": []}, {**HELLO, "model": "nobody"}], ids=str)
def test_what_nobody_would_be_asked_with_is_the_callers_mistake(tmp_path: Path, body: JsonObject) -> None:
    with pytest.raises(CallerError):
        foresee(Roadside(tmp_path, FakeUpstream()), body)
