"""JSON lines (NDJSON; Ollama, Cohere v1) as frames, in both directions."""

from __future__ import annotations

from freehold.protocols.codec import Frame
from freehold.transport.errors import FrameTooLargeError, TruncatedFrameError
from freehold.transport.framing.limits import MAX_FRAME, is_whole_json

_BOM = b"\xef\xbb\xbf"


class JsonLinesParser:
    """Bytes of JSON lines in, one frame for each line that is not empty out; any split gives the same frames."""

    __slots__ = ("_begun", "_limit", "_pending", "_size")

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._pending: list[bytes] = []
        self._size = 0
        self._begun = False

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by these bytes.

        Raises:
            FrameTooLargeError: one line is larger than the limit.
        """
        if b"\n" not in data:
            if data:
                self._keep(data)
            return []
        self._pending.append(data)
        *lines, rest = b"".join(self._pending).split(b"\n")
        self._pending.clear()
        self._size = 0
        frames = [Frame(data=line) for line in map(self._strip, lines) if line]
        if rest:
            self._keep(rest)
        return frames

    def close(self) -> list[Frame]:
        """The last line, if it has no line end.

        Raises:
            TruncatedFrameError: the stream ended inside a line.
        """
        rest = self._strip(b"".join(self._pending))
        self._pending.clear()
        if not rest:
            return []
        if not is_whole_json(rest):
            raise TruncatedFrameError(
                "the stream of JSON lines ended in the middle of a line; what arrived before it is valid",
                framing="json-lines",
            )
        return [Frame(data=rest)]

    def _strip(self, line: bytes) -> bytes:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_BOM)
        if len(line) > self._limit:
            raise FrameTooLargeError(framing="json-lines", limit=self._limit)
        return line.strip()

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise FrameTooLargeError(framing="json-lines", limit=self._limit)
        self._pending.append(data)


def write_json_line(frame: Frame) -> bytes:
    """One frame as one line; JSON that our encoders write holds no line end."""
    return frame.data + b"\n"
