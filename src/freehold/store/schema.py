"""The tables as they are now; `migrations` says how they came to be, and a test holds the two equal."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Double, ForeignKey, LargeBinary, MetaData, String, Table, Text

HEAD: Final = "0002"
"""The newest migration. A database that is there already is opened without loading Alembic."""

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

projects: Final = Table(
    "projects",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("created", Double, nullable=False),
)

keys: Final = Table(
    "keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project", String(128), ForeignKey("projects.name"), nullable=False),
    Column("name", String(128), nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("revoked", Double),
    # Lists as JSON text: they are only ever read whole.
    Column("models", Text, nullable=False),
    Column("networks", Text, nullable=False),
    Column("digest", LargeBinary, unique=True),
    Column("access_key_id", String(128), unique=True),
    Column("sealed_secret", LargeBinary),
    Column("strategy", String(32)),
)

changes: Final = Table(
    "changes",
    metadata,
    # One row for each thing that running servers keep a copy of; `version` grows with each change of it.
    Column("topic", String(32), primary_key=True),
    Column("version", BigInteger, nullable=False),
)

watchers: Final = Table(
    "watchers",
    metadata,
    # Servers that keep a copy: the version each has taken into use, its last sign of life in the database's time.
    Column("id", String(64), primary_key=True),
    Column("topic", String(32), primary_key=True),
    Column("seen", BigInteger, nullable=False),
    Column("beat", Double, nullable=False),
)

settings: Final = Table(
    "settings",
    metadata,
    # Facts about the database itself, such as the fingerprint of the server secret that it belongs to.
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
