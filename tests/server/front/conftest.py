"""A front on a free port, and a client that speaks raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias, cast

import pytest
import uvloop

from freehold.server.front import Front, address_of, listening_socket
from freehold.server.http import Handler
from freehold.server.limits import HttpLimits
from freehold.server.site import Refuse, refuse_plainly
from tests.server.front.demo import Demo

SMALL = HttpLimits(headers=4096, header_count=50, streams=50)
QUICK = HttpLimits(headers=4096, header_count=50, streams=50, header_timeout=0.3, idle_timeout=0.4)


class Running:
    """A front that serves."""

    def __init__(self, front: Front, host: str, port: int, demo: Demo) -> None:
        self.front = front
        self.host = host
        self.port = port
        self.demo = demo
        self.raws: list[Raw] = []

    async def connect(self, context: ssl.SSLContext | None = None) -> Raw:
        name = "localhost" if context is not None else None
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=context, server_hostname=name)
        raw = Raw(reader, writer)
        self.raws.append(raw)
        return raw

    async def say(self, data: bytes) -> bytes:
        """Sends bytes on a new connection and returns everything until the server closes."""
        raw = await self.connect()
        try:
            await raw.send(data)
            return await raw.until_closed()
        finally:
            raw.close()


class Raw:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        # A server that has refused may have closed before it read everything.
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readuntil(mark)

    async def until_closed(self) -> bytes:
        """Everything until the end; `<reset>` is appended where the end was one."""
        got = b""
        async with asyncio.timeout(5):
            try:
                while piece := await self.reader.read(65_536):
                    got += piece
            except ConnectionResetError:
                got += b"<reset>"
        return got

    async def answer(self) -> tuple[bytes, bytes]:
        """One answer with content-length: head and body."""
        head = await self.until(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        async with asyncio.timeout(5):
            return head, await self.reader.readexactly(length)

    def stop_reading(self) -> None:
        """Leaves everything in the kernel from now on."""
        cast("asyncio.ReadTransport", self.writer.transport).pause_reading()

    def close(self) -> None:
        self.writer.close()

    async def closed(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


Start: TypeAlias = Callable[..., AbstractAsyncContextManager[Running]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the product runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def start() -> Start:
    """Makes a front serve for as long as an `async with` block lasts."""

    @asynccontextmanager
    async def started(
        handler: Handler | None = None,
        *,
        limits: HttpLimits = SMALL,
        tls: ssl.SSLContext | None = None,
        refuse: Refuse = refuse_plainly,
    ) -> AsyncGenerator[Running]:
        demo = Demo()
        front = Front(handler=handler or demo, limits=limits, tls=tls, refuse=refuse)
        listener = listening_socket("127.0.0.1", 0)
        host, port = address_of(listener)
        await front.start(listener)
        try:
            running = Running(front, host, port, demo)
            yield running
            for raw in running.raws:
                await raw.closed()
        finally:
            await front.stop(0.0)

    return started


@pytest.fixture
async def front(start: Start) -> AsyncIterator[Running]:
    """A front with the demo handler and small limits."""
    async with start() as running:
        yield running


@pytest.fixture
async def hasty(start: Start) -> AsyncIterator[Running]:
    """The same with times that run out within a test."""
    async with start(limits=QUICK) as running:
        yield running
