"""Files of ours that others planted, may read, or broke; disks that take no more."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from freehold.app import Service
from freehold.errors import ConfigError
from freehold.governance.keystore import open_keystore
from freehold.governance.secret import read_or_make_secret
from freehold.store.database import StoreError
from tests.hostile.processes import SECRET
from tests.hostile.test_reload import BASE, service_at

STRANGER = 65_534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")


def link(place: Path, target: Path) -> None:
    """A link that another user has made."""
    place.symlink_to(target)
    os.lchown(place, STRANGER, STRANGER)


def give_away(folder: Path) -> None:
    for place in (folder, *folder.rglob("*")):
        os.chown(place, STRANGER, STRANGER)


def service(folder: Path) -> Service:
    return service_at(folder, f'{BASE}[storage]\nurl = "sqlite:///{folder}/data/freehold.db"\n')


async def opened(folder: Path) -> None:
    async with service(folder):
        pass


@as_root
@pytest.mark.parametrize("name", ["data", "data/freehold.db", "data/freehold.secret", "spool", "spool/exchanges.jsonl"])
async def test_nothing_goes_through_another_users_link(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    link(place, elsewhere if "." not in name else elsewhere / "victim")
    with pytest.raises(ConfigError, match=r"symbolic link .* belongs to another user"):
        await opened(tmp_path)
    assert list(elsewhere.iterdir()) == []


@as_root
@pytest.mark.parametrize("name", ["data/freehold.db", "data/freehold.secret", "spool/exchanges.jsonl"])
async def test_another_users_file_is_not_used(tmp_path: Path, name: str) -> None:
    await opened(tmp_path)
    os.chown(tmp_path / name, STRANGER, STRANGER)
    with pytest.raises(ConfigError, match="belongs to another user"):
        await opened(tmp_path)


@as_root
async def test_root_looks_after_the_files_of_a_service(tmp_path: Path) -> None:
    await opened(tmp_path)
    give_away(tmp_path)
    await opened(tmp_path)


async def test_the_operators_own_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "large")
    (tmp_path / "spool").symlink_to(tmp_path / "large")
    await opened(tmp_path)
    assert {"freehold.db", "exchanges.jsonl"} <= {file.name for file in (tmp_path / "large").iterdir()}


@pytest.mark.parametrize("name", ["data/freehold.db", "data/freehold.secret", "spool/exchanges.jsonl"])
async def test_what_others_may_write_is_not_used(tmp_path: Path, name: str) -> None:
    await opened(tmp_path)
    (tmp_path / name).chmod(0o602)
    with pytest.raises(ConfigError, match="chmod 600"):
        await opened(tmp_path)


@pytest.mark.parametrize(
    ("name", "mode", "remedy"),
    [
        ("data/freehold.db", 0o644, "chmod 600"),
        ("spool/exchanges.jsonl", 0o644, "chmod 600"),
        ("data", 0o777, "chmod 700"),
        ("spool", 0o777, "chmod 700"),
    ],
)
async def test_what_others_may_read_is_said_and_left_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, mode: int, remedy: str
) -> None:
    await opened(tmp_path)
    assert caplog.text == ""
    place = tmp_path / name
    place.chmod(mode)
    with caplog.at_level(logging.WARNING):
        await opened(tmp_path)
    assert f"{remedy} {place}`" in caplog.text
    assert place.stat().st_mode & 0o777 == mode


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    read_or_make_secret(tmp_path / "secret")
    (tmp_path / "secret").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_or_make_secret(tmp_path / "secret")


# --- A database that is broken, and a disk that is full --------------------------------------------------------------


def scribble(file: Path) -> None:
    file.write_bytes(b"this is no database, however long one looks at it. " * 200)


def cut(file: Path) -> None:
    """Half a file, as after a copy that failed."""
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def tear(file: Path) -> None:
    """Every page but the first is rubbish."""
    data = file.read_bytes()
    file.write_bytes(data[:4096] + os.urandom(len(data) - 4096))


@pytest.mark.parametrize("spoil", [scribble, cut, tear])
async def test_a_broken_database_is_named_and_left_as_it_is(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    await opened(tmp_path)
    file = tmp_path / "data" / "freehold.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spoil(file)
    spoilt = file.read_bytes()
    with pytest.raises((ConfigError, StoreError), match=r"malformed|not a database|disk image"):
        await opened(tmp_path)
    assert file.read_bytes() == spoilt


@contextlib.contextmanager
def full_disk(room: int) -> Generator[None]:
    """No file of this process may grow beyond `room` bytes; Python has SIGXFSZ ignored, so writing fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_is_said_and_loses_no_key(tmp_path: Path) -> None:
    place = {"storage_url": f"sqlite:///{tmp_path}/data/freehold.db", "configured_secret": SECRET}
    async with open_keystore(**place, data_directory=tmp_path) as keys:
        first, _ = await keys.create(project="p", name="first", now=1.0)
        with full_disk(1024), pytest.raises(StoreError, match="The database can not be used: "):
            await keys.create(project="p", name="second", now=2.0)
        third, _ = await keys.create(project="p", name="third", now=3.0)
        assert {key.id for key in (await keys.table()).keys} == {first.key.id, third.key.id}


async def test_a_full_disk_at_the_first_start_is_said(tmp_path: Path) -> None:
    with full_disk(1024), pytest.raises(ConfigError, match=r"\[storage\] url"):
        await opened(tmp_path)
    await opened(tmp_path)


@as_user
@pytest.mark.parametrize("name", ["data", "spool/exchanges.jsonl"])
async def test_what_can_not_be_written_is_named(tmp_path: Path, name: str) -> None:
    await opened(tmp_path)
    place = tmp_path / name
    place.chmod(0o500 if place.is_dir() else 0o400)
    try:
        with pytest.raises(ConfigError, match=r"\[(storage|ledger)\]"):
            await opened(tmp_path)
    finally:
        place.chmod(0o700)
