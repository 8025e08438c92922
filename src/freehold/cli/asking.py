"""Asking a model from the command line, on the gateway's own road, in process and without a port."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from freehold.cli.words import ago
from freehold.errors import FreeholdError
from freehold.exchange.door import Arrival
from freehold.exchange.record import ExchangeRecord
from freehold.ir import (
    ArgumentsDelta,
    Event,
    Generate,
    JsonObject,
    JsonValue,
    PartStart,
    Reasoning,
    Response,
    Text,
    TextDelta,
    write_json,
)
from freehold.ir.fold import Folding
from freehold.protocols.codec import Frame, WireRequest, WireResponse
from freehold.protocols.registry import CODECS
from freehold.transport.framing import frame_parser

if TYPE_CHECKING:
    from freehold.app import Service

PROTOCOL = "openai-chat"
"""The protocol that the command line speaks; translations from it lose nothing of a plain question."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, and how much may come back. `messages`, as the protocol writes them, take the place of `text`."""

    model: str
    text: str = ""
    messages: tuple[JsonObject, ...] = ()
    system: str | None = None
    max_tokens: int | None = None
    stream: bool = False

    def body(self) -> JsonObject:
        """The request as the protocol writes it."""
        messages: list[JsonValue] = [*(self.messages or ({"role": "user", "content": self.text},))]
        if self.system is not None:
            messages.insert(0, {"role": "system", "content": self.system})
        body: JsonObject = {"model": self.model, "messages": messages}
        if self.max_tokens is not None:
            body["max_completion_tokens"] = self.max_tokens
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """When the words of a streamed answer came, in seconds since it was asked; None where none came.

    `reasoned` says that the first words were reasoning: what is counted from them on includes it.
    """

    first: float | None = None
    last: float | None = None
    reasoned: bool = False


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a question, by itself. `error` is what went wrong, None for a whole answer."""

    exchange: str
    text: str
    pace: Pace
    error: str | None = None


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a question, with its record. `error` is what went wrong, None for a whole answer."""

    text: str
    record: ExchangeRecord | None
    error: str | None = None


class _Listener:
    """The door and the sink of a question asked here: words go to `hear` as they come, reasoning does not."""

    def __init__(self, request: Generate, hear: Callable[[str], None], now: Callable[[], float]) -> None:
        self._codec = CODECS[PROTOCOL]
        self._parser = frame_parser("sse")
        self._decoder = self._codec.decoder(request)
        self._folding = Folding()
        self._hear = hear
        self._request = request
        self._now = now
        self._asked = now()
        self._reasoning: set[tuple[int, int]] = set()
        self.pace = Pace()
        self.text = ""
        self.error: str | None = None

    def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """A whole answer, or an error."""
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
        del status, headers
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
                self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case PartStart(part=Reasoning()):
                self._reasoning.add((event.choice, event.index))
            case TextDelta() | ArgumentsDelta():
                reasoning = (event.choice, event.index) in self._reasoning
                if event.text:
                    self._clock_in(reasoning=reasoning)
                if isinstance(event, TextDelta) and not reasoning:
                    self._say(event.text)
            case _:
                pass

    def _clock_in(self, *, reasoning: bool) -> None:
        after = self._now() - self._asked
        pace = self.pace
        if pace.first is None:
            self.pace = Pace(first=after, last=after, reasoned=reasoning)
        else:
            self.pace = Pace(first=pace.first, last=after, reasoned=pace.reasoned)

    def _say(self, text: str) -> None:
        self.text += text
        self._hear(text)


def readable(question: Question) -> Generate:
    """The question as its protocol reads it. Raises CallerError for messages that are none."""
    request = CODECS[PROTOCOL].decode_request(_wire(question))
    if not isinstance(request, Generate):
        raise TypeError("a question is always a request to generate")
    return request


def _wire(question: Question) -> WireRequest:
    return WireRequest(
        path="/v1/chat/completions", headers=(("content-type", "application/json"),), body=write_json(question.body())
    )


async def listen(
    service: Service,
    question: Question,
    hear: Callable[[str], None],
    *,
    exchange: str,
    tags: Mapping[str, str] | None = None,
) -> Heard:
    """One question down the road. Raises nothing but bugs and cancellation: what went wrong is in what was heard."""
    from freehold.server.worker import SystemClock

    clock = SystemClock()
    arrival = Arrival(
        id=exchange,
        codec=CODECS[PROTOCOL],
        operation="generate",
        wire=_wire(question),
        project="local",
        key=None,
        models=(),
        started=clock.time(),
        deadline=clock.monotonic() + service.config.limits.exchange_timeout,
        tags=dict(tags or {}),
    )
    door = _Listener(readable(question), hear, clock.monotonic)
    try:
        await service.road.travel(arrival, door, service.serving.snapshot)
    except FreeholdError as error:
        door.error = error.message
    return Heard(exchange=arrival.id, text=door.text, pace=door.pace, error=door.error)


async def ask(service: Service, question: Question, hear: Callable[[str], None]) -> Answered:
    """One question down the road, and its record. Raises nothing but bugs and cancellation."""
    from freehold.server.control import find_record
    from freehold.server.worker import ExchangeIds

    heard = await listen(service, question, hear, exchange=ExchangeIds()())
    record = await asyncio.to_thread(find_record, service.spool.folder, heard.exchange)
    return Answered(text=heard.text, record=record, error=heard.error)


def said_terms(terms: Mapping[str, float]) -> str:
    """What a score was made of."""
    said = [f"{name} {value:.6g}" for name, value in terms.items() if name != "bench_age_s"]
    if "bench_age_s" in terms:
        said.append(f"measured by bench {ago(terms['bench_age_s'])}")
    return ", ".join(said)


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
        lines += [f"  {name}: {said_terms(terms)}" for name, terms in ordered]
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
