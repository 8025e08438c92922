"""HTTP/1.1 and 1.0 connections: parsed by llhttp, written by hand, one exchange at a time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from http import HTTPStatus
from typing import Final, cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from freehold.server.http import ClientGone, Headers
from freehold.server.site import Exchange, Site

REASONS: Final = {status.value: status.phrase for status in HTTPStatus}

UNASKED: Final = 128 * 1024
"""Body bytes that are kept before a handler asks for them; then reading pauses."""

LINGER: Final = 2.0
"""Seconds during which the rest of a refused body is read and dropped: a reset would take the answer with it."""

RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a reset."""

OWNED: Final = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})
"""Response headers that describe this connection, so only this module writes them."""

WATCHED: Final = frozenset({"content-length", "expect", "host", "transfer-encoding"})

_names: dict[bytes, str] = {}
"""Header names seen, lower-cased: saves two thirds of decoding a header. Bounded by KNOWN_NAMES."""
KNOWN_NAMES: Final = 512


def _name(name: bytes) -> str:
    """A header name that was not seen before, in lower case."""
    text = name.decode("latin-1").lower()
    if len(_names) < KNOWN_NAMES:
        _names[name] = text
    return text


class _Refused(Exception):  # noqa: N818  carries a status out of the parser's callbacks
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Http1Exchange(Exchange):
    """One request and its answer on an HTTP/1 connection."""

    __slots__ = ("_left", "connection", "expects", "has_body", "keep_alive")

    connection: Http1Connection
    keep_alive: bool
    expects: bool
    has_body: bool
    _left: int
    """Bytes that the announced content-length still asks for; CHUNKED, or UNTIL_CLOSE."""

    def want_body(self) -> None:
        """Says 100 Continue where the client waits for it, and reads on."""
        if self.expects:
            self.expects = False
            if self.size == 0:
                self.connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.connection.wait_for_body()

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """See `Outgoing.respond`."""
        if self._gone:
            raise ClientGone
        length = "" if status in {204, 304} else f"content-length: {len(body)}\r\n"
        head = self._head(status, headers, length)
        self.started = True
        self.finished = True
        connection = self.connection
        if self.method == "HEAD" or not length:
            connection.transport.write(head)
        else:
            connection.transport.write(head + body)
        connection.answered(self)

    async def start(self, status: int, headers: Headers) -> Http1Exchange:
        """See `Outgoing.start`."""
        if self._gone:
            raise ClientGone
        framing = ""
        if self.method == "HEAD" or status in {204, 304}:
            self._left = NOTHING
        elif announced := [value for name, value in headers if name == "content-length"]:
            self._left = int(announced[0])
            framing = f"content-length: {self._left}\r\n"
        elif self.http_version == "1.0":
            self._left = UNTIL_CLOSE
            self.keep_alive = False
        else:
            self._left = CHUNKED
            framing = "transfer-encoding: chunked\r\n"
        head = self._head(status, headers, framing)
        self.started = True
        self.connection.transport.write(head)
        if self.connection.blocked:
            await self.connection.drained()
        return self

    async def send(self, data: bytes) -> None:
        """See `Sink.send`."""
        if self._gone:
            raise ClientGone
        if self.finished:
            raise RuntimeError("the stream has ended")
        if not data or self._left == NOTHING:
            return
        connection = self.connection
        if self._left == CHUNKED:
            connection.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            if self._left != UNTIL_CLOSE:
                if len(data) > self._left:
                    raise RuntimeError("more was sent than content-length announced")
                self._left -= len(data)
            connection.transport.write(data)
        if connection.blocked:
            await connection.drained()

    async def end(self) -> None:
        """See `Sink.end`."""
        if self._gone:
            raise ClientGone
        if self.finished:
            raise RuntimeError("the stream has ended")
        if self._left > 0:
            self.abort()
            raise RuntimeError("less was sent than content-length announced")
        self.finished = True
        if self._left == CHUNKED:
            self.connection.transport.write(b"0\r\n\r\n")
        self.connection.answered(self)

    def abort(self) -> None:
        """See `Sink.abort`."""
        if self.finished or self._gone:
            return
        self.finished = True
        # Where the end of the connection is the end of the body, only a reset tells the difference.
        self.connection.break_off(reset=self.started and self._left == UNTIL_CLOSE)

    def _head(self, status: int, headers: Headers, framing: str) -> bytes:
        """Status line and headers.

        Raises:
            RuntimeError: the answer was given before.
            ValueError: a header would break out of its line, or is not latin-1.
        """
        if self.started:
            raise RuntimeError("the answer has been given before")
        connection = self.connection
        if not self.complete or connection.site.draining:
            self.keep_alive = False
        lines = [f"{name}: {value}\r\n" for name, value in headers if name not in OWNED]
        if not self.keep_alive:
            lines.append("connection: close\r\n")
        elif status == 426:
            lines.append("connection: upgrade\r\n")
        elif self.http_version == "1.0":
            lines.append("connection: keep-alive\r\n")
        reason = REASONS.get(status, "")
        if framing:
            lines.append(framing)
        head = f"HTTP/1.1 {status} {reason}\r\n{''.join(lines)}date: {connection.site.date}\r\n\r\n"
        breaks = len(lines) + 3
        if head.count("\n") != breaks or head.count("\r") != breaks or "\0" in head:
            raise ValueError("a response header holds a line break")
        return head.encode("latin-1")


CHUNKED_CODING: Final = "Transfer-Encoding: chunked"

CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2
NOTHING: Final = -3


class Http1Connection(asyncio.Protocol):
    """One client's HTTP/1 connection."""

    __slots__ = (
        "_active",
        "_chunk_size",
        "_deaf",
        "_drain_waiter",
        "_head_size",
        "_headers",
        "_in_head",
        "_lingering",
        "_parser",
        "_queue",
        "_reading",
        "_receiving",
        "_resuming",
        "_since",
        "_unsent",
        "_url",
        "blocked",
        "client",
        "scheme",
        "site",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, site: Site, client: str, scheme: str) -> None:
        self.site = site
        self.client = client
        self.scheme = scheme
        self.blocked = False
        """The client reads slower than we write."""
        self._parser = HttpRequestParser(self)
        self._active: Http1Exchange | None = None
        self._receiving: Http1Exchange | None = None
        self._queue: deque[Http1Exchange] = deque()
        self._drain_waiter: asyncio.Future[None] | None = None
        self._in_head = False
        self._deaf = False
        self._resuming = False
        self._unsent = 0
        self._lingering = False
        self._reading = True
        self._since = site.loop.time()
        self._head_size = 0
        self._chunk_size = 0
        self._url = b""
        self._headers: list[tuple[str, str]] = []

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes over an open connection."""
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        self.site.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """The client left, or we closed."""
        self.site.connections.discard(self)
        waiting = (self._active, *self._queue)
        self._active = self._receiving = None
        self._queue.clear()
        for exchange in waiting:
            if exchange is not None:
                exchange.lose()
        self._release()
        # The two know each other: without that both go at once, and with them what was not sent.
        del self._parser

    def eof_received(self) -> bool:
        """A client that has closed its side is taken to be gone; the transport closes."""
        return False

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self.blocked = True
        self._since = self.site.loop.time()
        self._unsent = 0

    def resume_writing(self) -> None:
        """The client has read."""
        self.blocked = False
        self._release()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, then starts what has arrived."""
        if self._deaf:
            return
        receiving = self._receiving
        in_head = self._in_head
        size = receiving.size if receiving is not None else 0
        self._chunk_size = len(data)
        rest = data
        while rest:
            try:
                self._parser.feed_data(rest)
                break
            except HttpParserUpgrade as upgrade:
                rest = rest[int(upgrade.args[0]) :]
                self._decline_upgrade()
                if self._deaf:
                    break
            except HttpParserCallbackError as error:
                refused = error.__context__
                if not isinstance(refused, _Refused):
                    raise
                self._refuse(refused.status, str(refused))
                return
            except HttpParserError as error:
                self._refuse(400, str(error))
                return
        if receiving is not None and receiving.size != size:
            self._since = self.site.loop.time()
        elif in_head is self._in_head and receiving is self._receiving and (in_head or receiving is not None):
            # Neither body nor a finished head: an endless header, trailer or chunk extension.
            self._head_size += len(data)
            if self._head_size > self.site.limits.headers:
                self._refuse(431, "the headers are too large")
                return
        self._pump()

    # Called by the parser.

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._resuming:
            return
        self._in_head = True
        self._head_size = 0
        self._url = b""
        self._headers = []
        self._since = self.site.loop.time()

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        if not self._resuming:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one trailer."""
        if self._in_head:  # else a trailer, or the replayed head of a declined upgrade
            self._headers.append((_names.get(name) or _name(name), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """The head is complete: check it and queue the exchange."""
        if self._resuming:
            return
        self._in_head = False
        limits = self.site.limits
        headers = self._headers
        if len(headers) > limits.header_count:
            raise _Refused(431, "too many headers")
        if self._head_size + self._chunk_size > limits.headers and self._exact_head_size() > limits.headers:
            raise _Refused(431, "the headers are too large")
        self._head_size = 0
        hosts = 0
        length = coding = expected = None
        for name, value in headers:
            if name not in WATCHED:
                continue
            if name == "host":
                hosts += 1
            elif name == "content-length":
                length = value if length is None else ""
            elif name == "transfer-encoding":
                coding = value if coding is None else ""
            else:
                expected = value
        parser = self._parser
        version = parser.get_http_version()
        if version == "1.1":
            if hosts != 1:
                raise _Refused(400, "exactly one Host header is needed")
        elif version != "1.0":
            raise _Refused(505, "HTTP/1.0, 1.1 and 2 are spoken here")
        if coding is not None:
            # RFC 9112 section 6.1: both at once is how requests are smuggled past a proxy.
            if length is not None or version == "1.0":
                raise _Refused(400, "Transfer-Encoding can not be combined with this")
            if coding.strip().lower() != "chunked":
                raise _Refused(501, "no Transfer-Encoding but chunked is understood")
        elif length is not None and not length.isdecimal():
            raise _Refused(400, "Content-Length has to be one number")
        path, query = split_target(self._url)
        exchange = Http1Exchange(
            method=parser.get_method().decode("latin-1"),
            path=path,
            query=query,
            headers=headers,
            client=self.client,
            scheme=self.scheme,
            http_version=version,
            announced=int(length) if length else 0,
        )
        exchange.connection = self
        exchange.has_body = exchange.announced > 0 or coding is not None
        exchange.keep_alive = parser.should_keep_alive()
        exchange.expects = expected is not None and expected.lower() == "100-continue"
        self._receiving = exchange
        self._queue.append(exchange)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self._receiving is not None:
            self._receiving.feed(data)

    def on_message_complete(self) -> None:
        """The request is complete."""
        exchange = self._receiving
        if exchange is None or (self._parser.should_upgrade() and exchange.has_body and exchange.method != "CONNECT"):
            return
        self._receiving = None
        exchange.feed_end()

    # Called by the exchange.

    def wait_for_body(self) -> None:
        """The handler waits for the rest of the body."""
        self._since = self.site.loop.time()
        self._read(on=True)

    def answered(self, exchange: Http1Exchange) -> None:
        """The answer is complete: on to the next exchange, or close."""
        if exchange is not self._active:
            return
        self._active = None
        self._since = self.site.loop.time()
        if exchange.keep_alive and exchange.complete:
            self._pump()
            return
        self._lose_queue()
        if exchange.complete and not self._deaf:
            self.transport.close()
        else:
            self._linger()

    def break_off(self, *, reset: bool) -> None:
        """Closes without a clean end; what was written before is still delivered unless `reset`."""
        self._since = self.site.loop.time()
        self._deaf = True
        self._lingering = True
        if reset:
            sock: socket.socket | None = self.transport.get_extra_info("socket")
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()
            return
        self.transport.close()

    async def drained(self) -> None:
        """Returns when the client has read enough.

        Raises:
            ClientGone: it left, or read nothing for the idle limit.
        """
        if self._drain_waiter is None:
            self._drain_waiter = self.site.loop.create_future()
        await asyncio.shield(self._drain_waiter)
        if self.transport.is_closing():
            raise ClientGone

    # Called by the front.

    @property
    def idle_since(self) -> float | None:
        """See `Connection.idle_since`. A head that is not complete begins nothing, so a slow one is no protection."""
        if self._active is not None or self._queue or self.transport.get_write_buffer_size():
            return None
        return self._since

    def sweep(self, now: float) -> None:
        """See `Connection.sweep`."""
        limits = self.site.limits
        if self.blocked:
            unsent = self.transport.get_write_buffer_size()
            if unsent < self._unsent:
                # A whole large answer on a slow line: the reader does read.
                self._since = now
            self._unsent = unsent
        waited = now - self._since
        if self.transport.is_closing() or self._lingering:
            if waited > (limits.idle_timeout if self.blocked else LINGER):
                self.transport.abort()
        elif self.blocked:
            if waited > limits.idle_timeout:
                self.transport.abort()
        elif self._active is not None:
            if self._active.waits_for_body and waited > limits.idle_timeout:
                self._refuse(408, "the request body did not arrive in time")
        elif self._in_head:
            if waited > limits.header_timeout:
                self._refuse(408, "the request headers did not arrive in time")
        elif waited > limits.idle_timeout:
            self.transport.close()

    def drain(self) -> None:
        """See `Connection.drain`."""
        if self._active is None and not self._in_head:
            self.transport.close()

    def kill(self) -> None:
        """See `Connection.kill`."""
        self.transport.abort()

    # Inside.

    def _pump(self) -> None:
        """Starts the next exchange, and reads exactly as long as more can be kept."""
        if self._active is None and self._queue:
            self._active = self._queue.popleft()
            self.site.begin(self._active)
        active = self._active
        full = bool(self._queue) or (
            active is not None and not active.complete and not active.waits_for_body and active.size > UNASKED
        )
        self._read(on=not full)

    def _read(self, *, on: bool) -> None:
        if on is not self._reading and not self.transport.is_closing():
            self._reading = on
            if on:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def _release(self) -> None:
        waiter = self._drain_waiter
        self._drain_waiter = None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _decline_upgrade(self) -> None:
        """No upgrade is spoken, so HTTP/1.1 goes on after the request (RFC 9110 section 7.8), except after CONNECT."""
        asking = self._queue[-1] if self._queue else self._active
        if asking is not None and asking.method == "CONNECT":
            asking.keep_alive = False
            self._deaf = True
            return
        self._parser = HttpRequestParser(self)
        if self._receiving is not None:
            # The parser stops at the head of a request that offers an upgrade. Its body is read as that of a request
            # which offers none; taking it for the next request would let requests be smuggled.
            framing = f"Content-Length: {self._receiving.announced}" if self._receiving.announced else CHUNKED_CODING
            self._resuming = True
            self._parser.feed_data(f"POST / HTTP/1.1\r\n{framing}\r\n\r\n".encode())
            self._resuming = False

    def _refuse(self, status: int, reason: str) -> None:
        """Answers what can not be an exchange, and closes. Answers owed to earlier requests come first."""
        broken = self._receiving
        self._receiving = None
        if broken is not None and broken is not self._active:
            self._queue.remove(broken)
        elif broken is not None:
            self._active = None
            broken.lose()
            if broken.started:
                self.transport.abort()
                return
        self._deaf = True
        if self._active is None and self._queue:
            self._pump()
        if self._active is None:
            self._say(status, reason)
            return
        self._active.keep_alive = False

    def _exact_head_size(self) -> int:
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)

    def _say(self, status: int, reason: str) -> None:
        body = f"{reason}\n".encode()
        head = (
            f"HTTP/1.1 {status} {REASONS[status]}\r\nconnection: close\r\ncontent-type: text/plain\r\n"
            f"content-length: {len(body)}\r\ndate: {self.site.date}\r\n\r\n"
        )
        self.transport.write(head.encode("latin-1") + body)
        self._linger()

    def _lose_queue(self) -> None:
        while self._queue:
            self._queue.popleft().lose()

    def _linger(self) -> None:
        """Stops writing and drops what still comes, for a moment, then closes."""
        self._since = self.site.loop.time()
        self._deaf = True
        self._lingering = True
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._read(on=True)


def split_target(target: bytes) -> tuple[str, str]:
    """A request target as raw path and raw query (RFC 9112 section 3.2)."""
    text = target.decode("latin-1")
    if "#" in text:
        raise _Refused(400, "a request target has no fragment")
    if not text.startswith("/") and "://" in text:
        # absolute-form, as sent to proxies
        authority_and_path = text.partition("://")[2]
        slash = authority_and_path.find("/")
        question = authority_and_path.find("?")
        if question >= 0 and (slash < 0 or question < slash):
            return "/", authority_and_path[question + 1 :]
        text = authority_and_path[slash:] if slash >= 0 else "/"
    path, _, query = text.partition("?")
    return path, query
