"""Families that speak another protocol's body: Claude the Messages API, many the chat of OpenAI, Nova Converse's.

Everything that concerns the conversation is the other codec's; here stand the envelope and what Bedrock wants
differently.  Requests keep the other codec's name as their `origin`, because that language reads and repeats them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import msgspec

from freehold.errors import CallerError
from freehold.ir import (
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    Generate,
    JsonObject,
    Language,
    Loss,
    Losses,
    Part,
    PartEnd,
    PartStart,
    Proof,
    ProofDelta,
    Pulse,
    Response,
    ResponseEnd,
    ResponseStart,
    TextDelta,
    Usage,
    UsageDelta,
    write_json,
)
from freehold.ir.fold import merge_usage
from freehold.protocols.aws_errors import broken_stream, failure_frame, stream_failure
from freehold.protocols.bedrock_invoke.chunks import (
    CHUNK,
    as_object,
    close_chunk,
    in_order,
    open_envelope,
    order_of,
    read_metrics,
    read_payload,
    take_amazon,
    write_metrics,
)
from freehold.protocols.bedrock_invoke.language import AMAZON, EFFECTS, NAME, family_language, said
from freehold.protocols.codec import (
    Codec,
    Dialect,
    Encoded,
    Frame,
    Stamp,
    StreamDecoder,
    StreamEncoder,
    WireRequest,
    WireResponse,
)

_AMAZON = AMAZON.encode()


class Manner(Protocol):
    """How a family's body differs from that of the protocol it speaks."""

    def path(self, model: str) -> str:
        """The path under which the other codec reads it."""
        ...

    def undress(self, body: JsonObject, model: str, *, stream: bool) -> tuple[JsonObject, JsonObject]:
        """The other protocol's body, and what has to be remembered of Bedrock's."""
        ...

    def dress(self, body: JsonObject, request: Generate, own: JsonObject | None, losses: Losses) -> JsonObject:
        """Bedrock's body; `own` is what was remembered, None for a foreign request."""
        ...

    def dress_answer(self, body: JsonObject) -> JsonObject:
        """A foreign answer's body as the model would give it."""
        ...

    def dialect(self, dialect: Dialect, model: str) -> Dialect:
        """What the other codec must know about this model."""
        ...

    def to_frame(self, chunk: JsonObject) -> Frame:
        """A chunk as a frame of the other protocol."""
        ...

    def from_frame(self, frame: Frame) -> bytes | None:
        """A frame of the other protocol as a chunk; None for one that Bedrock does not send."""
        ...

    def plain_frame(self, payload: bytes) -> Frame | None:
        """A chunk as a frame without a look inside; None if its members stand in an order that has to be kept."""
        ...


class Delegated:
    """A family whose bodies another codec reads and writes."""

    def __init__(self, name: str, codec: Codec, manner: Manner, *, signs: bool = False, apart: bool = False) -> None:
        """`signs`: the models sign their thoughts, and what they signed belongs to InvokeModel.

        `apart`: answers only look like the other protocol's, so what rides along with them is not repeated there.
        """
        self.apart = Language(name=NAME, effects={**EFFECTS, **codec.language.effects}) if apart else None
        self.signer = codec.name if signs else ""
        self.name = name
        self.codec = codec
        self.manner = manner
        self.language: Language = family_language()

    # --- Requests

    def read_request(self, body: JsonObject, model: str, *, stream: bool) -> tuple[Generate, JsonObject]:
        """What the other protocol's body may not hold is remembered beside it."""
        bare, own = self.manner.undress(body, model, stream=stream)
        wire = WireRequest(path=self.manner.path(model), body=write_json(bare))
        request = self.codec.decode_request(wire)
        if not isinstance(request, Generate):
            raise CallerError("the body does not ask for an answer")
        if request.headers is not None:
            own = {**request.headers.fields, **own}
        if request.stream != stream:
            request = msgspec.structs.replace(request, stream=stream)
        return rename_proofs(request, self.signer, NAME), own

    def write_request(self, request: Generate, own: JsonObject | None, dialect: Dialect) -> Encoded[JsonObject]:
        """The other codec's body in Bedrock's dress."""
        losses = Losses()
        inner = msgspec.structs.replace(rename_proofs(request, NAME, self.signer), headers=None)
        encoded = self.codec.encode_request(inner, self.manner.dialect(dialect, request.model))
        body = self.manner.dress(as_object(encoded.value.body), request, own, losses)
        return Encoded(body, (*encoded.losses, *losses.done()))

    # --- Answers

    def read_response(self, body: JsonObject, wire: WireResponse, request: Generate | None) -> Response:  # noqa: ARG002 -- the family's contract
        """Raises UpstreamError for garbage."""
        result = self.codec.decode_response(wire, request)
        if not isinstance(result, Response):
            raise CallerError("the answer is not a generated one")
        answer = _rename_answer(result, self.signer, NAME)
        return answer if self.apart is None else _with_origin(answer, NAME, self.codec.language, self.apart)

    def write_response(self, response: Response, stamp: Stamp, request: Generate | None) -> Encoded[JsonObject]:
        """The other codec's body, without what only that protocol's answers hold."""
        answer = _rename_answer(self.as_codecs(response), NAME, self.signer)
        encoded = self.codec.encode_response(answer, stamp, request)
        body = as_object(encoded.value.body)
        own = answer.origin == self.codec.name
        return Encoded(body if own else self.manner.dress_answer(body), encoded.losses)

    def as_codecs(self, response: Response) -> Response:
        """An answer of this family as the other codec read it."""
        if self.apart is None or not _is_of(response.extra, self.apart):
            return response
        return _with_origin(response, self.codec.name, self.apart, self.codec.language)

    def decoder(self, request: Generate | None) -> StreamDecoder:
        """Reads a stream of chunks."""
        return DelegatedDecoder(self, self.codec.decoder(request))

    def encoder(self, stamp: Stamp, request: Generate | None) -> StreamEncoder:
        """Writes a stream of chunks."""
        return DelegatedEncoder(self, self.codec.encoder(stamp, request))


# --- What rides along -----------------------------------------------------------------------------------------------


def _with_origin(response: Response, name: str, old: Language, new: Language) -> Response:
    """An answer whose extras belong to another language; those within its parts stay. It is marked, if only by that."""
    usage = response.usage
    return msgspec.structs.replace(
        response,
        origin=name,
        choices=tuple(
            msgspec.structs.replace(choice, extra=_of_origin(choice.extra, old, new)) for choice in response.choices
        ),
        usage=None if usage is None else msgspec.structs.replace(usage, extra=_of_origin(usage.extra, old, new)),
        extra=_of_origin(response.extra, old, new) or Extra(new, {}),
    )


def _is_of(extra: Extra | None, language: Language) -> bool:
    return extra is not None and extra.origin is language


def _of_origin(extra: Extra | None, old: Language, new: Language) -> Extra | None:
    return Extra(new, extra.fields) if extra is not None and _is_of(extra, old) else extra


def _event_of_origin(event: Event, name: str, old: Language, new: Language) -> Event:
    """The same for an event of a stream. A rest that says nothing stays: codecs know theirs by identity."""
    match event:
        case ResponseStart(response=response) if name == NAME or _is_of(response.extra, old):
            event = msgspec.structs.replace(event, response=_with_origin(response, name, old, new))
        case UsageDelta():
            usage = msgspec.structs.replace(event.usage, extra=_of_origin(event.usage.extra, old, new))
            return msgspec.structs.replace(event, usage=usage, rest=_of_origin(event.rest, old, new))
        case ChoiceEnd() | ResponseEnd() if event.extra is not None:
            event = msgspec.structs.replace(event, extra=_of_origin(event.extra, old, new))
        case _:
            pass
    rest = event.rest
    if rest is None or not rest.fields or rest.origin is not old:
        return event
    return msgspec.structs.replace(event, rest=Extra(new, rest.fields))


# --- Proofs ---------------------------------------------------------------------------------------------------------
# What a model signed through InvokeModel belongs to InvokeModel, whichever language its body is in.


def rename_proofs(request: Generate, old: str, new: str) -> Generate:
    """The request with proofs of one language given to another."""
    if not old or not new:
        return request
    if not any(_has_proof(part, old) for message in request.messages for part in message.parts):
        return request
    messages = tuple(
        msgspec.structs.replace(message, parts=tuple(_renamed(part, old, new) for part in message.parts))
        for message in request.messages
    )
    return msgspec.structs.replace(request, messages=messages)


def _rename_answer(response: Response, old: str, new: str) -> Response:
    if not old or not new:
        return response
    if not any(_has_proof(part, old) for choice in response.choices for part in choice.parts):
        return response
    choices = tuple(
        msgspec.structs.replace(choice, parts=tuple(_renamed(part, old, new) for part in choice.parts))
        for choice in response.choices
    )
    return msgspec.structs.replace(response, choices=choices)


def _has_proof(part: Part, origin: str) -> bool:
    proof = getattr(part, "proof", None)
    return isinstance(proof, Proof) and proof.origin == origin


def _renamed(part: Part, old: str, new: str) -> Part:
    proof = getattr(part, "proof", None)
    if not isinstance(proof, Proof) or proof.origin != old:
        return part
    return cast(
        "Part", msgspec.structs.replace(cast("msgspec.Struct", part), proof=Proof(origin=new, value=proof.value))
    )


def _rename_event(event: Event, old: str, new: str) -> Event:
    if not old or not new:
        return event
    match event:
        case ProofDelta() if event.proof.origin == old:
            return msgspec.structs.replace(event, proof=Proof(origin=new, value=event.proof.value))
        case PartStart() if _has_proof(event.part, old):
            return msgspec.structs.replace(event, part=_renamed(event.part, old, new))
        case PartEnd() if event.part is not None and _has_proof(event.part, old):
            return msgspec.structs.replace(event, part=_renamed(event.part, old, new))
        case _:
            return event


# --- Streams --------------------------------------------------------------------------------------------------------


class DelegatedDecoder:
    """Opens the chunks, lets the other codec read them, and notes what the envelope held."""

    __slots__ = ("_counted", "_done", "_family", "_inner", "_started")

    def __init__(self, family: Delegated, inner: StreamDecoder) -> None:
        self._family = family
        self._inner = inner
        self._started = False
        self._counted = False
        self._done = False

    def feed(self, frame: Frame) -> list[Event]:
        """The events of one frame; a pulse in the batch carries the envelope."""
        language = self._family.language
        if self._done:
            return []
        if frame.kind != "event":
            self._done = True
            return [ErrorEnd(failure=stream_failure(frame, language))]
        if frame.event != CHUNK:
            return [Pulse(rest=Extra(language, {"frame": frame.event, "value": frame.data.decode(errors="replace")}))]
        try:
            payload, envelope = open_envelope(frame)
            plain = None if _AMAZON in payload else self._family.manner.plain_frame(payload)
            value = read_payload(payload) if plain is None else None
        except CallerError as error:
            self._done = True
            problem = f"the provider's stream could not be understood: {error.message}"
            return [ErrorEnd(failure=broken_stream(problem, language))]
        if plain is not None:
            return self._finish(self._feed_inner(plain), envelope)
        return self._read(value or {}, envelope)

    def close(self) -> list[Event]:
        """As the other protocol ends; what is missing is an error there, too."""
        if self._done:
            return []
        self._done = True
        return self._inner.close()

    def _read(self, value: JsonObject, envelope: JsonObject) -> list[Event]:
        envelope["order"] = order_of(value)
        amazon = take_amazon(value)
        events: list[Event] = []
        if value or not amazon:
            events = self._feed_inner(self._family.manner.to_frame(value))
        usage = read_metrics(amazon)
        if usage is not None and not self._counted:
            events.insert(0, UsageDelta(usage=usage))
        if amazon:
            envelope["amazon"] = amazon
        return self._finish(events, envelope)

    def _feed_inner(self, frame: Frame) -> list[Event]:
        events = self._inner.feed(frame)
        for place, event in enumerate(events):
            if isinstance(event, UsageDelta):
                self._counted = True
            elif not isinstance(event, TextDelta):
                events[place] = _rename_event(event, self._family.signer, NAME)
        apart = self._family.apart
        if apart is not None:
            language = self._family.codec.language
            return [_event_of_origin(event, NAME, language, apart) for event in events]
        return events

    def _finish(self, events: list[Event], envelope: JsonObject) -> list[Event]:
        if not self._started or envelope:
            self._started = True
            pulse = Pulse(rest=Extra(self._family.language, envelope))
            # Other encoders look at the first event for what rode along; only an end must stay the last.
            at_end = not events or not isinstance(events[-1], ResponseEnd | ErrorEnd)
            events.insert(len(events) if at_end else 0, pulse)
        self._done = bool(events) and isinstance(events[-1], ResponseEnd | ErrorEnd)
        return events


class DelegatedEncoder:
    """Lets the other codec write, and closes its frames into chunks."""

    __slots__ = ("_family", "_inner", "_own", "_usage", "losses")

    def __init__(self, family: Delegated, inner: StreamEncoder) -> None:
        self._family = family
        self._inner = inner
        self._own = False
        self._usage: Usage | None = None
        self.losses: list[Loss] = inner.losses

    def feed(self, events: Sequence[Event]) -> list[Frame]:
        """The frames of one batch."""
        envelope, events = self._take_envelope(events)
        if envelope is not None:
            self._own = True
            name = envelope.get("frame")
            if "value" in envelope:
                return [Frame(event=name if isinstance(name, str) else None, data=str(envelope["value"]).encode())]
        last = events[-1] if events else None
        if isinstance(last, ErrorEnd) and (envelope is None or last.failure.origin != self._family.codec.name):
            return [*self._write(events[:-1], None), failure_frame(last.failure, self._family.language)]
        if not self._own:
            self._count(events)
            return self._write(events, write_metrics(self._usage) if isinstance(last, ResponseEnd) else None)
        return self._write_own(events, envelope)

    def _take_envelope(self, events: Sequence[Event]) -> tuple[JsonObject | None, Sequence[Event]]:
        if not events:
            return None, events
        for place, rest in ((len(events) - 1, events[-1].rest), (0, events[0].rest)):
            envelope = said(rest, self._family.language)
            if envelope is not None and isinstance(events[place], Pulse):
                return envelope, [*events[:place], *events[place + 1 :]]
        return None, events

    def _count(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, UsageDelta):
                self._usage = merge_usage(self._usage, event.usage)
            elif isinstance(event, ResponseStart):
                self._usage = merge_usage(self._usage, event.response.usage)

    def _payloads(self, events: Sequence[Event]) -> list[bytes]:
        signer, apart = self._family.signer, self._family.apart
        if apart is not None:
            codec = self._family.codec
            events = [_event_of_origin(event, codec.name, apart, codec.language) for event in events]
        renamed = [event if type(event) is TextDelta else _rename_event(event, NAME, signer) for event in events]
        payloads = [self._family.manner.from_frame(frame) for frame in self._inner.feed(renamed)]
        # A chat stream's own `[DONE]` is a habit of server-sent events; chunks are JSON.
        return [payload for payload in payloads if payload is not None and payload.strip() != b"[DONE]"]

    def _write(self, events: Sequence[Event], last: JsonObject | None) -> list[Frame]:
        """Chunks of a foreign answer; the last one repeats the usage."""
        payloads = self._payloads(events) if events else []
        if last is not None:
            final = as_object(payloads.pop()) if payloads else {}
            payloads.append(write_json({**final, **last}))
        return [close_chunk(payload) for payload in payloads]

    def _write_own(self, events: Sequence[Event], envelope: JsonObject | None) -> list[Frame]:
        """Chunks as they were, envelope included."""
        payloads = self._payloads(events) if events else []
        if envelope is None:
            return [close_chunk(payload) for payload in payloads]
        amazon, order = envelope.get("amazon"), envelope.get("order")
        if not payloads and isinstance(amazon, dict):
            payloads = [b"{}"]
        if payloads and (isinstance(amazon, dict) or order is not None):
            value = {**as_object(payloads[-1]), **(amazon if isinstance(amazon, dict) else {})}
            payloads[-1] = write_json(in_order(value, order))
        beside = {name: value for name, value in envelope.items() if name not in ("amazon", "order")}
        return [close_chunk(payload, beside) for payload in payloads]
