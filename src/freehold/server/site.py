"""What all connections of one front share, and the life of one exchange behind any HTTP version."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Callable
from email.utils import formatdate
from operator import itemgetter
from typing import Final, Protocol, TypeAlias

from freehold.server.http import ClientGone, Handler, Headers, Incoming, Sink, TooLarge
from freehold.server.limits import Gate, HttpLimits

log = logging.getLogger("freehold.server")

Answer: TypeAlias = tuple[int, Headers, bytes]
Refuse: TypeAlias = Callable[[Incoming], Answer]
"""Words the 503 for an exchange that finds no free place, in the caller's own protocol."""


def refuse_plainly(_incoming: Incoming) -> Answer:
    """A 503 for callers whose protocol is not known."""
    body = b'{"error":{"message":"Too many open exchanges; try again shortly.","code":"too_many_streams"}}'
    return 503, [("content-type", "application/json"), ("retry-after", "1")], body


ROOM: Final = 64
"""One of so many connections is closed at a time to make room: looking at all of them for each new one would cost more
than the new one."""

FULL: Final = 0.05
"""Seconds until idle connections are looked for again when there was none."""

SAID_AGAIN: Final = 10.0
"""Seconds until the log repeats what strangers can provoke as often as they like."""


class Seldom:
    """Lets through what was not said for a while."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = float("-inf")

    def due(self, now: float) -> bool:
        """Whether to say it; `now` is the loop's time."""
        if now < self._until:
            return False
        self._until = now + SAID_AGAIN
        return True


class Connection(Protocol):
    """A client's connection, as the front sees it."""

    @property
    def idle_since(self) -> float | None:
        """The loop's time since when nothing is owed to the client; None while something is."""
        ...

    def sweep(self, now: float) -> None:
        """Closes or breaks what has made no progress for too long; `now` is the loop's time."""
        ...

    def drain(self) -> None:
        """Takes no new exchange and closes when the present ones have ended."""
        ...

    def kill(self) -> None:
        """Ends at once, whatever is in flight."""
        ...


class Site:
    """The handler, the limits and the open connections of one front."""

    __slots__ = (
        "_full_until",
        "_says_full",
        "closed_for_room",
        "connections",
        "date",
        "draining",
        "failed_handshakes",
        "gate",
        "handler",
        "limits",
        "loop",
        "now",
        "refuse",
        "refused",
        "running",
    )

    def __init__(
        self,
        *,
        handler: Handler,
        limits: HttpLimits,
        refuse: Refuse,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
    ) -> None:
        self.handler = handler
        self.limits = limits
        self.refuse = refuse
        self.loop = loop
        self.now = clock
        self.gate = Gate(limits.streams)
        self.connections: set[Connection] = set()
        self.closed_for_room = 0
        """Idle connections closed so far so that others could be opened."""
        self.refused = 0
        """Connections turned away so far because there were too many."""
        self.failed_handshakes = 0
        """TLS handshakes that have failed so far."""
        self._full_until = 0.0
        self._says_full = Seldom()
        self.running: dict[Exchange, asyncio.Task[None]] = {}
        """The handlers at work."""
        self.draining = False
        self.date = ""
        """The `date` header's value, refreshed every second; SDKs correct clock skew for SigV4 by it."""
        self.refresh_date()

    def refresh_date(self) -> None:
        """Sets the date to now."""
        self.date = formatdate(self.now(), usegmt=True)

    def admit(self, connection: Connection) -> bool:
        """Takes a new connection in, unless there are too many and none of them is idle."""
        if len(self.connections) >= self.limits.connections:
            if self._says_full.due(self.loop.time()):
                log.warning(
                    "%d connections are open, which is the limit ([limits] connections, or half of the open files that "
                    "the system allows): idle ones are closed, and where none is idle new ones are refused",
                    len(self.connections),
                )
            if not self.make_room():
                self.refused += 1
                return False
        self.connections.add(connection)
        return True

    def make_room(self) -> bool:
        """Closes the connections that have been idle for longest; false when none is idle."""
        now = self.loop.time()
        if now < self._full_until:
            return False
        idle = [(since, each) for each in self.connections if (since := each.idle_since) is not None]
        oldest = heapq.nsmallest(max(1, self.limits.connections // ROOM), idle, key=itemgetter(0))
        for _, connection in oldest:
            self.connections.discard(connection)
            connection.kill()
        self.closed_for_room += len(oldest)
        if not oldest:
            self._full_until = now + FULL
        return bool(oldest)

    def begin(self, exchange: Exchange) -> None:
        """Runs the handler for one exchange, or refuses it."""
        if not self.gate.enter():
            self.turn_away(exchange, self.refuse(exchange))
            return
        self.running[exchange] = self.loop.create_task(self._run(exchange))

    def turn_away(self, exchange: Exchange, answer: Answer) -> None:
        """Answers in the handler's place: soon, because a connection may be in the middle of something now."""

        def give() -> None:
            with contextlib.suppress(ClientGone):
                exchange.respond(*answer)

        self.loop.call_soon(give)

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self.handler(exchange, exchange)
        except ClientGone:
            pass
        except asyncio.CancelledError:
            if not exchange.started:
                with contextlib.suppress(ClientGone):
                    exchange.respond(503, [("content-type", "text/plain"), ("retry-after", "1")], b"Shutting down\n")
            # Not raised again: the task would keep the error, whose frames keep the exchange, which knows the task. A
            # stream that nobody reads holds a megabyte by then, and the garbage collector comes by rarely.
        except Exception:
            log.exception("%s %s: the handler failed", exchange.method, exchange.path)
        finally:
            self.gate.leave()
            # Done by hand: a done callback would cost every request another turn of the event loop.
            self.running.pop(exchange, None)
            exchange.close()


class Exchange:
    """One request and its answer: what HTTP/1.1 and HTTP/2 have in common.

    It is `Incoming`, `Outgoing` and `Sink` in one object, because each further object would cost every request.
    """

    __slots__ = (
        "_chunks",
        "_gone",
        "_limit",
        "_on_gone",
        "_waiter",
        "announced",
        "client",
        "complete",
        "finished",
        "headers",
        "http_version",
        "method",
        "path",
        "query",
        "scheme",
        "size",
        "started",
    )

    def __init__(
        self,
        *,
        method: str,
        path: str,
        query: str,
        headers: list[tuple[str, str]],
        client: str,
        scheme: str,
        http_version: str,
        announced: int,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.client = client
        self.scheme = scheme
        self.http_version = http_version
        self.announced = announced
        """The content-length, or 0."""
        self.size = 0
        """Body bytes received so far."""
        self.complete = False
        """The whole request has been received."""
        self.started = False
        self.finished = False
        """The answer is complete, or was broken off."""
        self._chunks: list[bytes] = []
        self._limit = -1
        self._gone = False
        self._waiter: asyncio.Future[None] | None = None
        self._on_gone: Callable[[], object] | None = None

    # What each HTTP version does in its own way.

    def want_body(self) -> None:
        """The handler waits for the body: let it come."""
        raise NotImplementedError

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """See `Outgoing.respond`."""
        raise NotImplementedError

    async def start(self, status: int, headers: Headers) -> Sink:
        """See `Outgoing.start`."""
        raise NotImplementedError

    def abort(self) -> None:
        """See `Sink.abort`."""
        raise NotImplementedError

    # The request's side.

    def feed(self, data: bytes) -> None:
        """Takes a piece of the body from the connection."""
        self.size += len(data)
        if self._limit < 0 or self.size <= self._limit:
            self._chunks.append(data)
        else:
            self._chunks.clear()
            self.wake()

    def feed_end(self) -> None:
        """The request is complete."""
        self.complete = True
        self.wake()

    def lose(self) -> None:
        """The client has left, or has to be treated so."""
        if self._gone:
            return
        self._gone = True
        self.wake()
        if self._on_gone is not None and not self.finished:
            self._on_gone()

    def wake(self) -> None:
        """Lets whoever waits for the body look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def waits_for_body(self) -> bool:
        """The handler is inside `body`."""
        return self._waiter is not None

    async def body(self, limit: int) -> bytes:
        """See `Incoming.body`."""
        self._limit = limit
        while True:
            if self.announced > limit or self.size > limit:
                self._chunks.clear()
                raise TooLarge(limit)
            if self.complete:
                break
            if self._gone:
                raise ClientGone
            self.want_body()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if len(self._chunks) != 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0]

    async def disconnected(self) -> None:
        """See `Incoming.disconnected`."""
        if self._gone:
            return
        gone = asyncio.get_running_loop().create_future()
        before = self._on_gone

        def tell() -> None:
            if before is not None:
                before()
            if not gone.done():
                gone.set_result(None)

        self._on_gone = tell
        await gone

    def when_gone(self, callback: Callable[[], object]) -> None:
        """See `Incoming.when_gone`."""
        if self._gone:
            callback()
        self._on_gone = callback

    # The end.

    def close(self) -> None:
        """The handler has returned: an answer that it owes is given for it."""
        if self.finished or self._gone:
            return
        if self.started:
            log.error("%s %s: the handler left its stream open; aborted", self.method, self.path)
            self.abort()
            return
        log.error("%s %s: the handler gave no answer", self.method, self.path)
        self.respond(500, [("content-type", "text/plain")], b"Internal error\n")
