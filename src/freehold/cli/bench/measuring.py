"""Asking the targets in turn, and the judges afterwards; what has come in stays, whenever it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from freehold.cli.asking import Heard, Question, listen
from freehold.cli.bench.checks import Judge
from freehold.cli.bench.checks.judge import MOST_TOKENS, verdicts
from freehold.cli.bench.plan import Turn
from freehold.ir import Usage
from freehold.server.worker import ExchangeIds

if TYPE_CHECKING:
    from freehold.app import Service

TAGS: Final = {"command": "bench"}
"""On the record of every exchange of a run, so that a ledger can tell them from others."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A turn and what came of it."""

    turn: Turn
    heard: Heard


class Run:
    """What has come in so far: `readings`, the judges' `verdicts` by exchange, and every exchange that was begun.

    `own` are the usages of the user's own traffic, by target.
    """

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.verdicts: dict[str, float | None] = {}
        self.exchanges: list[str] = []
        self.own: dict[str, list[Usage]] = {}
        self._new_id = ExchangeIds()

    async def measure(
        self, service: Service, turns: Iterable[Turn], *, most: int, concurrency: int, tell: Callable[[Reading], None]
    ) -> None:
        """Ask all turns, in their order, so many at a time; `tell` hears of each that is done."""
        waiting = iter(turns)

        async def work() -> None:
            for turn in waiting:
                heard = await self._listen(service, turn.case.question(turn.aim.name, most))
                reading = Reading(turn=turn, heard=heard)
                self.readings.append(reading)
                tell(reading)

        await _together(work() for _ in range(concurrency))

    async def judge(self, service: Service, model: str, *, concurrency: int, tell: Callable[[Reading], None]) -> None:
        """Have the answers judged that a judge must see. Not while others are timed: it would slow them down."""
        waiting = self._unjudged()

        async def work() -> None:
            for reading, check in waiting:
                spoken: list[str] = []
                for plea in check.pleas(reading.turn.case.shown(), reading.heard.text):
                    question = Question(model=model, text=plea, max_tokens=MOST_TOKENS, stream=True)
                    heard = await self._listen(service, question)
                    spoken.append("" if heard.error is not None else heard.text)
                self.verdicts[reading.heard.exchange] = verdicts(spoken[0], spoken[1])
                tell(reading)

        await _together(work() for _ in range(concurrency))

    async def _listen(self, service: Service, question: Question) -> Heard:
        # Noted before: one that is interrupted may cost something, too.
        exchange = self._new_id()
        self.exchanges.append(exchange)
        return await listen(service, question, _deaf, exchange=exchange, tags=TAGS)

    def _unjudged(self) -> Iterator[tuple[Reading, Judge]]:
        for reading in self.readings:
            check = reading.turn.case.check
            if isinstance(check, Judge) and reading.heard.error is None:
                yield reading, check


async def _together(works: Iterable[Coroutine[None, None, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)


def _deaf(_: str) -> None:
    """Only the pace of the words matters while they come."""
