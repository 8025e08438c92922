"""The tables of the documentation, from readings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from freehold.routing.strategies import STRATEGIES
from freehold.simulation.measures import Estimate, estimate

Figures: TypeAlias = Mapping[str, list[float]]
"""What was measured of one, by name, a figure for each seed."""

BEGIN, END = "<!-- replay: begin -->", "<!-- replay: end -->"


def write(page: Path, report: Mapping[str, Any]) -> None:
    """Put the tables between the marks of a page."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{tables(report)}\n{END}{after}", "utf-8")


def tables(report: Mapping[str, Any]) -> str:
    """The tables of every field."""
    return "\n".join(_field(name, each["readings"]) for name, each in report["fields"].items())


def _field(name: str, readings: Mapping[str, list[Mapping[str, float]]]) -> str:
    by_measure = {
        who: {measure: [each[measure] for each in found] for measure in found[0]} for who, found in readings.items()
    }
    fixed = [who for who in by_measure if who not in STRATEGIES]
    chosen = [who for who in by_measure if who in STRATEGIES]
    parts = [
        f"### {name}\n",
        _table(
            ["", "USD per 1M tokens", "Answered in time, %", "p50, s", "p95, s", "Attempts"],
            [
                [
                    f"`{who}`",
                    _shown(estimate(each["usd_per_million"]), 4),
                    _shown(estimate([share * 100 for share in each["availability"]]), 3),
                    _shown(estimate(each["p50"]), 2),
                    _shown(estimate(each["p95"]), 2),
                    _shown(estimate(each["attempts"]), 3),
                ]
                for who, each in ((who, by_measure[who]) for who in (*chosen, *fixed))
            ],
        ),
        "Cost against each fixed choice, in percent of the fixed one's:\n",
        _against(chosen, fixed, by_measure, _relative, 1),
        "Answered in time against each fixed choice, in percentage points:\n",
        _against(chosen, fixed, by_measure, _points, 2),
    ]
    return "\n".join(parts)


def _relative(one: Figures, other: Figures) -> list[float]:
    """Percent by which it costs more, seed by seed."""
    pairs = zip(one["usd_per_million"], other["usd_per_million"], strict=True)
    return [(mine / theirs - 1.0) * 100 for mine, theirs in pairs]


def _points(one: Figures, other: Figures) -> list[float]:
    """Percentage points by which it answers more, seed by seed."""
    pairs = zip(one["availability"], other["availability"], strict=True)
    return [(mine - theirs) * 100 for mine, theirs in pairs]


def _against(
    rows: list[str],
    columns: list[str],
    figures: Mapping[str, Figures],
    compare: Callable[[Figures, Figures], list[float]],
    digits: int,
) -> str:
    """A row for each strategy; the last column is the mean over the fixed choices, of each seed."""
    lines: list[list[str]] = []
    for row in rows:
        compared = [compare(figures[row], figures[column]) for column in columns]
        means = [math.fsum(at_once) / len(columns) for at_once in zip(*compared, strict=True)]
        lines.append([f"`{row}`", *(_shown(estimate(each), digits, sign="+") for each in (*compared, means))])
    return _table(["", *(f"`{name.partition('/')[0]}`" for name in columns), "mean"], lines)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _shown(value: Estimate, digits: int, sign: str = "") -> str:
    mean = round(value.mean, digits)
    return f"{mean or 0.0:{sign}.{digits}f} ± {value.reach:.{digits}f}"
