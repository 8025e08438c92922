"""Retry budgets: failure moves load, and does not multiply it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.retries import MOST, REFILL, RESERVE, SHARE, Retries


def spend(retries: Retries, target: str, first: str, now: float = 0.0) -> int:
    """Takes all there is."""
    taken = 0
    while retries.take(target, first, now):
        taken += 1
    return taken


def test_a_target_that_nobody_asked_has_its_reserve_and_it_comes_back_with_time() -> None:
    retries = Retries()
    assert spend(retries, "b", "a") == RESERVE
    assert spend(retries, "b", "a", 30.0) == 30 * REFILL
    assert spend(retries, "b", "a", 10_000.0) == RESERVE


def test_a_stand_in_is_filled_by_those_it_stands_in_for() -> None:
    retries = Retries()
    spend(retries, "b", "a")
    spend(retries, "c", "x")
    for _ in range(500):
        retries.first("a")
    assert spend(retries, "b", "a") == 500 * SHARE
    assert spend(retries, "b", "a") == 0, "and once"
    assert spend(retries, "c", "x") == 0, "but nobody else is"


def test_one_that_is_asked_itself_fills_its_own() -> None:
    retries = Retries()
    spend(retries, "a", "a")
    for _ in range(50):
        retries.first("a")
    assert spend(retries, "a", "a") == 50 * SHARE


def test_what_a_long_peace_saves_is_bounded() -> None:
    retries = Retries()
    for _ in range(100_000):
        retries.first("a")
    assert spend(retries, "b", "a") == MOST


def test_no_share_leaves_the_reserve() -> None:
    retries = Retries()
    spend(retries, "b", "a")
    for _ in range(100):
        retries.first("a")
    assert not retries.take("b", "a", 0.0, 0.0)
    assert retries.take("b", "a", 1.0, 0.0)


@given(
    st.lists(
        st.tuples(st.sampled_from(["first", "take"]), st.sampled_from("abc"), st.sampled_from("abc"), st.floats(0, 2)),
        max_size=400,
    ),
    st.floats(0, 1),
)
def test_second_hand_load_stays_below_its_share(steps: list[tuple[str, str, str, float]], share: float) -> None:
    """Whatever happens in whatever order, and however far the clock jumps."""
    retries, now = Retries(), 0.0
    firsts = 0
    taken = dict.fromkeys("abc", 0)
    for kind, one, other, wait in steps:
        now += wait
        if kind == "first":
            retries.first(one)
            firsts += 1
        else:
            taken[one] += retries.take(one, other, now, share)
    for count in taken.values():
        assert count <= RESERVE + REFILL * now + share * firsts + 1e-6
