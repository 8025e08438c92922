"""Rows of projects and keys."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import select
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.store.changes import record_change
from freehold.store.schema import keys, projects

TOPIC: Final = "keys"
"""What changes of keys are announced under."""


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is stored; `governance.keys` says what the fields mean. Its repr shows nothing of a secret."""

    id: str
    project: str
    name: str
    created: float
    expires: float | None
    revoked: float | None
    models: tuple[str, ...]
    networks: tuple[str, ...]
    digest: bytes | None
    access_key_id: str | None
    sealed_secret: bytes | None
    strategy: str | None

    def __repr__(self) -> str:
        return f"KeyRow(id={self.id!r})"


async def insert_key(connection: AsyncConnection, row: KeyRow) -> int:
    """Add a key, and its project when it is new; the version at which servers know it."""
    version = await record_change(connection, TOPIC)
    known = await connection.scalar(select(projects.c.name).where(projects.c.name == row.project))
    if known is None:
        await connection.execute(projects.insert().values(name=row.project, created=row.created))
    await connection.execute(
        keys.insert().values(
            id=row.id,
            project=row.project,
            name=row.name,
            created=row.created,
            expires=row.expires,
            revoked=row.revoked,
            models=_encode(row.models),
            networks=_encode(row.networks),
            digest=row.digest,
            access_key_id=row.access_key_id,
            sealed_secret=row.sealed_secret,
            strategy=row.strategy,
        )
    )
    return version


async def revoke_key(connection: AsyncConnection, key_id: str, now: float) -> int | None:
    """Revoke a key by its id or access key id; the version at which servers know, None when there is no such key.

    A key that was revoked before keeps its first date.
    """
    version = await record_change(connection, TOPIC)
    named = (keys.c.id == key_id) | (keys.c.access_key_id == key_id)
    found = await connection.scalar(select(keys.c.id).where(named))
    if found is None:
        return None
    await connection.execute(keys.update().where((keys.c.id == found) & keys.c.revoked.is_(None)).values(revoked=now))
    return version


async def read_keys(connection: AsyncConnection) -> list[KeyRow]:
    """Every key, oldest first, revoked ones included."""
    found = await connection.execute(select(keys).order_by(keys.c.created, keys.c.id))
    return [_row(row) for row in found.mappings()]


def _row(row: RowMapping) -> KeyRow:
    return KeyRow(
        id=row["id"],
        project=row["project"],
        name=row["name"],
        created=row["created"],
        expires=row["expires"],
        revoked=row["revoked"],
        models=_decode(row["models"]),
        networks=_decode(row["networks"]),
        digest=row["digest"],
        access_key_id=row["access_key_id"],
        sealed_secret=row["sealed_secret"],
        strategy=row["strategy"],
    )


def _encode(values: tuple[str, ...]) -> str:
    return msgspec.json.encode(values).decode()


def _decode(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])
