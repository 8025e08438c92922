"""The spool: rows survive, files rotate, a full disk stops service and loses nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from freehold.exchange.record import ExchangeRecord, Spool, read_records


def row(number: int) -> ExchangeRecord:
    return ExchangeRecord(id=f"fx{number}", started=float(number), protocol="openai-chat", operation="generate")


def ids(folder: Path) -> list[str]:
    return [record.id for record in read_records(folder)]


def test_rows_are_there_at_once_and_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder)
    spool.write(row(1))
    assert ids(folder) == ["fx1"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600]
    spool.close()


def test_files_rotate_by_size(tmp_path: Path) -> None:
    spool = Spool(tmp_path, rotate_bytes=300)
    for number in range(20):
        spool.write(row(number))
    assert len(list(tmp_path.iterdir())) > 3
    assert sorted(ids(tmp_path)) == sorted(f"fx{number}" for number in range(20))
    spool.close()


def test_files_rotate_by_age(tmp_path: Path) -> None:
    spool = Spool(tmp_path, rotate_seconds=0.0)
    spool.write(row(1))
    spool.write(row(2))
    assert len(list(tmp_path.iterdir())) == 3
    spool.close()


def test_a_torn_row_costs_only_itself(tmp_path: Path) -> None:
    """What `kill -9` in the middle of a write leaves behind."""
    first = Spool(tmp_path)
    first.write(row(1))
    first.close()
    with (tmp_path / "exchanges.jsonl").open("ab") as file:
        file.write(b'{"id":"torn","star')
    second = Spool(tmp_path)
    second.write(row(2))
    assert ids(tmp_path) == ["fx1", "fx2"]
    second.close()


def test_a_full_spool_says_so_and_keeps_the_rows_until_there_is_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, rotate_bytes=200, max_bytes=400)
    for number in range(8):
        spool.write(row(number))
    assert spool.failed is not None
    assert "max_size" in spool.failed
    assert not spool.probe()
    moved = [file for file in tmp_path.iterdir() if file.name != "exchanges.jsonl"]
    kept = [record for file in moved for record in ids_in(file)]
    for file in moved:
        file.unlink()
    for _ in range(8):
        if spool.probe():
            break
        for file in tmp_path.glob("exchanges-*.jsonl"):
            kept.extend(ids_in(file))
            file.unlink()
    assert spool.failed is None
    assert sorted(kept + ids(tmp_path)) == [f"fx{number}" for number in range(8)]
    spool.close()


def ids_in(file: Path) -> list[str]:
    return [line.split('"')[3] for line in file.read_text().splitlines()]


def test_a_disk_that_takes_half_a_row_leaves_no_half_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    spool = Spool(tmp_path)
    spool.write(row(1))
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[: len(data) // 2]))
    spool.write(row(2))
    assert spool.failed is not None
    monkeypatch.setattr(os, "write", real)
    assert spool.probe()
    assert ids(tmp_path) == ["fx1", "fx2"]
    spool.close()
