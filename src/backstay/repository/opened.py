"""A repository that is open: its chunks and its snapshots."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from backstay.archives.codec import EMPTY_STREAM, inflate_pieces, inflate_whole
from backstay.archives.parts import disk_errors
from backstay.errors import (
    ConfigurationError,
    DamagedArchiveError,
    DamagedRepositoryError,
    NotFoundError,
    RepositoryError,
    UsageError,
)
from backstay.repository import marks
from backstay.repository.index import Index, Place, side_by_side
from backstay.repository.keys import (
    AVERAGE,
    Description,
    Keys,
    describe,
    pack_description,
    parse_description,
    unlock,
)
from backstay.repository.layout import (
    ChunkRef,
    Snapshot,
    form_of,
    pack_snapshot,
    parse_snapshot_body,
    snapshot_body,
    unpack_snapshot,
)
from backstay.repository.layout_cache import LayoutCache
from backstay.repository.packs import FOLDER, is_pack_name, pack_name, read_table
from backstay.repository.store import Found, Store
from backstay.repository.work import is_dead, remove_folder

DESCRIPTION = "backstay-repository.json"
COPY = "backstay-repository-copy.json"
SNAPSHOTS = "snapshots"
_SNAPSHOT = b"snapshot"
_READERS = 4
_AT_ONCE = 512
_SMALL = 8 << 20


class Repository:
    """Made by `create_repository` and `open_repository`. Close it, or use it in a ``with`` statement.

    Attributes:
        description: what it says of itself.
        keys: what opens it.
        store: its files.
        index: where its chunks are.
        state: the folder of this machine where the index lies, and packs while they are made.
    """

    def __init__(self, store: Store, description: Description, keys: Keys, state: Path) -> None:
        self.description = description
        self.keys = keys
        self.store = store
        self.state = state
        with disk_errors(state):
            self.work.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.index = Index(state / "index.sqlite", description.id)
        self.unreadable: list[str] = []
        self._layouts: LayoutCache | None = None
        self._layouts_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Repository({self.store.url!r}, encrypted={self.description.encrypted})"

    @property
    def work(self) -> Path:
        """Where packs are made."""
        return self.state / "work"

    @property
    def layouts(self) -> LayoutCache:
        """What is known of archives as which its snapshots are handed out."""
        with self._layouts_lock:
            if self._layouts is None:
                self._layouts = LayoutCache(self.state / "layouts.sqlite", self.description.id, self.keys)
            return self._layouts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the index and the destination."""
        self.index.close()
        if self._layouts is not None:
            self._layouts.close()
        self.store.close()

    # ------------------------------------------------------------------ the index

    def refresh(self) -> list[marks.Mark]:
        """Bring the index in line with the packs that are there, and with what is not to be used any more.

        Returns:
            The marks that are there. Packs whose tables are unreadable are named in ``unreadable``.
        """
        found_marks = marks.marks(self.store)
        there = {file.name: file for file in self.store.list(FOLDER) if is_pack_name(file.name)}
        known = self.index.packs()
        gone = [name for name, size in known.items() if name not in there or there[name].size != size]
        new = [file for name, file in there.items() if name not in known or known[name] != file.size]
        if gone:
            self.drop_packs(gone)
        self.unreadable = []
        with ThreadPoolExecutor(_READERS, "backstay-tables") as pool:
            for file, problem in zip(new, pool.map(self._add_pack, new), strict=True):
                if problem:
                    self.unreadable.append(file.name)
        self.index.set_marks(
            {name for mark in found_marks for name in mark.packs},
            {pair for mark in found_marks for pair in mark.damaged},
        )
        return found_marks

    def drop_packs(self, names: Sequence[str]) -> None:
        """Forget packs that are gone."""
        self.index.drop_packs(names)
        self.layouts.forget_places()

    def _add_pack(self, file: Found) -> bool:
        """Note a pack in the index; return whether its tables are unreadable."""
        try:
            rows = read_table(self.store, self.keys, file)
        except DamagedRepositoryError:
            return True
        except NotFoundError:
            return False
        self.index.add_pack(file.name, file.size, rows)
        return False

    def living_writers(self) -> list[marks.Writer]:
        """List who writes to the repository; those that are dead are taken off the list."""
        living = []
        for writer in marks.writers(self.store):
            here = is_dead(self.work, writer.id)
            if not here and not writer.is_stale(time.time()):
                living.append(writer)
                continue
            marks.deregister(self.store, writer.id)
            if here:
                remove_folder(self.work, writer.id)
        return living

    # ------------------------------------------------------------------ chunks

    def deflated(self, refs: Sequence[ChunkRef]) -> Iterator[bytes | memoryview]:
        """Give the deflated bytes of chunks, in order, each held to its form.

        Raises:
            DamagedRepositoryError: one of them is not there, or not what was written.
        """
        for start in range(0, len(refs), _AT_ONCE):
            part = refs[start : start + _AT_ONCE]
            for ref, found in zip(part, self.whole_ones(part), strict=True):
                if found is None:
                    name = ref.identity.hex()
                    raise DamagedRepositoryError(f"The chunk {name} of the repository is damaged or missing.")
                yield found

    def whole_ones(
        self, refs: Sequence[ChunkRef], places: Sequence[tuple[str, int] | None] | None = None
    ) -> list[bytes | memoryview | None]:
        """Read the deflated bytes of chunks, all at once; None for those that are missing or damaged everywhere.

        Args:
            refs: the chunks.
            places: where they are likely to lie, as `Index.find` said it once.
        """
        found = self._read(refs, self.index.find(refs) if places is None else places)
        missing = [number for number, data in enumerate(found) if data is None]
        if missing and places is not None:
            lost = [refs[number] for number in missing]
            for number, data in zip(missing, self._read(lost, self.index.find(lost)), strict=True):
                found[number] = data
            missing = [number for number in missing if found[number] is None]
        if missing:
            # Another process may have moved them, or stored them since the index was read.
            self.refresh()
            for number in missing:
                found[number] = self._elsewhere(refs[number])
        return found

    def _read(
        self, refs: Sequence[ChunkRef], places: Sequence[tuple[str, int] | None]
    ) -> list[bytes | memoryview | None]:
        """Read chunks from their places, those that lie side by side with one read."""
        seal = self.keys.seal_size
        found: list[bytes | memoryview | None] = [None] * len(refs)
        start = 0
        while start < len(refs):
            if (first := places[start]) is None:
                start += 1
                continue
            pack, begin = first
            end, length = side_by_side(places, refs, start, seal)
            data = memoryview(b"")
            with contextlib.suppress(NotFoundError):
                data = memoryview(self.store.read(pack_name(pack), begin, length))
            for number in range(start, end):
                place, ref = places[number], refs[number]
                offset = place[1] - begin if place else 0
                found[number] = self._opened(ref, data[offset : offset + ref.deflated + seal])
            start = end
        return found

    def _opened(self, ref: ChunkRef, stored: bytes | memoryview) -> bytes | memoryview | None:
        """Give the deflated bytes of a chunk from what a pack holds; None where that is not what was written."""
        opened = self.keys.open(stored, ref.identity) if self.keys.seal_size else stored
        if opened is None or len(opened) != ref.deflated or form_of(opened) != ref.form:
            return None
        return opened

    def _elsewhere(self, ref: ChunkRef) -> bytes | memoryview | None:
        """Read a chunk from wherever it is whole."""
        for place in self.index.places_of([ref.identity]).get(ref.identity, ()):
            if place.ref == ref and (opened := self._opened(ref, self.stored(place))) is not None:
                return opened
        return None

    def stored(self, place: Place) -> bytes:
        """Read what a pack holds at a place, whatever that is; nothing where the pack is gone."""
        try:
            return self.store.read(pack_name(place.pack), place.offset, place.ref.deflated + self.keys.seal_size)
        except NotFoundError:
            return b""

    def is_whole(self, ref: ChunkRef, stored: bytes) -> bool:
        """Say whether what a pack holds of a chunk is what was written, by its content."""
        opened = self._opened(ref, stored)
        return opened is not None and self.inflated(ref, opened) is not None

    def contents(self, refs: Sequence[ChunkRef]) -> Iterator[bytes]:
        """Give the content of chunks, in order, each held to its identity.

        Raises:
            DamagedRepositoryError: one of them is not there, or not what was written.
        """
        for ref, deflated in zip(refs, self.deflated(refs), strict=True):
            content = self.inflated(ref, deflated)
            if content is None:
                raise DamagedRepositoryError(f"The chunk {ref.identity.hex()} of the repository is damaged.")
            yield content

    def inflated(self, ref: ChunkRef, deflated: bytes | memoryview) -> bytes | None:
        """Give the content of a chunk; None where it is not what the chunk's identity says."""
        stream = b"".join((deflated, EMPTY_STREAM))
        try:
            # Where nobody knows how large it really is, not all of it at once.
            is_small = ref.size <= _SMALL
            content = inflate_whole(stream, ref.size) if is_small else b"".join(inflate_pieces((stream,), ref.size))
        except DamagedArchiveError:
            return None
        return content if self.keys.identity(content) == ref.identity else None

    # ------------------------------------------------------------------ snapshots

    def snapshot_ids(self) -> list[str]:
        """List the identities of the snapshots."""
        return [file.name for file in self.store.list(SNAPSHOTS) if _is_id(file.name)]

    def snapshot(self, identity: str) -> Snapshot:
        """Read a snapshot.

        Raises:
            NotFoundError: there is none.
            DamagedRepositoryError: it is not what was written.
        """
        try:
            data = self.store.read_all(f"{SNAPSHOTS}/{identity}")
        except NotFoundError as error:
            raise NotFoundError(f"The repository has no backup {identity}: see them with 'repository show'.") from error
        sealed = unpack_snapshot(identity, data)
        body = self.keys.open(sealed, _SNAPSHOT + bytes.fromhex(identity))
        if body is None:
            raise DamagedRepositoryError(f"The backup {identity} of the repository is damaged: it can't be decrypted.")
        return parse_snapshot_body(identity, body)

    def snapshots(self) -> tuple[list[Snapshot], list[str]]:
        """Read all snapshots.

        Returns:
            Those that are whole, oldest first, and the identities of those that are damaged.
        """
        whole, damaged = [], []
        for identity in self.snapshot_ids():
            try:
                whole.append(self.snapshot(identity))
            except DamagedRepositoryError:
                damaged.append(identity)
            except NotFoundError:
                continue
        return sorted(whole, key=lambda snapshot: (snapshot.created, snapshot.id)), damaged

    def find(self, prefix: str) -> str:
        """Give the identity of the snapshot that begins so.

        Raises:
            NotFoundError: none does.
            UsageError: several do.
        """
        found = [identity for identity in self.snapshot_ids() if identity.startswith(prefix.lower())]
        if not found or not prefix:
            raise NotFoundError(f"The repository has no backup {prefix[:40]!r}: see them with 'repository show'.")
        if len(found) > 1:
            raise UsageError(f"{len(found)} backups of the repository begin with {prefix}: give more digits.")
        return found[0]

    def put_snapshot(self, snapshot: Snapshot) -> None:
        """Write a snapshot: from now on the backup is there."""
        purpose = _SNAPSHOT + bytes.fromhex(snapshot.id)
        data = pack_snapshot(snapshot.id, self.keys.seal(snapshot_body(snapshot), purpose))
        self.store.put(f"{SNAPSHOTS}/{snapshot.id}", data, locked=True)

    def remove_snapshot(self, identity: str) -> None:
        """Let go of a snapshot; `prune` gives back the space of what nothing else needs.

        Raises:
            NotFoundError: there is none.
            StorageError: the service refuses, as it does while it is locked.
        """
        if identity not in self.snapshot_ids():
            raise NotFoundError(f"The repository has no backup {identity[:40]}: see them with 'repository show'.")
        self.store.delete(f"{SNAPSHOTS}/{identity}")


def _is_id(name: str) -> bool:
    return len(name) == 16 and all(letter in "0123456789abcdef" for letter in name)


def create_repository(
    store: Store, state: Path, *, passphrase: str | None = None, average: int = AVERAGE
) -> Repository:
    """Make a repository.

    Args:
        store: where; its folder must be empty.
        state: a folder of this machine for its index.
        passphrase: encrypts it; None: it is not encrypted.
        average: bytes of a piece of a large file.

    Raises:
        UsageError: there is something there already.
        BackstayError: it cannot be written there.
    """
    if next(store.names(), None) is not None:
        raise UsageError(f"There is something at {store.url} already: choose another name or place.")
    description, keys = describe(passphrase, average=average)
    data = pack_description(description)
    store.put(COPY, data, locked=True)
    store.put(DESCRIPTION, data, locked=True)
    return Repository(store, description, keys, state)


def open_repository(
    store: Store, state: Path, *, passphrase: str | None = None, secret: bytes | None = None
) -> Repository:
    """Open a repository.

    Args:
        store: where it lies.
        state: a folder of this machine for its index.
        passphrase: that it was made with, where it is encrypted.
        secret: instead, what ``keys.secret`` was.

    Raises:
        NotFoundError: there is none.
        WrongPasswordError: it is encrypted, and what was given does not open it.
        DamagedRepositoryError: both copies of its description are damaged.
    """
    description = read_description(store)
    return Repository(store, description, unlock(description, passphrase=passphrase, secret=secret), state)


def read_description(store: Store) -> Description:
    """Read the description of a repository, from its first copy that is whole.

    Raises:
        NotFoundError: there is none.
        DamagedRepositoryError: it is damaged.
    """
    problem: DamagedRepositoryError | None = None
    for name in (DESCRIPTION, COPY):
        try:
            return parse_description(store.read_all(name))
        except NotFoundError:
            continue
        except DamagedRepositoryError as error:
            problem = error
        except ConfigurationError:
            raise
    if problem is not None:
        raise problem
    raise NotFoundError(f"There is no repository at {store.url}: make one with 'backstay repository create'.")


def remove_repository(repository: Repository) -> None:
    """Delete a repository with everything in it, and close it.

    Raises:
        RepositoryError: somebody writes to it.
        StorageError: the service refuses, as it does while files are locked.
    """
    if repository.living_writers():
        raise RepositoryError("Somebody writes to the repository: wait for the end of that, then remove it.")
    names = sorted(repository.store.names(), key=lambda name: (name in {DESCRIPTION, COPY}, name))
    for name in names:
        repository.store.delete(name)
    state = repository.state
    repository.close()
    shutil.rmtree(state, ignore_errors=True)
