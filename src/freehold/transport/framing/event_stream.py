"""AWS event streams (`application/vnd.amazon.eventstream`) as frames, in both directions.

One message: total length, header length (big-endian 32 bit), CRC-32 of these eight bytes; headers; payload; CRC-32 of
everything before it. One header: length of its name (8 bit), name, type (8 bit), value.
Source: https://smithy.io/2.0/aws/amazon-eventstream.html; checked against botocore and recorded streams.
"""

from __future__ import annotations

import struct
import uuid
from datetime import UTC, datetime, timedelta
from zlib import crc32

import msgspec

from freehold.protocols.codec import Frame
from freehold.transport.errors import FrameTooLargeError, FramingError, TruncatedFrameError
from freehold.transport.framing.limits import MAX_FRAME

HeaderValue = bool | int | bytes | str | datetime | uuid.UUID

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LENGTH = struct.Struct(">H")
_OVERHEAD = 16
_MAX_KNOWN = 64  # a protocol has a dozen event types
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGERS = {2: struct.Struct(">b"), 3: struct.Struct(">h"), 4: struct.Struct(">i"), 5: struct.Struct(">q")}


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it travels: headers in order and payload."""

    headers: dict[str, HeaderValue]
    payload: bytes


class EventStreamParser:
    """Bytes of an AWS event stream in, frames out; any split of the bytes gives the same frames."""

    __slots__ = ("_known", "_limit", "_need", "_pending", "_size")

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._pending: list[bytes] = []
        self._size = 0
        self._need = 12  # bytes without which nothing new can be said
        # Headers of earlier events as they came, and their event type: they repeat from message to message.
        self._known: dict[bytes, str | None] = {}

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by these bytes.

        Raises:
            FrameTooLargeError: one message is larger than the limit.
            FramingError: a checksum or a length is wrong.
        """
        known = self._known
        frames: list[Frame] = []
        for headers, payload in self._split(data):
            if headers in known:
                frames.append(Frame(data=payload, event=known[headers]))
                continue
            frame = _frame_of(_read_headers(headers), payload)
            if frame.kind == "event" and len(known) < _MAX_KNOWN:
                known[headers] = frame.event
            frames.append(frame)
        return frames

    def feed_messages(self, data: bytes) -> list[Message]:
        """As `feed`, with every header kept."""
        return [Message(headers=_read_headers(headers), payload=payload) for headers, payload in self._split(data)]

    def _split(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Headers and payload of each message that is complete, checksums verified."""
        if self._pending:
            self._pending.append(data)
            self._size += len(data)
            if self._size < self._need:
                return []
            data = b"".join(self._pending)
            self._pending.clear()
        messages: list[tuple[bytes, bytes]] = []
        start, end = 0, len(data)
        self._need = 12
        while end - start >= 12:
            total, headers, checksum = _PRELUDE.unpack_from(data, start)
            if crc32(data[start : start + 8]) != checksum:
                raise _malformed("the checksum of a message's prelude is wrong")
            if total > self._limit:
                raise FrameTooLargeError(framing="event-stream", limit=self._limit)
            if total < _OVERHEAD + headers:
                raise _malformed("a message is shorter than its headers")
            if end - start < total:
                self._need = total
                break
            last = start + total - 4
            if crc32(data[start:last]) != _CRC.unpack_from(data, last)[0]:
                raise _malformed("the checksum of a message is wrong")
            middle = start + 12 + headers
            messages.append((data[start + 12 : middle], data[middle:last]))
            start += total
        if start < end:
            self._pending.append(data[start:])
        self._size = end - start
        return messages

    def close(self) -> list[Frame]:
        """Nothing is ever left.

        Raises:
            TruncatedFrameError: the stream ended inside a message.
        """
        if self._size:
            raise TruncatedFrameError(
                "the event stream ended in the middle of a message; what arrived before it is valid",
                framing="event-stream",
            )
        return []


def write_event_stream(frame: Frame) -> bytes:
    """One frame as an AWS message, byte for byte as Bedrock writes it (header order included)."""
    match frame.kind:
        case "event":
            name = b"\x0b:event-type"
            kind = b"\x0d:message-type\x07\x00\x05event"
        case "exception":
            name = b"\x0f:exception-type"
            kind = b"\x0d:message-type\x07\x00\x09exception"
        case "error":
            headers: dict[str, HeaderValue] = {
                ":error-code": frame.event or "InternalServerError",
                ":error-message": frame.data.decode("utf-8", "replace"),
                ":message-type": "error",
            }
            return write_message(Message(headers=headers, payload=b""))
    value = (frame.event or "").encode()
    content_type = b"\x0d:content-type\x07\x00\x10application/json"
    return _seal(name + b"\x07" + _LENGTH.pack(len(value)) + value + content_type + kind, frame.data)


def write_message(message: Message) -> bytes:
    """One message with all its headers; integers take the smallest type that holds them."""
    parts: list[bytes] = []
    for name, value in message.headers.items():
        encoded = name.encode()
        parts += (bytes((len(encoded),)), encoded, _write_value(value))
    return _seal(b"".join(parts), message.payload)


def _seal(headers: bytes, payload: bytes) -> bytes:
    lengths = struct.pack(">II", len(headers) + len(payload) + _OVERHEAD, len(headers))
    body = b"".join((lengths, _CRC.pack(crc32(lengths)), headers, payload))
    return body + _CRC.pack(crc32(body))


def _frame_of(headers: dict[str, HeaderValue], payload: bytes) -> Frame:
    match headers.get(":message-type", "event"):
        case "exception":
            return Frame(data=payload, event=_text(headers, ":exception-type"), kind="exception")
        case "error":
            text = _text(headers, ":error-message")
            data = payload if text is None else text.encode()
            return Frame(data=data, event=_text(headers, ":error-code"), kind="error")
        case _:
            return Frame(data=payload, event=_text(headers, ":event-type"))


def _text(headers: dict[str, HeaderValue], name: str) -> str | None:
    value = headers.get(name)
    return value if isinstance(value, str) else None


def _read_headers(data: bytes) -> dict[str, HeaderValue]:
    try:
        return _parse_headers(data)
    except (struct.error, IndexError, ValueError, OverflowError):
        raise _malformed("the headers of a message can not be read") from None


def _parse_headers(data: bytes) -> dict[str, HeaderValue]:
    position, end = 0, len(data)
    headers: dict[str, HeaderValue] = {}
    while position < end:
        name_end = position + 1 + data[position]
        name = data[position + 1 : name_end].decode()
        kind = data[name_end]
        position = name_end + 1
        if kind == 7 or kind == 6:  # noqa: PLR1714 (a set or tuple costs twice as much, once per header)
            value_start = position + 2
            position = value_start + _LENGTH.unpack_from(data, position)[0]
            raw = data[value_start:position]
            headers[name] = raw.decode() if kind == 7 else raw
        elif kind < 2:
            headers[name] = kind == 0
        elif kind in _INTEGERS:
            layout = _INTEGERS[kind]
            headers[name] = layout.unpack_from(data, position)[0]
            position += layout.size
        elif kind == 8:
            headers[name] = _EPOCH + timedelta(milliseconds=_INTEGERS[5].unpack_from(data, position)[0])
            position += 8
        elif kind == 9:
            headers[name] = uuid.UUID(bytes=data[position : position + 16])
            position += 16
        else:
            raise ValueError(kind)
    if position != end:
        raise ValueError(position)
    return headers


def _write_value(value: HeaderValue) -> bytes:
    match value:
        case bool():
            return b"\x00" if value else b"\x01"
        case int():
            for kind, layout in _INTEGERS.items():
                bound = 1 << (layout.size * 8 - 1)
                if -bound <= value < bound:
                    return bytes((kind,)) + layout.pack(value)
            raise ValueError("an integer header has at most 64 bits")
        case bytes():
            return b"\x06" + _LENGTH.pack(len(value)) + value
        case str():
            encoded = value.encode()
            return b"\x07" + _LENGTH.pack(len(encoded)) + encoded
        case datetime():
            return b"\x08" + _INTEGERS[5].pack((value - _EPOCH) // timedelta(milliseconds=1))
        case uuid.UUID():
            return b"\x09" + value.bytes


def _malformed(problem: str) -> FramingError:
    return FramingError(f"{problem}: the stream is damaged or is not an AWS event stream", framing="event-stream")
