"""What a run found, as people and programs read it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import typer

from freehold.cli.bench.chart import chart, written
from freehold.cli.bench.results import Problem, told
from freehold.cli.options import print_json, print_table
from freehold.cli.words import ago
from freehold.errors import ConfigError
from freehold.routing.measured import Measured

_NOTED: Final = 200
"""Characters of a problem that a line shows."""

_COLUMNS: Final = ("target", "requests", "first token ms", "tokens/s", "USD/Mtok", "failed", "quality", "measured")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints; `file` is where the figures are kept, money is in USD."""

    targets: Sequence[Measured]
    problems: Sequence[Problem] = ()
    interrupted: bool = False
    requests: int = 0
    estimated_usd: float = 0.0
    spent_usd: float = 0.0
    file: str


def show(report: Report, svg: Path | None, *, as_json: bool, as_table: bool) -> None:
    """Standard output gets what was asked for. Raises ConfigError for a picture that can not be written."""
    if as_json:
        print_json(report)
    if as_table and report.targets:
        now = time.time()
        print_table(_COLUMNS, [_row(each, now) for each in report.targets])
    if not report.targets and not report.requests:
        typer.echo("Nothing was measured yet: `freehold bench MODEL` measures a model's targets.", err=True)
    for problem in report.problems:
        message = problem.message if len(problem.message) <= _NOTED else problem.message[:_NOTED] + "…"
        typer.echo(f"{problem.target}: {problem.times} of its requests: {message}", err=True)
    if report.requests:
        how = "interrupted; what was measured is kept" if report.interrupted else "kept"
        kept = f"{how} in {report.file}" if told(report.targets) else "nothing to keep"
        typer.echo(f"{report.spent_usd:.6f} USD spent; {kept}", err=True)
    if svg is not None and report.targets:
        try:
            svg.write_text(chart(report.targets), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{svg}: {error.strerror}; the picture could not be written") from None


def _row(each: Measured, now: float) -> tuple[str, ...]:
    first, speed, bill, errors, quality = (
        each.ttft_ms,
        each.tokens_per_second,
        each.usd_per_million,
        each.error_rate,
        each.quality,
    )
    return (
        each.target,
        str(each.requests),
        written(first, "{:.0f}"),
        written(speed, "{:.1f}"),
        written(bill, "{:.3f}") + (" own mix" if each.own_exchanges else ""),
        written(errors, "{:.0%}"),
        written(quality, "{:.0%}"),
        ago(now - each.measured_at),
    )
