"""One HTTP/1.1 connection: requests out, answers in, one after the other.

    idle ──start──▶ head ──head arrived──▶ body ──last byte──▶ done ──released──▶ idle
      │               │                      │                   │
      └───────────────┴──────────────────────┴───────────────────┴──▶ closed

The event loop calls in with bytes; the reader of the answer takes them out and waits when there are none.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Literal, NoReturn, cast

import httptools

from freehold.transport.endpoint import Endpoint
from freehold.transport.errors import (
    ConnectionLostError,
    Phase,
    PhaseTimeoutError,
    ProtocolError,
    TransportError,
    TruncatedError,
)

MAX_HEAD = 65_536
"""Bytes of the head of an answer, interim answers included; also of chunk extensions and trailers without any data."""
MAX_HEADERS = 500
HIGH_WATER = 262_144
"""Bytes nobody has taken yet at which the upstream is told to wait."""
MAX_DRAIN = 65_536
"""Bytes of an unwanted rest that are read to keep the connection; more costs more than a new one."""
DRAIN_SECONDS = 1.0

State = Literal["idle", "head", "body", "done", "closed"]

_NAMES: dict[bytes, str] = {}
_MAX_NAMES = 512  # names repeat; an upstream that makes them up must not fill memory
_CLOCK_STEP = 0.001  # seconds; event loops run timers up to this much early
_WHAT_TOOK_LONG: dict[Phase, str] = {
    "send": "to take more of the request",
    "first_byte": "to begin its answer",
    "idle": "to go on with its answer",
    "total": "for the whole request",
}
_WATCHED = frozenset({"content-length", "transfer-encoding", "keep-alive"})


class Connection(asyncio.Protocol):
    """One connection of a pool. `reused` says that it has carried an answer before."""

    __slots__ = (
        "_begun",
        "_buffered",
        "_chunks",
        "_close_delimited",
        "_coding",
        "_deadline",
        "_discarding",
        "_ended_properly",
        "_eof",
        "_fed",
        "_flow",
        "_head_only",
        "_interim",
        "_keep",
        "_keep_alive",
        "_last",
        "_left_to_write",
        "_length",
        "_loop",
        "_on_closed",
        "_on_idle",
        "_parser",
        "_reading_paused",
        "_received",
        "_sending",
        "_silent",
        "_since",
        "_soonest",
        "_timer",
        "_timer_at",
        "_transport",
        "_waiter",
        "_writable",
        "_writing_paused",
        "endpoint",
        "error",
        "headers",
        "reused",
        "state",
        "status",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        loop: asyncio.AbstractEventLoop,
        *,
        on_idle: Callable[[Connection], None],
        on_closed: Callable[[Connection], None],
    ) -> None:
        """`on_idle` and `on_closed` tell the pool that this connection may be used again, or never again."""
        self.endpoint = endpoint
        self.state: State = "idle"
        self.error: TransportError | None = None
        self.reused = False
        self._loop = loop
        self._on_idle = on_idle
        self._on_closed = on_closed
        self._transport: asyncio.Transport | None = None
        self._flow: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._reading_paused = False
        self._writing_paused = False
        self._sending = False
        self._left_to_write = 0
        self._keep_alive = endpoint.keep_alive
        limits = endpoint.timeouts
        self._soonest = min(
            limit for limit in (endpoint.keep_alive, limits.first_byte, limits.idle) if limit is not None
        )
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._begun = self._since = self._last = loop.time()
        self._deadline: float | None = None
        self._eof = False
        self._reset(head_only=False)

    def _reset(self, *, head_only: bool) -> None:
        """Forget the answer before this one."""
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self._head_only = head_only
        self._interim = False
        self._fed = 0
        self._silent = 0
        self._received = 0
        self._length: int | None = None
        self._coding: str | None = None
        self._close_delimited = False
        self._ended_properly = False
        self._keep = False
        self._discarding = False

    # What the client does.

    def start(self, data: bytes, body: bytes, deadline: float | None, *, head_only: bool, streaming: bool) -> None:
        """Send a request; `streaming` says that its body follows through `write`."""
        transport = self._transport
        self.state = "head"
        self._reset(head_only=head_only)
        now = self._loop.time()
        self._begun = self._since = self._last = now
        self._deadline = deadline
        due = now + self._soonest
        if deadline is not None and deadline < due:
            due = deadline
        if self._timer is None or self._timer_at > due:
            self._arm(due)
        self._sending = streaming
        if transport is None or transport.is_closing():
            self._fail(self._lost_before_answer())
            return
        transport.write(data)
        if body:
            transport.write(body)

    async def write(self, data: bytes) -> None:
        """More of a streamed request body, framed already; waits while the upstream does not take it."""
        if self.state != "head" or self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._writing_paused:
            self._writable = self._loop.create_future()
            await self._writable

    def finish_sending(self) -> None:
        """The streamed request body is complete."""
        self._sending = False
        self._since = self._loop.time()

    def wait(self) -> asyncio.Future[None]:
        """Done when something new can be seen: the head, bytes, the end or an error. One waiter at a time."""
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def take(self) -> bytes:
        """All bytes of the body that have arrived and were not taken yet."""
        chunks = self._chunks
        if not chunks:
            return b""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._buffered = 0
        if self._reading_paused:
            self._resume_reading()
        return data

    def release(self) -> None:
        """The reader wants no more: keep the connection if that is cheap, else close it."""
        match self.state:
            case "done":
                self._become_idle()
            case "body" if self._rest_is_small():
                self._chunks.clear()
                self._buffered = 0
                self._discarding = True
                self._deadline = self._loop.time() + DRAIN_SECONDS
                self._arm(self._deadline)
                if self._reading_paused:
                    self._resume_reading()
            case _:
                self.abort()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._chunks.clear()
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close politely; for a connection that carries nothing."""
        self.state = "closed"
        if self._transport is not None:
            self._transport.close()

    @property
    def usable(self) -> bool:
        """Whether a request may be sent: idle, open, and not silent for too long."""
        transport = self._transport
        return (
            self.state == "idle"
            and transport is not None
            and not transport.is_closing()
            and self._loop.time() - self._since < self._keep_alive
        )

    @property
    def host(self) -> str:
        """The upstream, for messages."""
        return self.endpoint.name

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._transport is None

    def _rest_is_small(self) -> bool:
        if self._close_delimited or not self._keep:
            return False
        return self._length is None or self._length - self._received <= MAX_DRAIN

    def _become_idle(self) -> None:
        transport = self._transport
        if (
            not self._keep
            or transport is None
            or transport.is_closing()
            or self._sending
            or self._writing_paused
            or self._eof
        ):
            self.close()
            return
        self.state = "idle"
        self.reused = True
        self._deadline = None
        self._chunks.clear()
        self._buffered = 0
        self._since = now = self._loop.time()
        due = now + self._keep_alive
        if self._timer is None or self._timer_at > due:
            self._arm(due)
        self._on_idle(self)

    def _resume_reading(self) -> None:
        self._reading_paused = False
        self._last = self._loop.time()  # the silence was ours
        if self._flow is not None and not self._flow.is_closing():
            self._flow.resume_reading()

    # What the event loop does.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self._transport = self._flow = cast("asyncio.Transport", transport)

    def secured(self, transport: asyncio.Transport, flow: asyncio.Transport) -> None:
        """Made over TLS; `flow` is the TCP transport below, which is the one to pause.

        Pausing uvloop's TLS transport loses data: what waits there undecrypted is dropped when the peer closes.
        """
        self._transport = transport
        self._flow = flow

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        state = self.state
        received = self._received
        if state == "head":
            self._fed += len(data)
        elif state != "body":
            # Nobody asked for this: what follows can not be trusted to answer the next request.
            self._keep = False
            if state == "idle":
                self.state = "closed"
                self.abort()
            return
        self._last = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse("it switched to a protocol nobody asked for")
            return
        except httptools.HttpParserError as error:
            if self.state != "done":
                self._refuse(str(error) or "it is not HTTP/1.1")
                return
            self._keep = False  # bytes after the end: this answer is whole, but no other shall follow it
        match self.state:
            case "head" if self._fed > MAX_HEAD:
                self._refuse(f"its head is larger than {MAX_HEAD} bytes")
            case "body" if self._received == received:
                if state == "body":
                    self._silent += len(data)
                    if self._silent > MAX_HEAD:
                        self._refuse(f"its chunk extensions or trailers are larger than {MAX_HEAD} bytes")
            case "body":
                self._silent = 0
                if self._buffered > HIGH_WATER and not self._reading_paused and self._flow is not None:
                    self._reading_paused = True
                    self._flow.pause_reading()
            case "done" if self._discarding:
                self._become_idle()
            case _:
                pass

    def eof_received(self) -> bool:
        """Part of asyncio.Protocol."""
        self._eof = True
        if self._close_delimited and self.state == "body":
            self._ended_properly = self._tls_ended()
        return False

    def _tls_ended(self) -> bool:
        """Whether TLS said goodbye. Without that, anybody on the way could have cut the body here."""
        connection: object = None if self._transport is None else self._transport.get_extra_info("ssl_object")
        if not isinstance(connection, ssl.SSLObject):
            return True
        try:
            return connection.read(1) == b""
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLError:
            return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol: say what the loss means for the answer."""
        match self.state:
            case "head":
                self.state = "closed"
                self.error = self.error or self._lost_before_answer()
            case "body" if self._ended_properly and exc is None:
                self.state = "done"
                self._keep = False
            case "body":
                self.state = "closed"
                host = self.endpoint.name
                self.error = self.error or TruncatedError(
                    f"{host} closed the connection before the end of its answer; what arrived before is valid",
                    phase="body",
                    host=host,
                )
            case "idle":
                self.state = "closed"
            case "done" | "closed":
                pass
        self._transport = self._flow = None
        # The two know each other: without that both go at once, and with them what nobody read.
        del self._parser
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.resume_writing()
        self._wake()
        self._on_closed(self)

    def pause_writing(self) -> None:
        """Part of asyncio.Protocol."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Part of asyncio.Protocol."""
        self._writing_paused = False
        self._since = self._loop.time()
        if self._writable is not None:
            if not self._writable.done():
                self._writable.set_result(None)
            self._writable = None

    # What the parser does.

    def on_message_begin(self) -> None:
        """Part of httptools' protocol."""
        if self.state != "head":
            raise _StopError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Part of httptools' protocol; also called for trailers, which nothing here needs."""
        if self.state != "head":
            return
        known = _NAMES.get(name)
        if known is None:
            known = name.decode("latin-1").lower()
            if len(_NAMES) < _MAX_NAMES:
                _NAMES[name] = known
        text = value.decode("latin-1")
        self.headers.append((known, text))
        if known in _WATCHED:
            self._watch(known, text)

    def on_headers_complete(self) -> None:
        """Part of httptools' protocol."""
        status = self._parser.get_status_code()
        if status < 200:
            if status < 100 or status == 101:
                self._stop(f"status {status} was not asked for")
            self._interim = True
            self.headers.clear()
            return
        if self._fed > MAX_HEAD and sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD:
            self._stop(f"its head is larger than {MAX_HEAD} bytes")
        if len(self.headers) > MAX_HEADERS:
            self._stop(f"it has more than {MAX_HEADERS} headers")
        if self._coding is not None and self._coding != "chunked":
            self._stop("its transfer-encoding is not chunked")
        self.status = status
        if self._head_only:
            # The parser does not know about HEAD and would wait for the body that content-length announces.
            self.state = "done"
            self._wake()
            raise _StopError
        self._keep = self._parser.should_keep_alive()
        self._close_delimited = self._length is None and self._coding is None and status not in (204, 304)
        self.state = "body"
        self._wake()

    def on_body(self, body: bytes) -> None:
        """Part of httptools' protocol."""
        size = len(body)
        self._received += size
        self._buffered += size
        if self._discarding:
            if self._buffered > MAX_DRAIN:
                self._stop("the rest is too large to drain")
            return
        self._chunks.append(body)
        if self._waiter is not None:
            self._wake()

    def on_message_complete(self) -> None:
        """Part of httptools' protocol."""
        if self._interim:
            self._interim = False
            return
        self.state = "done"
        self._wake()

    def _watch(self, name: str, value: str) -> None:
        match name:
            case "content-length":
                self._length = int(value)
            case "transfer-encoding":
                # Two of them are one list (RFC 9110, 5.3).
                self._coding = value.lower() if self._coding is None else f"{self._coding}, {value}"
            case _:
                # "timeout=5, max=100": Node and Apache say when they will close; be a second earlier.
                for part in value.split(","):
                    key, _, seconds = part.strip().partition("=")
                    if key.lower() == "timeout" and seconds.isdecimal() and len(seconds) < 6:
                        self._keep_alive = min(self.endpoint.keep_alive, max(int(seconds) - 1.0, 0.5))

    # Errors and time.

    def _lost_before_answer(self) -> TransportError:
        host = self.endpoint.name
        if self._fed:
            return TruncatedError(
                f"{host} closed the connection in the middle of the head of its answer; try another target",
                phase="first_byte",
                host=host,
            )
        return ConnectionLostError(
            f"{host} closed the connection before it answered; try again or use another target",
            phase="first_byte",
            host=host,
        )

    def _stop(self, problem: str) -> NoReturn:
        """Refuse the answer from inside the parser."""
        self._refuse(problem)
        raise _StopError

    def _refuse(self, problem: str) -> None:
        if self.state == "closed":
            return
        host = self.endpoint.name
        self._fail(
            ProtocolError(
                f"the answer of {host} is not HTTP that can be trusted: {problem}; check that the address is right",
                phase="first_byte" if self.state == "head" else "body",
                host=host,
            )
        )

    def _fail(self, error: TransportError) -> None:
        self.error = self.error or error
        self.state = "closed"
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        """Look whether a limit has passed.

        One timer for each connection, at most the shortest limit away, in place of one for each phase and request:
        setting a timer costs as much as parsing a small answer.
        """
        self._timer = None
        now = self._loop.time()
        limits = self.endpoint.timeouts
        phase: Phase = "total"
        limit: float | None = None
        begun = self._since
        match self.state:
            case "closed" | "done":
                return
            case "idle":
                limit = self._keep_alive
            case "head" if self._writing_paused:
                phase, limit = "send", limits.idle
                left = 0 if self._transport is None else self._transport.get_write_buffer_size()
                if left != self._left_to_write:
                    self._left_to_write = left
                    self._since = begun = now
            case "head" if not self._sending:
                phase, limit = "first_byte", limits.first_byte
            case "body" if not self._reading_paused:
                phase, limit, begun = "idle", limits.idle, self._last
            case _:
                pass  # it is our turn: the request is still being produced, or the answer waits for its reader
        due = now + self._soonest
        if limit is not None:
            due = min(due, begun + limit)
            if now >= begun + limit - _CLOCK_STEP:
                self._expire(phase, limit)
                return
        if self._deadline is not None:
            due = min(due, self._deadline)
            if now >= self._deadline - _CLOCK_STEP:
                self._expire("total", self._deadline - self._begun)
                return
        self._arm(due)

    def _expire(self, phase: Phase, seconds: float) -> None:
        if self.state == "idle":
            self.close()
        elif self._discarding:
            self.abort()
        else:
            host = self.endpoint.name
            self._fail(
                PhaseTimeoutError(
                    f"{host} took longer than {seconds:g} s {_WHAT_TOOK_LONG[phase]}; "
                    "use another target or raise the account's timeouts",
                    phase=phase,
                    host=host,
                    seconds=seconds,
                )
            )


class _StopError(Exception):
    """Ends parsing from inside a callback of the parser; never leaves this module."""
