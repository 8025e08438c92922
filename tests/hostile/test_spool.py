"""The spool under an operator's worst days: no descriptor left, files removed while it writes."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from freehold.exchange.record import MAX_NOTED, MOST_LOSSES, ExchangeRecord, Spool, read_records
from freehold.ir import JsonObject
from freehold.transport.fake import FakeUpstream
from tests.exchange.road import Roadside
from tests.exchange.test_road import reply


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


async def test_a_request_with_very_many_losses_does_not_fill_the_record(tmp_path: Path) -> None:
    """Nor does a field's name, which may be whatever the caller wrote."""
    message: JsonObject = {"id": "m", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn"}
    answer: JsonObject = {**message, "content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 1}}
    side = Roadside(tmp_path, FakeUpstream(reply(answer)))
    fields: JsonObject = {f"f{number}": 1 for number in range(20_000)}
    asked: JsonObject = {"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    door = await side.ask("/v1/chat/completions", {**asked, "x" * 9999: 1, **fields})
    assert door.status == 200
    (record,) = side.records()
    assert len(record.losses) == MOST_LOSSES + 1
    count = len(fields) + 1 - MOST_LOSSES
    assert record.losses[-1].detail == f"{count} more losses"
    assert max(len(loss.path) for loss in record.losses) == MAX_NOTED
    assert f"more;count={len(fields) + 1 - 8}" in door.headers["freehold-loss"]


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
