"""What advice is made of: percentiles, trends, load, evidence of state, rules, and reading traces."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from freehold.cli.advise.places import LONG, STEADY, Facts, suits
from freehold.cli.advise.rows import Skipped, Use, of_record, read_trace
from freehold.cli.advise.shape import Hours
from freehold.cli.advise.sketch import Sketch
from freehold.cli.advise.state import LEAST, SETTLED, STATEFUL, Continuity, Memory, State
from freehold.cli.advise.trend import MOST_DAYS, Days, theil_sen
from freehold.cli.advise.workload import MOST_WORKLOADS, OTHERS, Workloads
from freehold.cli.failure import CommandError
from freehold.exchange.record import ExchangeRecord, UsageRecord

TRACES = Path(__file__).parents[1] / "traces"
DAY = 86400.0


# --- Percentiles -----------------------------------------------------------------------------------------------------


def test_percentiles_are_within_one_per_cent_in_flat_memory() -> None:
    draw = random.Random(1)
    values = [int(draw.lognormvariate(8, 2)) for _ in range(20_000)]
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    values.sort()
    for share in (0.5, 0.9, 0.99):
        true = values[int(share * len(values)) - 1]
        assert sketch.percentile(share) == pytest.approx(true, rel=0.011)
    assert sketch.above(3000) == pytest.approx(sum(value > 3000 for value in values) / len(values), abs=0.01)
    assert len(sketch._buckets) < 1200
    found = sketch.report()
    assert found is not None
    assert (found.count, found.max, found.mean) == (20_000, values[-1], round(sum(values) / 20_000, 1))


def test_percentiles_of_little() -> None:
    assert Sketch().report() is None
    assert Sketch().above(1) == 0.0
    sketch = Sketch()
    sketch.add(0)
    assert sketch.percentile(0.5) == 0.0
    sketch.add(7)
    assert sketch.percentile(1.0) == pytest.approx(7, rel=0.01)


# --- Trends ----------------------------------------------------------------------------------------------------------


def test_the_median_slope_withstands_outliers_and_its_interval_holds_it() -> None:
    draw = random.Random(2)
    points = [(float(day), 0.01 * day + draw.gauss(0, 0.02)) for day in range(60)]
    points[10], points[50] = (10.0, 40.0), (50.0, -40.0)
    slope = theil_sen(points)
    assert slope is not None
    assert slope.low < 0.01 < slope.high
    assert slope.value == pytest.approx(0.01, abs=0.001)


def test_the_interval_holds_the_true_slope_as_often_as_it_says() -> None:
    draw = random.Random(3)
    held = 0
    for _ in range(400):
        slope = theil_sen([(float(day), 0.3 * day + draw.gauss(0, 5)) for day in range(20)])
        assert slope is not None
        held += slope.low <= 0.3 <= slope.high
    assert 0.92 <= held / 400 <= 0.99


def test_a_known_slope_of_eight_points() -> None:
    slope = theil_sen([(float(x), 2.0 * x) for x in range(8)])
    assert slope is not None
    assert (slope.value, slope.low, slope.high) == (2.0, 2.0, 2.0)
    assert theil_sen([(float(x), 2.0 * x) for x in range(7)]) is None
    assert theil_sen([(1.0, float(y)) for y in range(9)]) is None


def test_inflation_is_growth_in_a_month() -> None:
    days = Days()
    for day in range(30):
        for hour in range(24):
            # A tenth more in 30 days, and twice as much by day as by night.
            tokens = 10_000 * 1.1 ** (day / 30) * (2 if 8 <= hour < 20 else 1)
            days.add(day * DAY + hour * 3600, round(tokens))
    found = days.report()
    assert found is not None
    assert found.per_month == pytest.approx(0.1, abs=0.002)
    assert 0 < found.low <= found.per_month <= found.high


def test_few_days_or_few_requests_a_day_are_no_trend() -> None:
    days = Days()
    for day in range(7):
        for _ in range(100):
            days.add(day * DAY, 1000)
    assert days.report() is None
    sparse = Days()
    for day in range(30):
        sparse.add(day * DAY, 1000)
    assert sparse.report() is None


def test_years_of_days_stay_flat() -> None:
    days = Days()
    for day in range(5 * MOST_DAYS):
        for _ in range(5):
            days.add(day * DAY, 1000 + day)
    assert len(days._sums) <= MOST_DAYS
    found = days.report()
    assert found is not None
    assert found.per_month > 0


# --- Load ------------------------------------------------------------------------------------------------------------


def test_an_even_load_has_a_factor_of_one_and_a_burst_a_small_one() -> None:
    even, burst = Hours(), Hours()
    for hour in range(100):
        even.add(hour * 3600, 1000)
        if hour % 10 == 0:
            burst.add(hour * 3600, 1000)
    burst.add(99 * 3600, 0)
    assert even.report().factor == 1.0
    assert burst.report().factor == pytest.approx(0.1)
    assert burst.report().mean == pytest.approx(100.0)


def test_less_than_a_day_shows_no_peak() -> None:
    hours = Hours()
    for hour in range(23):
        hours.add(hour * 3600, 1000)
    assert hours.report().factor is None
    assert Hours().report().hours == 0


# --- State -----------------------------------------------------------------------------------------------------------


def watched(uses: Iterator[Use]) -> State:
    continuity = Continuity(Memory())
    for use in uses:
        continuity.add(use)
    return continuity.report()


def conversations(count: int, *, parallel: int, seed: int = 4, **named: bool) -> Iterator[Use]:
    """Turns of so many conversations at a time, each as long as all before it in the same."""
    draw = random.Random(seed)
    ends = [0] * parallel
    pieces: list[list[object]] = [[] for _ in range(parallel)]
    for number in range(count):
        which = draw.randrange(parallel)
        if ends[which] > 40_000:
            ends[which], pieces[which] = 0, []
        said, answered = draw.randrange(20, 400), draw.randrange(50, 600)
        tokens = ends[which] + said + (1000 if ends[which] == 0 else 0)
        pieces[which] = [*pieces[which], *((which, number, each) for each in range(1 + tokens // 512))][: tokens // 512]
        ends[which] = tokens + answered
        yield Use(
            at=number * 10.0,
            input=tokens,
            output=answered,
            key=(),
            source="key",
            session=f"s{which}" if named.get("sessions") else None,
            blocks=(*pieces[which], ("last", number)) if named.get("blocks") else None,
        )


def single_questions(count: int, *, seed: int = 5, **named: bool) -> Iterator[Use]:
    draw = random.Random(seed)
    for number in range(count):
        tokens = int(draw.lognormvariate(8, 1))
        yield Use(
            at=number * 10.0,
            input=tokens,
            output=draw.randrange(50, 600),
            key=(),
            source="key",
            session=f"s{number}" if named.get("sessions") else None,
            blocks=tuple((number, each) for each in range(2 + tokens // 512)) if named.get("blocks") else None,
        )


@pytest.mark.parametrize("named", ["sessions", "blocks"])
def test_what_names_its_conversations_is_told_apart(named: str) -> None:
    assert watched(conversations(1000, parallel=30, **{named: True})).verdict == "stateful"
    assert watched(single_questions(1000, **{named: True})).verdict == "stateless"


def test_lengths_betray_the_conversations_of_one_key() -> None:
    state = watched(conversations(2000, parallel=2))
    assert state.verdict == "stateful"
    assert state.evidence[0].kind == "lengths"
    assert state.evidence[0].low >= STATEFUL


@pytest.mark.parametrize("seed", range(5))
def test_lengths_never_say_that_nothing_continues(seed: int) -> None:
    assert watched(single_questions(2000, seed=seed)).verdict == "unknown"
    assert watched(conversations(2000, parallel=200, seed=seed)).verdict == "unknown", "drowned in each other"


def test_questions_from_templates_are_not_taken_for_conversations() -> None:
    draw = random.Random(6)
    lengths = [1000, 1400, 2500]
    uses = (
        Use(at=float(number), input=draw.choice(lengths), output=draw.randrange(150, 250), key=())
        for number in range(3000)
    )
    assert watched(uses).verdict == "unknown"


def test_cache_reads_show_shared_prefixes_and_their_absence_shows_nothing() -> None:
    def uses(cached: int) -> Iterator[Use]:
        for use in single_questions(500):
            yield Use(at=use.at, input=use.input + 5000, output=1, key=(), cached=cached)

    assert watched(uses(4000)).verdict == "shared prefix"
    assert watched(uses(0)).verdict == "unknown"


def test_a_short_time_proves_no_statelessness() -> None:
    """What the first requests of an excerpt continue came before it."""
    count = int(SETTLED / 10) - 1
    state = watched(single_questions(count, blocks=True))
    assert state.verdict == "unknown"
    assert "too short a time" in state.evidence[0].why
    assert watched(single_questions(LEAST - 1, sessions=True)).verdict == "unknown"


def test_what_is_remembered_is_bounded_and_the_longest_unused_goes() -> None:
    memory = Memory(3)
    for number in range(4):
        memory.put(("a", number), number)
        memory.put(("a", 0), 0)
    assert [memory.get(("a", number)) for number in range(4)] == [0, None, 2, 3]
    continuity = Continuity(memory)
    for use in conversations(500, parallel=3, blocks=True, sessions=True):
        continuity.add(use)
    assert len(memory._kept) == 3


# --- Rules -----------------------------------------------------------------------------------------------------------

PLAIN = Facts(
    requests=1000,
    state="unknown",
    reused=0.0,
    mean_input=500.0,
    p95_context=2000.0,
    above_step=0.0,
    factor=0.3,
    usd_per_hour=5.0,
    streamed=0.5,
)


def kinds(discount: float = 0.4, server_hour: float = 16.0, **changes: object) -> list[str]:
    facts = msgspec.structs.replace(PLAIN, **changes)
    return [each.place for each in suits(facts, discount=discount, server_hour=server_hour)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["on demand"]),
        ({"factor": None}, ["on demand"]),
        ({"factor": 0.6}, ["committed"]),
        ({"factor": 0.59}, ["on demand"]),
        ({"factor": 0.45, "discount": 0.6}, ["committed"]),
        ({"factor": 0.9, "usd_per_hour": 0.5}, ["on demand"]),
        ({"factor": 0.9, "usd_per_hour": 20.0}, ["committed", "own hardware"]),
        ({"factor": STEADY, "usd_per_hour": 20.0}, ["own hardware"]),
        ({"streamed": 0.0}, ["on demand", "batch"]),
        ({"streamed": 0.0, "state": "stateful"}, ["on demand"]),
        ({"p95_context": LONG + 1.0}, ["on demand", "long context"]),
        ({"above_step": 0.02}, ["on demand", "long context"]),
        ({"state": "stateful", "mean_input": 4000.0}, ["on demand", "cache-friendly"]),
        ({"state": "stateful", "mean_input": 400.0}, ["on demand"]),
        ({"reused": 0.5, "mean_input": 4000.0}, ["on demand", "cache-friendly"]),
    ],
)
def test_which_place_suits(changes: dict[str, object], expected: list[str]) -> None:
    assert kinds(**changes) == expected  # pyright: ignore[reportArgumentType] -- the table mixes facts and options


# --- Rows ------------------------------------------------------------------------------------------------------------


def test_records_without_an_answer_or_with_an_estimate_say_nothing() -> None:
    usage = UsageRecord(source="provider", input_tokens=10, output_tokens=2, cache_read=4)
    record = ExchangeRecord(
        id="fx1", started=5.0, protocol="p", operation="generate", project="a", model="m", usage=usage,
        tags={"team": "blue", "session": "s1"}, key="k1", cost_nano_usd=7, stream=True,
    )  # fmt: skip
    use = of_record(record, ("project", "tag:team", "tag:none"))
    assert use == Use(
        at=5.0, input=10, output=2, key=("project=a", "tag:team=blue", "tag:none=-"), model="m", cached=4,
        source="k1", session="s1", stream=True, cost_nano_usd=7,
    )  # fmt: skip
    record.usage = UsageRecord(source="estimate", input_tokens=10)
    assert of_record(record, ("project",)) is None
    record.usage = None
    assert of_record(record, ("project",)) is None


def test_the_public_traces_are_read_as_they_are_published() -> None:
    skipped = Skipped()
    azure = list(read_trace(TRACES / "azure-2023-conversation.csv", None, skipped))
    assert (azure[0].at, azure[0].input, azure[0].output) == (pytest.approx(1700158546.68059), 374, 44)
    assert azure[0].key == ("shape=under 1k",)
    mooncake = list(read_trace(TRACES / "mooncake-conversation.jsonl", None, skipped))
    assert (mooncake[0].at, mooncake[0].input, mooncake[0].output) == (0.0, 6758, 500)
    assert mooncake[0].blocks is not None
    assert len(mooncake[0].blocks) == 14
    assert (len(azure), len(mooncake), skipped.unread) == (119, 60, 0)
    assert 0 < mooncake[-1].at < 600, "milliseconds"


def test_hostile_rows_are_counted_and_left_out(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(
        "ts,in_tokens,out_tokens,workload,session\n"
        "2026-01-01T00:00:00Z,10,2,a,s\n"
        "yesterday,10,2,a,\n1,-5,2,a,\n1,nan,2,a,\n1,1e999,2,a,\n1,,2,a,\ninf,1,2,a,\n\n1,10\n"
        "1700000000,10,2,b,\n"
    )
    skipped = Skipped()
    uses = list(read_trace(file, None, skipped))
    assert [use.key for use in uses] == [("workload=a",), ("workload=b",)]
    assert [use.session for use in uses] == ["s", None]
    assert skipped.unread == 7
    lines = tmp_path / "trace.jsonl"
    lines.write_text('{"ts": 1, "in_tokens": 1, "out_tokens": 1}\n[]\nnothing\n{"ts": {}, "in_tokens": 1}\n')
    again = Skipped()
    assert len(list(read_trace(lines, None, again))) == 1
    assert again.unread == 3


@pytest.mark.parametrize("content", [b"a,b,c\n1,2,3\n", b"ts,in_tokens\n1,2\n", b"\xff\xfe\x00ts"])
def test_what_is_no_trace_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "trace.csv"
    file.write_bytes(content)
    with pytest.raises(CommandError):
        list(read_trace(file, None, Skipped()))


def test_workloads_without_number_are_one() -> None:
    workloads = Workloads(lambda _: ())
    for number in range(MOST_WORKLOADS + 50):
        workloads.add(Use(at=0.0, input=1, output=1, key=(f"key={number}",)))
    found = workloads.report(discount=0.4, server_hour=16.0)
    assert len(found) == MOST_WORKLOADS + 1
    assert (found[0].workload, found[0].requests) == (OTHERS, 50)
    assert found[0].suits == ()
    assert found[0].missing[0].startswith("50 requests")
