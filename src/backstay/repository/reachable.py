"""What of a repository is needed: all chunks that its snapshots refer to."""

from __future__ import annotations

from collections.abc import Iterator

from backstay.errors import DamagedRepositoryError, RepositoryError
from backstay.repository.layout import ChunkRef, Snapshot, pack_refs, parse_refs
from backstay.repository.lines import lines_of
from backstay.repository.opened import Repository


class Reachable:
    """Walks over snapshots; what several of them share is read once, in any number of walks.

    What it keeps in memory is kept as bytes: a repository may have millions of chunks.

    Args:
        repository: whose.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._below: dict[bytes, bytes] = {}

    def all(self) -> set[bytes]:
        """Give the keys of the chunks of all snapshots that are there now.

        Raises:
            RepositoryError: a snapshot cannot be read, so that it is not known what it needs.
        """
        snapshots, damaged = self._repository.snapshots()
        if damaged:
            raise _unknown(damaged[0])
        found: set[bytes] = set()
        for snapshot in snapshots:
            try:
                found.update(ref.key for ref in self.of(snapshot))
            except DamagedRepositoryError as error:
                raise _unknown(snapshot.id) from error
        return found

    def of(self, snapshot: Snapshot) -> Iterator[ChunkRef]:
        """Give the chunks of one snapshot, some of them several times.

        Raises:
            DamagedRepositoryError: its lists of files cannot be read.
        """
        yield from snapshot.lists
        segments = [segment for ref in snapshot.lists for segment in parse_refs(self._listed(ref))]
        yield from segments
        unread = [ref for ref in segments if ref.key not in self._below]
        for ref, content in zip(unread, self._repository.contents(unread), strict=True):
            self._below[ref.key] = pack_refs([chunk for line in lines_of(content) for chunk in line.chunks])
        for ref in segments:
            yield from parse_refs(self._below[ref.key])

    def _listed(self, ref: ChunkRef) -> bytes:
        if ref.key not in self._below:
            self._below[ref.key] = next(self._repository.contents([ref]))
        return self._below[ref.key]


def _unknown(identity: str) -> RepositoryError:
    return RepositoryError(
        f"The backup {identity} can't be read, so that nobody knows what it needs: nothing was deleted. Put its files "
        f"back, or let go of it with 'backstay repository remove'."
    )
