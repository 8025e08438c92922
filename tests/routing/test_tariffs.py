"""What a decision expects a request to cost is what would be billed for it, but for rounding."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.ir import Usage
from freehold.providers.prices import DAY, Period, Price, Rates, Row, Step, cost
from freehold.routing.features import CACHED, COST, WELL, Ask, Candidate, Warmth, features
from freehold.routing.tariffs import tariff_of

RATE = st.integers(0, 100_000_000)
RATES = st.builds(Rates, input=RATE, output=RATE, cache_read=st.none() | RATE)
PRICES = st.builds(
    Price,
    base=RATES,
    steps=st.lists(st.tuples(st.integers(1, 400_000), RATES), max_size=3, unique_by=lambda step: step[0]).map(
        lambda steps: tuple(Step(above=above, rates=rates) for above, rates in sorted(steps, key=lambda step: step[0]))
    ),
)
SECONDS = st.integers(0, DAY - 1)
PERIODS = st.builds(
    Period,
    price=PRICES,
    start=st.none() | st.integers(0, 2_000_000_000),
    window=st.none() | st.tuples(SECONDS, SECONDS),
)
ROWS = st.builds(Row, periods=st.lists(PERIODS, min_size=1, max_size=3).map(tuple), version=st.just("test"))


USAGES = st.tuples(st.integers(0, 500_000), st.integers(0, 500_000), st.integers(0, 5000))


@given(ROWS, USAGES, st.floats(0, 2_000_000_000), st.floats(0, 0.9))
def test_what_is_expected_is_what_is_billed(row: Row, used: tuple[int, int, int], now: float, discount: float) -> None:
    tokens, cached, output = used
    candidate = Candidate(name="a/m", tariff=tariff_of(row, discount), per_byte=1.0)
    warm = Warmth(cached={"a/m": float(cached)})
    ask = Ask(text=float(tokens), output_tokens=float(output), at=now, warmth=warm)
    expected = features(0, candidate, WELL, ask, (COST,))
    usage = Usage(input_tokens=tokens, output_tokens=output, cache_read=min(cached, tokens))
    billed = cost(usage, row.at(now))
    assert billed is not None
    assert expected[CACHED] == min(cached, tokens)
    assert expected[COST] == pytest.approx(billed * 1e-9 * (1.0 - discount), rel=1e-9, abs=1e-9)


def test_an_output_without_a_price_makes_the_cost_unknown_unless_there_is_none() -> None:
    row = Row(periods=(Period(price=Price(base=Rates(input=1_000_000))),), version="test")
    candidate = Candidate(name="a/m", tariff=tariff_of(row), per_byte=1.0)
    said = features(0, candidate, WELL, Ask(text=10.0, output_tokens=1.0), (COST,))
    silent = features(0, candidate, WELL, Ask(text=10.0, output_tokens=0.0), (COST,))
    assert said[COST] == math.inf
    assert silent[COST] == pytest.approx(10e-6)
