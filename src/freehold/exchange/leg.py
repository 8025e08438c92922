"""A leg: one attempt at one target, from sending to what it cost.

`open` waits until the answer has proved to be one: whole and understood, or a stream that has begun to say something.
An error dressed as a success, and a stream that breaks before its first word, are raised, so that another target gets
its chance while the client knows of nothing. Every leg ends once, in `settle`, `fail` or `cut`, and notes on its
attempt record what was used: also one that nobody waits for any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from freehold.errors import UpstreamError
from freehold.exchange.failures import attempt_failed, failure_of, kind_of, without_credentials
from freehold.exchange.metering import usage_of
from freehold.exchange.record import MAX_NOTED, AttemptRecord, Outcome, UsageRecord, UsageSource
from freehold.ir import (
    ArgumentsDelta,
    Embeddings,
    ErrorEnd,
    Event,
    Failure,
    Generate,
    Pulse,
    Response,
    ResponseEnd,
    ResponseStart,
    Result,
    TextDelta,
    Usage,
    UsageDelta,
)
from freehold.ir.fold import fold, merge_usage
from freehold.protocols.codec import Framing, WireResponse
from freehold.providers.auth import Fixed, Grant
from freehold.providers.prices import cost
from freehold.routing.features import weight
from freehold.routing.tokens import count
from freehold.transport.framing import FrameParser, frame_parser
from freehold.transport.framing.sse import write_sse

if TYPE_CHECKING:
    from freehold.exchange.lanes import Prepared
    from freehold.exchange.pace import Pace
    from freehold.exchange.road import Journey
    from freehold.protocols.codec import Frame, StreamDecoder
    from freehold.routing.commitments import Use
    from freehold.routing.features import Candidate
    from freehold.transport.answer import Answer

_FRAMINGS: dict[str, Framing] = {
    "text/event-stream": "sse",
    "application/vnd.amazon.eventstream": "event-stream",
    "application/x-ndjson": "json-lines",
}

_JSON = ("content-type", "application/json")

MAX_ERROR_BODY = 1024 * 1024
"""Bytes of a provider's error that are read; real ones are under 10 KB."""

SHORTEST_MEASURED = 0.005
"""Seconds below which a speed is noise."""

LONGEST_ANNOUNCED = 10.0
"""Seconds that a stream which only announced itself is kept from the client, so that a break is still free; load
balancers hang up after 60 s of silence, clients' own connection pools after 15 s at the earliest."""

Arrived = tuple[list[list[Event]], bytes]
"""One piece of a stream: the events of each frame that it completed, and its bytes."""


class Watch:
    """What must be known of a stream that passes: usage so far, whether it ended, whether it broke."""

    __slots__ = ("ended", "failure", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.ended = False
        self.failure: Failure | None = None

    def see(self, events: Sequence[Event]) -> None:
        """Note what one batch says."""
        for event in events:
            if isinstance(event, UsageDelta):
                self.usage = merge_usage(self.usage, event.usage)
            elif isinstance(event, ResponseStart):
                self.usage = merge_usage(self.usage, event.response.usage)
            elif isinstance(event, ResponseEnd):
                self.ended = True
            elif isinstance(event, ErrorEnd):
                self.failure = event.failure


class Stream:
    """An answer that arrives piece by piece, up to its own end.

    A connection that fails in the middle ends as an ErrorEnd.
    """

    __slots__ = (
        "_answer",
        "_begun",
        "_decoder",
        "_held",
        "_hides",
        "_left",
        "_over",
        "_pace",
        "_parser",
        "framing",
        "leg",
    )

    def __init__(self, leg: Leg, answer: Answer, framing: Framing) -> None:
        journey, prepared = leg.journey, leg.prepared
        self.leg = leg
        self._answer = answer
        self.framing: Framing = framing
        self._parser: FrameParser = frame_parser(framing)
        self._decoder: StreamDecoder = prepared.target.codec.decoder(journey.asked(prepared))
        self._hides = hides_usage(journey, prepared)
        self._left = journey.snapshot.max_answer
        self._held: list[Arrived] = []
        self._begun = False
        self._over = False
        self._pace = journey.pace()

    @property
    def failure(self) -> Failure | None:
        """Why it broke off, once it did."""
        return self.leg.watch.failure

    async def hold(self) -> None:
        """Wait until it has said something, or has kept silent for long. Raises UpstreamError if it breaks before."""
        said = await self._until(_SILENT) and any(_says(arrived, _ANNOUNCING) for arrived in self._held)
        if not said and not self._over:
            try:
                async with asyncio.timeout(LONGEST_ANNOUNCED):
                    said = await self._until(_ANNOUNCING)
            except TimeoutError:
                return
        failure = self.leg.watch.failure
        if failure is not None and not said:
            raise attempt_failed(failure)
        if not self._held:
            raise UpstreamError("the provider's stream was empty", code="upstream_truncated", kind="bad_gateway")

    async def _until(self, kinds: tuple[type[Event], ...]) -> bool:
        """Take pieces until one holds an event of another kind; False if the stream ends before."""
        while (arrived := await self._receive()) is not None:
            self._held.append(arrived)
            if _says(arrived, kinds):
                return True
        return False

    async def whole(self) -> Response:
        """Read it to its end and still hold all of it. Raises UpstreamError if it breaks off before, or is too slow."""
        while (arrived := await self._receive()) is not None:
            self._held.append(arrived)
            if self.leg.slow:
                raise UpstreamError("the provider's stream was too slow", code="too_slow", kind="timeout")
        if self.leg.watch.failure is not None:
            raise attempt_failed(self.leg.watch.failure)
        return fold(events for batches, _ in self._held for events in batches)

    def seen(self) -> int:
        """Characters that have arrived and nobody has received."""
        said = (event for batches, _ in self._held for events in batches for event in events)
        return sum(len(event.text) for event in said if isinstance(event, TextDelta | ArgumentsDelta))

    async def receive(self) -> Arrived | None:
        """The next piece; None at the end. Cancelling it loses nothing. Raises UpstreamError before the first event."""
        if self._held:
            return self._held.pop(0)
        return await self._receive()

    async def _receive(self) -> Arrived | None:
        if self._over:
            return None
        try:
            data = await self._answer.receive()
            if data:
                arrived = self._read(self._parser.feed(data), data)
                self._over = self.leg.watch.failure is not None
                return arrived
            frames = self._parser.close()
        except UpstreamError as error:
            self._over = True
            await self._answer.abort()
            if not self._begun:
                raise
            return self._broken(error)
        self._over = True
        return self._last(frames)

    def _read(self, frames: list[Frame], data: bytes) -> Arrived:
        self._left -= len(data)
        if self._left < 0:
            raise _endless()
        decode, watch = self._decoder.feed, self.leg.watch
        batches = [decode(frame) for frame in frames]
        for events in batches:
            watch.see(events)
            self._begun = self._begun or bool(events)
        if self._pace is not None:
            self._measure(self._pace, batches)
        if not self._hides:
            return batches, data
        if self.leg.prepared.lane == "tunnel":
            kept = zip(frames, batches, strict=True)
            return batches, b"".join(write_sse(frame) for frame, events in kept if not only_usage(events))
        return [events for events in batches if not only_usage(events)], data

    def _measure(self, pace: Pace, batches: list[list[Event]]) -> None:
        """Look how fast the text comes; once it has been too slow it is not measured any more."""
        deltas = (event for events in batches for event in events if isinstance(event, TextDelta | ArgumentsDelta))
        characters = sum(len(event.text) for event in deltas)
        if characters and pace.slow(self.leg.journey.now(), characters):
            self._pace = None
            self.leg.is_slow()

    def _broken(self, error: UpstreamError) -> Arrived:
        broken: list[Event] = [ErrorEnd(failure=failure_of(error))]
        self.leg.watch.see(broken)
        return [broken], b""

    def _last(self, frames: list[Frame]) -> Arrived | None:
        watch = self.leg.watch
        batches = [self._decoder.feed(frame) for frame in frames]
        for events in batches:
            watch.see(events)
        if not (watch.ended or watch.failure):
            last = self._decoder.close()
            watch.see(last)
            batches.append(last)
        return (batches, b"") if batches else None


Opened = WireResponse | Result | Stream
"""What an answer proved to be: one that passes as it is, one that was read, or one that is arriving."""


class Leg:
    """One attempt."""

    __slots__ = (
        "_granted",
        "_held",
        "_probing",
        "_settled",
        "_used",
        "answer",
        "attempt",
        "began",
        "candidate",
        "first_token",
        "journey",
        "prepared",
        "slow",
        "watch",
    )

    def __init__(self, journey: Journey, candidate: Candidate, prepared: Prepared) -> None:
        self.journey = journey
        self.candidate = candidate
        self.prepared = prepared
        self.attempt = AttemptRecord(target=prepared.target.name, lane=prepared.lane)
        journey.record.attempts.append(self.attempt)
        self.watch = Watch()
        self.answer: Answer | None = None
        self.began = journey.now()
        """When it was sent, on the journey's clock."""
        self.first_token: float | None = None
        """Seconds to the first event that says something; None for whole answers."""
        self.slow = False
        """Whether its stream fell below the speed that the model may have at least."""
        self._granted = Grant()
        self._probing = False
        self._settled = False
        self._held = 0.0
        self._used: Use | None = None
        """What it takes of a commitment: while it is under way, and as counted at its end."""

    async def open(self) -> Opened:
        """Send, and wait until there is an answer. Raises UpstreamError; who is cancelled meanwhile is cut."""
        try:
            self._probing = self.journey.road.health.asked(self.candidate, self.began)
            self._hold()
            answer = self.answer = await self._send()
            self.attempt.status = answer.status
            self.attempt.first_byte_ms = self._milliseconds()
            self.attempt.request_id = _request_id(answer, self.prepared.target.request_id_headers)
            if answer.status >= 400:
                await self._refused(answer)
            framing = self._framing(answer)
            if framing is None:
                return await self._whole(answer)
            stream = Stream(self, answer, framing)
            if not self.journey.seen.stream:
                return await self._folded(stream)
            await stream.hold()
            self.first_token = self.journey.now() - self.began
            return stream
        except UpstreamError as error:
            await self.fail(error)
            raise
        except BaseException:
            await self.cut()
            raise

    def _hold(self) -> None:
        commitment = self.candidate.commitment
        if commitment is not None:
            self._held = weight(self.candidate, self.journey.ask)
            self.journey.road.fills.hold(commitment, self._held)

    async def _send(self) -> Answer:
        journey, target, wire = self.journey, self.prepared.target, self.prepared.wire
        path, query = target.locate(wire)
        headers = [_JSON, *target.headers]
        if wire.headers:
            said = {name for name, _ in wire.headers}
            headers = [
                _JSON,
                *(pair for pair in target.headers if pair[0] not in said),
                *(pair for pair in wire.headers if pair[0] != "content-type"),
            ]
        how = target.authenticator
        grant = (
            how.granted
            if isinstance(how, Fixed)
            else await how.grant(
                method=wire.method,
                host=target.endpoint.authority,
                path=path,
                query=query,
                headers=headers,
                body=wire.body,
            )
        )
        self._granted = grant
        headers.extend(grant.headers)
        query = f"{query}&{grant.query}" if query and grant.query else query or grant.query
        return await journey.road.client.send(
            target.endpoint,
            wire.method,
            f"{path}?{query}" if query else path,
            headers,
            wire.body,
            deadline=journey.arrival.deadline,
        )

    async def _refused(self, answer: Answer) -> None:
        said = WireResponse(status=answer.status, headers=tuple(answer.headers), body=await answer.read(MAX_ERROR_BODY))
        raise attempt_failed(self.prepared.target.codec.decode_error(without_credentials(said, self._granted)))

    def _framing(self, answer: Answer) -> Framing | None:
        """How the answer is framed, by its own word; a JSON array is one only where a stream was asked for."""
        kind = content_type(answer.headers).partition(";")[0].strip().lower()
        framing = _FRAMINGS.get(kind)
        if framing is None and self.prepared.wire.stream and not kind.endswith("json"):
            # Some servers stream under no or a wrong type; what was asked for is then the better guess.
            return self.prepared.target.codec.manners.framing
        return framing

    async def _whole(self, answer: Answer) -> WireResponse | Result:
        journey, codec = self.journey, self.prepared.target.codec
        body = await answer.read(journey.snapshot.max_answer)
        wire = WireResponse(status=answer.status, headers=tuple(answer.headers), body=body)
        asked = journey.asked(self.prepared)
        if self.prepared.lane == "tunnel" and not journey.seen.stream:
            self.watch.usage = usage_of(codec, wire, asked)
            self.watch.ended = True
            return wire
        result = codec.decode_response(wire, asked)
        if isinstance(result, Response | Embeddings):
            self.watch.usage = result.usage
        self.watch.ended = True
        return result

    async def _folded(self, stream: Stream) -> Response:
        """The whole answer of an upstream that streams to a client that did not ask for it."""
        return await stream.whole()

    # --- How it ends ---------------------------------------------------------------------------------------------

    def settle(self, outcome: Outcome) -> None:
        """Note usage and cost as they are now known, and how the target did; the first end counts."""
        if self._settled:
            return
        self._note()
        attempt, failure = self.attempt, self.watch.failure
        if failure is not None:
            attempt.error = (failure.code or failure.kind)[:MAX_NOTED]
        health, usage = self.journey.road.health, self.watch.usage
        if self.slow:
            attempt.error = "too_slow"
        elif outcome == "broken" and failure is not None:
            health.failed(self.candidate, kind_of(failure), self.journey.now())
        elif outcome == "ok":
            written = 0 if usage is None else usage.output_tokens or 0
            seconds = self.journey.now() - self.began - (self.first_token or 0.0)
            speed = written / seconds if written and seconds > SHORTEST_MEASURED else None
            counted = self.first_token is not None or self.journey.arrival.operation == "count"
            whole = None if counted else seconds
            health.answered(self.candidate, first_token=self.first_token, speed=speed, whole=whole)
            if self.journey.conversation and usage is not None:
                self.journey.road.affinity.learn(self.journey.conversation, self.candidate, usage, self.began)
        elif self._probing:
            health.left(self.candidate)

    async def fail(self, error: UpstreamError) -> None:
        """It gave no answer that can be used: cut it, and hold it against the target."""
        if self.answer is not None:
            await self.answer.abort()
        if self._settled:
            return
        self._note()
        self.attempt.error = error.code[:MAX_NOTED]
        if not self.slow:
            health, after = self.journey.road.health, error.retry.after
            health.failed(self.candidate, error.kind, self.journey.now(), after=after)

    def is_slow(self) -> None:
        """Hold it against the target at once: a slow stream may last for long."""
        self.slow = True
        self.journey.road.health.failed(self.candidate, "timeout", self.journey.now())

    async def sent(self) -> int:
        """Our own count of the input tokens; in a thread, since a long body takes long."""
        request = self.prepared.request or self.journey.request()
        if not isinstance(request, Generate):
            return self.sent_at_least()
        return (await asyncio.to_thread(count, request, self.prepared.target.tokenizer)).tokens

    def sent_at_least(self) -> int:
        """The same from the body's length, at once."""
        return int(len(self.prepared.wire.body) * self.candidate.per_byte)

    async def cut(self) -> None:
        """Nobody waits for it any more: cut it, so that the provider stops working; no fault of the target's."""
        if self.answer is not None:
            await self.answer.abort()
        if self._settled:
            return
        self._note()
        if self._probing:
            self.journey.road.health.left(self.candidate)

    def presume(self, usage: Usage) -> None:
        """It was cut: note what its provider may have charged, as far as it has not said so itself."""
        if self.watch.ended:
            return
        said = self.watch.usage
        self.watch.usage = merge_usage(usage, said)
        if said is not None and said.output_tokens is not None:
            # What a stream begins with is no count of what came after.
            most = max(said.output_tokens, usage.output_tokens or 0)
            self.watch.usage = msgspec.structs.replace(self.watch.usage or usage, output_tokens=most)
        self._bill("estimate")

    def release(self) -> None:
        """Its answer was read to the end; the connection may serve others."""
        if self.answer is not None:
            self.answer.release()

    def _note(self) -> None:
        self._settled = True
        # The row is written before the client has its last byte, so the upstream's last byte is noted here.
        self.attempt.last_byte_ms = self._milliseconds()
        self._bill("provider" if self.watch.ended else "partial")

    def _bill(self, source: UsageSource) -> None:
        attempt, usage = self.attempt, self.watch.usage
        if usage is not None:
            self._price(attempt, usage, source)
        commitment = self.candidate.commitment
        if commitment is not None:
            usd = (attempt.cost_nano_usd or 0) * 1e-9
            fills, now = self.journey.road.fills, self.journey.now()
            self._used = fills.settle(commitment, usage, usd, now, held=self._held, counted=self._used)
            self._held = 0.0

    def _price(self, attempt: AttemptRecord, usage: Usage, source: UsageSource) -> None:
        attempt.usage = UsageRecord(
            source=source,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read=usage.cache_read,
            cache_write=usage.cache_write,
            reasoning=usage.reasoning,
        )
        price = self.prepared.target.price
        if price is not None:
            attempt.cost_nano_usd = cost(usage, price.at(self.journey.record.started))
            attempt.price_version = price.version

    def _milliseconds(self) -> float:
        return round((self.journey.now() - self.began) * 1000, 3)


def content_type(headers: Sequence[tuple[str, str]]) -> str:
    """The media type that headers announce, "" where they do not."""
    for name, value in headers:
        if name == "content-type":
            return value
    return ""


def _request_id(answer: Answer, wanted: Sequence[str]) -> str | None:
    for name, value in answer.headers:
        if name in wanted:
            return value[:MAX_NOTED]
    return None


def hides_usage(journey: Journey, prepared: Prepared) -> bool:
    """Whether the road asked for usage that this client did not; encoders of other protocols know by themselves."""
    client, spoken = journey.arrival.codec.manners, prepared.target.codec.manners
    return client.usage_on_demand and spoken.usage_on_demand and not journey.seen.usage


def _endless() -> UpstreamError:
    return UpstreamError("the provider's stream does not end", code="upstream_answer_too_large", kind="bad_gateway")


def only_usage(events: list[Event]) -> bool:
    """Whether a frame held nothing but the figures that the road asked for."""
    return bool(events) and all(isinstance(event, UsageDelta) for event in events)


_SILENT: tuple[type[Event], ...] = (Pulse, ErrorEnd)
_ANNOUNCING: tuple[type[Event], ...] = (Pulse, ErrorEnd, ResponseStart, UsageDelta)
"""Events that say nothing of the answer itself; an announcement alone can still be taken back."""


def _says(arrived: Arrived, kinds: tuple[type[Event], ...]) -> bool:
    """Whether a piece holds an event of any other kind."""
    return any(not isinstance(event, kinds) for events in arrived[0] for event in events)
