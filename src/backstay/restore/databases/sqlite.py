"""SQLite as the target of a dump: a new file beside the old one, and a rename."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

from backstay.databases import (
    DatabaseAddress,
    ExistingTables,
    LoadProgress,
    LoadSummary,
    copy_sqlite,
    free_backup_name,
    load,
)
from backstay.errors import TablesExistError
from backstay.restore.databases.stage import StageRequest, present_tables
from backstay.restore.replacement.sqlite import replace_in_sqlite
from backstay.restore.slots import Slot, Slots

_COMPANIONS = ("-wal", "-shm", "-journal")


class SQLiteStage:
    """One SQLite file that is restored; see ``Stage``."""

    def __init__(
        self, address: DatabaseAddress, policy: ExistingTables, name: str, state: dict[str, Any] | None = None
    ) -> None:
        self._address = address
        self._policy = policy
        path = Path(address.name).absolute()
        self._path = path
        self._beside = path.with_name(f".{path.name}.backstay-{name}")
        self._slots = Slots.from_json(state["slots"]) if state else None
        self.refused: list[str] = []
        self.replaced: dict[str, int] = dict(state["replaced"]) if state else {}

    @property
    def replaces(self) -> bool:
        """Whether a file is replaced."""
        return self._slots is not None and any(slot.had_old for slot in self._slots.slots)

    def stage(self, request: StageRequest) -> Generator[LoadProgress, None, LoadSummary]:
        """Load into a new file in a folder beside the old one; some tables into a copy of the old one."""
        if self._policy is ExistingTables.REFUSE and not request.only_tables and present_tables(self._address):
            raise TablesExistError(
                f"The SQLite file {self._path} already holds tables: load into a new file, "
                "or say that it may be replaced."
            )
        self.discard()
        new = self._beside / "new"
        new.mkdir(mode=0o700, parents=True)
        fresh = new / self._path.name
        try:
            if request.only_tables and self._path.exists():
                copy_sqlite(self._path, fresh)
            summary = yield from load(
                replace(self._address, name=str(fresh)),
                request.parts,
                metadata=request.metadata,
                policy=ExistingTables.REFUSE if self._policy is ExistingTables.REFUSE else ExistingTables.REPLACE,
                only_tables=request.only_tables,
                on_warning=request.on_warning,
            )
            if request.replacer:
                only = set(summary.tables) if request.only_tables else None
                self.replaced = replace_in_sqlite(fresh, request.replacer, only=only, on_warning=request.on_warning)
        except BaseException:
            self.discard()
            raise
        slots = [Slot(self._path.name, self._path.exists(), has_new=True)]
        slots += [
            Slot(self._path.name + ending, had_old=True, has_new=False)
            for ending in _COMPANIONS
            if Path(f"{self._path}{ending}").exists()
        ]
        # What belongs to the old file goes first, so that it never lies beside the new one.
        self._slots = Slots(str(self._path.parent), str(new), str(self._beside / "old"), tuple(reversed(slots)))
        return summary

    def to_json(self) -> dict[str, Any]:
        """Return what is staged."""
        return {"slots": self._slots.to_json() if self._slots else {}, "replaced": self.replaced}

    def is_intact(self) -> bool:
        """Return whether the new file is still there."""
        return (self._beside / "new" / self._path.name).exists()

    def swap(self, on_warning: Callable[[str], None]) -> None:
        """Move the old file out and the new one in."""
        del on_warning
        if self._slots:
            self._slots.swap()

    def undo(self, on_warning: Callable[[str], None]) -> None:
        """Move the old file back; remove the new one."""
        del on_warning
        if self._slots and self._beside.exists():
            self._slots.undo()
        self.discard()

    def finish(self) -> None:
        """Remove the old file, or keep it beside as a backup."""
        old = self._beside / "old" / self._path.name
        if self._policy is ExistingTables.BACK_UP and old.exists():
            old.replace(free_backup_name(self._path))
        self.discard()

    def discard(self) -> None:
        """Remove the folder with the new file."""
        shutil.rmtree(self._beside, ignore_errors=True)
