"""Which backup is which snapshot of a repository, and the archive as which it is handed out."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "snapshots",
        sa.Column("backup_id", _ID, autoincrement=False, nullable=False),
        sa.Column("repository_id", _ID, nullable=False),
        sa.Column("snapshot", sa.String(length=64), nullable=False),
        sa.Column("form", sa.JSON(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["backup_id"], ["backups.id"], name=op.f("fk_snapshots_backup_id_backups"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name=op.f("fk_snapshots_repository_id_repositories")
        ),
        sa.PrimaryKeyConstraint("backup_id", name=op.f("pk_snapshots")),
    )
    op.create_index("ix_snapshots_repository_id", "snapshots", ["repository_id", "snapshot"])
