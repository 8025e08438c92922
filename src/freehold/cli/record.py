"""`freehold record`: a provider's real answers as files for the tests, with what is secret taken out."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from freehold.cli.failure import CommandError
from freehold.cli.options import ConfigOption, JsonOption, print_json
from freehold.errors import CallerError
from freehold.ir import Embed, Generate, JsonObject, Message, Request, Text, Tool, parse_json
from freehold.protocols.codec import Codec, WireResponse

if TYPE_CHECKING:
    from freehold.app import Service
    from freehold.cli.redaction import Redaction
    from freehold.cli.tap import Overheard
    from freehold.config import Account, Config

_UNKNOWN: Final = "no-such-model-0"
_LIMIT: Final = 256

_WEATHER: Final = Tool(
    name="get_weather",
    description="The weather in a city now.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One standard exchange: its name, what is asked, and whether an error is what is wanted."""

    name: str
    request: Request
    model: str
    fails: bool = False


class Origin(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Where a recording comes from: its id, who answered and in which language, and the model that was asked."""

    id: str
    provider: str
    codec: Codec
    model: str


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one exchange; `file` None where there was no answer to record."""

    id: str
    status: int | None
    file: str | None
    problem: str | None = None


def command(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="An account of the configuration.")],
    *,
    model: Annotated[str | None, typer.Option(help="The model to ask; default: the account's cheapest.")] = None,
    protocol: Annotated[
        list[str] | None, typer.Option("--protocol", metavar="NAME", help="Only this protocol; repeatable.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where the recordings go.")] = Path(
        "recordings"
    ),
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a few standard exchanges to an account through its protocols and write redacted recordings."""
    import uvloop

    from freehold.config import load

    loaded = load(config, os.environ)
    if account not in loaded.accounts:
        known = ", ".join(loaded.accounts) or "none"
        raise typer.BadParameter(f"there is no account {account}; the accounts are: {known}", param_hint="ACCOUNT")
    try:
        written = uvloop.run(_record(loaded, account, model, protocol, output))
    except OSError as error:
        raise CommandError(f"the recordings can not be written: {error}", code="file_unwritable") from None
    failed = sum(row.problem is not None for row in written)
    if as_json and not failed:
        print_json({"recordings": written})
    for row in written:
        if not as_json and row.file is not None:
            typer.echo(row.file)
        if row.problem is not None:
            typer.echo(f"{row.id}: {row.problem}", err=True)
    if any(row.file is not None for row in written):
        typer.echo(
            "Read the files before you publish them: masking knows patterns, not your secrets' meaning.", err=True
        )
    if failed:
        message = f"{failed} of {len(written)} exchanges did not go as they should"
        raise CommandError(message, code="recording_failed", report={"recordings": written})


async def _record(
    config: Config, account: str, model: str | None, protocols: Sequence[str] | None, output: Path
) -> list[Written]:
    from freehold.app import Service
    from freehold.cli.check import cheapest
    from freehold.cli.redaction import Redaction
    from freehold.cli.tap import Tap
    from freehold.protocols.registry import CODECS
    from freehold.providers.catalog import providers

    async with Service(config, environ=os.environ) as service:
        tap = Tap(service.client)
        service.road.client = tap
        settings = service.config.accounts[account]
        provider = providers()[settings.provider]
        asked = model or cheapest(service, account)
        if asked is None:
            raise CallerError(f"{account} lists no model; name one with --model", code="model_not_found")
        redaction = Redaction(_secrets(settings), provider.limits.request_id)
        written: list[Written] = []
        for offer in provider.protocols:
            codec = CODECS.get(offer.name)
            if codec is None or (protocols is not None and offer.name not in protocols):
                continue
            if protocols is None and offer.name not in _offered(service, account, asked):
                continue
            for case in _cases(asked, frozenset(offer.paths)):
                tap.overheard.clear()
                problem = await _travel(service, account, codec, case)
                language = offer.name.removeprefix(f"{provider.name}-")
                identity = f"{provider.name}-{language}-{case.name}"
                if not tap.overheard:
                    written.append(Written(id=identity, status=None, file=None, problem=problem or "no answer"))
                    continue
                origin = Origin(id=identity, provider=provider.name, codec=codec, model=case.model)
                row = _write(origin, tap.overheard[-1], redaction, output)
                written.append(msgspec.structs.replace(row, problem=row.problem or problem))
        return written


def _offered(service: Service, account: str, model: str) -> tuple[str, ...]:
    return service.serving.names.resolve(f"{account}/{model}").targets[0].protocols


def _cases(model: str, operations: frozenset[str]) -> Iterator[Case]:
    """Plain, stream, tool call, error; for a protocol of embeddings, one vector."""
    if "generate" not in operations:
        if "embed" in operations:
            yield Case(name="embed", request=Embed(origin="record", model=model, inputs=("Hello",)), model=model)
        return
    plain = _question("Answer in one short sentence: what is a freehold?")
    yield Case(name="plain", request=plain, model=model)
    yield Case(name="stream", request=msgspec.structs.replace(plain, stream=True, stream_usage=True), model=model)
    weather = _question("What is the weather in Paris? Use the tool.")
    yield Case(name="tool", request=msgspec.structs.replace(weather, tools=(_WEATHER,)), model=model)
    yield Case(name="error", request=plain, model=_UNKNOWN, fails=True)


def _question(text: str) -> Generate:
    message = Message(role="user", parts=(Text(text=text),))
    return Generate(origin="record", model="", messages=(message,), max_output_tokens=_LIMIT)


async def _travel(service: Service, account: str, codec: Codec, case: Case) -> str | None:
    """Send one case by the same road as every client. Gives what went wrong, None if nothing did."""
    from freehold.exchange.door import Arrival
    from freehold.server.worker import ExchangeIds, SystemClock

    named = msgspec.structs.replace(case.request, model=f"{account}/{case.model}@{codec.name}")
    wire = codec.encode_request(named).value
    clock = SystemClock()
    door = _Door()
    arrival = Arrival(
        id=ExchangeIds()(),
        codec=codec,
        operation=wire.operation,
        wire=wire,
        project="local",
        key=None,
        models=(),
        started=clock.time(),
        deadline=clock.monotonic() + service.config.limits.exchange_timeout,
        strictness="report",
    )
    await service.road.travel(arrival, door, service.serving.snapshot)
    if (door.status >= 400) == case.fails:
        return None
    failure = codec.decode_error(WireResponse(status=door.status, headers=(), body=door.body))
    return f"status {door.status}: {failure.message[:300]}" if failure.message else f"status {door.status}"


class _Door:
    """Takes an answer and remembers only how it went."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""

    def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """A whole answer."""
        del headers
        self.status, self.body = status, body

    async def start(self, status: int, headers: Sequence[tuple[str, str]]) -> _Door:
        """A streamed one."""
        del headers
        self.status = status
        return self

    async def send(self, data: bytes) -> None:
        """A piece of it."""
        self.body += data

    async def end(self) -> None:
        """Its end."""

    def abort(self) -> None:
        """It broke off."""
        self.status = 502


# --- Files -----------------------------------------------------------------------------------------------------------


def _write(origin: Origin, heard: Overheard, redaction: Redaction, output: Path) -> Written:
    recording = recorded(origin, heard, redaction)
    text = msgspec.json.format(msgspec.json.encode(recording), indent=1)
    if redaction.leaks(text.decode()):
        return Written(id=origin.id, status=heard.status, file=None, problem="a secret would have been written")
    folder = output / str(recording["protocol"])
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{origin.id}.json"
    file.write_bytes(text + b"\n")
    return Written(id=origin.id, status=heard.status, file=str(file))


def recorded(origin: Origin, heard: Overheard, redaction: Redaction) -> JsonObject:
    """An exchange in the format of `tests/exchanges`."""
    kind = next((value for name, value in heard.headers if name == "content-type"), "").partition(";")[0]
    stream = kind in {"text/event-stream", "application/vnd.amazon.eventstream"}
    wire = _wire_name(origin.codec.name, heard.target, stream=stream)
    response: JsonObject = {"status": heard.status, "headers": dict(redaction.headers(heard.headers))}
    if kind == "application/vnd.amazon.eventstream":
        response["body_base64"] = base64.b64encode(redaction.event_stream(heard.answer)).decode()
    elif stream:
        response["body_text"] = redaction.text(heard.answer.decode("utf-8", "replace"))
    else:
        try:
            response["body"] = redaction.json(parse_json(heard.answer))
        except CallerError:
            response["body_text"] = redaction.text(heard.answer.decode("utf-8", "replace"))
    return {
        "id": origin.id,
        "protocol": f"azure-{wire}" if origin.codec.name == "azure-openai" else wire,
        "wire": wire,
        "provider": origin.provider,
        "model": origin.model,
        "stream": stream,
        "request": {
            "method": heard.method,
            "path": redaction.text(heard.target),
            "headers": dict(redaction.headers(heard.request_headers)),
            "body": redaction.json(parse_json(heard.request)),
        },
        "response": response,
        "source": {"recorder": "freehold record", "date": datetime.now(UTC).date().isoformat()},
    }


def _wire_name(codec: str, target: str, *, stream: bool) -> str:
    """The format's name in recordings, where streams of some protocols have their own."""
    match codec:
        case "azure-openai":
            path = target.partition("?")[0]
            return "openai-embeddings" if path.endswith("/embeddings") else "openai-chat"
        case "gemini-generate" if stream:
            return "gemini-stream"
        case "bedrock-converse" | "bedrock-invoke" if stream:
            return f"{codec}-stream"
        case _:
            return codec


def _secrets(account: Account) -> Iterator[str]:
    """Everything that the account states and nobody else may know."""
    for secret in (account.api_key, account.secret_access_key, account.session_token, account.proxy):
        if secret is not None:
            yield secret.reveal()
    for name in (account.access_key_id, account.project, account.resource):
        if name is not None:
            yield name
    yield from (value.reveal() for value in account.headers.values())
