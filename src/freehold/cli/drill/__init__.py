"""`freehold drill`: the game day. A failure domain goes away for a time, and what that does is measured."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, cast

import typer

from freehold.cli.failure import INTERRUPTED, CommandError
from freehold.cli.options import ConfigOption, JsonOption, print_json, print_table

if TYPE_CHECKING:
    from freehold.cli.drill.course import Times
    from freehold.cli.drill.live import Probing
    from freehold.cli.drill.report import Report
    from freehold.cli.drill.subject import Domain
    from freehold.cli.drill.thresholds import Threshold
    from freehold.sandbox.clients import VendorClient
    from freehold.sandbox.faults import Fault

T = TypeVar("T")

_RATE: Final = 40.0
"""Requests a second of the sandbox's clients: some eight are under way at a time, as at a small gateway."""
_PROBE_RATE: Final = 1.0
"""Requests a second of `--probe`: they cost money."""
_SILENT: Final = frozenset({"stall", "stall-midway"})
_PATIENCE: Final = 1.0
"""Seconds: a gateway that waits for minutes would notice nothing in a drill."""
_CLIENTS: Final = ("openai-chat", "anthropic-messages")
_KEY: Final = "FREEHOLD_KEY"


def command(
    domain: Annotated[
        str | None,
        typer.Argument(
            metavar="DOMAIN",
            help="What goes away: account:NAME, provider:NAME, cloud:NAME, region:PROVIDER/NAME, silicon:NAME or "
            "jurisdiction:NAME. None: list them.",
        ),
    ] = None,
    *,
    how: Annotated[
        str | None,
        typer.Option(
            "--how", metavar="FAULT", help="How it goes away, of `freehold sandbox faults`; connections are refused."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--for", metavar="SECONDS", min=0.1, max=900, help="How long it is away.")
    ] = 4.0,
    before: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="How long to watch before, for comparison.")
    ] = 3.0,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for the recovery at most.")
    ] = 30.0,
    models: Annotated[
        list[str] | None, typer.Option("--model", metavar="MODEL", help="What the sandbox's clients ask for.")
    ] = None,
    clients: Annotated[
        list[str] | None, typer.Option("--client", metavar="PROTOCOL", help="Whose clients ask, by their protocol.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="N", min=0.1, max=1000, help="Requests a second; 40, probes 1.")
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Ask for streams instead of whole answers.")] = False,
    patience: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0.1, help="How long the sandbox's gateway bears silence; 1 where that is the fault."
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="On the running gateway, for the traffic that it has. This can hurt people.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a live drill.")] = False,
    probes: Annotated[
        list[str] | None,
        typer.Option("--probe", metavar="MODEL", help=f"Live: ask for this model as well, with the key in {_KEY}."),
    ] = None,
    gateway: Annotated[
        str | None, typer.Option(metavar="URL", help="Live: where probes go, instead of the file's `listen`.")
    ] = None,
    admin: Annotated[
        str | None, typer.Option(metavar="URL", help="Live: the control plane, instead of the file's `admin_listen`.")
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="End an outage of the running gateway, and do no more.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as one page as well.")] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on", metavar="THRESHOLD", help="End with 1 if it is crossed: `failed>0`, `recovery_s>10`."
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a failure domain out for a time and measure what that does: in the sandbox, or live.

    Ctrl-C heals what was taken out and reports what was seen until then.
    """
    from freehold.cli.drill.course import Times

    thresholds = _thresholds(fail_on or ())
    _check_use(how=how, live=live, end=end, domain=domain, sandbox=(models, clients), probes=probes, html=html)
    if end and domain is not None:
        _end(config, admin, domain, as_json=as_json)
        return
    times = Times(before=before, out=seconds, wait=wait)
    if live:
        report = _live(domain, times, config=config, admin=admin, probes=probes, gateway=gateway, rate=rate, yes=yes)
    else:
        report = _rehearse(
            domain, times, how=how, models=models, clients=clients, rate=rate, patience=patience, stream=stream
        )
    if isinstance(report, list):
        _list(report, as_json=as_json)
    else:
        _show(report, thresholds, html, as_json=as_json)


def _thresholds(texts: Sequence[str]) -> list[Threshold]:
    from freehold.cli.drill.thresholds import threshold

    try:
        return [threshold(text) for text in texts]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--fail-on") from None


def _check_use(
    *,
    how: str | None,
    live: bool,
    end: bool,
    domain: str | None,
    sandbox: tuple[list[str] | None, ...],
    probes: list[str] | None,
    html: Path | None,
) -> None:
    """Raises BadParameter for options that have nothing to say where they stand."""
    from freehold.sandbox.faults import FAULTS

    if how is not None and how not in FAULTS:
        raise typer.BadParameter(f"there is no fault `{how}`; choose one of {', '.join(FAULTS)}", param_hint="--how")
    if live and (how is not None or any(sandbox)):
        message = "attempts are refused, and its own traffic is measured; --how, --model and --client are the sandbox's"
        raise typer.BadParameter(message, param_hint="--live")
    if probes and not live:
        raise typer.BadParameter("only a live drill has probes; the sandbox has --model", param_hint="--probe")
    if end and domain is None:
        raise typer.BadParameter("name the domain whose outage is to end", param_hint="DOMAIN")
    if html is not None and (not html.parent.is_dir() or html.is_dir()):
        raise typer.BadParameter(f"{html} can not be written there", param_hint="--html")


# --- Where it happens ------------------------------------------------------------------------------------------------


def _rehearse(
    domain: str | None,
    times: Times,
    *,
    how: str | None,
    models: list[str] | None,
    clients: list[str] | None,
    rate: float | None,
    patience: float | None,
    stream: bool,
) -> Report | list[Domain]:
    from freehold.cli.drill.load import Mix
    from freehold.cli.drill.rehearsal import Wishes, rehearse, survey
    from freehold.cli.drill.subject import domains

    try:
        if domain is None:
            return domains(_run(survey()))
        wishes = Wishes(
            domain=domain,
            fault=cast("Fault", how or "outage"),
            times=times,
            mix=Mix(
                rate=rate or _RATE,
                clients=_clients(clients or _CLIENTS),
                models=tuple(models or ("assistant",)),
                stream=stream,
            ),
            patience=_PATIENCE if patience is None and how in _SILENT else patience,
        )
        return _run(rehearse(wishes, _say))
    except OSError as error:
        raise CommandError(f"the sandbox could not be started: {error}", code="sandbox_failed") from None


def _live(
    domain: str | None,
    times: Times,
    *,
    config: str | None,
    admin: str | None,
    probes: list[str] | None,
    gateway: str | None,
    rate: float | None,
    yes: bool,
) -> Report | list[Domain]:
    from freehold.app import spool_folder
    from freehold.cli.drill import live
    from freehold.cli.drill.subject import domains, find
    from freehold.config import load

    loaded = load(config, os.environ)
    targets = _run(live.survey(loaded, admin))
    if domain is None:
        return domains(targets)
    found = find(targets, domain)
    if not yes:
        _confirm(found, times.out)
    url = gateway or f"{'http' if loaded.server.tls_cert is None else 'https'}://{loaded.server.listen}"
    probing = _probing(url, probes, rate)
    drill = live.Drill(spool=spool_folder(loaded), domain=found, targets=tuple(targets), times=times, probing=probing)
    return _run(live.run_drill(loaded, admin, drill, _say))


def _end(config: str | None, admin: str | None, domain: str, *, as_json: bool) -> None:
    from freehold.cli.drill import live
    from freehold.config import load

    _run(live.end(load(config, os.environ), admin, domain))
    if as_json:
        print_json({"ended": domain})
    else:
        _say(f"{domain} is not taken out")


def _confirm(domain: Domain, seconds: float) -> None:
    """Raises CommandError where the answer is no, or nobody can be asked."""
    typer.echo(f"{domain.domain} holds {', '.join(domain.targets)}.", err=True)
    if domain.stranded:
        typer.echo(f"Nobody else answers for {', '.join(domain.stranded)}: requests for them will fail.", err=True)
    asked = f"Refuse every attempt there for {seconds:g} s, on the running gateway?"
    if not sys.stdin.isatty() or not typer.confirm(asked, err=True):
        raise CommandError("nobody agreed to a live drill; --yes does", code="drill_not_agreed")


def _probing(url: str, models: list[str] | None, rate: float | None) -> Probing | None:
    from freehold.cli.drill.live import Probing
    from freehold.cli.drill.load import Mix

    if not models:
        return None
    mix = Mix(rate=rate or _PROBE_RATE, clients=_clients(_CLIENTS[:1]), models=tuple(models))
    return Probing(url=url, key=os.environ.get(_KEY, "none"), mix=mix)


def _clients(names: Sequence[str]) -> tuple[VendorClient, ...]:
    from freehold.sandbox.clients import CLIENTS

    known = {client.protocol: client for client in CLIENTS}
    for name in names:
        if name not in known:
            message = f"there is no client of {name!r}; choose from {', '.join(known)}"
            raise typer.BadParameter(message, param_hint="--client")
    return tuple(known[name] for name in names)


def _run(work: Coroutine[Any, Any, T]) -> T:
    import uvloop

    return uvloop.run(work)


def _say(text: str) -> None:
    typer.echo(text, err=True)


# --- What is shown ---------------------------------------------------------------------------------------------------


def _list(found: Sequence[Domain], *, as_json: bool) -> None:
    if as_json:
        print_json({"domains": found})
        return
    rows = [(each.domain, ", ".join(each.accounts()), ", ".join(each.stranded) or "-") for each in found]
    print_table(("domain", "accounts", "models that nobody else answers for"), rows)


def _show(report: Report, thresholds: Sequence[Threshold], html: Path | None, *, as_json: bool) -> None:
    """Print and write the report. Raises CommandError for thresholds that were crossed, Exit after an interruption."""
    import msgspec

    from freehold.cli.drill.text import lines

    if html is not None:
        _write(html, report)
    crossed = [each.said(report) for each in thresholds if each.crossed(report)]
    if not as_json:
        for line in lines(report):
            typer.echo(line)
    if crossed and not report.interrupted:
        message = f"crossed: {'; '.join(crossed)}"
        raise CommandError(message, code="threshold_crossed", report=msgspec.structs.asdict(report))
    if as_json:
        print_json(report)
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)


def _write(file: Path, report: Report) -> None:
    from freehold.cli.drill.page import page

    try:
        file.write_text(page(report), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}", code="file_unwritable") from None
