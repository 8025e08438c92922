"""How far a run is, told on standard error."""

from __future__ import annotations

import sys

import typer

from freehold.cli.bench.measuring import Reading


class Progress:
    """How far it is, on standard error: one line that changes on a terminal, a line for each tenth elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._told = 0
        self._terminal = sys.stderr.isatty()

    def measured(self, reading: Reading) -> None:
        """A target answered, or failed."""
        first = reading.heard.pace.first
        took = "failed" if reading.heard.error is not None else "" if first is None else f"{first * 1000:.0f} ms"
        self._step(1, f"{reading.turn.aim.target} {took}".rstrip())

    def judged(self, reading: Reading) -> None:
        """A judge gave its two verdicts."""
        self._step(2, f"{reading.turn.aim.target} judged")

    def end(self) -> None:
        """Leave the line."""
        if self._terminal:
            typer.echo("\r\x1b[K", nl=False, err=True)

    def _step(self, steps: int, what: str) -> None:
        self._done += steps
        line = f"{self._done}/{self._total} {what}"
        if self._terminal:
            typer.echo(f"\r\x1b[K{line[:79]}", nl=False, err=True)
        elif self._done * 10 // self._total > self._told:
            self._told = self._done * 10 // self._total
            typer.echo(line, err=True)
