"""The intervals of `freehold bench`: against values worked out by hand, and as laws."""

from fractions import Fraction
from math import comb, fsum, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.cli.bench.statistics import FEWEST, median, ratio, share, students_t
from freehold.routing.measured import Estimate

READINGS = st.lists(st.floats(min_value=1e-3, max_value=1e9), min_size=FEWEST, max_size=60)
PAIRS = st.lists(st.tuples(st.just(0.0) | st.floats(1e-6, 100), st.floats(0.01, 100)), min_size=2, max_size=12)


@pytest.mark.parametrize(
    ("count", "low", "high"),
    # The tables of order statistics: ranks that hold the median with at least 95 %.
    [(6, 1, 6), (9, 2, 8), (10, 2, 9), (15, 4, 12), (20, 6, 15), (100, 40, 61)],
)
def test_a_median_lies_between_the_ranks_of_the_table(count: int, low: int, high: int) -> None:
    found = median([float(value) for value in range(1, count + 1)])
    assert found is not None
    assert (found.value, found.low, found.high) == ((count + 1) / 2, low, high)


@pytest.mark.parametrize("count", range(6, 60))
def test_the_ranks_hold_95_percent_and_narrower_ones_do_not(count: int) -> None:
    found = median([float(value) for value in range(1, count + 1)])
    assert found is not None
    assert found.low is not None
    rank = int(found.low)

    def coverage(rank: int) -> Fraction:
        return 1 - 2 * sum((Fraction(comb(count, below), 2**count) for below in range(rank)), Fraction(0))

    assert coverage(rank) >= Fraction(95, 100) > coverage(rank + 1)


@given(st.integers(1, FEWEST - 1))
def test_too_few_readings_have_a_median_and_no_interval(count: int) -> None:
    found = median([float(value) for value in range(1, count + 1)])
    assert found is not None
    assert (found.value, found.low, found.high) == ((count + 1) / 2, None, None)


def test_many_readings_agree_with_few_formulas() -> None:
    (low, high), (below, above) = (ends(median(list(map(float, range(1, count))))) for count in (1000, 1001))
    assert abs(low - below) <= 1
    assert abs(above - high) <= 2


def ends(found: Estimate | None) -> tuple[float, float]:
    """The interval, which has to be there."""
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


@given(READINGS, st.randoms(use_true_random=False))
def test_a_median_is_inside_its_interval_and_blind_to_order(readings: list[float], random: Random) -> None:
    found = median(readings)
    assert found is not None
    low, high = ends(found)
    assert min(readings) <= low <= found.value <= high <= max(readings)
    shuffled = random.sample(readings, len(readings))
    assert median(shuffled) == found
    doubled = median([2 * reading for reading in readings])
    assert doubled is not None
    assert (doubled.value, doubled.low, doubled.high) == (2 * found.value, 2 * low, 2 * high)


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    # Of 0 in 10 the upper end is z²/(10 + z²) with z² = 3.84146; the others are in Newcombe (1998), table I, method 3.
    [(0, 10, 0.0, 0.27753), (10, 10, 0.72247, 1.0), (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)],
)
def test_a_share_has_the_interval_of_wilson(hits: int, count: int, low: float, high: float) -> None:
    found = share(hits, count)
    assert found is not None
    assert found.value == hits / count
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_a_share_is_inside_its_interval_and_mirrors_its_opposite(case: tuple[int, int]) -> None:
    hits, count = case
    found, opposite, more = share(hits, count), share(count - hits, count), share(hits * 4, count * 4)
    assert found is not None
    assert opposite is not None
    assert more is not None
    low, high = ends(found)
    assert 0 <= low <= found.value <= high <= 1
    assert low == pytest.approx(1 - ends(opposite)[1], abs=1e-9)
    assert ends(more)[1] - ends(more)[0] < high - low


@pytest.mark.parametrize(
    ("freedom", "expected"),
    # The usual table, two-sided, 95 %.
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (30, 2.042), (120, 1.980), (5000, 1.960)],
)
def test_students_t_is_that_of_the_table(freedom: int, expected: float) -> None:
    assert students_t(freedom) == pytest.approx(expected, abs=6e-4)


def test_a_ratio_has_the_interval_of_its_estimator() -> None:
    # Residuals -1 and 1, so s² = 2; t of one degree of freedom; mean of the second 1.
    found = ratio([(1.0, 1.0), (3.0, 1.0)])
    assert found is not None
    assert (found.value, found.low) == (2.0, 0.0)
    assert found.high == pytest.approx(2 + 12.7062 * sqrt(2 / 2))


def test_a_ratio_weighs_by_size() -> None:
    found = ratio([(1.0, 1.0), (30.0, 9.0)])
    assert found is not None
    assert found.value == pytest.approx(3.1)


def test_one_pair_has_a_ratio_and_no_interval() -> None:
    assert ratio([(1.0, 2.0)]) == Estimate(value=0.5)


@pytest.mark.parametrize("count", [3, 6, 25])
def test_the_interval_of_a_ratio_holds_the_true_one_as_often_as_it_says(count: int) -> None:
    random = Random(count)  # the same draws every time, so that this can not fail by chance
    runs, held = 2000, 0
    for _ in range(runs):
        sizes = [random.uniform(50, 400) for _ in range(count)]
        low, high = ends(ratio([(3 * size + random.gauss(0, 40), size) for size in sizes]))
        held += low <= 3 <= high
    assert held / runs == pytest.approx(0.95, abs=0.02)


@given(PAIRS)
def test_a_ratio_is_inside_its_interval_and_in_the_unit_of_its_pairs(pairs: list[tuple[float, float]]) -> None:
    found, doubled = ratio(pairs), ratio([(2 * first, second) for first, second in pairs])
    assert found is not None
    assert doubled is not None
    assert found.value == pytest.approx(fsum(first for first, _ in pairs) / fsum(second for _, second in pairs))
    low, high = ends(found)
    assert 0 <= low <= found.value <= high
    assert ends(doubled) == (2 * low, 2 * high)


def test_nothing_has_no_figures() -> None:
    assert median([]) is None
    assert share(0, 0) is None
    assert ratio([]) is None
    assert ratio([(1.0, 0.0)]) is None
