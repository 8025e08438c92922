"""Small worlds for tests: a few targets, prices that change, incidents that overlap."""

from collections.abc import Sequence

import numpy as np

from freehold.providers.prices import Period, Price, Rates, Row, Step
from freehold.routing.features import Candidate
from freehold.routing.tariffs import tariff_of
from freehold.simulation.outages import Incident
from freehold.simulation.trace import Trace
from freehold.simulation.world import Place, World, world

START = 1_760_000_000.0


def price(usd: float, *, later: float | None = None, after: float = 300.0) -> Row:
    """So many dollars a million input tokens, four times that for output, with a step at 4,000; another price later."""
    rates = [(None, usd)] if later is None else [(None, usd), (int(START + after), later)]
    return Row(
        periods=tuple(
            Period(
                start=start,
                price=Price(
                    base=Rates(input=int(each * 1e6), output=int(each * 4e6), cache_read=int(each * 1e5)),
                    steps=(Step(above=4000, rates=Rates(input=int(each * 2e6), output=int(each * 6e6))),),
                ),
            )
            for start, each in rates
        ),
        version="test",
    )


def places(count: int = 4, *, capacity: int = 40, passes: float = 1.0, dearer: float = 1.0) -> list[Place]:
    """Targets of two providers in two regions of one cloud; the later ones are dearer and faster."""
    return [
        Place(
            candidate=Candidate(
                name=f"account{number}/model",
                weight=1.0 + number,
                domains=(
                    f"account:account{number}",
                    f"provider:provider{number % 2}",
                    f"region:provider{number % 2}/{number // 2}",
                    "cloud:cloud",
                ),
                context=8000,
                tariff=tariff_of(row),
                per_byte=1.0,
                least_per_byte=1.0,
            ),
            price=row,
            first_token=0.5 - 0.1 * number,
            prefill=1e-4,
            speed=50.0 + 25.0 * number,
            capacity=capacity,
            passes=passes,
        )
        for number in range(count)
        for row in [price(dearer * (1.0 + number), later=dearer * (3.0 - 0.5 * number))]
    ]


def trace(count: int = 1200, *, seconds: float = 600.0, seed: int = 0) -> Trace:
    """Requests at random times, some of them of conversations."""
    random = np.random.default_rng(seed)
    session = np.where(random.random(count) < 0.5, random.integers(0, 40, count), -1)
    tokens = random.integers(10, 7000, count)
    return Trace(
        arrival=np.sort(random.random(count) * seconds),
        input=tokens,
        output=random.integers(1, 800, count),
        session=session,
        shared=np.where(session >= 0, tokens // 2, 0),
    )


TROUBLE = (
    Incident(60.0, 160.0, "provider:provider0", 1.0, 1.0),
    Incident(140.0, 200.0, "cloud:cloud", 0.5, 2.0),
    Incident(250.0, 330.0, "region:provider1/0", 0.9, 1.5),
    Incident(400.0, 430.0, "everybody", 1.0, 1.0),
)


def small(incidents: Sequence[Incident] = TROUBLE, *, count: int = 1200, capacity: int = 40) -> World:
    """A world of ten minutes."""
    return world(trace(count), places(capacity=capacity), incidents, start=START)
