"""Breakers, blame and cool-downs, on a clock that the test moves."""

from __future__ import annotations

import pytest

from freehold.errors import ErrorKind
from freehold.routing.features import Candidate, Standing
from freehold.routing.health import FAULTS_TO_OPEN, OPEN_FIRST, PROBE_LOST, Health, blame

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
    assert (standing.first_token, standing.speed) == (pytest.approx(1.1), 100.0)
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
