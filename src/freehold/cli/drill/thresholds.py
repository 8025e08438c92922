"""`--fail-on`: the figures of a drill that may not be crossed."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from freehold.cli.drill.report import Report

_NEVER: Final = math.inf
"""What was not noticed, did not recover or is not known crosses every upper bound."""

FIGURES: Final[Mapping[str, Callable[[Report], float]]] = {
    "failed": lambda report: report.failed,
    "delayed": lambda report: report.delayed,
    "detection_s": lambda report: _known(report.detection_s) if _any(report, "failed_attempts") else 0.0,
    "recovery_s": lambda report: _known(report.recovery_s) if _any(report, "served_before") else 0.0,
    "added_p99_ms": lambda report: 0.0 if report.added_ms is None else report.added_ms.p99,
    "cost_change": lambda report: _NEVER if report.cost is None else _known(report.cost.change),
    "stranded": lambda report: len(report.stranded),
}
"""What a threshold may name, and the figure."""

_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_THRESHOLD: Final = re.compile(r"\s*([a-z0-9_]+)\s*(>=|<=|>|<|=)\s*(-?[0-9]+(?:\.[0-9]+)?)\s*")


class Threshold(msgspec.Struct, frozen=True):
    """A figure that crosses it is a failure: `failed>0`."""

    figure: str
    sign: str
    bound: float

    def crossed(self, report: Report) -> bool:
        """Whether the drill's figure does."""
        return _OPERATORS[self.sign](FIGURES[self.figure](report), self.bound)

    def said(self, report: Report) -> str:
        """The threshold and the figure, in words."""
        value = FIGURES[self.figure](report)
        found = "not known or never" if math.isinf(value) else f"{value:g}"
        return f"{self.figure} {self.sign} {self.bound:g} (it is {found})"


def threshold(text: str) -> Threshold:
    """What was written. Raises ValueError with the remedy."""
    match = _THRESHOLD.fullmatch(text)
    if match is None or match[1] not in FIGURES:
        raise ValueError(f"{text!r} is no threshold; write one like failed>0, with one of {', '.join(FIGURES)}")
    return Threshold(match[1], match[2], float(match[3]))


def _any(report: Report, count: Literal["failed_attempts", "served_before"]) -> bool:
    """Whether a target of the domain has any; else there was nothing to notice, or to recover."""
    return any(getattr(target, count) for target in report.targets)


def _known(value: float | None) -> float:
    return _NEVER if value is None else value
