"""Keys in the database, from the command line and for a server that is running."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from freehold.cli.keys import app
from freehold.errors import ConfigError
from freehold.governance.keys import KeyTable
from freehold.governance.keystore import open_keystore, server_secret
from freehold.governance.secret import read_or_make_secret
from freehold.store.changes import Changed

SECRET = "7b" * 32


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'freehold.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def config(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FREEHOLD_DATA", str(tmp_path / "data"))
    path = tmp_path / "freehold.toml"
    path.write_text(f'[server]\nsecret = "{SECRET}"\n[storage]\nurl = "{url}"\n')
    return path


async def test_a_running_server_takes_a_new_key_when_create_returns_and_refuses_it_after_revoke(
    url: str, tmp_path: Path
) -> None:
    tables: list[KeyTable] = []
    began = asyncio.Event()

    async def serve() -> None:
        async with (
            open_keystore(storage_url=url, configured_secret=SECRET, data_directory=tmp_path) as mine,
            contextlib.aclosing(mine.watch()) as news,
        ):
            async for each in news:
                assert isinstance(each, Changed)
                tables.append(each.value)
                began.set()

    serving = asyncio.ensure_future(serve())
    async with open_keystore(storage_url=url, configured_secret=SECRET, data_directory=tmp_path) as keys:
        await began.wait()
        minted, settled = await keys.create(project="p", name="n", now=1.0, aws=True, models=["m"], networks=["::1"])
        assert settled
        assert tables[-1].keys == (minted.key,)
        assert await keys.revoke(minted.key.id, now=2.0)
        assert tables[-1].keys[0].revoked == 2.0
        assert await keys.revoke(minted.key.access_key_id or "", now=3.0)
        assert (await keys.table()).keys[0].revoked == 2.0
        assert await keys.revoke("nobody", now=3.0) is None
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


async def test_many_commands_at_once_lose_nothing(url: str, tmp_path: Path) -> None:
    async with open_keystore(storage_url=url, configured_secret=SECRET, data_directory=tmp_path) as keys:
        made = await asyncio.gather(
            *(keys.create(project=f"p{number % 3}", name=str(number), now=float(number)) for number in range(20))
        )
        assert set((await keys.table()).keys) == {minted.key for minted, _ in made}


async def test_another_secret_is_found_at_once(url: str, tmp_path: Path) -> None:
    async with open_keystore(storage_url=url, configured_secret=SECRET, data_directory=tmp_path):
        pass
    with pytest.raises(ConfigError, match="another server secret"):
        async with open_keystore(storage_url=url, configured_secret="00" * 32, data_directory=tmp_path):
            pytest.fail("it was opened")


def test_the_secret_lies_beside_an_sqlite_database(tmp_path: Path) -> None:
    made = server_secret(f"sqlite:///{tmp_path / 'a' / 'freehold.db'}", None, tmp_path)
    assert made.fingerprint() == read_or_make_secret(tmp_path / "a" / "freehold.secret").fingerprint()
    elsewhere = server_secret("postgresql://u@h/db", None, tmp_path)
    assert elsewhere.fingerprint() == read_or_make_secret(tmp_path / "freehold.secret").fingerprint()


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_create_list_and_revoke_from_the_command_line(config: Path) -> None:
    bearer = json.loads(run("create", "--name", "web", "--config", config, "--json").stdout)
    assert bearer["key"].startswith(f"fh_{bearer['id']}_")
    assert bearer["access_key_id"] is None
    assert bearer["secret_access_key"] is None
    limits = ["--expires", "30d", "--model", "a", "--model", "b", "--network", "10.0.0.0/8", "--strategy", "cheapest"]
    made = run("create", "--name", "boto", "--aws", "--project", "shop", *limits, "--config", config, "--json")
    pair = json.loads(made.stdout)
    assert pair["key"] is None
    assert (len(pair["access_key_id"]), len(pair["secret_access_key"])) == (20, 40)

    listed = run("list", "--config", config, "--json")
    rows = json.loads(listed.stdout)["keys"]
    assert [(row["id"], row["project"], row["kind"], row["state"]) for row in rows] == [
        (bearer["id"], "default", "bearer", "active"),
        (pair["id"], "shop", "aws", "active"),
    ]
    assert rows[1]["models"] == ["a", "b"]
    assert rows[1]["networks"] == ["10.0.0.0/8"]
    assert rows[1]["expires"] == pair["expires"]
    assert [row["strategy"] for row in rows] == [None, "cheapest"]

    assert json.loads(run("revoke", bearer["id"], "--config", config, "--json").stdout) == {"revoked": True}
    assert run("revoke", pair["access_key_id"], "--config", config).exit_code == 0
    again = run("list", "--config", config)
    assert again.stdout.count("revoked") == 2
    for secret in (bearer["key"], pair["secret_access_key"]):
        assert secret not in listed.output + again.output


def test_a_leaked_key_is_revoked_by_itself(config: Path) -> None:
    made = run("create", "--name", "web", "--config", config)
    assert made.exit_code == 0
    assert made.stdout.startswith("fh_")
    assert run("revoke", made.stdout.strip(), "--config", config).exit_code == 0


def test_wrong_use_and_failure_have_their_exit_codes(config: Path) -> None:
    for wrong in (
        ["--name", "x", "--expires", "soon"],
        ["--name", "x", "--expires", "0d"],
        ["--name", "x", "--expires", "999999w"],
        ["--name", "x", "--network", "everywhere"],
        ["--name", "x", "--strategy", "luck"],
        ["--name", " "],
        ["--name", "x", "--project", "y\n"],
        ["--name", "x" * 129],
        [],
    ):
        assert run("create", "--config", config, *wrong).exit_code == 2
    assert run("revoke", "nobody", "--config", config).exit_code == 1
    assert run("list", "--config", "/nowhere/freehold.toml").exit_code == 1
    assert "There are no keys yet" in run("list", "--config", config).stderr


def test_no_secret_is_written_to_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    secrets = [
        json.loads(run("create", "--name", "web", "--json").stdout)["key"],
        json.loads(run("create", "--name", "boto", "--aws", "--json").stdout)["secret_access_key"],
    ]
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "freehold.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert b"boto" in content
    for secret in secrets:
        assert secret.encode() not in content
        assert secret[-20:].encode() not in content
