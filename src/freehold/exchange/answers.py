"""A target's answer on its way back to the client: whole or streamed, as it is or in another protocol.

Nothing reaches the client before the answer has proved to be one: an error dressed as a success, or a stream that
breaks before its first word, is raised as an UpstreamError and the next target gets its chance.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from freehold.errors import UpstreamError
from freehold.exchange.failures import FREEHOLD, attempt_failed, failure_of, kind_of
from freehold.exchange.headers import answer_headers, dollars, passed_on
from freehold.exchange.heartbeat import Heartbeat
from freehold.exchange.metering import usage_of
from freehold.exchange.proofs import SealedStream, seal_response
from freehold.exchange.record import MAX_NOTED, Outcome, UsageRecord
from freehold.ir import (
    Embeddings,
    ErrorEnd,
    Event,
    Failure,
    Pulse,
    Response,
    ResponseEnd,
    ResponseStart,
    Usage,
    UsageDelta,
)
from freehold.ir.fold import fold, merge_usage, unfold
from freehold.protocols.codec import CONTENT_TYPE_OF_FRAMING, Framing, StreamDecoder, WireResponse
from freehold.providers.prices import cost
from freehold.transport.framing import FrameParser, FrameWriter, frame_parser, frame_writer
from freehold.transport.framing.sse import write_sse

if TYPE_CHECKING:
    from freehold.exchange.door import Sink
    from freehold.exchange.lanes import Prepared
    from freehold.exchange.record import AttemptRecord
    from freehold.exchange.road import Journey
    from freehold.ir import Loss, Result
    from freehold.protocols.codec import StreamEncoder
    from freehold.routing.features import Candidate
    from freehold.transport.answer import Answer

_FRAMINGS: dict[str, Framing] = {
    "text/event-stream": "sse",
    "application/vnd.amazon.eventstream": "event-stream",
    "application/x-ndjson": "json-lines",
}


SHORTEST_MEASURED = 0.005
"""Seconds below which a speed is noise."""

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


class Answering:
    """Passes one answer on."""

    __slots__ = ("answer", "attempt", "began", "candidate", "first_token", "journey", "prepared", "watch")

    def __init__(
        self,
        journey: Journey,
        candidate: Candidate,
        prepared: Prepared,
        answer: Answer,
        attempt: AttemptRecord,
        *,
        began: float,
    ) -> None:
        """`began` is when the attempt was sent, on the journey's clock."""
        self.journey = journey
        self.candidate = candidate
        self.first_token: float | None = None
        """Seconds to the first event that says something; None for whole answers."""
        self.prepared = prepared
        self.answer = answer
        self.attempt = attempt
        self.began = began
        self.watch = Watch()

    async def pass_on(self) -> None:
        """Answer the client. Raises UpstreamError while nothing has been sent to it."""
        framing = self._framing()
        if framing is None:
            await self._whole()
        elif self.journey.seen.stream:
            await self._stream(framing)
        else:
            await self._folded(framing)

    def _framing(self) -> Framing | None:
        """How the answer is framed, by its own word; a JSON array is one only where a stream was asked for."""
        kind = _content_type(self.answer.headers).partition(";")[0].strip().lower()
        framing = _FRAMINGS.get(kind)
        if framing is None and self.prepared.wire.stream and not kind.endswith("json"):
            # Some servers stream under no or a wrong type; what was asked for is then the better guess.
            return "sse"
        return framing

    # --- Whole answers ---------------------------------------------------------------------------------------------

    async def _whole(self) -> None:
        journey, codec = self.journey, self.prepared.target.codec
        body = await self.answer.read(journey.snapshot.max_answer)
        wire = WireResponse(status=self.answer.status, headers=tuple(self.answer.headers), body=body)
        if self.prepared.lane == "tunnel" and not journey.seen.stream:
            self.watch.usage = usage_of(codec, wire, journey.asked(self.prepared))
            self.watch.ended = True
            content_type = _content_type(wire.headers) or "application/json"
            self._respond(wire.status, content_type, body, passed_on(wire.headers))
            return
        result = codec.decode_response(wire, journey.asked(self.prepared))
        if isinstance(result, Response | Embeddings):
            self.watch.usage = result.usage
        self.watch.ended = True
        if isinstance(result, Response) and journey.seen.stream:
            await self._unfolded(result)
        else:
            self._encode_whole(result)

    def _encode_whole(self, result: Result) -> None:
        journey = self.journey
        if isinstance(result, Response):
            result = self._sealed(self.named(result))
        encoded = journey.arrival.codec.encode_response(result, journey.stamp, journey.request())
        journey.record.losses = self.prepared.losses + encoded.losses
        content_type = _content_type(encoded.value.headers) or "application/json"
        self._respond(encoded.value.status, content_type, encoded.value.body, [])

    def named(self, response: Response) -> Response:
        """The answer with the name of the model that gave it: Bedrock does not repeat it, and clients need it."""
        if response.model or self.prepared.lane != "translate":
            return response
        return msgspec.structs.replace(response, model=self.prepared.target.model)

    def _sealed(self, response: Response) -> Response:
        journey, target = self.journey, self.prepared.target
        client = journey.arrival.codec.language
        return seal_response(response, client, target.maker, journey.road.sealer, journey.arrival.project)

    async def _folded(self, framing: Framing) -> None:
        """A unary client on an upstream that streams all the same."""
        decoder = self.prepared.target.codec.decoder(self.journey.asked(self.prepared))
        batches = [events async for arrived, _ in self._arrivals(framing, decoder) for events in arrived]
        if self.watch.failure is not None:
            raise attempt_failed(self.watch.failure)
        self._encode_whole(fold(batches))

    def _respond(self, status: int, content_type: str, body: bytes, passed: list[tuple[str, str]]) -> None:
        journey = self.journey
        self._settle("ok")
        journey.record.status = status
        headers = self._headers(content_type)
        if journey.record.cost_nano_usd is not None:
            headers.append(("freehold-cost", dollars(journey.record.cost_nano_usd)))
        headers.extend(passed)
        journey.finish()
        journey.door.respond(status, headers, body)

    def _headers(self, content_type: str) -> list[tuple[str, str]]:
        journey = self.journey
        return answer_headers(
            request_id=journey.arrival.codec.manners.request_id,
            exchange=journey.arrival.id,
            target=self.prepared.target.name,
            attempts=len(journey.record.attempts),
            losses=journey.record.losses or self.prepared.losses,
            content_type=content_type,
        )

    # --- Streams ---------------------------------------------------------------------------------------------------

    async def _arrivals(self, framing: Framing, decoder: StreamDecoder) -> AsyncIterator[Arrived]:
        """The stream as it arrives, up to its own end.

        A connection that fails in the middle ends as an ErrorEnd. Raises UpstreamError only before the first event.
        """
        parser: FrameParser = frame_parser(framing)
        watch = self.watch
        hide, tunnel = self._hides_usage(), self.prepared.lane == "tunnel"
        begun = False
        left = self.journey.snapshot.max_answer
        try:
            async for data in self.answer:
                left -= len(data)
                if left < 0:
                    await self.answer.abort()
                    raise _endless()
                frames = parser.feed(data)
                batches = [decoder.feed(frame) for frame in frames]
                for events in batches:
                    watch.see(events)
                    begun = begun or bool(events)
                if not hide:
                    yield batches, data
                elif tunnel:
                    kept = zip(frames, batches, strict=True)
                    yield batches, b"".join(write_sse(frame) for frame, events in kept if not _only_usage(events))
                else:
                    yield [events for events in batches if not _only_usage(events)], data
                if watch.failure is not None:
                    return
            batches = [decoder.feed(frame) for frame in parser.close()]
        except UpstreamError as error:
            if not begun:
                raise
            broken: list[Event] = [ErrorEnd(failure=failure_of(error))]
            watch.see(broken)
            yield [broken], b""
            return
        for events in batches:
            watch.see(events)
        if not (watch.ended or watch.failure):
            last = decoder.close()
            watch.see(last)
            batches.append(last)
        if batches:
            yield batches, b""

    def _hides_usage(self) -> bool:
        """Whether the road asked for usage that this client did not; encoders of other protocols know by themselves."""
        client, spoken = self.journey.arrival.codec.manners, self.prepared.target.codec.manners
        return client.usage_on_demand and spoken.usage_on_demand and not self.journey.seen.usage

    async def _stream(self, framing: Framing) -> None:
        journey = self.journey
        prepared = self.prepared
        client = journey.arrival.codec
        tunnel = prepared.lane == "tunnel"
        decoder = prepared.target.codec.decoder(journey.asked(prepared))
        arrivals = self._arrivals(framing, decoder)
        held: list[Arrived] = []
        async for arrived in arrivals:
            held.append(arrived)
            if any(not isinstance(event, Pulse) for events in arrived[0] for event in events):
                break
        self.first_token = journey.now() - self.began
        if self.watch.failure is not None and not _said_something(held):
            raise attempt_failed(self.watch.failure)
        if not held:
            raise UpstreamError("the provider's stream was empty", code="upstream_truncated", kind="bad_gateway")
        if tunnel:
            content_type = CONTENT_TYPE_OF_FRAMING[framing]
            passage: _Passage = _Tunnel(self, framing)
        else:
            own_framing = client.framing(journey.request())
            content_type = CONTENT_TYPE_OF_FRAMING[own_framing]
            passage = _Translation(self, own_framing)
        headers = self._headers(content_type)
        if tunnel:
            headers.extend(passed_on(self.answer.headers))
        journey.record.status = 200
        sink = await journey.door.start(200, headers)
        await self._pass_stream(sink, passage, held, arrivals)

    async def _pass_stream(
        self,
        sink: Sink,
        passage: _Passage,
        held: list[Arrived],
        arrivals: AsyncIterator[Arrived],
    ) -> None:
        heart = Heartbeat(sink, self.journey.arrival.codec.manners.keep_alive)
        try:
            for batches, data in held:
                written = passage.write(batches, data)
                if written:
                    await heart.send(written)
            async for batches, data in arrivals:
                written = passage.write(batches, data)
                if written:
                    await heart.send(written)
            last = passage.close()
            broken = self.watch.failure is not None
            self.journey.record.losses = self.prepared.losses + passage.losses()
            self._settle("broken" if broken else "ok")
            self.journey.finish()
            if last:
                await sink.send(last)
            if broken and not self.journey.arrival.codec.manners.raises_in_band:
                sink.abort()
            else:
                await sink.end()
        except BaseException:
            # The client left, or the server is stopping: what was used until now is still recorded.
            self.journey.record.losses = self.prepared.losses + passage.losses()
            self._settle("ok" if self.watch.ended else "client_gone")
            sink.abort()
            raise
        finally:
            heart.stop()

    async def _unfolded(self, response: Response) -> None:
        """A streaming client on an upstream that answered whole."""
        journey = self.journey
        framing = journey.arrival.codec.framing(journey.request())
        passage = _Translation(self, framing)
        sink = await journey.door.start(200, self._headers(CONTENT_TYPE_OF_FRAMING[framing]))
        journey.record.status = 200
        await sink.send(passage.write(unfold(response), b""))
        last = passage.close()
        journey.record.losses = self.prepared.losses + passage.losses()
        self._settle("ok")
        journey.finish()
        if last:
            await sink.send(last)
        await sink.end()

    # --- The record ------------------------------------------------------------------------------------------------

    def _report(self, outcome: Outcome, usage: Usage | None) -> None:
        """Tell how the target did, for the decisions to come."""
        health, now = self.journey.road.health, self.journey.now()
        if outcome == "broken" and self.watch.failure is not None:
            health.failed(self.candidate, kind_of(self.watch.failure), now)
        elif outcome == "ok":
            written = 0 if usage is None else usage.output_tokens or 0
            seconds = now - self.began - (self.first_token or 0.0)
            speed = written / seconds if written and seconds > SHORTEST_MEASURED else None
            health.answered(self.candidate, first_token=self.first_token, speed=speed)

    def _settle(self, outcome: Outcome) -> None:
        """Usage and cost as they are now known."""
        record, target, usage = self.journey.record, self.prepared.target, self.watch.usage
        record.outcome = outcome
        # The row is written before the client has its last byte, so the upstream's last byte is noted here.
        self.attempt.last_byte_ms = round((self.journey.now() - self.began) * 1000, 3)
        if self.watch.failure is not None:
            record.error = (self.watch.failure.code or self.watch.failure.kind)[:MAX_NOTED]
            self.attempt.error = record.error
        if not record.losses:
            record.losses = self.prepared.losses
        self._report(outcome, usage)
        if usage is None:
            return
        record.usage = UsageRecord(
            source="provider" if self.watch.ended else "partial",
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read=usage.cache_read,
            cache_write=usage.cache_write,
            reasoning=usage.reasoning,
        )
        if target.price is not None:
            record.cost_nano_usd = cost(usage, target.price.at(record.started))
            record.price_version = target.price.version


class _Passage(Protocol):
    """How a stream's batches become the client's bytes."""

    def write(self, batches: list[list[Event]], data: bytes) -> bytes:
        """The bytes of some batches that came in as `data`."""
        ...

    def close(self) -> bytes:
        """What the client's framing needs at the end."""
        ...

    def losses(self) -> tuple[Loss, ...]:
        """What could not be said so far."""
        ...


class _Tunnel:
    """The provider's own bytes; only a break that they do not tell of themselves has to be put into words."""

    __slots__ = ("_answering", "_framing", "_last")

    def __init__(self, answering: Answering, framing: Framing) -> None:
        self._answering = answering
        self._framing: Framing = framing
        self._last = b""

    def write(self, batches: list[list[Event]], data: bytes) -> bytes:
        if data:
            self._last = data
        if self._answering.watch.failure is None:
            return data
        broken = [event for events in batches for event in events if isinstance(event, ErrorEnd)]
        if not broken:
            return data
        # A frame that was cut short is ended, so that it does not swallow the next.
        cut = self._framing == "sse" and bool(self._last) and not self._last.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
        end = data + b"\n\n" if cut else data
        failure = broken[-1].failure
        garbled = failure.extra is None and (failure.code or "").startswith("upstream_")
        noticed = garbled or failure.origin == FREEHOLD
        if not noticed and (data or cut):
            return end
        journey = self._answering.journey
        encoder = journey.arrival.codec.encoder(journey.stamp, journey.decoded())
        writer = frame_writer(self._framing)
        return end + b"".join(writer.write(frame) for frame in encoder.feed([ErrorEnd(failure=failure)]))

    def close(self) -> bytes:
        return b""

    def losses(self) -> tuple[Loss, ...]:
        return ()


class _Translation:
    """Events through the client's encoder."""

    __slots__ = ("_answering", "_encoder", "_seal", "_started", "_writer")

    def __init__(self, answering: Answering, framing: Framing) -> None:
        self._answering = answering
        self._started = False
        journey, target = answering.journey, answering.prepared.target
        client = journey.arrival.codec
        self._encoder: StreamEncoder = client.encoder(journey.stamp, journey.request())
        self._writer: FrameWriter = frame_writer(framing)
        self._seal = SealedStream(client.language, target.maker, journey.road.sealer, journey.arrival.project)

    def write(self, batches: list[list[Event]], data: bytes) -> bytes:  # noqa: ARG002 -- the other passage needs it
        write, encode, seal = self._writer.write, self._encoder.feed, self._seal.feed
        if not self._started:
            batches = [self._start(events) for events in batches]
        return b"".join([write(frame) for events in batches for frame in encode(seal(events))])

    def _start(self, events: list[Event]) -> list[Event]:
        for number, event in enumerate(events):
            if isinstance(event, ResponseStart):
                self._started = True
                named = msgspec.structs.replace(event, response=self._answering.named(event.response))
                return [*events[:number], named, *events[number + 1 :]]
        return events

    def close(self) -> bytes:
        return self._writer.close()

    def losses(self) -> tuple[Loss, ...]:
        return tuple(dict.fromkeys(self._encoder.losses))


def _content_type(headers: Sequence[tuple[str, str]]) -> str:
    for name, value in headers:
        if name == "content-type":
            return value
    return ""


def _endless() -> UpstreamError:
    return UpstreamError("the provider's stream does not end", code="upstream_answer_too_large", kind="bad_gateway")


def _only_usage(events: list[Event]) -> bool:
    """Whether a frame held nothing but the figures that the road asked for."""
    return bool(events) and all(isinstance(event, UsageDelta) for event in events)


def _said_something(held: list[Arrived]) -> bool:
    """Whether any of the answer itself has come; an announcement alone can still be taken back."""
    return any(
        not isinstance(event, Pulse | ErrorEnd | ResponseStart)
        for batches, _ in held
        for events in batches
        for event in events
    )
