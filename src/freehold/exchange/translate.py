"""Recorded exchanges through every codec: decode, encode, and say honestly what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from freehold.errors import CallerError, FreeholdError
from freehold.exchange.recordings import Recording
from freehold.ir import ErrorEnd, Event, Failure, Generate, Loss, Request, Result, parse_json
from freehold.protocols.codec import Codec, Frame, Framing, Stamp, Unsupported, WireRequest, WireResponse
from freehold.protocols.spellings import first_difference, same_frames, same_text
from freehold.transport.framing import frame_parser, frame_writer

Status = Literal["identical", "equal", "lossy", "refused", "unsupported", "error"]
Side = Literal["request", "response"]

_NOT_THE_PROTOCOLS = frozenset({"accept", "content-type", "user-agent"})
"""Request headers that belong to the transport: no codec says them."""

CREATED = 1_760_000_000
"""The time that encoders are given: a fixed one, so that the same recording always gives the same bytes."""


_UNRECORDED = Generate(origin="", model="", messages=(), stream=True)
"""Stands for a request that was not recorded, where an answer's framing depends on it."""


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one side of one exchange in one target language.

    `identical` and `equal` compare with the recording where `to` is its own protocol; for a foreign protocol `equal`
    says that nothing was lost. `lossy` names what was; `refused` means that content was, which the gateway does not
    allow by default; `unsupported`: the operation has no counterpart; `error`: a bug, with its message.
    """

    id: str
    part: Side
    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    status: Status
    losses: tuple[Loss, ...] = msgspec.field(default_factory=tuple)
    message: str | None = None
    body: bytes | None = None

    def line(self) -> dict[str, object]:
        """The row as its JSON line."""
        line: dict[str, object] = {
            "id": self.id,
            "part": self.part,
            "from": self.source,
            "to": self.target,
            "status": self.status,
            "losses": self.losses,
        }
        if self.message is not None:
            line["message"] = self.message
        return line


class _Stream(msgspec.Struct, frozen=True):
    """A recorded stream, decoded: its frames, the events of each, and what its end meant.

    A recording may break off. That is an error for whoever is told the answer, but no frame that was recorded.
    """

    frames: list[Frame]
    batches: list[list[Event]]
    last: list[Event]


_Decoded = Result | Failure | _Stream


def translate(recording: Recording, source: Codec | None, targets: Mapping[str, Codec]) -> Iterator[Row]:
    """Rows for both sides of the recording in every target language."""
    if source is None:
        yield from _unsupported(recording, targets, f"no codec speaks {recording.wire}")
        return
    asked: Request | None = None
    wire = recording.wire_request()
    if wire is not None:
        try:
            asked = source.decode_request(wire)
        except Unsupported as error:
            yield from _unsupported(recording, targets, str(error), source.name)
            return
        except CallerError as error:
            # No JSON at all was recorded, or the provider refused it, too: nothing that a codec could have read.
            refused = recording.response is not None and recording.response.status >= 400
            status: Status = "unsupported" if refused or error.code == "invalid_json" else "error"
            yield from _errors(recording, "request", source, targets, error, status=status)
        if asked is not None:
            for target in targets.values():
                yield _request_row(recording, source, target, wire, asked)
    answer = recording.wire_response()
    if answer is not None:
        yield from _response_rows(recording, source, targets, answer, asked)


def _unsupported(
    recording: Recording, targets: Mapping[str, Codec], message: str, source: str | None = None
) -> Iterator[Row]:
    sides: list[Side] = []
    if recording.request is not None:
        sides.append("request")
    if recording.response is not None:
        sides.append("response")
    for side in sides:
        for target in targets:
            yield Row(
                id=recording.id,
                part=side,
                source=source or recording.wire,
                target=target,
                status="unsupported",
                message=message,
            )


def _errors(
    recording: Recording,
    side: Side,
    source: Codec,
    targets: Iterable[str],
    error: Exception,
    *,
    status: Status = "error",
) -> Iterator[Row]:
    for target in targets:
        yield Row(
            id=recording.id,
            part=side,
            source=source.name,
            target=target,
            status=status,
            message=f"{type(error).__name__}: {error}",
        )


def _judge(losses: tuple[Loss, ...]) -> Status:
    """The status of a translation into a foreign language under the default strictness."""
    if not losses:
        return "equal"
    return "refused" if any(loss.effect == "content" for loss in losses) else "lossy"


def _attempt(row: Callable[[], Row], recording: Recording, side: Side, source: Codec, target: Codec) -> Row:
    """The row, or what hindered it: an operation without a counterpart, or a bug."""
    try:
        return row()
    except Unsupported as error:
        status: Status = "unsupported"
        message = str(error)
    except CallerError as error:
        # The target language can not say this at all; the caller is told so and may change the request.
        status, message = "refused", str(error)
    except Exception as error:  # noqa: BLE001 -- whatever a codec raises here is a finding, not a reason to stop
        status, message = "error", f"{type(error).__name__}: {error}"
    return Row(id=recording.id, part=side, source=source.name, target=target.name, status=status, message=message)


def _request_row(recording: Recording, source: Codec, target: Codec, wire: WireRequest, asked: Request) -> Row:
    def row() -> Row:
        encoded = target.encode_request(asked)
        own = target is source
        status, message = _compare_requests(wire, encoded.value) if own else (_judge(encoded.losses), None)
        if own and encoded.losses and status != "error":
            status, message = "error", f"its own language lost {encoded.losses[0].path}"
        return Row(
            id=recording.id,
            part="request",
            source=source.name,
            target=target.name,
            status=status,
            losses=encoded.losses,
            message=message,
            body=encoded.value.body,
        )

    return _attempt(row, recording, "request", source, target)


def _compare_requests(recorded: WireRequest, written: WireRequest) -> tuple[Status, str | None]:
    likeness = same_text(recorded.body, written.body)
    if likeness == "different":
        return "error", _difference(recorded.body, written.body)
    for name, value in recorded.headers:
        if name not in _NOT_THE_PROTOCOLS and (name, value) not in written.headers:
            return "error", f"the header {name}: {value} is missing"
    return likeness, None


def _difference(recorded: bytes, written: bytes) -> str:
    try:
        values = parse_json(recorded), parse_json(written)
    except CallerError:
        return f"{recorded[:60]!r} became {written[:60]!r}"
    return first_difference(*values) or "the texts differ"


def _response_rows(
    recording: Recording, source: Codec, targets: Mapping[str, Codec], answer: WireResponse, asked: Request | None
) -> Iterator[Row]:
    try:
        decoded = _decode_response(recording, source, answer, asked)
    except Unsupported as error:
        for target in targets.values():
            yield Row(
                id=recording.id,
                part="response",
                source=source.name,
                target=target.name,
                status="unsupported",
                message=str(error),
            )
        return
    except FreeholdError as error:
        yield from _errors(recording, "response", source, targets, error)
        return
    for target in targets.values():
        yield _response_row(recording, source, target, answer, decoded=decoded, asked=asked)


def stream_framing(recording: Recording, codec: Codec, answer: WireResponse, asked: Request | None) -> Framing | None:
    """How the recorded answer is framed; None for one that is not a stream."""
    if answer.status >= 400 or recording.response is None:
        return None
    if recording.response.body_base64 is not None:
        return "event-stream"
    if recording.response.body_text is None or not recording.stream:
        return None
    start = answer.body.lstrip()[:1]
    if start == b"[":
        return "json-array"
    if start == b"{":
        return None
    return "sse" if asked is None or codec.framing(asked) != "json-lines" else "json-lines"


def _decode_response(recording: Recording, source: Codec, answer: WireResponse, asked: Request | None) -> _Decoded:
    if answer.status >= 400:
        return source.decode_error(answer)
    framing = stream_framing(recording, source, answer, asked)
    if framing is None:
        return source.decode_response(answer, asked)
    parser = frame_parser(framing)
    frames = [*parser.feed(answer.body), *parser.close()]
    decoder = source.decoder(asked)
    return _Stream(frames, [decoder.feed(frame) for frame in frames], decoder.close())


def _response_row(
    recording: Recording,
    source: Codec,
    target: Codec,
    answer: WireResponse,
    *,
    decoded: _Decoded,
    asked: Request | None,
) -> Row:
    stamp = Stamp(id=_letters(recording.id), created=CREATED)

    def row() -> Row:
        own = target is source
        losses: tuple[Loss, ...] = ()
        status: Status = "equal"
        message: str | None = None
        if isinstance(decoded, _Stream):
            frames, losses = _encode_stream(target, decoded, stamp, asked, own=own)
            body = _write_frames(target, frames, recording, answer, asked, own=own)
            if own:
                status, message = _compare_streams(decoded.frames, frames, answer.body, body)
        else:
            if isinstance(decoded, Failure):
                body = target.encode_error(decoded, stamp).body
            else:
                encoded = target.encode_response(decoded, stamp, asked)
                body, losses = encoded.value.body, encoded.losses
            if own:
                likeness = same_text(answer.body, body)
                status = "error" if likeness == "different" else likeness
                message = _difference(answer.body, body) if status == "error" else None
        if not own:
            status = _judge(losses)
        elif losses and status != "error":
            status, message = "error", f"its own language lost {losses[0].path}"
        return Row(
            id=recording.id,
            part="response",
            source=source.name,
            target=target.name,
            status=status,
            losses=losses,
            message=message,
            body=body,
        )

    return _attempt(row, recording, "response", source, target)


def _encode_stream(
    target: Codec, stream: _Stream, stamp: Stamp, asked: Request | None, *, own: bool
) -> tuple[list[Frame], tuple[Loss, ...]]:
    encoder = target.encoder(stamp, asked)
    batches = [*stream.batches, stream.last]
    if own and any(isinstance(event, ErrorEnd) for event in stream.last):
        batches.pop()
    frames = [frame for batch in batches for frame in encoder.feed(batch)]
    return frames, tuple(encoder.losses)


def _write_frames(
    target: Codec, frames: list[Frame], recording: Recording, answer: WireResponse, asked: Request | None, *, own: bool
) -> bytes:
    framing = stream_framing(recording, target, answer, asked) if own else None
    writer = frame_writer(framing or target.framing(asked or _UNRECORDED))
    return b"".join([writer.write(frame) for frame in frames]) + writer.close()


def _compare_streams(
    recorded: list[Frame], written: list[Frame], recorded_bytes: bytes, written_bytes: bytes
) -> tuple[Status, str | None]:
    if recorded_bytes == written_bytes:
        return "identical", None
    likeness = same_frames(recorded, written)
    if likeness != "different":
        return likeness, None
    for number, (left, right) in enumerate(zip(recorded, written, strict=False)):
        if (left.event, left.kind) != (right.event, right.kind):
            return "error", f"frame {number}: event {left.event} became {right.event}"
        if same_text(left.data, right.data) == "different":
            return "error", f"frame {number}: {_difference(left.data, right.data)}"
    return "error", f"{len(recorded)} frames became {len(written)}"


def _letters(text: str) -> str:
    return "".join(letter for letter in text if letter.isalnum())
