"""One emulated cloud's answers: a request in its wire language, the scripted model's reply in the same."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final, cast
from urllib.parse import unquote

import msgspec

from freehold.errors import CallerError, FreeholdError
from freehold.exchange.failures import failure_of
from freehold.ir import Count, Embed, Embedding, Embeddings, Failure, Generate, Response, Result, TokenCount, Usage
from freehold.protocols.codec import CONTENT_TYPE_OF_FRAMING, Codec, Operation, Stamp, Unsupported, WireRequest
from freehold.protocols.registry import CODECS
from freehold.providers.schema import Provider
from freehold.sandbox.access import Access
from freehold.sandbox.clouds import CloudSpec, Pace
from freehold.sandbox.faults import ERRORS, RETRY_AFTER, SLOW, Switch
from freehold.sandbox.proofs import Prover
from freehold.sandbox.scripted import ORIGIN, Persona, Scripted
from freehold.sandbox.speech import spoken
from freehold.sandbox.tokens import count, count_request
from freehold.server.http import ClientGone, Incoming, Outgoing, Sink
from freehold.server.listings import bedrock_listing, model_list, one_model
from freehold.server.paths import Route, asked_model, find_route, likely_codec
from freehold.transport.framing import frame_writer

_BODY: Final = 64 * 1024 * 1024
_DIMENSIONS: Final = 1536
"""Of an embedding, where the request does not say: those of text-embedding-3-small."""

_GARBAGE: Final = b"\x00<html>502 Bad Gateway</html>\xff{"

_PROFILES: Final = ("us.", "eu.", "apac.", "global.")


class _Turn(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One request being answered: in which language, under which id, and through which door."""

    codec: Codec
    stamp: Stamp
    incoming: Incoming
    outgoing: Outgoing


class Answering:
    """Answers the requests of one cloud; `requests` counts them."""

    def __init__(
        self,
        *,
        spec: CloudSpec,
        provider: Provider,
        access: Access,
        switch: Switch,
        seed: int,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._spec = spec
        self._codecs = {offer.name: CODECS[offer.name] for offer in provider.protocols if offer.name in CODECS}
        self._access = access
        self._switch = switch
        self._clock = clock
        self._sleep = sleep
        self._prover = Prover(provider.name, seed)
        self._seed = seed
        self.requests = 0

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols that it speaks."""
        return tuple(self._codecs)

    async def handle(self, incoming: Incoming, outgoing: Outgoing) -> None:
        """One request. Raises nothing but bugs and cancellation."""
        self.requests += 1
        task = asyncio.current_task()
        if task is not None:
            incoming.when_gone(lambda: _cancel(task))
        try:
            await self._handle(incoming, outgoing)
        except ClientGone:
            return

    async def _handle(self, incoming: Incoming, outgoing: Outgoing) -> None:
        stamp = Stamp(id=f"sandbox{self._seed:x}{self.requests:08x}", created=int(self._clock()))
        route = find_route(incoming.method, incoming.path, incoming.headers, incoming.query)
        codec = None if route is None else self._codecs.get(route.codec)
        if route is None or codec is None:
            first = self._codecs.get(likely_codec(incoming.path, incoming.headers)) or next(iter(self._codecs.values()))
            await incoming.body(_BODY)
            error = CallerError(f"Invalid URL ({incoming.method} {incoming.path})", kind="not_found", code="not_found")
            _refuse(first, failure_of(error), stamp, outgoing)
            return
        turn = _Turn(codec=codec, stamp=stamp, incoming=incoming, outgoing=outgoing)
        try:
            body = await incoming.body(_BODY)
            self._access.check(codec.name, incoming, body)
            await self._stumble()
            await self._answer(route, turn, body)
        except FreeholdError as error:
            _refuse(codec, failure_of(error), stamp, outgoing)
        except Unsupported as error:
            failure = failure_of(CallerError(str(error), code="unsupported", kind="unsupported"))
            _refuse(codec, failure, stamp, outgoing)

    async def _stumble(self) -> None:
        """What goes wrong before there is an answer. Raises FreeholdError for an error answer."""
        fault = self._switch.fault
        if fault is None:
            return
        if fault == "stall":
            await self._switch.over()
        elif fault in ERRORS:
            status, kind, message = ERRORS[fault]
            error = FreeholdError(message, code=kind, kind=kind, status=status)
            if fault == "429-retry-after":
                error.retry = msgspec.structs.replace(error.retry, after=RETRY_AFTER)
            raise error

    async def _answer(self, route: Route, turn: _Turn, body: bytes) -> None:
        if route.operation in {"list", "get_model", "bedrock_listing"}:
            self._list(route, turn)
            return
        incoming = turn.incoming
        wire = WireRequest(
            method=incoming.method,
            path=incoming.path,
            query=incoming.query,
            headers=tuple(incoming.headers),
            body=body,
            operation=cast("Operation", route.operation),
        )
        request = turn.codec.decode_request(wire)
        match request:
            case Generate():
                await self._generate(request, turn)
            case Embed():
                self._check_model(request.model)
                await self._whole(_embeddings(request), request, turn)
            case Count():
                self._check_model(request.generate.model)
                result = TokenCount(origin=ORIGIN, input_tokens=count_request(request.generate))
                await self._whole(result, request, turn)
            case _:
                raise Unsupported("the sandbox has no answer to this operation")

    def _list(self, route: Route, turn: _Turn) -> None:
        models, path = self._spec.models, turn.incoming.path
        if route.operation == "bedrock_listing":
            found = bedrock_listing(path, models, region=self._spec.region or "us-east-1")
            turn.outgoing.respond(200, [("content-type", "application/json")], found)
            return
        asked = asked_model(path)
        result = one_model(asked, models, ORIGIN) if asked else model_list(models, ORIGIN)
        encoded = turn.codec.encode_response(result, turn.stamp).value
        turn.outgoing.respond(encoded.status, list(encoded.headers), encoded.body)

    def _check_model(self, model: str) -> str:
        """The model of that name; profiles and ARNs mean the model they end in. Raises CallerError (404)."""
        bare = unquote(model).rpartition("/")[2]
        prefix = next((each for each in _PROFILES if bare.startswith(each)), "")
        bare = bare.removeprefix(prefix)
        if bare not in self._spec.models:
            raise CallerError(
                f"The model `{model[:100]}` does not exist or you do not have access to it.",
                code="model_not_found",
                kind="not_found",
                param="model",
            )
        return bare

    # --- Answers -----------------------------------------------------------------------------------------------------

    async def _generate(self, request: Generate, turn: _Turn) -> None:
        model = self._check_model(request.model)
        persona = Persona(model=model, place=self._spec.speaks)
        response = Scripted(persona=persona, prover=self._prover, seed=self._seed).answer(request, turn.codec.name)
        pace = self._spec.pace
        if self._switch.fault == "slow":
            pace = Pace(first_token=pace.first_token, tokens_per_second=SLOW)
        await self._sleep(pace.first_token)
        if request.stream:
            await self._stream(request, response, pace, turn)
            return
        said = 0 if response.usage is None else response.usage.output_tokens or 0
        await self._sleep(said / pace.tokens_per_second)
        await self._whole(response, request, turn)

    async def _whole(self, result: Result, request: Generate | Embed | Count, turn: _Turn) -> None:
        outgoing = turn.outgoing
        answer = turn.codec.encode_response(result, turn.stamp, request).value
        headers = [*answer.headers, _identity(turn)]
        match self._switch.fault:
            case "garbled":
                outgoing.respond(200, headers, answer.body[: len(answer.body) // 2] + _GARBAGE)
            case "reset-midway" | "stall-midway" as fault:
                sink = await outgoing.start(200, [*headers, ("content-length", str(len(answer.body)))])
                await sink.send(answer.body[: len(answer.body) // 2])
                await self._break(sink, stall=fault == "stall-midway")
            case _:
                outgoing.respond(answer.status, headers, answer.body)

    async def _stream(self, request: Generate, response: Response, pace: Pace, turn: _Turn) -> None:
        framing = turn.codec.framing(request)
        encoder = turn.codec.encoder(turn.stamp, request)
        writer = frame_writer(framing)
        headers = [("content-type", CONTENT_TYPE_OF_FRAMING[framing]), _identity(turn)]
        sink = await turn.outgoing.start(200, headers)
        batches = list(spoken(response))
        midway = len(batches) // 2
        fault = self._switch.fault
        for number, (events, tokens) in enumerate(batches):
            if tokens:
                await self._sleep(tokens / pace.tokens_per_second)
            data = b"".join(writer.write(frame) for frame in encoder.feed(events))
            if number >= midway and data and fault in {"reset-midway", "stall-midway", "garbled"}:
                if fault != "stall-midway":
                    await sink.send(_garbled(data) if fault == "garbled" else data[: len(data) // 2])
                if fault != "garbled":
                    await self._break(sink, stall=fault == "stall-midway")
                    return
            elif data:
                await sink.send(data)
        if last := writer.close():
            await sink.send(last)
        await sink.end()

    async def _break(self, sink: Sink, *, stall: bool) -> None:
        """Cut the connection, after the fault is over if it is silence."""
        if stall:
            await self._switch.over()
        sink.abort()


def _cancel(task: asyncio.Task[object]) -> None:
    task.cancel()


def _garbled(data: bytes) -> bytes:
    """A frame with something else in its middle, of the same length."""
    third = len(data) // 3
    return data[:third] + (_GARBAGE * (third // len(_GARBAGE) + 1))[:third] + data[2 * third :]


def _identity(turn: _Turn) -> tuple[str, str]:
    return turn.codec.manners.request_id, f"req_{turn.stamp.id}"


def _refuse(codec: Codec, failure: Failure, stamp: Stamp, outgoing: Outgoing) -> None:
    wire = codec.encode_error(failure, stamp)
    outgoing.respond(wire.status, list(wire.headers), wire.body)


def _embeddings(request: Embed) -> Embeddings:
    texts = [text if isinstance(text, str) else repr(text) for text in request.inputs]
    size = min(request.dimensions or _DIMENSIONS, 8192)
    return Embeddings(
        origin=ORIGIN,
        model=request.model,
        data=tuple(Embedding(vector=_vector(text, size)) for text in texts),
        usage=Usage(input_tokens=sum(count(text) for text in texts)),
    )


def _vector(text: str, size: int) -> tuple[float, ...]:
    """A unit vector that depends on the text alone."""
    digest = sha256(text.encode()).digest()
    raw = [digest[index % 32] / 127.5 - 1 + index / size / 100 for index in range(size)]
    length = math.sqrt(sum(value * value for value in raw)) or 1.0
    return tuple(round(value / length, 6) for value in raw)
