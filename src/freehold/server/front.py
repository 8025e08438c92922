"""The HTTP front: listens, tells HTTP/1 from HTTP/2, sweeps out what has stalled, and shuts down in good order.

    front = Front(handler=handle, limits=HttpLimits())
    await front.start(listening_socket("127.0.0.1", 8080))
    await front.serve_until_signalled(grace=30.0)

It owns no process and no socket's address: it serves any number of sockets, own or inherited, and may let one go again,
for another process to serve it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from freehold.server.http import Handler
from freehold.server.http1 import Http1Connection
from freehold.server.http2 import PREFACE, Http2Connection
from freehold.server.limits import HttpLimits
from freehold.server.site import Connection, Refuse, Seldom, Site, refuse_plainly

log = logging.getLogger("freehold.server")

BACKLOG: Final = 2048
"""Connections that the kernel holds before they are accepted; clients reconnect all at once after a restart."""

ACCEPTED_AT_ONCE: Final = 64
"""Connections accepted before those that are open get a turn again."""

SPREADS: Final = sys.platform == "linux"
"""Whether connections are spread over sockets that share an address; elsewhere the last one gets all."""

NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

ACCEPT_AGAIN: Final = 0.1
"""Seconds until a connection is accepted again after the system had nothing left for one."""

CROWDED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-type: text/plain\r\n"
    b"content-length: 21\r\n\r\ntoo many connections\n"
)
"""What a connection too many gets; nothing is known of its protocol yet."""

CANCELLED: Final = 1.0
"""Seconds that cancelled handlers get to put their affairs in order when a shutdown's grace has passed."""


def listening_socket(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """A socket that listens; port 0 takes a free one (see `address_of`). IPv6 literals without brackets.

    Raises:
        OSError: the address is in use, not ours, or needs privileges.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  the standard library's signature
    except OSError:
        listener.close()
        raise
    return listener


def sharing_sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """Sockets for so many processes on one address, where the system spreads connections over them; else one for all.

    Each has a queue of its own: of processes that wait at one queue, the last to have slept may get every connection.

    Raises:
        OSError: as `listening_socket`; another server on this address is noticed, although the sockets share it.
    """
    listeners = [listening_socket(host, port)]
    if count == 1 or not SPREADS:
        return listeners
    try:
        # Shared only once it is ours alone.
        listeners[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listeners[0].listen(BACKLOG)
        host, port = address_of(listeners[0])
        listeners += [listening_socket(host, port, reuse_port=True) for _ in range(count - 1)]
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def address_of(listener: socket.socket) -> tuple[str, int]:
    """Host and actual port of a listening socket."""
    host, port = listener.getsockname()[:2]
    return str(host), int(port)


def tls_context(*, cert: Path, key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 and up, offering HTTP/2 and HTTP/1.1; with `client_ca`, only clients whose certificate it signed.

    Raises:
        OSError: a file can not be read, or (as ssl.SSLError) does not hold what it should.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


class Door(asyncio.Protocol):
    """A new connection, until its first bytes tell which HTTP it speaks.

    ALPN is not asked: the AWS SDK for JavaScript speaks HTTP/2 even where only HTTP/1.1 was offered.
    """

    __slots__ = ("_first", "_handshake", "_since", "_site", "_transport")

    def __init__(self, site: Site, handshake: Handshake | None = None) -> None:
        """`handshake` has held the connection's place until now."""
        self._site = site
        self._handshake = handshake
        self._first = b""
        self._since = site.loop.time()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected, TLS included."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        site = self._site
        if self._handshake is not None:
            site.connections.discard(self._handshake)
            site.connections.add(self)
        elif not site.admit(self):
            self._transport.write(CROWDED)
            transport.close()
            self._transport = None
            return
        if site.draining:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """It left without a word."""
        self._site.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Hands over to the protocol that is spoken."""
        transport = self._transport
        if transport is None:
            return
        first = self._first + data
        if len(first) < len(PREFACE) and PREFACE.startswith(first):
            self._first = first
            return
        peer = cast("tuple[str, int] | str | None", transport.get_extra_info("peername"))
        client = peer[0] if isinstance(peer, tuple) else ""
        scheme = "http" if transport.get_extra_info("ssl_object") is None else "https"
        speaks = Http2Connection if first.startswith(PREFACE) else Http1Connection
        connection = speaks(self._site, client, scheme)
        self._site.connections.discard(self)
        self._transport = None
        transport.set_protocol(connection)
        connection.connection_made(transport)
        connection.data_received(first)

    @property
    def idle_since(self) -> float | None:
        """See `Connection.idle_since`."""
        return self._since

    def sweep(self, now: float) -> None:
        """See `Connection.sweep`."""
        if self._transport is not None and now - self._since > self._site.limits.header_timeout:
            self._transport.abort()

    def drain(self) -> None:
        """See `Connection.drain`."""
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """See `Connection.kill`."""
        if self._transport is not None:
            self._transport.abort()


class Handshake:
    """A connection between being accepted and having agreed on TLS; it takes a place like any other."""

    __slots__ = ("_says_failed", "_since", "_site", "_sock", "_task")

    def __init__(self, site: Site, sock: socket.socket, tls: ssl.SSLContext, says_failed: Seldom) -> None:
        self._site = site
        self._sock = sock
        self._says_failed = says_failed
        self._since = site.loop.time()
        self._task = site.loop.create_task(self._shake(tls))
        self._task.add_done_callback(self._ended)

    async def _shake(self, tls: ssl.SSLContext) -> None:
        site = self._site
        try:
            await site.loop.connect_accepted_socket(
                lambda: Door(site, self), self._sock, ssl=tls, ssl_handshake_timeout=site.limits.header_timeout
            )
        except OSError as error:  # ssl.SSLError is one
            site.failed_handshakes += 1
            if self._says_failed.due(site.loop.time()):
                log.info("a client's TLS handshake failed (%d so far): %s", site.failed_handshakes, _reason(error))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._site.connections.discard(self)
        if task.cancelled():
            self._sock.close()

    @property
    def idle_since(self) -> float | None:
        """See `Connection.idle_since`."""
        return self._since

    def sweep(self, now: float) -> None:
        """See `Connection.sweep`; the handshake has a time limit of its own."""

    def drain(self) -> None:
        """See `Connection.drain`."""
        self._task.cancel()

    def kill(self) -> None:
        """See `Connection.kill`."""
        self._task.cancel()


def _reason(error: OSError) -> str:
    return str(error) or type(error).__name__


class TlsDoor:
    """Accepts connections that begin with TLS.

    The event loop's own server can not be asked how many handshakes are under way, nor end one.
    """

    def __init__(self, site: Site, listener: socket.socket, tls: ssl.SSLContext) -> None:
        self.tls = tls
        """Taken for the next connection; those that are open keep theirs."""
        self._site = site
        self._listener = listener
        self._again: asyncio.TimerHandle | None = None
        self._says_failed = Seldom()
        self._says_none_left = Seldom()
        site.loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Accepts no more."""
        if self._again is not None:
            self._again.cancel()
        self._site.loop.remove_reader(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        site = self._site
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in NO_DESCRIPTOR:
                    raise
                if self._says_none_left.due(site.loop.time()):
                    # No bug: no traceback.
                    log.error("no connection can be accepted (%s); raise the limit of open files", error.strerror)  # noqa: TRY400
                site.make_room()
                site.loop.remove_reader(self._listener)
                self._again = site.loop.call_later(ACCEPT_AGAIN, site.loop.add_reader, self._listener, self._accept)
                return
            sock.setblocking(False)  # noqa: FBT003  the standard library's signature
            handshake = Handshake(site, sock, self.tls, self._says_failed)
            if not site.admit(handshake):
                handshake.kill()


class Front:
    """One process's HTTP server."""

    def __init__(
        self,
        *,
        handler: Handler,
        limits: HttpLimits,
        tls: ssl.SSLContext | None = None,
        refuse: Refuse = refuse_plainly,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`refuse` words the 503 when `limits.streams` exchanges are open; `clock` is for the `date` header."""
        self._handler = handler
        self._limits = limits
        self._tls = tls
        self._refuse = refuse
        self._clock = clock
        self._site: Site | None = None
        self._servers: dict[socket.socket, asyncio.Server | TlsDoor] = {}
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def site(self) -> Site:
        """Open connections and counters (`site.gate`), for metrics; asked from within the event loop."""
        if self._site is None:
            self._site = Site(
                handler=self._handler,
                limits=self._limits,
                refuse=self._refuse,
                loop=asyncio.get_running_loop(),
                clock=self._clock,
            )
        return self._site

    async def start(self, listener: socket.socket) -> None:
        """Serves a listening socket, own or inherited, from now on, beside those it serves; the front closes it."""
        site = self.site
        if self._sweeper is None:
            self._sweeper = site.loop.create_task(_sweep(site))
        if self._tls is None:
            self._servers[listener] = await site.loop.create_server(lambda: Door(site), sock=listener, backlog=BACKLOG)
        else:
            self._servers[listener] = TlsDoor(site, listener, self._tls)

    def leave(self, listener: socket.socket) -> None:
        """Accepts nothing more at one of its sockets; what was accepted goes on."""
        self._servers.pop(listener).close()

    def identify_by(self, tls: ssl.SSLContext) -> None:
        """Takes certificates that were renewed, for connections from now on."""
        self._tls = tls
        for server in self._servers.values():
            if isinstance(server, TlsDoor):
                server.tls = tls

    async def stop(self, grace: float) -> None:
        """Accepts nothing more, lets what is in flight end for `grace` seconds, then cuts it off."""
        site = self.site
        site.draining = True
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        while True:
            # In every round: a keep-alive connection can have begun its last request when the first round passed.
            for connection in list(site.connections):
                connection.drain()
            if not (site.connections or site.running) or loop.time() >= deadline:
                break
            await asyncio.sleep(min(0.05, max(0.0, deadline - loop.time())))
        tasks = list(site.running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCELLED)
        for connection in list(site.connections):
            connection.kill()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        # One turn of the loop for the transports to report their end.
        await asyncio.sleep(0)

    async def serve_until_signalled(self, *, grace: float) -> None:
        """Serves until SIGTERM or SIGINT, then stops with `grace`; a second signal ends the grace at once."""
        loop = asyncio.get_running_loop()
        first, second = asyncio.Event(), asyncio.Event()

        def signalled() -> None:
            (second if first.is_set() else first).set()

        handled = (signal.SIGTERM, signal.SIGINT)
        for number in handled:
            loop.add_signal_handler(number, signalled)
        try:
            await first.wait()
            stopping = loop.create_task(self.stop(grace))
            hurry = loop.create_task(second.wait())
            await asyncio.wait({stopping, hurry}, return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
            if not stopping.done():
                stopping.cancel()
                await self.stop(0.0)
        finally:
            for number in handled:
                loop.remove_signal_handler(number)


async def _sweep(site: Site) -> None:
    """Closes what has stalled. One timer for all connections costs a request nothing."""
    limits = site.limits
    period = min(1.0, limits.header_timeout / 4, limits.idle_timeout / 4)
    while True:
        await asyncio.sleep(period)
        site.refresh_date()
        now = site.loop.time()
        stalled: list[Connection] = list(site.connections)
        for connection in stalled:
            connection.sweep(now)
