"""Percentiles of what comes in: right to five per cent, and they follow."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.features import Candidate
from freehold.routing.health import LEAST_READINGS, Health
from freehold.routing.percentiles import GROWTH, LEAST, REMEMBERED, Percentiles

ERROR = (GROWTH - 1) / (GROWTH + 1) + 1e-9


@given(st.lists(st.floats(LEAST, 3600), min_size=1, max_size=REMEMBERED - 1), st.floats(0.01, 1))
def test_a_percentile_is_right_to_five_per_cent(times: list[float], share: float) -> None:
    percentiles = Percentiles()
    for seconds in times:
        percentiles.add(seconds)
    found = percentiles.at(share)
    exact = sorted(times)[max(math.ceil(share * len(times) - 1e-9), 1) - 1]
    assert found is not None
    assert abs(found - exact) <= ERROR * exact * 1.01


@given(st.lists(st.floats(0, 3600), min_size=1, max_size=2000))
def test_percentiles_rise_and_memory_is_bounded(times: list[float]) -> None:
    percentiles = Percentiles()
    for seconds in times:
        percentiles.add(seconds)
    found = [percentiles.at(share / 20) or 0.0 for share in range(1, 21)]
    assert found == sorted(found)
    assert 0 < percentiles.count < REMEMBERED


def test_old_readings_fade() -> None:
    percentiles = Percentiles()
    for _ in range(10 * REMEMBERED):
        percentiles.add(10.0)
    for _ in range(4 * REMEMBERED):
        percentiles.add(0.1)
    assert (percentiles.at(0.99) or 0.0) < 0.11


def test_nothing_was_measured() -> None:
    assert Percentiles().at(0.95) is None


def test_health_believes_a_percentile_when_it_has_seen_enough() -> None:
    health, target = Health(), Candidate(name="a/m")
    assert health.patience("a/m", 0.95, stream=True) is None
    for number in range(LEAST_READINGS):
        assert health.patience("a/m", 0.95, stream=True) is None
        health.answered(target, first_token=0.1 * (number + 1), speed=None)
    found = health.patience("a/m", 0.95, stream=True)
    assert found is not None
    assert abs(found - 1.9) < 0.1
    assert health.patience("a/m", 0.95, stream=False) is None, "whole answers take another time"
    for _ in range(LEAST_READINGS):
        health.answered(target, first_token=None, speed=None, whole=7.0)
    assert 6.6 < (health.patience("a/m", 0.5, stream=False) or 0.0) < 7.4


def test_one_that_is_always_outrun_does_not_seem_quick() -> None:
    """Of a hundred answers five take ten seconds, and are cut after one: without them the 95th would be far below."""
    health, target = Health(), Candidate(name="a/m")
    for number in range(200):
        if number % 20:
            health.answered(target, first_token=0.1, speed=None)
        else:
            health.outrun(target, 1.0, stream=True)
    assert (health.patience("a/m", 0.97, stream=True) or 0.0) > 0.9
    assert (health.patience("a/m", 0.9, stream=True) or 1.0) < 0.11
