"""Streams whose request is not known: the first frame, or the first event, says which body's language they speak."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.ir import Event, Loss, ResponseStart
from freehold.protocols.codec import Codec, Frame, Stamp, StreamDecoder, StreamEncoder


class SniffingDecoder:
    """Decodes chunks of chat or events of Responses, whichever comes first."""

    def __init__(self, chat: Codec, responses: Codec) -> None:
        self._chat = chat
        self._responses = responses
        self._inner: StreamDecoder | None = None

    def feed(self, frame: Frame) -> list[Event]:
        """The batch of one frame."""
        if self._inner is None:
            named = frame.event is not None and frame.event.startswith("response.")
            typed = named or b'"response.' in frame.data[:200]
            self._inner = (self._responses if typed else self._chat).decoder()
        return self._inner.feed(frame)

    def close(self) -> list[Event]:
        """What is left to say when the connection ends."""
        return (self._inner or self._chat.decoder()).close()


class SniffingEncoder:
    """Encodes an answer in the language that said it, where that is chat or Responses, else as chat."""

    def __init__(self, chat: Codec, responses: Codec, stamp: Stamp) -> None:
        self._chat = chat
        self._responses = responses
        self._stamp = stamp
        self._inner: StreamEncoder | None = None
        self.losses: list[Loss] = []

    def feed(self, events: Sequence[Event]) -> list[Frame]:
        """The frames of one batch."""
        if self._inner is None:
            self._inner = self._codec_for(events).encoder(self._stamp)
            self.losses = self._inner.losses
        return self._inner.feed(events)

    def _codec_for(self, events: Sequence[Event]) -> Codec:
        for event in events:
            if isinstance(event, ResponseStart) and event.response.origin == self._responses.name:
                return self._responses
            if event.rest is not None and event.rest.origin is self._responses.language:
                return self._responses
        return self._chat
