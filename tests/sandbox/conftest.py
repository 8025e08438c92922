"""Emulated clouds on real sockets, and somebody who asks them directly."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from freehold.sandbox.fleet import Fleet


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with Fleet(state_file=tmp_path / "sandbox.json") as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        yield client
