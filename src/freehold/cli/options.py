"""What all commands share: their common options, reading the configuration, and how they print."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from freehold.config import Config, load
from freehold.errors import ConfigError

ConfigOption = Annotated[str | None, typer.Option("--config", metavar="FILE", help="The configuration file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def load_or_exit(path: str | None) -> Config:
    """The configuration; what is wrong with it is said on standard error, exit 1."""
    try:
        return load(path, os.environ)
    except ConfigError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from None


def print_json(value: object) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of plain text on standard output: whole lines, never cut or wrapped, so that it can be piped."""
    lines = [tuple(columns), *(tuple(row) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
