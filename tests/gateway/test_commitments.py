"""A gateway that starts knows what was spent of its commitments before, by its own records."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from pathlib import Path

import pytest

from freehold.app import Service
from freehold.config import load
from freehold.exchange.record import AttemptRecord, ExchangeRecord, Spool
from freehold.routing.commitments import Fills

CONFIG = """
[accounts.one]
provider = "openai"
api_key = "key-of-one"
[commitments.year]
targets = ["one/*"]
spend = 1000.0
start = {start}
until = {until}
"""


async def eventually(fills: Fills, name: str) -> float:
    for _ in range(2000):
        if fills.spent(name):
            break
        await asyncio.sleep(0.01)
    return fills.spent(name)


async def test_the_records_are_counted_at_start_and_for_a_commitment_that_a_reload_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEHOLD_DATA", str(tmp_path))
    today = dt.datetime.now(dt.UTC).date()
    start = today - dt.timedelta(10)
    stated = CONFIG.format(start=start, until=today + dt.timedelta(10))
    file = tmp_path / "freehold.toml"
    file.write_text(stated)
    attempt = AttemptRecord(target="one/gpt-4o", lane="tunnel", cost_nano_usd=2_500_000_000)
    row = ExchangeRecord(id="x", started=time.time() - 60, protocol="p", operation="generate", attempts=[attempt])
    spool = Spool(tmp_path / "spool")
    spool.write(row)
    spool.close()
    environ = {"FREEHOLD_DATA": str(tmp_path)}
    async with Service(load(str(file), environ), environ=environ) as service:
        fills = service.road.fills
        assert await eventually(fills, f"year since {start}") == pytest.approx(2.5)
        file.write_text(stated.replace("[commitments.year]", "[commitments.renamed]"))
        await service.reload()
        assert await eventually(fills, f"renamed since {start}") == pytest.approx(2.5)
