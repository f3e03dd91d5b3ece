"""An archive fetched from a destination for a restore, from wherever an earlier process came to."""

from __future__ import annotations

import json
import os
from pathlib import Path

from blake3 import blake3

from backstay.archives.parts import disk_errors, sync_folder
from backstay.errors import VerificationError
from backstay.restore import Arrival, RemoteArchive, Reporter
from backstay.storage import Destination, open_destination

_PIECE = 4 << 20
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
    with open_destination(remote.url, json.loads(remote.secret)) as place:
        before = 0
        for number, (name, size) in enumerate(remote.parts):
            path = folder / name
            digest = remote.hashes[number] if remote.hashes else ""
            if not path.is_file() or path.stat().st_size != size:
                with disk_errors(path):
                    _Part(remote, place, path, before, size).fetch(digest, arrival, reporter)
            before += size
            arrival.count = before


class _Part:
    """One part under way."""

    def __init__(self, remote: RemoteArchive, place: Destination, path: Path, before: int, size: int) -> None:
        self._remote = remote
        self._place = place
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
            for piece in self._place.stream(f"{self._remote.folder}{self._path.name}", done):
                done += len(piece)
                if done > self._size:
                    break
                file.write(piece)
                file.flush()
                digest.update(piece)
                arrival.count = self._before + done
                reporter.progress(self._path.name, arrival.count, self._remote.size)
            os.fsync(file.fileno())
        if done != self._size or (expected and digest.hexdigest() != expected):
            unfinished.unlink()
            raise VerificationError(
                f"{self._path.name} at {self._remote.storage} is not what was sent there: "
                "choose another copy with --storage, or another backup."
            )
        unfinished.rename(self._path)
        sync_folder(self._path.parent)
