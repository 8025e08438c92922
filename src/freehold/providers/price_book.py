"""The price list: genai-prices, and our own dated table for what it lacks.

Importing this loads the whole list (some 20 MiB), so only the supervisor and command lines do; workers get what
is `listed`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fnmatch import translate
from functools import cache
from importlib import metadata, resources
from typing import assert_never

import msgspec
from genai_prices import data_snapshot, types

from freehold.providers.catalog import providers
from freehold.providers.prices import Listed, Period, Price, Rates, Row, Step, find

_PICO_PER_MTOK = 1_000_000
"""$1 a million tokens is a million pico-dollars a token."""


class TableRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of our table: USD a million tokens for a provider's models that match, and where it is written."""

    provider: str
    match: tuple[str, ...]
    input: Decimal
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    source: str


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Our table. `date` is when its lines were last checked."""

    date: date
    rows: tuple[TableRow, ...] = ()


@cache
def table() -> Table:
    """Our own table, `data/prices.toml`."""
    text = (resources.files("freehold.providers") / "data" / "prices.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text, parse_float=str), Table, strict=False)


@cache
def price_version() -> str:
    """Names the prices in force: the list's version and our table's date, e.g. `genai-prices-0.2.3+2026-11-22`."""
    return f"genai-prices-{metadata.version('genai-prices')}+{table().date.isoformat()}"


@cache
def listed(provider: str) -> tuple[Listed, ...]:
    """All that is known of what a provider's models cost. Our table comes first."""
    file = providers().get(provider)
    if file is None:
        return ()
    found = [
        Listed(
            match="|".join(f"(?:{translate(glob)})" for glob in line.match),
            row=Row(periods=(Period(price=_price_of_line(line)),), version=price_version()),
        )
        for line in table().rows
        if line.provider == provider
    ]
    everybody = {each.id: each for each in data_snapshot.get_snapshot().providers}
    for name in (each for each in everybody if each in file.prices):
        # Whoever resells others' models is asked first; then those others.
        sources = (name, *(everybody[name].fallback_model_providers or ()))
        models = (model for source in sources if source in everybody for model in everybody[source].models)
        found += (Listed(match=_pattern(model.match), row=_row(model)) for model in models)
    return tuple(found)


def row(provider: str, model: str) -> Row | None:
    """All that is known about the price of a provider's model; None where nothing is."""
    return find({provider: listed(provider)}, provider, model)


def _pattern(clause: types.MatchLogic) -> str:
    """The regular expression for a clause of the list; ids are compared in lower case."""
    match clause:
        case types.ClauseStartsWith(starts_with=text):
            return re.escape(text.lower())
        case types.ClauseEndsWith(ends_with=text):
            return rf".*{re.escape(text.lower())}\Z"
        case types.ClauseContains(contains=text):
            return f".*{re.escape(text.lower())}"
        case types.ClauseRegex(regex=regex):
            return f"(?s:.*?)(?-s:{regex})"
        case types.ClauseEquals(equals=text):
            return rf"{re.escape(text.lower())}\Z"
        case types.ClauseOr(or_=clauses):
            return "|".join(f"(?:{_pattern(each)})" for each in clauses)
        case types.ClauseAnd(and_=clauses):
            return "".join(f"(?={_pattern(each)})" for each in clauses)
        case _:
            assert_never(clause)


def price(provider: str, model: str, when: float) -> Price | None:
    """The price of a provider's model at a Unix time; None where it is not known."""
    found = row(provider, model)
    return found.at(when) if found is not None else None


def _price_of_line(line: TableRow) -> Price:
    return Price(
        base=Rates(
            input=_pico(line.input),
            output=None if line.output is None else _pico(line.output),
            cache_read=None if line.cache_read is None else _pico(line.cache_read),
            cache_write=None if line.cache_write is None else _pico(line.cache_write),
        )
    )


def _row(model: types.ModelInfo) -> Row | None:
    listed = model.prices if isinstance(model.prices, list) else [types.ConditionalPrice(prices=model.prices)]
    periods: list[Period] = []
    for entry in listed:
        known = _price(entry.prices)
        if known is None:
            continue
        match entry.constraint:
            case types.StartDateConstraint(start_date=start):
                midnight = datetime.combine(start, time(), UTC)
                periods.append(Period(price=known, start=int(midnight.timestamp())))
            case types.TimeOfDateConstraint(start_time=first, end_time=last):
                periods.append(Period(price=known, window=(_second(first), _second(last))))
            case None:
                periods.append(Period(price=known))
    return Row(periods=tuple(periods), version=price_version()) if periods else None


def _price(listed: types.ModelPrice) -> Price | None:
    """A listed price in our units; None for models that are not billed by tokens."""
    values: dict[str, Decimal | types.TieredPrices | None] = {
        "input": listed.input_mtok,
        "output": listed.output_mtok,
        "cache_read": listed.cache_read_mtok,
        "cache_write": listed.cache_write_mtok or listed.cache_write_5m_mtok,
        "cache_write_1h": listed.cache_write_1h_mtok,
    }
    if values["input"] is None:
        return None
    starts = sorted(
        {tier.start for value in values.values() if isinstance(value, types.TieredPrices) for tier in value.tiers}
    )
    steps = tuple(Step(above=start, rates=_rates(values, start)) for start in starts)
    return Price(base=_rates(values, None), steps=steps)


def _rates(values: Mapping[str, Decimal | types.TieredPrices | None], above: int | None) -> Rates:
    rates = {name: _rate(value, above) for name, value in values.items()}
    return Rates(
        input=rates["input"] or 0,
        output=rates["output"],
        cache_read=rates["cache_read"],
        cache_write=rates["cache_write"],
        cache_write_1h=rates["cache_write_1h"],
    )


def _rate(value: Decimal | types.TieredPrices | None, above: int | None) -> int | None:
    if value is None:
        return None
    if not isinstance(value, types.TieredPrices):
        return _pico(value)
    reached = [tier.price for tier in value.tiers if above is not None and tier.start <= above]
    return _pico(reached[-1] if reached else value.base)


def _pico(usd_per_mtok: Decimal) -> int:
    """USD a million tokens as pico-dollars a token, rounded: the list holds a few floats like 0.08333333333333334."""
    return int((usd_per_mtok * _PICO_PER_MTOK).to_integral_value())


def _second(moment: time) -> int:
    """The second of the UTC day; a time without a zone is UTC."""
    zone = moment.utcoffset()
    second = moment.hour * 3600 + moment.minute * 60 + moment.second
    return (second - (int(zone.total_seconds()) if zone is not None else 0)) % 86400
