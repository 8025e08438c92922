"""How a key's requests choose among targets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("keys", sa.Column("strategy", sa.String(32)))


def downgrade() -> None:
    op.drop_column("keys", "strategy")
