"""Records made of the backups in a repository that the catalogue does not know: all that a bare machine needs.

What a snapshot says of its backup may have been written by whoever can write there: it is bounded, and names nothing
but files without a folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from backstay.archives.parts import MINIMUM_PART_SIZE
from backstay.catalogue import Backup
from backstay.errors import BackstayError
from backstay.jobs.archive_facts import moment_in
from backstay.jobs.installation import Installation
from backstay.jobs.records import LONGEST_TEXT, get_backup
from backstay.jobs.repositories import opened_repository
from backstay.jobs.repository_records import note_snapshot
from backstay.repository.entry_formats import FORMATS, Form
from backstay.repository.layout import Snapshot
from backstay.repository.opened import Repository

_STEM: Final = re.compile(r"[\w.@+ -]{1,150}")
_TYPE: Final = re.compile(r"[a-z]{1,20}", re.ASCII)
_LARGEST_PART: Final = 1 << 40


@dataclass(slots=True)
class AdoptReport:
    """What was found in a repository.

    Attributes:
        adopted: records that were made, oldest first.
        known: backups that had one already.
        refused: a sentence for each backup that is damaged.
    """

    adopted: list[Backup] = field(default_factory=list)
    known: int = 0
    refused: list[str] = field(default_factory=list)


def adopt_backups(installation: Installation, name: str) -> AdoptReport:
    """Make a record of each backup in a repository that has none here.

    Args:
        installation: that gets the records; it knows the repository.
        name: of the repository.

    Raises:
        NotFoundError: there is no repository of that name.
        BackstayError: it cannot be read.
    """
    report = AdoptReport()
    known = {row.snapshot for row in installation.catalogue.snapshots.at(name)}
    with opened_repository(installation, name) as repository:
        whole, damaged = repository.snapshots()
        report.refused += [f"The backup {identity} is damaged, and was left out." for identity in damaged]
        for snapshot in whole:
            if snapshot.id in known or _is_being_taken(installation, snapshot):
                report.known += 1
                continue
            try:
                report.adopted.append(_adopted(installation, name, repository, snapshot))
            except BackstayError as error:
                report.refused.append(f"The backup {snapshot.id} was left out: {error}")
    return report


def _is_being_taken(installation: Installation, snapshot: Snapshot) -> bool:
    """Return whether a backup that has not ended here is about to say that it is this snapshot."""
    number = snapshot.record.get("backup_id")
    backup = installation.catalogue.backups.get(number) if type(number) is int and 0 < number < 1 << 62 else None
    return backup is not None and backup.status == "run"


def _adopted(installation: Installation, name: str, repository: Repository, snapshot: Snapshot) -> Backup:
    said, backups = snapshot.record, installation.catalogue.backups
    kind = _text(said, "type", 20)
    made = backups.create(
        # A profile of that number is another machine's.
        profile_id=0,
        backupstart=moment_in(said.get("backupstart")) or snapshot.created,
        type=kind if _TYPE.fullmatch(kind) else "full",
        description=_text(said, "description", LONGEST_TEXT) or f"Found in the repository {name}",
        comment=_text(said, "comment", LONGEST_TEXT),
    )
    try:
        note_snapshot(installation, name, repository, snapshot, made.id, _form(said), _stem(name, snapshot))
    except BaseException:
        backups.delete(made.id)
        raise
    proof = {"entries": snapshot.entries, "parts": [], "imported": f"the repository {name}"}
    backups.update(made.id, status="complete", backupend=snapshot.created, proof=proof)
    return get_backup(installation, made.id)


def _text(said: dict[str, Any], key: str, longest: int) -> str:
    value = said.get(key)
    return value[:longest] if isinstance(value, str) else ""


def _form(said: dict[str, Any]) -> Form:
    """Return as what the backup was handed out, as far as it says so."""
    format_name, part_size = said.get("format"), said.get("part_size")
    size = part_size if type(part_size) is int and MINIMUM_PART_SIZE <= part_size <= _LARGEST_PART else 0
    if format_name not in FORMATS or not isinstance(format_name, str):
        return Form("jpa", size)
    return Form(format_name, size, _text(said, "description", LONGEST_TEXT) if format_name == "zip" else "")


def _stem(name: str, snapshot: Snapshot) -> str:
    stem = PurePosixPath(_text(snapshot.record, "archive", 200)).stem
    return stem if _STEM.fullmatch(stem) else f"{name}-{snapshot.created:%Y%m%d-%H%M%S}-{snapshot.id[:8]}"
