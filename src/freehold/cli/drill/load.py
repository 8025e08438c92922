"""The drill's own clients: so many requests a second, whatever becomes of those before."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Final

import msgspec

from freehold.cli.drill.measures import counted
from freehold.cli.drill.report import LoadReport
from freehold.errors import FreeholdError
from freehold.sandbox.caller import Caller
from freehold.sandbox.clients import VendorClient

QUESTION: Final = "Who answers this, and from where?"
MOST_OPEN: Final = 400
"""Requests under way, beyond which the next one waits: a gateway that hangs must not use up the drill's sockets."""


class Mix(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, by whom, how often a second: every client asks for every model in turn."""

    rate: float
    clients: tuple[VendorClient, ...]
    models: tuple[str, ...]
    stream: bool = False


class Load:
    """A steady load from `start` to `stop`; `failed` and `problems` are what its clients saw since `count`."""

    def __init__(self, caller: Caller, mix: Mix) -> None:
        self._caller = caller
        self._mix = mix
        self._open: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._asked = 0
        self._problems: Counter[str] = Counter()

    async def warm_up(self) -> None:
        """One request that does not count for each client and model, so that first connections are no delay."""
        pairs = [(client, model) for client in self._mix.clients for model in self._mix.models]
        await asyncio.gather(*(self._ask(client, model) for client, model in pairs))
        self._asked, self._problems = 0, Counter()

    def start(self) -> None:
        """From now on."""
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Send no more, and wait for what is under way: its clients' time limits bound that."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        await asyncio.gather(*self._open)

    async def _tick(self) -> None:
        pairs = [(client, model) for model in self._mix.models for client in self._mix.clients]
        began = time.monotonic()
        number = 0
        while True:
            await asyncio.sleep(max(0.0, began + number / self._mix.rate - time.monotonic()))
            if len(self._open) >= MOST_OPEN:
                await asyncio.wait(self._open, return_when=asyncio.FIRST_COMPLETED)
            client, model = pairs[number % len(pairs)]
            task = asyncio.create_task(self._ask(client, model))
            self._open.add(task)
            task.add_done_callback(self._open.discard)
            number += 1

    async def _ask(self, client: VendorClient, model: str) -> None:
        self._asked += 1
        try:
            if self._mix.stream:
                reply = await self._caller.stream(client, model, QUESTION, _ignore)
            else:
                reply = await self._caller.ask(client, model, QUESTION)
        except FreeholdError as error:
            self._problems[f"{client.protocol}, {model}: {error.code}"] += 1
            return
        if reply.status != 200:
            self._problems[f"{client.protocol}, {model}: status {reply.status}"] += 1
        elif not reply.text:
            self._problems[f"{client.protocol}, {model}: no words"] += 1

    def report(self) -> LoadReport:
        """What its clients saw."""
        return LoadReport(
            rate=self._mix.rate,
            clients=tuple(client.protocol for client in self._mix.clients),
            models=self._mix.models,
            stream=self._mix.stream,
            asked=self._asked,
            failed=self._problems.total(),
            problems=counted(self._problems),
        )


def _ignore(piece: str) -> None:
    del piece
