"""Which family a stream is of: its first chunk tells."""

from __future__ import annotations

from collections.abc import Mapping

from freehold.errors import CallerError
from freehold.ir import Event, Generate
from freehold.protocols.bedrock_invoke.chunks import CHUNK, open_chunk
from freehold.protocols.bedrock_invoke.family import Family, family_of_answer
from freehold.protocols.codec import Frame, StreamDecoder


class SniffingDecoder:
    """Looks at the first chunk, then lets that family's decoder read everything."""

    __slots__ = ("_expected", "_families", "_inner", "_request")

    def __init__(self, families: Mapping[str, Family], expected: Family, request: Generate | None) -> None:
        """`expected`: the family to take where no chunk tells."""
        self._families = families
        self._expected = expected
        self._request = request
        self._inner: StreamDecoder | None = None

    def feed(self, frame: Frame) -> list[Event]:
        """The events of one frame."""
        if self._inner is None:
            self._inner = self._family(frame).decoder(self._request)
        return self._inner.feed(frame)

    def close(self) -> list[Event]:
        """The connection ended."""
        if self._inner is None:
            self._inner = self._expected.decoder(self._request)
        return self._inner.close()

    def _family(self, frame: Frame) -> Family:
        if frame.kind != "event" or frame.event != CHUNK:
            return self._expected
        try:
            chunk, _ = open_chunk(frame)
        except CallerError:
            return self._expected
        name = family_of_answer(chunk)
        return self._expected if name is None else self._families[name]
