"""Pruning deletes what nothing needs, and nothing else, whoever writes meanwhile and wherever it is stopped."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from backstay.errors import RepositoryError, StorageError
from backstay.repository import marks, pruning
from backstay.repository.checking import check
from backstay.repository.opened import Repository
from backstay.repository.pruning import prune
from backstay.repository.store import Store
from backstay.repository.writing import SnapshotWriter
from repository.places import all_files, content_of, created, files_of, fill, opened, pack_files, take


def stored(folder: Path) -> int:
    """Count the bytes of the packs of a repository."""
    return sum(path.stat().st_size for path in pack_files(folder))


def age(folder: Path) -> None:
    """Let the packs be an hour old: no writer that runs now has made them."""
    for path in pack_files(folder):
        os.utime(path, (time.time() - 3600, time.time() - 3600))


def assert_whole(repository: Repository, expected: dict[str, dict[str, bytes]]) -> None:
    """Fail unless a repository has these backups, and each is whole."""
    assert set(repository.snapshot_ids()) == set(expected)
    assert check(repository, read_data=1.0).damages == []
    for identity, files in expected.items():
        assert content_of(repository, repository.snapshot(identity)) == files


def test_a_removed_backup_gives_back_its_space(tmp_path: Path) -> None:
    with created(tmp_path) as repository:
        first = take(repository, files_of(1, 100))
        second = take(repository, {"other": b"something else entirely"})
        repository.remove_snapshot(first.id)
        before = stored(tmp_path)
        done = prune(repository)
        assert done.deleted == 1
        assert stored(tmp_path) < before / 20
        assert_whole(repository, {second.id: {"other": b"something else entirely"}})
        again = prune(repository)
        assert (again.deleted, again.rewritten, again.waiting) == (0, 0, 0)
    names = {path.parent.name for path in all_files(tmp_path)}
    assert names == {"site", "packs", "snapshots"}


def test_half_empty_packs_are_rewritten(tmp_path: Path) -> None:
    with created(tmp_path, passphrase="secret") as repository:
        files = files_of(1, 100)
        kept = {path: content for path, content in files.items() if path.startswith("folder 1")}
        first = take(repository, files)
        second = take(repository, kept)
        repository.remove_snapshot(first.id)
        before = stored(tmp_path)
        done = prune(repository)
        assert (done.rewritten, done.kept) == (1, [])
        assert stored(tmp_path) < before / 2
        assert_whole(repository, {second.id: kept})
    with opened(tmp_path, passphrase="secret", state="another machine") as repository:
        assert_whole(repository, {second.id: kept})


def test_many_small_packs_become_one(tmp_path: Path) -> None:
    with created(tmp_path) as repository:
        expected = {}
        for number in range(pruning._MANY_SMALL):
            files = {"a": b"content %d" % number}
            expected[take(repository, files).id] = files
        assert prune(repository).rewritten == pruning._MANY_SMALL
        assert len(pack_files(tmp_path)) == 1
        assert_whole(repository, expected)


def test_what_two_writers_stored_twice_is_kept_once(tmp_path: Path) -> None:
    with created(tmp_path) as first, opened(tmp_path, state="another machine") as second:
        one, two = SnapshotWriter(first), SnapshotWriter(second)
        fill(one, files_of(1))
        fill(two, files_of(1))
        snapshots = one.finish({}), two.finish({})
        before = stored(tmp_path)
        prune(first)
        assert stored(tmp_path) < before * 0.6
        assert_whole(second, {snapshot.id: files_of(1) for snapshot in snapshots})


def test_the_copy_that_is_whole_outlives_one_that_is_damaged_without_anybody_knowing(tmp_path: Path) -> None:
    files = files_of(1, 5)
    with created(tmp_path) as first, opened(tmp_path, state="another machine") as second:
        one, two = SnapshotWriter(first), SnapshotWriter(second)
        fill(one, files)
        fill(two, files)
        snapshots = one.finish({}), two.finish({})
        first.refresh()
        spoiled = tmp_path / "place/repositories/site/packs" / next(iter(first.index.packs()))
        content = bytearray(spoiled.read_bytes())
        content[40] ^= 1
        spoiled.write_bytes(content)
        prune(first)
        assert content_of(first, snapshots[0]) == content_of(first, snapshots[1]) == files


def test_a_writer_that_does_not_know_is_waited_for_and_loses_nothing(tmp_path: Path) -> None:
    files = files_of(1)
    with created(tmp_path) as repository, opened(tmp_path, state="another machine") as other:
        first = take(repository, files)
        age(tmp_path)
        writer = SnapshotWriter(repository)
        # What the removed backup had is referred to by one that began before it was removed.
        fill(writer, files)
        other.remove_snapshot(first.id)
        waits = prune(other)
        assert (waits.deleted, waits.waiting) == (0, 1)
        second = writer.finish({})
        assert second.added == 0
        done = prune(other)
        assert (done.deleted, done.waiting) == (1, 0)
        assert_whole(other, {second.id: files})
        assert_whole(repository, {second.id: files})


def test_a_writer_that_begins_after_a_pack_was_condemned_stores_anew(tmp_path: Path) -> None:
    files = files_of(1)
    with created(tmp_path) as repository, opened(tmp_path, state="another machine") as other:
        first = take(repository, files)
        age(tmp_path)
        waited_for = SnapshotWriter(repository)
        other.remove_snapshot(first.id)
        assert prune(other).waiting == 1
        second = take(other, files)
        assert second.added > 0
        waited_for.abort()
        assert prune(other).deleted == 1
        assert_whole(other, {second.id: files})


def test_the_new_packs_of_a_running_writer_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.repository.packs.PACK_SIZE", 10_000)
    with created(tmp_path) as repository, opened(tmp_path, state="another machine") as other:
        writer = SnapshotWriter(repository)
        fill(writer, files_of(1))
        while writer._steps:
            writer._take()
        assert pack_files(tmp_path)
        done = prune(other)
        assert (done.deleted, done.waiting) == (0, 0)
        snapshot = writer.finish({})
        assert prune(other).copied == 0
        assert_whole(other, {snapshot.id: files_of(1)})


def test_a_dead_writer_is_not_waited_for(tmp_path: Path) -> None:
    with created(tmp_path) as repository, opened(tmp_path, state="another machine") as other:
        take(repository, {"a": b"1"})
        marks.register(repository.store, marks.Writer(marks.new_id(), "backup", time.time() - marks.STALE_SECONDS - 1))
        first = take(repository, files_of(1))
        repository.remove_snapshot(first.id)
        assert prune(other).waiting == 0
        assert marks.writers(repository.store) == []


def test_a_writer_that_was_taken_for_dead_says_so(tmp_path: Path) -> None:
    with created(tmp_path) as repository:
        writer = SnapshotWriter(repository)
        fill(writer, files_of(1))
        marks.deregister(repository.store, writer.id)
        with pytest.raises(RepositoryError, match="sign of life"):
            writer.finish({})
        writer.abort()
        assert repository.snapshot_ids() == []


def test_a_writer_that_is_taken_for_dead_while_it_ends_withdraws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with created(tmp_path) as repository:
        writer = SnapshotWriter(repository)
        fill(writer, files_of(1))
        answers = iter([True, False])
        monkeypatch.setattr(marks, "is_registered", lambda *_: next(answers))
        with pytest.raises(RepositoryError, match="sign of life"):
            writer.finish({})
        writer.abort()
        assert repository.snapshot_ids() == []


def test_a_writer_that_cannot_deregister_is_known_to_be_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(store: Store, name: str) -> None:
        raise StorageError(f"{name} at {store.url} can't be deleted.")

    with created(tmp_path) as repository:
        with monkeypatch.context() as patched:
            patched.setattr(Store, "delete", refuse)
            snapshot = take(repository, files_of(1))
        assert len(marks.writers(repository.store)) == 1
        prune(repository)
        assert marks.writers(repository.store) == []
        assert_whole(repository, {snapshot.id: files_of(1)})


def test_two_do_not_prune_at_once(tmp_path: Path) -> None:
    with created(tmp_path) as repository:
        marks.register(repository.store, marks.Writer(marks.new_id(), "prune", time.time()))
        with pytest.raises(RepositoryError, match="else prunes"):
            prune(repository)


def test_a_locked_pack_stays_condemned_until_the_service_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with created(tmp_path) as repository:
        first = take(repository, files_of(1))
        repository.remove_snapshot(first.id)
        delete = Store.delete

        def refuse(store: Store, name: str) -> None:
            if name.startswith("packs/"):
                raise StorageError("It is locked.")
            delete(store, name)

        monkeypatch.setattr(Store, "delete", refuse)
        assert prune(repository).locked == 1
        assert prune(repository).locked == 1
        again = take(repository, files_of(1))
        assert again.added > 0
        monkeypatch.undo()
        assert prune(repository).deleted == 1
        assert_whole(repository, {again.id: files_of(1)})


def test_nothing_is_deleted_while_a_backup_cannot_be_read(tmp_path: Path) -> None:
    with created(tmp_path) as repository:
        first, second = take(repository, files_of(1)), take(repository, files_of(2))
        repository.remove_snapshot(first.id)
        damaged = tmp_path / "place/repositories/site/snapshots" / second.id
        damaged.write_bytes(damaged.read_bytes()[:-1])
        before = stored(tmp_path)
        with pytest.raises(RepositoryError, match=second.id):
            prune(repository)
        assert stored(tmp_path) == before


def test_an_unreadable_mark_deletes_nothing(tmp_path: Path) -> None:
    with created(tmp_path) as repository:
        snapshot = take(repository, files_of(1))
        for text in (b"no json", b"[]", json.dumps({"packs": 1, "damaged": [], "waits_for": []}).encode()):
            repository.store.put(f"marks/{marks.new_id()}", text)
        assert prune(repository).deleted == 0
        assert_whole(repository, {snapshot.id: files_of(1)})


def test_a_rescued_chunk_survives_a_mark_that_condemned_what_is_needed(tmp_path: Path) -> None:
    # As if another, slow prune had condemned a pack that a backup refers to by now.
    with created(tmp_path) as repository:
        snapshot = take(repository, files_of(1))
        marks.put_mark(repository.store, marks.Mark(marks.new_id(), (pack_files(tmp_path)[0].name,), waits_for=()))
        done = prune(repository)
        assert (done.deleted, done.kept) == (1, [])
        assert done.copied > 0
        assert_whole(repository, {snapshot.id: files_of(1)})
