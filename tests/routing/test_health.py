"""Breakers, blame and cool-downs, on a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.errors import ErrorKind, UpstreamError
from freehold.routing.features import WELL, Candidate, Standing
from freehold.routing.health import (
    BENCH_FORGOTTEN,
    FAULTS_TO_OPEN,
    LONGEST_OUTAGE,
    OPEN_FIRST,
    PROBE_LOST,
    Health,
    blame,
)
from freehold.routing.measured import Estimate, Measured
from freehold.routing.words import Figures, TakenOut

EAST = ("account:aws", "provider:bedrock", "region:bedrock/us-east-1", "cloud:aws")
WEST = ("account:aws-west", "provider:bedrock", "region:bedrock/us-west-2", "cloud:aws")
CLAUDE = Candidate(name="aws/claude", domains=EAST)
NOVA = Candidate(name="aws/nova", domains=EAST)
LLAMA = Candidate(name="aws/llama", domains=EAST)
FAR = Candidate(name="aws-west/claude", domains=WEST)


def broken(health: Health, candidate: Candidate, now: float) -> str:
    """Whose breaker keeps requests away from a candidate."""
    return health.standings([candidate], now).get(candidate.name, Standing()).broken


def fail(
    health: Health, candidate: Candidate, now: float, kind: ErrorKind = "unavailable", times: int = FAULTS_TO_OPEN
) -> None:
    for _ in range(times):
        health.failed(candidate, kind, now)


def test_faults_in_a_row_open_the_breaker_and_an_answer_between_them_does_not() -> None:
    health = Health()
    fail(health, CLAUDE, 0.0, times=FAULTS_TO_OPEN - 1)
    health.answered(CLAUDE, first_token=0.1, speed=50.0)
    fail(health, CLAUDE, 0.0, times=FAULTS_TO_OPEN - 1)
    assert not broken(health, CLAUDE, 0.0)
    fail(health, CLAUDE, 0.0, times=1)
    assert broken(health, CLAUDE, 0.0) == "aws/claude"


@pytest.mark.parametrize("kind", ["invalid_request", "too_large", "content_refused", "unsupported", "conflict"])
def test_the_callers_mistake_never_opens_a_breaker(kind: ErrorKind) -> None:
    health = Health()
    fail(health, CLAUDE, 0.0, kind, times=100)
    assert not broken(health, CLAUDE, 0.0)
    assert blame(kind) == "caller"


def test_when_its_time_is_up_one_probe_goes_and_decides() -> None:
    health = Health()
    fail(health, CLAUDE, 0.0)
    assert broken(health, CLAUDE, OPEN_FIRST - 0.1)
    assert not broken(health, CLAUDE, OPEN_FIRST)
    health.asked(CLAUDE, OPEN_FIRST)
    assert broken(health, CLAUDE, OPEN_FIRST), "the probe budget is one request"
    health.failed(CLAUDE, "timeout", OPEN_FIRST + 1)
    assert broken(health, CLAUDE, OPEN_FIRST + 1 + 2 * OPEN_FIRST - 0.1), "a failed probe doubles the time"
    again = OPEN_FIRST + 1 + 2 * OPEN_FIRST
    health.asked(CLAUDE, again)
    health.answered(CLAUDE, first_token=0.1, speed=None)
    assert not broken(health, CLAUDE, again)
    fail(health, CLAUDE, again)
    assert not broken(health, CLAUDE, again + OPEN_FIRST), "after an answer it begins anew"


def test_a_probe_that_nobody_answers_is_forgotten() -> None:
    health = Health()
    fail(health, CLAUDE, 0.0)
    health.asked(CLAUDE, OPEN_FIRST)
    assert broken(health, CLAUDE, OPEN_FIRST + PROBE_LOST - 1)
    assert not broken(health, CLAUDE, OPEN_FIRST + PROBE_LOST)


def test_a_refused_credential_is_the_accounts_and_stops_its_other_models() -> None:
    health = Health()
    fail(health, CLAUDE, 0.0, "authentication")
    assert broken(health, NOVA, 0.0) == "account:aws"
    assert not broken(health, FAR, 0.0)


def test_a_missing_model_is_nobody_elses_trouble() -> None:
    health = Health()
    fail(health, CLAUDE, 0.0, "not_found")
    fail(health, NOVA, 0.0, "not_found")
    assert not broken(health, LLAMA, 0.0)


def test_two_targets_down_take_their_domains_with_them_until_one_answers() -> None:
    health = Health()
    fail(health, CLAUDE, 0.0)
    assert not broken(health, LLAMA, 0.0)
    fail(health, NOVA, 0.0)
    assert broken(health, LLAMA, 0.0) == "account:aws"
    assert broken(health, FAR, 0.0) == "provider:bedrock"
    health.answered(FAR, first_token=0.1, speed=None)
    assert not broken(health, FAR, 0.0), "an answer speaks for the domains it shares"
    assert broken(health, LLAMA, 0.0) == "account:aws"


def test_a_rate_limit_that_says_when_cools_down_and_opens_nothing() -> None:
    health = Health()
    for _ in range(2 * FAULTS_TO_OPEN):
        health.failed(CLAUDE, "rate_limit", 0.0, after=30.0)
    assert health.standings([CLAUDE], 29.0)["aws/claude"].cooling
    assert not health.standings([CLAUDE], 30.0)["aws/claude"].cooling
    assert not broken(health, CLAUDE, 0.0)


def test_an_operators_word_holds_until_it_is_taken_back() -> None:
    health = Health()
    fail(health, CLAUDE, 0.0)
    health.disable("aws/claude", "maintenance")
    assert health.standings([CLAUDE], 1e6)["aws/claude"].disabled == "maintenance"
    assert health.disabled() == {"aws/claude": "maintenance"}
    health.enable("aws/claude")
    assert health.standings([CLAUDE], 0.0)["aws/claude"] == Standing(
        errors=health.standings([CLAUDE], 0.0)["aws/claude"].errors
    )


def test_speed_is_a_moving_average_and_errors_fade() -> None:
    health = Health()
    health.answered(CLAUDE, first_token=1.0, speed=100.0)
    health.answered(CLAUDE, first_token=2.0, speed=None)
    standing = health.standings([CLAUDE], 0.0)["aws/claude"]
    # Readings of weight 0.09 and 0.1.
    assert (standing.first_token, standing.speed) == (pytest.approx((0.09 * 1.0 + 0.1 * 2.0) / 0.19), 100.0)
    health.failed(CLAUDE, "unavailable", 0.0)
    worst = health.standings([CLAUDE], 0.0)["aws/claude"].errors
    for _ in range(20):
        health.answered(CLAUDE, first_token=None, speed=None)
    assert 0 < health.standings([CLAUDE], 0.0)["aws/claude"].errors < worst / 5


def test_what_is_tried_for_want_of_others_is_no_probe_and_keeps_nothing_shut() -> None:
    health = Health()
    fail(health, CLAUDE, 0.0)
    health.asked(CLAUDE, 1.0)
    health.failed(CLAUDE, "unavailable", 1.0)
    assert broken(health, CLAUDE, OPEN_FIRST - 0.1)
    assert not broken(health, CLAUDE, OPEN_FIRST), "it opened for that long, and the try in between asked no question"


def test_a_callers_mistake_is_an_answer_for_the_domain_too() -> None:
    health = Health()
    fail(health, CLAUDE, 0.0, "authentication")
    health.asked(NOVA, OPEN_FIRST)
    assert broken(health, LLAMA, OPEN_FIRST) == "account:aws", "the probe is under way"
    health.failed(NOVA, "invalid_request", OPEN_FIRST)
    assert not broken(health, LLAMA, OPEN_FIRST), "whoever says that the caller is wrong took the credential"


def test_a_probe_whose_client_leaves_makes_room_for_the_next() -> None:
    health = Health()
    for each in (CLAUDE, NOVA):
        fail(health, each, 0.0)
    assert health.asked(LLAMA, OPEN_FIRST)
    assert broken(health, LLAMA, OPEN_FIRST) == "account:aws"
    health.left(LLAMA)
    assert not broken(health, LLAMA, OPEN_FIRST)
    assert health.asked(CLAUDE, OPEN_FIRST)
    health.left(CLAUDE)
    assert not broken(health, CLAUDE, OPEN_FIRST)
    assert not health.asked(Candidate(name="one/other"), OPEN_FIRST)


def test_a_probe_that_is_told_to_come_later_is_over() -> None:
    health = Health()
    fail(health, CLAUDE, 0.0)
    health.asked(CLAUDE, OPEN_FIRST)
    health.failed(CLAUDE, "rate_limit", OPEN_FIRST, after=1.0)
    assert not broken(health, CLAUDE, OPEN_FIRST + 1.0)


@pytest.mark.parametrize(("kind", "shut"), [("timeout", True), ("not_found", False), ("rate_limit", False)])
def test_a_domains_probe_decides_whatever_is_said_of_its_target(kind: ErrorKind, *, shut: bool) -> None:
    """LLAMA's own breaker is closed; what its answer says of the domain must count all the same."""
    health = Health()
    for each in (CLAUDE, NOVA):
        fail(health, each, 0.0)
    health.asked(LLAMA, OPEN_FIRST)
    health.failed(LLAMA, kind, OPEN_FIRST)
    assert bool(broken(health, LLAMA, OPEN_FIRST + 1)) is shut
    assert bool(broken(health, LLAMA, 2 * OPEN_FIRST + 1)) is shut, "a failed probe doubles the time"
    assert not broken(health, LLAMA, 3 * OPEN_FIRST)


def test_a_refused_credential_speaks_for_the_provider_that_refuses_it() -> None:
    health = Health()
    for each in (CLAUDE, NOVA):
        fail(health, each, 0.0)
    assert broken(health, FAR, 0.0) == "provider:bedrock"
    health.failed(FAR, "authentication", OPEN_FIRST)
    assert not broken(health, FAR, OPEN_FIRST)
    assert broken(health, LLAMA, OPEN_FIRST - 1) == "account:aws"


# --- What a bench found ----------------------------------------------------------------------------------------------

WEEK = 7 * 86400.0


def bench(target: str, *, at: float, first: float = 1000.0, failed: float = 0.5, requests: int = 6) -> Measured:
    return Measured(
        target=target,
        measured_at=at,
        requests=requests,
        ttft_ms=Estimate(value=first),
        tokens_per_second=Estimate(value=100.0),
        error_rate=Estimate(value=failed),
        usd_per_million=None,
        quality=None,
    )


def standing_of(health: Health, candidate: Candidate) -> Standing:
    return health.standings([candidate], 0.0).get(candidate.name, WELL)


def test_what_a_bench_found_counts_until_live_traffic_says_something_else() -> None:
    health = Health()
    health.expect([bench(CLAUDE.name, at=100.0)], 100.0)
    weight = 1 - 0.9**6
    begun = standing_of(health, CLAUDE)
    assert (begun.first_token, begun.speed, begun.measured_at) == (1.0, 100.0, 100.0)
    assert begun.errors == pytest.approx(0.5 * weight)
    health.answered(CLAUDE, first_token=3.0, speed=None)
    after = standing_of(health, CLAUDE)
    assert after.first_token == pytest.approx((0.9 * weight * 1.0 + 0.1 * 3.0) / (0.9 * weight + 0.1))
    assert after.errors == pytest.approx(0.9 * begun.errors)
    assert after.measured_at == 100.0
    for _ in range(200):
        health.answered(CLAUDE, first_token=3.0, speed=7.0)
    late = standing_of(health, CLAUDE)
    assert (late.first_token, late.speed) == (pytest.approx(3.0), pytest.approx(7.0))
    assert late.measured_at == 0.0


@given(st.integers(1, 50), st.integers(1, 60), st.floats(0, 4 * WEEK))
def test_the_average_is_the_one_of_the_formula(requests: int, count: int, age: float) -> None:
    health = Health()
    health.expect([bench(CLAUDE.name, at=1.0, first=1000.0, requests=requests)], 1.0 + age)
    readings = [2.0 + 0.1 * place for place in range(count)]
    for reading in readings:
        health.answered(CLAUDE, first_token=reading, speed=reading)
    weight = (1 - 0.9**requests) * 2 ** (-age / WEEK)
    live = [(0.1 * 0.9 ** (count - 1 - place), reading) for place, reading in enumerate(readings)]
    above = weight * 0.9**count * 1.0 + sum(share * reading for share, reading in live)
    found = standing_of(health, CLAUDE)
    assert found.first_token == pytest.approx(above / (weight * 0.9**count + 1 - 0.9**count))
    # It is said to be the bench's exactly as long as that has the larger part.
    assert (found.measured_at > 0) == (weight * 0.9**count >= 1 - 0.9**count)


def test_an_older_bench_gives_way_sooner_and_is_forgotten_in_the_end() -> None:
    moved: list[float] = []
    for weeks in (0, 1, 2):
        health = Health()
        health.expect([bench(CLAUDE.name, at=0.5)], 0.5 + weeks * WEEK)
        health.answered(CLAUDE, first_token=3.0, speed=None)
        moved.append(standing_of(health, CLAUDE).first_token or 0.0)
    assert 1.0 < moved[0] < moved[1] < moved[2] < 3.0
    health = Health()
    health.expect([bench(CLAUDE.name, at=0.5)], 0.5 + BENCH_FORGOTTEN)
    assert standing_of(health, CLAUDE) == WELL


def test_a_new_bench_takes_the_place_of_an_old_one_and_never_that_of_live_figures() -> None:
    health = Health()
    health.expect([bench(CLAUDE.name, at=1.0, first=1000.0), bench(FAR.name, at=1.0)], 1.0)
    health.answered(FAR, first_token=5.0, speed=40.0)
    live = standing_of(health, FAR)
    health.expect([bench(CLAUDE.name, at=2.0, first=200.0), bench(FAR.name, at=2.0, first=200.0)], 2.0)
    assert standing_of(health, CLAUDE).first_token == pytest.approx(0.2)
    assert standing_of(health, FAR) == live
    health.expect([], 3.0)
    assert standing_of(health, CLAUDE) == WELL
    assert standing_of(health, FAR) == live


def test_a_bench_says_what_live_traffic_did_not() -> None:
    health = Health()
    health.failed(CLAUDE, "unavailable", 0.0)
    health.answered(CLAUDE, first_token=5.0, speed=None)
    errors = standing_of(health, CLAUDE).errors
    health.expect([bench(CLAUDE.name, at=1.0)], 1.0)
    found = standing_of(health, CLAUDE)
    assert (found.first_token, found.speed, found.errors, found.measured_at) == (5.0, 100.0, errors, 1.0)


def test_what_workers_measured_is_shared_and_what_a_bench_found_is_not() -> None:
    one, other = Health(), Health()
    for health in (one, other):
        health.expect([bench(CLAUDE.name, at=1.0), bench(FAR.name, at=1.0)], 1.0)
    one.answered(CLAUDE, first_token=4.0, speed=None)
    words = one.news()
    assert {word.target for word in words if isinstance(word, Figures)} == {CLAUDE.name}
    other.merge(words, 0.0)
    told = standing_of(other, CLAUDE)
    assert told.first_token == standing_of(one, CLAUDE).first_token
    assert (told.speed, standing_of(other, FAR).measured_at) == (100.0, 1.0)


# --- Drills ----------------------------------------------------------------------------------------------------------


def test_a_drill_refuses_whoever_asks_in_the_domain_until_its_time_is_up() -> None:
    health = Health()
    health.take_out("region:bedrock/us-east-1", 110.0, now=100.0)
    assert health.outages(104.0) == {"region:bedrock/us-east-1": 6.0}
    with pytest.raises(UpstreamError, match="taken out by a drill") as refused:
        health.asked(CLAUDE, 109.9)
    assert refused.value.kind == "unavailable", "as a provider that can not be reached"
    assert refused.value.retry.where == "other_target"
    health.asked(FAR, 109.9)
    health.asked(CLAUDE, 110.0)
    assert health.outages(110.0) == {}


def test_a_drill_can_be_ended_and_never_lasts_longer_than_allowed() -> None:
    health = Health()
    health.take_out("cloud:aws", 1e9, now=0.0)
    assert health.outages(0.0) == {"cloud:aws": LONGEST_OUTAGE}
    health.take_out("cloud:aws", 0.0, now=1.0)
    health.asked(CLAUDE, 1.0)
    assert health.gauges(1.0)["domains_taken_out"] == 0


def test_what_is_lost_by_supply_or_law_does_not_spread_a_fault() -> None:
    """Two targets down on the same silicon are two targets down."""
    health = Health()
    apart = [
        Candidate(name=name, domains=(f"account:{name}", "silicon:tpu", "jurisdiction:US")) for name in ("a", "b", "c")
    ]
    for candidate in apart[:2]:
        fail(health, candidate, 0.0)
    assert broken(health, apart[1], 0.0) == "b"
    assert not broken(health, apart[2], 0.0)


def test_other_processes_hear_of_a_drill_and_of_its_end() -> None:
    supervisor, worker = Health(), Health()
    supervisor.merge([TakenOut(domain="cloud:aws", until=20.0)], 10.0)
    worker.merge(supervisor.words(), 11.0)
    assert worker.outages(11.0) == {"cloud:aws": 9.0}
    assert worker.news() == [], "who told it knows already"
    worker.merge([TakenOut(domain="cloud:aws", until=12.0)], 12.0)
    assert worker.outages(12.0) == {}
