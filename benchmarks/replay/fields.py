"""The fields of `fields.toml`: who may be asked, at which prices, on which trace, in which climate."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from freehold.providers.prices import Period, Price, Rates, Row
from freehold.routing.features import Candidate
from freehold.routing.tariffs import tariff_of
from freehold.simulation.outages import DAY, Climate, Record, Severity, incidents
from freehold.simulation.trace import Trace, load, tiled
from freehold.simulation.world import Place, World, world

HERE = Path(__file__).parent
DATA = HERE / "data"
PICO = 1_000_000
"""Pico-dollars a token for each dollar a million tokens."""


class Field(NamedTuple):
    """Who competes, when, and for what."""

    name: str
    says: str
    places: tuple[Place, ...]
    trace: Trace
    start: float
    length: float
    climate: Climate


class Sample(NamedTuple):
    """Which parts of the window are replayed: the trace, once in every so many days."""

    every: float = 4.0

    def starts(self, field: Field, seed: int) -> np.ndarray:
        """When the trace begins again, at a time of day that chance chooses anew each time."""
        random = np.random.default_rng([seed, 3])
        room = self.every * DAY - float(field.trace.arrival[-1]) - 600.0
        days = np.arange(int(field.length // (self.every * DAY)))
        return days * self.every * DAY + random.random(len(days)) * room


def fields() -> list[Field]:
    """All of them."""
    stated = tomllib.loads((HERE / "fields.toml").read_text("utf-8"))
    return [_field(name, each, stated) for name, each in stated["fields"].items()]


def worlds(field: Field, sample: Sample, seed: int) -> dict[str, World]:
    """What a seed makes of a field: the world with all places (""), and one for each place alone."""
    trace = tiled(field.trace, sample.starts(field, seed))
    candidates = [place.candidate for place in field.places]
    troubled = incidents(field.climate, candidates, field.length, seed)
    keys = {each.name: number for number, each in enumerate(candidates)}
    made = {"": world(trace, field.places, troubled, start=field.start, keys=keys)}
    for place in field.places:
        made[place.candidate.name] = world(trace, [place], troubled, start=field.start, keys=keys)
    return made


def _field(name: str, stated: Mapping[str, Any], everything: Mapping[str, Any]) -> Field:
    places = tuple(_place(each, stated.get("passes", 1.0)) for each in stated["places"])
    start = stated["start"].timestamp()
    providers = {each["provider"] for each in stated["places"]}
    records, climate = everything["records"], everything["climate"]
    return Field(
        name=name,
        says=stated["says"],
        places=places,
        trace=load(DATA / stated["trace"]),
        start=start,
        length=stated["end"].timestamp() - start,
        climate=Climate(
            records={each: Record(**records.get(each, records[climate["otherwise"]])) for each in providers},
            common=climate["common"],
            severities=tuple(Severity(**each) for each in climate["severities"]),
            scopes=climate["scopes"],
        ),
    )


def _place(stated: Mapping[str, Any], passes: float) -> Place:
    provider = stated["provider"]
    domains = [f"account:{stated['name'].partition('/')[0]}", f"provider:{provider}"]
    if "region" in stated:
        domains.append(f"region:{provider}/{stated['region']}")
    if "cloud" in stated:
        domains.append(f"cloud:{stated['cloud']}")
    price = price_row(stated["prices"]["provider"], stated["prices"]["models"])
    # A trace tells tokens and no text, so a token is taken for a byte.
    candidate = Candidate(
        name=stated["name"],
        domains=tuple(domains),
        context=stated["context"],
        tariff=tariff_of(price),
        per_byte=1.0,
        least_per_byte=1.0,
    )
    return Place(
        candidate=candidate,
        price=price,
        first_token=stated["first_token"],
        prefill=stated["prefill"] / 1000.0,
        speed=stated["speed"],
        capacity=stated["capacity"],
        passes=passes,
    )


def price_row(provider: str, models: Sequence[str]) -> Row:
    """The price of a model over time, from the log of a catalogue; under each of its names in turn."""
    known: dict[str, float | None] = {}
    periods: list[Period] = []
    with (DATA / "prices.csv").open(encoding="utf-8") as log:
        for event in csv.DictReader(log):
            what = event["event"].partition(":")[2]
            if event["provider"] != provider or event["model"] not in models or not what.startswith("cost."):
                continue
            known[what.removeprefix("cost.")] = float(event["new"]) if event["new"] else None
            if "input" not in known or "output" not in known:
                continue
            start = int(datetime.fromisoformat(event["at"]).astimezone(UTC).timestamp())
            if periods and periods[-1].start == start:
                periods.pop()
            periods.append(Period(price=Price(base=_rates(known)), start=start))
    return Row(periods=tuple(periods), version="models.dev")


def _rates(usd: Mapping[str, float | None]) -> Rates:
    pico = {kind: None if dollars is None else round(dollars * PICO) for kind, dollars in usd.items()}
    base = pico["input"]
    if base is None:
        raise ValueError("a price without input")
    return Rates(
        input=base, output=pico["output"], cache_read=pico.get("cache_read"), cache_write=pico.get("cache_write")
    )
