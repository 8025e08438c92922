"""A drill in the sandbox: emulated clouds, a gateway and clients of this process, all gone afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from freehold.cli.control_plane import ControlPlane
from freehold.cli.drill.course import Times, run, until_signalled
from freehold.cli.drill.load import Load, Mix
from freehold.cli.drill.measures import Measure
from freehold.cli.drill.subject import Domain, find, read_targets
from freehold.cli.failure import CommandError
from freehold.cli.sandbox import mint_keys, sandboxed
from freehold.exchange.record import read_records
from freehold.sandbox.caller import Caller
from freehold.sandbox.faults import Fault
from freehold.transport.client import Client

if TYPE_CHECKING:
    from freehold.app import Service
    from freehold.cli.drill.report import Report
    from freehold.sandbox.fleet import Fleet
    from freehold.server.targets import TargetState

_ANY_PORT: Final = "127.0.0.1:0"


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to happen to which domain, under which load; `patience` is the gateway's with silence, in seconds."""

    domain: str
    fault: Fault
    times: Times
    mix: Mix
    patience: float | None


class _Clouds:
    """Breaks the clouds of a domain."""

    def __init__(self, fleet: Fleet, domain: Domain, fault: Fault) -> None:
        self._clouds = [fleet.clouds[account] for account in domain.accounts()]
        self._fault: Fault = fault

    async def begin(self) -> None:
        """All at once."""
        await asyncio.gather(*(cloud.fail(self._fault) for cloud in self._clouds))

    async def end(self) -> None:
        """All well."""
        await asyncio.gather(*(cloud.heal() for cloud in self._clouds))


async def survey() -> list[TargetState]:
    """The targets of the sandbox."""
    async with _started(None) as (_, _, plane):
        return await read_targets(plane)


async def rehearse(wishes: Wishes, say: Callable[[str], None]) -> Report:
    """The whole drill. Raises CommandError, OSError where no port can be had."""
    async with until_signalled() as stop, _started(wishes.patience) as (fleet, service, plane), Client() as client:
        targets = await read_targets(plane)
        domain = find(targets, wishes.domain)
        _check_models(wishes.mix.models, targets)
        host, port = service.address
        load = Load(Caller(client, f"http://{host}:{port}", await mint_keys(service, "drill")), wishes.mix)
        await load.warm_up()
        load.start()
        try:
            clouds = _Clouds(fleet, domain, wishes.fault)
            course = await run(domain, clouds, wishes.times, plane=plane, stop=stop, say=say)
        finally:
            await load.stop()
        measure = Measure(domain, course.until_now())
        for record in read_records(service.spool.folder):
            measure.add(record)
        return measure.report(
            models={target.target: target.models for target in targets},
            where="sandbox",
            how=wishes.fault,
            interrupted=course.interrupted,
            load=load.report(),
        )


@asynccontextmanager
async def _started(patience: float | None) -> AsyncGenerator[tuple[Fleet, Service, ControlPlane]]:
    async with sandboxed(listen=_ANY_PORT, admin_listen=_ANY_PORT, patience=patience) as (fleet, service):
        host, port = service.admin_address
        async with ControlPlane(f"http://{host}:{port}", None) as plane:
            yield fleet, service, plane


def _check_models(models: Sequence[str], targets: Sequence[TargetState]) -> None:
    known = dict.fromkeys(model for target in targets for model in target.models)
    for model in models:
        if model not in known:
            message = f"the sandbox has no model {model!r}; there are {', '.join(known)}"
            raise CommandError(message, code="model_not_found")
