"""Plain counters, and their text for Prometheus; adding is a dictionary access, formatting happens at scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

Labels = tuple[tuple[str, str], ...]
Sum = tuple[str, Labels, float]
"""Name, labels and amount."""

MOST_SERIES: Final = 1000
"""Combinations of labels that one name may have: callers choose models, and Prometheus keeps each for ever."""
OTHER: Final = "other"
"""The label of everything beyond."""


class Counters:
    """Sums by name and labels."""

    __slots__ = ("_series", "_sums", "_told")

    def __init__(self) -> None:
        self._sums: dict[tuple[str, Labels], float] = {}
        self._told: dict[tuple[str, Labels], float] = {}
        self._series: Counter[str] = Counter()

    def add(self, name: str, labels: Labels, amount: float = 1) -> None:
        """Add to a sum; `name` without the `freehold_` prefix."""
        try:
            self._sums[name, labels] += amount
        except KeyError:
            if self._series[name] >= MOST_SERIES:
                labels = tuple((label, OTHER) for label, _ in labels)
            else:
                self._series[name] += 1
            self._sums[name, labels] = self._sums.get((name, labels), 0) + amount

    def news(self) -> list[Sum]:
        """What was added since the last time, for whoever adds up the sums of several processes."""
        told, self._told = self._told, dict(self._sums)
        return [
            (name, labels, value - told.get((name, labels), 0))
            for (name, labels), value in self._told.items()
            if value != told.get((name, labels))
        ]

    def merge(self, sums: Iterable[Sum]) -> None:
        """Add what another process says is new."""
        for name, labels, amount in sums:
            self.add(name, labels, amount)

    def text(self, gauges: Mapping[str, float]) -> str:
        """All sums and the given gauges in the Prometheus text format (version 0.0.4)."""
        lines: list[str] = []
        last = ""
        for (name, labels), value in sorted(self._sums.items()):
            if name != last:
                lines.append(f"# TYPE freehold_{name} counter")
                last = name
            lines.append(f"freehold_{name}{_labels(labels)} {value:.15g}")
        for name, value in gauges.items():
            lines.extend((f"# TYPE freehold_{name} gauge", f"freehold_{name} {value:.15g}"))
        return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    escaped = (f'{name}="{_escape(value)}"' for name, value in labels)
    return "{" + ",".join(escaped) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
