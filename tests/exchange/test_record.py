"""The spool: rows survive, files rotate, a full disk stops service and loses nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from freehold.exchange import record as record_module
from freehold.exchange.record import ExchangeRecord, Spool, read_records, take_over


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


def test_each_worker_has_a_file_and_its_successor_goes_on_with_it(tmp_path: Path) -> None:
    first, second = Spool(tmp_path, slot=0), Spool(tmp_path, slot=1)
    first.write(row(1))
    second.write(row(2))
    # It is gone without a word, as after `kill -9`.
    successor = Spool(tmp_path, slot=1)
    successor.write(row(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exchanges.2.jsonl", "exchanges.jsonl"]
    assert sorted(ids(tmp_path)) == ["fx1", "fx2", "fx3"]
    for spool in (first, second, successor):
        spool.close()


def test_the_limit_is_for_all_workers_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "_LOOK_AGAIN", 0.0)
    size = len(msgspec.json.encode(row(11)))
    most = 8 * size
    first, second = Spool(tmp_path, slot=0, max_bytes=most), Spool(tmp_path, slot=1, max_bytes=most)
    for number in range(6):
        first.write(row(number))
    assert first.failed is None
    second.write(row(6))
    second.sync()
    for number in range(7, 12):
        second.write(row(number))
    assert second.failed is not None
    assert "max_size" in second.failed
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= most + size, (
        "the last row that still began below the limit"
    )
    first.close()
    second.close()


def test_files_of_workers_that_there_are_no_more_are_finished(tmp_path: Path) -> None:
    spools = [Spool(tmp_path, slot=slot) for slot in range(4)]
    for slot, spool in enumerate(spools):
        spool.write(row(slot))
    take_over(tmp_path, 2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[0].startswith("exchanges.2.jsonl")
    assert [name.partition("-")[0] for name in names if "-" in name] == ["exchanges.3", "exchanges.4"]
    spools[3].write(row(9))  # one that still drains loses nothing
    assert sorted(ids(tmp_path)) == ["fx0", "fx1", "fx2", "fx3", "fx9"]
    for spool in spools:
        spool.close()


def test_a_file_that_is_finished_while_it_is_read_is_read_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path, rotate_bytes=200)
    spool.write(row(1))
    reading = read_records(tmp_path)
    seen = [next(reading).id]
    for number in range(2, 9):
        spool.write(row(number))
    seen += [record.id for record in reading]
    assert len(seen) == len(set(seen))
    assert set(ids(tmp_path)) == {f"fx{number}" for number in range(1, 9)}
    spool.close()
