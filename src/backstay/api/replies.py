"""What methods answer, as models: written with the exact keys, order and types of the API, read leniently.

Backstay answers numbers as numbers. Other servers answer ``"id": "24"``, ``HasRun: 1``, ``api: "350"`` or null where
a text is meant (api-methods.md 1 to 3); all of that is read too, and keys that are not known are kept.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from backstay.api.conversion import Boolean, Integer, boolean, clean_text, integer, mapping


def _message(value: object) -> str:
    if isinstance(value, str):
        return clean_text(value, keep_bytes=True)
    return "" if value is None or isinstance(value, (dict, list)) else str(value)


def _optional_text(value: object) -> str | None:
    return None if value is None else _message(value)


def _messages(value: object) -> list[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [_message(member) for member in value]
    return [_message(value)] if value else []


def _members(value: object) -> object:
    """A list that PHP wrote as an object with numeric keys, as a list again."""
    if isinstance(value, dict):
        return list(value.values())
    return [] if value is None else value


Said = Annotated[str, BeforeValidator(_message)]
MaybeSaid = Annotated[str | None, BeforeValidator(_optional_text)]
Names = Annotated[list[str], BeforeValidator(_messages)]
Object = Annotated[dict[str, Any], BeforeValidator(mapping)]


def _named(key: str, default: Any, description: str = "") -> Any:
    return Field(default, validation_alias=key, serialization_alias=key, description=description)


class Reply(BaseModel):
    """Base of all replies that are objects."""

    model_config = ConfigDict(extra="allow", frozen=True, validate_by_name=True, serialize_by_alias=True)


def _is_missing(value: object) -> bool:
    """Whether a key is left out of the JSON because it has no value."""
    return value is None


class VersionInfo(Reply):
    """Reply of getVersion."""

    api: Integer = Field(default=0, description="API level, for example 400.")
    component: Said = Field(default="", description="Version of the software that answers.")
    date: Said = Field(default="", description="Its release date, YYYY-MM-DD.")
    edition: Said = Field(default="", description="`pro` or `core`.")
    updateinfo: dict[str, Any] | list[Any] | None = Field(
        default=None, exclude_if=_is_missing, description="Result of the update check; up to level 400."
    )


class ProfileItem(Reply):
    """One profile in the reply of getProfiles."""

    id: Integer = Field(default=1, description="Number of the profile.")
    name: Said = Field(default="", description="Its title.")


class StepReply(Reply):
    """Reply of startBackup and stepBackup: how far a backup is (api-methods.md 2, status table)."""

    has_run: Boolean = _named("HasRun", False, "True: call stepBackup again. False: finished.")
    domain: Said = _named("Domain", "", "`init`, `installer`, `PackDB`, `Packing` or `finale`.")
    step: Said = _named("Step", "", "What is being worked on.")
    substep: Said = _named("Substep", "", "How far that is.")
    error: Said = _named("Error", "", "Empty while all is well.")
    warnings: Names = _named("Warnings", [], "Warnings since the last reply.")
    error_exception: Any = _named("ErrorException", None, "Always null.")
    archive: Said = _named("Archive", "", "Base name of the archive.")
    tag: Said = Field(default="json", description="Always `json`.")
    progress: Integer = _named("Progress", 0, "0 to 100.")
    backupid: MaybeSaid = Field(
        default=None, description="Give it to the next stepBackup; the same for the whole backup."
    )
    sleep_time: Integer = _named("sleepTime", 0, "Milliseconds to wait before the next call.")
    step_number: Integer = _named("stepNumber", 0, "Grows by one with each call.")
    step_state: Said = _named("stepState", "", "`init`, `prepared`, `running`, `postrun`, `finished` or `error`.")
    backup_id: Integer = _named("BackupID", 0, "Number of the backup record.")
    profile: Integer = _named("Profile", 0, "Number of the profile.")


class RawRecord(Reply):
    """A backup record's columns, in the order of the API (api-methods.md 3)."""

    id: Integer = Field(default=0, description="Number of the record.")
    description: Said = ""
    comment: Said = Field(default="", description="May hold HTML.")
    backupstart: MaybeSaid = Field(default=None, description="YYYY-MM-DD HH:MM:SS, UTC.")
    backupend: MaybeSaid = Field(
        default=None, description="As backupstart; `0000-00-00 00:00:00` or null until finished."
    )
    status: Said = Field(default="", description="`run`, `fail` or `complete`.")
    origin: Said = Field(default="", description="Who asked for it: `json`, `cli`, `backend` …")
    type: Said = Field(default="", description="Backup type: `full`, `dbonly`, `fileonly` …")
    profile_id: Integer = 1
    archivename: Said = Field(default="", description="Base name of the main part.")
    absolute_path: Said = Field(default="", description="Path of the main part on the server.")
    multipart: Integer = Field(default=0, description="Number of parts; 0 or 1 is one part.")
    tag: MaybeSaid = None
    backupid: MaybeSaid = None
    filesexist: Integer = Field(default=0, description="1: the parts are on the server.")
    remote_filename: MaybeSaid = Field(
        default=None,
        description=(
            "`engine://path` of the first copy at a storage: the engine is `amazons3`, `googlestoragejson`, `azure`, "
            "`sftp`, `webdav`, `ftp`, `folder` or `rclone`, the path begins with the bucket or server; null: none."
        ),
    )
    total_size: Integer = Field(default=0, description="Bytes; 0 until known.")
    frozen: Integer = Field(default=0, description="1: protected from deletion.")
    instep: Integer = Field(default=0, description="1: a step is being worked on.")


class BackupRecord(RawRecord):
    """A record as listBackups answers it."""

    meta: Said = Field(default="", description="`ok`, `obsolete`, `remote`, `pending` or `fail`.")
    has_remote_files: Boolean = _named("hasRemoteFiles", False)
    size: Annotated[int | None, BeforeValidator(lambda value: None if value is None else integer(value))] = Field(
        default=None, exclude_if=_is_missing, description="Bytes; only if the files are there."
    )


class PartFile(Reply):
    """One file of an archive."""

    part: Integer = Field(default=1, description="From 1; the main file is the last.")
    name: Said = Field(default="", description="Base name.")
    size: Integer = Field(default=0, description="Bytes.")


class BackupInfo(RawRecord):
    """Reply of getBackupInfo: the record and its files."""

    filenames: Annotated[list[PartFile], BeforeValidator(_members)] = []
    drill: dict[str, Any] | None = Field(
        default=None,
        exclude_if=_is_missing,
        description="Backstay only, and only where the backup was drilled: `verdict`, `at`, `seconds`, `problems`.",
    )


class ProfileExport(Reply):
    """Reply of exportConfiguration."""

    description: Said = Field(default="", description="Title of the profile.")
    configuration: Said = Field(default="", description="The configuration as JSON text, not encrypted.")
    filters: Said = Field(default="", description="The filters as JSON text.")


class Crumb(Reply):
    """A step on the way to a folder."""

    label: Said = ""
    folder: Said = ""


class FolderListing(Reply):
    """Reply of browse."""

    folder: Said = Field(default="", description="The folder, its variables replaced.")
    folder_raw: Said = Field(default="", description="The folder as it was asked for.")
    parent: Said = ""
    exists: Boolean = False
    in_root: Boolean = _named("inRoot", False, "Whether it lies in the site's root.")
    openbasedir_restricted: Boolean = _named("openbasedirRestricted", False, "Whether the server may not read it.")
    writable: Boolean = False
    subfolders: Names = []
    breadcrumbs: Annotated[list[Crumb], BeforeValidator(_members)] = []


class Root(Reply):
    """A root of databases or files that filters belong to."""

    value: Said = Field(default="", description="Name of the root, for the `root` parameter.")
    text: Said = Field(default="", description="What it is, for people.")


class FilterItem(Reply):
    """A plain filter."""

    node: Said = Field(default="", description="Table name or relative path.")
    type: Said = Field(
        default="", description="`tables`, `tabledata`; `directories`, `skipdirs`, `skipfiles` or `files`."
    )


class RegexFilterItem(Reply):
    """A filter by regular expression."""

    type: Said = Field(default="", description="`regextables`, `regextabledata`, `regexdirectories` …")
    item: Said = Field(default="", description="PCRE with delimiters; a leading `!` negates.")


class FilterChange(Reply):
    """Reply of a method that sets one filter."""

    success: Boolean = False
    newstate: Boolean = Field(default=False, description="Whether the filter is set now.")


class TableEntity(Reply):
    """One table, view or routine and how filters see it."""

    type: Said = Field(
        default="table", description="`table`, `view`, `merge`, `temp`, `procedure`, `function` or `trigger`."
    )
    tables: Integer = Field(
        default=0, description="0 backed up, 1 excluded, 2 excluded by an expression or the platform."
    )
    tabledata: Integer = Field(default=0, description="The same for its rows; 2 where it has none.")
    engine: MaybeSaid = None
    rows: Annotated[int | None, BeforeValidator(lambda value: None if value is None else integer(value))] = None
    data_length: Integer = _named("dataLength", 0, "Bytes.")
    index_length: Integer = _named("indexLength", 0, "Bytes.")


def _entities(value: object) -> object:
    """An empty map, which PHP writes as ``[]``, as a map again."""
    return value or {}


class DatabaseEntities(Reply):
    """Reply of getDBEntities."""

    tables: Annotated[dict[str, TableEntity], BeforeValidator(_entities)] = {}
    root: Said = ""


class FolderEntity(Reply):
    """A folder and how filters see it: 0 backed up, 1 excluded, 2 excluded by an expression or the platform."""

    directories: Integer = 0
    skipfiles: Integer = 0
    skipdirs: Integer = 0
    link: Boolean = False


def _size(value: object) -> int | str:
    """Bytes where a server reports them; the text of level 400, such as ``1.50 MB``, as it is."""
    if isinstance(value, str) and not re.fullmatch(r"\d{1,18}", value):
        return _message(value)
    return integer(value)


class FileEntity(Reply):
    """A file and how filters see it, as for folders."""

    files: Integer = 0
    size: Annotated[int | str, BeforeValidator(_size)] = Field(default=0, description="Bytes.")
    link: Boolean = False


class FileEntities(Reply):
    """Reply of getFSEntities."""

    folders: Annotated[dict[str, FolderEntity], BeforeValidator(_entities)] = {}
    files: Annotated[dict[str, FileEntity], BeforeValidator(_entities)] = {}
    root: Said = ""
    crumbs: Annotated[list[Any], BeforeValidator(_members)] = []


class DatabaseConnection(Reply):
    """An included database, as getIncludedDBs answers it."""

    host: Said = ""
    port: Said = ""
    driver: Said = ""
    username: Said = Field(default="", validation_alias=AliasChoices("username", "user"))
    password: Annotated[str, BeforeValidator(_message)] = Field(default="", repr=False)
    database: Said = ""
    prefix: Said = ""
    dump_file: Said = _named("dumpFile", "")


class ConnectionTest(Reply):
    """Reply of testDBConnection."""

    status: Boolean = False
    message: Said = ""


def _places(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): [*map(_message, _as_list(place))] for key, place in value.items()}
    return {}


def _as_list(place: object) -> list[object]:
    if isinstance(place, dict):
        return list(place.values())
    return place if isinstance(place, list) else [place, ""]


def _numbers(value: object) -> object:
    """A list of numbers; what is no list says only whether it worked, which servers answer with an error if not."""
    members = _members(value) if isinstance(value, (list, dict)) else []
    return [integer(member) for member in members] if isinstance(members, list) else []


Flag = Annotated[bool, BeforeValidator(boolean)]
Imported = Annotated[list[int], BeforeValidator(_numbers)]
Document = Annotated[str, BeforeValidator(_message)]
Profiles = Annotated[list[ProfileItem], BeforeValidator(_members)]
Records = Annotated[list[BackupRecord], BeforeValidator(_members)]
Roots = Annotated[list[Root], BeforeValidator(_members)]
FilterItems = Annotated[list[FilterItem], BeforeValidator(_members)]
RegexFilterItems = Annotated[list[RegexFilterItem], BeforeValidator(_members)]
IncludedDirectories = Annotated[dict[str, list[str]], BeforeValidator(_places)]
IncludedDatabases = Annotated[dict[str, DatabaseConnection], BeforeValidator(_entities)]
UpdateInformation = Object
