"""How streams of frames travel: server-sent events, AWS event streams, JSON arrays and JSON lines.

Parsers take bytes as they arrive and give whole frames, the same ones whatever the split; writers do the reverse.
All are pure: no socket, clock or log.
"""

from __future__ import annotations

from typing import Protocol, assert_never

from freehold.protocols.codec import Frame, Framing
from freehold.transport.framing.event_stream import EventStreamParser, write_event_stream
from freehold.transport.framing.json_array import JsonArrayParser, JsonArrayWriter
from freehold.transport.framing.json_lines import JsonLinesParser, write_json_line
from freehold.transport.framing.limits import MAX_FRAME
from freehold.transport.framing.sse import SseParser, write_sse


class FrameParser(Protocol):
    """Bytes of one stream in, frames out."""

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by these bytes. Raises FramingError."""
        ...

    def close(self) -> list[Frame]:
        """Frames left when the stream has ended cleanly. Raises TruncatedFrameError where it ended inside a frame."""
        ...


class FrameWriter(Protocol):
    """Frames of one stream in, bytes out."""

    def write(self, frame: Frame) -> bytes:
        """The bytes of this frame, at its place in the stream."""
        ...

    def close(self) -> bytes:
        """What the framing needs after the last frame; mostly nothing."""
        ...


class _SseWriter:
    """Server-sent events need no state."""

    write = staticmethod(write_sse)

    def close(self) -> bytes:
        return b""


class _EventStreamWriter:
    """AWS event streams need no state."""

    write = staticmethod(write_event_stream)

    def close(self) -> bytes:
        return b""


class _JsonLinesWriter:
    """JSON lines need no state."""

    write = staticmethod(write_json_line)

    def close(self) -> bytes:
        return b""


def frame_parser(framing: Framing, limit: int = MAX_FRAME) -> FrameParser:
    """A fresh parser for one stream; `limit` is the size of the largest frame in bytes."""
    match framing:
        case "sse":
            return SseParser(limit)
        case "event-stream":
            return EventStreamParser(limit)
        case "json-array":
            return JsonArrayParser(limit)
        case "json-lines":
            return JsonLinesParser(limit)
        case _:
            assert_never(framing)


def frame_writer(framing: Framing) -> FrameWriter:
    """A fresh writer for one stream."""
    match framing:
        case "sse":
            return _SseWriter()
        case "event-stream":
            return _EventStreamWriter()
        case "json-array":
            return JsonArrayWriter()
        case "json-lines":
            return _JsonLinesWriter()
        case _:
            assert_never(framing)
