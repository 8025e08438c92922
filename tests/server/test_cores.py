"""How many workers a machine or a container is worth."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from freehold.server.cores import usable_cores


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 8), ("150000 100000", 2), ("50000 100000", 1), ("nonsense", 8), (None, 8)]
)
def test_a_quota_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str | None, cores: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "system.slice" / "freehold.service").mkdir(parents=True)
    if quota is not None:
        (tmp_path / "system.slice" / "cpu.max").write_text(quota + "\n")
    own = tmp_path / "own"
    own.write_text("1:cpu:/\n0::/system.slice/freehold.service\n")
    assert usable_cores(tmp_path, own) == cores


def test_without_groups_the_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert usable_cores(tmp_path, tmp_path / "none") == 1
