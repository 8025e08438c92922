"""What callers make up does not grow in memory, nor in whatever scrapes the metrics."""

from __future__ import annotations

from freehold.routing.features import Candidate
from freehold.routing.health import MOST_KNOWN, Health
from freehold.telemetry.counters import MOST_SERIES, Counters


def test_made_up_models_do_not_become_series_without_end() -> None:
    counters = Counters()
    for number in range(MOST_SERIES + 500):
        counters.add("attempts_total", (("target", f"one/{number}"), ("status", "404")))
    counters.add("exchanges_total", (("outcome", "ok"),))
    lines = counters.text({}).splitlines()
    assert len(lines) == MOST_SERIES + 1 + 3
    assert 'freehold_attempts_total{target="other",status="other"} 500' in lines
    assert 'freehold_attempts_total{target="one/0",status="404"} 1' in lines
    counters.add("attempts_total", (("target", "one/0"), ("status", "404")))
    assert 'freehold_attempts_total{target="one/0",status="404"} 2' in counters.text({})


def test_made_up_models_that_ask_for_time_are_forgotten() -> None:
    health = Health()
    made_up = [Candidate(name=f"one/{number}") for number in range(MOST_KNOWN + 10)]
    for candidate in made_up:
        health.failed(candidate, "rate_limit", 0.0, after=100.0)
    assert set(health.standings(made_up, 1.0)) == {candidate.name for candidate in made_up[10:]}
