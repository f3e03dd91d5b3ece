"""Every setting of a backup once: its name here, its dotted key in the API, type, default, range and description.

The keys, defaults and ranges are those of the reference engine where they mean the same thing; keys that begin with
``backstay.`` are Backstay's own. Profiles store only what differs from the defaults, as strings by dotted key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from backstay.errors import ConfigurationError
from backstay.profiles.filters import virtual_folder

BackupType = Literal["full", "dbonly", "fileonly", "alldb", "incfile", "incfull"]
ArchiveFormat = Literal["jpa", "jps", "zip"]
CompressionProfile = Literal["fast", "balanced", "small"]
VerificationLevel = Literal["none", "structure", "content"]


# Below this a part size means no splitting (engine-behaviour, archiver).
_LEAST_PART = 65536


def _setting(key: str, default: Any, description: str, **limits: Any) -> Any:
    return Field(default=default, alias=key, description=description, **limits)


class Settings(BaseModel):
    """The settings of one backup, typed; made from a profile's stored values and the overrides of a call.

    Unknown keys are kept in ``model_extra``: an imported profile gives them back on export.
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True, hide_input_in_errors=True)

    # What is backed up.
    root: str = _setting(
        "akeeba.platform.newroot",
        "",
        "Absolute path of the site's root folder; empty: the profile has no site yet.",
    )
    database: SecretStr = _setting(
        "backstay.site.database",
        SecretStr(""),
        "Database URL of the site, for example mysql://user:password@localhost/joomla?prefix=jos_; empty: found from "
        "the site's own configuration; none: the site has no database.",
    )
    backup_type: BackupType = _setting(
        "akeeba.basic.backup_type",
        "full",
        "What a backup holds: full, dbonly, fileonly, alldb, incfile or incfull.",
    )
    dereference_symlinks: bool = _setting(
        "engine.archiver.common.dereference_symlinks",
        False,
        "Follow symbolic links and store what they point to.",
    )
    one_file_system: bool = _setting(
        "backstay.scan.one_file_system",
        False,
        "Do not enter folders on which another file system is mounted.",
    )
    platform_filters: bool = _setting(
        "backstay.filters.platform",
        True,
        "Leave out what is never worth a backup on the platform the site runs on: caches, temporary files, logs, "
        "sessions.",
    )
    error_log_filter: bool = _setting(
        "core.filters.errorlogs.enabled", True, "Leave out error logs on a known platform."
    )
    host_statistics_filter: bool = _setting(
        "core.filters.hoststats.enabled", True, "Leave out the statistics folders of hosts on a known platform."
    )
    action_log_filter: bool = _setting(
        "core.filters.actionlogs.enabled", True, "Leave out the rows of Joomla's log of user actions."
    )
    search_index_filter: bool = _setting(
        "core.filters.finder.enabled", True, "Leave out the rows of Joomla's search index: it can be made anew."
    )
    date_filter: bool = _setting(
        "core.filters.dateconditional.enabled", False, "Leave out files older than the moment below."
    )
    date_filter_start: str = _setting(
        "core.filters.dateconditional.start", "1970-01-01 00:00 GMT", "The moment for the filter above."
    )
    exclude: str = _setting(
        "backstay.scan.exclude", "", "Patterns of paths to leave out, one a line, as with --exclude."
    )

    virtual_folder: str = _setting(
        "akeeba.advanced.virtual_folder",
        "external_files",
        "Folder in the archive that off-site folders go to.",
    )

    # Where and how it is written.
    output_directory: str = _setting(
        "akeeba.basic.output_directory",
        "[DEFAULT_OUTPUT]",
        "Folder the archives go to; [DEFAULT_OUTPUT] is the folder archives in BACKSTAY_HOME.",
    )
    archive_name: str = _setting(
        "akeeba.basic.archive_name",
        "site-[HOST]-[DATE]-[TIME_TZ]-[RANDOM]",
        "Template of the archive's name, without extension.",
    )
    archive_format: ArchiveFormat = _setting(
        "akeeba.advanced.archiver_engine", "jpa", "Format of the archive: jpa, jps (encrypted) or zip."
    )
    archive_password: SecretStr = _setting("engine.archiver.jps.key", SecretStr(""), "Password of JPS archives.")
    part_size: int = _setting(
        "engine.archiver.common.part_size",
        0,
        "Size of a part in bytes; below 65536 the archive is one file.",
        ge=0,
        le=1 << 50,
    )
    installer: str = _setting(
        "akeeba.advanced.embedded_installer",
        "none",
        "Packages (JPA) of a PHP restoration script that archives of full backups hold, separated by commas: absolute "
        "paths, or names of files in the folder installers in BACKSTAY_HOME; none: no script.",
    )
    compression: CompressionProfile = _setting(
        "backstay.archiver.compression",
        "balanced",
        "fast, balanced or small: less time or a smaller archive.",
    )
    store_above: int = _setting(
        "backstay.archiver.store_above",
        32 << 20,
        "Files above this many bytes are stored without compression, because the PHP extractors of this format "
        "inflate a file in memory.",
        ge=0,
    )
    verify: VerificationLevel = _setting(
        "backstay.verify", "content", "How a finished archive is checked, read back from the disk."
    )
    drill: bool = _setting(
        "backstay.drill",
        False,
        "After each backup, restore it into a scratch folder and a scratch database and compare everything.",
    )
    drill_database: SecretStr = _setting(
        "backstay.drill.database",
        SecretStr(""),
        "URL of any database on a server where drills may make scratch databases, for example "
        "mysql://root@localhost/mysql; empty: the server of the site's own database.",
    )
    proof_span: int = _setting(
        "backstay.proof.span",
        30,
        "Days within which schedules that verify or drill in rotation come round to each backup that is kept.",
        ge=1,
        le=3650,
    )

    # A repository in place of an archive.
    repository: str = _setting(
        "backstay.repository",
        "",
        "Name of the repository that backups go to, in place of an archive each; see 'backstay repository list'. "
        "They are handed out as archives of the format and part size above.",
    )
    repository_read_all: bool = _setting(
        "backstay.repository_read_all",
        False,
        "Read every file for a backup in a repository, also those whose size, times and inode did not change.",
    )
    repository_reread_days: int = _setting(
        "backstay.repository_reread_days",
        30,
        "Days within which every file is read again for backups in a repository, though it seems not to have changed: "
        "a share of them each day.",
        ge=1,
        le=3650,
    )

    # The database dump.
    dump_part_size: int = _setting(
        "engine.dump.common.splitsize", 524288, "Size of a part of the SQL dump in bytes; 0: one file.", ge=0
    )
    dump_packet_size: int = _setting(
        "engine.dump.common.packet_size", 131072, "Largest INSERT statement in bytes.", ge=1, le=1 << 20
    )
    dump_extended_inserts: bool = _setting(
        "engine.dump.common.extended_inserts", True, "Write several rows into one INSERT statement."
    )
    dump_entities: bool = _setting(
        "engine.dump.native.advanced_entitites",  # the key is spelled so by the reference engine
        True,
        "Dump procedures, functions, triggers and events.",
    )
    dump_strip_engine_options: bool = _setting(
        "engine.dump.native.nobtree",
        False,
        "Leave engine-specific index and row options out of CREATE statements.",
    )
    strict_database: bool = _setting(
        "backstay.database.strict",
        False,
        "Fail where a database server does not give one object (a view whose definer is gone, a crashed table), "
        "rather than warn and back up the rest.",
    )
    blank_out_password: bool = _setting(
        "engine.dump.common.blankoutpass",
        False,
        "Leave the database user and password out of databases.json.",
    )

    # Copies elsewhere. The reference engine deletes the local files by default; Backstay's own profiles keep them.
    destinations: str = _setting(
        "backstay.storage.destinations",
        "",
        "Names of the storages each backup is sent to, separated by commas; see 'backstay storage list'.",
    )
    after_part: bool = _setting(
        "engine.postproc.common.after_part",
        False,
        "Send each part but the first as soon as it is closed, while the backup goes on.",
    )
    delete_after: bool = _setting(
        "engine.postproc.common.delete_after",
        False,
        "Remove the local archive once it has arrived, proven, at every storage of the profile.",
    )
    abort_on_fail: bool = _setting(
        "engine.postproc.common.abort_on_fail",
        False,
        "A backup that does not arrive at every storage has failed, and nothing of it is kept; else that is a warning, "
        "and the local archive stays.",
    )
    storage_patience: int = _setting(
        "backstay.storage.patience",
        360,
        "Minutes for which an upload that does not get on is tried again.",
        ge=0,
        le=100000,
    )

    # Retention. Nothing is deleted until a rule is switched on. First the archives in the output folder.
    maximum_age_enabled: bool = _setting("akeeba.quota.maxage.enable", False, "Delete by age, and only by age.")
    maximum_age_days: int = _setting("akeeba.quota.maxage.maxdays", 31, "Days a backup is kept.", ge=1, le=3650)
    maximum_age_keep_day: int = _setting(
        "akeeba.quota.maxage.keepday",
        1,
        "Day of the month whose backups are kept for ever; 0: none.",
        ge=0,
        le=31,
    )
    count_enabled: bool = _setting("akeeba.quota.enable_count_quota", False, "Keep a number of backups.")
    count: int = _setting("akeeba.quota.count_quota", 3, "Backups that are kept.", ge=1, le=100000)
    size_enabled: bool = _setting("akeeba.quota.enable_size_quota", False, "Keep a total size of backups.")
    size: int = _setting("akeeba.quota.size_quota", 15728640, "Bytes of backups that are kept.", ge=1, le=1 << 50)
    keep_hourly: int = _setting("backstay.retention.hourly", 0, "Hours of which the newest backup is kept.", ge=0)
    keep_daily: int = _setting("backstay.retention.daily", 0, "Days of which the newest backup is kept.", ge=0)
    keep_weekly: int = _setting("backstay.retention.weekly", 0, "Weeks of which the newest backup is kept.", ge=0)
    keep_monthly: int = _setting("backstay.retention.monthly", 0, "Months of which the newest backup is kept.", ge=0)
    keep_yearly: int = _setting("backstay.retention.yearly", 0, "Years of which the newest backup is kept.", ge=0)
    # The rules for copies, applied at each storage by itself.
    remote_as_local: bool = _setting(
        "akeeba.quota.remote",
        False,
        "Apply the rules for local archives to the copies at each storage, unless rules of their own are set below.",
    )
    remote_latest: bool = _setting(
        "akeeba.quota.remote_latest", True, "Count the backup just taken when the rules are applied to copies."
    )
    remote_maximum_age_enabled: bool = _setting(
        "akeeba.quota.remotely.maxage.enable", False, "Delete copies by age, and only by age."
    )
    remote_maximum_age_days: int = _setting(
        "akeeba.quota.remotely.maxage.maxdays", 31, "Days a copy is kept.", ge=1, le=3650
    )
    remote_maximum_age_keep_day: int = _setting(
        "akeeba.quota.remotely.maxage.keepday",
        1,
        "Day of the month whose copies are kept for ever; 0: none.",
        ge=0,
        le=31,
    )
    remote_count_enabled: bool = _setting(
        "akeeba.quota.remotely.enable_count_quota", False, "Keep a number of copies at each storage."
    )
    remote_count: int = _setting(
        "akeeba.quota.remotely.count_quota", 3, "Copies that are kept at each storage.", ge=1, le=100000
    )
    remote_size_enabled: bool = _setting(
        "akeeba.quota.remotely.enable_size_quota", False, "Keep a total size of copies at each storage."
    )
    remote_size: int = _setting(
        "akeeba.quota.remotely.size_quota",
        15728640,
        "Bytes of copies that are kept at each storage.",
        ge=1,
        le=1 << 50,
    )
    remote_keep_hourly: int = _setting(
        "backstay.retention.remote.hourly", 0, "Hours of which the newest copy is kept.", ge=0
    )
    remote_keep_daily: int = _setting(
        "backstay.retention.remote.daily", 0, "Days of which the newest copy is kept.", ge=0
    )
    remote_keep_weekly: int = _setting(
        "backstay.retention.remote.weekly", 0, "Weeks of which the newest copy is kept.", ge=0
    )
    remote_keep_monthly: int = _setting(
        "backstay.retention.remote.monthly", 0, "Months of which the newest copy is kept.", ge=0
    )
    remote_keep_yearly: int = _setting(
        "backstay.retention.remote.yearly", 0, "Years of which the newest copy is kept.", ge=0
    )
    obsolete: int = _setting(
        "akeeba.quota.obsolete_quota", 0, "Records without files that are kept; 0: all.", ge=0, le=100000
    )

    # When an alarm is raised (docs/reference/alarms.md).
    alarms_expected_every: int = _setting(
        "backstay.alarms.expected_every",
        0,
        "Hours within which a new good backup is expected, whatever takes it; 0: only schedules say when.",
        ge=0,
        le=100000,
    )
    alarms_grace: int = _setting(
        "backstay.alarms.grace",
        3,
        "Hours by which a backup may be late before that is an alarm.",
        ge=0,
        le=10000,
    )
    alarms_factor: int = _setting(
        "backstay.alarms.factor",
        2,
        "A backup is suspicious that holds more than so many times the entries, bytes or rows that are usual, or less "
        "than the same part of them; 0: never.",
        ge=0,
        le=1000,
    )
    alarms_emptied: bool = _setting(
        "backstay.alarms.emptied",
        True,
        "A backup is suspicious in which a folder, database or table holds nothing any more.",
    )
    alarms_unchanged: int = _setting(
        "backstay.alarms.unchanged",
        14,
        "A backup is suspicious that holds the same as so many before it, with no file and no row changed; 0: never.",
        ge=0,
        le=10000,
    )
    alarms_warnings: int = _setting(
        "backstay.alarms.warnings",
        1,
        "By how many warnings a backup may not exceed what is usual; 0: warnings are no alarm.",
        ge=0,
        le=100000,
    )
    alarms_free_space: int = _setting(
        "backstay.alarms.free_space",
        5,
        "Percent of the disk that should be free where archives go and in Backstay's own folder; 0: never an alarm.",
        ge=0,
        le=99,
    )

    # How a client is answered, and how a job is run.
    log_level: int = _setting(
        "akeeba.basic.log_level", 4, "0 nothing, 1 errors, 2 warnings, 3 information, 4 all.", ge=0, le=4
    )
    maximum_execution_time: int = _setting(
        "akeeba.tuning.max_exec_time",
        14,
        "Seconds after which a stepBackup is answered at the latest.",
        ge=0,
        le=180,
    )
    attempts: int = _setting(
        "backstay.job.attempts",
        5,
        "How often a backup that died is resumed before it counts as failed.",
        ge=1,
    )

    @field_validator("output_directory", mode="after")
    @classmethod
    def _default_output(cls, value: str) -> str:
        return value or "[DEFAULT_OUTPUT]"

    @field_validator("virtual_folder", mode="after")
    @classmethod
    def _default_virtual_folder(cls, value: str) -> str:
        return virtual_folder(value) or "external_files"

    @property
    def password(self) -> str | None:
        """Password of the archive, where its format has one."""
        return self.archive_password.get_secret_value() or None if self.archive_format == "jps" else None

    @property
    def split_size(self) -> int:
        """Size of a part in bytes; 0: the archive is one file."""
        return self.part_size if self.part_size >= _LEAST_PART else 0

    @property
    def destination_names(self) -> tuple[str, ...]:
        """Names of the storages a backup is sent to, each once, in their order."""
        return tuple(dict.fromkeys(name for part in self.destinations.split(",") if (name := part.strip())))

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> Self:
        """Make settings from values by dotted key.

        Args:
            values: dotted key → value; strings are converted, unknown keys kept.

        Raises:
            ConfigurationError: a value is not of its setting's type or range; the sentence names the key.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            key, reason = next(iter(_reasons(error).items()))
            raise ConfigurationError(f"The setting {key} can't be used: {reason}.") from None


def setting_problems(values: Mapping[str, object]) -> dict[str, str]:
    """Return why settings can't be used: a sentence for each key whose value is not of its setting's type or range."""
    try:
        Settings.model_validate(dict(values))
    except ValidationError as error:
        return {key: f"This can't be used: {reason}." for key, reason in _reasons(error).items()}
    return {}


def _reasons(error: ValidationError) -> dict[str, str]:
    found = error.errors(include_url=False, include_context=False)
    return {".".join(str(piece) for piece in one["loc"]): _because(one) for one in found}


def _because(error: Mapping[str, Any]) -> str:
    """Return why a value was refused, in the words of a person who types settings."""
    kind, value = error["type"], str(error.get("input", ""))
    shown = "" if "input" not in error else f"{value[:40]!r} "
    if kind.startswith("int_"):
        return f"{shown}is not a whole number"
    if kind.startswith("bool_"):
        return f"{shown}is neither 1 nor 0"
    message = str(error["msg"])
    return f"it {message.removeprefix('Input ')}" if message.startswith("Input ") else message
