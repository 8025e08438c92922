"""The door an exchange came in by and its answer leaves through, whatever server holds it open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from freehold.exchange.lanes import Strictness
from freehold.protocols.codec import Codec, Operation, WireRequest


class ClientGone(Exception):  # noqa: N818 -- an ordinary way for an exchange to end
    """The client left, or stopped reading for longer than the idle limit, before the answer was complete.

    Deliberately no `OSError`: code that turns connection failures into upstream errors must not catch it.
    """


class Sink(Protocol):
    """The open body of a streamed answer."""

    async def send(self, data: bytes) -> None:
        """Write one piece and wait while the client reads slower than we send. Raises ClientGone."""
        ...

    async def end(self) -> None:
        """The clean end of the body. Raises ClientGone."""
        ...

    def abort(self) -> None:
        """The end of a broken stream: the client sees a failure, never a clean end."""
        ...


class Door(Protocol):
    """The one answer to a request."""

    def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """The whole answer at once. Raises ClientGone."""
        ...

    async def start(self, status: int, headers: Sequence[tuple[str, str]]) -> Sink:
        """Status and headers now, the body through the sink. Raises ClientGone."""
        ...


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was let in: who asks, in which protocol, and what they wish for beyond their protocol's words.

    `id` is the exchange's, `parent` that of another for whose sake it is asked. `deadline` is on the event loop's
    clock, in seconds.
    """

    id: str
    codec: Codec
    operation: Operation
    wire: WireRequest
    project: str
    key: str | None
    models: tuple[str, ...]
    started: float
    deadline: float
    region: str | None = None
    strictness: Strictness = "reject-content"
    strategy: str | None = None
    parent: str | None = None
    tags: dict[str, str] = {}
