"""The course of a drill: watch, take the domain out, heal it, watch until it has recovered; or end early, healed.

What happens is asked of the gateway as any operator could: its metrics say which targets answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from freehold.cli.drill.report import Moments

if TYPE_CHECKING:
    from freehold.cli.control_plane import ControlPlane
    from freehold.cli.drill.subject import Domain

_LOOK: Final = 0.1
"""Seconds between two looks at whether the domain answers again."""
_SETTLED: Final = 1.0
"""Seconds that are watched after the recovery, so that the page shows it."""
_ANSWERS: Final = re.compile(
    rb'^freehold_attempts_total\{target="((?:[^"\\]|\\.)*)",status="2\d\d"\} (\S+)', re.MULTILINE
)


class Outage(Protocol):
    """Takes the domain out, and puts it back."""

    async def begin(self) -> None:
        """Out, when this returns. Raises CommandError."""
        ...

    async def end(self) -> None:
        """Back. Raises CommandError."""
        ...


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: watched before, taken out, and waited for the recovery at most."""

    before: float
    out: float
    wait: float


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """How it went: when what happened, and whether somebody ended it early."""

    moments: Moments
    interrupted: bool

    def until_now(self) -> Moments:
        """The moments, with the end moved to now: what was under way then has ended."""
        return msgspec.structs.replace(self.moments, ended=time.time())


async def run(
    domain: Domain,
    outage: Outage,
    times: Times,
    *,
    plane: ControlPlane,
    stop: asyncio.Event,
    say: Callable[[str], None],
) -> Course:
    """Take the domain out and heal it, whatever happens meanwhile. Raises CommandError.

    Both moments count from before the deed: what is in flight may break while it is under way, and be answered.
    """
    start = await _answers(plane, domain)
    began = time.time()
    say(f"watching for {times.before:g} s")
    await _pass(stop, times.before)
    before = await _answers(plane, domain)
    serving = {target for target in before if before[target] > start.get(target, 0.0)}
    out = time.time()
    if not stop.is_set():
        say(f"{domain.domain} is out for {times.out:g} s")
        try:
            await outage.begin()
            await _pass(stop, times.out)
        finally:
            healed = time.time()
            await outage.end()
    else:
        healed = out
    say("healed")
    if serving:
        await _recovered(domain, serving, plane, stop, times.wait)
    await _pass(stop, _SETTLED)
    moments = Moments(began=began, out=out, healed=healed, ended=time.time())
    return Course(moments=moments, interrupted=stop.is_set())


async def _recovered(domain: Domain, serving: set[str], plane: ControlPlane, stop: asyncio.Event, wait: float) -> None:
    """Until all that served before serve again, at most so many seconds."""
    healed = await _answers(plane, domain)
    end = time.monotonic() + wait
    missing = serving
    while missing and not stop.is_set() and time.monotonic() < end:
        await _pass(stop, _LOOK)
        now = await _answers(plane, domain)
        missing = {target for target in missing if now.get(target, 0.0) <= healed.get(target, 0.0)}


async def _answers(plane: ControlPlane, domain: Domain) -> Mapping[str, float]:
    """How often each target of the domain has answered."""
    metrics = await plane.ask("GET", "/metrics")
    found: dict[str, float] = {}
    for name, count in _ANSWERS.findall(metrics):
        target = name.decode().replace("\\\\", "\\").replace('\\"', '"')
        if target in domain.targets:
            found[target] = found.get(target, 0.0) + float(count)
    return found


async def _pass(stop: asyncio.Event, seconds: float) -> None:
    """Let time pass, unless somebody wants an end."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


@contextlib.asynccontextmanager
async def until_signalled() -> AsyncGenerator[asyncio.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second one ends the process as ever."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def heard() -> None:
        stop.set()
        for number in numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, heard)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
