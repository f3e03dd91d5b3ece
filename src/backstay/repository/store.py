"""The files of one repository at a destination: put there proven, read in ranges, listed and deleted."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from blake3 import blake3

from backstay.errors import ConnectionFailedError, NotFoundError, VerificationError
from backstay.storage import Destination, PutOptions

T = TypeVar("T")

_WAITS = (0.2, 1.0, 3.0, 10.0)
"""Seconds before each new attempt where a destination cannot be reached."""
_RACES = 20


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the repository.

    Attributes:
        name: in its folder.
        size: in bytes.
        modified: when it was put there; None where the service does not say.
    """

    name: str
    size: int
    modified: datetime | None = None


class Store:
    """The files of a repository; safe to use from many threads. Closing it closes the destination.

    Args:
        destination: where they lie.
        folder: the repository's folder there, empty or ending in a slash.
        options: how files are sent.
        lock_days: days for which packs and snapshots cannot be deleted.
        read_back: prove files by reading them back, even where the service computes a checksum.
    """

    def __init__(
        self,
        destination: Destination,
        folder: str = "",
        options: PutOptions | None = None,
        *,
        lock_days: int = 0,
        read_back: bool = False,
    ) -> None:
        self._destination = destination
        self._folder = folder
        self._options = options or PutOptions()
        self._lock_days = lock_days
        self._read_back = read_back

    @property
    def url(self) -> str:
        """Where it is, for messages."""
        return f"{self._destination.url.rstrip('/')}/{self._folder}".rstrip("/")

    @property
    def is_folder(self) -> bool:
        """Whether its files are files of this machine, which are opened by their names for each read."""
        return self._destination.url.startswith("folder://")

    def put(self, name: str, data: bytes, *, locked: bool = False) -> None:
        """Put a small file there, proven like any other."""
        with tempfile.TemporaryDirectory(prefix="backstay-") as folder:
            source = Path(folder) / "file"
            source.write_bytes(data)
            self.put_file(name, source, blake3(data).hexdigest(), locked=locked)

    def put_file(self, name: str, source: Path, digest: str, *, locked: bool = False) -> None:
        """Put a file there, and prove that it arrived: by the service's checksum, or by reading it back.

        Args:
            name: in the repository.
            source: the file.
            digest: its BLAKE3.
            locked: it cannot be deleted for the days of the destination.

        Raises:
            VerificationError: what lies there is not what was sent.
            BackstayError: it could not be sent.
        """
        options = self._options
        if locked and self._lock_days:
            options = replace(options, lock_until=datetime.now(UTC) + timedelta(days=self._lock_days))
        full = self._folder + name

        def send() -> bool:
            stored = self._destination.put(
                full, source, options=options, on_resume=lambda _token: None, on_progress=lambda _done: None
            )
            if stored.proven and not self._read_back:
                return True
            back = blake3()
            for piece in self._destination.stream(full):
                back.update(piece)
            return back.hexdigest() == digest

        if not self._tried(lambda: self._sent(send)):
            raise VerificationError(f"{name} in {self.url} is not what was written: check the disk or the service.")

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read a range of a file; fewer bytes only where it ends.

        Raises:
            NotFoundError: it is not there.
        """
        return self._tried(lambda: self._destination.read(self._folder + name, offset, length))

    def read_all(self, name: str) -> bytes:
        """Read a file.

        Raises:
            NotFoundError: it is not there.
        """
        return self._tried(lambda: b"".join(self._destination.stream(self._folder + name)))

    def exists(self, name: str) -> bool:
        """Say whether a file is there."""
        try:
            self._tried(lambda: self._destination.head(self._folder + name))
        except NotFoundError:
            return False
        return True

    def list(self, folder: str) -> list[Found]:
        """List the files of a folder, by name."""
        prefix = f"{self._folder}{folder}/"
        found = self._tried(lambda: list(self._destination.list(prefix)))
        return sorted(
            (Found(file.name[len(prefix) :], file.size, file.modified) for file in found), key=lambda file: file.name
        )

    def names(self) -> Iterator[str]:
        """List all files of the repository."""
        for file in self._tried(lambda: list(self._destination.list(self._folder))):
            yield file.name[len(self._folder) :]

    def delete(self, name: str) -> None:
        """Delete a file; one that is gone is fine.

        Raises:
            StorageError: the service refuses, as it does while it is locked.
        """
        self._tried(lambda: self._destination.delete(self._folder + name))

    @staticmethod
    def _sent(send: Callable[[], bool]) -> bool:
        # A folder that was empty may be removed by another process at the moment in which a file is put into it.
        for _ in range(_RACES):
            try:
                return send()
            except NotFoundError:
                continue
        return send()

    @staticmethod
    def _tried(call: Callable[[], T]) -> T:
        for wait in _WAITS:
            try:
                return call()
            except ConnectionFailedError:
                time.sleep(wait)
        return call()

    def close(self) -> None:
        """Close the destination."""
        self._destination.close()
