"""Warm caches: what is expected of them follows from what providers reported, and is weighed against prices."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.ir import Usage
from freehold.providers.schema import PromptCache
from freehold.routing.affinity import MOST_AHEAD, MOST_CONVERSATIONS, Affinity, Lesson, alive
from freehold.routing.decision import Rule, decide
from freehold.routing.features import Ask, Candidate, Warmth
from freehold.routing.strategies import STRATEGIES
from tests.routing.test_decision import priced

AUTOMATIC = PromptCache(automatic=True, least=1024, lifetime=300.0, longest=3600.0, source="test")
MARKED = PromptCache(automatic=False, source="test")
A = Candidate(name="a/m", tariff=priced(2.0, 8.0, read=0.2), cache=AUTOMATIC)
B = Candidate(name="b/m", tariff=priced(2.0, 8.0, read=0.2), cache=AUTOMATIC)
TALK = b"a conversation"
STICKY = Rule(strategy=STRATEGIES["sticky"])


def said(tokens: int, read: int | None = 0, write: int | None = None) -> Usage:
    return Usage(input_tokens=tokens, output_tokens=100, cache_read=read, cache_write=write)


def chosen(affinity: Affinity, now: float, *candidates: Candidate, rule: Rule = STICKY, tokens: float = 10_000) -> str:
    ask = Ask(text=4 * tokens, warmth=affinity.expect(TALK, candidates, now))
    return decide(ask, candidates, {}, rule).order()[0]


@pytest.mark.parametrize("strategy", ["sticky", "cheapest", "balanced"])
def test_a_conversation_stays_where_it_is_cached_and_a_new_one_follows_the_order(strategy: str) -> None:
    affinity, rule = Affinity(), Rule(strategy=STRATEGIES[strategy])
    assert chosen(affinity, 0.0, A, B, rule=rule) == "a/m"
    affinity.learn(TALK, B, said(10_000), 0.0)
    assert chosen(affinity, 10.0, A, B, rule=rule) == "b/m"
    assert decide(Ask(warmth=affinity.expect(b"another", [A, B], 10.0)), [A, B], {}, rule).order()[0] == "a/m"


def test_when_the_cache_is_gone_nothing_holds_it_any_more() -> None:
    affinity = Affinity()
    affinity.learn(TALK, B, said(10_000), 0.0)
    assert chosen(affinity, 3599.0, A, B) == "b/m"
    assert chosen(affinity, 3600.0, A, B) == "a/m"
    assert alive(AUTOMATIC, 300.0) == 1.0
    assert alive(AUTOMATIC, 1950.0) == pytest.approx(0.5)
    assert alive(MARKED, 300.1) == 0.0


def test_sticky_moves_when_what_the_others_save_is_worth_the_lost_cache() -> None:
    """10,000 tokens at 2 USD a million, or at 0.2 from the cache: a saving of 0.018 that would be lost."""
    affinity = Affinity()
    affinity.learn(TALK, A, said(10_000), 0.0)
    dearer = msgspec.structs.replace(B, tariff=priced(2.0, 8.0, read=0.2))
    slightly = msgspec.structs.replace(B, tariff=priced(1.8, 7.2, read=0.18))
    far = msgspec.structs.replace(B, tariff=priced(0.1, 0.4, read=0.01))
    assert chosen(affinity, 10.0, dearer, A) == "a/m"
    assert chosen(affinity, 10.0, slightly, A) == "a/m", "0.0002 a request do not bring back 0.018"
    assert chosen(affinity, 10.0, far, A) == "b/m"


def test_a_long_conversation_moves_for_less_because_it_will_go_on() -> None:
    """The cheapest for one request is not always the cheapest for the rest of a conversation."""
    affinity = Affinity()
    lower = msgspec.structs.replace(B, tariff=priced(1.0, 4.0, read=0.1))
    affinity.learn(TALK, A, said(10_000), 0.0)
    assert chosen(affinity, 10.0, lower, A) == "a/m"
    for turn in range(1, 8):
        affinity.learn(TALK, A, said(10_000, read=10_000), 10.0 * turn)
    assert chosen(affinity, 80.0, lower, A) == "b/m"
    assert chosen(affinity, 80.0, lower, A, rule=Rule(strategy=STRATEGIES["cheapest"])) == "a/m"


def test_real_hits_count_and_not_what_is_promised() -> None:
    affinity = Affinity()
    for turn in range(40):
        affinity.learn(b"%d" % (turn // 2), B, said(10_000, read=0), float(turn))
    affinity.learn(TALK, B, said(10_000), 50.0)
    assert affinity.expect(TALK, [B], 51.0).cached["b/m"] < 200


def test_what_nobody_reports_is_expected_as_promised() -> None:
    affinity = Affinity()
    for turn in range(5):
        affinity.learn(TALK, B, said(10_000, read=None), float(turn))
    assert affinity.expect(TALK, [B], 5.0).cached == {"b/m": 10_000.0}


def test_a_cache_that_has_to_be_asked_for_holds_what_was_marked() -> None:
    affinity = Affinity()
    claude = msgspec.structs.replace(A, cache=MARKED)
    affinity.learn(TALK, claude, said(10_000, read=0, write=0), 0.0)
    nothing = affinity.expect(TALK, [claude], 1.0)
    assert (nothing.cached, nothing.again) == ({}, {})
    affinity.learn(TALK, claude, said(12_000, read=3_000, write=5_000), 2.0)
    assert affinity.expect(TALK, [claude], 3.0).cached == {"a/m": 8_000.0}


def test_short_prompts_and_providers_without_a_cache_are_never_warm() -> None:
    affinity = Affinity()
    affinity.learn(TALK, A, said(1023), 0.0)
    affinity.learn(TALK, Candidate(name="none/m"), said(50_000), 0.0)
    assert affinity.expect(TALK, [A, Candidate(name="none/m")], 1.0).cached == {}


def test_without_prices_the_warmest_is_asked() -> None:
    """Two servers of one's own that cache prefixes and cost nothing a token."""
    here, there = Candidate(name="x/m", cache=AUTOMATIC), Candidate(name="y/m", cache=AUTOMATIC)
    affinity = Affinity()
    affinity.learn(TALK, there, said(2000, read=None), 0.0)
    assert chosen(affinity, 1.0, here, there) == "y/m"


def test_the_table_is_bounded_and_forgets_the_oldest() -> None:
    affinity = Affinity()
    affinity.learn(TALK, A, said(10_000), 0.0)
    for number in range(MOST_CONVERSATIONS - 1):
        affinity.learn(b"%d" % number, A, said(10_000), 1.0)
    affinity.learn(TALK, A, said(10_000), 2.0)
    affinity.learn(b"one more", A, said(10_000), 3.0)
    assert affinity.expect(TALK, [A], 4.0).cached
    assert affinity.expect(b"1", [A], 4.0).cached
    assert not affinity.expect(b"0", [A], 4.0).cached


def test_what_one_process_learns_another_can_take() -> None:
    mine, yours = Affinity(), Affinity()
    for turn in range(3):
        mine.learn(TALK, B, said(10_000, read=5000 * turn), float(turn))
        for lesson in mine.news():
            yours.take(msgspec.msgpack.decode(msgspec.msgpack.encode(lesson), type=Lesson))
    assert mine.news() == []
    assert mine.expect(TALK, [A, B], 4.0) == yours.expect(TALK, [A, B], 4.0)


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 300_000), st.floats(0, 10_000)), max_size=20))
def test_expectations_stay_within_reason(told: list[tuple[int, int, float]]) -> None:
    affinity = Affinity()
    for tokens, read, at in told:
        affinity.learn(TALK, A, said(tokens, read), at)
    warmth: Warmth = affinity.expect(TALK, [A], 5000.0)
    assert 0.0 <= warmth.cached.get("a/m", 0.0) <= 200_000
    assert 0.0 <= warmth.again["a/m"] <= 1.0
    assert 1.0 <= warmth.ahead <= MOST_AHEAD
