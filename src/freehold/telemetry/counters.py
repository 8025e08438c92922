"""Plain counters, and their text for Prometheus; adding is a dictionary access, formatting happens at scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

Labels = tuple[tuple[str, str], ...]

MOST_SERIES: Final = 1000
"""Combinations of labels that one name may have: callers choose models, and Prometheus keeps each for ever."""
OTHER: Final = "other"
"""The label of everything beyond."""


class Counters:
    """Sums by name and labels."""

    __slots__ = ("_series", "_sums")

    def __init__(self) -> None:
        self._sums: dict[tuple[str, Labels], float] = {}
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

    def text(self, gauges: Mapping[str, float], sums: Mapping[str, float] | None = None) -> str:
        """All sums and the given gauges in the Prometheus text format (version 0.0.4); `sums` are kept elsewhere."""
        lines: list[str] = []
        last = ""
        for (name, labels), value in sorted(self._sums.items()):
            if name != last:
                lines.append(f"# TYPE freehold_{name} counter")
                last = name
            lines.append(f"freehold_{name}{_labels(labels)} {value:.15g}")
        for kind, values in (("counter", sums or {}), ("gauge", gauges)):
            for name, value in values.items():
                lines.extend((f"# TYPE freehold_{name} {kind}", f"freehold_{name} {value:.15g}"))
        return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    escaped = (f'{name}="{_escape(value)}"' for name, value in labels)
    return "{" + ",".join(escaped) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
