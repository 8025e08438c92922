"""What a data-plane worker loads to authenticate: neither the database nor the command line."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "freehold.governance.authentication",
        "freehold.governance.seal",
        "freehold.server.process",
        "freehold.signing.sigv4",
    ],
)
def test_what_workers_need_loads_no_store(module: str) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout.split()
    )
    assert module in loaded
    assert not loaded & {
        "sqlalchemy",
        "alembic",
        "aiosqlite",
        "psycopg",
        "typer",
        "rich",
        "botocore",
        "genai_prices",
        "httpx",
        "pydantic",
        "freehold.app",
        "freehold.cli",
        "freehold.store.database",
    }
