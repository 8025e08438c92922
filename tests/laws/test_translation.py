"""Identity and honesty over every recorded exchange that the tests carry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.exchange.translate import Row, translate
from freehold.protocols.registry import CODECS, codec_of_recording
from tests.laws.recordings import FOLDER, NAMES, recording


def rows(name: str) -> list[Row]:
    exchange = recording(name)
    return list(translate(exchange, codec_of_recording(exchange.protocol, exchange.wire), CODECS))


@pytest.mark.parametrize("name", NAMES)
def test_every_codec_takes_every_exchange(name: str) -> None:
    found = rows(name)
    assert found
    assert [row for row in found if row.status == "error"] == []


@pytest.mark.parametrize("name", NAMES)
def test_identity(name: str) -> None:
    """`encode_P(decode_P(w)) = w`: nothing is lost in a protocol's own language."""
    own = [row for row in rows(name) if row.source == row.target]
    assert all(row.status in {"identical", "equal", "unsupported"} for row in own)
    assert all(row.losses == () for row in own)


@pytest.mark.parametrize("name", NAMES)
def test_determinism(name: str) -> None:
    """The same recording always becomes the same bytes."""
    assert [row.body for row in rows(name)] == [row.body for row in rows(name)]


def test_determinism_does_not_hang_on_the_order_of_sets(tmp_path: Path) -> None:
    """Another process, with another seed for its hashes, writes the same bytes."""
    written: list[dict[str, bytes]] = []
    for seed in ("1", "2"):
        output = tmp_path / seed
        command = [sys.executable, "-m", "freehold", "translate", str(FOLDER), "--output", str(output)]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}, timeout=50)
        files = (file for file in output.rglob("*") if file.is_file())
        written.append({str(file.relative_to(output)): file.read_bytes() for file in files})
    first, second = written
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.parametrize("name", NAMES)
def test_statuses_follow_from_losses(name: str) -> None:
    for row in rows(name):
        effects = {loss.effect for loss in row.losses}
        if row.status == "lossy":
            assert row.losses
            assert "content" not in effects
        elif row.status in {"identical", "equal"}:
            assert row.losses == ()
