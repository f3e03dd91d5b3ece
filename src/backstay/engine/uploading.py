"""Sending the files of one copy: several at once, each until it has arrived and is proven.

What is known of each part lies in the catalogue before the first byte is sent and after the last has arrived, so that a
process that dies loses nothing: the next one resumes the same uploads.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from blake3 import blake3

from backstay.catalogue import Catalogue, Copy, CopyPart, DestinationOptions
from backstay.errors import (
    BackstayError,
    ConnectionFailedError,
    NotFoundError,
    StoppedError,
    StorageError,
    VerificationError,
)
from backstay.storage import Destination, PutOptions, StoredFile

_POLL_SECONDS = 0.2
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_STOP_SECONDS = 10.0
_PIECE = 1 << 20
READ_BACK = "reading it back"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upload:
    """One file on its way.

    Attributes:
        part: what the catalogue knows of it.
        path: the local file; it does not change any more.
        blake3: of its content; empty: not computed yet.
    """

    part: CopyPart
    path: Path
    blake3: str = ""


class Uploads:
    """Sends the files of one copy in threads; iterate over ``run``, whose early end stops the uploads.

    Args:
        catalogue: where each step is noted.
        copy: whose files these are.
        destination: where they go.
        options: of the destination.
        patience: seconds without any progress after which an upload fails.
    """

    def __init__(
        self, catalogue: Catalogue, copy: Copy, destination: Destination, options: DestinationOptions, patience: float
    ) -> None:
        self._catalogue = catalogue
        self._copy = copy
        self._destination = destination
        self._options = options
        self._patience = patience
        self._stop = threading.Event()
        self._moved = time.monotonic()
        self._done: dict[str, int] = {}
        self._errors: list[BaseException] = []

    def run(self, uploads: Sequence[Upload]) -> Generator[tuple[str, int]]:
        """Send files; yield the name of one that is under way and the bytes of all that have arrived.

        Raises:
            BackstayError: a file could not be sent; the others were stopped.
        """
        waiting: queue.SimpleQueue[Upload] = queue.SimpleQueue()
        for upload in uploads:
            waiting.put(upload)
        count = max(1, min(self._options.parts_at_once, len(uploads)))
        put = PutOptions(self._options.bandwidth // count, lock_until=self._copy.locked_until)
        threads = [
            threading.Thread(target=self._work, args=(waiting, put), name="backstay-upload", daemon=True)
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        try:
            while alive := [thread for thread in threads if thread.is_alive()]:
                alive[0].join(_POLL_SECONDS)
                yield self._under_way(uploads), sum(self._done.values())
        finally:
            self._stop.set()
            deadline = time.monotonic() + _STOP_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        errors = [error for error in self._errors if not isinstance(error, StoppedError)]
        if errors:
            raise errors[0]

    def send_small(self, name: str, path: Path) -> None:
        """Send one small file that is no part, at once, and read it back; it is made anew after a death.

        Raises:
            BackstayError: it could not be sent.
        """
        part = CopyPart(name, path.stat().st_size, hash_of(path))
        stored_name = self._copy.file_name(name)

        def send() -> None:
            self._destination.abandon(stored_name, "")
            self._destination.put(
                stored_name,
                path,
                options=PutOptions(lock_until=self._copy.locked_until),
                on_resume=lambda _token: None,
                on_progress=lambda _done: None,
            )
            self._prove_by_reading(part)

        self._patiently(send)

    def _under_way(self, uploads: Sequence[Upload]) -> str:
        names = [upload.part.name for upload in uploads]
        sizes = {upload.part.name: upload.part.size for upload in uploads}
        return next((name for name in names if self._done.get(name, 0) < sizes[name]), names[-1])

    def _work(self, waiting: queue.SimpleQueue[Upload], put: PutOptions) -> None:
        try:
            while not self._stop.is_set():
                self._send(waiting.get_nowait(), put)
        except queue.Empty:
            return
        except BaseException as error:  # noqa: BLE001 - raised where the uploads are waited for
            self._errors.append(error)
            self._stop.set()

    def _send(self, upload: Upload, put: PutOptions) -> None:
        """Send one file, however often the line breaks."""
        part = upload.part
        digest = upload.blake3 or hash_of(upload.path)
        if part.proof and part.blake3 == digest and self._is_there(part):
            self._progress(part, part.size)
            return
        if part.proof or part.blake3 != digest:
            # Another content lay or was on its way under this name: what is left of it goes first.
            if part.started:
                self._patiently(lambda: self._destination.abandon(self._copy.file_name(part.name), part.resume))
            part = replace(part, blake3=digest, resume="", proof="", checksums={}, started=False)
            self._note(part, "blake3", "resume", "proof", "checksums", "started")
        self._patiently(lambda: self._attempt(part.name, upload.path, put))

    def _patiently(self, action: Callable[[], None]) -> None:
        """Do something again, after growing pauses, as long as only the connection fails."""
        pause = _FIRST_PAUSE
        while True:
            begun = time.monotonic()
            try:
                action()
                return
            except ConnectionFailedError as error:
                if self._stop.is_set():
                    raise StoppedError("The upload was stopped.") from None
                if self._moved > begun:
                    pause = _FIRST_PAUSE
                if time.monotonic() - self._moved >= self._patience:
                    raise
                _log.warning("%s Trying again in %.0f seconds", error, pause)
            self._stop.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads out, keeps no secret
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _attempt(self, name: str, path: Path, put: PutOptions) -> None:
        part = next(one for one in self._current().parts if one.name == name)
        if part.started and self._arrived_before(part):
            return
        try:
            stored = self._put(part, path, put)
        except (VerificationError, StorageError, NotFoundError):
            if not part.resume:
                raise
            # The token may be of an upload that the service has forgotten: begun anew, once.
            self._destination.abandon(self._copy.file_name(name), part.resume)
            self._catalogue.copies.update_part(self._copy.id, name, resume="")
            stored = self._put(replace(part, resume=""), path, put)
        if stored.size != part.size:
            raise VerificationError(f"{name} has {stored.size} bytes at {self._copy.destination}, not {part.size}.")
        how = stored.proven
        if not how or self._options.read_back:
            self._prove_by_reading(part)
            how = READ_BACK
        self._arrived(part, stored, how)

    def _put(self, part: CopyPart, path: Path, put: PutOptions) -> StoredFile:
        name = self._copy.file_name(part.name)
        if part.started and not part.resume:
            # A process died between the beginning of an upload and the moment its token was known.
            self._destination.abandon(name, "")
        self._catalogue.copies.update_part(self._copy.id, part.name, started=True)
        return self._destination.put(
            name,
            path,
            options=put,
            resume=part.resume,
            on_resume=lambda token: self._catalogue.copies.update_part(self._copy.id, part.name, resume=token),
            on_progress=lambda done: self._progress(part, done),
        )

    def _arrived_before(self, part: CopyPart) -> bool:
        """Return whether a file arrived whole in the moment before its process died; it is not sent twice then."""
        try:
            stored = self._destination.head(self._copy.file_name(part.name))
            if stored.size != part.size:
                return False
            self._prove_by_reading(part)
        except (NotFoundError, VerificationError):
            return False
        self._destination.abandon(self._copy.file_name(part.name), part.resume)
        self._arrived(part, stored, READ_BACK)
        return True

    def _prove_by_reading(self, part: CopyPart) -> None:
        digest = blake3()
        for piece in self._destination.stream(self._copy.file_name(part.name)):
            digest.update(piece)
            self._moved = time.monotonic()
            if self._stop.is_set():
                raise StoppedError("The upload was stopped.")
        if digest.hexdigest() != part.blake3:
            raise VerificationError(
                f"{part.name} was read back from {self._copy.destination} and is not what was sent: check the storage."
            )

    def _arrived(self, part: CopyPart, stored: StoredFile, how: str) -> None:
        self._note(
            replace(part, resume="", proof=how, checksums=dict(stored.checksums)), "resume", "proof", "checksums"
        )
        self._progress(part, part.size)
        _log.info("%s arrived at %s: %d bytes, proven by %s", part.name, self._copy.destination, part.size, how)

    def _is_there(self, part: CopyPart) -> bool:
        """Return whether what arrived before is there still."""
        found: list[int] = []

        def look() -> None:
            try:
                found.append(self._destination.head(self._copy.file_name(part.name)).size)
            except NotFoundError:
                found.append(-1)

        self._patiently(look)
        return found[-1] == part.size

    def _note(self, part: CopyPart, *names: str) -> None:
        self._catalogue.copies.update_part(self._copy.id, part.name, **{name: getattr(part, name) for name in names})

    def _current(self) -> Copy:
        found = self._catalogue.copies.find(self._copy.backup_id, self._copy.destination)
        if found is None:
            raise BackstayError(f"The storage {self._copy.destination} was removed while a backup was sent there.")
        return found

    def _progress(self, part: CopyPart, done: int) -> None:
        if self._stop.is_set() and done < part.size:
            raise StoppedError("The upload was stopped.")
        if done > self._done.get(part.name, 0):
            self._moved = time.monotonic()
        self._done[part.name] = done


def hash_of(path: Path) -> str:
    """Return the BLAKE3 of a file.

    Raises:
        StorageError: it cannot be read.
    """
    digest = blake3()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError as error:
        raise StorageError(f"{path} can't be read ({error.strerror}): check that it is there.") from error
    return digest.hexdigest()
