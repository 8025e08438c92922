"""The connections to one endpoint: reused last in, first out; limited; handed on in the order of asking."""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec

from freehold.transport.connection import Connection
from freehold.transport.dialing import Dialer
from freehold.transport.endpoint import Endpoint
from freehold.transport.errors import PoolTimeoutError
from freehold.transport.request import HeadWriter


class PoolCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How busy a pool is."""

    open: int
    idle: int
    waiting: int


class Pool:
    """The connections to one endpoint.

    `_open` counts slots: connections that are open or being opened. A slot that becomes free goes straight to the
    longest waiter, so that nobody who comes later can take it.
    """

    __slots__ = ("_all", "_closed", "_dialer", "_endpoint", "_idle", "_loop", "_open", "_retired", "_waiters", "head")

    def __init__(self, endpoint: Endpoint, dialer: Dialer, loop: asyncio.AbstractEventLoop) -> None:
        self._endpoint = endpoint
        self._dialer = dialer
        self._loop = loop
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._open = 0
        self._closed = False
        self._retired = False
        # What a waiter gets is a connection, or None: the slot for a new one.
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self.head = HeadWriter(endpoint.authority, absolute=dialer.absolute, proxy_authorization=dialer.authorization)

    def take(self) -> Connection | None:
        """The idle connection that was used last, if there is one."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return None

    async def acquire(self, deadline: float | None, *, fresh: bool = False) -> Connection:
        """A connection, opened if need be; `fresh`: rather a new one than one that was used before.

        Raises:
            PoolTimeoutError: none became free within the endpoint's `connect` limit or the deadline.
            TransportError: as `Dialer.dial`.
        """
        if fresh and self._open >= self._endpoint.max_connections and self._idle:
            # Its slot comes back through `_forget` once it is closed, to us if nobody asked earlier.
            self._idle.pop(0).abort()
        if self._open >= self._endpoint.max_connections:
            connection = await self._wait(deadline)
            if connection is not None:
                return connection
        else:
            self._open += 1
        # From here on the slot is ours.
        try:
            connection = await self._dialer.dial(self._make, deadline)
        except BaseException:
            self._free_slot()
            raise
        if connection.lost:
            # Closed before we could look at it; sending on it says so.
            self._free_slot()
        else:
            self._all.add(connection)
            if self._closed:
                connection.abort()
        return connection

    def now(self) -> float:
        """The loop's time in seconds."""
        return self._loop.time()

    def counts(self) -> PoolCounts:
        """How busy this pool is right now."""
        return PoolCounts(open=self._open, idle=len(self._idle), waiting=len(self._waiters))

    def close(self) -> None:
        """Close every connection at once."""
        self._closed = True
        self._idle.clear()
        for connection in tuple(self._all):
            connection.abort()

    def retire(self) -> None:
        """Keep no connection beyond the request that it serves now."""
        self._retired = True
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @property
    def unused(self) -> bool:
        """Whether it has no connection and nobody waits for one."""
        return self._open == 0

    @property
    def empty(self) -> bool:
        """Whether no connection is left."""
        return not self._all

    def _make(self) -> Connection:
        return Connection(self._endpoint, self._loop, on_idle=self._put, on_closed=self._forget)

    async def _wait(self, deadline: float | None) -> Connection | None:
        limit = self._loop.time() + self._endpoint.timeouts.connect
        if deadline is not None:
            limit = min(limit, deadline)
        while True:
            waiter: asyncio.Future[Connection | None] = self._loop.create_future()
            self._waiters.append(waiter)
            try:
                async with asyncio.timeout_at(limit):
                    connection = await waiter
            except BaseException as error:
                self._give_back(waiter)
                if isinstance(error, TimeoutError):
                    raise self._too_busy() from None
                raise
            if connection is None or connection.usable:
                return connection
            connection.close()

    def _give_back(self, waiter: asyncio.Future[Connection | None]) -> None:
        """Undo a wait that ended while its result may have been on its way."""
        if not waiter.done() or waiter.cancelled():
            waiter.cancel()
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            return
        connection = waiter.result()
        if connection is None:
            self._free_slot()
        else:
            self._put(connection)

    def _put(self, connection: Connection) -> None:
        if self._closed or self._retired:
            connection.close()
            return
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(connection)
        else:
            self._idle.append(connection)

    def _forget(self, connection: Connection) -> None:
        if connection not in self._all:
            return  # lost while it was being opened: that slot is still the opener's
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._free_slot()

    def _free_slot(self) -> None:
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(None)
        else:
            self._open -= 1

    def _next_waiter(self) -> asyncio.Future[Connection | None] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _too_busy(self) -> PoolTimeoutError:
        endpoint = self._endpoint
        return PoolTimeoutError(
            f"all {endpoint.max_connections} connections to {endpoint.name} stayed busy for "
            f"{endpoint.timeouts.connect:g} s; raise the account's max_connections or use another target",
            phase="pool",
            host=endpoint.name,
            seconds=endpoint.timeouts.connect,
        )
