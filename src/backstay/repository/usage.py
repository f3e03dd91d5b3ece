"""What the backups of a repository take, and what deleting each would give back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from backstay.errors import DamagedRepositoryError
from backstay.repository.layout import ChunkRef, Snapshot, pack_refs, parse_refs
from backstay.repository.lines import all_chunks_of
from backstay.repository.opened import Repository

_SHARED = -1
_AT_ONCE = 64
_TABLES = """
DROP TABLE IF EXISTS temp.owners;
CREATE TEMP TABLE owners (
    identity BLOB NOT NULL, form BLOB NOT NULL, owner INTEGER NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (identity, form)
) WITHOUT ROWID;
"""
# -1 is `_SHARED`.
_OWN = """
INSERT INTO owners VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET owner = -1 WHERE owner <> excluded.owner
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a repository takes.

    Attributes:
        snapshots: the backups, oldest first.
        frees: for each, the bytes that nothing but it needs; None where its list of files cannot be read.
        damaged: identities of backups that cannot be read at all.
        stored: bytes of all packs.
    """

    snapshots: list[Snapshot]
    frees: list[int | None]
    damaged: list[str]
    stored: int

    @property
    def size(self) -> int:
        """Bytes of the files of all backups, as if each were kept whole."""
        return sum(snapshot.size for snapshot in self.snapshots)


def usage(repository: Repository) -> Usage:
    """Add up what a repository takes.

    Raises:
        BackstayError: the destination cannot be read.
    """
    repository.refresh()
    snapshots, damaged = repository.snapshots()
    owners = _Owners(repository)
    for number, snapshot in enumerate(snapshots):
        owners.add(number, snapshot)
    frees = owners.frees(len(snapshots))
    return Usage(snapshots, frees, damaged, sum(repository.index.packs().values()))


class _Owners:
    """Which backup alone needs a chunk. The chunks are in a table beside the index; lists are looked at once."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._lists: dict[bytes, bytes] = {}
        self._lines: dict[bytes, int] = {}
        self._unreadable: set[int] = set()
        self._in: list[tuple[int, bytes]] = []
        with repository.index.used() as connection:
            connection.executescript(_TABLES)

    def add(self, number: int, snapshot: Snapshot) -> None:
        """Add what a backup refers to by itself: the lists of its lines."""
        try:
            for ref in snapshot.lists:
                if ref.key not in self._lists:
                    self._lists[ref.key] = next(self._repository.contents([ref]))
                self._in.append((number, ref.key))
            self._own(number, snapshot.lists)
            for ref in snapshot.lists:
                lines = parse_refs(self._lists[ref.key])
                self._own(number, lines)
                for line in lines:
                    if self._lines.setdefault(pack_refs([line]), number) != number:
                        self._lines[pack_refs([line])] = _SHARED
        except DamagedRepositoryError:
            self._unreadable.add(number)

    def _own(self, number: int, refs: Iterable[ChunkRef]) -> None:
        seal = self._repository.keys.seal_size
        rows = [(ref.identity, ref.form, number, ref.deflated + seal) for ref in refs]
        with self._repository.index.used() as connection:
            connection.execute("BEGIN")
            connection.executemany(_OWN, rows)
            connection.execute("COMMIT")

    def frees(self, count: int) -> list[int | None]:
        """Read the lines, and add up what each of so many backups needs alone."""
        bad: set[bytes] = set()
        by_owner: dict[int, list[ChunkRef]] = {}
        for packed, owner in self._lines.items():
            by_owner.setdefault(owner, []).append(parse_refs(packed)[0])
        for owner, lines in by_owner.items():
            for start in range(0, len(lines), _AT_ONCE):
                bad.update(self._read(owner, lines[start : start + _AT_ONCE]))
        for number, key in self._in:
            if bad and any(ref.key in bad for ref in parse_refs(self._lists[key])):
                self._unreadable.add(number)
        with self._repository.index.used() as connection:
            alone = dict(connection.execute("SELECT owner, sum(bytes) FROM owners GROUP BY owner"))
        return [None if number in self._unreadable else alone.get(number, 0) for number in range(count)]

    def _read(self, owner: int, lines: list[ChunkRef]) -> list[bytes]:
        """Add the chunks of files; give the keys of those chunks of lines that cannot be read."""
        try:
            contents = list(self._repository.contents(lines))
        except DamagedRepositoryError:
            if len(lines) == 1:
                return [lines[0].key]
            return [key for line in lines for key in self._read(owner, [line])]
        self._own(owner, [ref for content in contents for ref in all_chunks_of(content)])
        return []
