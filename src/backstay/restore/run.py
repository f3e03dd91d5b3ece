"""One restore, from its plan to its end: everything is made ready first, then it changes places, and can go back.

The journal is written before each step. Whatever kills the process, another one reads from it how far the restore was,
and finishes it or takes it back; every step may be repeated.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from backstay.archives import ArchiveReader, open_archive
from backstay.catalogue.vault import Vault
from backstay.databases import LoadProgress, LoadSummary
from backstay.errors import BackstayError, RestoreError
from backstay.restore.checks import check_databases, check_places, is_wordpress, prefix_of
from backstay.restore.configuration import Move, Rewritten
from backstay.restore.databases import Stage, StageRequest, make_stage
from backstay.restore.journal import Journal, new_journal
from backstay.restore.layout import ArchivedDatabase, Layout, open_part, read_layout
from backstay.restore.places import Places, attributes, choose_places, give_attributes
from backstay.restore.plan import (
    MAIN_DUMP,
    RestorePlan,
    RestoreProgress,
    RestoreReport,
    read_summary,
    summary_json,
)
from backstay.restore.replacement import Replacer
from backstay.restore.slots import Slots
from backstay.restore.staging import StagedFiles, stage_files
from backstay.restore.tables import only_tables
from backstay.sites import find_site

_log = logging.getLogger(__name__)
_DEFAULT_ROOT_MODE = 0o755

OnWarning = Callable[[str], None]


def begin(restores: Path, vault: Vault, plan: RestorePlan) -> RestoreRun:
    """Write a plan down as a new restore; nothing is done yet.

    Args:
        restores: folder that holds the journals.
        vault: encrypts the plan: database URLs and passwords are in it.
        plan: what is to be done.

    Raises:
        RestoreError: the target cannot be written to.
    """
    target = Path(plan.target)
    plan = replace(plan, target=str(target.resolve()))
    if not plan.only and plan.way == "whole":
        check_places(plan, restores)
    journal = new_journal(restores)
    try:
        places = choose_places(Path(plan.target), journal.name, merge=plan.way == "merge" or bool(plan.only))
        sealed = base64.b64encode(vault.seal(json.dumps(plan.to_json()))).decode()
        # A folder that stays, and gets a hidden one for a while, is to look untouched when it is taken back.
        stays = places.way != "whole" and Path(places.target).is_dir()
        root = attributes(Path(places.target)) if stays else None
        shown = {"archive": plan.archive, "target": plan.target, "keep_days": plan.keep_days, "root": root}
        journal.append("begin", plan=sealed, places=places.to_json(), **shown)
    except BaseException:
        journal.remove()
        raise
    return RestoreRun(journal, vault)


class RestoreRun:
    """A restore that was begun; use it in a ``with`` statement of its journal.

    Args:
        journal: of the restore.
        vault: that encrypted its plan.

    Raises:
        ConfigurationError: the plan was encrypted with another key.
        RestoreError: the journal tells of no beginning.
    """

    def __init__(self, journal: Journal, vault: Vault) -> None:
        first = journal.last("begin")
        if first is None:
            raise RestoreError(f"The restore {journal.name} was never begun: nothing was done.")
        self.journal = journal
        self.plan = RestorePlan.from_json(json.loads(vault.open(base64.b64decode(first["plan"]))))
        self.places = Places.from_json(first["places"])
        self._stages: dict[str, Stage] = {}

    @property
    def is_swapped(self) -> bool:
        """Whether everything is in place."""
        return self.journal.last("swapped") is not None and not self.is_going_back

    @property
    def is_going_back(self) -> bool:
        """Whether the restore is being taken back."""
        return self.journal.last("undo") is not None

    def run(self, on_warning: OnWarning) -> Iterator[RestoreProgress | RestoreReport]:
        """Restore, from wherever an earlier process came to.

        A restore that fails takes itself back; one that is interrupted waits for another ``run``, or for ``undo``.

        Args:
            on_warning: told of everything that could not be given back as it was.

        Yields:
            The progress, and last a ``RestoreReport``.

        Raises:
            BackstayError: the restore failed, and what was there before is there again.
            RestoreError: besides, it could not be taken back, or is being taken back.
        """
        if self.is_going_back:
            raise RestoreError(f"The restore {self.journal.name} is being taken back: finish that with --undo.")
        if self.journal.last("confirmed"):
            yield self._report()
            self._finish()
            return
        try:
            if not self.is_swapped:
                if not self.journal.last("swap"):
                    yield from self._make_ready(on_warning)
                yield RestoreProgress("swap", self.plan.target)
                self._swap(on_warning)
        except (BackstayError, OSError) as error:
            self._take_back_after(error, on_warning)
            raise
        yield self._end()

    def undo(self, on_warning: OnWarning) -> None:
        """Take everything back, wherever it stopped: what was there before is there again.

        Raises:
            RestoreError: the restore is confirmed, and what was there before is gone.
            BackstayError: a database could not be reached; the call may be repeated.
        """
        if self.journal.last("confirmed"):
            raise RestoreError(f"The restore {self.journal.name} is confirmed: there is no way back.")
        if not self.is_going_back:
            self.journal.append("undo")
        swap = self.journal.last("swap")
        if swap and not self.journal.last("files back"):
            if swap["slots"]:
                Slots.from_json(swap["slots"]).undo()
            self.journal.append("files back")
        for line in self._lines("database begun"):
            stage = self._stage_of(line["dump"])
            if swap:
                stage.undo(on_warning)
            else:
                stage.discard()
        self._clear(self._old_root())

    def confirm(self) -> None:
        """Drop what was replaced, or give it the names under which it is kept. There is no way back.

        Raises:
            RestoreError: the restore is not in place yet.
        """
        if not self.is_swapped:
            raise RestoreError(
                f"The restore {self.journal.name} is not done: finish it with --resume, or take it back with --undo."
            )
        if not self.journal.last("confirmed"):
            self.journal.append("confirmed")
        self._finish()

    # Making ready.

    def _make_ready(self, on_warning: OnWarning) -> Iterator[RestoreProgress]:
        with open_archive(self.plan.archive, password=self.plan.password) as archive:
            layout = read_layout(archive)
            check_databases(layout, self.plan)
            wanted = [one for one in layout.databases if self.plan.database(one.dump_file) is not None]
            with closing(self._files(archive, layout, on_warning)) as files:
                if all(self._prefix(one) for one in wanted):
                    # While files are written, the database server has time.
                    yield from islice(files, 1)
                else:
                    yield from files
                for database in wanted:
                    yield from self._make_database_ready(database, on_warning)
                yield from files
            given = self.plan.databases
            missing = [database.dump_file for database in layout.databases if database.dump_file not in given]
            self.journal.append("ready", not_restored=missing)

    def _files(
        self, archive: ArchiveReader, layout: Layout, on_warning: OnWarning
    ) -> Generator[RestoreProgress, None, None]:
        if self.plan.files and not self._has_files():
            yield from self._make_files_ready(archive, layout, on_warning)

    def _prefix(self, database: ArchivedDatabase) -> str:
        """Return the prefix that a dump's tables will have; empty where only the site's files may tell."""
        address = self.plan.database(database.dump_file)
        return prefix_of(address, database, "") if address else ""

    def _has_files(self) -> bool:
        return self.journal.last("files ready") is not None and self.places.staged.is_dir()

    def _make_files_ready(
        self, archive: ArchiveReader, layout: Layout, on_warning: OnWarning
    ) -> Iterator[RestoreProgress]:
        target = Path(self.plan.target)
        root_mode = target.stat().st_mode & 0o777 if target.is_dir() else _DEFAULT_ROOT_MODE
        self.places.remove()
        Path(self.places.beside).mkdir(mode=0o700, parents=True)
        work = stage_files(
            archive,
            layout,
            self.plan,
            self.places.staged,
            self._move(layout),
            root_mode=root_mode,
            on_warning=on_warning,
        )
        for step in work:
            if isinstance(step, StagedFiles):
                self.journal.append("files ready", **asdict(step))
            else:
                yield step

    def _move(self, layout: Layout) -> Move:
        main = next((database for database in layout.databases if database.dump_file == MAIN_DUMP), None)
        address = self.plan.database(MAIN_DUMP)
        prefix = prefix_of(address, main, "") if address else None
        root = layout.information.get("root")
        return Move(address, prefix or None, root if isinstance(root, str) else "", self.plan.target, self.plan.address)

    def _make_database_ready(self, database: ArchivedDatabase, on_warning: OnWarning) -> Iterator[RestoreProgress]:
        name = database.dump_file
        if self.journal.last("database ready", dump=name) and self._stage_of(name).is_intact():
            return
        prefix = self._prefix(database)
        if not prefix and name == MAIN_DUMP and self.places.staged.is_dir():
            prefix = find_site(self.places.staged).prefix
        self.journal.append("database begun", dump=name, prefix=prefix)
        stage = self._new_stage(name, prefix, None)
        # Opened anew: the files may be read from the archive at the same time.
        with open_archive(self.plan.archive, password=self.plan.password) as archive:
            request = self._request(archive, database, prefix, on_warning)
            summary = yield from _told(stage.stage(request), database.size)
        self._stages[name] = stage
        self.journal.append("database ready", dump=name, state=stage.to_json(), summary=summary_json(summary))

    def _request(
        self, archive: ArchiveReader, database: ArchivedDatabase, prefix: str, on_warning: OnWarning
    ) -> StageRequest:
        parts = tuple((part.path.rpartition("/")[2], open_part(archive, part)) for part in database.parts)
        metadata: dict[str, Any] | None = dict(database.metadata) or None
        if self.plan.only_tables:
            marker = str((metadata or {}).get("marker") or "")
            parts = only_tables(parts, self.plan.only_tables, prefix=prefix, marker=marker)
            metadata = {name: value for name, value in (metadata or {}).items() if name != "marker"} or None
        old_prefix = str(database.metadata.get("prefix") or "")
        renamed = (old_prefix, prefix) if old_prefix and old_prefix != prefix and is_wordpress(database) else None
        return StageRequest(parts, metadata, Replacer(self.plan.replacements), renamed, on_warning)

    def _new_stage(self, name: str, prefix: str, state: dict[str, Any] | None) -> Stage:
        address = self.plan.database(name)
        if address is None:
            raise RestoreError(f"The restore {self.journal.name} is damaged: it has no address for {name}.")
        folder = self.journal.folder / f"database-{list(self.plan.databases).index(name)}"
        return make_stage(replace(address, prefix=prefix), self.plan.policy, folder, state)

    def _stage_of(self, name: str) -> Stage:
        """Return the stage of a dump as the journal knows it; one that was not ready has nothing staged."""
        if name not in self._stages:
            ready = self.journal.last("database ready", dump=name)
            begun = self.journal.last("database begun", dump=name)
            prefix = str(begun["prefix"]) if begun else ""
            self._stages[name] = self._new_stage(name, prefix, ready["state"] if ready else None)
        return self._stages[name]

    def _lines(self, step: str) -> list[dict[str, Any]]:
        """Return the last line of a step for each dump."""
        return list({line["dump"]: line for line in self.journal.lines if line["step"] == step}.values())

    # Changing places.

    def _swap(self, on_warning: OnWarning) -> None:
        line = self.journal.last("swap")
        if line is None:
            # What comes in must be on the disk before what was there goes.
            os.sync()
            self.journal.append("swap", **self._file_swap())
            line = self.journal.lines[-1]
        resumed = time.time() - datetime.fromisoformat(line["at"]).timestamp()
        started = time.monotonic()
        for ready in self._lines("database ready"):
            self._stage_of(ready["dump"]).swap(on_warning)
        if line["slots"]:
            Slots.from_json(line["slots"]).swap()
            give_attributes(self.places.target, line["root"])
        window = time.monotonic() - started
        # A swap that another process began has lasted since then.
        self.journal.append("swapped", window=max(window, resumed) if resumed > 1 else window)

    def _file_swap(self) -> dict[str, Any]:
        """Return what of the files changes places, and what a root that stays is to be like then."""
        if not self.plan.files:
            return {"slots": None, "root": None}
        root = attributes(self.places.staged) if self.places.way == "content" else self._old_root()
        return {"slots": self.places.slots().to_json(), "root": root}

    def _old_root(self) -> list[int] | None:
        first = self.journal.last("begin") or {}
        root: list[int] | None = first.get("root")
        return root

    def _take_back_after(self, error: BaseException, on_warning: OnWarning) -> None:
        try:
            self.undo(on_warning)
        except (BackstayError, OSError) as problem:
            _log.warning("a restore that failed could not be taken back: %s", problem)
            raise RestoreError(
                f"The restore failed ({error}) and could not be taken back ({problem}): mend that, then run "
                f"'backstay restore --undo {self.journal.name}' or '--resume {self.journal.name}'."
            ) from error

    def _end(self) -> RestoreReport:
        report = self._report()
        if not report.kept_until:
            # Nothing was there before: there is nothing to keep, and nothing to go back to.
            self.journal.append("confirmed")
            self._finish()
        return report

    def _finish(self) -> None:
        for line in self._lines("database ready"):
            self._stage_of(line["dump"]).finish()
        swap = self.journal.last("swap")
        self._clear(swap["root"] if swap else None)

    def _clear(self, root: list[int] | None) -> None:
        self.places.remove()
        give_attributes(self.places.target, root)
        if self.plan.fetched:
            shutil.rmtree(self.plan.fetched, ignore_errors=True)
        self.journal.remove()

    # Telling.

    def _report(self) -> RestoreReport:
        files = self.journal.last("files ready") or {}
        ready = self._lines("database ready")
        swapped = self.journal.last("swapped") or {}
        replaces = self._replaces()
        return RestoreReport(
            target=Path(self.plan.target),
            files=files.get("files", 0),
            bytes=files.get("bytes", 0),
            databases={line["dump"]: read_summary(line["summary"]) for line in ready},
            not_restored=tuple((self.journal.last("ready") or {}).get("not_restored", ())),
            configuration=tuple(
                Rewritten(item["path"], tuple(item["names"])) for item in files.get("configuration", ())
            ),
            replaced_in_files=files.get("replaced", {}),
            replaced_in_databases={
                line["dump"]: line["state"]["replaced"] for line in ready if line["state"]["replaced"]
            },
            window=swapped.get("window") if replaces else None,
            name=self.journal.name if replaces else "",
            kept_until=self.kept_until().isoformat(timespec="seconds") if replaces else "",
        )

    def _replaces(self) -> bool:
        """Tell whether anything that was there before is kept."""
        if any(self._stage_of(line["dump"]).replaces for line in self._lines("database ready")):
            return True
        swap = self.journal.last("swap")
        if not swap or not swap["slots"] or not any(slot[1] for slot in swap["slots"]["slots"]):
            return False
        old = self.places.old
        if self.places.way != "whole":
            return True
        # An empty folder that gave way is nothing to keep.
        with suppress(FileNotFoundError):
            return any((old / Path(self.plan.target).name).iterdir())
        return False

    def kept_until(self) -> datetime:
        """Return the moment until which what was replaced is kept."""
        swapped = self.journal.last("swapped")
        since = datetime.fromisoformat(swapped["at"]) if swapped else datetime.now(UTC)
        return since + timedelta(days=self.plan.keep_days)


def _told(work: Generator[LoadProgress, None, LoadSummary], size: int) -> Generator[RestoreProgress, None, LoadSummary]:
    while True:
        try:
            progress = next(work)
        except StopIteration as end:
            summary: LoadSummary = end.value
            return summary
        yield RestoreProgress("database", progress.table, progress.bytes_in, size)
