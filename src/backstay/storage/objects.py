"""A destination that is a bucket of Google Cloud Storage or a container of Azure Blob Storage.

Both are spoken to by the library obstore, which does not say what identifies an unfinished upload: one that was cut
begins again. Nor does it return the checksums that the services compute: a file is proven by reading it back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.exceptions import BaseError

from backstay.errors import StorageError, VerificationError
from backstay.storage.address import Address
from backstay.storage.back_end import BackEnd
from backstay.storage.model import Capabilities, OnProgress, OnResume, PutOptions, StoredFile
from backstay.storage.names import checked, is_safe_name
from backstay.storage.objects_service import Store, open_store, sentence, status_of
from backstay.storage.ranges import read_ahead
from backstay.storage.throttle import Throttle

if TYPE_CHECKING:
    from obstore import ObjectMeta

_PIECE = 8 << 20
_MOST_PIECES = 9_000
"""Google takes 10,000 pieces of a file, Azure 50,000."""
_BLOCK = 1 << 20
_LISTED = 1_000


def open_address(address: Address, secrets: Mapping[str, str]) -> Objects:
    """Open the bucket or container of an address; see `backstay.storage.address.SCHEMES`."""
    return Objects(open_store(address, secrets), url=address.url, label=f"{address.scheme}://{address.host}")


class Objects(BackEnd):
    """Implements `backstay.storage.model.Destination`."""

    def __init__(self, store: Store, *, url: str, label: str) -> None:
        self._store = store
        super().__init__(url)
        self._label = label

    @property
    def capabilities(self) -> Capabilities:
        """What it can promise: a file is proven by reading it back."""
        return Capabilities()

    def put(
        self,
        name: str,
        source: Path,
        *,
        options: PutOptions,
        resume: str = "",  # noqa: ARG002  an upload that was cut begins again
        on_resume: OnResume,
        on_progress: OnProgress,
    ) -> StoredFile:
        """Send a file: in one request where it is small, else in pieces; it appears when it is whole."""
        path = checked(name)
        if options.lock_until is not None:
            raise StorageError(f"{self._url} can't lock files: unset lock_days for this destination.")
        on_resume("{}")
        content = _Content(source, options, on_progress)
        with content.file, self._errors(name):
            obstore.put(
                self._store,
                path,
                content if content.size > content.piece else content.whole(),
                chunk_size=content.piece,
                max_concurrency=max(1, options.concurrency),
            )
        found = self.head(name)
        if found.size != content.size:
            raise VerificationError(f"{name} has another size in {self._url} than here: send it again.")
        on_progress(content.size)
        return found

    def abandon(self, name: str, resume: str) -> None:  # noqa: ARG002  nothing here knows the pieces
        """Do nothing: pieces that make no file are removed by Azure after a week, by Google as the bucket says."""
        checked(name)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read a range."""
        path = checked(name)
        if length <= 0:
            return b""
        try:
            found = bytes(obstore.get_range(self._store, path, start=offset, length=length))
        except BaseError as error:
            if status_of(error) == 416:
                return b""
            raise sentence(error, self._label, name) from None
        except OSError as error:
            raise sentence(error, self._label, name) from None
        if len(found) > length:
            raise StorageError(f"{self._url} sends more than was asked for: check the endpoint.")
        return found

    def stream(self, name: str, offset: int = 0) -> Iterator[bytes]:
        """Read from an offset to the end."""
        size = self.head(name).size

        def read(start: int, length: int) -> list[bytes]:
            found = self.read(name, start, length)
            if len(found) != length:
                raise StorageError(f"{name} in {self._url} became shorter while it was read: read it again.")
            return [found]

        return read_ahead(read, offset, size)

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """List files; names that would leave the destination are left out."""
        folder = prefix.rpartition("/")[0]  # the library takes whole folders only
        if folder and not is_safe_name(folder):
            return
        with self._errors(""):
            for found in obstore.list(self._store, folder or None, chunk_size=_LISTED):
                for one in found:
                    if is_safe_name(one["path"]) and one["path"].startswith(prefix):
                        yield _stored(one)

    def head(self, name: str) -> StoredFile:
        """Return size and time."""
        with self._errors(name):
            return _stored(obstore.head(self._store, checked(name)))

    def delete(self, name: str) -> None:
        """Delete a file."""
        try:
            obstore.delete(self._store, checked(name))
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise sentence(error, self._label, name) from None

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise sentence(error, self._label, name) from None


class _Content:
    """The bytes of a file on their way: iterated over by the library, in the order of the file.

    Attributes:
        file: open.
        size: of the file, in bytes.
        piece: bytes that are sent in one request.
    """

    def __init__(self, source: Path, options: PutOptions, on_progress: OnProgress) -> None:
        self._source = source
        try:
            self.file: BinaryIO = source.open("rb")
            self.size = source.stat().st_size
        except OSError as error:
            raise StorageError(f"{source} can't be read ({error.strerror}): check that it is there.") from error
        self.piece = max(_PIECE, math.ceil(self.size / _MOST_PIECES / _PIECE) * _PIECE)
        self._throttle = Throttle(options.bandwidth)
        self._on_progress = on_progress
        self._under_way = self.piece * max(1, options.concurrency)

    def whole(self) -> bytes:
        """Return all of a small file."""
        self._throttle.wait(self.size)
        return self._read(self.size + 1)

    def __iter__(self) -> Iterator[bytes]:
        done = 0
        while block := self._read(_BLOCK):
            self._throttle.wait(len(block))
            yield block
            done += len(block)
            # So many bytes may be in memory still.
            self._on_progress(max(0, done - self._under_way))

    def _read(self, size: int) -> bytes:
        try:
            return self.file.read(size)
        except OSError as error:
            raise StorageError(f"{self._source} can't be read ({error.strerror}): check the disk.") from error


def _stored(found: ObjectMeta) -> StoredFile:
    return StoredFile(found["path"], found["size"], found["last_modified"])
