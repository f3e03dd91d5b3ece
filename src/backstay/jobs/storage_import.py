"""Records made again from what lies at a destination: all that a bare machine needs to restore from there.

Everything that is read comes from outside: a document may be damaged, or made by whoever can write there. One that is
not what it should be is refused with a sentence, and the others are imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from backstay.archives import ArchiveReader, open_parts
from backstay.catalogue import Backup, Copy, CopyPart, NamedDestination
from backstay.engine import refresh_remote_filename
from backstay.engine.document import LARGEST, SUFFIX, BackupDocument, read_document
from backstay.errors import BackstayError, ConnectionFailedError, NotFoundError, StorageError, WrongPasswordError
from backstay.jobs.archive_facts import YEARS, moment_in, page_about
from backstay.jobs.installation import Installation
from backstay.jobs.stored_backups import StoredParts, parts_among
from backstay.storage import Destination, StoredFile, open_destination
from backstay.storage.names import is_safe_name

_ARCHIVES = (".jpa", ".jps", ".zip")
_WORD = re.compile(r"[\w.+-]{0,255}", re.ASCII)
_PROOF: Mapping[str, type] = {"level": str, "ok": bool, "at": str, "manifest": str, "entries": int}
_LONGEST_FACT = 200


@dataclass(slots=True)
class ImportReport:
    """What was found at a destination.

    Attributes:
        imported: records that were made, oldest first.
        known: archives that the catalogue knew there already.
        refused: a sentence for each document or archive that was not imported.
    """

    imported: list[Backup] = field(default_factory=list)
    known: int = 0
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Found:
    """A backup at a destination: its document, or one made of its archive."""

    folder: str
    document: BackupDocument
    modified: datetime | None


def import_storage(installation: Installation, name: str, password: str | None = None) -> ImportReport:
    """Make the records of all backups that lie at a destination and that the catalogue does not know.

    Args:
        installation: that gets the records; it knows the destination.
        name: of the destination.
        password: of encrypted archives that have no document beside them.

    Raises:
        NotFoundError: there is no destination of that name, or nothing where it should be.
        BackstayError: it cannot be reached.
    """
    destination = installation.catalogue.destinations.get(name)
    report = ImportReport()
    with open_destination(destination.url, destination.secrets) as place:
        files = {file.name: file for file in place.list() if _is_safe(file, report)}
        known = {copy.file_name(copy.parts[-1].name) for copy in installation.catalogue.copies.at(name) if copy.parts}
        found = list(_documents(place, files, known, report))
        found += _without_document(destination, files, known, password, report)
    records = _Records(installation, destination)
    for one in sorted(found, key=lambda one: one.document.record.backupstart):
        report.imported.append(records.made(one))
    return report


def _is_safe(file: StoredFile, report: ImportReport) -> bool:
    if is_safe_name(file.name):
        return True
    report.refused.append(f"{file.name[:200]!r} is no name that Backstay gives: it was left alone.")
    return False


def _documents(
    place: Destination, files: Mapping[str, StoredFile], known: set[str], report: ImportReport
) -> Iterator[_Found]:
    for name, file in files.items():
        if not name.endswith(SUFFIX):
            continue
        main = name.removesuffix(SUFFIX)
        if main in known:
            report.known += 1
            continue
        try:
            if file.size > LARGEST:
                raise StorageError(f"{name} is too large for the document of a backup: {file.size} bytes.")
            document = read_document(place.read(name, 0, file.size), name)
            folder = main[: len(main) - len(PurePosixPath(main).name)]
            _check(document, folder, PurePosixPath(main).name, files, name)
        except ConnectionFailedError:
            raise
        except BackstayError as error:
            report.refused.append(str(error))
            continue
        yield _Found(folder, document, file.modified)


def _check(document: BackupDocument, folder: str, main: str, files: Mapping[str, StoredFile], name: str) -> None:
    """Refuse a document that is not of the archive beside it.

    Raises:
        StorageError: why.
    """
    record = document.record
    if record.archivename != main or document.parts[-1].name != main:
        raise StorageError(f"{name} is the document of another archive than the one it lies beside.")
    pattern = re.compile(re.escape(main[:-2]) + r"\d{2,}", re.ASCII) if len(main) > 4 else None
    names = [part.name for part in document.parts]
    if len(set(names)) < len(names) or any(pattern is None or not pattern.fullmatch(part) for part in names[:-1]):
        raise StorageError(f"{name} names parts that are none of its archive.")
    for part in document.parts:
        there = files.get(folder + part.name)
        if there is None:
            raise StorageError(f"{name} lists the part {part.name}, which is not there: the copy is incomplete.")
        if there.size != part.size:
            raise StorageError(
                f"{name} lists {part.name} with {part.size} bytes, and it has {there.size}: the copy is damaged."
            )
    words = (record.origin, record.type, record.tag or "", record.backupid or "")
    if not all(_WORD.fullmatch(word) for word in words):
        raise StorageError(f"{name} holds a name that no backup has.")
    if any(moment and moment.year not in YEARS for moment in (record.backupstart, record.backupend)):
        raise StorageError(f"{name} holds a time at which no backup can have been taken.")


def _without_document(
    destination: NamedDestination,
    files: Mapping[str, StoredFile],
    known: set[str],
    password: str | None,
    report: ImportReport,
) -> Iterator[_Found]:
    sizes = {name: file.size for name, file in files.items()}
    for name, file in files.items():
        if not name.endswith(_ARCHIVES) or name + SUFFIX in files:
            continue
        if name in known:
            report.known += 1
            continue
        try:
            parts = parts_among(sizes, name, destination.name)
            place = open_destination(destination.url, destination.secrets)
            with open_parts(StoredParts(place, destination.name, parts), password=password) as archive:
                yield _described_by(archive, name, parts, file)
        except ConnectionFailedError:
            raise
        except WrongPasswordError:
            report.refused.append(
                f"{name} has no document beside it and is encrypted: give its password in BACKSTAY_PASSWORD."
            )
        except BackstayError as error:
            report.refused.append(f"{name} has no document beside it, and can't be read: {error}")


def _described_by(archive: ArchiveReader, name: str, parts: Sequence[tuple[str, int]], file: StoredFile) -> _Found:
    """Make the document of an archive by what it says of itself.

    Raises:
        StorageError: it has no manifest.
        DamagedArchiveError: it is damaged.
    """
    if not archive.has_manifest:
        raise StorageError("it is no archive of Backstay's, for it has no manifest.")
    entries = sum(1 for _ in archive.manifest())
    information = page_about(archive)
    base = PurePosixPath(name).name
    document = {
        "written": datetime.now(UTC),
        "record": {
            "description": f"Found at the storage as {base}",
            "backupstart": moment_in(information.get("backup_date")) or file.modified or datetime.now(UTC),
            "archivename": base,
            "multipart": len(parts) if len(parts) > 1 else 0,
            "proof": {"entries": entries},
        },
        "site": {"host": str(information.get("host", ""))[:_LONGEST_FACT]},
        "parts": [{"name": PurePosixPath(part).name, "size": size, "blake3": ""} for part, size in parts],
    }
    return _Found(name[: len(name) - len(base)], BackupDocument.model_validate(document), file.modified)


class _Records:
    """Makes records, or adds a copy to the one that stands for the same backup."""

    def __init__(self, installation: Installation, destination: NamedDestination) -> None:
        self._catalogue = installation.catalogue
        self._destination = destination
        self._profiles = {profile.id: profile.description for profile in self._catalogue.profiles.all()}
        self._known = {_identity(backup): backup for backup in reversed(self._catalogue.backups.newest())}

    def made(self, found: _Found) -> Backup:
        document = found.document
        parts = [part.model_dump() for part in document.parts]
        identity = (document.record.backupid, document.record.archivename, _parts(parts))
        backup = self._known.get(identity)
        number = backup.id if backup else self._create(document, parts)
        self._add_copy(number, found)
        refresh_remote_filename(self._catalogue, number)
        made = self._catalogue.backups.get(number)
        if made is None:
            raise NotFoundError(f"The backup {number} was deleted while it was imported: import again.")
        self._known[identity] = made
        return made

    def _create(self, document: BackupDocument, parts: list[dict[str, Any]]) -> int:
        record = document.record
        same = self._profiles.get(document.profile.id) == document.profile.name
        made = self._catalogue.backups.create(
            # A profile that only has the same number must not apply its rules to it.
            profile_id=document.profile.id if same else 0,
            backupstart=record.backupstart,
            type=record.type,
            description=record.description,
            comment=record.comment,
            origin=record.origin,
            tag=record.tag,
            backupid=record.backupid,
            archivename=record.archivename,
        )
        facts = {name: record.proof[name] for name, kind in _PROOF.items() if type(record.proof.get(name)) is kind}
        facts = {name: fact[:_LONGEST_FACT] if isinstance(fact, str) else fact for name, fact in facts.items()}
        self._catalogue.backups.update(
            made.id,
            status="complete",
            backupend=record.backupend,
            multipart=len(parts) if record.multipart else 0,
            total_size=sum(part["size"] for part in parts),
            warning_count=0,
            filesexist=False,
            proof={**facts, "parts": parts, "imported": self._destination.name},
        )
        return made.id

    def _add_copy(self, number: int, found: _Found) -> Copy:
        moment = found.modified or found.document.written
        existing = self._catalogue.copies.find(number, self._destination.name)
        if existing is not None:
            # The same backup in two folders of one destination: one of them is enough.
            return existing
        return self._catalogue.copies.create(
            number,
            self._destination.name,
            created=moment,
            folder=found.folder,
            state="stored",
            parts=[CopyPart(part.name, part.size, part.blake3) for part in found.document.parts],
            sent_at=moment,
            proven_how="found there, with all its parts as long as they should be",
        )


def _identity(backup: Backup) -> tuple[str | None, str, tuple[tuple[str, int, str], ...]]:
    return backup.backupid, backup.archivename, _parts(backup.proof.get("parts", ()))


def _parts(parts: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, int, str], ...]:
    return tuple((str(part.get("name")), int(part.get("size", 0)), str(part.get("blake3", ""))) for part in parts)
