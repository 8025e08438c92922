"""Server-sent events as frames, in both directions."""

from __future__ import annotations

from freehold.protocols.codec import Frame
from freehold.transport.errors import FrameTooLargeError, TruncatedFrameError
from freehold.transport.framing.limits import MAX_FRAME, is_whole_json

_BOM = b"\xef\xbb\xbf"
_MAX_NAMES = 64
_MAX_STRAY = 65_536
"""Bytes of lines that are not server-sent events kept for the error: an error page seldom is longer."""


class SseParser:
    """Bytes of a `text/event-stream` in, frames out; any split of the bytes gives the same frames.

    Follows https://html.spec.whatwg.org/multipage/server-sent-events.html (line ends CR, LF or CRLF, byte order mark,
    comments, several `data:` lines) with two differences that real providers ask for. A stream that ends without its
    last blank line still yields its last event, if that is whole. A body with no event at all (a plain JSON error under
    the wrong content type) is yielded by `close` as one frame of kind `error`.

    `comments` counts comment lines: some providers send them to keep the line open.
    """

    __slots__ = (
        "_begun",
        "_cr",
        "_limit",
        "_names",
        "_newline",
        "_pending",
        "_size",
        "_stray",
        "_stray_size",
        "_yielded",
        "comments",
    )

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._pending: list[bytes] = []  # pieces of the event that has not ended, line ends already normalised to LF
        self._size = 0
        self._newline = False  # whether the last piece ends in LF
        self._cr = False  # whether the last byte fed was CR: a following LF belongs to it
        self._begun = False  # whether the place of the byte order mark has passed
        self._yielded = False
        self._stray: list[bytes] = []
        self._stray_size = 0
        self._names: dict[bytes, str] = {}  # event names repeat
        self.comments = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by these bytes.

        Raises:
            FrameTooLargeError: one event is larger than the limit.
        """
        if self._begun:
            frame = self._read_single(data)
            if frame is not None:
                self._yielded = True
                return [frame]
        else:
            data = self._begin(data)
        if self._cr or b"\r" in data:
            data = self._normalise(data)
        if not data:
            return []
        if b"\n\n" not in data and not (self._newline and data[0] == 10):
            self._keep(data)
            return []
        if self._pending:
            self._pending.append(data)
            data = b"".join(self._pending)
            self._pending.clear()
            self._size = 0
        limit = self._limit
        *events, rest = data.split(b"\n\n")
        frames: list[Frame] = []
        for event in events:
            # One `data:` line, alone or after an `event:` line: nearly every event of every provider.
            if event[:6] == b"data: " and b"\n" not in event and len(event) <= limit:
                frames.append(Frame(data=event[6:]))
                continue
            if event[:7] == b"event: " and event.count(b"\n") == 1 and len(event) <= limit:
                frame = self._read_single(event + b"\n\n")
                if frame is not None:
                    frames.append(frame)
                    continue
            frame = self._read_event(event)
            if frame is not None:
                frames.append(frame)
        self._newline = False
        if rest:
            self._keep(rest)
        if frames:
            self._yielded = True
        return frames

    def _read_single(self, data: bytes) -> Frame | None:
        """One whole event and nothing else, which is how most reads come; None for all other cases."""
        if self._pending or self._cr or len(data) > self._limit or b"\r" in data:
            return None
        last = len(data) - 2
        end = data.find(b"\n")
        if end == last:
            return Frame(data=data[6:last]) if data[:6] == b"data: " and data[-1] == 10 else None
        if data[:7] != b"event: " or data[end + 1 : end + 7] != b"data: " or data.find(b"\n", end + 1) != last:
            return None
        name = data[7:end]
        if not name or data[-1] != 10:
            return None
        known = self._names.get(name)
        if known is None:
            known = name.decode("utf-8", "replace")
            if len(self._names) < _MAX_NAMES:
                self._names[name] = known
        return Frame(data=data[end + 7 : last], event=known)

    def close(self) -> list[Frame]:
        """Frames left when the stream has ended.

        Raises:
            TruncatedFrameError: the stream ended inside the data of an event.
        """
        rest = b"".join(self._pending)
        if not self._begun:
            rest = rest.removeprefix(_BOM)
        self._pending.clear()
        self._size = 0
        frame = self._read_event(rest) if rest else None
        if frame is not None:
            if not rest.endswith(b"\n") and not _is_whole(frame.data):
                raise TruncatedFrameError(
                    "the event stream ended in the middle of an event; what arrived before it is valid", framing="sse"
                )
            self._yielded = True
            return [frame]
        if self._stray and not self._yielded:
            return [Frame(data=b"\n".join(self._stray), kind="error")]
        return []

    def _begin(self, data: bytes) -> bytes:
        """The first bytes without a byte order mark; nothing while they may still become one."""
        data = b"".join(self._pending) + data
        self._pending.clear()
        self._size = 0
        if len(data) < 3 and _BOM.startswith(data):
            self._pending.append(data)
            return b""
        self._begun = True
        return data.removeprefix(_BOM)

    def _normalise(self, data: bytes) -> bytes:
        if self._cr and data[:1] == b"\n":
            data = data[1:]
            self._cr = False
            if not data:
                return b""
        if data:
            self._cr = data[-1] == 13
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit + 2:  # line ends before and after the event do not count
            raise FrameTooLargeError(framing="sse", limit=self._limit)
        self._newline = data[-1] == 10
        self._pending.append(data)

    def _read_event(self, event: bytes) -> Frame | None:
        """One event from its lines; None when it has no data."""
        if len(event) > self._limit:
            raise FrameTooLargeError(framing="sse", limit=self._limit)
        name: str | None = None
        values: list[bytes] = []
        for line in event.split(b"\n"):
            field, colon, value = line.partition(b":")
            if value[:1] == b" ":
                value = value[1:]
            if field == b"data":
                values.append(value)
            elif field == b"event":
                name = value.decode("utf-8", "replace")
            elif not field:
                if colon:
                    self.comments += 1
            elif field not in (b"id", b"retry") and self._stray_size < _MAX_STRAY:
                self._stray.append(line)
                self._stray_size += len(line) + 1
        if not values:
            return None
        return Frame(data=values[0] if len(values) == 1 else b"\n".join(values), event=name or None)


def write_sse(frame: Frame) -> bytes:
    """One frame as a server-sent event.

    A line end inside the data (it never stands inside JSON) starts a further `data:` line.
    """
    data = frame.data
    if b"\n" in data or b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\ndata: ")
    if frame.event is None:
        return b"data: " + data + b"\n\n"
    return b"event: " + _one_line(frame.event) + b"\ndata: " + data + b"\n\n"


def _one_line(text: str) -> bytes:
    if "\n" in text or "\r" in text:
        raise ValueError("an event name has one line")
    return text.encode()


def _is_whole(data: bytes) -> bool:
    return data.strip() == b"[DONE]" or is_whole_json(data)
