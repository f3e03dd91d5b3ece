"""What recipients are notified of: one event as plain data, the kinds there are, and who wants which."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

PROBLEMS: Final[Mapping[str, str]] = {
    "failed": "a backup failed",
    "silent": "a site does not answer",
    "warnings": "a backup gave more warnings than usual",
    "late": "a backup is late",
    "suspicious": "a backup is suspicious",
    "drill": "a drill failed",
    "verification": "a verification failed",
    "repository": "a repository is damaged",
    "copy": "a copy is missing",
    "storage": "a storage does not answer",
    "credential": "a storage refuses its password or key",
    "disk": "a disk is nearly full",
}
"""Kinds of events that are problems, those of alarms, each with the title of its messages."""

NEWS: Final[Mapping[str, str]] = {
    "closed": "a problem is over",
    "started": "a backup has begun",
    "succeeded": "a backup is complete and verified",
    "digest": "a summary of the day or the week",
}
"""Kinds of events that are none."""

GROUPS: Final[Mapping[str, str]] = {"problems": "every kind of problem", "all": "everything but digests"}
DEFAULT_KINDS: Final = ("problems", "closed")
PING_KINDS: Final = ("started", "succeeded", "failed")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; each recipient that wants it is notified of it once.

    Attributes:
        key: what makes it one event, for example ``alarm:12:opened`` or ``backup:7:failed``.
        kind: a key of `PROBLEMS` or `NEWS`.
        title: a few words, on one line.
        message: what happened and why, for a person.
        advice: what to do; empty where there is nothing to do.
        since: moment from which it is so; None where that is when it happened.
        profile_id: number of the profile it is about; None where it is about none.
        profile: name of that profile.
        site: folder or name of the site.
        backup_id: number of the record it is about.
        link: address of a page about it.
        command: what to type to see more.
        log_tail: end of the backup's log, for pings of health checks.
        alarm: kind of the alarm that is over, in an event of the kind ``closed``.
        at: moment it happened; None: when it is published.
    """

    key: str
    kind: str
    title: str
    message: str
    advice: str = ""
    since: datetime | None = None
    profile_id: int | None = None
    profile: str = ""
    site: str = ""
    backup_id: int | None = None
    link: str = ""
    command: str = ""
    log_tail: str = ""
    alarm: str = ""
    at: datetime | None = None

    @property
    def identity(self) -> str:
        """What it is known by: that a backup failed is one event, whether its alarm says so or the backup's end."""
        return f"backup:{self.backup_id}:failed" if self.kind == "failed" and self.backup_id else self.key

    @property
    def is_problem(self) -> bool:
        """Whether something is wrong."""
        return self.kind not in NEWS and self.kind != "test"

    @property
    def ends_backup(self) -> bool:
        """Whether it is the start or the end of one backup, not an alarm."""
        return self.key.startswith("backup:")


def wants(kinds: Collection[str], profiles: Collection[int], event: Event, *, is_ping: bool = False) -> bool:
    """Return whether an event is for a recipient.

    That a backup failed opens an alarm once, however many fail after it. Those who want
    to hear of each backup that succeeded, and health checks, hear of each that failed, too.

    Args:
        kinds: what the recipient asked for: kinds and groups of them.
        profiles: numbers of the profiles it is about; empty: all.
        event: what happened.
        is_ping: the recipient is a health check, which hears of starts and ends of backups only.
    """
    if (profiles and event.profile_id not in profiles) or event.kind == "digest":
        return False  # a digest is made for each recipient that has one
    if is_ping:
        return event.ends_backup and event.kind in kinds
    if event.kind == "failed" and event.ends_backup:
        return bool({"all", "succeeded"} & set(kinds))
    return "all" in kinds or _asked_for(set(kinds), event)


def _asked_for(kinds: set[str], event: Event) -> bool:
    if event.kind == "closed" and event.alarm:
        chosen = kinds & (PROBLEMS.keys() | {"problems"})
        return "closed" in kinds and (not chosen or bool(chosen & {"problems", event.alarm}))
    return event.kind in kinds or ("problems" in kinds and event.is_problem)


_MOMENTS = ("since", "at")


def event_as_json(event: Event) -> dict[str, Any]:
    """Return an event as plain JSON."""
    values = {item.name: getattr(event, item.name) for item in fields(event)}
    return {
        name: value.isoformat() if name in _MOMENTS and value is not None else value for name, value in values.items()
    }


def event_from_json(values: Mapping[str, Any]) -> Event:
    """Return the event that `event_as_json` stored; fields of other versions are left out."""
    known = {item.name for item in fields(Event)}
    kept = {name: value for name, value in values.items() if name in known}
    for name in _MOMENTS:
        kept[name] = datetime.fromisoformat(kept[name]) if kept.get(name) else None
    return Event(**kept)
