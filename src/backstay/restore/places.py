"""Where the files of a restore wait, and where what they replace is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from backstay.archives.attributes import give_xattrs, pack_attributes, parse_attributes, read_attributes
from backstay.archives.deep_trees import remove_tree, walk
from backstay.errors import RestoreError
from backstay.restore import slots
from backstay.restore.slots import Slots

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one restore, all on one file system.

    Attributes:
        target: the site's folder.
        beside: hidden folder that holds the other two; nothing else lies in it.
        strategy: ``whole``: the target changes places; ``content``: what is in it does; ``merge``: file by file.
    """

    target: str
    beside: str
    strategy: Literal["whole", "content", "merge"]

    @property
    def staged(self) -> Path:
        """Where the new files are made ready."""
        new = Path(self.beside) / "new"
        return new / Path(self.target).name if self.strategy == "whole" else new

    @property
    def old(self) -> Path:
        """Where what was there is kept."""
        return Path(self.beside) / "old"

    def slots(self) -> Slots:
        """Return what changes places, once the new files are ready."""
        target, new = Path(self.target), Path(self.beside) / "new"
        if self.strategy == "whole":
            return slots.whole(target, new, self.old)
        target.mkdir(parents=True, exist_ok=True)
        if self.strategy == "content":
            return slots.content(target, new, self.old, hidden=Path(self.beside).name)
        return slots.merged(target, new, self.old)

    def remove(self) -> None:
        """Remove the hidden folder with all that is in it.

        Raises:
            RestoreError: something in it belongs to somebody else.
        """
        if not Path(self.beside).is_dir():
            return
        _make_removable(self.beside)
        try:
            remove_tree(self.beside)
        except OSError as error:
            raise RestoreError(
                f"Something in {self.beside} cannot be removed ({error.strerror}): remove it as its owner, then do "
                "this again."
            ) from error

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        # The name that journals of earlier versions have.
        return {"target": self.target, "beside": self.beside, "way": self.strategy}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave."""
        return cls(stored["target"], stored["beside"], stored["way"])


def choose_places(target: Path, name: str, *, merge: bool) -> Places:
    """Choose how a folder's content changes places.

    A folder changes places as a whole, in one rename, where it can: its parent must be writable and on the same file
    system. Where it is a mount point, or its parent belongs to somebody else, its content does, from within.

    Args:
        target: absolute; need not exist.
        name: of the restore.
        merge: what has no namesake among the new files stays.

    Raises:
        RestoreError: neither the target nor its parent can be written to.
    """
    parent = target.parent
    while not parent.exists():
        parent = parent.parent
    hidden = f".{_shortened(target.name)}.backstay-{name}"
    beside_it = os.access(parent, os.W_OK | os.X_OK) and not os.path.ismount(target)
    if target.exists() and not target.is_dir():
        raise RestoreError(f"{target} is no folder: choose another place, or move it away.")
    if not target.exists() and beside_it:
        return Places(str(target), str(target.parent / hidden), "whole")
    if beside_it and target.stat().st_dev == parent.stat().st_dev:
        return Places(str(target), str(target.parent / hidden), "merge" if merge else "whole")
    if target.is_dir() and os.access(target, os.W_OK | os.X_OK):
        return Places(str(target), str(target / f".backstay-{name}"), "merge" if merge else "content")
    raise RestoreError(
        f"Neither {target} nor the folder above it can be written to: run the restore as their owner, "
        "or choose another place."
    )


def _shortened(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:_LONGEST_NAME])


def _make_removable(folder: str) -> None:
    """Let its owner enter and empty every folder below: sites hold folders that nobody may write to."""
    if os.geteuid() == 0:
        return
    for found in walk(folder):
        for name in found.folders:
            # Of somebody else's folder it shows whether it can be removed.
            with suppress(PermissionError):
                os.chmod(name, 0o700, dir_fd=found.descriptor)


def attributes(folder: Path) -> list[Any]:
    """Return a folder's permissions, modification time in nanoseconds, owner, group, and further attributes."""
    status = folder.stat()
    kept, _warning = read_attributes(status, os.fspath(folder))
    fields = json.loads("{" + pack_attributes(kept).removeprefix(",") + "}")
    return [status.st_mode & 0o7777, status.st_mtime_ns, status.st_uid, status.st_gid, fields]


def give_attributes(folder: str, wanted: list[Any] | None) -> None:
    """Give a folder what :func:`attributes` returned, now or in an earlier version; nothing where that is None.

    The owner and attributes that only root may give are left as they are for everybody else.
    """
    if wanted is None:
        return
    mode, mtime, *others = wanted
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if others:
            uid, gid, fields = others
            status = os.fstat(descriptor)
            if (status.st_uid, status.st_gid) != (uid, gid):
                with suppress(PermissionError):
                    os.fchown(descriptor, uid, gid)
            now, _warning = read_attributes(status, descriptor)
            kept = parse_attributes(fields).xattrs
            for name in dict(now.xattrs).keys() - dict(kept).keys():
                with suppress(OSError):
                    os.removexattr(descriptor, name)
            if now.xattrs != kept:
                give_xattrs(descriptor, kept, "all")
        os.fchmod(descriptor, mode)
        os.utime(descriptor, ns=(mtime, mtime))
    finally:
        os.close(descriptor)
