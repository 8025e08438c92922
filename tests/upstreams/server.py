"""A small HTTP/1.1 server that replays answers: the part of every emulated upstream that knows no vendor."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

MAX_BODY = 64 * 1024 * 1024


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it arrived; header names in lower case, path and query as on the wire."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: whole (`body`), or in pieces that leave one by one.

    `ending` says what follows the last piece: a proper end, a reset, a close without the terminator, or silence until
    the other side closes; without pieces all but the first come instead of an answer. `pieces` may be endless; it is
    drawn from only as fast as the other side reads.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    body: bytes = b""
    pieces: Iterable[bytes] | None = None
    ending: Literal["end", "reset", "close", "silence"] = "end"
    gap: float = 0.0


SILENT = Reply(ending="silence")
"""No answer at all, not even a head, until the other side gives up."""

Answer = Callable[[Asked], Reply]


class Server:
    """Listens on a free loopback port; counts connections, requests under way, and callers that left early."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0
        self.requests = 0
        self.left_early = 0
        self.bytes_sent = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (asked := await _read(reader, number)) is not None:
                self.requests += 1
                if not await self._reply(self._answer(asked), reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side went away between requests
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _reply(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection can take another request."""
        if reply.pieces is None and reply.ending != "end":
            return await self._end(reply, reader, writer)
        head = "".join(f"{name}: {value}\r\n" for name, value in reply.headers)
        if reply.pieces is None:
            writer.write(f"HTTP/1.1 {reply.status} X\r\ncontent-length: {len(reply.body)}\r\n{head}\r\n".encode())
            writer.write(reply.body)
            await writer.drain()
            return True
        writer.write(f"HTTP/1.1 {reply.status} X\r\ntransfer-encoding: chunked\r\n{head}\r\n".encode())
        try:
            for piece in reply.pieces:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.bytes_sent += len(piece)
                await writer.drain()
                if reply.gap:
                    await asyncio.sleep(reply.gap)
        except ConnectionError:
            self.left_early += 1
            return False
        return await self._end(reply, reader, writer)

    async def _end(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        match reply.ending:
            case "end":
                writer.write(b"0\r\n\r\n")
                await writer.drain()
                return True
            case "close":
                return False
            case "reset":
                # What was written must leave before the reset overtakes it.
                await asyncio.sleep(0.01)
                link: socket.socket = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return False
            case "silence":
                await self._until_gone(reader)
                return False

    async def _until_gone(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass
        self.left_early += 1


async def _read(reader: asyncio.StreamReader, connection: int) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ")
    headers: list[tuple[str, str]] = []
    for line in lines[1:-2]:
        name, _, value = line.partition(":")
        headers.append((name.lower(), value.strip()))
    known = dict(headers)
    body = b""
    if "content-length" in known:
        length = int(known["content-length"])
        assert length <= MAX_BODY
        body = await reader.readexactly(length)
    elif known.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    path, _, query = target.partition("?")
    return Asked(method=method, path=path, query=query, headers=tuple(headers), body=body, connection=connection)
