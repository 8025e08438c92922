"""What a request handler is given and what it may do: the contract between any HTTP server and the road.

A handler is one coroutine function. It gets the request as `Incoming` and answers exactly once through `Outgoing`:

    async def handle(incoming: Incoming, outgoing: Outgoing) -> None:
        body = await incoming.body(limit)
        outgoing.respond(200, [("content-type", "application/json")], answer)

or, piece by piece,

        sink = await outgoing.start(200, [("content-type", "text/event-stream")])
        await sink.send(frame)      # waits while the reader is slow
        await sink.end()            # or sink.abort(): never a clean end for a broken stream

A handler that returns without an answer, or leaves a stream open, is a bug: the front answers 500 or aborts,
and logs it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from freehold.errors import CallerError
from freehold.exchange.door import ClientGone, Door, Sink

__all__ = ["ClientGone", "Handler", "Headers", "Incoming", "Outgoing", "Sink", "TooLarge"]

Headers: TypeAlias = Sequence[tuple[str, str]]
"""Response headers, names in lower case. Values are latin-1; a line break in either is refused with ValueError."""


class TooLarge(CallerError):  # noqa: N818  named for the condition, as HTTP names it
    """The request's body is longer than the handler was willing to read; answered 413."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The request body is larger than {limit} bytes; send less, or raise [limits] body.",
            code="body_too_large",
            kind="too_large",
        )
        self.limit = limit
        """Bytes that would have been accepted."""


class Incoming(Protocol):
    """One request as it arrived."""

    @property
    def method(self) -> str:
        """As sent, case kept."""
        ...

    @property
    def path(self) -> str:
        """The raw path: percent-encoding exactly as received. Routing and AWS signatures both need it."""
        ...

    @property
    def query(self) -> str:
        """The raw query without its question mark."""
        ...

    @property
    def headers(self) -> list[tuple[str, str]]:
        """In order, duplicates kept, names in lower case, values as latin-1. HTTP/2's `:authority` is `host`."""
        ...

    @property
    def client(self) -> str:
        """The peer's IP address; empty on a Unix socket."""
        ...

    @property
    def scheme(self) -> str:
        """`http` or `https`, by the connection itself; no forwarding header is believed here."""
        ...

    @property
    def http_version(self) -> str:
        """`1.0`, `1.1` or `2`."""
        ...

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            TooLarge: more than `limit` bytes were announced or sent; an answer is still possible.
            ClientGone: the client left, or fell silent for the idle limit, before the body was complete.
        """
        ...

    async def disconnected(self) -> None:
        """Returns when the client has left; never, while it stays. Costs a waiting task: see `when_gone`."""
        ...

    def when_gone(self, callback: Callable[[], object]) -> None:
        """Calls back at most once, from the event loop, when the client leaves before the answer is complete.

        The cheap way to cancel an upstream attempt: no second task has to wait. The last callback given counts.
        """
        ...


class Outgoing(Door, Protocol):
    """The one answer to a request."""

    @property
    def started(self) -> bool:
        """Whether a status has been sent, so that nothing but the body can follow."""
        ...


Handler: TypeAlias = Callable[[Incoming, Outgoing], Awaitable[None]]
"""One exchange. Cancelled when a shutdown's grace has passed."""
