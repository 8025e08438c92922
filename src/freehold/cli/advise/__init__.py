"""`freehold advise`: what kind of workload this is, and what kind of place suits it, from records or a trace."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.failure import CommandError
from freehold.cli.options import ConfigOption, JsonOption, print_json

if TYPE_CHECKING:
    from freehold.cli.advise.rows import Skipped, Use
    from freehold.cli.advise.workload import Offer, Offers
    from freehold.config import Config
    from freehold.routing.names import Target

_OF_RECORDS = ("project", "key", "model")
_OF_TRACES = ("workload", "model", "shape")
_BY_DEFAULT = ("project", "model")


def command(
    trace: Annotated[
        Path | None,
        typer.Argument(metavar="TRACE", help="A trace as CSV or JSON lines; without one, this machine's records."),
    ] = None,
    *,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="WHAT",
            help="What tells workloads apart: project, key, model, tag:NAME; of a trace workload, model, shape.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Compare with this model's targets; else each with its own.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(metavar="N", min=0.01, help="Only the records of the last N days.")
    ] = None,
    discount: Annotated[
        float, typer.Option(metavar="SHARE", min=0.0, max=0.95, help="What a commitment is cheaper by.")
    ] = 0.4,
    server_hour: Annotated[
        float, typer.Option(metavar="USD", min=0.0, help="What a server of your own costs an hour, all in.")
    ] = 16.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say of each workload whether it is stateful, how long, how it grows, and which kind of place suits it."""
    from freehold.cli.advise.rows import Skipped
    from freehold.cli.advise.text import lines
    from freehold.cli.advise.workload import Workloads
    from freehold.config import load

    _check_use(by, trace, days)
    loaded = load(config, os.environ)
    skipped = Skipped()
    workloads = Workloads(_offers(loaded, model))
    uses = _records(loaded, by, days, skipped) if trace is None else _trace(trace, by, skipped)
    for use in uses:
        workloads.add(use)
    found = workloads.report(discount=discount, server_hour=server_hour)
    if as_json:
        print_json({"workloads": found, "skipped": skipped})
        return
    for advice in found:
        for line in lines(advice):
            typer.echo(line)
    if not found:
        typer.echo("Nothing was asked and answered yet.", err=True)
    if skipped.unread or skipped.unanswered:
        typer.echo(f"left out: {skipped.unread} unreadable rows, {skipped.unanswered} without an answer", err=True)


def _check_use(by: Sequence[str] | None, trace: Path | None, days: float | None) -> None:
    """Raises BadParameter for what the source does not have."""
    known = _OF_RECORDS if trace is None else _OF_TRACES
    for name in by or ():
        if name not in known and not (trace is None and name.startswith("tag:") and name != "tag:"):
            more = ", tag:NAME" if trace is None else ""
            raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}{more}", param_hint="--by")
    if days is not None and trace is not None:
        raise typer.BadParameter("a trace is read whole", param_hint="--days")


def _records(config: Config, by: list[str] | None, days: float | None, skipped: Skipped) -> Iterator[Use]:
    import time

    from freehold.app import spool_folder
    from freehold.cli.advise.rows import of_record
    from freehold.exchange.record import read_records

    folder = spool_folder(config)
    since = 0.0 if days is None else time.time() - days * 86400
    for record in read_records(folder, since=since) if folder.is_dir() else ():
        if record.started < since:
            continue
        use = of_record(record, tuple(by or _BY_DEFAULT))
        if use is None:
            skipped.unanswered += 1
        else:
            yield use


def _trace(file: Path, by: list[str] | None, skipped: Skipped) -> Iterator[Use]:
    from freehold.cli.advise.rows import read_trace

    try:
        yield from read_trace(file, None if by is None else tuple(by), skipped)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}", code="trace_unreadable") from None


def _offers(config: Config, named: str | None) -> Offers:
    """What the targets of a model offer; of the one that was named, whatever is asked for. Raises CallerError."""
    from freehold.errors import CallerError
    from freehold.routing.names import Names

    names = Names(config)
    known: dict[str, Sequence[Offer]] = {}

    def of(model: str) -> Sequence[Offer]:
        if model not in known:
            if len(known) > 4096:  # callers choose names: remembering them must not fill memory
                known.clear()
            try:
                known[model] = [_offer(config, target) for target in names.resolve(model).targets]
            except CallerError:
                known[model] = ()
        return known[model]

    if named is None:
        return of
    offers = [_offer(config, target) for target in names.resolve(named).targets]
    return lambda _: offers


def _offer(config: Config, target: Target) -> Offer:
    from freehold.cli.advise.workload import Offer
    from freehold.providers.catalog import providers, rule
    from freehold.providers.price_book import row

    provider = providers()[config.accounts[target.account].provider]
    known = rule(provider, target.known_as)
    return Offer(
        target=target.id,
        context=None if known is None else known.context,
        price=row(provider.name, target.known_as),
    )
