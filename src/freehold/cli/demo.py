"""`freehold demo`: what Freehold does, shown on this machine with emulated clouds; no account and no key needed."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from freehold.cli.failure import CommandError
from freehold.cli.options import JsonOption, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from freehold.app import Service
    from freehold.exchange.record import ExchangeRecord
    from freehold.sandbox.fleet import Fleet
    from freehold.sandbox.tour import Stop, Tour

NEXT_STEPS = (
    ("freehold serve --sandbox", "keep these clouds and point your own client at the gateway"),
    ("freehold init", "write a configuration for the accounts you have, with snippets for each SDK"),
    ('freehold chat MODEL "hello" --explain', "ask one of them, and see who answered and what it cost"),
)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints: every answer, what was wrong with any, and what to try next."""

    gateway: str
    seconds: float
    exchanges: Sequence[Mapping[str, object]]
    failures: Sequence[str]
    next: Sequence[str]


def command(
    *,
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", help="Accepted for uniformity; the demo brings its own."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show every client at every provider, a stream, a tool and a failover, on emulated clouds."""
    del config
    import uvloop

    try:
        report = uvloop.run(_run(as_json=as_json))
    except OSError as error:
        raise CommandError(f"the demo could not be started: {error}", code="sandbox_failed") from None
    if report.failures:
        for failure in report.failures:
            typer.echo(f"failed: {failure}", err=True)
        message = f"{len(report.failures)} of {len(report.exchanges)} answers were not as they should be"
        raise CommandError(message, code="demo_failed", report=msgspec.structs.asdict(report))
    if as_json:
        print_json(report)


async def _run(*, as_json: bool) -> Report:
    from freehold.cli.sandbox import mint_keys, sandboxed
    from freehold.exchange.record import read_records
    from freehold.sandbox.caller import Caller
    from freehold.sandbox.tour import Tour
    from freehold.transport.client import Client

    began = time.perf_counter()
    console = _console(as_json=as_json)
    async with (
        sandboxed(listen="127.0.0.1:0", admin_listen="127.0.0.1:0") as (fleet, service),
        Client() as client,
    ):
        keys = await mint_keys(service, "demo")
        tour = Tour(fleet, Caller(client, _url(service), keys), lambda piece: console.print(piece, end=""))
        _say_welcome(console, service, fleet)
        await tour.warm_up()
        everywhere = await tour.everywhere()
        records = {record.id: record for record in read_records(service.spool.folder)}
        _show_everywhere(console, everywhere, records, fleet, tour)
        console.rule("A stream, word by word: Anthropic's client, another vendor's model", align="left")
        streamed = await tour.stream()
        _show_stream(console, streamed)
        first, second, calls = await tour.tool()
        _show_tool(console, first, second, calls)
        outage = await tour.failover()
        records = {record.id: record for record in read_records(service.spool.folder)}
        _show_failover(console, outage, records)
        stops = [*everywhere, streamed, first, *([] if second is None else [second]), *outage]
        seconds = time.perf_counter() - began
        _say_goodbye(console, tour.failures, stops, seconds)
        return _report(stops, records, tour.failures, seconds, service)


def _url(service: Service) -> str:
    host, port = service.address
    return f"http://{host}:{port}"


def _console(*, as_json: bool) -> Console:
    from rich.console import Console

    # Without a terminal rich assumes 80 columns; logs of continuous integration have more.
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 100
    return Console(stderr=as_json, width=width, highlight=False)


# --- What is shown ---------------------------------------------------------------------------------------------------


def _say_welcome(console: Console, service: Service, fleet: Fleet) -> None:
    host, port = service.address
    console.print(
        f"[bold]Freehold[/bold] on http://{host}:{port} in front of {len(fleet.clouds)} emulated clouds, all on this "
        "machine.\nEvery request below is real HTTP, in its client's own protocol, with a key that was just minted."
    )


def _show_everywhere(
    console: Console, stops: Sequence[Stop], records: Mapping[str, ExchangeRecord], fleet: Fleet, tour: Tour
) -> None:
    from rich import box
    from rich.table import Table

    console.rule("The same question, from every client to every provider", align="left")
    grid = Table(box=box.SIMPLE, pad_edge=False, caption="milliseconds; * something was lost on the way, see below")
    grid.add_column("client's protocol")
    for cloud in fleet.clouds:
        grid.add_column(cloud, justify="right")
    found = {(stop.client, stop.asked): stop for stop in stops}
    for client in tour.clients:
        cells = (_cell(found[client.protocol, cloud], records) for cloud in fleet.clouds)
        grid.add_row(client.protocol, *cells)
    console.print(grid)
    table = Table(box=box.SIMPLE, pad_edge=False)
    for title in ("provider", "answered by"):
        table.add_column(title, overflow="fold")
    for title in ("answers", "median ms", "cost, USD"):
        table.add_column(title, justify="right")
    for cloud in fleet.clouds:
        table.add_row(*_summary(cloud, [stop for stop in stops if stop.asked == cloud], records))
    console.print(table)
    _show_losses(console, stops, records)


def _cell(stop: Stop, records: Mapping[str, ExchangeRecord]) -> str:
    if stop.problem is not None or stop.reply is None:
        return f"[red]✗ {stop.reply.status if stop.reply else ''}[/red]"
    record = records.get(stop.reply.exchange)
    mark = "*" if record is not None and record.losses else ""
    return f"[green]{stop.reply.seconds * 1000:.0f}[/green]{mark}"


def _summary(cloud: str, stops: Sequence[Stop], records: Mapping[str, ExchangeRecord]) -> tuple[str, ...]:
    replies = [stop.reply for stop in stops if stop.reply is not None and stop.problem is None]
    if not replies:
        return cloud, "-", "0", "-", "-"
    costs = [records[reply.exchange].cost_nano_usd for reply in replies if reply.exchange in records]
    known = [cost for cost in costs if cost is not None]
    cost = f"{sum(known) / 1e9:.6f}" if known else "your own hardware"
    milliseconds = f"{statistics.median(reply.seconds for reply in replies) * 1000:.0f}"
    return cloud, replies[0].target.partition("/")[2], str(len(replies)), milliseconds, cost


def _show_losses(console: Console, stops: Sequence[Stop], records: Mapping[str, ExchangeRecord]) -> None:
    """What could not be said in the other protocol, each once with the pairs it concerns."""
    lost: dict[str, list[str]] = {}
    for stop in stops:
        record = None if stop.reply is None else records.get(stop.reply.exchange)
        for loss in () if record is None else record.losses:
            detail = f", {loss.detail}" if loss.detail else ""
            lost.setdefault(f"{loss.path} {loss.kind} ({loss.effect}{detail})", []).append(
                f"{stop.client}→{stop.asked}"
            )
    if not lost:
        console.print("Nothing was lost in translation: a plain question can be said in every protocol.")
    for loss, pairs in lost.items():
        shown = ", ".join(pairs[:3]) + (f" and {len(pairs) - 3} more" if len(pairs) > 3 else "")
        console.print(f"* {loss}: {shown}", markup=False)


def _show_stream(console: Console, stop: Stop) -> None:
    console.print()
    reply = stop.reply
    if reply is not None and reply.first is not None:
        console.print(
            f"{reply.target} began after {reply.first * 1000:.0f} ms and was done after {reply.seconds * 1000:.0f} ms."
        )


def _show_tool(console: Console, first: Stop, second: Stop | None, calls: Sequence[str]) -> None:
    console.rule("A tool, in two turns: OpenAI's client, Claude at Anthropic", align="left")
    if first.reply is not None:
        console.print(f"{first.reply.target} calls {' and '.join(calls) or 'nothing'}", markup=False)
    if second is not None and second.reply is not None:
        console.print(f"{second.reply.target} says: {second.reply.text}", markup=False)


def _show_failover(console: Console, stops: Sequence[Stop], records: Mapping[str, ExchangeRecord]) -> None:
    console.rule("A provider is switched off; the client asks for `assistant` all along", align="left")
    for stop in stops:
        reply = stop.reply
        record = None if reply is None else records.get(reply.exchange)
        if reply is None or record is None:
            console.print(f"{stop.step}: no answer", markup=False)
            continue
        tried = ", ".join(f"{attempt.target}: {attempt.error}" for attempt in record.attempts if attempt.error)
        after = f" (before it, {tried})" if tried else ""
        cost = "" if record.cost_nano_usd is None else f", {record.cost_nano_usd / 1e9:.6f} USD"
        console.print(
            f"{stop.step}: {reply.target} answered in {reply.seconds * 1000:.0f} ms{cost}{after}", markup=False
        )


def _say_goodbye(console: Console, failures: Sequence[str], stops: Sequence[Stop], seconds: float) -> None:
    worked = sum(stop.problem is None for stop in stops)
    console.rule(align="left")
    verdict = "everything worked" if not failures else f"{len(failures)} did not work"
    console.print(f"{worked} of {len(stops)} answers as they should be in {seconds:.1f} s: {verdict}. Next:")
    for step, meaning in NEXT_STEPS:
        console.print(f"  [bold]{step}[/bold]\n      {meaning}")


def _report(
    stops: Sequence[Stop],
    records: Mapping[str, ExchangeRecord],
    failures: Sequence[str],
    seconds: float,
    service: Service,
) -> Report:
    rows: list[dict[str, object]] = []
    for stop in stops:
        reply = stop.reply
        record = None if reply is None else records.get(reply.exchange)
        rows.append(
            {
                "step": stop.step,
                "client": stop.client,
                "asked": stop.asked,
                "ok": stop.problem is None,
                "problem": stop.problem,
                "status": None if reply is None else reply.status,
                "target": None if reply is None else reply.target,
                "milliseconds": None if reply is None else round(reply.seconds * 1000, 1),
                "cost_usd": None if record is None or record.cost_nano_usd is None else record.cost_nano_usd / 1e9,
                "attempts": [] if record is None else record.attempts,
                "losses": () if record is None else record.losses,
                "text": None if reply is None else reply.text,
            }
        )
    return Report(
        gateway=_url(service),
        seconds=round(seconds, 3),
        exchanges=rows,
        failures=failures,
        next=[step for step, _ in NEXT_STEPS],
    )
