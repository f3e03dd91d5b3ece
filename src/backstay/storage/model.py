"""What a destination is: a flat set of named files, put there whole, read in ranges, listed and deleted.

A back end is one module that implements `Destination` for one kind of service. It knows no archive and no record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

OnProgress = Callable[[int], None]
"""Called with the bytes of a file that have arrived so far."""
OnResume = Callable[[str], None]
"""Given a token that resumes an upload, before the first byte is sent under it; it is kept by the caller."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a service says about a file.

    Attributes:
        name: relative to the destination's folder or prefix; slashes separate folders.
        size: in bytes.
        modified: time of its last change; None where the service does not say.
        checksums: what the service itself computed over the content, by algorithm (``sha256``, ``sha256-composite``,
            ``md5``, …), hexadecimal digits in lower case; empty where it computes none.
        proven: after `Destination.put`, the algorithm whose checksum, computed by the service, was compared with that
            of the file that was sent; empty where the service computes none, so that the file has to be read back.
    """

    name: str
    size: int
    modified: datetime | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    proven: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a destination can promise.

    Attributes:
        checksums: algorithms of which the service computes one for each file, the best first; empty: a file has to be
            read back to be proven.
        resumes: an upload that was cut goes on within the file.
        locks: files can be locked against deletion until a moment.
    """

    checksums: tuple[str, ...] = ()
    resumes: bool = False
    locks: bool = False


@dataclass(frozen=True, slots=True)
class PutOptions:
    """How a file is sent.

    Attributes:
        bandwidth: bytes a second at most; 0 is no limit.
        concurrency: pieces sent at once.
        lock_until: the file cannot be deleted before; None does not lock it.
    """

    bandwidth: int = 0
    concurrency: int = 4
    lock_until: datetime | None = None


class Destination(Protocol):
    """One place that keeps files. Safe to use from many threads; close it, or use it in a ``with`` statement.

    Every method raises a class of `backstay.errors` whose sentence names the destination, the file and what to do:
    ``StorageError`` where the service refuses or fails for good, ``DiskFullError`` where it is full,
    ``ConnectionFailedError`` where trying again later may help (which no method does for longer than seconds),
    ``AuthenticationError`` for refused credentials, ``NotFoundError`` for a file, folder or bucket that is not there.
    No sentence holds a secret.
    """

    @property
    def url(self) -> str:
        """The address, without secrets."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can promise."""
        ...

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
        """Send a file; it appears under its name whole or not at all, and replaces what had the name.

        Args:
            name: relative to the destination.
            source: the file; it must not change meanwhile.
            options: how it is sent.
            resume: the token of an upload of the same file that was cut; empty begins anew.
            on_resume: given the token of this upload.
            on_progress: called with the bytes that have arrived, those of the cut upload included.

        Returns:
            What the service says about it now, checksums included; ``proven`` says how its content was compared.

        Raises:
            VerificationError: the service has other bytes than were sent; they have been removed.
        """
        ...

    def abandon(self, name: str, resume: str) -> None:
        """Remove what an upload that was cut, and will not be resumed, has left at the service; nothing is fine too."""
        ...

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read exactly so many bytes at an offset; fewer only where the file ends."""
        ...

    def stream(self, name: str, offset: int = 0) -> Iterator[bytes]:
        """Read a file from an offset to its end, in pieces of four megabytes at most."""
        ...

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """List the files whose names begin so, in no order; checksums may be missing."""
        ...

    def head(self, name: str) -> StoredFile:
        """Return what the service says about a file, checksums included.

        Raises:
            NotFoundError: there is none.
        """
        ...

    def delete(self, name: str) -> None:
        """Delete a file; one that is gone is fine.

        Raises:
            StorageError: the service refuses, as it does while the file is locked.
        """
        ...

    def close(self) -> None:
        """Release connections."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
