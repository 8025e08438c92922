"""What callers make up does not grow in memory, nor in whatever scrapes the metrics."""

from __future__ import annotations

from freehold.exchange.road import MOST_COOLING, CoolDowns
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
    cooling = CoolDowns()
    for number in range(MOST_COOLING + 10):
        cooling.note(f"one/{number}", 100.0)
    assert not cooling.cooling("one/0", 1.0)
    assert cooling.cooling(f"one/{MOST_COOLING + 9}", 1.0)
