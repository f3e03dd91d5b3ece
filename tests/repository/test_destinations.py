"""A repository works at every kind of place, and honours the locks of a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.errors import StorageError
from backstay.repository.checking import check
from backstay.repository.opened import create_repository, open_repository
from backstay.repository.pruning import prune
from backstay.repository.store import Store
from repository.places import SMALL_AVERAGE, content_of, files_of, take
from support.destinations import Place
from support.s3 import S3Server
from support.sftp import SftpServer

PASSPHRASE = "secret"


def store_at(place: Place, *, lock_days: int = 0) -> Store:
    """Open the store of a repository at a place."""
    return Store(place.open(), "repositories/site/", lock_days=lock_days)


def assert_works(place: Place, folder: Path) -> None:
    """Fail unless a repository can be made, filled, pruned, and read by another machine there."""
    with create_repository(store_at(place), folder / "one", passphrase=PASSPHRASE, average=SMALL_AVERAGE) as repository:
        first = take(repository, files_of(1, 10, large=20_000))
        second = take(repository, files_of(2, 10, large=20_000))
        repository.remove_snapshot(first.id)
        done = prune(repository)
        assert (done.waiting, done.locked, done.kept) == (0, 0, [])
    with open_repository(store_at(place), folder / "other", passphrase=PASSPHRASE) as repository:
        assert repository.snapshot_ids() == [second.id]
        assert content_of(repository, repository.snapshot(second.id)) == files_of(2, 10, large=20_000)
        assert check(repository, read_data=1.0).damages == []


def test_a_repository_works_at_s3(s3_server: S3Server, tmp_path: Path) -> None:
    assert_works(s3_server.place(), tmp_path)


@pytest.mark.slow
def test_a_repository_works_over_sftp(sftp_server: SftpServer, tmp_path: Path) -> None:
    assert_works(sftp_server.place(), tmp_path)


def test_what_a_service_has_locked_stays_until_it_lets_go(s3_server: S3Server, tmp_path: Path) -> None:
    place = s3_server.place(lock=True)
    files = files_of(1, 10, large=20_000)

    store = store_at(place, lock_days=1)
    with create_repository(store, tmp_path / "one", average=SMALL_AVERAGE) as repository:
        first = take(repository, files)
        with pytest.raises(StorageError):
            repository.remove_snapshot(first.id)
        assert content_of(repository, repository.snapshot(first.id)) == files
        assert prune(repository).deleted == 0
