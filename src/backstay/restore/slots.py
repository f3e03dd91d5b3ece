"""Things that change places on disk: what is new comes in, what was there goes out, and each step may be repeated.

A slot is one path below the live folder. Its new content waits below a second folder, what it replaces goes below a
third; all three lie on one file system, so that each step is one rename. Which steps were done is read from what lies
where: after a crash nothing else is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from backstay.archives.long_paths import exists, is_folder, make_folders, reachable, read_folder
from backstay.restore.journal import sync_folder


@dataclass(frozen=True, slots=True)
class Slot:
    """One path that changes.

    Attributes:
        path: below the live folder, '/'-separated.
        had_old: something was there before.
        has_new: something comes in.
    """

    path: str
    had_old: bool
    has_new: bool


@dataclass(frozen=True, slots=True)
class Slots:
    """A set of slots over the same three folders.

    Attributes:
        live: the folder whose content changes.
        new: where what comes in waits.
        old: where what goes out is kept.
        slots: what changes, in order.
    """

    live: str
    new: str
    old: str
    slots: tuple[Slot, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        listed = [[slot.path, slot.had_old, slot.has_new] for slot in self.slots]
        return {"live": self.live, "new": self.new, "old": self.old, "slots": listed}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` gave."""
        return cls(data["live"], data["new"], data["old"], tuple(Slot(*slot) for slot in data["slots"]))

    def swap(self) -> None:
        """Bring everything in that is not in yet; what it replaces is kept.

        Raises:
            OSError: a rename was refused; the call may be repeated, or undone.
        """
        for slot in self.slots:
            live, new, old = self._paths(slot)
            if slot.had_old and not exists(old) and (not slot.has_new or exists(new)):
                _move(live, old)
            if slot.has_new and exists(new):
                _move(new, live)
        self._sync()

    def undo(self) -> None:
        """Put everything back that was there, wherever the swap stopped; what came in waits again.

        Raises:
            OSError: a rename was refused; the call may be repeated.
        """
        for slot in reversed(self.slots):
            live, new, old = self._paths(slot)
            came_in = slot.has_new and not exists(new) and exists(live)
            # Where the old one is nowhere else, what lives is the old one.
            if came_in and (not slot.had_old or exists(old)):
                _move(live, new)
            if slot.had_old and exists(old):
                _move(old, live)
        self._sync()

    def _paths(self, slot: Slot) -> tuple[str, str, str]:
        return (
            os.path.join(self.live, slot.path),
            os.path.join(self.new, slot.path),
            os.path.join(self.old, slot.path),
        )

    def _sync(self) -> None:
        parents = {os.path.dirname(path) for slot in self.slots for path in self._paths(slot)}
        for parent in sorted(parents):
            if is_folder(parent):
                with reachable(parent) as short:
                    sync_folder(Path(short))


def _move(source: str, destination: str) -> None:
    # Pieces of a merge may need folders that exist on the other side only.
    make_folders(os.path.dirname(destination))
    with reachable(source) as before, reachable(destination) as after:
        os.rename(before, after)


def whole(target: Path, new: Path, old: Path) -> Slots:
    """Return the one slot of a folder that is replaced as a whole.

    Args:
        target: the live folder.
        new: folder beside it that holds the staged one, under the target's own name.
        old: folder beside it that will hold the old one, likewise.
    """
    return Slots(
        os.fspath(target.parent),
        os.fspath(new),
        os.fspath(old),
        (Slot(target.name, os.path.lexists(target), has_new=True),),
    )


def content(target: Path, new: Path, old: Path, *, hidden: str) -> Slots:
    """Return the slots of a folder that stays, and whose content is replaced.

    Args:
        target: the live folder.
        new: the staged content.
        old: folder that will hold the old content.
        hidden: name in the target that is not content: where the other two lie.
    """
    before = {name for name in os.listdir(target) if name != hidden}
    after = set(os.listdir(new))
    slots = (Slot(name, name in before, name in after) for name in sorted(before | after))
    return Slots(os.fspath(target), os.fspath(new), os.fspath(old), tuple(slots))


def merged(target: Path, new: Path, old: Path) -> Slots:
    """Return the slots of a folder into which others are merged: what has no namesake among the new stays.

    Args:
        target: the live folder.
        new: the staged folder.
        old: folder that will hold what is replaced.
    """
    return Slots(os.fspath(target), os.fspath(new), os.fspath(old), tuple(_leaves(os.fspath(target), os.fspath(new))))


def _leaves(target: str, new: str) -> Iterable[Slot]:
    left = [""]
    while left:
        path = left.pop()
        live = os.path.join(target, path)
        staged = os.path.join(new, path)
        if is_folder(staged) and not _is_link(staged) and is_folder(live) and not _is_link(live):
            with read_folder(staged) as short:
                names = sorted(os.listdir(short), reverse=True)
            left += (f"{path}/{name}" if path else name for name in names)
        else:
            yield Slot(path, exists(live), has_new=True)


def _is_link(path: str) -> bool:
    with reachable(path) as short:
        return os.path.islink(short)
