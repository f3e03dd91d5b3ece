"""Many sites as a list in CSV: read with an error for each line that cannot be used, and written."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from backstay.catalogue import ROOT_KEY, Connection, Group, NewSite, Schedule, Site
from backstay.errors import BackstayError, UsageError
from backstay.fleet.sites import (
    KEPT_KEY,
    KEPT_SWITCH,
    SiteDetails,
    checked_name,
    known_servers,
    local_site,
    refuse_known,
    remote_site,
)
from backstay.jobs.durations import parse_duration, shown_duration
from backstay.jobs.installation import Installation
from backstay.jobs.profiles import DATABASE_KEY
from backstay.jobs.storage import DESTINATIONS_KEY

COLUMNS: Final[Mapping[str, str]] = {
    "name": "unique; made from the address where it is empty",
    "address": "of the site or its API; a folder of this machine makes a local site",
    "group": "name of its group, which is made where it is not there",
    "tags": "separated by blanks",
    "notes": "for people",
    "paused": "yes or no; not backed up by itself",
    "profile": "number of the server's backup profile; 1 where it is empty",
    "keep_there": "backups that stay on the server; as it is where it is empty",
    "verify_tls": "yes or no; whether the server's certificate is checked",
    "storages": "names of storages that its backups are sent to, separated by blanks",
    "keep": "backups that are kept; all where it is empty",
    "schedule": "cron expression, or @daily",
    "time_zone": "in which the schedule is meant",
    "spread": "span of which it waits its share: 2h",
    "secret": "secret word or token of the server",
    "database": "URL of the database of a local site; found by itself where it is empty",
}
"""The columns of a list, in their order, each with what is in it."""

SECRET_COLUMNS: Final = ("secret", "database")
LARGEST: Final = 64 << 20
_YES: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that cannot be used: its number in the file, the name or address in it, and why, in a sentence."""

    line: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a list.

    Attributes:
        sites: those that were added.
        refused: lines that cannot be used.
        groups: names of groups that were made.
    """

    sites: tuple[Site, ...] = ()
    refused: tuple[Refused, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    values: Mapping[str, str] = field(repr=False)

    @property
    def shown(self) -> str:
        return self.values.get("name") or self.values.get("address") or ""


def import_sites(
    installation: Installation, content: bytes, *, secret: str = "", skip_bad: bool = False, dry_run: bool = False
) -> Imported:
    """Add the sites of a list, all of them or none; no server is asked.

    Args:
        installation: whose.
        content: the list, see `COLUMNS`.
        secret: of the servers whose line has none.
        skip_bad: add the others where lines cannot be used.
        dry_run: look, and add nothing.

    Returns:
        What was added; where lines are refused and not skipped, nothing.

    Raises:
        UsageError: it is no such list.
    """
    ready: list[NewSite] = []
    refused: list[Refused] = []
    names = {site.name for site in installation.catalogue.sites.all()}
    known = known_servers(installation)
    for line in _lines(content):
        try:
            new = _new_site(installation, line.values, secret)
            refuse_known(known, new)
            if new.site.name in names:
                raise UsageError(f"There is a site named {new.site.name} already: give another name.")
            if new.site.profile_id and any(one.site.profile_id == new.site.profile_id for one in ready):
                raise UsageError("Its folder is another line's already.")
        except BackstayError as error:
            refused.append(Refused(line.number, line.shown, str(error)))
            continue
        ready.append(new)
        names.add(new.site.name)
        if new.connection is not None:
            known[new.site.address, new.connection.profile] = new.site.name
    if dry_run or not ready or (refused and not skip_bad):
        return Imported(refused=tuple(refused))
    made = _make_groups(installation, (one.site.group for one in ready))
    return Imported(tuple(installation.catalogue.sites.create_all(ready)), tuple(refused), made)


def export_sites(installation: Installation, sites: Iterable[Site], *, with_secrets: bool = False) -> str:
    """Return sites as a list in CSV that ``import_sites`` reads.

    Args:
        installation: whose.
        sites: which.
        with_secrets: whether secrets of servers and URLs of databases are in it.
    """
    chosen = list(sites)
    configurations = installation.catalogue.profiles.configurations_of(site.profile_id for site in chosen)
    connections = installation.catalogue.sites.connections()
    schedules: dict[int, Schedule] = {}
    for one in installation.catalogue.schedules.all():
        if one.what == "backup":
            schedules.setdefault(one.profile_id, one)
    columns = [name for name in COLUMNS if with_secrets or name not in SECRET_COLUMNS]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for site in chosen:
        settings = configurations.get(site.profile_id, {})
        writer.writerow(_row(site, settings, connections.get(site.id), schedules.get(site.profile_id)))
    return text.getvalue()


def _lines(content: bytes) -> list[_Line]:
    """Return the lines of a list that hold something, their values without blanks around them."""
    if len(content) > LARGEST:
        raise UsageError(f"The list has more than {LARGEST >> 20} MiB: cut it into several.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("The list is not in UTF-8: save it as 'CSV UTF-8'.") from None
    heading = text.partition("\n")[0]
    # Spreadsheets write semicolons where the comma is the decimal sign.
    delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        _check_columns(columns)
        return [
            _Line(reader.line_num, _named(columns, values))
            for values in reader
            if any(value.strip() for value in values)
        ]
    except csv.Error as error:
        raise UsageError(f"Line {reader.line_num} of the list is no CSV: {error}.") from None


def _check_columns(columns: list[str]) -> None:
    known = ", ".join(COLUMNS)
    if "address" not in columns:
        raise UsageError(f"The first line of the list names its columns, and one of them is address: {known}.")
    for name in columns:
        if name not in COLUMNS:
            raise UsageError(f"The list has a column {name[:40]!r}, and these are known: {known}.")
        if columns.count(name) > 1:
            raise UsageError(f"The list has the column {name} twice.")


def _named(columns: list[str], values: list[str]) -> dict[str, str]:
    if any(value.strip() for value in values[len(columns) :]):
        return {"": "more"}
    return {name: value.strip() for name, value in zip(columns, values, strict=False)}


def _new_site(installation: Installation, values: Mapping[str, str], secret: str) -> NewSite:
    """Return the site of a line.

    Raises:
        BackstayError: it cannot be one.
    """
    if "" in values:
        raise UsageError("It has more values than there are columns: put quotes around what holds a comma.")
    address = values.get("address", "")
    if not address:
        raise UsageError("It has no address.")
    if group := values.get("group", ""):
        checked_name(group)
    details = SiteDetails(
        name=values.get("name", ""),
        group=group,
        tags=tuple(_words(values.get("tags", ""))),
        notes=values.get("notes", ""),
        paused=_read(values, "paused", _yes, default=False),
        storages=tuple(_words(values.get("storages", ""))),
        keep=_read(values, "keep", _whole, default=0) or None,
        at=values.get("schedule", ""),
        time_zone=values.get("time_zone", ""),
        spread=_read(values, "spread", parse_duration, default=timedelta(0)),
    )
    if is_folder(address):
        return local_site(installation, Path(address).expanduser(), values.get("database", ""), details)
    connection = Connection(
        values.get("secret") or secret,
        endpoint={},
        profile=_read(values, "profile", _whole, default=1),
        keep_there=_read(values, "keep_there", _whole_or_none, default=None),
        verify_tls=_read(values, "verify_tls", _yes, default=True),
    )
    return remote_site(installation, address, connection, details)


def is_folder(address: str) -> bool:
    """Return whether an address is the path of a folder."""
    return address.startswith(("/", "~", "./", "../")) or address in (".", "..")


def _read(values: Mapping[str, str], name: str, read: Callable[[str], _Value], *, default: _Value) -> _Value:
    text = values.get(name, "")
    if not text:
        return default
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"{text[:40]!r} can't be in the column {name}: it is {error}.") from None


def _yes(text: str) -> bool:
    if text.lower() not in _YES:
        raise ValueError("yes or no")
    return _YES[text.lower()]


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise ValueError("a number")
    return int(text)


def _whole_or_none(text: str) -> int | None:
    return _whole(text)


def _words(text: str) -> list[str]:
    return re.split(r"[\s,;]+", text) if text else []


def _make_groups(installation: Installation, names: Iterable[str]) -> tuple[str, ...]:
    known = {group.name for group in installation.catalogue.groups.all()}
    made = tuple(sorted({name for name in names if name} - known))
    for name in made:
        installation.catalogue.groups.create(Group(0, name, datetime.now(UTC)))
    return made


def _row(
    site: Site, settings: Mapping[str, str], connection: Connection | None, schedule: Schedule | None
) -> dict[str, object]:
    row: dict[str, object] = {
        "name": site.name,
        "address": site.address if site.kind == "remote" else settings.get(ROOT_KEY, ""),
        "group": site.group,
        "tags": " ".join(site.tags),
        "notes": site.notes,
        "paused": "yes" if site.paused else "no",
        "storages": " ".join(_words(settings.get(DESTINATIONS_KEY, ""))),
        "keep": settings.get(KEPT_KEY, "") if settings.get(KEPT_SWITCH) == "1" else "",
        "database": settings.get(DATABASE_KEY, ""),
    }
    if schedule is not None:
        row |= {"schedule": schedule.at, "time_zone": schedule.time_zone}
        row["spread"] = shown_duration(timedelta(seconds=schedule.spread)) if schedule.spread else ""
    if connection is not None:
        row |= {
            "profile": connection.profile,
            "keep_there": "" if connection.keep_there is None else connection.keep_there,
            "verify_tls": "yes" if connection.verify_tls else "no",
            "secret": connection.secret,
        }
    return row
