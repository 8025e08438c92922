"""Upstreams written byte by byte, so that a test says exactly what travels."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from freehold.transport.endpoint import Endpoint, Timeouts

QUICK = Timeouts(connect=2.0, first_byte=2.0, idle=2.0)


class Received(msgspec.Struct, kw_only=True):
    """One request as it arrived; `connection` counts the connections of the server."""

    head: bytes
    body: bytes
    connection: int


Handler = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One connection seen from the upstream's side."""

    def __init__(
        self, server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.number = number

    async def request(self) -> Received:
        head = await self.reader.readuntil(b"\r\n\r\n")
        body = b""
        lower = head.lower()
        if b"\r\ncontent-length: " in lower:
            body = await self.reader.readexactly(int(lower.split(b"\r\ncontent-length: ")[1].split(b"\r\n")[0]))
        elif b"\r\ntransfer-encoding: chunked" in lower:
            while size := int(await self.reader.readline(), 16):
                body += await self.reader.readexactly(size)
                await self.reader.readline()
            await self.reader.readline()
        received = Received(head=head, body=body, connection=self.number)
        self.server.received.append(received)
        return received

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Wait until the client has closed."""
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        """Close with a TCP reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Upstream:
    """A listening server; `received` holds its requests, `connections` counts what it accepted."""

    def __init__(self) -> None:
        self.port = 0
        self.received: list[Received] = []
        self.connections = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def endpoint(self, **options: object) -> Endpoint:
        base = Endpoint(scheme="http", host="127.0.0.1", port=self.port, timeouts=QUICK)
        return msgspec.structs.replace(base, **options)


@asynccontextmanager
async def upstream(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncGenerator[Upstream]:
    """A server on a free loopback port that lives as long as the block."""
    self = Upstream()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            await handler(Peer(self, reader, writer, self.connections))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.close()
            self.tasks.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    self.port = server.sockets[0].getsockname()[1]
    try:
        yield self
    finally:
        server.close()
        for task in tuple(self.tasks):
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=1)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something holds that follows soon from what was done, however busy the machine is."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it did not come true")


def answering(*answers: bytes, close: bool = False) -> Handler:
    """Answer each request with the next of these bytes, the last one again and again."""

    async def handle(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(answers[min(len(peer.server.received), len(answers)) - 1])
            if close:
                return

    return handle


def ok(body: bytes = b"hello", headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%b\r\n%b" % (len(body), headers, body)


def chunked(*pieces: bytes) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"
