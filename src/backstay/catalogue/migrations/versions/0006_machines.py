"""Machines that share a catalogue: which profile and which archive is whose, and the workers that live."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables and columns; what is there already belongs to no machine by name."""
    for table in ("profiles", "backups", "tasks"):
        op.add_column(table, sa.Column("machine", sa.String(length=100), nullable=False, server_default=""))
    op.create_table(
        "machines",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("home", sa.String(length=64), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_machines")),
    )
    op.create_table(
        "workers",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("machine", sa.String(length=100), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("heartbeat", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
        sqlite_autoincrement=True,
    )
