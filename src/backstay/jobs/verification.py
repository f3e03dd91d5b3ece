"""Reading all of a backup again, here or at a storage; what that showed is kept in its record, and with the copy."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from blake3 import blake3

from backstay.archives import ExtractProgress
from backstay.catalogue import Backup
from backstay.errors import (
    ArchiveError,
    NotFoundError,
    UsageError,
    VerificationError,
    WrongPasswordError,
)
from backstay.jobs.archive_of import CopiedArchive, RecordArchive, archive_here, archive_of
from backstay.jobs.installation import Installation
from backstay.jobs.records import get_backup
from backstay.jobs.stored_backups import copies_sentence, password_of

HERE = ""
"""Stands for this machine where a storage is named."""
_PIECE = 1 << 20
_KEPT_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading all of a backup has shown.

    Attributes:
        backup_id: number of its record.
        storage: name of the destination that was read; ``HERE`` for the files on this machine.
        entries: entries read.
        bytes: bytes of content read.
        problems: what is wrong, a sentence each.
        compared: contents were compared with their hashes; else only the structure was checked.
    """

    backup_id: int
    storage: str
    entries: int
    bytes: int
    problems: tuple[str, ...]
    compared: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as it is kept in a backup's record, with this moment in UTC."""
        return {
            "ok": not self.problems,
            "at": datetime.now(UTC).isoformat(),
            "entries": self.entries,
            "bytes": self.bytes,
            "compared": self.compared,
            "problems": list(self.problems[:_KEPT_PROBLEMS]),
        }


def verify_backup(
    installation: Installation,
    backup_id: int,
    *,
    storage: str = "",
    password: str | None = None,
    here_only: bool = False,
) -> Generator[ExtractProgress, None, Verification]:
    """Read all of a backup and compare it with what was written; the result is kept, good or bad.

    Args:
        installation: whose.
        backup_id: number of the record.
        storage: name of the destination whose copy is read; empty: the local files where they are there.
        password: of the archive; None: that of its profile.
        here_only: read no copy where the local files are gone: that they are is what is kept then.

    Yields:
        How far it is.

    Returns:
        What it has shown.

    Raises:
        NotFoundError: there is no such backup or copy, or it is gone from its place.
        UsageError: the backup is not complete.
        ArchiveError: the archive cannot be read so far that its problems could be named.
        BackstayError: the destination cannot be reached.
    """
    backup = get_backup(installation, backup_id)
    if backup.status != "complete":
        raise UsageError(
            f"Backup {backup_id} is not complete (its state is {backup.meta}): only whole ones are verified."
        )
    where = archive_here(installation, backup) if here_only else archive_of(installation, backup, storage)
    with _keeping_error(installation, backup_id, where):
        if backup.type == "dbonly":
            found = yield from _hashed(backup, where)
        else:
            found = yield from _read(backup, where, password or password_of(installation, backup))
    _keep(installation, found, where)
    return found


def damage_error(installation: Installation, found: Verification) -> VerificationError:
    """Return the error that names what a verification has found, and where a copy lies."""
    where = f" at {found.storage}" if found.storage else ""
    copies = "" if found.storage else copies_sentence(installation, found.backup_id)
    problems = " ".join(found.problems[:_KEPT_PROBLEMS])
    return VerificationError(f"Backup {found.backup_id}{where} is damaged: {problems} {copies}".rstrip())


def _read(backup: Backup, where: RecordArchive, password: str | None) -> Generator[ExtractProgress, None, Verification]:
    with where.open(password) as archive:
        report = yield from archive.verifying()
    problems = [problem.message for problem in report.problems]
    written = backup.proof.get("manifest")
    if written and report.manifest_hash and written != report.manifest_hash:
        problems.append("The manifest is not the one that was written when the backup was taken.")
    return Verification(
        backup.id, where.storage, report.entries, report.bytes, tuple(problems), compared=report.used_manifest
    )


def _hashed(backup: Backup, where: RecordArchive) -> Generator[ExtractProgress, None, Verification]:
    """Compare the parts of a backup that is no archive with the hashes that its record has."""
    listed = {str(part["name"]): part for part in backup.proof.get("parts", ())}
    total = sum(int(part["size"]) for part in listed.values())
    done, problems = 0, []
    for name, part in listed.items():
        digest, size = blake3(), 0
        for piece in where.stream(name):
            digest.update(piece)
            size += len(piece)
            done += len(piece)
            yield ExtractProgress(path=name, entries=0, bytes=done, total=total)
        if size != int(part["size"]) or part["blake3"] not in ("", digest.hexdigest()):
            problems.append(f"{name} is not what was written.")
    return Verification(backup.id, where.storage, len(listed), done, tuple(problems), compared=True)


@contextmanager
def _keeping_error(installation: Installation, backup_id: int, where: RecordArchive) -> Iterator[None]:
    """Keep an error that is about the backup itself, not about the way to it, as what the verification has shown."""
    try:
        yield
    except WrongPasswordError:
        raise
    except (ArchiveError, NotFoundError, OSError) as error:
        if isinstance(error, ArchiveError) or where.is_gone():
            _keep(installation, Verification(backup_id, where.storage, 0, 0, (str(error),), compared=False), where)
        raise


def _keep(installation: Installation, found: Verification, where: RecordArchive) -> None:
    copy = where.copy if isinstance(where, CopiedArchive) else None
    if copy is None and not get_backup(installation, found.backup_id).filesexist:
        # Retention removed the files while they were read: they are not damaged.
        return
    kept = found.to_json()
    installation.catalogue.backups.update_proof(
        found.backup_id,
        lambda proof: {**proof, "verifications": {**proof.get("verifications", {}), found.storage: kept}},
    )
    if copy is None:
        return
    if found.problems:
        installation.catalogue.copies.update(copy.id, error=" ".join(found.problems[:_KEPT_PROBLEMS]))
    else:
        how = "reading all of it and comparing each content with its hash" if found.compared else "reading all of it"
        installation.catalogue.copies.update(
            copy.id, proven_at=datetime.fromisoformat(kept["at"]), proven_how=how, error=""
        )
