"""How running servers learn of changes, and how a command knows that they did."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.store import changes
from freehold.store.changes import (
    BEAT,
    POLL,
    Changed,
    News,
    Reachable,
    Unreachable,
    record_change,
    settle,
    version_of,
    watch,
)
from freehold.store.database import Database, StoreError, open_database
from freehold.store.schema import watchers


@pytest.fixture
async def database(url: str) -> AsyncGenerator[Database]:
    async with open_database(url) as opened:
        yield opened


async def soon(_: float) -> None:
    """As good as a quarter of a second, without the wait."""
    await asyncio.sleep(0.001)


async def read_version(connection: AsyncConnection) -> int:
    return await version_of(connection, "keys")


def watching(database: Database, watcher: str = "server-1") -> AsyncGenerator[News[int]]:
    return watch(database, "keys", read_version, watcher=watcher, sleep=soon)


async def change(database: Database) -> int:
    async with database.write() as connection:
        return await record_change(connection, "keys")


async def known_watchers(database: Database) -> set[tuple[str, int]]:
    async with database.read() as connection:
        return {(row.id, row.seen) for row in await connection.execute(watchers.select())}


async def test_a_watcher_gets_a_copy_at_once_and_after_each_change(database: Database) -> None:
    async with contextlib.aclosing(watching(database)) as news:
        assert await anext(news) == Changed(version=0, value=0)
        for version in (1, 2, 3):
            assert await change(database) == version
            assert await anext(news) == Changed(version=version, value=version)


async def test_a_change_is_settled_when_every_watcher_asked_for_the_next(database: Database) -> None:
    async with contextlib.aclosing(watching(database)) as news, contextlib.aclosing(watching(database, "two")) as more:
        await anext(news)
        await anext(more)
        next_one, next_two = asyncio.ensure_future(anext(news)), asyncio.ensure_future(anext(more))
        version = await change(database)
        assert await next_one == await next_two == Changed(version=version, value=version)
        assert not await settle(database, "keys", version, patience=0.05)
        waiting = [asyncio.ensure_future(anext(news)), asyncio.ensure_future(anext(more))]
        assert await settle(database, "keys", version)
        assert await known_watchers(database) == {("server-1", version), ("two", version)}
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert await known_watchers(database) == set()


async def test_a_watcher_is_waited_for_from_its_first_copy_on(database: Database) -> None:
    """A server that has read the keys and not yet said so would take no notice of a revoked one."""
    async with contextlib.aclosing(watching(database)) as news:
        assert await anext(news) == Changed(version=0, value=0)
        assert await known_watchers(database) == {("server-1", -1)}
        assert not await settle(database, "keys", await change(database), patience=0)


async def test_without_servers_a_change_is_settled_at_once(database: Database) -> None:
    assert await settle(database, "keys", await change(database), patience=0)


async def test_a_database_that_fails_after_a_change_does_not_undo_it(database: Database) -> None:
    class Failing(Database):
        @contextlib.asynccontextmanager
        async def read(self) -> AsyncGenerator[AsyncConnection]:
            raise StoreError("gone")
            yield

    assert not await settle(Failing(database.engine, database.kind), "keys", await change(database))


async def test_a_server_that_died_is_not_waited_for(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(watchers.insert().values(id="dead", topic="keys", seen=0, beat=1.0))
        await connection.execute(watchers.insert().values(id="other", topic="budgets", seen=0, beat=9e12))
    assert await settle(database, "keys", await change(database), patience=0)


async def test_the_long_dead_are_swept_away(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(watchers.insert().values(id="dead", topic="keys", seen=0, beat=1.0))
    async with contextlib.aclosing(watching(database)) as news:
        await anext(news)
        waiting = asyncio.ensure_future(anext(news))
        assert await settle(database, "keys", 0)
        for _ in range(200):
            if await known_watchers(database) == {("server-1", 0)}:
                break
            await soon(0)
        assert await known_watchers(database) == {("server-1", 0)}
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_a_watcher_gives_signs_of_life(database: Database) -> None:
    naps: list[float] = []
    began, looked = asyncio.Event(), asyncio.Event()

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        began.set()
        await asyncio.sleep(0)
        if sum(naps) > 2 * BEAT:
            looked.set()
            await asyncio.Event().wait()

    async with contextlib.aclosing(watch(database, "keys", read_version, watcher="w", sleep=nap)) as news:
        await anext(news)
        waiting = asyncio.ensure_future(anext(news))
        await began.wait()
        async with database.write() as connection:
            await connection.execute(watchers.update().values(beat=1.0))
        await asyncio.wait_for(looked.wait(), 30)
        async with database.read() as connection:
            assert (await connection.execute(watchers.select())).one().beat > 1e9
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert set(naps) == {POLL}


async def test_an_unreachable_database_is_reported_once_and_then_caught_up_with(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = False
    really_read = database.read

    @contextlib.asynccontextmanager
    async def read() -> AsyncGenerator[AsyncConnection]:
        if down:
            raise StoreError("gone")
        async with really_read() as connection:
            yield connection

    monkeypatch.setattr(database, "read", read)
    async with contextlib.aclosing(watching(database)) as news:
        await anext(news)
        down = True
        assert await anext(news) == Unreachable(reason="gone")
        waiting = asyncio.ensure_future(anext(news))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        version = await change(database)
        down = False
        assert await waiting == Changed(version=version, value=version)


async def test_an_acknowledgement_that_fails_is_made_up_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 1
    really = changes._acknowledge

    async def acknowledge(database: Database, watcher: str, topic: str, seen: int) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreError("locked")
        await really(database, watcher, topic, seen)

    monkeypatch.setattr(changes, "_acknowledge", acknowledge)
    async with contextlib.aclosing(watching(database)) as news:
        await anext(news)
        waiting = asyncio.ensure_future(anext(news))
        for _ in range(500):
            if await known_watchers(database):
                break
            await soon(0)
        assert await known_watchers(database) == {("server-1", 0)}
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_the_databases_clock_is_the_time(database: Database) -> None:
    import time

    async with database.write() as connection:
        await connection.execute(watchers.insert().values(id="w", topic="keys", seen=0, beat=changes._now(database)))
        assert abs((await connection.scalar(text("SELECT beat FROM watchers")) or 0) - time.time()) < 30


async def test_a_database_that_comes_back_unchanged_is_news(database: Database) -> None:
    class Flickering(Database):
        failing = False

        @contextlib.asynccontextmanager
        async def read(self) -> AsyncGenerator[AsyncConnection]:
            if self.failing:
                raise StoreError("gone")
            async with super().read() as connection:
                yield connection

    flickering = Flickering(database.engine, database.kind)
    async with contextlib.aclosing(watching(flickering)) as news:
        assert await anext(news) == Changed(version=0, value=0)
        flickering.failing = True
        assert await anext(news) == Unreachable(reason="gone")
        flickering.failing = False
        assert await anext(news) == Reachable()


async def test_a_database_that_falls_silent_is_unreachable(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Database):
        @contextlib.asynccontextmanager
        async def read(self) -> AsyncGenerator[AsyncConnection]:
            await asyncio.Event().wait()
            async with super().read() as connection:
                yield connection

    monkeypatch.setattr(changes, "PATIENCE", 0.05)
    async with contextlib.aclosing(watching(Silent(database.engine, database.kind))) as news:
        assert await anext(news) == Unreachable(reason="no answer within 0.05 s")
