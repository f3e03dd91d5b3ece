"""Sites and their groups, runs of remote ones, and which users and tokens are bound to which groups."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "groups",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("per_host", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_groups_name")),
        sqlite_autoincrement=True,
    )
    _make_sites()
    _make_runs()
    for owner in ("user", "token"):
        op.create_table(
            f"{owner}_groups",
            sa.Column(f"{owner}_id", _ID, nullable=False),
            sa.Column("group_id", _ID, nullable=False),
            sa.ForeignKeyConstraint(
                [f"{owner}_id"],
                [f"{owner}s.id"],
                name=op.f(f"fk_{owner}_groups_{owner}_id_{owner}s"),
                ondelete="CASCADE",
            ),
            sa.ForeignKeyConstraint(
                ["group_id"], ["groups.id"], name=op.f(f"fk_{owner}_groups_group_id_groups"), ondelete="CASCADE"
            ),
            sa.PrimaryKeyConstraint(f"{owner}_id", "group_id", name=op.f(f"pk_{owner}_groups")),
        )


def _make_sites() -> None:
    op.create_table(
        "sites",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("profile_id", _ID, nullable=False),
        sa.Column("group_id", _ID, nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("connection", sa.LargeBinary(), nullable=False),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(), nullable=True),
        sa.Column("heard", sa.DateTime(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_sites_group_id_groups")),
        sa.ForeignKeyConstraint(["profile_id"], ["profiles.id"], name=op.f("fk_sites_profile_id_profiles")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sites")),
        sa.UniqueConstraint("name", name=op.f("uq_sites_name")),
        sa.UniqueConstraint("profile_id", name=op.f("uq_sites_profile_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sites_group_id", "sites", ["group_id"])


def _make_runs() -> None:
    op.create_table(
        "remote_runs",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("site_id", _ID, nullable=False),
        sa.Column("run_id", _ID, nullable=True),
        sa.Column("backup_id", _ID, nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("begun", sa.DateTime(), nullable=True),
        sa.Column("ended", sa.DateTime(), nullable=True),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("holder", sa.String(length=100), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.JSON(), nullable=False),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_remote_runs_site_id_sites"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remote_runs")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_remote_runs_open",
        "remote_runs",
        ["site_id"],
        unique=True,
        sqlite_where=sa.text("ended IS NULL"),
        postgresql_where=sa.text("ended IS NULL"),
    )
    # One due moment has one run: whoever looks a second time, when the first has ended already, makes none.
    op.create_index("uq_remote_runs_run_id", "remote_runs", ["run_id"], unique=True)
    for column in ("state", "backup_id"):
        op.create_index(f"ix_remote_runs_{column}", "remote_runs", [column])
