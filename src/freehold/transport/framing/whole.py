"""Whole frames only: where a stream passes as bytes, nobody is given half a frame that may never be completed."""

from __future__ import annotations

from freehold.protocols.codec import Framing

_BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")
"""What ends a server-sent event; other mixtures end in one of these, too, or wait for the next event."""


class WholeFrames:
    """Holds back what follows the last whole frame; `held` is that, from a frame's beginning."""

    __slots__ = ("_framing", "held")

    def __init__(self, framing: Framing) -> None:
        self._framing: Framing = framing
        self.held = b""

    def feed(self, data: bytes) -> bytes:
        """All that is whole now."""
        if self._framing == "sse" and not self.held and data.endswith(b"\n\n"):
            return data
        data = self.held + data
        end = self._end(data)
        self.held = data[end:]
        return data[:end]

    def _end(self, data: bytes) -> int:
        match self._framing:
            case "sse":
                return max(found + len(line) if (found := data.rfind(line)) >= 0 else 0 for line in _BLANK_LINES)
            case "event-stream":
                end = 0
                # A message begins with its length; checksums are for whoever reads it.
                while len(data) - end >= 4 and 0 < (size := int.from_bytes(data[end : end + 4])) <= len(data) - end:
                    end += size
                return end
            case "json-lines":
                return data.rfind(b"\n") + 1
            case "json-array":
                return len(data)
