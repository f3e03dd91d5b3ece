"""A backup that becomes a snapshot of a repository."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from backstay.archives import ArchiveSummary, Compression, PackProgress, PackWarning, Source
from backstay.catalogue import Backup, Catalogue, Home, SnapshotPart, SnapshotRow
from backstay.engine.contents import Survey
from backstay.engine.files import snapshot_path
from backstay.engine.plan import Plan
from backstay.engine.progress import Progress
from backstay.engine.scanner import Looking
from backstay.engine.snapshots import let_go_of_snapshot, repository_by_name
from backstay.errors import ArchiveError, BackstayError, BackupFailedError, NotFoundError
from backstay.repository.archive_bytes import hand_out
from backstay.repository.entry_formats import Form
from backstay.repository.marks import new_id
from backstay.repository.opened import Repository
from backstay.repository.seen import SeenReader, SeenWriter
from backstay.repository.taking import SnapshotTaking
from backstay.repository.writing import SnapshotWriter

_SEEN = "seen"

_log = logging.getLogger(__name__)


class RepositoryTarget:
    """The snapshot of one backup; see `backstay.engine.target.Target`.

    After a death the walk begins anew: what lies in packs is found again, and files are not read that the backup before
    has seen.

    Args:
        catalogue: of the installation.
        home: of the installation.
        backup: its record.
        plan: of the backup.
    """

    is_sent = False

    def __init__(self, catalogue: Catalogue, home: Home, backup: Backup, plan: Plan) -> None:
        self._catalogue = catalogue
        self._home = home
        self._backup = backup
        self._plan = plan
        self._settings = plan.settings
        self._name = self._settings.repository
        self.path = snapshot_path(home, self._name, backup.id, Path(plan.archive).name)
        self._snapshot = ""
        self._repository: Repository | None = None
        self._writer: SnapshotWriter | None = None
        self._before: SeenReader | None = None
        self._after: SeenWriter | None = None
        self._taking: SnapshotTaking | None = None
        self.finished_parts: tuple[Path, ...] = ()

    @property
    def counts_first(self) -> bool:
        """The site is counted before it is read, unless the backup before says what is to be expected."""
        return self._catalogue.counts.before(self._backup.id, self._backup.profile_id, self._backup.type) is None

    @property
    def last_path(self) -> str | None:
        """The last path that was taken."""
        return self._open_taking().last_path

    def prepare(self) -> None:
        """It has its folder."""

    def check_space(self, found: Survey) -> None:
        """How much of it is new, and so how much space it takes, is not known before."""
        del found

    def create(self) -> None:
        """Begin the snapshot."""
        repository = self._opened()
        self._snapshot = new_id()
        self._writer = SnapshotWriter(repository, compression=Compression(self._settings.compression))
        # What is newer than some moment says nothing of the rest.
        notes = self._plan.newer_than is None
        path = self._home.repositories / self._name / _SEEN / str(self._plan.profile_id)
        about = bytes.fromhex(repository.description.id)
        if notes and not self._settings.repository_read_all:
            self._before = SeenReader(path, about, self._settings.repository_reread_days)
        self._after = SeenWriter(path, about) if notes else None
        packs = self._before.packs if self._before is not None else set()
        trusted = bool(packs) and packs <= _sound(repository)
        self._taking = SnapshotTaking(self._writer, self._before, self._after, trusted=trusted)

    def resume(self, state: dict[str, Any]) -> ArchiveSummary | None:
        """Find a snapshot that was written just before its writer died; any other is begun anew."""
        self._snapshot = str(state["snapshot"])
        try:
            snapshot = self._opened().snapshot(self._snapshot)
        except BackstayError as error:
            raise ArchiveError("The process that wrote it died; what it has stored already is found again.") from error
        return ArchiveSummary([], snapshot.added, snapshot.entries, snapshot.size, "")

    def looking(self, tree: int) -> Looking | None:
        """Look what the backup before has seen of a path."""
        taking, prefix = self._open_taking(), tree.to_bytes(2, "big")
        return lambda key, status, mode, implied: taking.look(prefix + key, status, mode, implied=implied)

    def pack(self, sources: Iterable[Source], on_warning: Callable[[PackWarning], None]) -> Iterator[PackProgress]:
        """Take sources into the snapshot."""
        return self._open_taking().take(sources, on_warning)

    def checkpoint(self) -> dict[str, Any]:
        """Give the identity that the snapshot will have."""
        return {"snapshot": self._snapshot}

    def close(self) -> ArchiveSummary:
        """Write the snapshot; the repository proves each pack and the snapshot itself where they lie."""
        repository, taking = self._opened(), self._open_taking()
        if self._writer is None:
            raise _not_open()
        snapshot = self._writer.finish(self._record(), self._snapshot)
        self._writer = None
        if self._after is not None:
            # It is a cache: without it the next backup reads all files.
            with contextlib.suppress(BackstayError):
                self._after.finish(sorted(_sound(repository)))
            self._after = None
        _log.info(
            "Stored %d bytes as snapshot %s of %s; %d paths had not changed",
            snapshot.added, snapshot.id, self._name, taking.not_read,
        )  # fmt: skip
        return ArchiveSummary([], snapshot.added, snapshot.entries, snapshot.size, "")

    def _record(self) -> dict[str, Any]:
        return {
            "description": self._plan.description,
            "comment": self._plan.comment,
            "archive": self.path.name,
            "format": self._settings.archive_format,
            "part_size": self._settings.split_size,
            "backup_id": self._backup.id,
            "profile_id": self._plan.profile_id,
            "type": self._settings.backup_type,
            "backupstart": self._plan.started,
        }

    def release(self) -> None:
        """Give up what is being written, and close what is read."""
        if self._before is not None:
            self._before.close()
            self._before = None
        if self._after is not None:
            self._after.discard()
            self._after = None
        if self._writer is not None:
            # Whatever stands in the way of that: the next writer removes what a dead one has left.
            with contextlib.suppress(BackstayError):
                self._writer.abort()
            self._writer = None
        if self._repository is not None:
            self._repository.close()
            self._repository = None

    def prove(self, summary: ArchiveSummary | None) -> Generator[Progress, None, dict[str, Any]]:
        """Find how large the archive is as which it is handed out; what is new was proven when it was stored."""
        yield Progress("finale", step="Updating file sizes", fraction=0.2)
        repository = self._opened()
        snapshot = repository.snapshot(self._identity())
        form = Form(self._settings.archive_format, self._settings.split_size, self._plan.description)
        parts = [SnapshotPart(*part) for part in hand_out(repository, snapshot, form, self.path.stem).parts]
        row = SnapshotRow(self._backup.id, self._name, snapshot.id, form._asdict(), tuple(parts), snapshot.added)
        self._catalogue.snapshots.create(row)
        self.release()
        return {
            "multipart": len(parts) if form.part_size else 0,
            "total_size": sum(part.size for part in parts),
            "proof": {
                "level": "new",
                "parts": [],
                "manifest": "",
                "entries": summary.entries if summary is not None else 0,
                "repository": self._name,
                "added": snapshot.added,
            },
        }

    def remove(self) -> list[str]:
        """Remove the snapshot where it was written already."""
        self.release()
        identity = self._identity()
        try:
            if let_go_of_snapshot(self._catalogue, self._home, self._backup.id) or not identity:
                return []
            with self._reopened() as repository, contextlib.suppress(NotFoundError):
                repository.remove_snapshot(identity)
        except BackstayError as error:
            return [f"What was stored of it in the repository {self._name} may still be there: {error}"]
        return []

    # ------------------------------------------------------------------ what is open

    def _opened(self) -> Repository:
        if self._repository is None:
            self._repository = self._reopened()
        return self._repository

    def _reopened(self) -> Repository:
        return repository_by_name(self._catalogue, self._home, self._name)

    def _identity(self) -> str:
        """Give the identity of the snapshot, which another process may have chosen."""
        if self._snapshot:
            return self._snapshot
        job = self._catalogue.jobs.get(self._backup.id)
        state = (job.checkpoint or {}).get("writer", {}) if job is not None else {}
        return str(state.get("snapshot", ""))

    def _open_taking(self) -> SnapshotTaking:
        if self._taking is None:
            raise _not_open()
        return self._taking


def _not_open() -> BackupFailedError:
    return BackupFailedError("The snapshot is not open: this is an error of Backstay, please report it.")


def _sound(repository: Repository) -> set[str]:
    """Give the packs of which all chunks may be referred to."""
    condemned, damaged = repository.index.marked()
    return set(repository.index.packs()) - condemned - {pack for pack, _ in damaged}
