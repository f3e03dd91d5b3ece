"""Making ready: the archive fetched where it lies on a server, files and databases staged, side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from backstay.archives import ArchiveReader, open_archive
from backstay.errors import BackstayError, NotFoundError, RestoreError
from backstay.platforms import find_site
from backstay.restore.arriving import Arrival
from backstay.restore.background import BackgroundTask, Reporter
from backstay.restore.checks import check_databases, is_wordpress, prefix_of
from backstay.restore.configuration import Move
from backstay.restore.databases import StageRequest
from backstay.restore.early_staging import EarlyStaging, stage_early
from backstay.restore.journal import Journal
from backstay.restore.layout import ArchivedDatabase, Layout, open_part, read_layout
from backstay.restore.moving import SiteMove, find_move
from backstay.restore.places import Places
from backstay.restore.plan import MAIN_DUMP, RemoteArchive, RestorePlan, RestoreProgress, summary_json
from backstay.restore.read_ahead import ReadAhead
from backstay.restore.stages import Stages
from backstay.restore.staging import FilesRequest, stage_files
from backstay.steps import converted

_DEFAULT_ROOT_MODE = 0o755

OnWarning = Callable[[str], None]
Fetch = Callable[[RemoteArchive, Path, Arrival, Reporter], None]
"""Downloads an archive into a folder, to its end; notes what is there, and reports it."""
OpenArchive = Callable[[], ArchiveReader]
"""Opens an archive that is read where it lies; in a forked process, too."""


class Preparation:
    """Makes everything of one restore ready, as far as an earlier process did not.

    Args:
        journal: of the restore.
        plan: of the restore.
        places: of its files.
        stages: of its databases.
        fetch: downloads the archive; None where that is not possible.
        opener: opens the archive, in another process too; None: its main file is here, or will be.
        layout: of the archive, where it was looked through just now.
    """

    def __init__(
        self,
        journal: Journal,
        plan: RestorePlan,
        places: Places,
        stages: Stages,
        fetch: Fetch | None,
        opener: OpenArchive | None,
        layout: Layout | None,
    ) -> None:
        self._journal = journal
        self._plan = plan
        self._places = places
        self._stages = stages
        self._fetch = fetch
        self._opener = opener
        self._layout = layout
        self._early = EarlyStaging()
        self._changes = SiteMove()

    @property
    def archive(self) -> Path:
        """Main file of the archive, here."""
        remote = self._plan.remote
        return self._journal.folder / "archive" / remote.parts[-1][0] if remote else Path(self._plan.archive)

    def _open(self) -> ArchiveReader:
        if self._opener is not None:
            return self._opener()
        return open_archive(self.archive, password=self._plan.password)

    def run(self, on_warning: OnWarning) -> Iterator[RestoreProgress]:
        """Make all ready, and say so in the journal.

        Yields:
            The progress.

        Raises:
            BackstayError: something could not be made ready.
        """
        if self._plan.remote is not None and not self._journal.last("fetched"):
            yield from self._arrive(self._plan.remote)
        layout = self._layout or self._look()
        check_databases(layout, self._plan)
        self._changes = self._find_move(layout, on_warning)
        wanted = [one for one in layout.databases if self._plan.database(one.dump_file) is not None]
        with ExitStack() as stack:
            files = self._files(layout, stack)
            if not all(self._prefix(one) for one in wanted):
                # Only the site's own configuration holds the prefix.
                yield from self._reported(files, on_warning, wait=True)
            for database in wanted:
                with closing(self._make_database_ready(database, on_warning)) as steps:
                    for step in steps:
                        yield step
                        # An error of the files ends the load too.
                        for _news in self._reported(files, on_warning, wait=False):
                            pass
            yield from self._reported(files, on_warning, wait=True)
        missing = [
            database.dump_file for database in layout.databases if database.dump_file not in self._plan.databases
        ]
        addresses = [[str(move.old), move.new] for move in self._changes.addresses]
        self._journal.append("ready", not_restored=missing, addresses=addresses)

    def _find_move(self, layout: Layout, on_warning: OnWarning) -> SiteMove:
        with self._open() as archive:
            found = find_move(archive, layout, self._plan)
        if self._plan.address and not found.addresses:
            on_warning(
                "Neither the site nor its backup names the old address, so that none was replaced: give it with "
                "--old-address."
            )
        for address in found.untouched:
            on_warning(
                f"The site gives {address} as its own address, which stays: give it with --old-address too, or leave "
                "that option out."
            )
        return found

    def _look(self) -> Layout:
        with self._open() as archive:
            return read_layout(archive)

    # The archive, from a server.

    def _arrive(self, remote: RemoteArchive) -> Iterator[RestoreProgress]:
        if self._fetch is None:
            raise RestoreError(f"The archive of the restore {self._journal.name} is not here, and can't be fetched.")
        arrival = Arrival()
        folder = self.archive.parent
        early = partial(self._stage_early, arrival)
        stages_early = self._plan.files and not self._plan.only
        if stages_early:
            self._clear_places()
        with ExitStack() as stack:
            # What ends first must be begun last: whoever reads stops when nothing more will arrive.
            reading = stack.enter_context(self._background(early)) if stages_early else None
            stack.callback(arrival.end)
            fetching = stack.enter_context(self._background(partial(self._fetch_into, remote, folder, arrival)))
            try:
                while not fetching.ended:
                    for name, done, total in fetching.messages(wait=0.5):
                        yield RestoreProgress("download", name, done, total)
                    for _progress in reading.messages() if reading else ():
                        pass
            except BackstayError as error:
                raise InterruptedDownloadError(error) from error
            arrival.end()
            self._journal.append("fetched")
            for path, done, _total in reading.messages(wait=None) if reading else ():
                yield RestoreProgress("files", path, done)
            if reading is not None:
                self._early = EarlyStaging(*reading.result)

    def _fetch_into(self, remote: RemoteArchive, folder: Path, arrival: Arrival, reporter: Reporter) -> None:
        if self._fetch is not None:
            folder.mkdir(mode=0o700, exist_ok=True)
            self._fetch(remote, folder, arrival, reporter)

    def _stage_early(self, arrival: Arrival, reporter: Reporter) -> tuple[int, int, int]:
        early = stage_early(self._plan, self.archive, self._places.staged, arrival, reporter)
        return early.end, early.files, early.bytes

    def _background(self, work: Callable[[Reporter], Any]) -> BackgroundTask:
        # It holds the journal's lock: nobody takes the restore up before the last of its processes is gone.
        return BackgroundTask(work, keep=(self._journal.lock,))

    # Files.

    def _files(self, layout: Layout, stack: ExitStack) -> BackgroundTask | None:
        """Begin to make the files ready; None where they are, or are not asked for."""
        ready = self._journal.last("files ready") is not None and self._places.staged.is_dir()
        if ready or not self._plan.files:
            return None
        target = Path(self._plan.target)
        root_mode = target.stat().st_mode & 0o777 if target.is_dir() else _DEFAULT_ROOT_MODE
        if not self._early.files:
            self._clear_places()
        request = FilesRequest(
            self._open,
            layout,
            self._plan,
            self._places.staged,
            self._move(layout),
            root_mode,
            self._early,
            self._changes,
        )
        return stack.enter_context(self._background(partial(stage_files, request)))

    def _clear_places(self) -> None:
        self._places.remove()
        try:
            Path(self._places.beside).mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise RestoreError(
                f"{self._plan.target} cannot be made: the folder above it refuses ({error.strerror})."
            ) from error

    def _reported(
        self, files: BackgroundTask | None, on_warning: OnWarning, *, wait: bool
    ) -> Iterator[RestoreProgress]:
        """Yield how far the files are; their end goes into the journal."""
        if files is None or files.ended:
            return
        try:
            for path, done, total in files.messages(wait=None if wait else 0.0):
                yield RestoreProgress("files", path, done, total)
        finally:
            for warning in files.warnings:
                on_warning(warning)
        if files.result is not None:
            self._journal.append("files ready", **files.result)

    def _move(self, layout: Layout) -> Move:
        main = next((database for database in layout.databases if database.dump_file == MAIN_DUMP), None)
        address = self._plan.database(MAIN_DUMP)
        prefix = prefix_of(address, main, "") if address else None
        root = layout.information.get("root")
        old_root = root if isinstance(root, str) else ""
        return Move(address, prefix or None, old_root, self._plan.target, self._plan.address)

    # Databases.

    def _prefix(self, database: ArchivedDatabase) -> str:
        """Return the prefix that a dump's tables will have; empty where only the site's files may name it."""
        address = self._plan.database(database.dump_file)
        return prefix_of(address, database, "") if address else ""

    def _make_database_ready(
        self, database: ArchivedDatabase, on_warning: OnWarning
    ) -> Generator[RestoreProgress, None, None]:
        name = database.dump_file
        if self._journal.last("database ready", dump=name) and self._stages.of(name).is_intact():
            return
        prefix = self._prefix(database)
        if not prefix and name == MAIN_DUMP and self._places.staged.is_dir():
            prefix = find_site(self._places.staged).prefix
        self._journal.append("database begun", dump=name, prefix=prefix)
        stage = self._stages.anew(name, prefix)
        with (
            self._open() as archive,
            ReadAhead([(part.path.rpartition("/")[2], open_part(archive, part)) for part in database.parts]) as ahead,
        ):
            request = self._request(ahead, database, prefix, on_warning)
            summary = yield from converted(
                stage.stage(request),
                lambda step: RestoreProgress("database", step.table, step.bytes_in, database.size),
            )
        if self._plan.only_tables and not summary.tables and not summary.entities:
            raise NotFoundError(f"No table of {name} fits --only-tables {' or '.join(self._plan.only_tables)}.")
        if not self._stages.is_on_server(name):
            # Names too: what the journal says to be ready outlives a power cut.
            os.sync()
        self._journal.append("database ready", dump=name, state=stage.to_json(), summary=summary_json(summary))

    def _request(
        self, ahead: ReadAhead, database: ArchivedDatabase, prefix: str, on_warning: OnWarning
    ) -> StageRequest:
        metadata: dict[str, Any] | None = dict(database.metadata) or None
        old_prefix = str(database.metadata.get("prefix") or "")
        renamed = (old_prefix, prefix) if old_prefix and old_prefix != prefix and is_wordpress(database) else None
        replacer = self._changes.replacer()
        return StageRequest(ahead.parts(), metadata, replacer, renamed, on_warning, self._plan.only_tables)


class InterruptedDownloadError(Exception):
    """A download broke off that may be resumed where it was; reported to a user as its cause.

    Attributes:
        cause: what went wrong.
    """

    def __init__(self, cause: BackstayError) -> None:
        super().__init__(str(cause))
        self.cause = cause
