"""What was paid for comes first, as far as it goes: throughput minute by minute, committed spend day by day."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.ir import Usage
from freehold.routing.commitments import Commitment, Commitments, Fills, Spend, Throughput, Use
from freehold.routing.decision import Rule, decide
from freehold.routing.features import Ask, Candidate, weight
from freehold.routing.strategies import STRATEGIES
from tests.routing.test_decision import priced

DAY = 86400.0
RESERVED = Throughput(name="ptu", tokens_per_minute=60_000.0, output_weight=4.0)
YEAR = Spend(name="year", usd=36_500.0, start=0.0, until=365 * DAY, discount=0.1)
COMMITTED = Rule(strategy=STRATEGIES["committed"])


def candidate(name: str, usd: float | None = None, commitment: Commitment | None = None) -> Candidate:
    tariff = None if usd is None else priced(usd, usd)
    return Candidate(name=name, tariff=tariff, commitment=commitment)


def order(fills: Fills, *candidates: Candidate, now: float = 0.0, at: float = 0.0, tokens: float = 1000) -> list[str]:
    free = fills.free([each.commitment for each in candidates if each.commitment is not None], now, at)
    return decide(Ask(text=4 * tokens, output_tokens=500, free=free, at=at), candidates, {}, COMMITTED).order()


CHEAP, DEAR = candidate("cheap/m", 1.0), candidate("dear/m", 9.0)
PTU = candidate("ptu/m", 5.0, RESERVED)


def test_reserved_throughput_is_filled_before_the_cheapest_is_asked() -> None:
    fills = Fills()
    asked: list[str] = []
    for _ in range(30):
        first = order(fills, CHEAP, PTU)[0]
        asked.append(first)
        if first == "ptu/m":
            fills.settle(RESERVED, Usage(input_tokens=1000, output_tokens=500), 0.0, 0.0)
    assert asked == ["ptu/m"] * 20 + ["cheap/m"] * 10, "1000 and four times 500 each of 60,000"
    assert order(fills, CHEAP, PTU, now=2.9)[0] == "cheap/m"
    assert order(fills, CHEAP, PTU, now=3.0)[0] == "ptu/m", "a twentieth of it is free again after three seconds"


def test_requests_under_way_count_as_what_they_are_expected_to_take() -> None:
    fills = Fills()
    ask = Ask(text=4000.0, output_tokens=500.0)
    held = weight(PTU, ask)
    assert held == 3000.0
    for _ in range(20):
        fills.hold(RESERVED, held)
    assert order(fills, CHEAP, PTU)[0] == "cheap/m"
    for _ in range(20):
        fills.settle(RESERVED, None, 0.0, 0.0, held=held)
    assert fills.free([RESERVED], 0.0, 0.0) == {"ptu": 60_000.0}, "what failed has used nothing"


def test_cached_tokens_take_nothing_of_it() -> None:
    fills = Fills()
    fills.settle(RESERVED, Usage(input_tokens=1000, output_tokens=0, cache_read=900), 0.0, 0.0)
    assert fills.free([RESERVED], 0.0, 0.0) == {"ptu": 59_900.0}


def test_what_would_be_refused_comes_last_and_what_would_be_billed_at_its_price() -> None:
    fills = Fills()
    fills.hold(RESERVED, 60_000.0)
    unpriced = candidate("own/m")
    assert order(fills, PTU, unpriced, DEAR, CHEAP) == ["cheap/m", "dear/m", "own/m", "ptu/m"]
    billed = candidate("ptu/m", 5.0, msgspec.structs.replace(RESERVED, billed=True))
    assert order(fills, unpriced, DEAR, billed, CHEAP) == ["cheap/m", "ptu/m", "dear/m", "own/m"]


def test_a_request_larger_than_the_whole_goes_while_it_is_empty() -> None:
    assert order(Fills(), CHEAP, PTU, tokens=100_000)[0] == "ptu/m"
    busy = Fills()
    busy.hold(RESERVED, 1.0)
    assert order(busy, CHEAP, PTU, tokens=100_000)[0] == "cheap/m"


def test_committed_spend_costs_nothing_while_it_is_behind_and_its_price_when_it_is_ahead() -> None:
    """100 USD are due a day."""
    fills = Fills()
    contract = candidate("aws/m", 2.0, YEAR)
    assert order(fills, CHEAP, contract, at=10 * DAY)[0] == "aws/m"
    fills.settle(YEAR, None, 1200.0, 0.0)
    assert fills.spent("year") == pytest.approx(1080.0), "at a tenth less"
    assert order(fills, CHEAP, contract, at=10.7 * DAY)[0] == "cheap/m"
    assert order(fills, CHEAP, contract, at=10.9 * DAY)[0] == "aws/m"
    assert order(fills, DEAR, contract, at=10.7 * DAY)[0] == "aws/m", "it is cheaper than the other anyway"
    assert order(fills, CHEAP, contract, at=365 * DAY)[0] == "cheap/m", "it is over"


def test_nothing_is_due_before_it_begins() -> None:
    later = msgspec.structs.replace(YEAR, start=100 * DAY)
    assert [later.due(at * DAY) for at in (0, 100, 232.5, 365)] == [0.0, 0.0, 18_250.0, 0.0]


def test_the_first_commitment_that_names_a_target_covers_it() -> None:
    both = Commitments(((("azure/gpt-5-ptu",), RESERVED), (("azure/*", "aws/claude-*"), YEAR)))
    assert both.of("azure/gpt-5-ptu") is RESERVED
    assert both.of("azure/gpt-5") is YEAR
    assert both.of("aws/claude-x") is YEAR
    assert both.of("aws/nova") is None
    assert both.spends() == [YEAR]


def test_what_one_process_used_another_can_take() -> None:
    mine, yours = Fills(), Fills()
    for now in (0.0, 1.5, 4.0):
        for commitment in (RESERVED, YEAR):
            mine.settle(commitment, Usage(input_tokens=9000, output_tokens=50), 3.5, now)
            mine.settle(commitment, Usage(input_tokens=9000, output_tokens=50), 3.5, now)
        told = mine.news()
        assert len(told) == 2, "summed up"
        for use in told:
            yours.take(msgspec.msgpack.decode(msgspec.msgpack.encode(use), type=Use))
    assert mine.news() == []
    assert mine.free([RESERVED, YEAR], 5.0, DAY) == pytest.approx(yours.free([RESERVED, YEAR], 5.0, DAY))


def test_what_was_counted_at_first_is_put_right() -> None:
    """Who was outrun in a race is counted when it is cut, and again when it is known what that cost."""
    fills = Fills()
    first = fills.settle(RESERVED, Usage(input_tokens=1000), 1.0, 0.0)
    fills.settle(RESERVED, Usage(input_tokens=1000, output_tokens=100), 1.5, 0.0, counted=first)
    assert fills.free([RESERVED], 0.0, 0.0) == {"ptu": 58_600.0}
    assert fills.spent("ptu") == 1.5


@given(st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 50_000)), max_size=30))
def test_the_bucket_is_never_emptier_than_empty(used: list[tuple[float, int]]) -> None:
    fills = Fills()
    for now, tokens in used:
        fills.take(Use("ptu", float(tokens), RESERVED.rate, 0.0, now))
        left = fills.free([RESERVED], now, 0.0)["ptu"]
        assert left <= 60_000.0
        assert math.isfinite(left)
    assert fills.free([RESERVED], 1e6, 0.0)["ptu"] == 60_000.0
