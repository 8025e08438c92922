"""Reloading under an operator's mistakes: the last good configuration stays, and no door opens that was locked."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from freehold.app import Service
from freehold.config import load
from freehold.routing.features import Candidate

BASE = """
[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
require_keys = true
admin_token = "token-of-the-operator"
[accounts.one]
provider = "openai"
base_url = "http://127.0.0.1:1/v1"
api_key = "key-of-one"
"""


def service_at(folder: Path, text: str = BASE, **server: str) -> Service:
    file = folder / "freehold.toml"
    file.write_text(text)
    config = load(str(file), {"FREEHOLD_DATA": str(folder)})
    config = msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **server))
    return Service(config, environ={"FREEHOLD_DATA": str(folder)})


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text + "\n[[[",
        lambda text: text.replace("openai", "opnai"),
        lambda text: text + '\n[models.x]\ntargets = ["nobody/x"]',
        lambda text: text.replace('"key-of-one"', '"file:/nowhere/key"'),
        lambda text: text.replace('"key-of-one"', '"env:NOT_SET"'),
        lambda text: text + '\n[models.x]\ntargets = 7\n[limits]\nbody = "much"',
        lambda text: "\udcff" + text,
    ],
    ids=["syntax", "provider", "account", "secret file", "variable", "types", "encoding"],
)
async def test_a_mistake_changes_nothing_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, edit: Callable[[str], str]
) -> None:
    async with service_at(tmp_path) as service:
        before = service.serving
        (tmp_path / "freehold.toml").write_text(edit(BASE), encoding="utf-8", errors="surrogateescape")
        with caplog.at_level(logging.ERROR):
            await service.reload()
        assert service.serving is before
        assert "the last good one stays in use" in caplog.text
        assert "Traceback" not in caplog.text
        assert "key-of-one" not in caplog.text


async def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    async with service_at(tmp_path) as service:
        before = service.serving
        (tmp_path / "freehold.toml").unlink()
        await service.reload()
        assert service.serving is before


async def test_no_reload_opens_an_address_that_strangers_reach(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The socket stays where `--listen` put it, while the file believes in loopback."""
    async with service_at(tmp_path, listen="0.0.0.0:0", admin_listen="0.0.0.0:0") as service:
        before = service.serving
        for gone in ("require_keys = true", 'admin_token = "token-of-the-operator"'):
            (tmp_path / "freehold.toml").write_text(BASE.replace(gone, ""))
            await service.reload()
            assert service.serving is before
        assert caplog.text.count("can be reached from outside") == 2


async def test_what_needs_a_restart_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with service_at(tmp_path) as service:
        changed = BASE.replace("token-of-the-operator", "another") + "\n[limits]\nheaders = 8192\nbody = 2048\n"
        (tmp_path / "freehold.toml").write_text(changed)
        with caplog.at_level(logging.WARNING):
            await service.reload()
        assert service.serving.body_limit == 2048
        assert "at the next start only: [server] admin_token, [limits] headers" in caplog.text
        assert "another" not in caplog.text


def measured(folder: Path, milliseconds: float) -> None:
    row = {
        "target": "one/gpt-4o",
        "measured_at": time.time(),
        "requests": 6,
        "ttft_ms": {"value": milliseconds},
        "tokens_per_second": None,
        "error_rate": {"value": 0.0},
        "usd_per_million": None,
        "quality": None,
    }
    (folder / "bench.json").write_bytes(msgspec.json.encode({"version": 1, "targets": [row]}))


async def test_what_a_bench_found_is_read_at_start_and_at_reload(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def first_token(service: Service) -> float | None:
        found = service.road.health.standings([Candidate(name="one/gpt-4o")], 0.0)
        return found["one/gpt-4o"].first_token if found else None

    measured(tmp_path, 500.0)
    async with service_at(tmp_path) as service:
        assert first_token(service) == 0.5
        measured(tmp_path, 250.0)
        await service.reload()
        assert first_token(service) == 0.25
        (tmp_path / "bench.json").write_text("nonsense")
        number = service.serving.snapshot.number
        with caplog.at_level(logging.WARNING):
            await service.reload()
        assert service.serving.snapshot.number == number + 1
        assert "is not used" in caplog.text
        assert first_token(service) is None
