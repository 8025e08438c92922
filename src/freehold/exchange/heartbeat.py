"""Keep-alives while a model is silent, in each protocol's own way, so that nobody in between hangs up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from freehold.exchange.door import ClientGone

if TYPE_CHECKING:
    from freehold.exchange.door import Sink

PERIOD = 15.0
"""Seconds of silence before a beat; the common load balancers hang up after 60."""


class Heartbeat:
    """Sends a beat into a stream after each period in which nothing else was sent; costs nothing while it flows."""

    __slots__ = ("_beat", "_loop", "_moved", "_period", "_sending", "_sink", "_timer", "_whole")

    def __init__(self, sink: Sink, beat: bytes, *, period: float = PERIOD) -> None:
        self._sink = sink
        self._beat = beat
        self._period = period
        self._loop = asyncio.get_running_loop()
        self._sending: asyncio.Task[None] | None = None
        self._moved = False  # whether anything was sent since the last look
        self._whole = True  # whether what was sent last ended with a whole event
        self._timer = self._loop.call_later(period, self._look) if beat else None

    def _look(self) -> None:
        if not self._moved and self._whole:
            self._sending = self._loop.create_task(self._send(self._beat))
        self._moved = False
        self._timer = self._loop.call_later(self._period, self._look)

    async def _send(self, beat: bytes) -> None:
        with contextlib.suppress(ClientGone):  # the road hears of it by itself
            await self._sink.send(beat)

    async def send(self, data: bytes) -> None:
        """Write a piece of the stream. Raises ClientGone."""
        sending = self._sending
        if sending is not None:
            self._sending = None
            await sending
        # A piece that passes unread may end in mid-event; while a slow reader is waited for, nothing comes between.
        self._whole = False
        await self._sink.send(data)
        self._whole = data.endswith(b"\n\n")
        self._moved = True

    def stop(self) -> None:
        """No more beats."""
        if self._timer is not None:
            self._timer.cancel()
