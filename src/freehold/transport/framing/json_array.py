"""A JSON array sent bit by bit (`[{…},{…}]`, Gemini without `alt=sse`) as frames, in both directions."""

from __future__ import annotations

import re
from typing import Literal

from freehold.protocols.codec import Frame
from freehold.transport.errors import FrameTooLargeError, FramingError, TruncatedFrameError
from freehold.transport.framing.limits import MAX_FRAME

# Everything up to the next bracket, whole strings included; stops at the quote of a string that has not ended.
_SKIP = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
# The rest of a string; stops at its closing quote, or at a backslash whose other half has not arrived.
_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


class JsonArrayParser:
    """Bytes of a JSON array of objects in, one frame for each object out; any split gives the same frames.

    A body that is one object and no array (an error) is one frame. Each byte is looked at once or twice, however small
    the pieces are. Whether an element is valid JSON is for its reader to find out.
    """

    __slots__ = ("_buffer", "_depth", "_in_string", "_limit", "_position", "_state")

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._buffer = bytearray()  # starts at the element being read
        self._position = 0  # how far it has been looked at
        self._depth = 0
        self._in_string = False
        # begin: nothing but space so far; first: after `[`; next: after `,`; after: behind an element; end: all read
        self._state: Literal["begin", "first", "next", "after", "single", "end"] = "begin"

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by these bytes.

        Raises:
            FrameTooLargeError: one element is larger than the limit.
            FramingError: what stands between the elements is not an array of objects.
        """
        self._buffer += data
        frames: list[Frame] = []
        start = 0
        while True:
            if self._depth == 0:
                start = self._between()
                if start < 0:
                    start = self._position
                    break
            if not self._inside():
                break
            frames.append(Frame(data=bytes(self._buffer[start : self._position])))
            if len(frames[-1].data) > self._limit:
                raise FrameTooLargeError(framing="json-array", limit=self._limit)
            self._state = "end" if self._state == "single" else "after"
            start = self._position
        if start:
            del self._buffer[:start]
            self._position -= start
        if len(self._buffer) > self._limit:
            raise FrameTooLargeError(framing="json-array", limit=self._limit)
        return frames

    def close(self) -> list[Frame]:
        """Nothing is ever left.

        Raises:
            TruncatedFrameError: the stream ended before the array did.
        """
        if self._state != "end" or self._depth:
            raise TruncatedFrameError(
                "the JSON array ended before its closing bracket; what arrived before it is valid",
                framing="json-array",
            )
        return []

    def _between(self) -> int:
        """Go on to the next element; the place of its opening brace, -1 if it has not arrived."""
        buffer = self._buffer
        while self._position < len(buffer):
            byte = buffer[self._position]
            if byte in _SPACE:
                self._position += 1
                continue
            match self._state, byte:
                case "begin", 0xEF:
                    if len(buffer) < self._position + 3:
                        return -1
                    if bytes(buffer[self._position : self._position + 3]) != _BOM:
                        raise _malformed("the stream does not begin with a JSON array")
                    self._position += 3
                    continue
                case "begin", 0x5B:
                    self._state = "first"
                case (("first" | "after"), 0x5D):
                    self._state = "end"
                case "after", 0x2C:
                    self._state = "next"
                case (("begin" | "first" | "next"), 0x7B):
                    if self._state == "begin":
                        self._state = "single"
                    self._depth = 1
                    self._position += 1
                    return self._position - 1
                case _:
                    raise _malformed("the stream is not a JSON array of objects")
            self._position += 1
        return -1

    def _inside(self) -> bool:
        """Go on to the end of the element; false if it has not arrived."""
        buffer = self._buffer
        position, end, depth = self._position, len(buffer), self._depth
        try:
            while position < end:
                if self._in_string:
                    position = _end(_STRING, buffer, position)
                    if position == end or buffer[position] != 0x22:
                        return False
                    self._in_string = False
                    position += 1
                position = _end(_SKIP, buffer, position)
                if position == end:
                    return False
                byte = buffer[position]
                position += 1
                if byte == 0x22:
                    self._in_string = True
                elif byte in b"{[":
                    depth += 1
                else:
                    depth -= 1
                    if depth == 0:
                        return True
            return False
        finally:
            self._position = position
            self._depth = depth


class JsonArrayWriter:
    """Frames as the elements of one JSON array, spaced as Google does."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = False

    def write(self, frame: Frame) -> bytes:
        """One element, with what stands between it and the one before."""
        if self._begun:
            return b",\r\n" + frame.data + b"\n"
        self._begun = True
        return b"[" + frame.data + b"\n"

    def close(self) -> bytes:
        """The end of the array."""
        return b"]\n" if self._begun else b"[]\n"


def _end(pattern: re.Pattern[bytes], buffer: bytearray, position: int) -> int:
    found = pattern.match(buffer, position)
    # Both patterns match the empty string, so there always is a match.
    return position if found is None else found.end()


def _malformed(problem: str) -> FramingError:
    return FramingError(problem, framing="json-array")
