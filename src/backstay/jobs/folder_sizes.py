"""How much lies in each folder of a tree: counted by one walk with a bound, and kept for a while."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

LONGEST_WALK: Final = 60.0
"""Seconds after which a walk ends, whatever it has not seen."""
MOST_FOLDERS: Final = 200_000
KEPT_SECONDS: Final = 600.0
_KEPT_TREES = 8
_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class FolderSize:
    """What lies in one folder.

    Attributes:
        total: bytes of all files in it and below it; links are not followed.
        in_files: bytes of the files in it alone.
        files: how many files are in it and below it.
    """

    total: int = 0
    in_files: int = 0
    files: int = 0


@dataclass(slots=True)
class TreeSizes:
    """What is known of a tree.

    Attributes:
        of: sizes by the path of a folder relative to the tree, the empty one being its top; empty until it is done.
        is_whole: nothing was left uncounted.
    """

    of: dict[str, FolderSize] = field(default_factory=dict)
    is_whole: bool = True


def count_tree(root: Path, clock: Callable[[], float] = time.monotonic, *, seconds: float = LONGEST_WALK) -> TreeSizes:
    """Return the sizes of all folders of a tree; a folder that can't be read counts as empty.

    Args:
        root: of the tree.
        clock: seconds that never go back.
        seconds: for which it is walked at most.
    """
    until, sizes = clock() + seconds, TreeSizes()
    order: list[str] = [""]
    own: dict[str, tuple[int, int]] = {}
    reached = 0
    while reached < len(order):
        path = order[reached]
        reached += 1
        if clock() > until or len(order) > MOST_FOLDERS:
            sizes.is_whole = False
            break
        own[path] = _count(root, path, order)
    totals = {path: [size, files] for path, (size, files) in own.items()}
    # A folder stands behind the one that holds it: from the end on, each is whole when it is added to that one.
    for path in reversed(order[1:]):
        if path in totals:
            above = totals[path.rpartition("/")[0]]
            above[0] += totals[path][0]
            above[1] += totals[path][1]
    sizes.of = {path: FolderSize(total, own[path][0], files) for path, (total, files) in totals.items()}
    return sizes


def _count(root: Path, path: str, order: list[str]) -> tuple[int, int]:
    """Return bytes and number of the files in a folder; the folders in it are put at the end of the order."""
    size = files = 0
    try:
        with os.scandir(root / path) as found:
            for entry in found:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        order.append(f"{path}/{entry.name}" if path else entry.name)
                    else:
                        size += entry.stat(follow_symlinks=False).st_size
                        files += 1
                except OSError:
                    continue
    except OSError:
        return 0, 0
    return size, files


@dataclass(slots=True)
class _Walk:
    done: threading.Event = field(default_factory=threading.Event)
    sizes: TreeSizes = field(default_factory=TreeSizes)
    ended: float = 0.0


class SizeCache:
    """Counts trees in threads of its own, and keeps what they found."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._walks: OrderedDict[Path, _Walk] = OrderedDict()
        self._slots = threading.Semaphore(_AT_ONCE)

    def sizes(self, root: Path, *, patience: float, anew: bool = False) -> TreeSizes | None:
        """Return the sizes of a tree; None: they are still being counted, ask again later.

        Args:
            root: of the tree.
            patience: seconds for which the caller waits.
            anew: count again, whatever is known.
        """
        with self._lock:
            walk = self._walks.get(root)
            is_old = walk is not None and walk.done.is_set() and (anew or self._clock() - walk.ended > KEPT_SECONDS)
            if walk is None or is_old:
                walk = self._walks[root] = _Walk()
                threading.Thread(target=self._count, args=(root, walk), daemon=True).start()
            self._walks.move_to_end(root)
            while len(self._walks) > _KEPT_TREES:
                self._walks.popitem(last=False)
        return walk.sizes if walk.done.wait(patience) else None

    def _count(self, root: Path, walk: _Walk) -> None:
        with self._slots:
            try:
                walk.sizes = count_tree(root)
            finally:
                walk.ended = self._clock()
                walk.done.set()


tree_sizes: Final = SizeCache()
"""Of this process."""
