"""The tables of the catalogue.

A change here needs a migration in ``migrations/versions``; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.types import JSON


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, stored without a zone in UTC and given back with one."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware moment into naive UTC."""
        del dialect
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn naive UTC into an aware moment."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


class ByteText(TypeDecorator[str]):
    """A text that may hold undecodable bytes as surrogates (a path, say), stored so that they survive."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Turn the text into its bytes."""
        del dialect
        return None if value is None else value.encode("utf-8", "surrogateescape")

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Turn the bytes back into the text."""
        del dialect
        return None if value is None else value.decode("utf-8", "surrogateescape")


class ShownText(TypeDecorator[str]):
    """A text for a person; bytes in it that are not UTF-8 are stored as escapes, for no reader could show them."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape what cannot be encoded."""
        del dialect
        return None if value is None else value.encode("utf-8", "backslashreplace").decode()


# SQLite numbers rows by itself only where the type is exactly INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

profiles = Table(
    "profiles",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("description", ShownText, nullable=False),
    Column("configuration", LargeBinary, nullable=False),
    Column("filters", LargeBinary, nullable=False),
    Column("quickicon", Boolean, nullable=False),
    Column("machine", String(100), nullable=False, server_default=""),
    sqlite_autoincrement=True,
)

backups = Table(
    "backups",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("description", ShownText, nullable=False),
    Column("comment", ShownText, nullable=False),
    Column("backupstart", UtcDateTime, nullable=False),
    Column("backupend", UtcDateTime),
    Column("status", String(8), nullable=False),
    Column("origin", String(30), nullable=False),
    Column("type", String(30), nullable=False),
    Column("profile_id", _Id, nullable=False),
    Column("archivename", ByteText, nullable=False),
    Column("absolute_path", ByteText, nullable=False),
    Column("multipart", Integer, nullable=False),
    Column("tag", String(255)),
    Column("backupid", String(255)),
    Column("filesexist", Boolean, nullable=False),
    Column("remote_filename", Text),
    Column("total_size", BigInteger, nullable=False),
    Column("frozen", Boolean, nullable=False),
    Column("instep", Boolean, nullable=False),
    Column("error", ShownText, nullable=False),
    Column("warning_count", Integer, nullable=False),
    Column("proof", JSON, nullable=False),
    Column("machine", String(100), nullable=False, server_default=""),
    Index("ix_backups_backupid", "backupid"),
    Index("ix_backups_status", "status"),
    Index("ix_backups_absolute_path", "absolute_path"),
    Index("ix_backups_profile_id", "profile_id"),
    Index("ix_backups_profile_id_status", "profile_id", "status", "backupend"),
    sqlite_autoincrement=True,
)

counts = Table(
    "counts",
    metadata,
    Column("backup_id", _Id, ForeignKey("backups.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("profile_id", _Id, nullable=False),
    Column("type", String(30), nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("tables", Integer, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("state", String(64), nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("emptied", JSON, nullable=False),
    Column("usual", JSON, nullable=False),
    Column("holdings", JSON, nullable=False),
    Index("ix_counts_profile_id", "profile_id", "type", "backup_id"),
)

unproven = Table(
    "unproven",
    metadata,
    Column("backup_id", _Id, ForeignKey("backups.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
)

warnings = Table(
    "warnings",
    metadata,
    Column("backup_id", _Id, ForeignKey("backups.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("message", ShownText, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("backup_id", _Id, ForeignKey("backups.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("plan", LargeBinary, nullable=False),
    Column("checkpoint", JSON),
    Column("attempts", Integer, nullable=False),
    Column("step_number", Integer, nullable=False),
    Column("warnings_told", Integer, key="warnings_reported", nullable=False),
    Column("warnings_sent", Integer, nullable=False),
    Column("domain_told", String(30), key="domain_reported", nullable=False),
    Column("paused", Boolean, nullable=False, server_default=false()),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("expires", UtcDateTime),
    Column("last_used", UtcDateTime),
    sqlite_autoincrement=True,
)

destinations = Table(
    "destinations",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("secrets", LargeBinary, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("options", JSON, nullable=False),
    sqlite_autoincrement=True,
)

repositories = Table(
    "repositories",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("destination_id", _Id, ForeignKey("destinations.id")),
    Column("folder", Text, nullable=False),
    Column("secrets", LargeBinary, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

copies = Table(
    "copies",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("backup_id", _Id, ForeignKey("backups.id", ondelete="CASCADE"), nullable=False),
    Column("destination_id", _Id, ForeignKey("destinations.id"), nullable=False),
    Column("folder", ByteText, nullable=False),
    Column("state", String(8), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("proven_at", UtcDateTime),
    Column("proven_how", ShownText, nullable=False),
    Column("locked_until", UtcDateTime),
    Column("error", ShownText, nullable=False),
    UniqueConstraint("backup_id", "destination_id"),
    Index("ix_copies_destination_id", "destination_id", "state", "sent_at"),
    Index("ix_copies_state", "state"),
    sqlite_autoincrement=True,
)

copy_parts = Table(
    "copy_parts",
    metadata,
    Column("copy_id", _Id, ForeignKey("copies.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", ByteText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("blake3", String(64), nullable=False),
    Column("checksums", JSON, nullable=False),
    Column("resume", Text, nullable=False),
    Column("started", Boolean, nullable=False),
    Column("proof", ShownText, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("profile_id", _Id, ForeignKey("profiles.id", ondelete="CASCADE"), nullable=False),
    Column("what", String(30), nullable=False),
    Column("at", Text, nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("spread", Integer, nullable=False),
    Column("catch_up", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("options", JSON, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("handled", UtcDateTime, nullable=False),
    Column("next_due", UtcDateTime),
    Index("ix_schedules_profile_id", "profile_id"),
    sqlite_autoincrement=True,
)

runs = Table(
    "runs",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("schedule_id", _Id, ForeignKey("schedules.id", ondelete="CASCADE"), nullable=False),
    Column("due", UtcDateTime, nullable=False),
    Column("state", String(10), nullable=False),
    Column("backup_id", _Id),
    Column("created", UtcDateTime, nullable=False),
    Column("started", UtcDateTime),
    Column("ended", UtcDateTime),
    Column("message", ShownText, nullable=False),
    UniqueConstraint("schedule_id", "due"),
    Index("ix_runs_state", "state"),
    Index("ix_runs_backup_id", "backup_id"),
    sqlite_autoincrement=True,
)

alarms = Table(
    "alarms",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("kind", String(30), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("profile_id", _Id),
    Column("backup_id", _Id),
    Column("since", UtcDateTime, nullable=False),
    Column("opened", UtcDateTime, nullable=False),
    Column("acknowledged", UtcDateTime),
    Column("closed", UtcDateTime),
    Column("message", ShownText, nullable=False),
    Column("advice", ShownText, nullable=False),
    Column("details", JSON, nullable=False),
    Column("untold", String(10), nullable=False),
    Index(
        "uq_alarms_open",
        "kind",
        "subject",
        unique=True,
        sqlite_where=text("closed IS NULL"),
        # Of PostgreSQL the migration knows: said here, it would load that dialect at each start.
    ),
    Index("ix_alarms_profile_id", "profile_id"),
    Index("ix_alarms_untold", "untold"),
    sqlite_autoincrement=True,
)

observations = Table(
    "observations",
    metadata,
    Column("what", String(10), primary_key=True),
    Column("subject", ByteText, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("problem", String(10), nullable=False),
    Column("details", JSON, nullable=False),
)

recipients = Table(
    "recipients",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("secrets", LargeBinary, nullable=False),
    Column("events", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("recipient_id", _Id, ForeignKey("recipients.id", ondelete="CASCADE"), nullable=False),
    Column("event", String(255), nullable=False),
    Column("thread", String(255), nullable=False),
    Column("content", JSON, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt", UtcDateTime),
    Column("delivered", UtcDateTime),
    Column("error", ShownText, nullable=False),
    UniqueConstraint("recipient_id", "event"),
    Index("ix_deliveries_next_attempt", "next_attempt"),
    sqlite_autoincrement=True,
)

users = Table(
    "users",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("role", String(20), nullable=False),
    Column("password", Text, nullable=False),
    Column("second_factor", LargeBinary, nullable=False),
    Column("factor_used", BigInteger, nullable=False),
    Column("recovery_codes", JSON, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime),
    sqlite_autoincrement=True,
)

passkeys = Table(
    "passkeys",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("user_id", _Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", ShownText, nullable=False),
    Column("credential", LargeBinary, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("signatures", BigInteger, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("last_used", UtcDateTime),
    Index("ix_passkeys_user_id", "user_id"),
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("user_id", _Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("expires", UtcDateTime, nullable=False),
    Column("confirmed", UtcDateTime, nullable=False),
    Column("address", ShownText, nullable=False),
    Column("agent", ShownText, nullable=False),
    Index("ix_sessions_user_id", "user_id"),
    sqlite_autoincrement=True,
)

invitations = Table(
    "invitations",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("user_id", _Id, ForeignKey("users.id", ondelete="CASCADE")),
    Column("created", UtcDateTime, nullable=False),
    Column("expires", UtcDateTime, nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", ShownText, nullable=False),
    Column("through", String(10), nullable=False),
    Column("address", ShownText, nullable=False),
    Column("action", String(60), nullable=False),
    Column("subject", ShownText, nullable=False),
    Column("details", JSON, nullable=False),
    Index("ix_journal_at", "at"),
    sqlite_autoincrement=True,
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("title", ShownText, nullable=False),
    Column("arguments", LargeBinary, nullable=False),
    Column("profile_id", _Id),
    Column("backup_id", _Id),
    Column("state", String(10), nullable=False),
    Column("started_by", ShownText, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("started", UtcDateTime),
    Column("ended", UtcDateTime),
    Column("message", ShownText, nullable=False),
    Column("result", JSON, nullable=False),
    Column("machine", String(100), nullable=False, server_default=""),
    Index("ix_tasks_state", "state"),
    Index("ix_tasks_backup_id", "backup_id"),
    sqlite_autoincrement=True,
)

machines = Table(
    "machines",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("home", String(64), nullable=False),
    Column("since", UtcDateTime, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("machine", String(100), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("heartbeat", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

groups = Table(
    "groups",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("per_host", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("notes", ShownText, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

sites = Table(
    "sites",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("kind", String(10), nullable=False),
    Column("profile_id", _Id, ForeignKey("profiles.id"), nullable=False, unique=True),
    Column("group_id", _Id, ForeignKey("groups.id")),
    Column("address", Text, nullable=False),
    Column("host", String(255), nullable=False),
    Column("tags", JSON, nullable=False),
    Column("notes", ShownText, nullable=False),
    Column("connection", LargeBinary, nullable=False),
    Column("found", JSON, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("not_before", UtcDateTime),
    Column("heard", UtcDateTime),
    Column("problem", ShownText, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Index("ix_sites_group_id", "group_id"),
    sqlite_autoincrement=True,
)

remote_runs = Table(
    "remote_runs",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("site_id", _Id, ForeignKey("sites.id", ondelete="CASCADE"), nullable=False),
    Column("run_id", _Id),
    Column("backup_id", _Id),
    Column("state", String(10), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("begun", UtcDateTime),
    Column("ended", UtcDateTime),
    Column("host", String(255), nullable=False),
    Column("holder", String(100), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("cancelled", Boolean, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("checkpoint", JSON, nullable=False),
    Column("progress", JSON, nullable=False),
    Column("message", ShownText, nullable=False),
    Index(
        "uq_remote_runs_open",
        "site_id",
        unique=True,
        sqlite_where=text("ended IS NULL"),
        # Of PostgreSQL the migration knows: said here, it would load that dialect at each start.
    ),
    Index("ix_remote_runs_state", "state"),
    Index("uq_remote_runs_run_id", "run_id", unique=True),
    Index("ix_remote_runs_backup_id", "backup_id"),
    sqlite_autoincrement=True,
)

user_groups = Table(
    "user_groups",
    metadata,
    Column("user_id", _Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", _Id, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
)

token_groups = Table(
    "token_groups",
    metadata,
    Column("token_id", _Id, ForeignKey("tokens.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", _Id, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("backup_id", _Id, ForeignKey("backups.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("repository_id", _Id, ForeignKey("repositories.id"), nullable=False),
    Column("snapshot", String(64), nullable=False),
    Column("form", JSON, nullable=False),
    Column("parts", JSON, nullable=False),
    Column("added", BigInteger, nullable=False),
    Index("ix_snapshots_repository_id", "repository_id", "snapshot"),
)
