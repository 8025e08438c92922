"""Each test that asks for `url` runs on a new SQLite file and on a new PostgreSQL database."""

from pathlib import Path

import pytest


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'freehold.db'}"
    return request.getfixturevalue("postgres_url")
