"""The spool under an operator's worst days: no descriptor left, files removed while it writes."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from freehold.exchange.record import ExchangeRecord, Spool, read_records


def row(number: int) -> ExchangeRecord:
    return ExchangeRecord(id=f"fx{number}", started=float(number), protocol="openai-chat", operation="generate")


def ids(folder: Path) -> list[str]:
    return sorted(record.id for record in read_records(folder))


def test_a_rotation_that_fails_loses_and_repeats_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the old file closed first, its number would be a client's connection soon, and rows would go there."""
    spool = Spool(tmp_path, rotate_bytes=1)
    opened = os.open

    def none_left(*_: object) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "open", none_left)
    spool.write(row(1))
    spool.write(row(2))
    monkeypatch.setattr(os, "open", opened)
    spool.write(row(3))
    spool.write(row(4))
    assert spool.failed is None
    assert ids(tmp_path) == ["fx1", "fx2", "fx3", "fx4"]
    assert len(list(tmp_path.iterdir())) == 3
    spool.close()


@pytest.mark.parametrize("folder", [True, False])
def test_rows_do_not_vanish_in_a_file_that_was_removed(tmp_path: Path, *, folder: bool) -> None:
    place = tmp_path / "spool"
    spool = Spool(place)
    spool.write(row(1))
    spool.sync()
    if folder:
        shutil.rmtree(place)
    else:
        (place / "exchanges.jsonl").unlink()
    spool.write(row(2))
    assert ids(place) == ["fx2"]
    spool.close()
