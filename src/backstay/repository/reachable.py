"""What of a repository is needed: all chunks that its snapshots refer to."""

from __future__ import annotations

from collections.abc import Iterator

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
