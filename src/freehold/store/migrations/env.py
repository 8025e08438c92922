"""How Alembic runs these migrations: on the connection and in the transaction that `freehold.store.database` opened."""

from __future__ import annotations

from alembic import context

from freehold.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
