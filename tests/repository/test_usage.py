"""What deleting a backup would free, held to plain sets of the chunks that each backup refers to."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.repository.layout import ChunkRef, Snapshot
from backstay.repository.lines import lines, segments
from backstay.repository.opened import Repository
from backstay.repository.usage import usage
from repository.places import created, files_of, take


def chunks(repository: Repository, snapshot: Snapshot) -> set[ChunkRef]:
    """Give all that a backup refers to."""
    found = set(snapshot.lists) | set(segments(repository, snapshot))
    return found | {chunk for line in lines(repository, snapshot) for chunk in line.chunks}


@pytest.mark.parametrize("passphrase", [None, "secret"])
def test_deleting_a_backup_frees_what_no_other_refers_to(passphrase: str | None, tmp_path: Path) -> None:
    with created(tmp_path, passphrase=passphrase) as repository:
        sites = [files_of(1, 80), files_of(1, 80), files_of(2, 80), {"alone": b"nobody else has it" * 9}]
        snapshots = [take(repository, files) for files in sites]
        found = usage(repository)
        assert [snapshot.id for snapshot in found.snapshots] == [snapshot.id for snapshot in snapshots]
        everything = [chunks(repository, snapshot) for snapshot in snapshots]
        for number, freed in enumerate(found.frees):
            others = set().union(*(all_of for other, all_of in enumerate(everything) if other != number))
            alone = everything[number] - others
            assert freed == sum(ref.deflated + repository.keys.seal_size for ref in alone)
        # The same site twice: only the snapshots' own files differ.
        assert found.frees[:2] == [0, 0]
        assert all(found.frees[2:])


def test_a_backup_whose_list_is_damaged_is_the_only_one_of_which_nothing_is_known(tmp_path: Path) -> None:
    with created(tmp_path) as repository:
        first = take(repository, {"one": b"first" * 9})
        second = take(repository, {"two": b"second" * 9})
        line = next(ref for ref in segments(repository, first) if ref not in set(segments(repository, second)))
        place = repository.index.places_of([line.identity])[line.identity][0]
        path = tmp_path / "place/repositories/site/packs" / place.pack
        content = bytearray(path.read_bytes())
        content[place.offset] ^= 1
        path.write_bytes(content)
        found = usage(repository)
        assert found.frees[0] is None
        assert found.frees[1]
        assert [snapshot.id for snapshot in found.snapshots] == [first.id, second.id]
