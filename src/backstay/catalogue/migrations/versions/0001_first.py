"""The first form of the catalogue."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "backups",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("backupstart", sa.DateTime(), nullable=False),
        sa.Column("backupend", sa.DateTime(), nullable=True),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("origin", sa.String(length=30), nullable=False),
        sa.Column("type", sa.String(length=30), nullable=False),
        sa.Column("profile_id", _ID, nullable=False),
        sa.Column("archivename", sa.LargeBinary(), nullable=False),
        sa.Column("absolute_path", sa.LargeBinary(), nullable=False),
        sa.Column("multipart", sa.Integer(), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=True),
        sa.Column("backupid", sa.String(length=255), nullable=True),
        sa.Column("filesexist", sa.Boolean(), nullable=False),
        sa.Column("remote_filename", sa.Text(), nullable=True),
        sa.Column("total_size", sa.BigInteger(), nullable=False),
        sa.Column("frozen", sa.Boolean(), nullable=False),
        sa.Column("instep", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("warning_count", sa.Integer(), nullable=False),
        sa.Column("proof", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backups")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_backups_absolute_path", "backups", ["absolute_path"], unique=False)
    op.create_index("ix_backups_backupid", "backups", ["backupid"], unique=False)
    op.create_index("ix_backups_profile_id", "backups", ["profile_id"], unique=False)
    op.create_index("ix_backups_status", "backups", ["status"], unique=False)
    op.create_table(
        "profiles",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("configuration", sa.LargeBinary(), nullable=False),
        sa.Column("filters", sa.LargeBinary(), nullable=False),
        sa.Column("quickicon", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profiles")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tokens",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("expires", sa.DateTime(), nullable=True),
        sa.Column("last_used", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
        sa.UniqueConstraint("name", name=op.f("uq_tokens_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "jobs",
        sa.Column("backup_id", _ID, autoincrement=False, nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.JSON(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("step_number", sa.Integer(), nullable=False),
        sa.Column("warnings_told", sa.Integer(), nullable=False),
        sa.Column("warnings_sent", sa.Integer(), nullable=False),
        sa.Column("domain_told", sa.String(length=30), nullable=False),
        sa.ForeignKeyConstraint(
            ["backup_id"], ["backups.id"], name=op.f("fk_jobs_backup_id_backups"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("backup_id", name=op.f("pk_jobs")),
    )
    op.create_table(
        "warnings",
        sa.Column("backup_id", _ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["backup_id"], ["backups.id"], name=op.f("fk_warnings_backup_id_backups"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("backup_id", "number", name=op.f("pk_warnings")),
    )
