"""A destination that rclone reaches: SFTP, WebDAV, FTP, and any remote of the user's own configuration."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from backstay.errors import ConnectionFailedError, NotFoundError, StorageError, VerificationError
from backstay.storage.address import Address
from backstay.storage.back_end import BackEnd
from backstay.storage.model import Capabilities, OnProgress, OnResume, PutOptions, StoredFile
from backstay.storage.names import checked, is_safe_name
from backstay.storage.rclone_program import Rclone
from backstay.storage.rclone_remote import VARIABLE, Remote, make_remote, unknown_host_sentence

PARTIAL = ".backstay-partial"
"""How the name of a file that has not arrived whole ends; such files are not listed."""
_PIECE = 1 << 20
_MOST_ANSWER = 1 << 20
_FOLDER_NOT_MADE = "mkParentDir failed"
_LONGEST_LINE = 1 << 16
_HASHES = ("blake3", "sha256", "sha512", "sha1", "md5", "dropbox", "hidrive", "mailru", "quickxor")
"""Checksums that prove a file, the best first, by rclone's names; rclone computes each for local files too."""


def open_address(address: Address, secrets: Mapping[str, str]) -> RcloneDestination:
    """Open the place of an address; see `backstay.storage.address.SCHEMES` for its options and secrets."""
    remote = make_remote(address, secrets, os.environ)
    unknown_host = unknown_host_sentence(address) if address.scheme == "sftp" else ""
    program = Rclone(remote, url=address.url, unknown_host=unknown_host)
    # Known without asking rclone, which takes a process: neither FTP nor plain WebDAV has checksums.
    plain = address.scheme in {"ftp", "ftps"} or remote.environment.get(f"{VARIABLE}VENDOR") == "other"
    features = (True, "") if plain else None
    return RcloneDestination(
        remote, program, url=address.url, renames=address.scheme != "rclone", known_features=features
    )


class RcloneDestination(BackEnd):
    """Implements `backstay.storage.model.Destination`."""

    def __init__(
        self,
        remote: Remote,
        program: Rclone,
        *,
        url: str,
        renames: bool,
        known_features: tuple[bool, str] | None = None,
    ) -> None:
        """Name the place.

        Args:
            remote: of rclone.
            program: that runs it.
            url: how it is called in messages.
            renames: the service is known to rename files; else it is asked.
            known_features: whether it renames, and its best checksum, or none; None: it is asked.
        """
        self._renames = renames
        self._remote = remote
        self._rclone = program
        super().__init__(url)
        self._lock = threading.Lock()
        self._known_features = known_features

    @property
    def capabilities(self) -> Capabilities:
        """What the remote can promise; it is asked once."""
        _, algorithm = self._features()
        return Capabilities((algorithm,) if algorithm else ())

    def put(
        self,
        name: str,
        source: Path,
        *,
        options: PutOptions,
        resume: str = "",
        on_resume: OnResume,
        on_progress: OnProgress,
    ) -> StoredFile:
        """Send a file under another name and rename it there.

        Services that can't rename are object stores, where a file appears when it is whole. While a file is replaced
        there may be a moment without either.
        """
        target = self._path(name)
        if options.lock_until is not None:
            raise StorageError(f"{self._url} can't lock files: unset lock_days for this destination.")
        try:
            size = source.stat().st_size
        except OSError as error:
            raise StorageError(f"{source} can't be read ({error.strerror}): check that it is there.") from error
        can_move = self._renames or self._features()[0]
        if resume:
            self.abandon(name, resume)
        parent, _, base = name.rpartition("/")
        partial = f".{base[:100]}.{uuid4().hex[:12]}{PARTIAL}" if can_move else ""
        on_resume(json.dumps({"partial": partial}))
        arrives = self._path((f"{parent}/" if parent else "") + partial) if partial else target
        limit = ("--bwlimit", f"{options.bandwidth}B") if options.bandwidth else ()
        progress = _Progress(size, on_progress)
        stats = ("--stats", "250ms", "--stats-log-level", "NOTICE")
        with ThreadPoolExecutor(1, "backstay-rclone") as beside:
            beside.submit(self._features)  # asked meanwhile; where that fails it is asked again when it is needed
            command = ("copyto", *limit, *stats, str(source.resolve()), arrives)
            try:
                self._rclone.run(*command, name=name, on_bytes=progress)
            except StorageError as error:
                # Of two uploads that make the same folder at once, rclone has the later one fail over SFTP.
                if _FOLDER_NOT_MADE not in str(error):
                    raise
                self._rclone.run(*command, name=name, on_bytes=progress)
        progress(size)
        if partial:
            self._rclone.run("moveto", arrives, target, name=name)
        return self._proven(self.head(name), source, size)

    def _proven(self, found: StoredFile, source: Path, size: int) -> StoredFile:
        """Compare what the service says with the file that was sent."""
        if found.size != size:
            raise VerificationError(f"{found.name} has another size in {self._url} than here: send it again.")
        for algorithm, digest in found.checksums.items():
            answer = self._rclone.output(
                "lsjson", "--stat", "--hash", "--hash-type", algorithm, str(source.resolve()), most=_MOST_ANSWER
            )
            own = _hashes(_parsed(answer)).get(algorithm)
            if own is not None and own != digest:
                self.delete(found.name)
                raise VerificationError(f"{found.name} has other bytes in {self._url} than here: send it again.")
            if own is not None:
                return replace(found, proven=algorithm)
        return found

    def abandon(self, name: str, resume: str) -> None:
        """Remove the partial file."""
        checked(name)
        try:
            partial = json.loads(resume)["partial"] if resume else ""
        except (ValueError, KeyError, TypeError):
            return
        if not isinstance(partial, str) or "/" in partial or not partial.endswith(PARTIAL):
            return
        parent = name.rpartition("/")[0]
        self.delete((f"{parent}/" if parent else "") + partial)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read a range."""
        path = self._path(name)
        if length <= 0:
            return b""
        arguments = ("cat", "--offset", str(offset), "--count", str(length), path)
        try:
            found = self._rclone.output(*arguments, most=length, name=name)
        except StorageError:  # some services refuse an offset behind the end
            if self._head(name, hashed=False).size > offset:
                raise
            return b""
        if not found:
            self._head(name, hashed=False)  # object stores answer nothing for an object that is not there
        return found

    def stream(self, name: str, offset: int = 0) -> Iterator[bytes]:
        """Read from an offset to the end; a connection that breaks is opened again where it was."""
        path = self._path(name)
        with ThreadPoolExecutor(1, "backstay-rclone") as beside:
            asked = beside.submit(lambda: self._head(name, hashed=False).size)
            position, idle = offset, 0
            # A file is read while its size is asked for; behind its end, though, some services refuse to read.
            while not (position or idle) or position < asked.result():
                try:
                    with self._rclone.reading("cat", "--offset", str(position), path, name=name) as stream:
                        while piece := stream.read(_PIECE):
                            position, idle = position + len(piece), 0
                            if asked.done() and position > asked.result():
                                raise StorageError(f"{name} in {self._url} grew while it was read: read it again.")
                            yield piece
                except ConnectionFailedError:
                    if idle >= 2:
                        raise
                idle += 1
                if position < asked.result() and idle > 2:
                    raise ConnectionFailedError(
                        f"{name} in {self._url} breaks off each time it is read: try again later."
                    )

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """List files; names that would leave the destination are left out."""
        folder = prefix.rpartition("/")[0]
        if folder and not is_safe_name(folder):
            return
        before = f"{folder}/" if folder else ""
        try:
            with self._rclone.reading(
                "lsjson", "-R", "--files-only", "--no-mimetype", self._remote.path(folder)
            ) as lines:
                while line := lines.readline(_LONGEST_LINE):  # one file a line
                    if (text := line.strip().rstrip(b",")) in {b"", b"[", b"]"}:
                        continue
                    found = _stored(_parsed(text), before)
                    if found and found.name.startswith(prefix) and not found.name.endswith(PARTIAL):
                        yield found
        except NotFoundError:
            if not folder:
                raise NotFoundError(f"The folder of {self._url} is not there: make it, or correct the path.") from None
            # Nothing has such a name, unless the place itself is gone.
            self._rclone.output("lsjson", "--max-depth", "1", "--dirs-only", self._remote.path(), most=64 << 20)

    def head(self, name: str) -> StoredFile:
        """Return size, time and the best checksum that the service has."""
        return self._head(name, hashed=True)

    def _head(self, name: str, *, hashed: bool) -> StoredFile:
        path = self._path(name)
        algorithm = self._features()[1] if hashed else ""
        wanted = ("--hash", "--hash-type", algorithm) if algorithm else ()
        answer = _parsed(self._rclone.output("lsjson", "--stat", *wanted, path, most=_MOST_ANSWER, name=name))
        found = None if not isinstance(answer, dict) or answer.get("IsDir") else _stored(answer | {"Path": name}, "")
        if found is None:
            raise NotFoundError(f"{name} in {self._url} is not there.")
        return found

    def delete(self, name: str) -> None:
        """Delete a file."""
        try:
            self._rclone.run("deletefile", self._path(name), name=name)
        except NotFoundError:
            return

    def _features(self) -> tuple[bool, str]:
        """Return whether the service renames, and the best checksum that it computes, or nothing."""
        with self._lock:
            if self._known_features is None:
                answer = _parsed(self._rclone.output("backend", "features", self._remote.path(), most=_MOST_ANSWER))
                features = answer if isinstance(answer, dict) else {}
                hashes = features.get("Hashes") or []
                best = next((one for one in _HASHES if one in hashes), "")
                self._known_features = bool((features.get("Features") or {}).get("Move")), best
            return self._known_features

    def _path(self, name: str) -> str:
        return self._remote.path(checked(name))


class _Progress:
    """Reports bytes that have arrived: never fewer than before, never more than there are."""

    def __init__(self, size: int, on_progress: OnProgress) -> None:
        self._size = size
        self._done = 0
        self._on_progress = on_progress

    def __call__(self, done: int) -> None:
        self._done = max(self._done, min(done, self._size))
        self._on_progress(self._done)


def _parsed(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError as error:
        raise StorageError("rclone answers what can't be read: install a newer one.") from error


def _hashes(entry: Any) -> dict[str, str]:
    hashes = entry.get("Hashes") if isinstance(entry, dict) else None
    return {str(name): str(digest).lower() for name, digest in (hashes or {}).items() if digest}


def _stored(entry: Any, before: str) -> StoredFile | None:
    """Return a file that rclone lists, or None where it is none that may be stored."""
    try:
        name, size = before + str(entry["Path"]), int(entry["Size"])
        modified = datetime.fromisoformat(entry["ModTime"]) if entry.get("ModTime") else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return StoredFile(name, size, modified, _hashes(entry)) if is_safe_name(name) and size >= 0 else None
