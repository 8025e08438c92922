"""How running servers learn of changes: a version that grows, watched by polling, acknowledged when in use.

A command that changed something can wait until every live server has taken it into use, so that it may say "done" and
mean it. Polling costs one indexed read; it works the same on SQLite, on PostgreSQL and through a connection pooler.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec
from sqlalchemy import Float, and_, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from freehold.store.database import Database, StoreError
from freehold.store.schema import changes, watchers

POLL: Final = 0.25
"""Seconds between two looks; a revoked key stops within it, well inside the promised second."""

BEAT: Final = 10.0
"""Seconds between two signs of life of a watcher that has nothing to acknowledge."""

PATIENCE: Final = 5.0
"""Seconds that one look may take, connecting included; a server that fell silent must not silence the watcher."""

_FAREWELL: Final = 1.0  # seconds that a watcher which ends gives the database to forget it
_DEAD: Final = 3 * BEAT
_SETTLE_LOOK: Final = 0.02
_NOTHING: Final = -1  # the version of whoever has seen none

Value = TypeVar("Value")
Sleep = Callable[[float], Awaitable[None]]


class Changed(msgspec.Struct, Generic[Value], frozen=True, kw_only=True):
    """A fresh copy of what is watched; asking for the next one acknowledges that it is in use."""

    version: int
    value: Value


class Reachable(msgspec.Struct, frozen=True, kw_only=True):
    """The database can be read again, and what is watched has not changed meanwhile."""


class Unreachable(msgspec.Struct, frozen=True, kw_only=True):
    """The database can not be read now; the last copy stays in use. Said once, until it is back."""

    reason: str


News: TypeAlias = Changed[Value] | Unreachable | Reachable


async def record_change(connection: AsyncConnection, topic: str) -> int:
    """Note that a topic changes; its new version.

    Done first in the transaction that makes the change: it keeps other writers of the topic out until the commit.
    """
    await connection.execute(changes.update().where(changes.c.topic == topic).values(version=changes.c.version + 1))
    return await version_of(connection, topic)


async def version_of(connection: AsyncConnection, topic: str) -> int:
    """The version of a topic, which the migration that brought it set to 0."""
    found = await connection.execute(select(changes.c.version).where(changes.c.topic == topic))
    return found.scalar_one()


async def watch(
    database: Database,
    topic: str,
    read: Callable[[AsyncConnection], Awaitable[Value]],
    *,
    watcher: str,
    sleep: Sleep = asyncio.sleep,
) -> AsyncGenerator[News[Value]]:
    """A copy at once and after each change, for ever; `watcher` is a name unique to this process.

    The watcher is forgotten when the generator is closed.
    """
    seen = _NOTHING
    reachable = True
    try:
        # Known before it reads: whoever changes something from now on waits for it, and it sees all that was before.
        since_beat = 0.0 if await _try_acknowledge(database, watcher, topic, seen) else BEAT
        while True:
            news: News[Value] | None = None
            try:
                async with asyncio.timeout(PATIENCE):
                    async with database.read() as connection:
                        version = await version_of(connection, topic)
                        if version != seen:
                            news = Changed(version=version, value=await read(connection))
                    if news is None and since_beat >= BEAT:
                        await _acknowledge(database, watcher, topic, seen)
                        since_beat = 0.0
            except (StoreError, TimeoutError) as error:
                reason = error.message if isinstance(error, StoreError) else f"no answer within {PATIENCE:g} s"
                news = Unreachable(reason=reason) if reachable else None
                reachable = False
            else:
                if not reachable and news is None:
                    news = Reachable()
                reachable = True
            if news is not None:
                yield news
            if isinstance(news, Changed):
                seen = news.version
                # An acknowledgement that fails is made up for by the next sign of life.
                since_beat = 0.0 if await _try_acknowledge(database, watcher, topic, seen) else BEAT
            await sleep(POLL)
            since_beat += POLL
    finally:
        await _forget(database, watcher)


async def settle(
    database: Database, topic: str, version: int, *, patience: float = 3.0, sleep: Sleep = asyncio.sleep
) -> bool:
    """Wait until every live watcher uses this version or a newer one; False when `patience` seconds were not enough."""
    behind = (
        select(func.count())
        .select_from(watchers)
        .where(
            and_(
                watchers.c.topic == topic, watchers.c.seen < version, watchers.c.beat > _now(database) - literal(_DEAD)
            )
        )
    )
    # The change is made, so a database that fails now must not make it look undone.
    with contextlib.suppress(StoreError):
        for _ in range(max(1, round(patience / _SETTLE_LOOK))):
            async with database.read() as connection:
                if not await connection.scalar(behind):
                    return True
            await sleep(_SETTLE_LOOK)
    return False


async def _try_acknowledge(database: Database, watcher: str, topic: str, seen: int) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            await _acknowledge(database, watcher, topic, seen)
    except (StoreError, TimeoutError):
        return False
    return True


async def _acknowledge(database: Database, watcher: str, topic: str, seen: int) -> None:
    mine = and_(watchers.c.id == watcher, watchers.c.topic == topic)
    async with database.write() as connection:
        # Whoever died long ago is swept away by whoever lives.
        await connection.execute(watchers.delete().where(watchers.c.beat < _now(database) - literal(100 * _DEAD)))
        beaten = await connection.execute(watchers.update().where(mine).values(seen=seen, beat=_now(database)))
        if beaten.rowcount == 0:
            await connection.execute(watchers.insert().values(id=watcher, topic=topic, seen=seen, beat=_now(database)))


async def _forget(database: Database, watcher: str) -> None:
    try:
        async with asyncio.timeout(_FAREWELL), database.write() as connection:
            await connection.execute(watchers.delete().where(watchers.c.id == watcher))
    except (StoreError, TimeoutError):
        return  # it counts as dead after a while


def _now(database: Database) -> ColumnElement[float]:
    """The database's own clock in Unix seconds: replicas' clocks may differ."""
    if database.kind == "sqlite":
        return (func.julianday("now", type_=Float()) - literal(2440587.5)) * literal(86400.0)
    return func.extract("epoch", func.clock_timestamp()).cast(Float())
