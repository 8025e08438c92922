"""A delivery: an answer on its way to the client, whole or streamed, as it is or in another protocol."""

from __future__ import annotations

import contextlib
import itertools
from functools import partial
from typing import TYPE_CHECKING, Protocol

import msgspec

from freehold.errors import UpstreamError
from freehold.exchange.continuation import Continuation
from freehold.exchange.failures import FREEHOLD
from freehold.exchange.headers import answer_headers, dollars, passed_on
from freehold.exchange.heartbeat import Heartbeat
from freehold.exchange.leg import Stream, content_type, hides_usage, only_usage
from freehold.exchange.proofs import SealedStream, seal_response
from freehold.exchange.record import MAX_NOTED, Outcome
from freehold.ir import ErrorEnd, Event, Response, ResponseStart
from freehold.ir.fold import unfold
from freehold.protocols.codec import CONTENT_TYPE_OF_FRAMING, Frame, Framing, WireResponse
from freehold.transport.framing import FrameWriter, frame_parser, frame_writer
from freehold.transport.framing.whole import WholeFrames

if TYPE_CHECKING:
    from freehold.exchange.continuation import Source
    from freehold.exchange.door import Sink
    from freehold.exchange.leg import Leg, Opened
    from freehold.exchange.proofs import Maker
    from freehold.exchange.road import Journey
    from freehold.exchange.turns import Turns
    from freehold.ir import Failure, Loss, Result
    from freehold.protocols.codec import StreamEncoder


class Delivery:
    """Passes the answer of the leg that won on to the client."""

    __slots__ = ("_losses", "_turns", "journey", "leg", "prepared")

    def __init__(self, journey: Journey, leg: Leg, turns: Turns) -> None:
        """`turns` has those who may go on where a stream breaks."""
        self.journey = journey
        self._turns = turns
        self.leg = leg
        """Who answers just now."""
        self.prepared = leg.prepared
        """Who began."""
        self._losses = leg.prepared.losses

    async def deliver(self, opened: Opened) -> None:
        """Answer the client; the record is written before its last byte. Raises ClientGone."""
        if isinstance(opened, Stream):
            await self._stream(opened)
        elif isinstance(opened, WireResponse):
            kind = content_type(opened.headers) or "application/json"
            self._respond(opened.status, kind, opened.body, passed_on(opened.headers))
        elif isinstance(opened, Response) and self.journey.seen.stream:
            await self._unfolded(opened)
        else:
            self._encode_whole(opened)

    # --- Whole answers ---------------------------------------------------------------------------------------------

    def _encode_whole(self, result: Result) -> None:
        journey = self.journey
        if isinstance(result, Response):
            result = self._sealed(self.named(result))
        encoded = journey.arrival.codec.encode_response(result, journey.stamp, journey.request())
        journey.record.losses = self._losses + encoded.losses
        kind = content_type(encoded.value.headers) or "application/json"
        self._respond(encoded.value.status, kind, encoded.value.body, [])

    def named(self, response: Response) -> Response:
        """The answer with the name of the model that gave it: Bedrock does not repeat it, and clients need it."""
        if response.model or self.prepared.lane != "translate":
            return response
        return msgspec.structs.replace(response, model=self.prepared.target.model)

    def _sealed(self, response: Response) -> Response:
        journey, target = self.journey, self.prepared.target
        client = journey.arrival.codec.language
        return seal_response(response, client, target.maker, journey.road.sealer, journey.arrival.project)

    def _respond(self, status: int, kind: str, body: bytes, passed: list[tuple[str, str]]) -> None:
        journey = self.journey
        journey.record.status = status
        self._settle("ok")
        headers = self._headers(kind)
        if journey.record.cost_nano_usd is not None:
            headers.append(("freehold-cost", dollars(journey.record.cost_nano_usd)))
        headers.extend(passed)
        journey.door.respond(status, headers, body)

    def _headers(self, kind: str) -> list[tuple[str, str]]:
        journey = self.journey
        return answer_headers(
            request_id=journey.arrival.codec.manners.request_id,
            exchange=journey.arrival.id,
            target=self.prepared.target.name,
            attempts=len(journey.record.attempts),
            losses=journey.record.losses or self._losses,
            content_type=kind,
        )

    # --- Streams ---------------------------------------------------------------------------------------------------

    async def _stream(self, stream: Stream) -> None:
        journey = self.journey
        client = journey.arrival.codec
        tunnel = self.prepared.lane == "tunnel"
        source: Source = stream
        if journey.continues is not None:
            # Another target's bytes could not follow this one's, so that all of them are ours from the beginning.
            framing = client.framing(journey.request())
            translation = _Translation(self, framing)
            take_over = partial(self._hand_over, translation)
            source, passage = Continuation(journey.continues, self._turns, stream, take_over), translation
        elif tunnel:
            framing = stream.framing
            passage = _Tunnel(self, framing)
        else:
            framing = client.framing(journey.request())
            passage = _Translation(self, framing)
        headers = self._headers(CONTENT_TYPE_OF_FRAMING[framing])
        if tunnel and self.leg.answer is not None:
            headers.extend(passed_on(self.leg.answer.headers))
        journey.record.status = 200
        sink = await journey.door.start(200, headers)
        await self._pass_stream(sink, passage, source)

    def _hand_over(self, translation: _Translation, leg: Leg) -> None:
        """Another leg takes over."""
        self.leg = leg
        self._losses = tuple(dict.fromkeys(self._losses + leg.prepared.losses))
        translation.by(leg.prepared.target.maker)

    async def _pass_stream(self, sink: Sink, passage: _Passage, source: Source) -> None:
        heart = Heartbeat(sink, self.journey.arrival.codec.manners.keep_alive)
        record = self.journey.record
        try:
            while (arrived := await source.receive()) is not None:
                written = passage.write(*arrived)
                if written:
                    await heart.send(written)
            last = passage.close()
            failure = source.failure
            record.losses = self._losses + passage.losses()
            self._settle("ok" if failure is None else "broken", failure)
            if last:
                await sink.send(last)
            if failure is not None and not self.journey.arrival.codec.manners.raises_in_band:
                sink.abort()
            else:
                await sink.end()
        except BaseException:
            # The client left, or the server is stopping: what was used until now is still recorded.
            record.losses = self._losses + passage.losses()
            self._settle("ok" if self.leg.watch.ended else "client_gone", source.failure)
            sink.abort()
            raise
        finally:
            heart.stop()

    async def _unfolded(self, response: Response) -> None:
        """A streaming client on an upstream that answered whole."""
        journey = self.journey
        framing = journey.arrival.codec.framing(journey.request())
        passage = _Translation(self, framing)
        journey.record.status = 200
        sink = await journey.door.start(200, self._headers(CONTENT_TYPE_OF_FRAMING[framing]))
        await sink.send(passage.write(unfold(response), b""))
        last = passage.close()
        journey.record.losses = self._losses + passage.losses()
        self._settle("ok")
        if last:
            await sink.send(last)
        await sink.end()

    # --- The record ------------------------------------------------------------------------------------------------

    def _settle(self, outcome: Outcome, failure: Failure | None = None) -> None:
        """The row, as it is now known; `failure` is what the client is told of."""
        journey, record = self.journey, self.journey.record
        self.leg.settle(outcome)
        record.outcome = outcome
        if failure is not None:
            record.error = (failure.code or failure.kind)[:MAX_NOTED]
        record.losses = record.losses or self._losses
        journey.finish()


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
    """The provider's own bytes, frame by whole frame; a break that they do not tell of is put into words."""

    __slots__ = ("_delivery", "_framing", "_whole")

    def __init__(self, delivery: Delivery, framing: Framing) -> None:
        self._delivery = delivery
        self._framing: Framing = framing
        self._whole = WholeFrames(framing)

    def write(self, batches: list[list[Event]], data: bytes) -> bytes:
        whole = self._whole
        failure = self._delivery.leg.watch.failure
        if failure is None:
            return whole.feed(data)
        if not any(isinstance(event, ErrorEnd) for events in batches for event in events):
            return whole.feed(data)  # held since before it broke
        garbled = failure.extra is None and (failure.code or "").startswith("upstream_")
        if data and not garbled and failure.origin != FREEHOLD:
            return whole.held + data
        journey = self._delivery.journey
        encoder = journey.arrival.codec.encoder(journey.stamp, journey.decoded())
        writer = frame_writer(self._framing)
        frames = [*self._before_the_break(batches, whole.held + data), *encoder.feed([ErrorEnd(failure=failure)])]
        return b"".join(writer.write(frame) for frame in frames)

    def _before_the_break(self, batches: list[list[Event]], data: bytes) -> list[Frame]:
        """The frames that still made sense; one that does not would break the client's parser before it hears why."""
        parser = frame_parser(self._framing)
        frames = parser.feed(data)
        with contextlib.suppress(UpstreamError):
            frames += parser.close()
        if hides_usage(self._delivery.journey, self._delivery.prepared):
            batches = [events for events in batches if not only_usage(events)]
        sound = itertools.takewhile(lambda events: not any(isinstance(event, ErrorEnd) for event in events), batches)
        return [frame for frame, _ in zip(frames, sound, strict=False)]

    def close(self) -> bytes:
        return self._whole.held if self._delivery.leg.watch.failure is None else b""

    def losses(self) -> tuple[Loss, ...]:
        return ()


class _Translation:
    """Events through the client's encoder."""

    __slots__ = ("_delivery", "_encoder", "_seal", "_started", "_writer")

    def __init__(self, delivery: Delivery, framing: Framing) -> None:
        self._delivery = delivery
        self._started = False
        journey, target = delivery.journey, delivery.prepared.target
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
                named = msgspec.structs.replace(event, response=self._delivery.named(event.response))
                return [*events[:number], named, *events[number + 1 :]]
        return events

    def by(self, maker: Maker) -> None:
        """From now on the proofs are those of another model."""
        self._seal.maker = maker

    def close(self) -> bytes:
        return self._writer.close()

    def losses(self) -> tuple[Loss, ...]:
        return tuple(dict.fromkeys(self._encoder.losses))
