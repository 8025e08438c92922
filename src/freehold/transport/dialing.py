"""From an endpoint to an open connection: name, TCP, proxy, TLS."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from freehold.transport.addresses import check_public, parse_address, resolve
from freehold.transport.connection import Connection
from freehold.transport.endpoint import Endpoint, split_url
from freehold.transport.errors import ConnectError, Phase, PhaseTimeoutError, TlsError, TransportError
from freehold.transport.proxies import Tunnel, proxy_authorization
from freehold.transport.tls import client_context, system_context

Resolver = Callable[[str, int], Awaitable[tuple[str, ...]]]

# RFC 8305, 5: the time one address gets before the next is tried beside it.
_ATTEMPT_DELAY = 0.25

P = TypeVar("P", bound=asyncio.Protocol)


class Dialer:
    """Opens connections to one endpoint. Foreign exceptions become ours here and nowhere else."""

    def __init__(self, endpoint: Endpoint, *, resolver: Resolver = resolve) -> None:
        """Raises TlsError when a certificate file can not be used."""
        self._endpoint = endpoint
        self._resolve = resolver
        self._context = client_context(endpoint) if endpoint.scheme == "https" else None
        self._proxy = None if endpoint.proxy is None else split_url(endpoint.proxy)
        self._proxy_context = system_context() if self._proxy is not None and self._proxy.scheme == "https" else None

    @property
    def absolute(self) -> bool:
        """Whether requests name the whole URL: plain http through a proxy, where no address has to be pinned."""
        return self._proxy is not None and not self._tunnels

    @property
    def authorization(self) -> str | None:
        """The proxy's credentials, for requests that it reads itself."""
        return proxy_authorization(self._proxy) if self._proxy is not None and self.absolute else None

    @property
    def _tunnels(self) -> bool:
        return self._endpoint.scheme == "https" or not self._endpoint.allow_private or bool(self._endpoint.addresses)

    async def dial(self, make: Callable[[], Connection], deadline: float | None) -> Connection:
        """An open connection, made by `make`; `deadline` is in the loop's time.

        Raises:
            ConnectError, TlsError, ProxyError: it can not be reached, is not who it should be, or may not be reached.
            PhaseTimeoutError: it took longer than the endpoint's `connect` limit or the deadline.
            ForbiddenAddressError: its address is not public though it has to be.
        """
        endpoint = self._endpoint
        loop = asyncio.get_running_loop()
        begun = loop.time()
        limit = begun + endpoint.timeouts.connect
        attempt = _Attempt()
        late = deadline is not None and deadline < limit
        try:
            async with asyncio.timeout_at(deadline if late else limit):
                return await self._dial(make, loop, attempt)
        except TransportError:
            raise
        except TimeoutError:
            seconds = loop.time() - begun
            phase: Phase = "total" if late else attempt.phase
            error = PhaseTimeoutError(
                f"no connection to {endpoint.name} within {seconds:.3g} s (stopped at: {attempt.phase}); "
                "use another target, or check the address and the way to it",
                phase=phase,
                host=endpoint.name,
                seconds=seconds,
            )
            error.sent = False
            raise error from None
        except (OSError, ssl.SSLError) as error:
            raise _translate(error, attempt.phase, endpoint.name) from None

    async def _dial(
        self, make: Callable[[], Connection], loop: asyncio.AbstractEventLoop, attempt: _Attempt
    ) -> Connection:
        endpoint = self._endpoint
        if self._proxy is not None:
            return await self._dial_through_proxy(make, loop, attempt)
        sock = await _connect(loop, await self._addresses(), endpoint.port)
        if self._context is None:
            return (await _open(loop, sock, make))[1]
        attempt.phase = "tls"
        transport, quiet = await _open(loop, sock, _Quiet)
        quiet.check(transport)
        return await self._secure(make, loop, transport, transport)

    async def _dial_through_proxy(
        self, make: Callable[[], Connection], loop: asyncio.AbstractEventLoop, attempt: _Attempt
    ) -> Connection:
        proxy = self._proxy
        assert proxy is not None  # noqa: S101 (the caller looked; this tells the type checker)
        endpoint = self._endpoint
        target = endpoint.host
        if endpoint.addresses or not endpoint.allow_private:
            target = (await self._addresses())[0]
        attempt.phase = "proxy"
        sock = await _connect(loop, await self._resolve(proxy.host, proxy.port), proxy.port)
        first: Tunnel | Connection = Tunnel(f"{proxy.host}:{proxy.port}") if self._tunnels else make()
        if self._proxy_context is None:
            flow, _ = await _open(loop, sock, lambda: first)
            transport = flow
        else:
            flow, quiet = await _open(loop, sock, _Quiet)
            quiet.check(flow)
            transport = await _start_tls(loop, flow, first, self._proxy_context, proxy.host)
            if isinstance(first, Connection):
                first.secured(transport, flow)
            else:
                first.connection_made(transport)
        if isinstance(first, Connection):
            return first
        try:
            host = f"[{target}]" if ":" in target else target
            await first.open(f"{host}:{endpoint.port}", proxy_authorization(proxy))
        except BaseException:
            transport.abort()
            raise
        if self._context is not None:
            attempt.phase = "tls"
            return await self._secure(make, loop, transport, flow)
        connection = make()
        transport.set_protocol(connection)
        connection.secured(transport, flow)
        return connection

    async def _secure(
        self,
        make: Callable[[], Connection],
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        flow: asyncio.Transport,
    ) -> Connection:
        """TLS with the upstream over an open transport."""
        assert self._context is not None  # noqa: S101 (as above)
        connection = make()
        secured = await _start_tls(loop, transport, connection, self._context, self._endpoint.host)
        connection.secured(secured, flow)
        return connection

    async def _addresses(self) -> tuple[str, ...]:
        endpoint = self._endpoint
        addresses = endpoint.addresses or await self._resolve(endpoint.host, endpoint.port)
        if not endpoint.allow_private:
            check_public(endpoint.host, addresses)
        return addresses


class _Quiet(asyncio.Protocol):
    """Holds a connection until TLS begins; who speaks first there does not speak TLS."""

    def __init__(self) -> None:
        self._spoke = False

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 (asyncio passes it)
        self._spoke = True

    def check(self, transport: asyncio.Transport) -> None:
        """Raises ssl.SSLError when the other side has spoken: a handshake would wait for what is already lost."""
        if self._spoke:
            transport.abort()
            raise ssl.SSLError(1, "the upstream spoke first")


class _Attempt:
    """How far dialling came, for the error's sake."""

    __slots__ = ("phase",)

    def __init__(self) -> None:
        self.phase: Phase = "connect"


async def _open(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, make: Callable[[], P]
) -> tuple[asyncio.Transport, P]:
    """A transport and protocol over a connected socket."""
    try:
        return await loop.create_connection(make, sock=sock)
    except BaseException:
        sock.close()
        raise


async def _start_tls(
    loop: asyncio.AbstractEventLoop,
    transport: asyncio.Transport,
    protocol: asyncio.Protocol,
    context: ssl.SSLContext,
    host: str,
) -> asyncio.Transport:
    """TLS over an open transport, which is closed when that fails."""
    try:
        secured = await loop.start_tls(transport, protocol, context, server_hostname=host, ssl_shutdown_timeout=1.0)
    except BaseException:
        transport.abort()
        raise
    if secured is None:
        raise ConnectionResetError(errno.ECONNRESET, "closed during the handshake")
    return secured


async def _connect(loop: asyncio.AbstractEventLoop, addresses: Sequence[str], port: int) -> socket.socket:
    """A connected socket to the first address that answers; each gets a head start over the next."""
    if len(addresses) == 1:
        return await _connect_one(loop, addresses[0], port)
    tasks: list[asyncio.Task[socket.socket]] = []
    failure: OSError | None = None
    winner: asyncio.Task[socket.socket] | None = None
    try:
        waiting = list(addresses)
        running: set[asyncio.Task[socket.socket]] = set()
        while waiting or running:
            if waiting:
                task = loop.create_task(_connect_one(loop, waiting.pop(0), port))
                tasks.append(task)
                running.add(task)
            done, running = await asyncio.wait(
                running, timeout=_ATTEMPT_DELAY if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if error is None:
                    winner = task
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                failure = failure or error
        raise failure or OSError(errno.EHOSTUNREACH, "the name has no address")
    finally:
        for task in tasks:
            if task is not winner:
                _discard(task)


def _discard(task: asyncio.Task[socket.socket]) -> None:
    def close(ended: asyncio.Task[socket.socket]) -> None:
        if not ended.cancelled() and ended.exception() is None:
            ended.result().close()

    task.cancel()
    task.add_done_callback(close)


async def _connect_one(loop: asyncio.AbstractEventLoop, address: str, port: int) -> socket.socket:
    parsed = parse_address(address)
    if parsed is None:
        raise OSError(errno.EINVAL, "not an address")
    sock = socket.socket(socket.AF_INET if parsed.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003 (the socket module takes it by position only)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _translate(error: OSError, phase: Phase, host: str) -> TransportError:
    match error:
        case ssl.SSLCertVerificationError():
            return TlsError(
                f"the certificate of {host} is not accepted ({error.verify_message}); "
                "if it was issued by your own authority, name that in the account's ca_file",
                phase="tls",
                host=host,
            )
        case ssl.SSLError():
            # Unset on errors that are not OpenSSL's own.
            reason = getattr(error, "reason", None) or error.strerror
            return TlsError(
                f"the TLS handshake with {host} failed ({reason}); "
                "check that the address speaks TLS and whether it wants a client certificate",
                phase="tls",
                host=host,
            )
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return ConnectError(
                f"no file descriptor is left for a connection to {host}; raise the limit of open files",
                phase=phase,
                host=host,
            )
        case _ if phase == "tls":
            return TlsError(
                f"{host} closed the connection during the TLS handshake; "
                "check that the address speaks TLS and whether it wants a client certificate",
                phase="tls",
                host=host,
            )
        case ConnectionRefusedError():
            problem = "refuses connections; check that it is running and the port is right"
        case _:
            reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
            problem = f"can not be reached ({reason}); check the address and the network"
    where = f"the proxy to {host}" if phase == "proxy" else host
    return ConnectError(f"{where} {problem}", phase=phase, host=host)
