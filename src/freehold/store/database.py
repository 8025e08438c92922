"""Opening the database: files with the right modes, tables brought up to date under a lock, transactions that tell.

SQLite runs in WAL mode, so a server reads while a command writes; a writing transaction takes its lock when it begins,
because one that starts by reading could not be promoted while another writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Connection, event, make_url, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from freehold.errors import ConfigError, FreeholdError
from freehold.store.private_files import exposed, planted
from freehold.store.schema import HEAD, settings

log = logging.getLogger("freehold.store")

MIGRATIONS: Final = Path(__file__).parent / "migrations"

_BUSY: Final = 10.0  # seconds that SQLite waits for another writer; every transaction of ours takes milliseconds
_CONNECT: Final = 10  # seconds to reach PostgreSQL, so that a wrong address does not look like a hang
_ADVISORY_LOCK: Final = 0x66726565686F6C64  # "freehold": whoever changes what all depend on holds it
_WRITES = "freehold_writes"


class StoreError(FreeholdError):
    """The database failed, was not reachable, or refused."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="store_unavailable", kind="unavailable")


class Database:
    """An open database. `read` and `write` give a connection inside one transaction."""

    def __init__(self, engine: AsyncEngine, kind: Literal["sqlite", "postgresql"]) -> None:
        self.engine = engine
        self.kind: Literal["sqlite", "postgresql"] = kind

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction that only reads; never waits for a writer on SQLite. Raises StoreError."""
        with _translated():
            async with self.engine.connect() as connection, connection.begin():
                yield connection

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction, committed at the end or rolled back when something is raised. Raises StoreError."""
        with _translated():
            async with self.engine.connect() as connection:
                writing = await connection.execution_options(**{_WRITES: True})
                async with writing.begin():
                    yield writing

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()


@contextlib.asynccontextmanager
async def open_database(url: str) -> AsyncGenerator[Database]:
    """The database at `[storage] url`, made if it is an SQLite file that does not exist, its tables up to date.

    Raises ConfigError when it can not be reached or was written by a newer Freehold.
    """
    database = await _connect(_read_url(url))
    try:
        try:
            await _migrate(database)
        except StoreError as error:
            raise ConfigError(f"[storage] url: {error.message}") from error
        yield database
    finally:
        await database.close()


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite address, None for another kind. Raises ConfigError for an address that can not be read."""
    parsed = _read_url(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


async def bind_secret(database: Database, fingerprint: str) -> None:
    """Tie the database to a server secret, or find that it is tied to another.

    Raises ConfigError: with another secret no key would be recognised and no stored secret could be read.
    """
    ask = select(settings.c.value).where(settings.c.name == "secret_fingerprint")
    async with database.read() as connection:
        stored = await connection.scalar(ask)
    if stored is None:
        async with database.write() as connection:
            await _lock(database, connection)
            stored = await connection.scalar(ask)
            if stored is None:
                await connection.execute(settings.insert().values(name="secret_fingerprint", value=fingerprint))
                return
    if stored != fingerprint:
        raise ConfigError(
            f"The database belongs to another server secret (fingerprint {stored}, here {fingerprint}): set [server] "
            "secret to the one it was made with, the same on every replica."
        )


@contextlib.contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        # Without the statement: its parameters may be secrets.
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        raise StoreError(f"The database can not be used: {said or type(error).__name__}") from error


def _read_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _unreadable("it is no database address") from None
    match parsed.drivername:
        case "sqlite" | "sqlite+aiosqlite":
            if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
                raise _unreadable("an SQLite address needs the path of a file")
            return parsed.set(drivername="sqlite+aiosqlite")
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            raise _unreadable(f"databases of the kind {other!r} are not supported")


def _unreadable(why: str) -> ConfigError:
    # The address itself is not repeated: it may hold a password.
    return ConfigError(f"[storage] url: {why}; write sqlite:////path/freehold.db or postgresql://user@host/database.")


async def _connect(url: URL) -> Database:
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        try:
            if (why := planted(path)) is not None:
                raise ConfigError(f"[storage] url: {why}.")
            await asyncio.to_thread(_make_file, path)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"[storage] url: {path} can not be used: {error}") from error
        for place in (path.parent, path):
            if (said := exposed(place)) is not None:
                log.warning("%s", said)
        engine = create_async_engine(
            url, connect_args={"isolation_level": None, "timeout": _BUSY}, hide_parameters=True
        )
        event.listen(engine.sync_engine, "connect", _tune)
        event.listen(engine.sync_engine, "begin", _begin)
        return Database(engine, "sqlite")
    try:
        # pool_pre_ping: a database that was restarted costs no failed request.
        engine = create_async_engine(
            url, connect_args={"connect_timeout": _CONNECT}, pool_pre_ping=True, hide_parameters=True
        )
    except ModuleNotFoundError:
        raise ConfigError('[storage] url: PostgreSQL needs its driver: pip install "freehold[postgres]".') from None
    return Database(engine, "postgresql")


def _make_file(path: Path) -> None:
    """The file and its directory for this user alone, in WAL mode, which is kept in the file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    deadline = time.monotonic() + _BUSY
    with contextlib.closing(sqlite3.connect(path, timeout=_BUSY)) as connection:
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
                if mode != "wal":
                    connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                # Two that switch at once: one is told "locked" without having waited.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def _tune(connection: sqlite3.Connection, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


async def _migrate(database: Database) -> None:
    if await _revision(database) == HEAD:
        return
    async with database.write() as connection:
        await _lock(database, connection)
        await connection.run_sync(_upgrade)


async def _lock(database: Database, connection: AsyncConnection) -> None:
    """Be the only one at this point until the transaction ends; on SQLite whoever writes is alone already."""
    if database.kind == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})


async def _revision(database: Database) -> str | None:
    """The migration that the database stands at; None for a new one."""
    async with database.read() as connection:
        if not await connection.run_sync(lambda sync: sync.dialect.has_table(sync, "alembic_version")):
            return None
        found: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found


def _upgrade(connection: Connection) -> None:
    # Alembic takes as long to load as everything else together, and is needed once in the life of a version.
    from alembic import command  # noqa: PLC0415 -- as above
    from alembic.config import Config  # noqa: PLC0415 -- as above
    from alembic.util import CommandError  # noqa: PLC0415 -- as above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(
            f"[storage] url: the database was written by a newer Freehold than this one ({error}): upgrade Freehold."
        ) from error
