"""A drill on the running gateway: its own traffic is what is measured.

The server ends the outage by itself when its time is up, whatever becomes of this process.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from freehold.cli.control_plane import ControlPlane
from freehold.cli.drill.course import Times, run, until_signalled
from freehold.cli.drill.load import Load, Mix
from freehold.cli.drill.measures import Measure
from freehold.cli.drill.subject import Domain, read_targets
from freehold.exchange.record import read_records
from freehold.sandbox.caller import Caller, Keys
from freehold.server.control import Outage
from freehold.server.targets import TargetState
from freehold.signing.sigv4 import Credentials
from freehold.transport.client import Client

if TYPE_CHECKING:
    from freehold.cli.drill.report import Report
    from freehold.config import Config

_NO_PAIR = Credentials(access_key_id="", secret_access_key="")


class Probing(msgspec.Struct, frozen=True, kw_only=True):
    """The drill's own requests to the data plane at `url`, with a bearer key."""

    url: str
    key: str
    mix: Mix


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken out of which targets, for how long; `spool` is where the server writes its records."""

    spool: Path
    domain: Domain
    targets: tuple[TargetState, ...]
    times: Times
    probing: Probing | None


class _Switch:
    """The outage on the server."""

    def __init__(self, plane: ControlPlane, domain: str, seconds: float) -> None:
        self._plane = plane
        self._domain = domain
        self._seconds = seconds

    async def begin(self) -> None:
        """From the server's next attempt on."""
        await order(self._plane, Outage(domain=self._domain, seconds=self._seconds, reason="freehold drill --live"))

    async def end(self) -> None:
        """At once, if its time is not up already."""
        await order(self._plane, Outage(domain=self._domain, seconds=0.0, reason="the drill is over"))


async def order(plane: ControlPlane, outage: Outage) -> None:
    """Set an outage. Raises CommandError."""
    await plane.ask("POST", "/outages", msgspec.json.encode(outage))


async def end(config: Config, admin: str | None, domain: str) -> None:
    """End a drill's outage that somebody left behind. Raises CommandError."""
    async with ControlPlane.of(config, admin) as plane:
        await order(plane, Outage(domain=domain, seconds=0.0, reason="ended by an operator"))


async def survey(config: Config, admin: str | None) -> list[TargetState]:
    """The targets of the running server. Raises CommandError."""
    async with ControlPlane.of(config, admin) as plane:
        return await read_targets(plane)


async def run_drill(config: Config, admin: str | None, drill: Drill, say: Callable[[str], None]) -> Report:
    """The whole drill. Raises CommandError."""
    domain = drill.domain
    async with (
        until_signalled() as stop,
        ControlPlane.of(config, admin) as plane,
        _probes(drill.probing) as load,
    ):
        switch = _Switch(plane, domain.domain, drill.times.out)
        course = await run(domain, switch, drill.times, plane=plane, stop=stop, say=say)
    measure = Measure(domain, course.until_now())
    for record in read_records(drill.spool, since=course.moments.began):
        measure.add(record)
    return measure.report(
        models={target.target: target.models for target in drill.targets},
        where="live",
        how="refused",
        interrupted=course.interrupted,
        load=None if load is None else load.report(),
    )


@contextlib.asynccontextmanager
async def _probes(probing: Probing | None) -> AsyncGenerator[Load | None]:
    """Own requests for as long as the drill lasts, if they were asked for."""
    if probing is None:
        yield None
        return
    async with Client() as client:
        load = Load(Caller(client, probing.url, Keys(bearer=probing.key, pair=_NO_PAIR)), probing.mix)
        load.start()
        try:
            yield load
        finally:
            await load.stop()
