"""What a user's own traffic would cost: the tokens of recorded exchanges, at a target's prices."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from freehold.errors import CallerError
from freehold.exchange.record import ExchangeRecord, UsageRecord, read_records
from freehold.ir import Usage
from freehold.providers.prices import Price, cost
from freehold.routing.names import Names

DAYS: Final = 30
"""Of traffic that are looked at: older ones tell of another time."""
MOST: Final = 1000
"""Exchanges of a target, the latest: their interval is a few percent wide."""
FEWEST: Final = 30
"""Exchanges below which there is no mix to speak of."""


def traffic(folder: Path, names: Names, targets: Iterable[str], now: float) -> dict[str, list[Usage]]:
    """The usages of the exchanges that each target could have answered, by the names that were asked for.

    Those that a bench made do not count, nor do counts and embeddings, nor what no provider counted to its end.
    """
    wanted = set(targets)
    leads: dict[str, set[str]] = {}
    found: dict[str, deque[Usage]] = {target: deque(maxlen=MOST) for target in wanted}
    since = now - DAYS * 86400
    for record in read_records(folder, since=since):
        usage = record.usage
        if usage is None or not _counts(record, usage, since):
            continue
        if record.model not in leads:
            leads[record.model] = wanted & _targets(names, record.model)
        for target in leads[record.model]:
            found[target].append(
                Usage(
                    input_tokens=usage.input_tokens,
                    output_tokens=usage.output_tokens,
                    cache_read=usage.cache_read,
                    cache_write=usage.cache_write,
                )
            )
    return {target: list(usages) for target, usages in found.items() if len(usages) >= FEWEST}


def _counts(record: ExchangeRecord, usage: UsageRecord, since: float) -> bool:
    return (
        usage.source == "provider"
        and record.operation == "generate"
        and record.started >= since
        and record.tags.get("command") != "bench"
    )


def _targets(names: Names, model: str) -> set[str]:
    try:
        return {target.id for target in names.resolve(model).targets}
    except CallerError:  # a name that is gone
        return set()


def bills(usages: Sequence[Usage], price: Price) -> list[tuple[float, float]]:
    """USD, and the millions of tokens that they buy, of each usage; context-length steps and cached tokens included."""
    found: list[tuple[float, float]] = []
    for usage in usages:
        nano = cost(usage, price)
        if nano is not None:
            found.append((nano / 1e9, ((usage.input_tokens or 0) + (usage.output_tokens or 0)) / 1e6))
    return found
