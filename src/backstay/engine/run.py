"""Taking one backup: its domains in order, from a fresh start or from the last checkpoint."""

from __future__ import annotations

import contextlib
import errno
import glob
import logging
import os
import shutil
import stat
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backstay.archives import (
    ArchiveSummary,
    ArchiveWriter,
    Compression,
    PackWarning,
    Source,
    create_archive,
    pack,
    resume_archive,
)
from backstay.catalogue import Backup, Catalogue, Home
from backstay.databases import copy_sqlite
from backstay.engine.contents import (
    Section,
    Survey,
    database_entries,
    first_entries,
    is_own,
    listed,
    off_site_entries,
    site_entry,
    survey,
    trees,
)
from backstay.engine.dumping import Dumped, Dumping, dumped_from
from backstay.engine.finalization import Finalization
from backstay.engine.plan import Plan
from backstay.engine.progress import CHAINS, Domain, Progress
from backstay.engine.scanner import Scanner, Tree, position
from backstay.engine.warnings import Warnings
from backstay.errors import BackstayError, BackupFailedError, DiskFullError
from backstay.storage import free_space

_CHECKPOINT_SECONDS = 5.0
# Text and markup shrink to a third or less; below this share of the content no archive can be expected to fit.
_LEAST_SHARE = 0.2

_log = logging.getLogger(__name__)


class BackupRun:
    """One backup while it is being taken.

    Everything that must survive a death lies in the checkpoint: the archive's position, the section of its contents
    and the last path in it that is whole, and the dumps once they are whole.
    """

    def __init__(self, catalogue: Catalogue, home: Home, backup: Backup, plan: Plan, checkpoint: dict[str, Any] | None):
        self._catalogue = catalogue
        self._home = home
        self._backup = backup
        self._plan = plan
        self._settings = plan.settings
        self._folder = home.job(backup.id)
        self._checkpoint: dict[str, Any] = checkpoint or {}
        self._chain = CHAINS[self._settings.backup_type]
        self.warnings = Warnings(catalogue, backup.id)
        self._copies = self._folder / "sqlite"
        self._spool = self._folder / "spool"
        self._writer: ArchiveWriter | None = None
        self._dumping: Dumping | None = None
        self._dumps: list[Dumped] | None = None
        self._survey = Survey(0, 0, 0, 0, {})
        self._trees: list[Tree] = []
        self._saved_at = time.monotonic()
        self._files = 0
        self._bytes_read = 0
        self._bytes_written = 0

    def run(self) -> Generator[Progress]:
        """Take the backup to its end; yield how far it is.

        When the iterator ends the record says ``complete``. When it raises, the record says ``fail`` and why, and no
        part of the archive is left. Closing the iterator early leaves the backup as it is, to be taken up again.

        Raises:
            BackstayError: the backup failed.
        """
        try:
            yield from self._domains()
        except GeneratorExit:
            self._let_go()
            raise
        except Exception as error:
            self._let_go()
            self._fail(error)
            raise
        finally:
            self.warnings.flush()

    def _domains(self) -> Iterator[Progress]:
        yield Progress("init", step="Initialization")
        summary = None
        if self._settings.backup_type == "dbonly":
            yield from self._dump_only()
        elif closed := self._checkpoint.get("closed"):
            summary = _summary(closed)
        else:
            self._begin()
            for section_number, section in enumerate(self._sections()):
                yield from self._pack_section(section_number, section)
            yield from self._close()
            summary = _summary(self._checkpoint["closed"])
        finalization = Finalization(self._catalogue, self._home, self._backup, self._plan, self.warnings)
        for progress in finalization.run(summary):
            yield self._with_counts(progress)
        shutil.rmtree(self._spool, ignore_errors=True)

    # ------------------------------------------------------------------ begin

    def _begin(self) -> None:
        plan, settings = self._plan, self._settings
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        archive = Path(plan.archive)
        archive.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if "Packing" in self._chain:
            self._trees = trees(plan, (self._home.path, archive.parent), on_warning=self.warnings.add)
            self._survey = survey(self._trees)
            _log.info("Found %d files of %d bytes", self._survey.files, self._survey.size)
        self._check_space(archive.parent)
        password = settings.archive_password.get_secret_value() or None
        if state := self._checkpoint.get("writer"):
            _log.info("Going on behind %s", self._checkpoint.get("after", ""))
            self._writer = resume_archive(state, password=password, work_directory=self._folder)
        else:
            _remove_parts(archive)
            self._writer = create_archive(
                archive,
                format=settings.archive_format,
                part_size=settings.part_size,
                password=password,
                compression=Compression(settings.compression),
                comment=plan.description,
                work_directory=self._folder,
                store_above=settings.store_above,
            )
            self._save(section=0, after="")
        self._catalogue.backups.update(self._backup.id, archivename=archive.name, absolute_path=str(archive))
        self._begin_dump()

    def _begin_dump(self) -> None:
        if not self._plan.databases:
            return
        self._dumps = dumped_from(self._checkpoint)
        if self._dumps is None:
            shutil.rmtree(self._spool, ignore_errors=True)
            self._dumping = Dumping(self._plan, self._spool, on_warning=self.warnings.add)
            self._dumping.start()

    def _check_space(self, folder: Path) -> None:
        free = free_space(folder) + int(self._checkpoint.get("bytes_written", 0))
        if free < self._survey.size * _LEAST_SHARE:
            raise DiskFullError(
                f"There are {free >> 20} MiB free in {folder} and {self._survey.size >> 20} MiB to back up: "
                "free some space there, or set another output folder."
            )

    # ------------------------------------------------------------------ contents

    def _sections(self) -> list[Section]:
        first = [site_entry(self._plan)]
        if "installer" in self._chain:
            first += first_entries(self._plan) + off_site_entries(self._plan)
        domain: Domain = "installer" if "installer" in self._chain else "Packing"
        sections = [Section(domain, lambda after: listed(first, after))]
        sections += [Section("Packing", self._tree_sources(tree)) for tree in self._trees]
        if self._plan.databases:
            sections.append(Section("PackDB", self._database_sources))
        return sections

    def _tree_sources(self, tree: Tree) -> Callable[[str], Iterator[Source]]:
        scanner = Scanner(
            tree, copy_database=self._copy_database, on_warning=self.warnings.add, is_reserved=self._is_reserved
        )
        return scanner.sources

    def _is_reserved(self, path: str) -> bool:
        # Without a restoration layout only the archive's manifest has names of its own.
        return is_own(path) if "installer" in self._chain else path.startswith("installation/backstay/")

    def _database_sources(self, after: str) -> Iterator[Source]:
        yield from listed(database_entries(self._plan, self._dumps or []), after)

    def _copy_database(self, path: bytes) -> str:
        """Copy a live SQLite database into the job's folder; return the copy's path."""
        self._copies.mkdir(mode=0o700, exist_ok=True)
        copy = self._copies / str(time.monotonic_ns())
        copy_sqlite(Path(os.fsdecode(path)), copy)
        # The entry gets the mode and time of the site's own file, and packing reads them from what it packs.
        status = os.stat(path)  # noqa: PTH116 - the path is bytes
        copy.chmod(stat.S_IMODE(status.st_mode))
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        return str(copy)

    def _pack_section(self, number: int, section: Section) -> Iterator[Progress]:
        resumed_in = int(self._checkpoint.get("section", 0))
        if number < resumed_in:
            return
        if section.domain == "PackDB":
            yield from self._wait_for_dump()
        after = str(self._checkpoint.get("after", "")) if number == resumed_in else ""
        ahead: deque[Source] = deque()

        def sources() -> Iterator[Source]:
            for source in section.sources(after):
                ahead.append(source)
                yield source

        place = after
        last: str | None = None
        for packed in pack(self._open_writer(), sources(), on_warning=self._pack_warning):
            if packed.path is not None and packed.path != last:
                last = packed.path
                place = self._pass(ahead, last) or place
            self._files, self._bytes_read, self._bytes_written = packed.entries, packed.bytes_in, packed.bytes_out
            self._remember_dump()
            if time.monotonic() - self._saved_at >= _CHECKPOINT_SECONDS:
                self._save(section=number, after=place)
            yield self._progress(section.domain, last or "")
        shutil.rmtree(self._copies, ignore_errors=True)
        self._save(section=number + 1, after="")

    def _pass(self, ahead: deque[Source], path: str) -> str:
        """Forget the sources up to a path that is whole in the archive now; return its position.

        Paths may be passed over: what could not be stored has no entry.
        """
        while ahead:
            source = ahead.popleft()
            if source.file is not None and Path(source.file).parent == self._copies:
                Path(source.file).unlink(missing_ok=True)
            if source.path == path:
                return position(source)
        return ""

    def _pack_warning(self, warning: PackWarning) -> None:
        self.warnings.add(warning.message)

    def _remember_dump(self) -> None:
        """Keep the dumps in the next checkpoint as soon as they are whole."""
        if self._dumping is not None and not self._dumping.running():
            self._dumps = self._dumping.results()
            self._dumping = None
            self._checkpoint["dump"] = [asdict(dumped) for dumped in self._dumps]

    def _wait_for_dump(self) -> Iterator[Progress]:
        while self._dumping is not None:
            self._dumping.wait(0.1)
            yield self._progress("PackDB", "")
            self._remember_dump()
        self._save(section=int(self._checkpoint.get("section", 0)), after=str(self._checkpoint.get("after", "")))

    def _dump_only(self) -> Iterator[Progress]:
        archive = Path(self._plan.archive)
        archive.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._catalogue.backups.update(self._backup.id, archivename=archive.name, absolute_path=str(archive))
        self._dumping = Dumping(self._plan, self._spool, on_warning=self.warnings.add)
        self._dumping.start()
        while self._dumping.running():
            self._dumping.wait(0.1)
            yield self._progress("PackDB", "")
        self._dumping.results()

    def _close(self) -> Iterator[Progress]:
        yield self._progress("finale", "Closing the archive")
        summary = self._open_writer().close()
        self._writer = None
        self._checkpoint["closed"] = {**asdict(summary), "parts": [str(part) for part in summary.parts]}
        self._checkpoint.pop("writer", None)
        self._catalogue.jobs.update(self._backup.id, checkpoint=self._checkpoint)

    def _open_writer(self) -> ArchiveWriter:
        if self._writer is None:
            raise BackupFailedError("The archive is not open: this is an error of Backstay, please report it.")
        return self._writer

    # ------------------------------------------------------------------ state

    def _save(self, *, section: int, after: str) -> None:
        """Make what was packed so far safe, then say so: in this order, or a power cut would promise too much."""
        if self._writer is None:
            return
        self._checkpoint.update(
            writer=self._writer.checkpoint(), section=section, after=after, bytes_written=self._bytes_written
        )
        self._catalogue.jobs.update(self._backup.id, checkpoint=self._checkpoint)
        self._saved_at = time.monotonic()

    def _progress(self, domain: Domain, step: str) -> Progress:
        dumping = self._dumping
        size = max(1, self._survey.size)
        substep = ""
        rows = 0
        fraction = 0.0 if domain == "finale" else min(1.0, self._bytes_read / size)
        if dumping is not None and dumping.progress is not None:
            # The dump runs beside the packing: while it lasts, its domain is the one that is told.
            domain, step = "PackDB", dumping.progress.table
            substep = f"{dumping.progress.rows_done} / {dumping.progress.rows_total}"
            rows = dumping.progress.rows_done
            fraction = dumping.fraction
        return self._with_counts(Progress(domain, step=step, substep=substep, fraction=fraction, rows=rows))

    def _with_counts(self, progress: Progress) -> Progress:
        return replace(
            progress,
            files=self._files,
            bytes_read=self._bytes_read,
            bytes_written=self._bytes_written,
            bytes_expected=self._survey.size,
        )

    def _let_go(self) -> None:
        if self._dumping is not None:
            self._dumping.stop()
            self._dumping = None

    def _fail(self, error: Exception) -> None:
        message = _sentence(error)
        _log.error("%s", message, exc_info=None if isinstance(error, BackstayError) else error)
        with contextlib.suppress(OSError, BackstayError):
            if self._writer is not None:
                self._writer.abort()
        if self._settings.backup_type == "dbonly":
            Path(self._plan.archive).unlink(missing_ok=True)
        shutil.rmtree(self._copies, ignore_errors=True)
        shutil.rmtree(self._spool, ignore_errors=True)
        self._catalogue.backups.update(
            self._backup.id,
            status="fail",
            error=message,
            backupend=datetime.now(UTC),
            filesexist=False,
            multipart=0,
            instep=False,
        )


def _summary(stored: dict[str, Any]) -> ArchiveSummary:
    return ArchiveSummary(**{**stored, "parts": [Path(part) for part in stored["parts"]]})


def _sentence(error: Exception) -> str:
    if isinstance(error, BackstayError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"There is no space left on the disk ({error.filename or 'while writing'}): free some and start again."
    return f"Something went wrong that Backstay did not expect ({type(error).__name__}: {error}); the log has the rest."


def discard(plan: Plan, folder: Path) -> None:
    """Remove every part of the archive of a backup that will not be taken up again, and its spools.

    Args:
        plan: of the backup.
        folder: of its job.
    """
    _remove_parts(Path(plan.archive))
    for name in ("sqlite", "spool"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _remove_parts(archive: Path) -> None:
    """Remove what there is of an archive; its name is random, so that whatever begins with it is its own."""
    for left in archive.parent.glob(f"{glob.escape(archive.stem)}.*"):
        left.unlink(missing_ok=True)
