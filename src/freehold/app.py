"""All wiring: from a configuration to a running gateway."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import logging
import os
import resource
import secrets
import signal
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from freehold.config import Account, Config, Probe, load
from freehold.errors import CallerError, ConfigError
from freehold.exchange.media import FetchPolicy
from freehold.exchange.places import Places
from freehold.exchange.record import CURRENT, Spool
from freehold.exchange.road import Road, Snapshot
from freehold.governance.authentication import Authenticator, is_loopback_host
from freehold.governance.keys import KeyTable
from freehold.governance.keystore import KeyStore, open_keystore
from freehold.governance.seal import Sealer
from freehold.ir import Language
from freehold.protocols.registry import CODECS
from freehold.providers.price_book import row as price_row
from freehold.routing.features import WELL, Candidate, Standing
from freehold.routing.names import Names
from freehold.server.control import Control, TargetState
from freehold.server.front import Front, address_of, listening_socket, tls_context
from freehold.server.gateway import Gateway, Serving
from freehold.server.limits import HttpLimits
from freehold.store.changes import Changed, Reachable, Unreachable
from freehold.store.private_files import exposed, planted
from freehold.transport.client import Client
from freehold.transport.endpoint import Endpoint, Timeouts, split_url
from freehold.transport.errors import TransportError

log = logging.getLogger("freehold")

PROBE_SECONDS = 0.5
"""How long a local server that needs no key has to answer at start-up."""


CONTROL_GRACE = 1.0
"""Seconds that an operator's request in flight has when everything else has ended."""

WATCH_AGAIN = 1.0
"""Seconds until the keys are watched again after a failure that nobody thought of."""

_RELOADED = frozenset({"require_keys", "public_hosts", "trusted_proxies", "body", "attempts", "exchange_timeout"}) | {
    "drain_delay",
    "drain_timeout",
    "on_full",
    "sync_interval",
}
"""Settings of [server], [limits] and [ledger] that a reload takes into use; the others are read at start."""


class SystemClock:
    """The machine's own clocks: Unix seconds, and the event loop's."""

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


class Targets:
    """What operators see and do of targets, in the snapshot of the moment."""

    def __init__(self, road: Road, serving: Callable[[], Serving], clock: SystemClock) -> None:
        self._road = road
        self._serving = serving
        self._clock = clock

    def list(self) -> list[TargetState]:
        """Every target that the configuration states, in its order, with the models that it answers for."""
        models: dict[str, list[str]] = {}
        candidates: dict[str, Candidate] = {}
        for name in self._serving().names.listed():
            with contextlib.suppress(CallerError):  # a model whose accounts can not be spoken to
                for candidate in self._serving().snapshot.resolver.resolve(name).candidates:
                    models.setdefault(candidate.name, []).append(name)
                    candidates[candidate.name] = candidate
        standings = self._road.health.standings(list(candidates.values()), self._clock.monotonic())
        return [_state(name, tuple(models[name]), standings.get(name, WELL)) for name in candidates]

    def disable(self, target: str, reason: str) -> None:
        """From the next decision on, until `enable` or the end of this process."""
        self._check(target)
        self._road.health.disable(target, reason)
        log.warning("target %s is disabled: %s", target, reason)

    def enable(self, target: str, reason: str) -> None:
        """With a closed breaker; the reason is for the log."""
        self._check(target)
        self._road.health.enable(target)
        log.warning("target %s is enabled: %s", target, reason)

    def _check(self, target: str) -> None:
        known = [named.id for named in self._serving().names.targets()]
        if target not in known:
            near = difflib.get_close_matches(target[:100], known, n=3, cutoff=0.3) or known[:3]
            raise CallerError(
                f"there is no target {target[:100]!r}; there are {', '.join(near)}",
                code="target_not_found",
                kind="not_found",
                param="target",
            )


def _state(name: str, models: tuple[str, ...], standing: Standing) -> TargetState:
    state, why = "ready", ""
    if standing.disabled:
        state, why = "disabled", standing.disabled
    elif standing.broken:
        state, why = "broken", f"the breaker of {standing.broken} is open"
    elif standing.cooling:
        state, why = "cooling", "it asked to be left alone (Retry-After)"
    return TargetState(
        target=name,
        models=models,
        state=state,
        why=why,
        first_token=standing.first_token,
        speed=standing.speed,
        errors=standing.errors,
    )


def storage_url(config: Config) -> str:
    """The configured database, else SQLite in the user's data directory."""
    if config.storage.url is not None:
        return config.storage.url.reveal()
    return f"sqlite:///{Path(config.data_directory).absolute() / 'freehold.db'}"


def spool_folder(config: Config) -> Path:
    """Where exchange records are written."""
    return Path(config.ledger.directory or Path(config.data_directory) / "spool")


class Service:
    """A gateway in one process: open the store, watch the keys, serve two ports.

    async with Service(config) as service:
        await service.listen()
        await service.run_until_signalled(announce)
    """

    def __init__(self, config: Config, *, environ: Mapping[str, str] | None = None) -> None:
        self.config = config
        self.environ = os.environ if environ is None else environ
        self._clock = SystemClock()
        self._stack = AsyncExitStack()
        self._table = KeyTable()
        self._fronts: list[Front] = []
        self._draining = False
        self._unreadable_since: float | None = None
        self.address = ("", 0)
        self.admin_address = ("", 0)

    async def __aenter__(self) -> Self:
        """Raises ConfigError for a database, secret or folder that can not be used."""
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def _open(self) -> None:
        config = self.config
        secret = config.server.secret
        self.keys: KeyStore = await self._stack.enter_async_context(
            open_keystore(
                storage_url=storage_url(config),
                configured_secret=None if secret is None else secret.reveal(),
                data_directory=Path(config.data_directory),
            )
        )
        folder = spool_folder(config)
        try:
            _check_spool(folder)
            self.spool = Spool(
                folder,
                rotate_bytes=config.ledger.rotate_size,
                rotate_seconds=config.ledger.rotate_age,
                max_bytes=config.ledger.max_size,
            )
        except OSError as error:
            raise ConfigError(f"[ledger] directory {folder}: {error.strerror}; name one that can be written") from None
        self._stack.callback(self.spool.close)
        self.client = Client()
        self._stack.push_async_callback(self.client.close)
        self.config = await self._with_probed(config)
        self.road = Road(
            client=self.client,
            spool=self.spool,
            sealer=Sealer(self.keys.secret),
            languages=_languages(),
            clock=self._clock,
        )
        self._serving = self._serve_by(self.config, 1)
        self.gateway = Gateway(
            road=self.road,
            codecs=CODECS,
            serving=lambda: self._serving,
            keys=lambda: self._table,
            clock=self._clock,
            new_id=ExchangeIds(),
        )
        self._table = await self.keys.table()
        self._background(self._watch_keys())
        self._background(self._sync_spool())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for front in self._fronts:
            await front.stop(0.0)
        await self._stack.aclose()

    @property
    def serving(self) -> Serving:
        """The snapshot that is served by now."""
        return self._serving

    def _serve_by(self, config: Config, number: int) -> Serving:
        names = Names(config)
        resolver = Places(config, names, codecs=CODECS, prices=price_row, clock=self._clock.time, environ=self.environ)
        # Making every stated target ready now finds what is wrong with an account before a request does.
        for named in names.targets():
            with contextlib.suppress(CallerError):  # a model that nobody can be asked for here; the caller is told
                resolver.place(named)
        return Serving(
            snapshot=Snapshot(
                number=number,
                resolver=resolver,
                max_attempts=config.limits.attempts,
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
                self.keys.secret,
                require_keys=config.server.require_keys,
                public_hosts=config.server.public_hosts,
            ),
            body_limit=config.limits.body,
            proxies=tuple(ip_network(network) for network in config.server.trusted_proxies),
            exchange_timeout=config.limits.exchange_timeout,
            serve_unrecorded=config.ledger.on_full == "serve",
        )

    async def reload(self) -> None:
        """Take the configuration file as it is now; a mistake in it leaves everything as it was, and is logged."""
        try:
            config = await self._with_probed(load(self.config.source, self.environ))
            later = _after_restart(self.config, config)
            # The sockets stay where they are, so what protects them is judged by where they are.
            addresses = {"listen": self.config.server.listen, "admin_listen": self.config.server.admin_listen}
            config = msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **addresses))
            _check_addresses(config)
            # Files are read anew even where their names stay: that is how certificates are renewed.
            tls = _tls(self.config)
            serving = self._serve_by(config, self._serving.snapshot.number + 1)
            self.client.renew()
            self._serving = serving
            if tls is not None and self._fronts:
                self._fronts[0].identify_by(tls)
        except ConfigError as error:
            # The operator's own mistake, which the message explains: no traceback.
            log.error("the configuration was not reloaded, the last good one stays in use:\n%s", error)  # noqa: TRY400
            return
        except Exception:
            log.exception("the configuration was not reloaded, the last good one stays in use; this is a bug")
            return
        self.config = config
        if later:
            log.warning("changed, but taken into use at the next start only: %s", ", ".join(later))
        log.info("configuration %d is in use", self._serving.snapshot.number)

    # --- What runs beside the requests -------------------------------------------------------------------------------

    def _background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)

        async def stop() -> None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        self._stack.push_async_callback(stop)

    async def _watch_keys(self) -> None:
        while True:
            try:
                await self._take_keys()
            except Exception:
                # Were this the end, no key could be revoked any more, and nobody would notice.
                log.exception("watching the keys failed; trying again")
                await asyncio.sleep(WATCH_AGAIN)

    async def _take_keys(self) -> None:
        async with contextlib.aclosing(self.keys.watch()) as news:
            async for item in news:
                match item:
                    case Unreachable():
                        self._unreadable_since = self._clock.monotonic()
                        log.warning("the store can not be read, keys stay as they were: %s", item.reason)
                        continue
                    case Changed():
                        self._table = item.value
                    case Reachable():
                        pass
                if self._unreadable_since is not None:
                    self._unreadable_since = None
                    log.warning("the store can be read again, the keys are up to date")

    async def _sync_spool(self) -> None:
        while True:
            await asyncio.sleep(self.config.ledger.sync_interval)
            try:
                await asyncio.to_thread(self.spool.sync)
            except OSError as error:
                self.spool.failed = f"{self.spool.folder}: {error.strerror}"

    async def _with_probed(self, config: Config) -> Config:
        """Accounts of local servers that answer, added to those that are configured."""
        found: dict[str, Account] = {}
        for probe in config.probes:
            if await self._answers(probe):
                found[probe.account.name] = probe.account
        if not found:
            return config
        notes = tuple(f"{name}: found running at {found[name].base_url or 'its default address'}" for name in found)
        return msgspec.structs.replace(
            config, accounts={**config.accounts, **found}, notes=(*config.notes, *notes), probes=()
        )

    async def _answers(self, probe: Probe) -> bool:
        origin = split_url(probe.url)
        timeouts = Timeouts(connect=PROBE_SECONDS, first_byte=PROBE_SECONDS, idle=PROBE_SECONDS, total=PROBE_SECONDS)
        endpoint = Endpoint(scheme=origin.scheme, host=origin.host, port=origin.port, timeouts=timeouts)
        try:
            answer = await self.client.send(endpoint, "GET", origin.path or "/", [], b"")
        except TransportError:
            return False
        answer.release()
        return answer.status < 500

    # --- Ports ---------------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Serve the data plane and the control plane. Raises ConfigError for an address that can not be had."""
        server, limits = self.config.server, self.config.limits
        _check_addresses(self.config)
        http = HttpLimits(
            headers=limits.headers,
            streams=limits.streams,
            connections=self._connections(),
            header_timeout=limits.header_timeout,
            idle_timeout=limits.idle_timeout,
        )
        tls = _tls(self.config)
        data = Front(handler=self.gateway.handle, limits=http, tls=tls, refuse=self.gateway.overloaded)
        self.address = await self._start(data, server.listen, "[server] listen")
        token = server.admin_token
        control = Control(
            token=None if token is None else token.reveal(),
            not_ready=self.not_ready,
            warnings=self.warnings,
            metrics=self.metrics,
            spool_folder=self.spool.folder,
            targets=Targets(self.road, lambda: self._serving, self._clock),
        )
        admin = Front(handler=control.handle, limits=HttpLimits(streams=64))
        self.admin_address = await self._start(admin, server.admin_listen, "[server] admin_listen")

    def _connections(self) -> int:
        """As configured, or half of the files that may be open: the rest is for providers, the database, the spool."""
        wanted = self.config.limits.connections
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

    async def _start(self, front: Front, address: str, setting: str) -> tuple[str, int]:
        host, _, port = address.rpartition(":")
        try:
            listener = listening_socket(host.strip("[]"), int(port))
        except OSError as error:
            raise ConfigError(f"{setting} = {address}: {error.strerror}; name a free address") from None
        await front.start(listener)
        self._fronts.append(front)
        return address_of(listener)

    def not_ready(self) -> str | None:
        """Why no traffic should be sent here; None while it should."""
        if self._draining:
            return "shutting down"
        if self.spool.failed is not None and self.config.ledger.on_full == "refuse" and not self.spool.probe():
            return f"the exchange record can not be written: {self.spool.failed}"
        return None

    def warnings(self) -> list[str]:
        """What an operator should mend though traffic goes on."""
        since = self._unreadable_since
        if since is None:
            return []
        seconds = self._clock.monotonic() - since
        return [f"the store can not be read for {seconds:.0f} s: keys stay as they were, none is made or revoked here"]

    def metrics(self) -> str:
        """Counters for Prometheus."""
        gauges: dict[str, float] = {
            "open_exchanges": self.road.open,
            "snapshot": self._serving.snapshot.number,
            **self.road.health.gauges(self._clock.monotonic()),
        }
        sums: dict[str, float] = {}
        if self._fronts:
            site = self._fronts[0].site
            gauges["open_connections"] = len(site.connections)
            sums["connections_closed_total"] = site.closed_for_room
            sums["connections_refused_total"] = site.refused
            sums["handshakes_failed_total"] = site.failed_handshakes
        since = self._unreadable_since
        gauges["keys_stale_seconds"] = 0.0 if since is None else self._clock.monotonic() - since
        return self.road.counters.text(gauges, sums)

    async def run_until_signalled(self, announce: Callable[[], None]) -> signal.Signals:
        """Serve until SIGTERM or SIGINT, reload at SIGHUP; then let streams in flight finish, bounded.

        A second signal ends that at once. The control plane answers until the end, so that a load balancer sees why
        to send nothing more here. `announce` is called when signals are heeded: whoever reads it may send one at once.
        Gives the signal that ended it.
        """
        loop = asyncio.get_running_loop()
        first: asyncio.Future[signal.Signals] = loop.create_future()
        second = asyncio.Event()

        def stop(number: signal.Signals) -> None:
            if first.done():
                second.set()
            else:
                first.set_result(number)

        reloads: set[asyncio.Task[None]] = set()

        def reload() -> None:
            task = loop.create_task(self.reload())
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: partial(stop, signal.SIGTERM),
            signal.SIGINT: partial(stop, signal.SIGINT),
            signal.SIGHUP: reload,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            announce()
            number = await first
            self._draining = True
            draining = loop.create_task(self._drain())
            hurry = loop.create_task(second.wait())
            await asyncio.wait({draining, hurry}, return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
            if not draining.done():
                draining.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await draining
            await asyncio.gather(*(front.stop(0.0) for front in self._fronts))
        finally:
            for each in handlers:
                loop.remove_signal_handler(each)
        return number

    async def _drain(self) -> None:
        data, *others = self._fronts
        limits = self.config.limits
        await asyncio.sleep(limits.drain_delay)
        await data.stop(limits.drain_timeout)
        await asyncio.gather(*(front.stop(CONTROL_GRACE) for front in others))


def _check_spool(folder: Path) -> None:
    """Raises ConfigError where rows would go where another user wants them."""
    for place in (folder, folder / CURRENT):
        if (why := planted(place)) is not None:
            raise ConfigError(f"[ledger] directory: {why}")
        if (said := exposed(place)) is not None:
            log.warning("%s", said)


def _check_addresses(config: Config) -> None:
    """Raises ConfigError where strangers could reach what only this machine's own programs may."""
    server = config.server
    if not server.require_keys and not is_loopback_host(server.listen):
        raise ConfigError(
            f"{server.listen} can be reached from outside; set [server] require_keys = true, or listen on 127.0.0.1"
        )
    if server.admin_token is None and not is_loopback_host(server.admin_listen):
        raise ConfigError(
            f"{server.admin_listen} can be reached from outside; set [server] admin_token, or use 127.0.0.1"
        )


def _after_restart(old: Config, new: Config) -> list[str]:
    """The settings that differ and are read at start only."""
    sections = {
        "server": (old.server, new.server),
        "storage": (old.storage, new.storage),
        "limits": (old.limits, new.limits),
        "ledger": (old.ledger, new.ledger),
    }
    return [
        f"[{section}] {name}"
        for section, (before, after) in sections.items()
        for name in before.__struct_fields__
        if name not in _RELOADED and getattr(before, name) != getattr(after, name)
    ]


def _languages() -> dict[str, Language]:
    return {codec.language.name: codec.language for codec in CODECS.values()}


def _tls(config: Config) -> ssl.SSLContext | None:
    server = config.server
    if server.tls_cert is None or server.tls_key is None:
        return None
    client_ca = None if server.client_ca is None else Path(server.client_ca)
    try:
        return tls_context(cert=Path(server.tls_cert), key=Path(server.tls_key), client_ca=client_ca)
    except OSError as error:
        raise ConfigError(f"[server] tls_cert, tls_key or client_ca can not be used: {error}") from None


@contextlib.asynccontextmanager
async def serve(config: Config) -> AsyncGenerator[Service]:
    """A service that listens; for tests and for commands that need one for a moment."""
    async with Service(config) as service:
        await service.listen()
        yield service
