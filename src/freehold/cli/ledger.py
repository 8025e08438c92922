"""`freehold ledger`: what was asked, who answered, what it cost; without the words themselves."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.failure import CommandError
from freehold.cli.options import ConfigOption, print_json, print_table

if TYPE_CHECKING:
    from freehold.config import Config
    from freehold.exchange.record import ExchangeRecord

app = typer.Typer(help="Show what was asked, who answered and what it cost.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Show what was asked, who answered and what it cost."""


@app.command()
def show(
    *,
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, help="How many exchanges, the newest last.")] = 20,
    exchange: Annotated[
        str | None, typer.Option("--exchange", metavar="ID", help="One exchange, by its `Freehold-Exchange`.")
    ] = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per exchange.")] = False,
) -> None:
    """Show the exchanges of this machine's spool."""
    from freehold.config import load

    records = deque(_records(load(config, os.environ), exchange), maxlen=last)
    if not records and exchange is not None:
        raise CommandError(f"There is no exchange {exchange} in the spool.", code="exchange_not_found")
    if as_json:
        for record in records:
            print_json(record)
    elif not records:
        typer.echo("Nothing has been asked yet.", err=True)
    elif exchange is not None:
        _show_whole(records[0])
    else:
        columns = ("time", "exchange", "protocol", "model", "target", "outcome", "in", "out", "USD", "ms")
        print_table(columns, [_line(record) for record in records])


def _records(config: Config, exchange: str | None) -> Iterator[ExchangeRecord]:
    from freehold.app import spool_folder
    from freehold.exchange.record import read_records

    folder: Path = spool_folder(config)
    for record in read_records(folder) if folder.is_dir() else ():
        if exchange is None or record.id == exchange:
            yield record


def _line(record: ExchangeRecord) -> tuple[str, ...]:
    usage = record.usage
    answered = record.attempts[-1] if record.attempts else None
    spent = None if record.finished is None else (record.finished - record.started) * 1000
    return (
        _moment(record.started),
        record.id,
        record.protocol,
        record.model,
        "-" if answered is None else answered.target,
        record.outcome if record.error is None else f"{record.outcome}: {record.error}",
        _number(None if usage is None else usage.input_tokens),
        _number(None if usage is None else usage.output_tokens),
        "-" if record.cost_nano_usd is None else f"{record.cost_nano_usd / 1e9:.6f}",
        _number(None if spent is None else round(spent)),
    )


def _show_whole(record: ExchangeRecord) -> None:
    """One exchange, a fact a line."""
    facts: list[tuple[str, str]] = [
        ("exchange", record.id),
        ("time", _moment(record.started)),
        ("asked", f"{record.model} by {record.protocol} ({record.operation}{', streamed' if record.stream else ''})"),
        ("project", record.project or "-"),
        ("key", record.key or "none"),
        ("outcome", record.outcome if record.error is None else f"{record.outcome}: {record.error}"),
        ("status", str(record.status)),
    ]
    for attempt in record.attempts:
        outcome = attempt.error or attempt.status or "no answer"
        facts.append(("attempt", f"{attempt.target} ({attempt.lane}): {outcome}, {attempt.last_byte_ms or 0:.0f} ms"))
    facts += [("not tried", f"{name}: {reason}") for name, reason in record.rejections.items()]
    if (usage := record.usage) is not None:
        counted = f"{_number(usage.input_tokens)} in, {_number(usage.output_tokens)} out ({usage.source})"
        facts.append(("tokens", counted))
    if record.cost_nano_usd is not None:
        facts.append(("cost", f"{record.cost_nano_usd / 1e9:.9f} USD by {record.price_version}"))
    for loss in record.losses:
        facts.append(("lost", f"{loss.path}: {loss.kind} ({loss.effect}) {loss.detail}".rstrip()))
    for name, value in facts:
        typer.echo(f"{name:<10} {value}")


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)
