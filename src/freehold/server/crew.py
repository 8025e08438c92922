"""The workers together: started, kept alive, told what is new, asked how they are.

Every change reaches a worker in one of two ways: it was there when the worker began, or it was told after that. Both
happen in one turn of the event loop and messages keep their order, so nothing falls between.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from freehold.errors import ConfigError
from freehold.governance.secret import ServerSecret
from freehold.routing.commitments import Fills, Use
from freehold.routing.health import Health
from freehold.routing.words import Word
from freehold.server.hands import Hand
from freehold.server.messages import (
    Begin,
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
from freehold.server.targets import TargetState, worst
from freehold.telemetry.counters import Counters

log = logging.getLogger("freehold.workers")

TICK: Final = 0.25
"""Seconds between two reports of a worker: how long the others do not know of a breaker that opened."""

SILENT: Final = 30.0
"""Seconds without an answer after which a worker is taken for stuck and replaced. Reading a body of 64 MiB takes 1."""

PATIENCE: Final = 1.0
"""Seconds that an operator who asks waits for workers' newest figures; those of the last tick are shown else."""

STEADY: Final = 10.0
"""Seconds that a worker has to live for its end to be an accident; else its successor waits."""

WAIT_FIRST: Final = 0.5
WAIT_LONGEST: Final = 30.0
"""Seconds until a successor of workers that die at once: doubled with each."""

CUT_OFF: Final = 5.0
"""Seconds that a worker has to end after its streams were cut off."""

Hire: TypeAlias = Callable[[int], Awaitable[Hand]]
"""Starts the worker of a slot, ready for its first order. Raises OSError, ConfigError."""


class Crew:
    """The workers of one server, by slot from 0."""

    def __init__(self, *, count: int, hire: Hire, secret: ServerSecret, settings: Settings, keys: bytes) -> None:
        """`keys` is an encoded key table; see `freehold.governance.keys`."""
        self.size = count
        self.counters = Counters()
        """The sums of all workers, those that are no more included."""
        self.settings = settings
        self._hire = hire
        self._secret = secret
        self._keys = keys
        self._hands: dict[int, Hand] = {}
        self._latest: dict[int, Reported] = {}
        self._waiting: dict[int, str] = {}
        """Why a slot has no worker."""
        self._health = Health()
        self._fills = Fills()
        """What a worker that begins is told of targets."""
        self._sockets = 0
        self._changing = asyncio.Lock()
        self._keepers: list[asyncio.Task[None]] = []

    # --- Beginning and end -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start every worker. Raises ConfigError when one can not begin: what it says is what is wrong."""
        refused = [each for each in await asyncio.gather(*map(self._enlist, range(self.size))) if each is not None]
        if refused:
            await self.close()
            raise ConfigError(refused[0])

    async def listen(self, sockets: int) -> None:
        """Serve so many sockets; from now on whoever dies is replaced."""
        self._sockets = sockets
        for refused in await self._spread():
            raise ConfigError(refused)
        self._keepers = [asyncio.create_task(self._keep(slot)) for slot in range(self.size)]

    async def drain(self, seconds: float) -> None:
        """Let what is in flight end for so many seconds, then end every worker; a second call ends it sooner."""
        await self._stop_keeping()
        hands = list(self._hands.values())
        await self._tell_all(Drain(seconds=seconds), hands)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds + CUT_OFF):
                await asyncio.gather(*(hand.ended.wait() for hand in hands))

    async def close(self) -> None:
        """End every worker at once."""
        await self._stop_keeping()
        await asyncio.gather(*(hand.close() for hand in self._hands.values()))
        self._hands.clear()

    async def _stop_keeping(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()

    # --- Keeping them alive ------------------------------------------------------------------------------------------

    async def _enlist(self, slot: int) -> str | None:
        """Start the worker of a slot; why it could not begin."""
        try:
            hand = await self._hire(slot)
        except OSError as error:
            return f"worker {slot + 1} could not be started: {error}"
        except ConfigError as error:
            return str(error)
        try:
            async with self._changing:
                begin = Begin(
                    slot=slot,
                    secret=self._secret,
                    settings=self.settings,
                    keys=self._keys,
                    words=tuple(self._health.words()),
                    uses=tuple(self._fills.sums()),
                )
                began = hand.ask(begin)
                self._hands[slot] = hand
                async with asyncio.timeout(SILENT):
                    reply = await began
        except TimeoutError:
            reply = Refused(reason=f"worker {slot + 1} did not begin within {SILENT:g} s")
        except BaseException:
            await self._dismiss(slot, hand)
            raise
        if isinstance(reply, Refused):
            await self._dismiss(slot, hand)
            return reply.reason
        self._waiting.pop(slot, None)
        return None

    async def _dismiss(self, slot: int, hand: Hand) -> None:
        self._hands.pop(slot, None)
        await hand.close()

    async def _keep(self, slot: int) -> None:
        """Look after a slot: ask its worker how it is, and replace it when it has ended."""
        wait = 0.0
        while True:
            began = time.monotonic()
            hand = self._hands[slot]
            await self._follow(slot, hand)
            del self._hands[slot]
            self._latest.pop(slot, None)
            lived = time.monotonic() - began
            wait = 0.0 if lived >= STEADY else min(max(wait * 2, WAIT_FIRST), WAIT_LONGEST)
            why = hand.fate
            log.error("worker %d is gone after %.1f s: %s; %s", slot + 1, lived, why, _soon(wait))
            while True:
                self._waiting[slot] = f"worker {slot + 1} is gone ({why}); {_soon(wait)}"
                # Others take the connections that were meant for it: they wait at its socket, which is still ours.
                await self._spread()
                await asyncio.sleep(wait)
                refused = await self._enlist(slot)
                if refused is None:
                    break
                why = refused
                wait = min(max(wait * 2, WAIT_FIRST), WAIT_LONGEST)
                log.error("worker %d could not begin: %s; %s", slot + 1, why, _soon(wait))
            await self._spread()
            log.info("worker %d is back", slot + 1)

    async def _follow(self, slot: int, hand: Hand) -> None:
        """Ask a worker how it is, again and again, until it has ended."""
        ended = asyncio.create_task(hand.ended.wait())
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=TICK)
                asking = asyncio.ensure_future(self._ask_report(slot, hand))
                await asyncio.wait({asking, ended}, timeout=SILENT, return_when=asyncio.FIRST_COMPLETED)
                if not asking.done():
                    # Were it this process that stood still, all answers are there and only have to be read.
                    await asyncio.wait({asking}, timeout=PATIENCE)
                if not asking.done():
                    log.error("worker %d has not answered for %g s and is ended", slot + 1, SILENT)
                    await hand.close()
        finally:
            ended.cancel()

    async def _spread(self) -> list[str]:
        """Have every socket served by somebody; what was refused."""
        slots = sorted(self._hands)
        shares: dict[int, list[int]] = {slot: [] for slot in slots}
        for socket in range(self._sockets):
            if socket in shares:
                shares[socket].append(socket)
            elif slots:
                shares[slots[socket % len(slots)]].append(socket)
        if self._sockets == 1:  # one for all
            shares = {slot: [0] for slot in slots}
        asked = [self._hands[slot].ask(Listen(sockets=tuple(sockets))) for slot, sockets in shares.items()]
        return [reply.reason for reply in await asyncio.gather(*asked) if isinstance(reply, Refused)]

    # --- What is new -------------------------------------------------------------------------------------------------

    async def change(self, settings: Settings) -> str | None:
        """Every worker takes the snapshot, or none does: why not."""
        async with self._changing:
            hands = dict(self._hands)
            for slot, reply in zip(
                hands, await self._tell_all(Prepare(settings=settings), list(hands.values())), strict=True
            ):
                if isinstance(reply, Refused):
                    return reply.reason if self.size == 1 else f"worker {slot + 1}: {reply.reason}"
            # From here on a worker that ends is replaced by one that begins with the new snapshot.
            self.settings = settings
            for hand, reply in zip(
                hands.values(),
                await self._tell_all(Take(number=settings.number), list(hands.values())),
                strict=True,
            ):
                if isinstance(reply, Refused):  # a bug, or it has ended: its successor serves by the new one
                    await hand.close()
            return None

    async def take_keys(self, table: bytes) -> None:
        """Every worker serves by this key table when this returns."""
        self._keys = table
        await self._tell_all(Keys(table=table))

    async def say(self, *words: Word) -> None:
        """Tell every worker what an operator says of targets."""
        self._health.merge(words, time.monotonic())
        await self._tell_all(Hear(words=words))

    async def count(self, *uses: Use) -> None:
        """Tell every worker what was used of commitments before."""
        for use in uses:
            self._fills.take(use)
        await self._tell_all(Hear(uses=uses))

    async def _tell_all(self, order: Order, hands: list[Hand] | None = None) -> list[Reply]:
        return await asyncio.gather(*(hand.ask(order) for hand in (self._hands.values() if hands is None else hands)))

    # --- How they are ------------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Ask every worker how it is; one that does not answer soon is seen as it was."""
        asking = [asyncio.ensure_future(self._ask_report(slot, hand)) for slot, hand in self._hands.items()]
        if asking:
            await asyncio.wait(asking, timeout=PATIENCE)

    async def _ask_report(self, slot: int, hand: Hand) -> None:
        reply = await hand.ask(Report())
        if not isinstance(reply, Reported):
            return
        self.counters.merge(reply.counters)
        if self._hands.get(slot) is hand:
            self._latest[slot] = reply
        for use in reply.uses:
            self._fills.take(use)
        if reply.words or reply.lessons or reply.uses:
            self._health.merge(reply.words, time.monotonic())
            news = Hear(words=reply.words, lessons=reply.lessons, uses=reply.uses)
            for other in [each for each in self._hands.values() if each is not hand]:
                other.ask(news)  # nobody waits for one that is slow

    def gauges(self) -> dict[str, float]:
        """What is measured now, over all workers."""
        living = [slot for slot, hand in self._hands.items() if not hand.ended.is_set()]
        found: dict[str, float] = {"workers": len(living)}
        for report in (self._latest[slot] for slot in living if slot in self._latest):
            for name, value in report.gauges.items():
                found[name] = found.get(name, 0) + value
            for name, value in report.states.items():
                found[name] = max(found.get(name, 0), value)
        return found

    def unrecorded(self) -> str | None:
        """Why the exchange record can not be written by some worker; None while all can."""
        return next((report.unrecorded for report in self._latest.values() if report.unrecorded is not None), None)

    def missing(self) -> list[str]:
        """Which workers are not there, and why."""
        return list(self._waiting.values())

    async def targets(self) -> list[TargetState]:
        """Every target, as the worker sees it that sees it worst."""
        replies = await self._tell_all(List())
        return worst(reply.targets for reply in replies if isinstance(reply, Standings))

    def outages(self) -> dict[str, float]:
        """The domains that drills have taken out, and for how many seconds more."""
        return self._health.outages(time.monotonic())


def _soon(wait: float) -> str:
    return "its successor starts now" if wait == 0 else f"its successor starts in {wait:g} s"
