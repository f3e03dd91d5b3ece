"""Backups that are snapshots of a repository: where those lie, opened by name, and let go of."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from backstay.catalogue import Catalogue, Home, NamedRepository
from backstay.errors import NotFoundError
from backstay.repository.opened import Repository, open_repository
from backstay.repository.store import Store
from backstay.storage import PutOptions, open_destination


def folder_of(home: Home, name: str) -> Path:
    """Return where the files of a repository lie that is on this machine."""
    return home.repositories / name / "files"


def place_of(catalogue: Catalogue, home: Home, named: NamedRepository) -> Callable[[], Store]:
    """Return what opens the place of a repository, without the catalogue.

    Raises:
        NotFoundError: the catalogue does not know the storage where it lies.
    """
    if not named.destination:
        url = f"folder://{folder_of(home, named.name)}"
        return lambda: Store(open_destination(url), named.folder)
    destination = catalogue.destinations.get(named.destination)
    used = destination.options
    return lambda: Store(
        open_destination(destination.url, destination.secrets),
        named.folder,
        PutOptions(bandwidth=used.bandwidth),
        lock_days=used.lock_days,
        read_back=used.read_back,
    )


def repository_opener(catalogue: Catalogue, home: Home, name: str) -> Callable[[], Repository]:
    """Return what opens a repository without the catalogue, as a forked process must.

    Raises:
        NotFoundError: there is none of that name.
    """
    named = catalogue.repositories.get(name)
    place = place_of(catalogue, home, named)
    secret = bytes.fromhex(named.secret) if named.secret else None

    def opened() -> Repository:
        store = place()
        try:
            return open_repository(store, home.repositories / name, secret=secret)
        except BaseException:
            store.close()
            raise

    return opened


def repository_by_name(catalogue: Catalogue, home: Home, name: str) -> Repository:
    """Open a repository; it is to be closed.

    Raises:
        NotFoundError: there is none of that name, or nothing at its place.
        BackstayError: it cannot be opened.
    """
    return repository_opener(catalogue, home, name)()


def let_go_since(home: Home, name: str) -> Path:
    """Return the file that is there where backups of a repository were let go of since it was pruned by itself."""
    return home.repositories / name / "let-go"


def let_go_of_snapshot(catalogue: Catalogue, home: Home, backup_id: int) -> bool:
    """Remove the snapshot that a backup is; a prune of the repository gives back the space of what nothing else needs.

    Returns:
        Whether the backup was a snapshot.

    Raises:
        StorageError: the service refuses, as it does while the snapshot is locked.
        BackstayError: the repository cannot be opened.
    """
    row = catalogue.snapshots.of(backup_id)
    if row is None:
        return False
    # It may be gone already: of a deletion that was cut short, or by hand.
    with repository_by_name(catalogue, home, row.repository) as repository, suppress(NotFoundError):
        repository.remove_snapshot(row.snapshot)
    catalogue.snapshots.delete(backup_id)
    # Without the note the space is given back by the next prune that a person asks for.
    with suppress(OSError):
        let_go_since(home, row.repository).touch()
    return True
