"""HTTP/2 connections: framed by the h2 library, one exchange per stream.

Spoken by the AWS SDK for JavaScript, also in clear text with prior knowledge; every other client uses HTTP/1.1.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final, cast

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from freehold.server.http import ClientGone, Headers
from freehold.server.site import Exchange, Site

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

STREAM_WINDOW: Final = 128 * 1024
"""Body bytes that a stream may send before its handler asks for them."""

CONNECTION_WINDOW: Final = 16 * 1024 * 1024
"""Body bytes in flight on one connection: every allowed stream may fill its window."""

FLOOD: Final = 4 * 1024 * 1024
"""Unsent bytes beyond which a connection is dropped. Answers stop at the transport's high-water mark, so only
acknowledgements that a flood of pings or settings provokes can grow so far."""

RESETS: Final = 200
"""Streams that a client may cancel in excess of those answered before it is taken for a rapid-reset attack
(CVE-2023-44487)."""

FORBIDDEN: Final = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
"""Connection-specific headers have no place in HTTP/2 (RFC 9113 section 8.2.2)."""


class Http2Exchange(Exchange):
    """One request and its answer on an HTTP/2 stream."""

    __slots__ = ("connection", "rest", "since", "stream", "unread", "window")

    connection: Http2Connection
    stream: int
    rest: asyncio.Task[None] | None
    """Sends what of a whole answer did not fit into the client's window."""
    unread: int
    """Body bytes received and not yet acknowledged, so not yet free in the client's window."""
    window: asyncio.Future[None] | None
    """Waits for the client to open its window."""
    since: float
    """The loop's time when the exchange last made progress."""

    def want_body(self) -> None:
        """Opens the window for the rest of the body."""
        self.since = self.connection.site.loop.time()
        self.connection.acknowledge(self)

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """See `Outgoing.respond`."""
        bodiless = self.method == "HEAD" or status in {204, 304}
        block = self._head(status, headers)
        if status not in {204, 304}:
            block.append(("content-length", str(len(body))))
        self.started = True
        self.finished = True
        if bodiless or not body:
            self.connection.send_head(self, block, end=True)
            self.connection.ended(self)
            return
        self.connection.send_head(self, block, end=False)
        rest = self.connection.send_piece(self, memoryview(body), end=True)
        if rest:
            # The client's window is smaller than the body: the rest goes out as it opens.
            self.connection.finish_later(self, rest)
        else:
            self.connection.ended(self)

    async def start(self, status: int, headers: Headers) -> Http2Exchange:
        """See `Outgoing.start`."""
        block = self._head(status, headers)
        block.extend((name.lower(), value) for name, value in headers if name.lower() == "content-length")
        self.started = True
        self.connection.send_head(self, block, end=False)
        return self

    async def send(self, data: bytes) -> None:
        """See `Sink.send`."""
        if self._gone:
            raise ClientGone
        if self.finished:
            raise RuntimeError("the stream has ended")
        if self.method == "HEAD":
            return
        rest = self.connection.send_piece(self, memoryview(data), end=False)
        while rest or self.connection.blocked:
            await self.opened()
            rest = self.connection.send_piece(self, rest, end=False)

    async def end(self) -> None:
        """See `Sink.end`."""
        if self._gone:
            raise ClientGone
        if self.finished:
            raise RuntimeError("the stream has ended")
        self.finished = True
        self.connection.send_end(self)
        self.connection.ended(self)

    def abort(self) -> None:
        """See `Sink.abort`."""
        if self.finished or self._gone:
            return
        self.finished = True
        self.connection.reset(self, ErrorCodes.INTERNAL_ERROR)

    async def opened(self) -> None:
        """Returns when the client can take more.

        Raises:
            ClientGone: it left.
        """
        loop = self.connection.site.loop
        self.since = loop.time()
        self.window = loop.create_future()
        try:
            await self.window
        finally:
            self.window = None
        if self._gone:
            raise ClientGone

    def lose(self) -> None:
        """See `Exchange.lose`."""
        super().lose()
        self.open()

    def open(self) -> None:
        """Lets the writer try again."""
        if self.window is not None and not self.window.done():
            self.window.set_result(None)

    def _head(self, status: int, headers: Headers) -> list[tuple[str, str]]:
        if self._gone:
            raise ClientGone
        if self.started:
            raise RuntimeError("the answer has been given before")
        block = [(":status", str(status))]
        for name, value in headers:
            lowered = name.lower()
            if lowered in FORBIDDEN or lowered == "content-length":
                continue
            if "\n" in value or "\r" in value or "\0" in value:
                raise ValueError("a response header holds a line break")
            block.append((lowered, value))
        block.append(("date", self.connection.site.date))
        return block


class Http2Connection(asyncio.Protocol):
    """One client's HTTP/2 connection."""

    __slots__ = (
        "_draining",
        "_exchanges",
        "_h2",
        "_highest",
        "_resets",
        "_since",
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
        self._h2 = H2Connection(
            H2Configuration(
                client_side=False,
                header_encoding="latin-1",
                # What we write is checked where it is written.
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._exchanges: dict[int, Http2Exchange] = {}
        self._highest = 0
        self._resets = 0
        self._draining = False
        self._since = site.loop.time()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes over an open connection and sends our settings."""
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        self.site.connections.add(self)
        limits = self.site.limits
        h2 = self._h2
        h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: limits.streams_per_connection,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                SettingCodes.MAX_HEADER_LIST_SIZE: limits.headers,
            },
        )
        h2.decoder.max_header_list_size = limits.headers
        h2.initiate_connection()
        h2.increment_flow_control_window(CONNECTION_WINDOW - 65_535)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """The client left, or we closed."""
        self.site.connections.discard(self)
        lost = list(self._exchanges.values())
        self._exchanges.clear()
        for exchange in lost:
            exchange.lose()

    def eof_received(self) -> bool:
        """A client that has closed its side is gone."""
        return False

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self.blocked = True

    def resume_writing(self) -> None:
        """The client has read."""
        self.blocked = False
        self._open_all()

    def data_received(self, data: bytes) -> None:
        """Feeds the state machine and acts on what it saw."""
        self._since = self.site.loop.time()
        try:
            events = self._h2.receive_data(data)
        except ProtocolError:
            self._flush()
            self.transport.close()
            return
        self._act(events)
        if self.transport.is_closing():
            return
        self._flush()
        if self.transport.get_write_buffer_size() > FLOOD or self._resets > RESETS:
            self._say_goodbye(ErrorCodes.ENHANCE_YOUR_CALM)
            self.transport.abort()

    def _act(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case RequestReceived():
                    self._begin(event)
                case DataReceived():
                    self._feed(event)
                case StreamEnded():
                    exchange = self._exchanges.get(event.stream_id or 0)
                    if exchange is not None:
                        exchange.feed_end()
                case WindowUpdated():
                    if event.stream_id:
                        exchange = self._exchanges.get(event.stream_id)
                        if exchange is not None:
                            exchange.open()
                    else:
                        self._open_all()
                case StreamReset():
                    self._resets += 1
                    exchange = self._exchanges.pop(event.stream_id or 0, None)
                    if exchange is not None:
                        exchange.lose()
                case ConnectionTerminated():
                    self._part(event)
                case _:
                    # Settings, pings, priorities and trailers: answered by the state machine, or of no use here.
                    # New settings can open windows.
                    self._open_all()

    # Called by the exchange.

    def send_head(self, exchange: Http2Exchange, block: list[tuple[str, str]], *, end: bool) -> None:
        """Sends the answer's headers."""
        try:
            self._h2.send_headers(exchange.stream, block, end_stream=end)
        except ProtocolError as error:
            raise ClientGone from error
        self._flush()

    def send_piece(self, exchange: Http2Exchange, data: memoryview, *, end: bool) -> memoryview:
        """Sends as much as the client's windows and the transport take; returns what is left."""
        h2 = self._h2
        try:
            while data and not self.blocked:
                room = min(h2.local_flow_control_window(exchange.stream), h2.max_outbound_frame_size)
                if room <= 0:
                    break
                piece, data = data[:room], data[room:]
                h2.send_data(exchange.stream, piece.tobytes(), end_stream=end and not data)
                self._flush()
        except ProtocolError as error:
            # The connection or the stream broke a moment ago and the exchange has not been told yet.
            raise ClientGone from error
        return data

    def send_end(self, exchange: Http2Exchange) -> None:
        """Ends the answer's body."""
        try:
            self._h2.end_stream(exchange.stream)
        except ProtocolError as error:
            raise ClientGone from error
        self._flush()

    def finish_later(self, exchange: Http2Exchange, rest: memoryview) -> None:
        """Sends the rest of a whole answer while the handler goes on."""
        exchange.rest = self.site.loop.create_task(self._finish(exchange, rest))

    async def _finish(self, exchange: Http2Exchange, rest: memoryview) -> None:
        try:
            while rest:
                await exchange.opened()
                rest = self.send_piece(exchange, rest, end=True)
        except ClientGone:
            return
        self.ended(exchange)

    def ended(self, exchange: Http2Exchange) -> None:
        """The answer is complete. A request still being sent is stopped, without blame (RFC 9113 section 8.1)."""
        self._resets = max(0, self._resets - 1)
        if self._exchanges.pop(exchange.stream, None) is None:
            return
        if not exchange.complete:
            with contextlib.suppress(ProtocolError):
                self._h2.reset_stream(exchange.stream, ErrorCodes.NO_ERROR)
        self._acknowledge(exchange, exchange.unread)
        self._flush()
        self._since = self.site.loop.time()
        if self._draining and not self._exchanges:
            self.transport.close()

    def reset(self, exchange: Http2Exchange, code: ErrorCodes) -> None:
        """Breaks a stream off."""
        if self._exchanges.pop(exchange.stream, None) is None:
            return
        with contextlib.suppress(ProtocolError):
            self._h2.reset_stream(exchange.stream, code)
        self._acknowledge(exchange, exchange.unread)
        self._flush()
        if self._draining and not self._exchanges:
            self.transport.close()

    def acknowledge(self, exchange: Http2Exchange) -> None:
        """Frees the window that the received body has filled."""
        self._acknowledge(exchange, exchange.unread)
        self._flush()

    # Called by the front.

    @property
    def idle_since(self) -> float | None:
        """See `Connection.idle_since`."""
        return None if self._exchanges or self.transport.get_write_buffer_size() else self._since

    def sweep(self, now: float) -> None:
        """See `Connection.sweep`."""
        idle = self.site.limits.idle_timeout
        if self.transport.is_closing():
            if now - self._since > idle:
                self.transport.abort()
            return
        if not self._exchanges:
            if now - self._since > idle:
                self._say_goodbye(ErrorCodes.NO_ERROR)
                self.transport.close()
            return
        for exchange in list(self._exchanges.values()):
            if (exchange.waits_for_body or exchange.window is not None) and now - exchange.since > idle:
                self.reset(exchange, ErrorCodes.CANCEL)
                exchange.lose()
        if self.blocked and not self._exchanges:
            self.transport.abort()

    def drain(self) -> None:
        """See `Connection.drain`."""
        if self._draining:
            return
        self._draining = True
        self._say_goodbye(ErrorCodes.NO_ERROR)
        if not self._exchanges:
            self.transport.close()

    def kill(self) -> None:
        """See `Connection.kill`."""
        self.transport.abort()

    # Inside.

    def _begin(self, event: RequestReceived) -> None:
        stream = event.stream_id or 0
        if self._draining:
            self._h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            return
        self._highest = max(self._highest, stream)
        method = target = host = ""
        announced = 0
        headers: list[tuple[str, str]] = []
        # With `header_encoding` set the library hands out str; its types allow bytes as well.
        for name, value in cast("list[tuple[str, str]]", event.headers or []):
            match name:
                case ":method":
                    method = value
                case ":path":
                    target = value
                case ":authority":
                    host = value
                case "content-length":
                    announced = int(value)
                    headers.append((name, value))
                case _:
                    if not name.startswith(":"):
                        headers.append((name, value))
        if host and not any(name == "host" for name, _ in headers):
            headers.insert(0, ("host", host))
        path, _, query = target.partition("?")
        exchange = Http2Exchange(
            method=method,
            path=path,
            query=query,
            headers=headers,
            client=self.client,
            scheme=self.scheme,
            http_version="2",
            announced=announced,
        )
        exchange.connection = self
        exchange.stream = stream
        exchange.unread = 0
        exchange.window = None
        exchange.rest = None
        exchange.since = self._since
        self._exchanges[stream] = exchange
        if len(headers) > self.site.limits.header_count:
            self.site.turn_away(exchange, (431, [("content-type", "text/plain")], b"too many headers\n"))
            return
        self.site.begin(exchange)

    def _feed(self, event: DataReceived) -> None:
        length = event.flow_controlled_length or 0
        exchange = self._exchanges.get(event.stream_id or 0)
        if exchange is None:
            self._h2.acknowledge_received_data(length, event.stream_id or 0)
            return
        exchange.since = self._since
        exchange.unread += length
        exchange.feed(event.data or b"")
        if exchange.waits_for_body:
            self._acknowledge(exchange, exchange.unread)

    def _acknowledge(self, exchange: Http2Exchange, length: int) -> None:
        exchange.unread = 0
        if not length or self.transport.is_closing():
            return
        with contextlib.suppress(ProtocolError):
            self._h2.acknowledge_received_data(length, exchange.stream)

    def _part(self, event: ConnectionTerminated) -> None:
        """The client opens no more streams; those in flight may end if it left in peace."""
        if event.error_code or not self._exchanges:
            self.transport.close()
            return
        self._draining = True
        # h2 lets nothing be sent after a GOAWAY was received, although RFC 9113 section 6.8 lets open streams end.
        self._h2.state_machine.state = ConnectionState.SERVER_OPEN

    def _say_goodbye(self, code: ErrorCodes) -> None:
        # Written by hand: h2's own close_connection() would forbid what open streams still have to send.
        self._flush()
        self.transport.write(GoAwayFrame(0, last_stream_id=self._highest, error_code=int(code)).serialize())

    def _open_all(self) -> None:
        for exchange in list(self._exchanges.values()):
            exchange.open()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self.transport.write(data)
