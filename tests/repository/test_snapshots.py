"""What is written to a repository is read back equal, and is stored once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from blake3 import blake3

from backstay.archives import EntryType
from backstay.errors import NotFoundError, RepositoryError, UsageError, WrongPasswordError
from backstay.repository.lines import lines
from backstay.repository.opened import COPY, DESCRIPTION, create_repository, remove_repository
from backstay.repository.writing import SnapshotWriter
from repository.places import all_files, content_of, created, files_of, fill, opened, pack_files, store_in, take

PASSPHRASES = [None, "a passphrase of the repository"]


@pytest.mark.parametrize("passphrase", PASSPHRASES)
def test_a_snapshot_is_read_back_equal_by_another_machine(tmp_path: Path, passphrase: str | None) -> None:
    files = files_of(1)
    with created(tmp_path, passphrase=passphrase) as repository:
        snapshot = take(repository, files, {"description": "first"})
    with opened(tmp_path, passphrase=passphrase, state="another machine") as repository:
        found = repository.snapshot(snapshot.id)
        assert found == snapshot
        assert found.record == {"description": "first"}
        assert content_of(repository, found) == files
        of_path = {line.line.path: line for line in lines(repository, found)}
    assert of_path["latest"].line.target == "empty"
    assert of_path["empty folder"].line.type is EntryType.DIRECTORY
    large = of_path["images/large.bin"]
    assert large.line.blake3 == blake3(files["images/large.bin"]).hexdigest()
    assert len(large.chunks) > 5
    assert (found.entries, found.size) == (len(files) + 2, sum(map(len, files.values())))


@pytest.mark.parametrize("passphrase", PASSPHRASES)
def test_what_has_not_changed_is_not_stored_again(tmp_path: Path, passphrase: str | None) -> None:
    with created(tmp_path, passphrase=passphrase) as repository:
        first = take(repository, files_of(1))
        again = take(repository, files_of(1))
        changed = take(repository, {**files_of(1), "folder 0/file-000.txt": b"something else"})
        assert again.added == 0
        assert 0 < changed.added < first.added / 10
        assert len(pack_files(tmp_path)) == 2


def test_an_insertion_into_a_large_file_changes_a_few_pieces(tmp_path: Path) -> None:
    large = files_of(1, 0, large=400_000)["images/large.bin"]
    with created(tmp_path) as repository:
        first = take(repository, {"a": large})
        second = take(repository, {"a": large[:100_000] + b"inserted" + large[100_000:]})
        assert second.added < first.added / 10
        assert content_of(repository, second)["a"][100_000:100_008] == b"inserted"


def test_nothing_of_an_encrypted_repository_is_readable(tmp_path: Path) -> None:
    with created(tmp_path, passphrase="secret") as repository:
        take(repository, {"a file with a name": b"content that is easy to find " * 50}, {"description": "of the site"})
    stored = b"".join(path.read_bytes() for path in all_files(tmp_path))
    for text in (b"a file with a name", b"content that is", b"of the site", b"secret"):
        assert text not in stored


@pytest.mark.parametrize("passphrase", ["another", None, ""])
def test_a_wrong_passphrase_opens_nothing(tmp_path: Path, passphrase: str | None) -> None:
    created(tmp_path, passphrase="the right one").close()
    with pytest.raises(WrongPasswordError):
        opened(tmp_path, passphrase=passphrase)


@pytest.mark.parametrize("name", [DESCRIPTION, COPY])
def test_one_whole_copy_of_the_description_is_enough(tmp_path: Path, name: str) -> None:
    with created(tmp_path, passphrase="secret") as repository:
        snapshot = take(repository, {"a": b"content"})
    (tmp_path / "place/repositories/site" / name).write_bytes(b"{}")
    with opened(tmp_path, passphrase="secret") as repository:
        assert content_of(repository, repository.snapshot(snapshot.id)) == {"a": b"content"}


def test_no_repository_is_made_over_another(tmp_path: Path) -> None:
    created(tmp_path).close()
    with pytest.raises(UsageError, match="something"):
        create_repository(store_in(tmp_path / "place"), tmp_path / "other state")


def test_a_place_without_a_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no repository"):
        opened(tmp_path)


def test_a_backup_is_found_by_its_first_digits(tmp_path: Path) -> None:
    with created(tmp_path) as repository:
        identity = take(repository, {"a": b"1"}).id
        assert repository.find(identity[:6]) == identity
        with pytest.raises(NotFoundError):
            repository.find("zz")
        with pytest.raises(NotFoundError):
            repository.find("")


def test_an_index_of_another_repository_or_a_damaged_one_is_made_again(tmp_path: Path) -> None:
    files = files_of(2)
    with created(tmp_path) as repository:
        snapshot = take(repository, files)
    index = tmp_path / "state/index.sqlite"
    index.write_bytes(b"no database" * 1000)
    with opened(tmp_path) as repository:
        assert content_of(repository, repository.snapshot(snapshot.id)) == files
    (tmp_path / "elsewhere").mkdir()
    with created(tmp_path / "elsewhere") as other:
        take(other, {"b": b"2"})
    index.write_bytes((tmp_path / "elsewhere/state/index.sqlite").read_bytes())
    with opened(tmp_path) as repository:
        assert content_of(repository, repository.snapshot(snapshot.id)) == files


def test_two_write_at_once(tmp_path: Path) -> None:
    with created(tmp_path) as first, opened(tmp_path, state="another machine") as second:
        one, two = SnapshotWriter(first, workers=1), SnapshotWriter(second, workers=1)
        threads = [
            threading.Thread(target=fill, args=(writer, files))
            for writer, files in ((one, files_of(3)), (two, files_of(4)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        snapshots = one.finish({}), two.finish({})
        assert content_of(second, snapshots[0]) == files_of(3)
        assert content_of(first, snapshots[1]) == files_of(4)


def test_an_aborted_backup_is_none_and_leaves_nothing_behind_on_this_machine(tmp_path: Path) -> None:
    with created(tmp_path) as repository:
        writer = SnapshotWriter(repository)
        fill(writer, files_of(5))
        writer.abort()
        assert repository.snapshot_ids() == []
        assert list(repository.work.iterdir()) == []
        assert not (tmp_path / "place/repositories/site/writers").exists()


def test_a_repository_is_deleted_once_nobody_writes_to_it(tmp_path: Path) -> None:
    repository = created(tmp_path)
    take(repository, files_of(1))
    writer = SnapshotWriter(repository)
    with pytest.raises(RepositoryError, match="writes"):
        remove_repository(repository)
    # As a process leaves it that was killed.
    writer._folder.leave()
    remove_repository(repository)
    writer._pool.shutdown()
    writer._senders.shutdown()
    assert all_files(tmp_path) == []
    assert not (tmp_path / "state").exists()
