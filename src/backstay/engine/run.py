"""Taking one backup: its domains in order, from a fresh start or from the last checkpoint."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from backstay.archives import ArchiveSummary, PackWarning, Source
from backstay.catalogue import Backup, Catalogue, Counts, Home
from backstay.databases import copy_sqlite
from backstay.engine.contents import (
    Section,
    Survey,
    database_entries,
    first_entries,
    installer_entries,
    is_own,
    listed,
    off_site_entries,
    site_entry,
    survey,
    trees,
)
from backstay.engine.counting import FolderCounts, Holdings, with_dumps, with_sqlite
from backstay.engine.dumping import Dumped, Dumping, keep_dumps, kept_dumps
from backstay.engine.early_sending import EarlySending
from backstay.engine.failures import of_writing, sentence_of
from backstay.engine.finalization import Finalization
from backstay.engine.installer import read_files
from backstay.engine.parts import WORK
from backstay.engine.plan import MAIN_DUMP, Plan
from backstay.engine.progress import CHAINS, Domain, Progress, shown
from backstay.engine.scanner import Scanner, Tree, position
from backstay.engine.sending import withdraw_copies
from backstay.engine.target import discard, target_of
from backstay.engine.warnings import Warnings
from backstay.errors import ArchiveError, BackstayError
from backstay.profiles import Settings
from backstay.storage import sync

_CHECKPOINT_SECONDS = 5.0
_FLUSH_SECONDS = 0.1
# What of a checkpoint is true of an archive that is begun anew.
_KEPT = ("dump", "skipped", "holdings")

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
        self._work = self._folder / WORK
        self._copies = self._work / "sqlite"
        self._spool = self._work / "spool"
        self._kept_dumps = self._spool / "dumps"
        self._target = target_of(catalogue, home, backup, plan)
        self._opened = False
        self._dumping: Dumping | None = None
        self._dumps: list[Dumped] | None = None
        early = self._settings.destination_names if self._settings.after_part else ()
        self._early = EarlySending(home, backup.id, early)
        self._survey = Survey()
        self._trees: list[Tree] = []
        self._counted: FolderCounts | None = None
        self._installer_paths: frozenset[str] = frozenset()
        self._saved_at = time.monotonic()
        self._files = 0
        self._bytes_read = 0
        self._bytes_written = 0

    def run(self) -> Generator[Progress]:
        """Take the backup to its end; yield how far it is.

        When the iterator ends the record says ``complete``. When it raises, the record says ``fail`` and why, and no
        part of the archive is left. Closing the iterator early leaves the backup as it is, to be resumed.

        Raises:
            BackstayError: the backup failed.
        """
        try:
            with contextlib.closing(self._domains()) as steps:
                for progress in steps:
                    self.warnings.flush(at_most_every=_FLUSH_SECONDS)
                    yield progress
        except GeneratorExit:
            self._release()
            raise
        except Exception as error:
            self._release()
            self._fail(error)
            raise
        finally:
            self.warnings.flush()

    def _domains(self) -> Generator[Progress]:
        yield Progress("init", step="Initialization")
        self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync([self._work.parent, self._folder.parent])
        self._target.prepare()
        path = self._target.path
        self._catalogue.backups.claim(self._backup.id, path.name, str(path))
        if self._backup.proof.get("ok"):
            _log.info("The archive was proven before: what is left is sending it")
        elif self._settings.backup_type == "dbonly":
            yield from self._dump_only()
        elif "closed" not in self._checkpoint:
            yield from self._write_archive()
        # What follows needs the archive alone; what it was made from is gone before anything says "complete".
        self._early.end()
        shutil.rmtree(self._work, ignore_errors=True)
        closed = self._checkpoint.get("closed")
        summary = _summary(closed) if closed else None
        if summary is not None:
            self._files, self._bytes_read = summary.entries, summary.uncompressed_size
            self._bytes_written = summary.total_size
        finalization = Finalization(self._catalogue, self._home, self._backup, self._plan, self.warnings, self._target)
        for progress in finalization.run(summary, self._holdings(), skipped=self._checkpoint.get("skipped", 0)):
            yield self._with_counts(progress)

    def _write_archive(self) -> Iterator[Progress]:
        self._begin()
        if "closed" in self._checkpoint:
            return
        for section_number, section in enumerate(self._sections()):
            yield from self._pack_section(section_number, section)
        yield from self._close()

    # ------------------------------------------------------------------ begin

    def _begin(self) -> None:
        self._read_installer()
        shutil.rmtree(self._copies, ignore_errors=True)
        if self._checkpoint.get("dump"):
            self._dumps = kept_dumps(self._kept_dumps, self._catalogue.vault)
            if self._dumps is None:
                _log.warning("The dumps that were finished are gone: the archive is begun anew")
                self._checkpoint = {}
        # The database has no need to wait until the files are counted.
        self._begin_dump()
        if not self._plan.databases:
            self._note_dumps([])
        if "Packing" in self._chain:
            own = (self._home.path, Path(self._plan.archive).parent)
            self._trees = trees(self._plan, own, on_warning=self.warnings.add)
            if self._target.counts_first:
                self._count()
            else:
                self._counted = FolderCounts()
        self._target.check_space(self._survey)
        self._open_target()
        if "closed" in self._checkpoint:
            self._release()

    def _count(self) -> None:
        folders = FolderCounts()
        self._survey = survey(self._trees, store_above=_stored_above(self._settings), counted=folders)
        self._note(replace(self._holdings(), files=folders.held(self._counts_before())))
        _log.info("Found %d files of %d bytes", self._survey.files, self._survey.size)

    def _open_target(self) -> None:
        state = self._checkpoint.get("writer")
        if state is not None:
            _log.info("Going on behind %s", shown(self._checkpoint.get("after", "")))
            try:
                closed = self._target.resume(state)
            except ArchiveError as error:
                _log.warning("It is begun anew: %s", error)
                self._checkpoint = {key: self._checkpoint[key] for key in _KEPT if key in self._checkpoint}
            else:
                self._opened = closed is None
                if closed is not None:
                    self._checkpoint["closed"] = _stored(closed)
                return
        self._target.create()
        self._opened = True
        self._save(section=0, after="")

    def _begin_dump(self) -> None:
        if self._plan.databases and self._dumps is None:
            shutil.rmtree(self._spool, ignore_errors=True)
            self._dumping = Dumping(self._plan, self._spool, on_warning=self.warnings.add)
            self._dumping.start()

    # ------------------------------------------------------------------ contents

    def _sections(self) -> list[Section]:
        domain: Domain = "installer" if "installer" in self._chain else "Packing"
        sections = [Section(domain, self._first_sources)]
        sections += [Section("Packing", self._tree_sources(number, tree)) for number, tree in enumerate(self._trees)]
        if self._plan.databases:
            sections.append(Section("PackDB", self._database_sources))
        return sections

    def _first_sources(self, after: str) -> Iterator[Source]:
        # Read again here, not kept: a restoration script need not stay in memory while the site is packed.
        installer = read_files(self._plan.installer, is_own=is_own, on_warning=self.warnings.add)
        first = [site_entry(self._plan, installer)]
        if "installer" in self._chain:
            first += first_entries(self._plan) + off_site_entries(self._plan)
        yield from listed(first + installer_entries(self._plan, installer), after)

    def _read_installer(self) -> None:
        for name in self._plan.absent_installers:
            self.warnings.add(
                f"The archive holds no restoration script: the profile asks for {name!r}, and "
                f"{self._home.installers / name}.jpa is not there."
            )
        files = read_files(self._plan.installer, is_own=is_own, on_warning=lambda _message: None)
        self._installer_paths = frozenset(files)

    def _tree_sources(self, number: int, tree: Tree) -> Callable[[str], Iterator[Source]]:
        scanner = Scanner(
            tree,
            copy_database=self._copy_database,
            on_warning=self.warnings.add,
            is_reserved=self._is_reserved,
            look=self._target.looking(number),
        )
        counted = self._counted
        return scanner.sources if counted is None else partial(self._counted_sources, scanner, tree, counted)

    def _counted_sources(self, scanner: Scanner, tree: Tree, counted: FolderCounts, after: str) -> Iterator[Source]:
        """Yield what the walk finds, and note what was found so far at its end."""
        counted.begin(tree.prefix)
        for source in scanner.sources(after):
            counted.add(source)
            yield source
        self._note(replace(self._holdings(), files=counted.held(self._counts_before())))

    def _is_reserved(self, path: str) -> bool:
        # Without a restoration layout only the archive's manifest has names of its own.
        if "installer" not in self._chain:
            return path.startswith("installation/backstay/")
        return path in self._installer_paths or (path.startswith("installation/") and is_own(path))

    def _database_sources(self, after: str) -> Iterator[Source]:
        yield from listed(database_entries(self._plan, self._dumps or []), after)

    def _copy_database(self, path: bytes) -> str:
        """Copy a live SQLite database into the job's folder; return the copy's path."""
        self._copies.mkdir(mode=0o700, exist_ok=True)
        copy = self._copies / str(time.monotonic_ns())
        try:
            copy_sqlite(Path(os.fsdecode(path)), copy)
        except OSError as error:
            raise of_writing(error, copy) from error
        name = os.path.relpath(os.fsdecode(path), self._settings.root)
        self._note(with_sqlite(self._holdings(), name, copy))
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
        # Until the first source of this section is whole, the writer's last path is one from before it.
        last = self._target.last_path
        for packed in self._target.pack(sources(), self._pack_warning):
            if packed.path is not None and packed.path != last:
                last = packed.path
                place = self._pass(ahead, last) or place
            self._files, self._bytes_read, self._bytes_written = packed.entries, packed.bytes_in, packed.bytes_out
            self._remember_dump()
            if time.monotonic() - self._saved_at >= _CHECKPOINT_SECONDS:
                self._save(section=number, after=place)
            yield self._progress(section.domain, self._place(section.domain, last or ""))
        shutil.rmtree(self._copies, ignore_errors=True)
        self._save(section=number + 1, after="")

    def _pass(self, ahead: deque[Source], path: str) -> str:
        """Forget the sources up to a path that is whole in the archive now; return its position.

        Paths may be passed over: what could not be stored has no entry.
        """
        copies = f"{self._copies}/"
        while ahead:
            source = ahead.popleft()
            if source.file is not None and source.file.startswith(copies):
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
            keep_dumps(self._kept_dumps, self._dumps, self._catalogue.vault)
            self._checkpoint["dump"] = True
            self._note_dumps(self._dumps)

    def _wait_for_dump(self) -> Iterator[Progress]:
        while self._dumping is not None:
            self._dumping.wait(0.1)
            yield self._progress("PackDB", "")
            self._remember_dump()
        self._save(section=int(self._checkpoint.get("section", 0)), after=str(self._checkpoint.get("after", "")))

    def _dump_only(self) -> Iterator[Progress]:
        self._dumping = Dumping(self._plan, self._spool, on_warning=self.warnings.add)
        self._dumping.start()
        while self._dumping.running():
            self._dumping.wait(0.1)
            yield self._progress("PackDB", "")
        self._note_dumps(self._dumping.results())
        self._dumping = None

    def _note_dumps(self, dumps: list[Dumped]) -> None:
        self._checkpoint["skipped"] = sum(dumped.skipped for dumped in dumps)
        self._note(with_dumps(self._holdings(), dumps, self._counts_before(), missing=self._missing_dumps()))

    def _holdings(self) -> Holdings:
        return Holdings.from_json(self._checkpoint.get("holdings"))

    def _note(self, holdings: Holdings) -> None:
        """Keep in the next checkpoint what was counted."""
        self._checkpoint["holdings"] = holdings.to_json()

    def _counts_before(self) -> Counts | None:
        return self._catalogue.counts.before(self._backup.id, self._backup.profile_id, self._backup.type)

    def _missing_dumps(self) -> list[str]:
        """Return the dump of the site's own database where none was found and none was forbidden."""
        planned = any(database.dump_file == MAIN_DUMP for database in self._plan.databases)
        looked_for = "PackDB" in self._chain and not self._settings.database.get_secret_value()
        return [MAIN_DUMP] if looked_for and not planned else []

    def _close(self) -> Iterator[Progress]:
        yield self._progress("finale", "Closing the archive")
        self._opened = False
        self._checkpoint["closed"] = _stored(self._target.close())
        self._catalogue.jobs.update(self._backup.id, checkpoint=self._checkpoint)

    # ------------------------------------------------------------------ state

    def _save(self, *, section: int, after: str) -> None:
        """Make what was packed so far safe, then say so: in this order, or a power cut would promise too much."""
        if not self._opened:
            return
        self._checkpoint.update(
            writer=self._target.checkpoint(), section=section, after=after, bytes_written=self._bytes_written
        )
        self._catalogue.jobs.update(self._backup.id, checkpoint=self._checkpoint)
        self._saved_at = time.monotonic()
        self._early.offer(self._target.finished_parts)

    def _place(self, domain: Domain, path: str) -> str:
        """Return the folder that is being packed, as an absolute path where it is the site's."""
        folder = path.rpartition("/")[0]
        return f"{self._settings.root}/{folder}".rstrip("/") if domain == "Packing" else folder

    def _progress(self, domain: Domain, step: str) -> Progress:
        dumping = self._dumping
        size = max(1, self._survey.size)
        substep = ""
        rows = 0
        fraction = 0.0 if domain == "finale" else min(1.0, self._bytes_read / size)
        if dumping is not None and dumping.progress is not None:
            # The dump runs beside the packing: while it lasts, its domain is the one that is reported.
            domain, step = "PackDB", dumping.progress.table
            substep = f"{dumping.progress.rows_done} / {dumping.progress.rows_total}"
            rows = dumping.progress.rows_done
            fraction = dumping.fraction
        step = shown(step)
        return self._with_counts(Progress(domain, step=step, substep=substep, fraction=fraction, rows=rows))

    def _with_counts(self, progress: Progress) -> Progress:
        return replace(
            progress,
            files=self._files,
            bytes_read=self._bytes_read,
            bytes_written=self._bytes_written,
            bytes_expected=self._survey.size,
        )

    def _release(self) -> None:
        self._early.end()
        if self._dumping is not None:
            self._dumping.stop()
            self._dumping = None

    def _fail(self, error: Exception) -> None:
        message = sentence_of(error)
        _log.error("%s", message, exc_info=None if isinstance(error, BackstayError) else error)
        self._target.release()
        left = discard(self._catalogue, self._home, self._backup, self._plan)
        left += withdraw_copies(self._catalogue, self._backup.id, stored_too=True)
        self._catalogue.backups.end(self._backup.id, error=" ".join([message, *left]))


def _stored(summary: ArchiveSummary) -> dict[str, Any]:
    return {**asdict(summary), "parts": [str(part) for part in summary.parts]}


def _summary(stored: dict[str, Any]) -> ArchiveSummary:
    return ArchiveSummary(**{**stored, "parts": [Path(part) for part in stored["parts"]]})


def _stored_above(settings: Settings) -> int | None:
    return None if settings.archive_format == "jps" else settings.store_above
