"""What a decision costs: `decide` over 3, 30 and 300 candidates, by every strategy, in this process.

Run as `python -m benchmarks.decision`; prints microseconds a decision, the best of several rounds.
"""

from __future__ import annotations

import sys
import time

from freehold.providers.prices import Period, Price, Rates, Row
from freehold.routing.decision import Rule, decide
from freehold.routing.features import Ask, Candidate
from freehold.routing.health import Health
from freehold.routing.strategies import STRATEGIES
from freehold.routing.tariffs import tariff_of

COUNTS = (3, 30, 300)
ROUNDS = 100
SECONDS = 0.005
"""A round; short, so that one of many falls between two of whatever else the machine does."""


def field(count: int) -> tuple[list[Candidate], Health]:
    """Candidates of some clouds and regions, all measured, one of them down."""
    price = Price(base=Rates(input=1_000_000, output=4_000_000))
    tariff = tariff_of(Row(periods=(Period(price=price),), version="benchmark"))
    candidates = [
        Candidate(
            name=f"account{number % 7}/model{number}",
            domains=(f"account:account{number % 7}", "provider:p", f"region:p/{number % 5}", "cloud:c"),
            context=200_000,
            tariff=tariff,
        )
        for number in range(count)
    ]
    health = Health()
    for number, candidate in enumerate(candidates):
        health.answered(candidate, first_token=0.2 + number / 100, speed=60.0)
    for _ in range(5):
        health.failed(candidates[-1], "unavailable", 0.0)
    return candidates, health


def microseconds(candidates: list[Candidate], health: Health, rule: Rule) -> float:
    """The best round's time for standings, verdicts and order."""
    best = float("inf")
    for _ in range(ROUNDS):
        began, done = time.perf_counter(), 0
        while (spent := time.perf_counter() - began) < SECONDS:
            standings = health.standings(candidates, 1.0)
            decide(Ask(text=8000, draw=done % 97 / 97), candidates, standings, rule).order()
            done += 1
        best = min(best, spent / done)
    return best * 1e6


def main() -> int:
    """Measure and print."""
    say = sys.stdout.write
    say(f"{'strategy':<12}" + "".join(f"{count:>8}" for count in COUNTS) + "   candidates, µs a decision\n")
    for name, strategy in sorted(STRATEGIES.items()):
        times = [microseconds(*field(count), Rule(strategy=strategy)) for count in COUNTS]
        say(f"{name:<12}" + "".join(f"{each:>8.1f}" for each in times) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
