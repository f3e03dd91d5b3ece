"""Giving back the space of what no snapshot needs any more, while others write.

What is condemned stays condemned: a chunk of such a pack that turns out to be needed, because a writer that did not
know has referred to it, is copied into another pack before the pack is deleted. So whatever several of these do at
once, and wherever one of them stops, nothing that a snapshot needs is lost (`backstay.repository.marks`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from backstay.errors import RepositoryError, StorageError
from backstay.repository import marks
from backstay.repository.index import Place
from backstay.repository.layout import ChunkRef, Row
from backstay.repository.marks import Mark
from backstay.repository.needed import NeededChunks
from backstay.repository.opened import Repository
from backstay.repository.packs import FOLDER, PACK_SIZE, PackBuilder, pack_name
from backstay.repository.work import WorkFolder

_HALF = 0.5
_SMALL = PACK_SIZE // 4
_MANY_SMALL = 16
_CLOCKS = 300.0
"""Seconds by which clocks may differ; where they differ by more, packs are copied that need not be."""


@dataclass(slots=True)
class Pruned:
    """What was done.

    Attributes:
        deleted: packs that were deleted.
        freed: their bytes.
        rewritten: packs of which the rest was copied into others.
        copied: bytes that were copied.
        waiting: packs that are deleted once the writers that run now have ended.
        locked: packs that the service does not let go of yet.
        kept: packs with damaged chunks that are needed and lie nowhere else, or with unreadable tables.
    """

    deleted: int = 0
    freed: int = 0
    rewritten: int = 0
    copied: int = 0
    waiting: int = 0
    locked: int = 0
    kept: list[str] = field(default_factory=list)


def prune(repository: Repository, *, on_step: Callable[[str], None] = lambda _: None) -> Pruned:
    """Delete what no snapshot needs.

    Args:
        repository: whose.
        on_step: called with what is being done.

    Raises:
        RepositoryError: somebody else prunes it, or a snapshot cannot be read.
        BackstayError: something could not be read or written; nothing that is needed is lost.
    """
    identity = marks.new_id()
    folder = WorkFolder(repository.work, identity)
    try:
        marks.register(repository.store, marks.Writer(identity, "prune", time.time()))
        others = [writer for writer in repository.living_writers() if writer.id != identity]
        if any(writer.task == "prune" for writer in others):
            raise RepositoryError("Somebody else prunes the repository: wait for the end of that.")
        return _Prune(repository, folder, identity, on_step).run()
    finally:
        marks.end(repository.store, identity, folder)


class _Prune:
    def __init__(
        self, repository: Repository, folder: WorkFolder, identity: str, on_step: Callable[[str], None]
    ) -> None:
        self._repository = repository
        self._folder = folder
        self._identity = identity
        self._on_step = on_step
        self._needed = NeededChunks(repository)
        self._shared: set[bytes] = set()
        # Of the chunks that lie in several packs, which one keeps it.
        self._homes: dict[bytes, str] = {}
        self._done = Pruned()
        self._builder: PackBuilder | None = None
        self._made: set[str] = set()
        self._there: dict[str, int] = {}
        self._gone: list[str] = []

    def run(self) -> Pruned:
        repository = self._repository
        self._on_step("looking for what is needed")
        repository.refresh()
        self._needed.collect()
        condemned = self._condemn()
        if condemned:
            marks.put_mark(repository.store, Mark(marks.new_id(), tuple(condemned)))
        self._delete_condemned()
        self._done.kept += repository.unreadable
        return self._done

    # ------------------------------------------------------------------ what goes

    def _condemn(self) -> list[str]:
        """Choose the packs that go; copy what is needed of them into others."""
        index = self._repository.index
        condemned_before, damaged = index.marked()
        young = self._young()
        self._needed.look_into(name for name in index.packs() if name not in condemned_before and name not in young)
        self._shared, looked_at = self._needed.shared()
        looked_at |= {name for name, _ in damaged}
        gone: list[str] = []
        rewritten: list[str] = []
        small: list[str] = []
        for name, size, total, live in self._needed.uses():
            left, is_damaged = live, False
            if name in looked_at and live:
                rows = self._needed.rows(name)
                bad = [row for row in rows if (name, row.ref.identity) in damaged]
                is_damaged = bool(bad)
                left = sum(row.ref.deflated for row in self._mine(name, rows, bad))
                if any(not self._is_elsewhere(row.ref) for row in bad):
                    self._done.kept.append(name)
                    continue
            if not left:
                gone.append(name)
            elif is_damaged or left < _HALF * total:
                rewritten.append(name)
            elif size < _SMALL:
                small.append(name)
        if len(small) >= _MANY_SMALL:
            rewritten += small
        return gone + self._copied(rewritten)

    def _mine(self, name: str, rows: Iterable[Row], bad: Sequence[Row]) -> list[Row]:
        """Give what a pack keeps: its chunks, but for those that another pack keeps, and those that are damaged."""
        mine = [row for row in rows if row not in bad and self._homes.get(row.ref.key, name) == name]
        self._homes.update((row.ref.key, name) for row in mine if row.ref.key in self._shared)
        return mine

    def _young(self) -> set[str]:
        """Give the packs that writers which run now may have made: they are likely to be needed soon."""
        begun = [writer.started for writer in self._others()]
        if not begun:
            return set()
        since = datetime.fromtimestamp(min(begun) - _CLOCKS, UTC)
        found = self._repository.store.list(FOLDER)
        return {file.name for file in found if file.modified is None or file.modified >= since}

    def _is_elsewhere(self, ref: ChunkRef) -> bool:
        return ref in self._repository.index.usable([ref.identity]).get(ref.identity, ())

    def _is_whole_elsewhere(self, ref: ChunkRef) -> bool:
        """Say whether a chunk lies in a pack that stays, as it was written: what this run has put there was proven."""
        condemned, damaged = self._repository.index.marked()
        for place in self._repository.index.places_of([ref.identity]).get(ref.identity, ()):
            if place.ref != ref or place.pack in condemned or (place.pack, ref.identity) in damaged:
                continue
            if place.pack in self._made or self._repository.is_whole(ref, self._repository.stored(place)):
                return True
        return False

    def _copied(self, packs: Iterable[str]) -> list[str]:
        """Copy chunks of packs into others; give the packs of which all of them arrived."""
        done = []
        _, damaged = self._repository.index.marked()
        for name in packs:
            self._on_step(f"rewriting the pack {name}")
            rows = self._needed.rows(name)
            bad = [row for row in rows if (name, row.ref.identity) in damaged]
            if self._copy(Place(name, row.offset, row.ref, row.kind) for row in self._mine(name, rows, bad)):
                done.append(name)
            else:
                self._done.kept.append(name)
        self._send()
        self._done.rewritten += len(done)
        return done

    def _copy(self, places: Iterable[Place]) -> bool:
        """Copy chunks that are whole; give whether all were."""
        whole = True
        for place in places:
            stored = self._repository.stored(place)
            if not self._repository.is_whole(place.ref, stored):
                whole = False
                continue
            if self._builder is None:
                self._builder = PackBuilder(self._folder.path, self._repository.keys)
            self._builder.add(place.ref, stored, place.kind)
            self._done.copied += len(stored)
            if self._builder.is_full:
                self._send()
        return whole

    def _send(self) -> None:
        if self._builder is None:
            return
        pack = self._builder.finish()
        self._builder = None
        self._repository.store.put_file(pack_name(pack.id), pack.path, pack.digest, locked=True)
        pack.path.unlink()
        self._repository.index.add_pack(pack.id, pack.size, pack.rows)
        self._made.add(pack.id)
        marks.beat(self._repository.store, self._identity)

    # ------------------------------------------------------------------ what was condemned, now or before

    def _delete_condemned(self) -> None:
        repository = self._repository
        # In this order: marks, writers, marks and packs again, snapshots. See `backstay.repository.marks`.
        found = [marks.waiting(repository.store, mark, self._others()) for mark in marks.marks(repository.store)]
        living = {writer.id for writer in self._others()}
        repository.refresh()
        self._needed.collect()
        repository.layouts.keep_only(repository.snapshot_ids(), self._needed.lists)
        self._there = there = repository.index.packs()
        matured = [mark for mark in found if not living.intersection(mark.waits_for or ())]
        self._done.waiting = sum(name in there for mark in found if mark not in matured for name in mark.packs)
        condemned = [name for mark in matured for name in mark.packs if name in there]
        self._needed.look_into(condemned)
        left = {name for name in condemned if not self._delete(name)}
        if self._gone:
            repository.drop_packs(self._gone)
        there = repository.index.packs()
        for mark in matured:
            packs = tuple(name for name in mark.packs if name in left)
            damaged = tuple(pair for pair in mark.damaged if pair[0] in there)
            if not packs and not damaged:
                marks.delete_mark(repository.store, mark)
            elif (packs, damaged) != (mark.packs, mark.damaged):
                marks.put_mark(repository.store, replace(mark, packs=packs, damaged=damaged))

    def _others(self) -> list[marks.Writer]:
        return [writer for writer in self._repository.living_writers() if writer.id != self._identity]

    def _delete(self, name: str) -> bool:
        """Delete a condemned pack, with what is needed of it copied before; give whether it is gone."""
        repository = self._repository
        self._on_step(f"deleting the pack {name}")
        saved = [
            Place(name, row.offset, row.ref, row.kind)
            for row in self._needed.rows(name)
            if not self._is_whole_elsewhere(row.ref)
        ]
        if saved:
            whole = self._copy(saved)
            self._send()
            if not whole:
                self._done.kept.append(name)
                return False
        size = self._there.get(name)
        if size is None or name in self._gone:
            # It is in two marks.
            return True
        try:
            repository.store.delete(pack_name(name))
        except StorageError:
            self._done.locked += 1
            return False
        self._gone.append(name)
        self._done.deleted += 1
        self._done.freed += size
        return True
