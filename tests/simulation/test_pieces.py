"""The pieces of a replay against what they stand for: prices, queue, chance, percentiles, outages, intervals."""

import heapq
import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.ir import Usage
from freehold.providers.prices import Period, Price, Rates, Row, Step, cost
from freehold.routing.health import LEAST_READINGS
from freehold.routing.percentiles import Percentiles
from freehold.routing.retries import Retries
from freehold.simulation.bills import bills, nano_usd
from freehold.simulation.budgets import full, take
from freehold.simulation.chance import spread, uniform
from freehold.simulation.events import EVENT, pop, push
from freehold.simulation.measures import estimate
from freehold.simulation.outages import DAY, EVERYBODY, MINUTE, Climate, Incident, Record, Severity, incidents, troubles
from freehold.simulation.percentiles import BUCKETS, add, at
from freehold.simulation.trace import tiled
from tests.simulation.worlds import START, places, price, trace

OPENAI = Record(median=90.0, mean=334.0, p90=452.0, gap_median=1.2)
ANTHROPIC = Record(median=72.0, mean=209.0, p90=378.0, gap_median=0.96)
CLIMATE = Climate(
    records={"provider0": OPENAI, "provider1": ANTHROPIC},
    common=0.097,
    severities=(Severity(share=1.0, failing=1.0, slow=1.0),),
    scopes={"region": 0.0, "cloud": 0.0},
)

rates = st.builds(
    Rates,
    input=st.integers(0, 30_000_000),
    output=st.none() | st.integers(0, 90_000_000),
    cache_read=st.none() | st.integers(0, 30_000_000),
    cache_write=st.none() | st.integers(0, 30_000_000),
)


@given(
    base=rates,
    steps=st.lists(st.tuples(st.integers(1, 300_000), rates), max_size=3, unique_by=lambda each: each[0]),
    tokens=st.integers(0, 400_000),
    output=st.integers(0, 4000),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_bill_is_what_the_price_says(
    base: Rates, steps: list[tuple[int, Rates]], tokens: int, output: int, shares: tuple[float, float]
) -> None:
    said = Price(
        base=base, steps=tuple(Step(above=above, rates=each) for above, each in sorted(steps, key=lambda e: e[0]))
    )
    read = int(tokens * shares[0])
    written = int((tokens - read) * shares[1])
    usage = Usage(input_tokens=tokens, output_tokens=output, cache_read=read, cache_write=written)
    expected = cost(usage, said)
    row = Row(periods=(Period(price=said),), version="test")
    found = nano_usd(bills([row], 0.0, 1.0).rates[0, 0], tokens, output, read, written)
    assert found == (-1 if expected is None else expected)


def test_prices_change_when_the_list_says_by_date_and_by_time_of_day() -> None:
    night = Period(price=Price(base=Rates(input=5, output=5)), window=(0, 3600))
    rows = [price(1.0, later=2.0, after=7200.0), Row(periods=(price(1.0).periods[0], night), version="test")]
    found = bills(rows, START, START + 3 * DAY)
    for offset in (0.0, 7199.0, 7201.0, 30_000.0, 60_000.0, 90_000.0, 2.5 * DAY):
        at_once = int(np.searchsorted(found.starts, offset, side="right")) - 1
        for number, row in enumerate(rows):
            said = row.at(START + offset).base
            assert tuple(found.rates[at_once, number, 0, 1:3]) == (said.input, said.output), offset


@given(st.lists(st.floats(0, 100, allow_nan=False) | st.just(None), max_size=60))
def test_the_queue_is_a_queue(steps: list[float | None]) -> None:
    events, size, expected = np.zeros(64, EVENT), np.zeros(4, np.int64), []
    for number, step in enumerate(steps):
        if step is not None:
            push(events, size, step, number % 5, number, 7)
            heapq.heappush(expected, (step, size[1], number))
        elif expected:
            time, _, subject = heapq.heappop(expected)
            assert pop(events, size) == (time, subject % 5, subject, 7)
    while expected:
        time, _, subject = heapq.heappop(expected)
        assert pop(events, size)[::2] == (time, subject)


def test_chance_is_even_and_knows_its_purpose() -> None:
    drawn = [uniform(9, request, 3, 1) for request in range(4000)]
    assert statistics.fmean(drawn) == pytest.approx(0.5, abs=0.02)
    assert np.histogram(drawn, bins=10, range=(0, 1))[0].min() > 300
    other = [uniform(9, request, 3, 2) for request in range(4000)]
    assert abs(np.corrcoef(drawn, other)[0, 1]) < 0.06
    factors = np.log([spread(9, request, 3, 3, 0.3) for request in range(4000)])
    assert statistics.fmean(factors) == pytest.approx(0.0, abs=0.02)
    assert statistics.stdev(factors) == pytest.approx(0.3, abs=0.02)


@given(st.lists(st.floats(0.0, 3000.0), min_size=1, max_size=700), st.floats(0.01, 0.99))
def test_percentiles_are_those_of_the_gateway(times: list[float], share: float) -> None:
    counts, gateway = np.zeros(BUCKETS), Percentiles()
    for time in times:
        add(counts, time)
        gateway.add(time)
    expected = gateway.at(share) if gateway.count >= LEAST_READINGS else 5.0
    assert at(counts, share, 5.0) == pytest.approx(expected)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 2), st.floats(0.0, 3.0)), max_size=400),
    st.sampled_from([0.0, 0.2, 1.0]),
)
def test_a_budget_is_that_of_the_gateway(steps: list[tuple[bool, int, int, float]], share: float) -> None:
    buckets, counted, gateway, now = full(3), np.zeros((3, 3), np.int64), Retries(), 100.0
    buckets["tokens"] = 2.0
    for target in range(3):
        gateway.first(str(target))
        gateway._buckets[str(target)].firsts = 0
        gateway._buckets[str(target)].tokens = 2.0
    for is_first, target, first, later in steps:
        now += later
        if is_first:
            buckets[target]["firsts"] += 1
            gateway.first(str(target))
        else:
            assert take(buckets, counted, target, first, now, share) == gateway.take(
                str(target), str(first), now, share
            )


def test_percentiles_are_right_to_a_twentieth() -> None:
    counts = np.zeros(BUCKETS)
    times = np.random.default_rng(1).lognormal(0.0, 0.5, 400)
    assert at(counts, 0.95, 5.0) == 5.0
    for time in times:
        add(counts, float(time))
    for share in (0.5, 0.9, 0.95):
        assert at(counts, share, 5.0) == pytest.approx(np.quantile(times, share), rel=0.08)


@pytest.mark.parametrize("record", [OPENAI, ANTHROPIC])
def test_incidents_last_as_long_as_the_record_says(record: Record) -> None:
    minutes = record.durations((np.arange(200_000) + 0.5) / 200_000) / MINUTE
    assert np.median(minutes) == pytest.approx(record.median, rel=0.01)
    assert np.quantile(minutes, 0.9) == pytest.approx(record.p90, rel=0.01)
    assert minutes.mean() == pytest.approx(record.mean, rel=0.02)


def test_incidents_are_as_frequent_and_as_common_as_the_records_say() -> None:
    candidates = [place.candidate for place in places(2)]
    days = 40_000
    drawn = incidents(CLIMATE, candidates, days * DAY, seed=1)
    starts: dict[str, list[float]] = {"provider0": [], "provider1": []}
    for each in drawn:
        for name, found in starts.items():
            if each.domain in {f"provider:{name}", EVERYBODY}:
                found.append(each.start)
    for name, record in CLIMATE.records.items():
        assert len(starts[name]) == pytest.approx(days * math.log(2) / record.gap_median, rel=0.03)
    common = sum(each.domain == EVERYBODY for each in drawn)
    assert common / statistics.fmean(map(len, starts.values())) == pytest.approx(CLIMATE.common, rel=0.1)


def test_the_same_seed_draws_the_same_incidents() -> None:
    candidates = [place.candidate for place in places()]
    climate = Climate(
        records=CLIMATE.records, common=0.1, severities=CLIMATE.severities, scopes={"region": 0.4, "cloud": 0.2}
    )
    first, again, other = (incidents(climate, candidates, 300 * DAY, seed) for seed in (1, 1, 2))
    assert first == again != other
    kinds = {each.domain.partition(":")[0] for each in first}
    assert kinds == {"region", "cloud", "provider", EVERYBODY}


def test_troubles_add_up_where_incidents_overlap() -> None:
    candidates = [place.candidate for place in places(2)]
    found = troubles(
        candidates,
        [
            Incident(10.0, 30.0, "provider:provider0", 0.5, 1.5),
            Incident(20.0, 40.0, "cloud:cloud", 0.5, 2.0),
        ],
    )
    assert found.steps[found.first[0] : found.first[1]].tolist() == [
        (0.0, 0.0, 1.0),
        (10.0, 0.5, 1.5),
        (20.0, 0.75, 2.0),
        (30.0, 0.5, 2.0),
        (40.0, 0.0, 1.0),
    ]
    assert found.steps[found.first[1] :].tolist() == [(0.0, 0.0, 1.0), (20.0, 0.5, 2.0), (40.0, 0.0, 1.0)]


def test_tiles_repeat_the_trace_and_must_not_overlap() -> None:
    once = trace(20)
    twice = tiled(once, np.array([0.0, 1000.0]))
    assert twice.arrival.tolist() == [*once.arrival, *(once.arrival + 1000.0)]
    assert twice.input.tolist() == [*once.input, *once.input]
    assert twice.sessions == once.sessions
    with pytest.raises(ValueError, match="overlap"):
        tiled(once, np.array([0.0, 100.0]))


@pytest.mark.parametrize("readings", [[1.0, 2.0, 4.0], [3.0] * 5, [float(each % 7) for each in range(60)]])
def test_an_interval_holds_the_mean_and_grows_with_noise(readings: Sequence[float]) -> None:
    found = estimate(readings)
    assert found.mean == pytest.approx(statistics.fmean(readings))
    noisy = [reading + number * 10 for number, reading in enumerate(readings)]
    assert estimate([1.5] * len(readings)).reach == pytest.approx(0.0, abs=1e-9)
    assert estimate(noisy).reach > found.reach


def test_the_interval_of_three_readings_is_the_textbooks() -> None:
    # Mean 2, standard deviation 1: 4.303 / sqrt(3).
    assert estimate([1.0, 2.0, 3.0]).reach == pytest.approx(2.484, abs=0.001)
    assert math.isinf(estimate([1.0]).reach)
