"""The tables of the documentation, from readings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from freehold.routing.strategies import STRATEGIES
from freehold.simulation.measures import Estimate, difference, estimate

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
        _against(chosen, fixed, lambda one, other: _relative(by_measure[one], by_measure[other]), 1),
        "Answered in time against each fixed choice, in percentage points:\n",
        _against(chosen, fixed, lambda one, other: _points(by_measure[one], by_measure[other]), 2),
    ]
    return "\n".join(parts)


def _relative(one: Mapping[str, list[float]], other: Mapping[str, list[float]]) -> Estimate:
    pairs = zip(one["usd_per_million"], other["usd_per_million"], strict=True)
    return estimate([(mine / theirs - 1.0) * 100 for mine, theirs in pairs])


def _points(one: Mapping[str, list[float]], other: Mapping[str, list[float]]) -> Estimate:
    return difference([share * 100 for share in one["availability"]], [share * 100 for share in other["availability"]])


def _against(rows: list[str], columns: list[str], cell: Callable[[str, str], Estimate], digits: int) -> str:
    head = ["", *(f"`{name.partition('/')[0]}`" for name in columns)]
    return _table(
        head, [[f"`{row}`", *(_shown(cell(row, column), digits, sign="+") for column in columns)] for row in rows]
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _shown(value: Estimate, digits: int, sign: str = "") -> str:
    return f"{value.mean:{sign}.{digits}f} ± {value.reach:.{digits}f}"
