"""Opening the database: modes, migrations, locks, and what is said when it can not be used."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from freehold.errors import ConfigError
from freehold.store.database import MIGRATIONS, StoreError, bind_secret, open_database, sqlite_path
from freehold.store.keys import read_keys
from freehold.store.schema import HEAD, metadata, settings


async def test_the_migrations_lead_to_the_tables_as_they_are_declared(url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    async with open_database(url) as database, database.read() as connection:
        assert await connection.run_sync(differences) == []


def test_the_newest_migration_is_the_one_that_is_opened_without_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_keys_of_an_older_version_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "freehold.db"
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text("INSERT INTO projects (name, created) VALUES ('p', 1)"))
        connection.execute(
            text(
                "INSERT INTO keys (id, project, name, created, models, networks) VALUES ('k', 'p', 'n', 1, '[]', '[]')"
            )
        )
    engine.dispose()
    async with open_database(f"sqlite:///{path}") as database, database.read() as connection:
        (row,) = await read_keys(connection)
    assert (row.id, row.strategy) == ("k", None)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        assert connection.execute(text("SELECT id FROM keys")).scalar_one() == "k"
    engine.dispose()


async def test_a_database_is_opened_again_with_what_it_held(url: str) -> None:
    async with open_database(url) as database, database.write() as connection:
        await connection.execute(settings.insert().values(name="a", value="1"))
    async with open_database(url) as database, database.read() as connection:
        assert (await connection.execute(settings.select())).all() == [("a", "1")]


async def test_a_transaction_that_fails_leaves_nothing(url: str) -> None:
    async with open_database(url) as database:

        async def fail() -> None:
            async with database.write() as connection:
                await connection.execute(settings.insert().values(name="a", value="1"))
                raise RuntimeError

        async def collide() -> None:
            async with database.write() as connection:
                await connection.execute(settings.insert().values(name="secret-name", value="1"))
                await connection.execute(settings.insert().values(name="secret-name", value="secret-value"))

        with pytest.raises(RuntimeError):
            await fail()
        with pytest.raises(StoreError) as caught:
            await collide()
        assert "secret-value" not in caught.value.message
        async with database.read() as connection:
            assert (await connection.execute(settings.select())).all() == []


async def test_a_reader_does_not_wait_for_a_writer(url: str) -> None:
    async with open_database(url) as database, database.write() as writing:
        await writing.execute(settings.insert().values(name="a", value="1"))
        async with database.read() as reading:
            assert (await reading.execute(settings.select())).all() == []


async def test_writers_wait_for_each_other(url: str) -> None:
    async with open_database(url) as database:
        async with database.write() as connection:
            await connection.execute(settings.insert().values(name="n", value="0"))

        async def increment() -> None:
            async with database.write() as connection:
                counted = settings.select().with_for_update()
                value = (await connection.execute(counted)).one().value
                await connection.execute(settings.update().values(value=str(int(value) + 1)))

        await asyncio.gather(*(increment() for _ in range(12)))
        async with database.read() as connection:
            assert (await connection.execute(settings.select())).all() == [("n", "12")]


async def test_servers_that_open_a_new_database_at_once_agree(url: str) -> None:
    async def start() -> object:
        async with open_database(url) as database:
            await bind_secret(database, "same")
            async with database.read() as connection:
                return await connection.scalar(text("SELECT count(*) FROM alembic_version"))

    assert await asyncio.gather(*(start() for _ in range(8))) == [1] * 8


async def test_an_sqlite_file_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "freehold.db"
    async with open_database(f"sqlite:///{path}") as database, database.write() as connection:
        await connection.execute(settings.insert().values(name="a", value="1"))
        modes = {entry.name: entry.stat().st_mode & 0o777 for entry in path.parent.iterdir()}
        assert modes == dict.fromkeys(modes, 0o600)
        assert set(modes) >= {"freehold.db", "freehold.db-wal"}
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    async with open_database(url) as database, database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="newer Freehold"):
        async with open_database(url):
            pytest.fail("it was opened")


async def test_a_database_is_tied_to_one_server_secret(url: str) -> None:
    async with open_database(url) as database:
        await bind_secret(database, "one")
        await bind_secret(database, "one")
        with pytest.raises(ConfigError, match="another server secret"):
            await bind_secret(database, "two")


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "nonsense",
        "mysql://root:hunter2@host/db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "hunter2 with spaces",
    ],
)
async def test_an_address_that_can_not_be_used_is_refused_and_not_repeated(bad: str) -> None:
    with pytest.raises(ConfigError) as caught:
        async with open_database(bad):
            pytest.fail("it was opened")
    assert "hunter2" not in caught.value.message
    assert "sqlite:////path/freehold.db" in caught.value.message


async def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        async with open_database(f"postgresql://me:hunter2@/db?host={tmp_path}"):
            pytest.fail("it was opened")
    assert "hunter2" not in caught.value.message
    assert str(tmp_path) in caught.value.message


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "freehold.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(ConfigError, match="not a database"):
        async with open_database(f"sqlite:///{path}"):
            pytest.fail("it was opened")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="can not be used"):
        async with open_database(f"sqlite:///{tmp_path / 'file' / 'freehold.db'}"):
            pytest.fail("it was opened")


async def test_sqlite_keeps_its_promises(tmp_path: Path) -> None:
    path = tmp_path / "freehold.db"
    async with open_database(f"sqlite:///{path}") as database, database.read() as connection:
        assert (await connection.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"
        assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar_one() == 1
        assert (await connection.execute(text("PRAGMA busy_timeout"))).scalar_one() == 10_000
        assert (await connection.execute(text("PRAGMA synchronous"))).scalar_one() == 2
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    plain.close()


def test_the_place_of_a_database() -> None:
    assert sqlite_path("sqlite:////var/lib/freehold/freehold.db") == Path("/var/lib/freehold/freehold.db")
    assert sqlite_path("postgresql://u@h/db") is None
