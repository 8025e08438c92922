"""What hedges may cost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.hedges import MOST_SAVED, Purse


def test_a_share_of_a_twentieth_is_a_hedge_in_twenty_exchanges() -> None:
    purse, hedges = Purse(), 0
    for _ in range(200):
        purse.earn(1.0, 0.05)
        hedges += purse.take(1.0)
    assert hedges == 10


def test_what_is_saved_is_bounded() -> None:
    purse = Purse()
    purse.earn(1_000_000.0, 1.0)
    taken = 0
    while purse.take(1.0):
        taken += 1
    assert taken == MOST_SAVED


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 1000), st.integers(0, 5000)), max_size=200),
    st.floats(0.01, 1),
)
def test_losers_never_cost_more_than_the_share_and_one_hedge(steps: list[tuple[int, int, int]], share: float) -> None:
    """Also where a hedge turns out dearer than was expected: the debt is paid before the next one."""
    purse = Purse()
    earned = spent = most = 0.0
    for spend, expected, billed in steps:
        purse.earn(spend, share)
        earned += spend * share
        if purse.take(expected):
            purse.correct(expected - billed)
            spent += billed
            most = max(most, billed)
        assert spent <= earned + most + 1e-3
