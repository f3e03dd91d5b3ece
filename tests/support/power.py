"""Power cuts: a disk that forgets at some moment all that was not synced, played inside this process.

Files and folders under the watched folder are followed through ``os.fsync``. When the power goes, every file has the
content it had when it was last synced (none, if it never was), and every folder the names it had when *it* was last
synced. A rename is forgotten or kept as a whole, as journalling file systems have it: syncing one of its two folders
keeps it. That is the most that an operating system may forget; SQLite's own syncs are trusted, and its files are kept
as they are at the moment of the cut.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.catalogue.jobs import JobTable
from backstay.catalogue.records import BackupTable


class PowerCut(BaseException):
    """The power is gone: nothing that runs may catch this and go on."""


class Disk:
    """Follows what of a folder is safe."""

    def __init__(self, root: Path, kept: Path) -> None:
        """Begin.

        Args:
            root: the folder that is watched; what is in it now is safe.
            kept: a file in it that is safe at any moment, with those whose names begin like it.
        """
        self._root = root
        self._kept = kept
        self._lock = threading.Lock()
        self._pins: list[int] = []
        self._content: dict[int, bytes] = {}
        self._names: dict[int, dict[str, tuple[int, int, str]]] = {}
        self._saved: dict[str, bytes] = {}
        self._renamed: list[set[Path]] = []
        self._real = os.fsync
        self.moments = 0
        self.cut_at: int | None = None
        self.is_off = False
        self._note_all()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand between the program and the disk: every sync, change of a name and commit is a moment."""
        monkeypatch.setattr(os, "fsync", self._fsync)
        for name in ("unlink", "rmdir"):
            monkeypatch.setattr(os, name, self._before(getattr(os, name)))
        for name in ("rename", "replace"):
            monkeypatch.setattr(os, name, self._renaming(getattr(os, name)))
        for table, name in (
            (JobTable, "update"),
            (BackupTable, "update"),
            (BackupTable, "claim"),
            (BackupTable, "end"),
        ):
            monkeypatch.setattr(table, name, self._before(getattr(table, name)))

    def _before(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self._moment()
            return real(*arguments, **options)

        return call

    def _renaming(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(source: Any, target: Any, **options: Any) -> Any:
            self._moment()
            real(source, target, **options)
            folders = {Path(source).parent, Path(target).parent}
            with self._lock:
                joined = [group for group in self._renamed if group & folders]
                self._renamed = [group for group in self._renamed if group not in joined]
                self._renamed.append(folders.union(*joined))

        return call

    def _moment(self) -> None:
        if self.is_off:
            raise PowerCut
        with self._lock:
            self.moments += 1
            now = self.moments == self.cut_at
        if now:
            self.cut()

    def cut(self) -> None:
        """Take the power away; what the program does from now on is lost."""
        with self._lock:
            if not self.is_off:
                self.is_off = True
                self._saved = {path.name: path.read_bytes() for path in self._kept.parent.glob(f"{self._kept.name}*")}
        raise PowerCut

    def come_back(self) -> None:
        """Leave on the disk what is safe, and give power again."""
        for path in self._root.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self._rebuild(self._root, self._root.stat().st_ino)
        if self._kept.parent.is_dir():
            for name, content in self._saved.items():
                (self._kept.parent / name).write_bytes(content)
        self.is_off = False

    def sync_all(self, *_arguments: object) -> None:
        """Make everything safe, as ``syncfs`` does."""
        self._moment()
        with self._lock:
            self._note_all()

    def _fsync(self, descriptor: int) -> None:
        self._moment()
        self._real(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_relative_to(self._root):
            with self._lock:
                self._note(path)
                for group in [group for group in self._renamed if path in group]:
                    self._renamed.remove(group)
                    for folder in group:
                        if folder.is_dir():
                            self._note(folder)

    def _note_all(self) -> None:
        for folder, _folders, files in os.walk(self._root):
            self._note(Path(folder))
            for name in files:
                if not (Path(folder) / name).is_symlink():
                    self._note(Path(folder) / name)

    def _note(self, path: Path) -> None:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            self._names[status.st_ino] = {
                entry.name: (
                    entry.inode(),
                    entry.stat(follow_symlinks=False).st_mode,
                    str(Path(entry).readlink()) if entry.is_symlink() else "",
                )
                for entry in os.scandir(path)
            }
        elif stat.S_ISREG(status.st_mode) and not path.name.startswith(self._kept.name):
            self._content[status.st_ino] = path.read_bytes()
        # Held open, so that its number in the file system is not given to another one.
        self._pins.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def _rebuild(self, folder: Path, number: int) -> None:
        """Make a folder's content as it was when the folder with this number was last synced, wherever that was."""
        for name, (inner, mode, target) in self._names.get(number, {}).items():
            path = folder / name
            if stat.S_ISDIR(mode):
                path.mkdir(mode=0o700)
                self._rebuild(path, inner)
                path.chmod(stat.S_IMODE(mode))
            elif stat.S_ISLNK(mode):
                path.symlink_to(target)
            elif stat.S_ISREG(mode) and not name.startswith(self._kept.name):
                path.write_bytes(self._content.get(inner, b""))
                path.chmod(stat.S_IMODE(mode))

    def close(self) -> None:
        """Let go of everything."""
        for descriptor in self._pins:
            os.close(descriptor)
        self._pins.clear()
