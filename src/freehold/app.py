"""All wiring: from a configuration to a running gateway.

The supervisor checks the configuration and owns the control plane, the store and the address that clients connect to.
Its workers serve them: processes of their own, or with one worker the same object in this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from freehold.config import Account, Config, InvalidConfigError, Probe, Server, load
from freehold.config.watching import fingerprint
from freehold.errors import CallerError, ConfigError
from freehold.exchange.record import CURRENT, Spool, take_over
from freehold.exchange.road import Road
from freehold.exchange.spending import spent
from freehold.governance.authentication import is_loopback_host
from freehold.governance.keys import KeyTable, encode_keys
from freehold.governance.keystore import KeyStore, open_keystore
from freehold.providers.price_book import listed
from freehold.routing import measured
from freehold.routing.commitments import Commitments, Use, commitments_of
from freehold.routing.measured import Measured
from freehold.routing.names import Names
from freehold.routing.words import Disabled, Enabled, TakenOut
from freehold.server.control import Control, Outage
from freehold.server.crew import Crew
from freehold.server.front import Front, address_of, sharing_sockets
from freehold.server.gateway import Serving
from freehold.server.hands import Hand, InProcess, start_process
from freehold.server.limits import HttpLimits
from freehold.server.messages import Settings
from freehold.server.notices import notify
from freehold.server.targets import TargetState
from freehold.server.worker import Worker
from freehold.store.changes import Changed, Reachable, Unreachable
from freehold.store.private_files import exposed, planted
from freehold.transport.client import Client
from freehold.transport.endpoint import Endpoint, Timeouts, split_url
from freehold.transport.errors import TransportError

log = logging.getLogger("freehold")

S = TypeVar("S", bound=msgspec.Struct)

PROBE_SECONDS = 0.5
"""How long a local server that needs no key has to answer at start-up."""

CONTROL_GRACE = 1.0
"""Seconds that an operator's request in flight has when everything else has ended."""

WATCH_AGAIN = 1.0
"""Seconds until the keys are watched again after a failure that nobody thought of."""

LOOK_AT_FILES = 0.5
"""Seconds between two looks at the configuration's files. A change counts when it is the same at two looks: whoever
writes a file may not be finished."""

_RELOADED = frozenset({"require_keys", "public_hosts", "trusted_proxies", "body", "attempts", "retry_share"}) | {
    "exchange_timeout",
    "drain_delay",
    "drain_timeout",
    "on_full",
    "sync_interval",
}
"""Settings of [server], [limits] and [ledger] that a reload takes into use; the others are read at start."""


_LONGEST_NAME = 100
"""Letters of a name that nobody knows, as they are repeated."""


class Targets:
    """What operators see and do of targets, in the snapshot of the moment."""

    def __init__(self, crew: Crew, names: Callable[[], Names]) -> None:
        self._crew = crew
        self._names = names
        self._ends: dict[str, asyncio.TimerHandle] = {}

    async def list(self) -> list[TargetState]:
        """Every target that the configuration states, in its order, with the models that it answers for."""
        return await self._crew.targets()

    async def disable(self, target: str, reason: str) -> None:
        """From the next decision of every worker on, until `enable` or the server's end."""
        self._check(target)
        await self._crew.say(Disabled(target=target, reason=reason))
        log.warning("target %s is disabled: %s", target, reason)

    async def enable(self, target: str, reason: str) -> None:
        """With a closed breaker; the reason is for the log."""
        self._check(target)
        await self._crew.say(Enabled(target=target))
        log.warning("target %s is enabled: %s", target, reason)

    async def take_out(self, outage: Outage) -> None:
        """From the next attempt of every worker on, and never longer than said, whoever forgets to end it."""
        domain, seconds = outage.domain, outage.seconds
        if seconds:  # what is to end may lie in a domain that a reload has taken away
            known = {each for target in await self._crew.targets() for each in target.domains}
            _find("domain", domain, sorted(known), code="domain_not_found")
        await self._crew.say(TakenOut(domain=domain, until=time.monotonic() + seconds))
        end = self._ends.pop(domain, None)
        if end is not None:
            end.cancel()
        if seconds:
            log.warning("domain %s is taken out for %g s: %s", domain, seconds, outage.reason)
            self._ends[domain] = asyncio.get_running_loop().call_later(seconds, self._over, domain, "its time is up")
        elif end is not None:
            self._over(domain, outage.reason)

    def _over(self, domain: str, reason: str) -> None:
        self._ends.pop(domain, None)
        log.warning("domain %s is no longer taken out: %s", domain, reason)

    def outages(self) -> Sequence[Outage]:
        """What is taken out now."""
        return [Outage(domain=domain, seconds=round(left, 3)) for domain, left in self._crew.outages().items()]

    def _check(self, target: str) -> None:
        known = [named.id for named in self._names().targets()]
        _find("target", target, known, code="target_not_found")


def _find(kind: str, name: str, known: Sequence[str], *, code: str) -> None:
    """Raises CallerError naming the nearest where there is none of that name."""
    if name not in known:
        near = difflib.get_close_matches(name[:_LONGEST_NAME], known, n=3, cutoff=0.3) or known[:3]
        raise CallerError(
            f"there is no {kind} {name[:_LONGEST_NAME]!r}; there are {', '.join(near)}",
            code=code,
            kind="not_found",
            param=kind,
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
    """A gateway: open the store, watch the keys, serve two ports.

    async with Service(config, workers=2) as service:
        await service.listen()
        await service.run_until_signalled(announce)

    With one worker it serves in this process, and may be asked without a port (`road`, `serving`).
    """

    def __init__(self, config: Config, *, workers: int = 1, environ: Mapping[str, str] | None = None) -> None:
        self.config = config
        self.environ = os.environ if environ is None else environ
        self.workers = workers
        self._stack = AsyncExitStack()
        self._listeners: list[socket.socket] = []
        self._worker = Worker(self._listeners, self.environ)
        self._admin: Front | None = None
        self._draining = False
        self._counted: set[str] = set()
        """The spends whose records have been counted."""
        self._refused = ""
        """Why the configuration was last not reloaded."""
        self._reloading = asyncio.Lock()
        self._files: tuple[str, ...] = ()
        self._looked_at = ""
        """The fingerprint of the files when they were last read."""
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
        secret = self.config.server.secret
        self.keys: KeyStore = await self._stack.enter_async_context(
            open_keystore(
                storage_url=storage_url(self.config),
                configured_secret=None if secret is None else secret.reveal(),
                data_directory=Path(self.config.data_directory),
            )
        )
        folder = spool_folder(self.config)
        _check_spool(folder)
        if self.config.ledger.directory is None:
            ledger = msgspec.structs.replace(self.config.ledger, directory=str(folder))
            self.config = msgspec.structs.replace(self.config, ledger=ledger)
        self.config = await self._with_probed(self.config)
        self.names = Names(self.config)
        await self._look_at(self.config.files)
        self.crew = Crew(
            count=self.workers,
            hire=self._hire,
            secret=self.keys.secret,
            settings=self._settings(self.config, 1),
            keys=encode_keys(await self.keys.table()),
        )
        self._stack.push_async_callback(self.crew.close)
        if self.workers == 1:
            await self.crew.start()
        self._background(self._watch_keys())
        self._recount()

    async def _hire(self, slot: int) -> Hand:
        if self.workers == 1:
            return InProcess(self._worker)
        child = await start_process(self._listeners, self.environ)
        try:
            if await child.awake():
                return child
        except BaseException:
            await child.close()
            raise
        await child.close()
        raise ConfigError(f"worker {slot + 1} did not start: {child.fate}; the log says why")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._admin is not None:
            await self._admin.stop(0.0)
        self.stop_listening()
        await self._stack.aclose()

    # --- The worker in this process, where there is no other -------------------------------------------------------

    @property
    def serving(self) -> Serving:
        """The snapshot that is served by now."""
        return self._worker.serving

    @property
    def road(self) -> Road:
        """The one road."""
        return self._worker.road

    @property
    def client(self) -> Client:
        """What speaks to providers."""
        return self._worker.client

    @property
    def spool(self) -> Spool:
        """Where exchange records go."""
        return self._worker.spool

    @property
    def table(self) -> KeyTable:
        """The keys in use."""
        return self._worker.table

    @property
    def front(self) -> Front:
        """What clients are connected to."""
        return self._worker.front

    # --- The configuration -------------------------------------------------------------------------------------------

    def _settings(self, config: Config, number: int) -> Settings:
        providers = {account.provider for account in config.accounts.values()}
        prices = {name: listed(name) for name in sorted(providers)}
        return Settings(number=number, config=config, prices=prices, measured=self._measured())

    async def reload(self) -> None:
        """Take the configuration as it is now, in every worker or in none.

        A mistake in it leaves everything as it was, is logged, and shown at `/readyz` until a reload succeeds.
        """
        async with self._reloading:
            notify("RELOADING=1", monotonic=True)
            try:
                self._refused = await self._reload() or ""
            except Exception:
                log.exception("the configuration was not reloaded; this is a bug")
                self._refused = "a bug; the log has it"
            notify("READY=1")
            if self._refused:
                log.error("the configuration was not reloaded, the last good one stays in use:\n%s", self._refused)

    async def _reload(self) -> str | None:
        """Why not."""
        self._looked_at = await asyncio.to_thread(fingerprint, self._files)
        try:
            loaded = await self._with_probed(load(self.config.source, self.environ))
            config = _in_use(self.config, loaded)
            later = _after_restart(config, loaded)
            # The sockets stay where they are, so what protects them is judged by where they are.
            there = {"listen": config.server.listen, "admin_listen": config.server.admin_listen}
            _check_addresses(msgspec.structs.replace(loaded.server, **there))
            names = Names(config)
        except ConfigError as error:
            if isinstance(error, InvalidConfigError):
                await self._look_at(error.files)
            return str(error)
        await self._look_at(loaded.files)
        refused = await self.crew.change(self._settings(config, self.crew.settings.number + 1))
        if refused is not None:
            return refused
        self.config, self.names = config, names
        self._recount()
        if later:
            log.warning("changed, but taken into use at the next start only: %s", ", ".join(later))
        log.info("configuration %d is in use", self.crew.settings.number)
        return None

    async def _look_at(self, files: tuple[str, ...]) -> None:
        """Watch these files from now on."""
        if files != self._files:
            self._files = files
            self._looked_at = await asyncio.to_thread(fingerprint, files)

    def _measured(self) -> tuple[Measured, ...]:
        """What `freehold bench` found; figures that can not be read are no reason to serve nobody."""
        file = Path(self.config.data_directory) / measured.FILE
        try:
            why = planted(file)
            found = measured.read(file) if why is None else {}
        except (ConfigError, OSError) as error:
            why, found = str(error), {}
        if why is not None:
            log.warning("what `freehold bench` measured is not used: %s", why)
        return tuple(found.values())

    # --- What runs beside the requests -------------------------------------------------------------------------------

    def _background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)

        async def stop() -> None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        self._stack.push_async_callback(stop)

    def _recount(self) -> None:
        """See to what was spent of commitments before this process, or before they were stated."""
        commitments = commitments_of(self.config)
        new = [each for each in commitments.spends() if each.name not in self._counted]
        if new:
            self._counted.update(each.name for each in new)
            self._background(self._count_spent(commitments, {each.name for each in new}, time.time()))

    async def _count_spent(self, commitments: Commitments, names: set[str], before: float) -> None:
        try:
            sums = await asyncio.to_thread(spent, spool_folder(self.config), commitments, before)
        except OSError as error:
            log.warning("what was spent of commitments is not known, the records can not be read: %s", error)
            return
        for name in sorted(names):
            log.info("commitment %s: %.2f USD are spent by the records of this machine", name, sums[name])
        await self.crew.count(*(Use(name, usd=sums[name]) for name in names if sums[name]))

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
                        self._unreadable_since = time.monotonic()
                        log.warning("the store can not be read, keys stay as they were: %s", item.reason)
                        continue
                    case Changed():
                        await self.crew.take_keys(encode_keys(item.value))
                    case Reachable():
                        pass
                if self._unreadable_since is not None:
                    self._unreadable_since = None
                    log.warning("the store can be read again, the keys are up to date")

    async def _watch_files(self) -> None:
        """Reload when a file's content has changed and stays so for a moment."""
        before = self._looked_at
        while True:
            await asyncio.sleep(LOOK_AT_FILES)
            now = await asyncio.to_thread(fingerprint, self._files)
            if now == before and now != self._looked_at:
                log.info("the configuration's files have changed")
                await self.reload()
                now = self._looked_at
            before = now

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
        async with Client() as client:
            try:
                answer = await client.send(endpoint, "GET", origin.path or "/", [], b"")
            except TransportError:
                return False
            answer.release()
            return answer.status < 500

    # --- Ports -------------------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Serve the data plane and the control plane. Raises ConfigError for an address that can not be had."""
        server = self.config.server
        _check_addresses(server)
        self._listeners += _bind(server.listen, "[server] listen", self.workers)
        self.address = address_of(self._listeners[0])
        (admin,) = _bind(server.admin_listen, "[server] admin_listen", 1)
        self.admin_address = address_of(admin)
        if self.workers > 1:
            await self.crew.start()
        take_over(spool_folder(self.config), self.workers)
        await self.crew.listen(len(self._listeners))
        token = server.admin_token
        control = Control(
            token=None if token is None else token.reveal(),
            refresh=self.refresh,
            not_ready=self.not_ready,
            warnings=self.warnings,
            metrics=self.metrics,
            spool_folder=spool_folder(self.config),
            targets=Targets(self.crew, lambda: self.names),
        )
        self._admin = Front(handler=control.handle, limits=HttpLimits(streams=64))
        await self._admin.start(admin)

    def stop_listening(self) -> None:
        """New connections are refused from now on, unless workers still hold the address."""
        for listener in self._listeners:
            listener.close()

    async def refresh(self) -> None:
        """Look at the workers, before one of the following is asked."""
        await self.crew.refresh()

    def not_ready(self) -> str | None:
        """Why no traffic should be sent here; None while it should."""
        if self._draining:
            return "shutting down"
        if not self.crew.gauges()["workers"]:
            return "; ".join(self.crew.missing()) or "no worker has begun"
        unrecorded = self.crew.unrecorded()
        if unrecorded is not None and self.config.ledger.on_full == "refuse":
            return f"the exchange record can not be written: {unrecorded}"
        return None

    def warnings(self) -> list[str]:
        """What an operator should mend though traffic goes on."""
        found = self.crew.missing()
        if self._refused:
            found.append(f"the configuration was not reloaded, the last good one stays in use: {self._refused}")
        since = self._unreadable_since
        if since is not None:
            seconds = time.monotonic() - since
            found.append(
                f"the store can not be read for {seconds:.0f} s: keys stay as they were, none is made or revoked here"
            )
        return found

    def metrics(self) -> str:
        """Counters for Prometheus."""
        since = self._unreadable_since
        gauges = {
            **self.crew.gauges(),
            "snapshot": self.crew.settings.number,
            "reload_refused": bool(self._refused),
            "keys_stale_seconds": 0.0 if since is None else time.monotonic() - since,
        }
        return self.crew.counters.text(gauges)

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
        watching = loop.create_task(self._watch_files())
        try:
            announce()
            notify("READY=1")
            number = await first
            notify("STOPPING=1")
            self._draining = True
            watching.cancel()
            draining = loop.create_task(self._drain())
            hurry = loop.create_task(second.wait())
            await asyncio.wait({draining, hurry}, return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
            if not draining.done():
                draining.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await draining
                self.stop_listening()
                await self.crew.drain(0.0)
        finally:
            watching.cancel()
            for each in handlers:
                loop.remove_signal_handler(each)
        return number

    async def _drain(self) -> None:
        limits = self.config.limits
        await asyncio.sleep(limits.drain_delay)
        self.stop_listening()
        await self.crew.drain(limits.drain_timeout)
        if self._admin is not None:
            await self._admin.stop(CONTROL_GRACE)


def _check_spool(folder: Path) -> None:
    """Raises ConfigError where rows would go where another user wants them."""
    for place in (folder, folder / CURRENT, *folder.glob("exchanges*.jsonl")):
        if (why := planted(place)) is not None:
            raise ConfigError(f"[ledger] directory: {why}")
        if (said := exposed(place)) is not None:
            log.warning("%s", said)


def _check_addresses(server: Server) -> None:
    """Raises ConfigError where strangers could reach what only this machine's own programs may."""
    if not server.require_keys and not is_loopback_host(server.listen):
        raise ConfigError(
            f"{server.listen} can be reached from outside; set [server] require_keys = true, or listen on 127.0.0.1"
        )
    if server.admin_token is None and not is_loopback_host(server.admin_listen):
        raise ConfigError(
            f"{server.admin_listen} can be reached from outside; set [server] admin_token, or use 127.0.0.1"
        )


def _in_use(old: Config, new: Config) -> Config:
    """The new configuration, with what is read at start only as it was then."""
    return msgspec.structs.replace(
        new,
        storage=old.storage,
        server=_kept(old.server, new.server),
        limits=_kept(old.limits, new.limits),
        ledger=_kept(old.ledger, new.ledger),
    )


def _kept(old: S, new: S) -> S:
    at_start = (name for name in new.__struct_fields__ if name not in _RELOADED)
    return msgspec.structs.replace(new, **{name: getattr(old, name) for name in at_start})


def _after_restart(used: Config, stated: Config) -> list[str]:
    """The settings that are stated and not in use."""
    sections = {
        "server": (used.server, stated.server),
        "storage": (used.storage, stated.storage),
        "limits": (used.limits, stated.limits),
        "ledger": (used.ledger, stated.ledger),
    }
    return [
        f"[{section}] {name}"
        for section, (now, then) in sections.items()
        for name in now.__struct_fields__
        if getattr(now, name) != getattr(then, name)
    ]


def _bind(address: str, setting: str, count: int) -> list[socket.socket]:
    host, _, port = address.rpartition(":")
    try:
        return sharing_sockets(host.strip("[]"), int(port), count)
    except OSError as error:
        raise ConfigError(f"{setting} = {address}: {error.strerror}; name a free address") from None


@contextlib.asynccontextmanager
async def serve(config: Config) -> AsyncGenerator[Service]:
    """A service that listens; for tests and for commands that need one for a moment."""
    async with Service(config) as service:
        await service.listen()
        yield service
