"""The client: a request to an endpoint, its answer as it arrives.

    client = Client()
    answer = await client.send(endpoint, "POST", "/v1/messages", headers, body, deadline=None)
    async for data in answer:
        ...

Redirects are never followed: credentials would follow them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Sequence
from types import TracebackType
from typing import Protocol, Self

from freehold.transport.addresses import resolve
from freehold.transport.answer import Answer
from freehold.transport.connection import Connection
from freehold.transport.dialing import Dialer, Resolver
from freehold.transport.endpoint import Endpoint
from freehold.transport.errors import ConnectionLostError
from freehold.transport.pool import Pool, PoolCounts

# Below this size one write of head and body together is cheaper than two.
_JOIN = 65_536

MOST_POOLS = 256
"""Endpoints remembered without a connection; accounts have a few dozen."""


class Upstream(Protocol):
    """What the road needs from a client; `transport.fake` has another one."""

    async def send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        deadline: float | None = None,
    ) -> Answer:
        """As `Client.send`."""
        ...

    async def close(self) -> None:
        """As `Client.close`."""
        ...


class Client:
    """Sends requests over pooled HTTP/1.1 connections; one for each event loop."""

    def __init__(self, *, resolver: Resolver = resolve) -> None:
        """`resolver` turns host and port into addresses."""
        self._pools: dict[Endpoint, Pool] = {}
        self._retired: list[Pool] = []
        self._resolver = resolver
        self._closed = False

    async def send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes | AsyncIterable[bytes] = b"",
        *,
        deadline: float | None = None,
    ) -> Answer:
        """Send one request and wait for the head of its answer, whatever its status.

        `target` is the raw path and query. `host`, `accept-encoding: identity` and the length are added where `headers`
        has none. A body in pieces is sent chunked. `deadline` is in the loop's time and covers the answer's body too.
        A request on a connection that had gone stale is sent once more on a fresh one, if no byte of an answer came.

        Raises:
            TransportError: no answer; its class and phase say why.
            UnsendableError: the request can not be said in HTTP.
            ForbiddenAddressError: the endpoint must be public and is not.
        """
        pool = self._pools.get(endpoint) or self._add_pool(endpoint)
        whole = isinstance(body, bytes)
        head = pool.head.write(method, target, headers, len(body) if whole else None)
        rest = b""
        if whole:
            if len(body) < _JOIN:
                head += body
            else:
                rest = body
        total = endpoint.timeouts.total
        if total is not None:
            latest = pool.now() + total
            deadline = latest if deadline is None else min(deadline, latest)
        fresh = False
        while True:
            connection = None if fresh else pool.take()
            if connection is None:
                connection = await pool.acquire(deadline, fresh=fresh)
            try:
                connection.start(head, rest, deadline, head_only=method == "HEAD", streaming=not whole)
                if not whole:
                    await _upload(connection, body)
                while connection.state == "head":
                    await connection.wait()
            except BaseException:
                connection.abort()
                raise
            if connection.status:
                return Answer.of(connection)
            error = connection.error
            if error is None:
                raise RuntimeError("a connection ended without an answer and without an error")
            if not (isinstance(error, ConnectionLostError) and connection.reused and whole and not fresh):
                raise error
            fresh = True

    def counts(self, endpoint: Endpoint) -> PoolCounts:
        """How busy the connections to this endpoint are."""
        pool = self._pools.get(endpoint)
        return PoolCounts(open=0, idle=0, waiting=0) if pool is None else pool.counts()

    def renew(self) -> None:
        """Read certificate files anew for connections from now on; requests in flight keep theirs."""
        for endpoint in [each for each in self._pools if each.ca_file is not None or each.client_cert is not None]:
            self._retire(self._pools.pop(endpoint))

    def _retire(self, pool: Pool) -> None:
        self._retired = [each for each in self._retired if not each.unused]
        self._retired.append(pool)
        pool.retire()

    async def close(self) -> None:
        """Close every connection at once; answers still being read end with an error."""
        self._closed = True
        pools = [*self._pools.values(), *self._retired]
        for pool in pools:
            pool.close()
        # Transports say that they are closed in the next turns of the loop.
        for _ in range(100):
            if all(pool.empty for pool in pools):
                break
            await asyncio.sleep(0.001)
        self._pools.clear()
        self._retired.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _add_pool(self, endpoint: Endpoint) -> Pool:
        if self._closed:
            raise RuntimeError("this client is closed")
        if len(self._pools) >= MOST_POOLS:
            # Which hosts media come from is the callers' choice, and there is no end of names below a wildcard.
            for unused in [each for each, pool in self._pools.items() if pool.unused]:
                del self._pools[unused]
        pool = Pool(endpoint, Dialer(endpoint, resolver=self._resolver), asyncio.get_running_loop())
        self._pools[endpoint] = pool
        return pool


async def _upload(connection: Connection, body: AsyncIterable[bytes]) -> None:
    """Send a body in pieces, until it ends or the upstream has answered without wanting the rest."""
    async for piece in body:
        if connection.state != "head":
            return
        if piece:
            await connection.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    await connection.write(b"0\r\n\r\n")
    connection.finish_sending()
