"""What of a repository is needed: all chunks that its snapshots refer to."""

from __future__ import annotations

from backstay.errors import DamagedRepositoryError, RepositoryError
from backstay.repository.layout import ChunkRef, Snapshot, parse_refs
from backstay.repository.lines import lines_of
from backstay.repository.opened import Repository


class Reachable:
    """Walks over snapshots; what several of them share is read once, in any number of walks.

    Args:
        repository: whose.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._below: dict[ChunkRef, list[ChunkRef]] = {}

    def all(self) -> set[ChunkRef]:
        """Give the chunks of all snapshots that are there now.

        Raises:
            RepositoryError: a snapshot cannot be read, so that it is not known what it needs.
        """
        snapshots, damaged = self._repository.snapshots()
        if damaged:
            raise _unknown(damaged[0])
        found: set[ChunkRef] = set()
        for snapshot in snapshots:
            try:
                found |= self.of(snapshot)
            except DamagedRepositoryError as error:
                raise _unknown(snapshot.id) from error
        return found

    def of(self, snapshot: Snapshot) -> set[ChunkRef]:
        """Give the chunks of one snapshot.

        Raises:
            DamagedRepositoryError: its lists of files cannot be read.
        """
        found = set(snapshot.lists)
        segments: list[ChunkRef] = []
        for ref in snapshot.lists:
            segments += self._listed(ref)
        found.update(segments)
        unread = [ref for ref in segments if ref not in self._below]
        for ref, content in zip(unread, self._repository.contents(unread), strict=True):
            self._below[ref] = [chunk for line in lines_of(content) for chunk in line.chunks]
        for ref in segments:
            found.update(self._below[ref])
        return found

    def _listed(self, ref: ChunkRef) -> list[ChunkRef]:
        if ref not in self._below:
            self._below[ref] = parse_refs(next(self._repository.contents([ref])))
        return self._below[ref]


def _unknown(identity: str) -> RepositoryError:
    return RepositoryError(
        f"The backup {identity} can't be read, so that nobody knows what it needs: nothing was deleted. Put its files "
        f"back, or let go of it with 'backstay repository remove'."
    )
