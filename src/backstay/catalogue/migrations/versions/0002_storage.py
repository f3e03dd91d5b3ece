"""Destinations, and the copies of backups that lie there."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables of storage."""
    op.create_table(
        "destinations",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_destinations")),
        sa.UniqueConstraint("name", name=op.f("uq_destinations_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "copies",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("backup_id", _ID, nullable=False),
        sa.Column("destination_id", _ID, nullable=False),
        sa.Column("folder", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("sent_at", sa.DateTime(), nullable=True),
        sa.Column("proven_at", sa.DateTime(), nullable=True),
        sa.Column("proven_how", sa.Text(), nullable=False),
        sa.Column("locked_until", sa.DateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["backup_id"], ["backups.id"], name=op.f("fk_copies_backup_id_backups"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["destinations.id"], name=op.f("fk_copies_destination_id_destinations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_copies")),
        sa.UniqueConstraint("backup_id", "destination_id", name=op.f("uq_copies_backup_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_copies_destination_id", "copies", ["destination_id"], unique=False)
    op.create_index("ix_copies_state", "copies", ["state"], unique=False)
    op.create_table(
        "copy_parts",
        sa.Column("copy_id", _ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("blake3", sa.String(length=64), nullable=False),
        sa.Column("checksums", sa.JSON(), nullable=False),
        sa.Column("resume", sa.Text(), nullable=False),
        sa.Column("started", sa.Boolean(), nullable=False),
        sa.Column("proof", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["copy_id"], ["copies.id"], name=op.f("fk_copy_parts_copy_id_copies"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("copy_id", "number", name=op.f("pk_copy_parts")),
    )
