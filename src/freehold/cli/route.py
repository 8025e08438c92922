"""`freehold route`: what the gateway would do with a request, without doing it."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote

import msgspec
import typer

from freehold.cli.failure import CommandError
from freehold.cli.options import ConfigOption, JsonOption, print_json
from freehold.cli.target import AdminOption

if TYPE_CHECKING:
    from freehold.config import Config
    from freehold.exchange.door import Arrival
    from freehold.exchange.lanes import Strictness
    from freehold.exchange.rehearsal import Prospect, Rehearsal
    from freehold.protocols.codec import WireRequest
    from freehold.routing.features import Standing

app = typer.Typer(help="Say what would become of a request.", no_args_is_help=True)

PATHS: Final = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "openai-embeddings": "/v1/embeddings",
    "anthropic-messages": "/v1/messages",
    "azure-openai": "/openai/deployments/{model}/chat/completions",
    "bedrock-converse": "/model/{model}/converse",
    "bedrock-invoke": "/model/{model}/invoke",
    "gemini-generate": "/v1beta/models/{model}:generateContent",
}
"""Where a body of each protocol is sent; in some the model stands in the path."""

_LONGEST_FILE: Final = 256 * 1024 * 1024


@app.callback()
def _route() -> None:
    """Nothing to do before a command."""


@app.command()
def explain(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A recorded exchange, or a body; - is standard input.")],
    *,
    protocol: Annotated[
        str | None, typer.Option(metavar="PROTOCOL", help="The file is a body of this protocol, not a recording.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Ask for this model, not the one that the request names.")] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Choose by this strategy, as the header Freehold-Strategy would.")
    ] = None,
    on_loss: Annotated[
        str, typer.Option(metavar="STRICTNESS", help="report, reject-content or reject, as Freehold-On-Loss.")
    ] = "reject-content",
    exchange: Annotated[
        str | None, typer.Option(metavar="ID", help="Draw what this exchange drew, where chance has a say.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Judge targets as the running server does: its breakers, speeds, failures.")
    ] = False,
    admin: AdminOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who would be asked, in which order, how, at what cost and with which losses. Nothing is sent."""
    import uvloop

    from freehold.config import load
    from freehold.protocols.registry import CODECS
    from freehold.routing.strategies import STRATEGIES
    from freehold.server.worker import ExchangeIds

    if protocol is not None and protocol not in CODECS:
        raise typer.BadParameter(f"no such protocol; choose one of {', '.join(CODECS)}", param_hint="--protocol")
    if strategy is not None and strategy not in STRATEGIES:
        raise typer.BadParameter(f"choose one of {', '.join(sorted(STRATEGIES))}", param_hint="--strategy")
    strictness = _strictness(on_loss)
    loaded = load(config, os.environ)
    data = _read(file)
    wire = _recorded(data, file) if protocol is None else _of_body(data, protocol, model)
    standings = _live(config, admin) if live else None
    arrival = _arrival(wire, model, strategy, strictness, exchange or ExchangeIds()())
    found = uvloop.run(_rehearse(loaded, arrival, standings))
    report: dict[str, object] = msgspec.to_builtins(found)
    if found.chosen is None and not found.counted_here:
        if not as_json:
            _print(found)
        raise CommandError("nobody would be asked: see what speaks against each", code="no_target", report=report)
    if as_json:
        print_json(report)
    else:
        _print(found)


def _strictness(said: str) -> Strictness:
    match said:
        case "report" | "reject-content" | "reject":
            return said
        case _:
            raise typer.BadParameter("choose report, reject-content or reject", param_hint="--on-loss")


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read(_LONGEST_FILE) if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="FILE") from None


def _recorded(data: bytes, file: str) -> WireRequest:
    """The request of a recording. Raises BadParameter for what is none."""
    from freehold.errors import CallerError
    from freehold.exchange.recordings import read_recording

    try:
        wire = read_recording(data, file).wire_request()
    except CallerError as error:
        raise typer.BadParameter(f"{error}; of a body alone, --protocol says the language", param_hint="FILE") from None
    if wire is None:
        raise typer.BadParameter(f"{file}: only an answer was recorded", param_hint="FILE")
    return wire


def _of_body(data: bytes, protocol: str, model: str | None) -> WireRequest:
    """A request around a body. Raises BadParameter where the path needs a model."""
    from freehold.protocols.codec import WireRequest

    path = PATHS[protocol]
    if "{model}" in path:
        if model is None:
            raise typer.BadParameter(f"{protocol} names the model in the path; say it here", param_hint="--model")
        path = path.format(model=quote(model, safe=""))
    elif model is not None:
        with contextlib.suppress(msgspec.DecodeError, RecursionError):  # whoever reads it next says what is wrong
            fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
            data = msgspec.json.encode({**fields, "model": model})
    return WireRequest(path=path, headers=(("content-type", "application/json"),), body=data)


def _live(config: str | None, admin: str | None) -> dict[str, Standing]:
    """How targets are doing at the running server. Raises CommandError where it does not answer."""
    from freehold.cli.target import ask
    from freehold.routing.features import Standing

    return {
        state.target: Standing(
            disabled=state.why if state.state == "disabled" else "",
            broken=state.breaker,
            cooling=state.state == "cooling",
            first_token=state.first_token,
            speed=state.speed,
            errors=state.errors,
            measured_at=state.measured_at or 0.0,
        )
        for state in ask(config, admin, "GET", "/targets", b"")
    }


async def _rehearse(config: Config, arrival: Arrival, standings: dict[str, Standing] | None) -> Rehearsal:
    from freehold.app import Service
    from freehold.errors import CallerError
    from freehold.exchange.rehearsal import rehearse
    from freehold.protocols.codec import Unsupported

    async with Service(config, environ=os.environ) as service:
        try:
            return rehearse(service.road, arrival, service.serving.snapshot, standings)
        except Unsupported as error:
            raise CallerError(str(error), code="unsupported_operation", kind="unsupported") from None


def _arrival(
    wire: WireRequest, model: str | None, strategy: str | None, strictness: Strictness, exchange: str
) -> Arrival:
    """The request as the server lets it in, from somebody who may ask for everything. Raises BadParameter."""
    import time

    from freehold.exchange.door import Arrival
    from freehold.exchange.lanes import glance, named
    from freehold.protocols.registry import CODECS
    from freehold.server.paths import find_route

    route = find_route(wire.method, wire.path, wire.headers, wire.query)
    if route is None or not (
        route.operation == "generate" or route.operation == "embed" or route.operation == "count"  # noqa: PLR1714 -- narrows the type
    ):
        raise typer.BadParameter(f"{wire.method} {wire.path}: no model is asked anything there", param_hint="FILE")
    codec = CODECS[route.codec]
    if model is not None:
        wire = named(wire, glance(codec.manners, wire), model)
    return Arrival(
        id=exchange,
        codec=codec,
        operation=route.operation,
        wire=wire,
        project="local",
        key=None,
        models=(),
        started=time.time(),
        deadline=time.monotonic(),
        strictness=strictness,
        strategy=strategy,
    )


def _print(found: Rehearsal) -> None:
    streamed = ", streamed" if found.stream else ""
    ask = found.ask
    media = f", with {', '.join(sorted(ask.kinds))}" if ask.kinds else ""
    typer.echo(f"{found.model} in {found.protocol}, {found.operation}{streamed}{media}")
    typer.echo(
        f"about {ask.text / 4 + ask.media:.0f} tokens in and {ask.output_tokens:.0f} out; "
        f"{found.strategy}, the lowest score first"
    )
    for each in found.targets:
        for line in _lines(each):
            typer.echo(line)
    if found.counted_here:
        typer.echo("chosen: nobody counts; Freehold would")
    elif found.chosen is not None:
        typer.echo(f"chosen: {found.chosen}")


def _lines(each: Prospect) -> list[str]:
    from freehold.cli.asking import said_terms

    forced = " (for want of others)" if each.forced else ""
    lines = [f"{each.rank or '-'}  {each.target}{forced}"]
    if each.reason is not None:
        lines.append(f"     not asked: {each.reason}: {each.evidence}")
    if each.obstacle:
        lines.append(f"     not asked: {each.obstacle}")
    if each.score:
        lines.append(f"     {said_terms(each.score)}")
    cost = "cost not known" if each.expected_usd is None else f"expected cost {each.expected_usd:.6f} USD"
    lines.append(f"     {cost}" if each.protocol is None else f"     {each.protocol}, {each.lane}, {cost}")
    if each.fetches:
        lines.append("     media would be fetched and sent inline")
    lines += [f"     loses {loss.path} {loss.kind} ({loss.effect}) {loss.detail}".rstrip() for loss in each.losses]
    return lines
