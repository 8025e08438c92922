"""Plain counters, and their text for Prometheus; adding is a dictionary access, formatting happens at scrape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

Labels = tuple[tuple[str, str], ...]


class Counters:
    """Sums by name and labels."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: defaultdict[tuple[str, Labels], float] = defaultdict(float)

    def add(self, name: str, labels: Labels, amount: float = 1) -> None:
        """Add to a sum; `name` without the `freehold_` prefix."""
        self._sums[name, labels] += amount

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
