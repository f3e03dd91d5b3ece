"""An archive fetched from a destination for a restore, from wherever an earlier process came to."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from blake3 import blake3

from backstay.archives.parts import disk_errors, sync_folder
from backstay.errors import VerificationError
from backstay.restore import Arrival, RemoteArchive, Reporter
from backstay.storage import Destination, open_destination

_PIECE = 4 << 20
_AT_ONCE = 4
_UNFINISHED = ".part"


def fetch_stored(remote: RemoteArchive, folder: Path, arrival: Arrival, reporter: Reporter) -> None:
    """Fetch the parts of an archive in order, each under ``NAME.part`` until it is whole.

    Args:
        remote: what, and where it lies.
        folder: where it goes.
        arrival: noted what is there.
        reporter: receives the progress.

    Raises:
        BackstayError: the destination broke off; what has arrived stays, to be gone on with.
        VerificationError: a part is not what was sent there.
        DiskFullError: there is no space.
    """
    with (
        open_destination(remote.url, json.loads(remote.secret)) as place,
        ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="backstay-fetch") as pool,
    ):
        before = 0
        for number, (name, size) in enumerate(remote.parts):
            path = folder / name
            digest = remote.hashes[number] if remote.hashes else ""
            if not path.is_file() or path.stat().st_size != size:
                with disk_errors(path):
                    _Part(remote, place, pool, path, before, size).fetch(digest, arrival, reporter)
            before += size
            arrival.count = before


class _Part:
    """One part under way."""

    def __init__(
        self, remote: RemoteArchive, place: Destination, pool: ThreadPoolExecutor, path: Path, before: int, size: int
    ) -> None:
        self._remote = remote
        self._place = place
        self._pool = pool
        self._path = path
        self._before = before
        self._size = size

    def fetch(self, expected: str, arrival: Arrival, reporter: Reporter) -> None:
        unfinished = self._path.with_name(self._path.name + _UNFINISHED)
        digest = blake3()
        with unfinished.open("ab+") as file:
            file.seek(0)
            while piece := file.read(_PIECE):
                digest.update(piece)
            done = file.tell()
            if done > self._size:
                file.truncate(0)
                digest, done = blake3(), 0
            for piece in self._pieces(done):
                file.write(piece)
                file.flush()
                digest.update(piece)
                done += len(piece)
                arrival.count = self._before + done
                reporter.progress(self._path.name, arrival.count, self._remote.size)
            os.fsync(file.fileno())
        if expected and digest.hexdigest() != expected:
            unfinished.unlink()
            raise VerificationError(
                f"{self._path.name} at {self._remote.storage} is not what was sent there: "
                "choose another copy with --storage, or another backup."
            )
        unfinished.rename(self._path)
        sync_folder(self._path.parent)

    def _pieces(self, done: int) -> Iterator[bytes]:
        """Give the rest of the part in order, some pieces ahead."""
        name = f"{self._remote.folder}{self._path.name}"
        asked: deque[Future[bytes]] = deque()
        try:
            for start in range(done, self._size, _PIECE):
                asked.append(self._pool.submit(self._exactly, name, start, min(_PIECE, self._size - start)))
                if len(asked) >= _AT_ONCE:
                    yield asked.popleft().result()
            while asked:
                yield asked.popleft().result()
        finally:
            for future in asked:
                future.cancel()

    def _exactly(self, name: str, offset: int, size: int) -> bytes:
        piece = self._place.read(name, offset, size)
        if len(piece) != size:
            raise VerificationError(
                f"{self._path.name} at {self._remote.storage} is shorter than what was sent there: "
                "choose another copy with --storage, or another backup."
            )
        return piece
