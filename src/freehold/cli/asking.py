"""Asking a model from the command line, on the gateway's own road, in process and without a port."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from freehold.errors import FreeholdError
from freehold.exchange.door import Arrival
from freehold.exchange.record import ExchangeRecord
from freehold.ir import Generate, JsonObject, JsonValue, Response, Text, TextDelta, write_json
from freehold.ir.fold import Folding
from freehold.protocols.codec import Frame, WireRequest, WireResponse
from freehold.protocols.registry import CODECS
from freehold.transport.framing import frame_parser

if TYPE_CHECKING:
    from freehold.app import Service

PROTOCOL = "openai-chat"
"""The protocol that the command line speaks; translations from it lose nothing of a plain question."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, and how much may come back."""

    model: str
    text: str
    system: str | None = None
    max_tokens: int | None = None
    stream: bool = False

    def body(self) -> JsonObject:
        """The request as the protocol writes it."""
        messages: list[JsonValue] = [{"role": "user", "content": self.text}]
        if self.system is not None:
            messages.insert(0, {"role": "system", "content": self.system})
        body: JsonObject = {"model": self.model, "messages": messages}
        if self.max_tokens is not None:
            body["max_completion_tokens"] = self.max_tokens
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `error` is what went wrong, None for a whole answer."""

    text: str
    record: ExchangeRecord | None
    error: str | None = None


class _Listener:
    """The door and the sink of a question asked here: words go to `hear` as they come."""

    def __init__(self, request: Generate, hear: Callable[[str], None]) -> None:
        self._codec = CODECS[PROTOCOL]
        self._parser = frame_parser("sse")
        self._decoder = self._codec.decoder(request)
        self._folding = Folding()
        self._hear = hear
        self._request = request
        self.text = ""
        self.error: str | None = None
        self.headers: list[tuple[str, str]] = []

    def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """A whole answer, or an error."""
        self.headers = list(headers)
        wire = WireResponse(status=status, headers=tuple(headers), body=body)
        if status >= 400:
            self.error = self._codec.decode_error(wire).message
            return
        result = self._codec.decode_response(wire, self._request)
        if isinstance(result, Response):
            self._say(
                "".join(part.text for choice in result.choices for part in choice.parts if isinstance(part, Text))
            )

    async def start(self, status: int, headers: Sequence[tuple[str, str]]) -> _Listener:
        """A streamed answer begins."""
        del status
        self.headers = list(headers)
        return self

    async def send(self, data: bytes) -> None:
        """Some of it."""
        self._read(self._parser.feed(data))

    async def end(self) -> None:
        """All of it has come."""
        self._read(self._parser.close())

    def abort(self) -> None:
        """It broke off."""
        if self.error is None:
            failure = self._folding.failure
            self.error = "the answer broke off" if failure is None else failure.message

    def _read(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            events = self._decoder.feed(frame)
            self._folding.feed(events)
            for event in events:
                if isinstance(event, TextDelta):
                    self._say(event.text)

    def _say(self, text: str) -> None:
        self.text += text
        self._hear(text)


async def ask(service: Service, question: Question, hear: Callable[[str], None]) -> Answered:
    """One question down the road. Raises nothing but bugs and cancellation: what went wrong is in the answer."""
    from freehold.server.control import find_record
    from freehold.server.worker import ExchangeIds, SystemClock

    codec = CODECS[PROTOCOL]
    clock = SystemClock()
    wire = WireRequest(
        path="/v1/chat/completions", headers=(("content-type", "application/json"),), body=write_json(question.body())
    )
    request = codec.decode_request(wire)
    if not isinstance(request, Generate):
        raise TypeError("a question is always a request to generate")
    door = _Listener(request, hear)
    arrival = Arrival(
        id=ExchangeIds()(),
        codec=codec,
        operation="generate",
        wire=wire,
        project="local",
        key=None,
        models=(),
        started=clock.time(),
        deadline=clock.monotonic() + service.config.limits.exchange_timeout,
    )
    try:
        await service.road.travel(arrival, door, service.serving.snapshot)
    except FreeholdError as error:
        door.error = error.message
    record = await asyncio.to_thread(find_record, service.spool.folder, arrival.id)
    return Answered(text=door.text, record=record, error=door.error)


def explanation(record: ExchangeRecord) -> list[str]:
    """Who answered, what was tried before, what was lost and what it cost: a fact a line."""
    lines: list[str] = []
    for attempt in record.attempts:
        outcome = attempt.error or "answered"
        if attempt.lost:
            outcome = "cut, since another was quicker"
        elif attempt.check is not None:
            outcome = f"answered, and did not pass ({attempt.check})"
        if attempt.hedge:
            outcome = f"asked beside it: {outcome}"
        first = "" if attempt.first_byte_ms is None else f", first byte after {attempt.first_byte_ms:.0f} ms"
        lines.append(
            f"{attempt.target} ({attempt.lane}): {outcome}{first}, done after {attempt.last_byte_ms or 0:.0f} ms"
        )
    if record.strategy is not None:
        lines.append(f"chosen by {record.strategy}, the lowest score first:")
        ordered = sorted(record.scores.items(), key=lambda item: item[1].get("score", math.inf))
        for name, terms in ordered:
            lines.append(f"  {name}: " + ", ".join(f"{term} {value:.6g}" for term, value in terms.items()))
    lines += [f"not tried: {name}: {reason}" for name, reason in record.rejections.items()]
    lines += [f"lost: {loss.path} {loss.kind} ({loss.effect}) {loss.detail}".rstrip() for loss in record.losses]
    if record.usage is not None:
        lines.append(f"tokens: {record.usage.input_tokens} in, {record.usage.output_tokens} out")
    if record.cost_nano_usd is None:
        lines.append("cost: not known")
    else:
        lines.append(f"cost: {record.cost_nano_usd / 1e9:.9f} USD ({record.price_version})")
    lines.append(f"exchange: {record.id}")
    return lines
