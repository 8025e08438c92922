"""A handler with no road behind it: each path shows one thing that a front must be able to do."""

from __future__ import annotations

import asyncio
import json

from freehold.server.http import ClientGone, Incoming, Outgoing, TooLarge

JSON = [("content-type", "application/json")]
EVENTS = [("content-type", "text/event-stream")]
BODY_LIMIT = 1000


class Demo:
    """The handler and what it saw."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.gate = asyncio.Event()
        """Handlers under /hold wait for it."""
        self.sent = 0
        """Bytes that /flood could send so far."""
        self.progress = asyncio.Event()

    def note(self, what: str) -> None:
        self.seen.append(what)
        self.progress.set()

    async def until(self, what: str) -> None:
        """Waits until the handler has noted something."""
        async with asyncio.timeout(5):
            while what not in self.seen:
                self.progress.clear()
                await self.progress.wait()

    async def __call__(self, incoming: Incoming, outgoing: Outgoing) -> None:
        first = incoming.path.split("/")[1]
        match first:
            case "echo":
                try:
                    body = await incoming.body(BODY_LIMIT)
                except TooLarge as error:
                    outgoing.respond(413, JSON, json.dumps({"limit": error.limit}).encode())
                    return
                except ClientGone:
                    self.note("echo: gone")
                    raise
                outgoing.respond(200, JSON, describe(incoming, body))
            case "deny":
                outgoing.respond(401, JSON, b'{"error":"no key"}')
            case "stream":
                sink = await outgoing.start(200, EVENTS)
                for number in range(3):
                    await sink.send(b"data: %d\n\n" % number)
                    await asyncio.sleep(0)
                await sink.end()
            case "exact":
                sink = await outgoing.start(200, [*JSON, ("content-length", "4")])
                await sink.send(b"ab")
                await sink.send(b"cd")
                await sink.end()
            case "abort":
                sink = await outgoing.start(200, EVENTS)
                await sink.send(b"data: partial\n\n")
                sink.abort()
            case "forget":
                sink = await outgoing.start(200, EVENTS)
                await sink.send(b"data: partial\n\n")
            case "raise":
                raise ZeroDivisionError
            case "nothing":
                return
            case "break":
                try:
                    outgoing.respond(200, [("x-a", "1\r\nx-b: 2")], b"")
                except ValueError:
                    outgoing.respond(200, [], b"refused")
            case "big":
                outgoing.respond(200, JSON, b"x" * 1_000_000)
            case "hold":
                self.note("hold: began")
                await self.gate.wait()
                outgoing.respond(200, JSON, b"{}")
            case "hold-stream":
                sink = await outgoing.start(200, EVENTS)
                await sink.send(b"data: first\n\n")
                self.note("hold-stream: began")
                await self.gate.wait()
                await sink.send(b"data: last\n\n")
                await sink.end()
            case "gone":
                self.note("gone: waits")
                await incoming.disconnected()
                self.note("gone: seen")
                try:
                    outgoing.respond(200, JSON, b"{}")
                except ClientGone:
                    self.note("gone: respond refused")
            case "when-gone":
                left = asyncio.Event()
                incoming.when_gone(left.set)
                sink = await outgoing.start(200, EVENTS)
                await sink.send(b"data: first\n\n")
                await left.wait()
                self.note("when-gone: called")
                try:
                    await sink.send(b"data: second\n\n")
                except ClientGone:
                    self.note("when-gone: send refused")
            case "flood":
                sink = await outgoing.start(200, EVENTS)
                piece = b"x" * 65_536
                try:
                    for _ in range(1_000):
                        await sink.send(piece)
                        self.sent += len(piece)
                        await asyncio.sleep(0)
                    await sink.end()
                    self.note("flood: ended")
                except ClientGone:
                    self.note("flood: gone")
            case "socket":
                outgoing.respond(426, [("upgrade", "HTTP/1.1")], b"")
            case _:
                outgoing.respond(200, [], b"")


def describe(incoming: Incoming, body: bytes) -> bytes:
    """What arrived, as JSON."""
    return json.dumps(
        {
            "method": incoming.method,
            "path": incoming.path,
            "query": incoming.query,
            "headers": incoming.headers,
            "client": incoming.client,
            "scheme": incoming.scheme,
            "version": incoming.http_version,
            "body": body.decode("latin-1"),
        }
    ).encode()
