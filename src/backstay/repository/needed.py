"""What of a repository is needed: the chunks of its snapshots, in tables beside the index, however many there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from backstay.errors import DamagedRepositoryError, RepositoryError
from backstay.repository.layout import ChunkRef, Row, Snapshot, parse_refs
from backstay.repository.lines import all_chunks_of
from backstay.repository.opened import Repository

_AT_ONCE = 64
_TABLES = """
DROP TABLE IF EXISTS temp.needed;
DROP TABLE IF EXISTS temp.live;
DROP TABLE IF EXISTS temp.wanted;
CREATE TEMP TABLE needed (identity BLOB NOT NULL, form BLOB NOT NULL, PRIMARY KEY (identity, form)) WITHOUT ROWID;
CREATE TEMP TABLE live (
    pack INTEGER NOT NULL, offset INTEGER NOT NULL, identity BLOB NOT NULL, size INTEGER NOT NULL,
    deflated INTEGER NOT NULL, form BLOB NOT NULL, kind INTEGER NOT NULL, PRIMARY KEY (pack, offset)
) WITHOUT ROWID;
CREATE TEMP TABLE wanted (number INTEGER PRIMARY KEY);
"""
_FIND_LIVE = """
INSERT INTO live SELECT pack, offset, chunks.identity, size, deflated, chunks.form, kind
FROM chunks JOIN needed ON needed.identity = chunks.identity AND needed.form = chunks.form
WHERE pack IN (SELECT number FROM wanted)
"""
_SIZES = """
SELECT packs.name, packs.size, coalesce(total, 0), coalesce(live, 0) FROM packs
LEFT JOIN (SELECT pack, sum(deflated) AS total FROM chunks GROUP BY pack) AS all_chunks
    ON all_chunks.pack = packs.number
LEFT JOIN (SELECT pack, sum(deflated) AS live FROM live GROUP BY pack) AS needed_chunks
    ON needed_chunks.pack = packs.number
WHERE packs.number IN (SELECT number FROM wanted) ORDER BY packs.number
"""
_SEVERAL_TIMES = """
SELECT identity, form FROM chunks WHERE pack IN (SELECT number FROM wanted)
GROUP BY identity, form HAVING min(pack) <> max(pack)
"""
_PACKS_OF = """
SELECT DISTINCT packs.name FROM chunks JOIN packs ON packs.number = chunks.pack WHERE identity = ? AND form = ?
"""
_ROWS = """
SELECT identity, live.size, deflated, form, offset, kind FROM live JOIN packs ON packs.number = live.pack
WHERE packs.name = ? ORDER BY offset
"""


class PackUse(NamedTuple):
    """What of a pack is needed.

    Attributes:
        name: of the pack.
        size: its bytes.
        total: bytes of its chunks.
        live: bytes of those that are needed.
    """

    name: str
    size: int
    total: int
    live: int


class NeededChunks:
    """The chunks that snapshots refer to; one of these at a time uses a repository.

    Args:
        repository: whose.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.lists: set[bytes] = set()
        """Keys of the chunks of lines, and of references to them: the few that are kept in memory."""
        with repository.index.used() as connection:
            connection.executescript(_TABLES)

    def collect(self) -> None:
        """Add the chunks of all snapshots that are there now; what was seen before is not read again.

        Raises:
            RepositoryError: a snapshot cannot be read, so that it is not known what it needs.
        """
        snapshots, damaged = self._repository.snapshots()
        if damaged:
            raise _unknown(damaged[0])
        for snapshot in snapshots:
            try:
                self._collect(snapshot)
            except DamagedRepositoryError as error:
                raise _unknown(snapshot.id) from error

    def _collect(self, snapshot: Snapshot) -> None:
        new = self._unseen(snapshot.lists)
        self._add(new)
        for content in self._repository.contents(new):
            lines = self._unseen(parse_refs(content))
            self._add(lines)
            for start in range(0, len(lines), _AT_ONCE):
                contents = self._repository.contents(lines[start : start + _AT_ONCE])
                self._add(ref for text in contents for ref in all_chunks_of(text))

    def _unseen(self, refs: Iterable[ChunkRef]) -> list[ChunkRef]:
        found = []
        for ref in refs:
            if ref.key not in self.lists:
                self.lists.add(ref.key)
                found.append(ref)
        return found

    def _add(self, refs: Iterable[ChunkRef]) -> None:
        rows = [(ref.identity, ref.form) for ref in refs]
        with self._repository.index.used() as connection:
            connection.execute("BEGIN")
            connection.executemany("INSERT OR IGNORE INTO needed VALUES (?, ?)", rows)
            connection.execute("COMMIT")

    def look_into(self, packs: Iterable[str]) -> None:
        """Find the chunks of some packs that are needed, for all that follows here."""
        with self._repository.index.used() as connection:
            connection.execute("BEGIN")
            connection.execute("DELETE FROM live")
            connection.execute("DELETE FROM wanted")
            connection.executemany(
                "INSERT OR IGNORE INTO wanted SELECT number FROM packs WHERE name = ?", [(name,) for name in packs]
            )
            connection.execute(_FIND_LIVE)
            connection.execute("COMMIT")

    def uses(self) -> list[PackUse]:
        """Give what of each of these packs is needed."""
        with self._repository.index.used() as connection:
            return [PackUse(*row) for row in connection.execute(_SIZES)]

    def shared(self) -> tuple[set[bytes], set[str]]:
        """Give the keys of the chunks that lie in several of these packs, and the names of all packs that hold one."""
        names: set[str] = set()
        with self._repository.index.used() as connection:
            found = connection.execute(_SEVERAL_TIMES).fetchall()
            for row in found:
                names.update(name for (name,) in connection.execute(_PACKS_OF, row))
        return {identity + form for identity, form in found}, names

    def rows(self, pack: str) -> list[Row]:
        """Give the chunks of one of these packs that are needed, in their order in it."""
        with self._repository.index.used() as connection:
            found = connection.execute(_ROWS, (pack,)).fetchall()
        return [Row(ChunkRef(*fields), offset, kind) for *fields, offset, kind in found]


def _unknown(identity: str) -> RepositoryError:
    return RepositoryError(
        f"The backup {identity} can't be read, so that nobody knows what it needs: nothing was deleted. Put its files "
        f"back, or let go of it with 'backstay repository remove'."
    )
