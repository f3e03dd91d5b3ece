"""What the backups of a repository take, and what deleting each would give back."""

from __future__ import annotations

from dataclasses import dataclass

from backstay.errors import DamagedRepositoryError
from backstay.repository.layout import Snapshot
from backstay.repository.opened import Repository
from backstay.repository.reachable import Reachable

_SHARED = -1


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
    reachable = Reachable(repository)
    owner: dict[bytes, int] = {}
    frees = [0] * len(snapshots)
    unreadable = set()
    for number, snapshot in enumerate(snapshots):
        try:
            for ref in reachable.of(snapshot):
                before = owner.get(ref.key)
                if before is None:
                    owner[ref.key] = number
                    frees[number] += ref.deflated + repository.keys.seal_size
                elif before not in {number, _SHARED}:
                    owner[ref.key] = _SHARED
                    frees[before] -= ref.deflated + repository.keys.seal_size
        except DamagedRepositoryError:
            unreadable.add(number)
    shown: list[int | None] = [None if number in unreadable else freed for number, freed in enumerate(frees)]
    return Usage(snapshots, shown, damaged, sum(repository.index.packs().values()))
