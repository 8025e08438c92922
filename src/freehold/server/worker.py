"""The data plane of one process: everything from the socket to the providers, and nothing of the store.

It does what the supervisor orders, message by message; in a process of its own (see `process`) or in the supervisor's.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Final, assert_never

import msgspec

from freehold.config import Config
from freehold.errors import CallerError, ConfigError
from freehold.exchange.media import FetchPolicy
from freehold.exchange.places import Places
from freehold.exchange.record import Spool
from freehold.exchange.road import Road, Snapshot
from freehold.governance.authentication import Authenticator
from freehold.governance.keys import KeyTable, decode_keys
from freehold.governance.seal import Sealer
from freehold.governance.secret import ServerSecret
from freehold.protocols.registry import CODECS
from freehold.providers.prices import find
from freehold.routing.measured import Measured
from freehold.routing.names import Names
from freehold.server.front import Front, tls_context
from freehold.server.gateway import Gateway, Serving
from freehold.server.limits import HttpLimits
from freehold.server.messages import (
    Begin,
    Done,
    Drain,
    Hear,
    Keys,
    List,
    Listen,
    Order,
    Prepare,
    Refused,
    Reply,
    Report,
    Reported,
    Settings,
    Standings,
    Take,
)
from freehold.server.targets import target_states
from freehold.transport.client import Client

log = logging.getLogger("freehold.worker")

GARBAGE_FIRST: Final = 20_000
"""Objects made and not yet gone, until the collector looks at the young ones: some hundred requests in flight."""


class SystemClock:
    """The machine's own clocks: Unix seconds, and the event loop's, which all processes of a machine share."""

    def __init__(self) -> None:
        # The functions themselves: asked a dozen times for each request.
        self.time: Callable[[], float] = time.time
        self.monotonic: Callable[[], float] = time.monotonic


class ExchangeIds:
    """Letters and digits, unguessable, sortable by time to the second. Randomness is fetched for many at once."""

    _MANY = 256
    _DIGITS = 16

    def __init__(self) -> None:
        self._random = ""
        self._at = 0

    def __call__(self) -> str:
        """The next one."""
        at = self._at
        if at == len(self._random):
            self._random, at = secrets.token_hex(self._MANY * self._DIGITS // 2), 0
        self._at = at + self._DIGITS
        return f"fx{int(time.time()):08x}{self._random[at : self._at]}"


class _Prepared(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A snapshot that waits to be taken into use."""

    config: Config
    serving: Serving
    tls: ssl.SSLContext | None
    measured: tuple[Measured, ...]


class Worker:
    """Answers the supervisor's orders. The first has to be `Begin`."""

    def __init__(self, listeners: Sequence[socket.socket], environ: Mapping[str, str]) -> None:
        """`listeners` are the sockets that `Listen` means by their places; `drain` closes them."""
        self.ended = asyncio.Event()
        """Set when the last exchange is over."""
        self._listeners = listeners
        self._environ = environ
        self._stack = AsyncExitStack()
        self._clock = SystemClock()
        self._table = KeyTable()
        self._doors: dict[int, socket.socket] = {}
        self._draining: asyncio.Task[None] | None = None
        self.begun = False
        """Whether the first order was carried out."""
        self._prepared: _Prepared | None = None
        self._sums: dict[str, int] = {}
        """What the front had counted at the last report."""
        self.config: Config
        self.spool: Spool
        self.client: Client
        self.road: Road
        self.serving: Serving
        self.front: Front

    async def answer(self, order: Order) -> Reply:
        """Do as ordered. Never raises: what can not be done is refused, and leaves everything as it was."""
        try:
            return await self._answer(order)
        except ConfigError as error:
            return Refused(reason=str(error))
        except Exception as error:
            log.exception("an order could not be carried out: %s", type(order).__name__)
            return Refused(reason=f"{type(order).__name__}: {type(error).__name__}; this is a bug, the log has it")

    async def _answer(self, order: Order) -> Reply:
        match order:
            case Begin():
                await self._begin(order)
            case Listen(sockets=sockets):
                await self._listen(sockets)
            case Prepare(settings=settings):
                self._prepared = None
                self._prepared = self._prepare(settings)
            case Take(number=number):
                self._take(number)
            case Keys(table=table):
                self._table = decode_keys(table)
            case Hear():
                self._hear(order)
            case Report():
                return self._report()
            case List():
                return Standings(
                    targets=target_states(
                        self.serving.names, self.serving.snapshot.resolver, self.road.health, self._clock.monotonic()
                    )
                )
            case Drain(seconds=seconds):
                self.drain(seconds)
            case _:
                assert_never(order)
        return Done()

    @property
    def draining(self) -> bool:
        """Whether it is about to end."""
        return self._draining is not None

    @property
    def table(self) -> KeyTable:
        """The keys in use."""
        return self._table

    async def close(self) -> None:
        """End at once, whatever is in flight."""
        if self._draining is not None:
            self._draining.cancel()
        await self._stack.aclose()

    # --- What is ordered ---------------------------------------------------------------------------------------------

    async def _begin(self, order: Begin) -> None:
        config = order.settings.config
        ledger, limits = config.ledger, config.limits
        folder = Path(str(ledger.directory))
        try:
            self.spool = Spool(
                folder,
                slot=order.slot,
                rotate_bytes=ledger.rotate_size,
                rotate_seconds=ledger.rotate_age,
                max_bytes=ledger.max_size,
            )
        except OSError as error:
            raise ConfigError(f"[ledger] directory {folder}: {error.strerror}; name one that can be written") from None
        self._stack.callback(self.spool.close)
        self.client = Client()
        self._stack.push_async_callback(self.client.close)
        self._secret: ServerSecret = order.secret
        ids = ExchangeIds()
        self.road = Road(
            client=self.client,
            spool=self.spool,
            sealer=Sealer(order.secret),
            languages={codec.language.name: codec.language for codec in CODECS.values()},
            clock=self._clock,
            new_id=ids,
        )
        self._hear(Hear(words=order.words, uses=order.uses))
        self._table = decode_keys(order.keys)
        first = self._prepare(order.settings)
        self.config, self.serving = first.config, first.serving
        self.road.health.expect(first.measured, self._clock.time())
        gateway = Gateway(
            road=self.road,
            codecs=CODECS,
            serving=lambda: self.serving,
            keys=lambda: self._table,
            clock=self._clock,
            new_id=ids,
        )
        http = HttpLimits(
            headers=limits.headers,
            streams=limits.streams,
            connections=_connections(limits.connections),
            header_timeout=limits.header_timeout,
            idle_timeout=limits.idle_timeout,
        )
        self.front = Front(handler=gateway.handle, limits=http, tls=first.tls, refuse=gateway.overloaded)
        syncing = asyncio.create_task(self._sync_spool())
        self._stack.push_async_callback(partial(_cancelled, syncing))
        self._stack.push_async_callback(self.front.stop, 0.0)
        self.begun = True

    def _hear(self, said: Hear) -> None:
        self.road.health.merge(said.words, self._clock.monotonic())
        for lesson in said.lessons:
            self.road.affinity.take(lesson)
        for use in said.uses:
            self.road.fills.take(use)

    def _prepare(self, settings: Settings) -> _Prepared:
        """Everything that could go wrong with a snapshot. Raises ConfigError."""
        config = settings.config
        names = Names(config)
        resolver = Places(
            config,
            names,
            codecs=CODECS,
            prices=partial(find, settings.prices),
            clock=self._clock.time,
            environ=self._environ,
        )
        # Making every stated target ready now finds what is wrong with an account before a request does.
        for named in names.targets():
            with contextlib.suppress(CallerError):  # a model that nobody can be asked for here; the caller is told
                resolver.place(named)
        serving = Serving(
            snapshot=Snapshot(
                number=settings.number,
                resolver=resolver,
                max_attempts=config.limits.attempts,
                retry_share=config.limits.retry_share,
                fetch=FetchPolicy(
                    allow=config.fetch.allow,
                    size=config.fetch.size,
                    # What a request could hold if its media had been inside it from the beginning.
                    total=config.limits.body,
                    timeout=config.fetch.timeout,
                ),
            ),
            names=names,
            authenticator=Authenticator(
                self._secret,
                require_keys=config.server.require_keys,
                public_hosts=config.server.public_hosts,
            ),
            body_limit=config.limits.body,
            proxies=tuple(ip_network(network) for network in config.server.trusted_proxies),
            exchange_timeout=config.limits.exchange_timeout,
            serve_unrecorded=config.ledger.on_full == "serve",
        )
        # Files are read anew even where their names stay: that is how certificates are renewed.
        return _Prepared(config=config, serving=serving, tls=_tls(config), measured=settings.measured)

    def _take(self, number: int) -> None:
        prepared = self._prepared
        if prepared is None or prepared.serving.snapshot.number != number:
            raise RuntimeError(f"snapshot {number} was not prepared")
        self._prepared = None
        self.client.renew()
        self.config, self.serving = prepared.config, prepared.serving
        self.road.health.expect(prepared.measured, self._clock.time())
        if prepared.tls is not None:
            self.front.identify_by(prepared.tls)

    async def _listen(self, sockets: tuple[int, ...]) -> None:
        for number in self._doors.keys() - set(sockets):
            self.front.leave(self._doors.pop(number))
        for number in sockets:
            if number not in self._doors:
                self._doors[number] = self._listeners[number].dup()
                await self.front.start(self._doors[number])

    def _report(self) -> Reported:
        road = self.road
        site = self.front.site
        sums = {
            "connections_closed_total": site.closed_for_room,
            "connections_refused_total": site.refused,
            "handshakes_failed_total": site.failed_handshakes,
        }
        for name, value in sums.items():
            road.counters.add(name, (), value - self._sums.get(name, 0))
        self._sums = sums
        return Reported(
            counters=tuple(road.counters.news()),
            words=tuple(road.health.news()),
            lessons=tuple(road.affinity.news()),
            uses=tuple(road.fills.news()),
            gauges={"open_exchanges": road.open, "open_connections": len(site.connections)},
            states=dict(road.health.gauges(self._clock.monotonic())),
            unrecorded=None if self.spool.probe() else self.spool.failed,
        )

    def drain(self, seconds: float) -> None:
        """Accept nothing more, let what is in flight end for so many seconds; a second call ends it sooner."""
        before = self._draining
        for listener in self._listeners:
            listener.close()
        self._draining = asyncio.create_task(self._drain(before, seconds))

    async def _drain(self, before: asyncio.Task[None] | None, seconds: float) -> None:
        if before is not None:
            await _cancelled(before)
        await self.front.stop(seconds)
        self.ended.set()

    async def _sync_spool(self) -> None:
        while True:
            await asyncio.sleep(self.config.ledger.sync_interval)
            try:
                await asyncio.to_thread(self.spool.sync)
            except OSError as error:
                self.spool.failed = f"{self.spool.folder}: {error.strerror}"


def settle_memory() -> None:
    """Take what start-up made out of the garbage collector's sight, and let it look less often.

    A request's objects die with their last reference; what the collector finds are the cycles of exceptions. Looking
    through all that start-up made cost a fifth of a request's time and stopped the world for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_FIRST, 20, 20)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _connections(wanted: int) -> int:
    """As configured, or half of the files that may be open: the rest is for providers and the spool."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY or wanted <= files // 2:
        return wanted
    log.warning(
        "the system allows %d open files, so %d connections are taken and not the %d of [limits] connections; "
        "raise the limit of open files (LimitNOFILE, ulimit -n)",
        files,
        files // 2,
        wanted,
    )
    return max(1, files // 2)


def _tls(config: Config) -> ssl.SSLContext | None:
    server = config.server
    if server.tls_cert is None or server.tls_key is None:
        return None
    client_ca = None if server.client_ca is None else Path(server.client_ca)
    try:
        return tls_context(cert=Path(server.tls_cert), key=Path(server.tls_key), client_ca=client_ca)
    except OSError as error:
        raise ConfigError(f"[server] tls_cert, tls_key or client_ca can not be used: {error}") from None
