"""What the rules of alarms look at: plain facts of one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from backstay.catalogue import CompleteBackup, FailedBackup, Run


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The settings ``backstay.alarms.*`` of a profile.

    Attributes:
        expected_every: hours within which a new good backup is expected; 0: only schedules say.
        grace: hours by which one may be late.
        factor: so many times more or less than usual is suspicious; 0: never.
        emptied: what holds nothing any more is suspicious.
        unchanged: so many backups that hold the same are suspicious; 0: never.
        warnings: so many more than usual are an alarm; 0: never.
        free_space: percent of the disk that should be free; 0: never an alarm.
    """

    expected_every: int = 0
    grace: int = 3
    factor: int = 2
    emptied: bool = True
    unchanged: int = 14
    warnings: int = 1
    free_space: int = 5


@dataclass(frozen=True, slots=True)
class FailedProof:
    """A drill or verification of a backup that did not pass.

    Attributes:
        backup_id: number of the backup's record.
        what: which of the two.
        storage: name of the storage whose copy was read; empty: the files here.
        at: moment of its end.
        made: it was made, and found something; else it could not be made, and nothing is known.
        problem: what is wrong, in a sentence.
    """

    backup_id: int
    what: Literal["drill", "verify"]
    storage: str
    at: datetime
    made: bool
    problem: str


@dataclass(frozen=True, slots=True)
class SiteOfProfile:
    """The site that stands on a profile.

    Attributes:
        name: of it.
        remote: it is behind a server of the API.
        paused: a person does not want it to be backed up by itself.
        heard: moment of its server's last answer; None: it never answered.
        not_before: moment before which it is not tried again by itself; None: it is not put off.
    """

    name: str
    remote: bool
    paused: bool
    heard: datetime | None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProfileFacts:
    """One profile.

    Attributes:
        id: its number.
        name: its description.
        thresholds: its settings.
        storages: names of the storages that its backups are sent to.
        last: its newest complete backup; None: it has none.
        failed: its newest failed backup, where nothing was complete after it; else None.
        not_begun: its newest scheduled run that failed before it could begin a backup.
        due: the first moment after that one's end for which a schedule expects another; None: no schedule does.
        stored: storages that have the newest complete backup, and whether it is proven to have arrived there.
        gone: the archive of the newest complete backup, or a part of it, is not on this machine any more.
        unproven: failed drills and verifications of its backups, the newest first.
        site: the site that stands on it; None: none does.
    """

    id: int
    name: str
    thresholds: Thresholds = Thresholds()
    storages: tuple[str, ...] = ()
    last: CompleteBackup | None = None
    failed: FailedBackup | None = None
    not_begun: Run | None = None
    due: datetime | None = None
    stored: Mapping[str, bool] = field(default_factory=dict)
    gone: bool = False
    unproven: Sequence[FailedProof] = ()
    site: SiteOfProfile | None = None


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """One storage as it answered last.

    Attributes:
        name: of it.
        since: moment from which on it has been so.
        problem: ``unreachable``, ``refused`` where it does not take the credentials, ``failing`` for all else; empty:
            it works.
        reason: what it answered, in a sentence without secrets.
    """

    name: str
    since: datetime
    problem: Literal["", "unreachable", "refused", "failing"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """The disk of one folder.

    Attributes:
        folder: its path, for a person.
        at: moment it was looked at.
        free, total: bytes.
        wanted: percent that should be free, the most that a profile which uses the folder asks for.
        needed: bytes that the largest of the profiles' newest archives took there; 0: none is known.
    """

    folder: str
    at: datetime
    free: int
    total: int
    wanted: int
    needed: int = 0


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """One repository as its last check found it.

    Attributes:
        name: of it.
        since: moment from which on it has been so.
        problem: ``damaged``, or ``unread`` where it could not be checked; empty: nothing is wrong.
        reason: what was found, in a sentence or some: which files of which backups.
        backups: names of the backups that the damage hits.
    """

    name: str
    since: datetime
    problem: Literal["", "damaged", "unread"]
    reason: str = ""
    backups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the rules look at.

    Attributes:
        now: the moment.
        profiles: all of them.
        storages: all that were looked at.
        disks: of all folders that archives go to, and of Backstay's own.
        repositories: all that were checked.
    """

    now: datetime
    profiles: Sequence[ProfileFacts] = ()
    storages: Sequence[StorageFacts] = ()
    disks: Sequence[DiskFacts] = ()
    repositories: Sequence[RepositoryFacts] = ()
