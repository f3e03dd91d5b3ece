"""A copy of a backup at a destination: sending it, proving it, removing it.

The catalogue says at each moment what may be at the destination. A copy is ``stored`` only when every part has arrived,
is proven, and the document lies beside them.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from backstay.catalogue import Catalogue, Copy, CopyPart, NamedDestination
from backstay.engine.document import BackupDocument, document_bytes, document_name
from backstay.engine.uploading import Upload, Uploads
from backstay.errors import BackstayError, StorageError
from backstay.storage import Destination, open_destination, parse_address

_log = logging.getLogger(__name__)

_ENGINES = {
    "s3": "amazons3",
    "gs": "googlestoragejson",
    "az": "azure",
    "webdavs": "webdav",
    "ftps": "ftp",
}
"""The reference engine's names of services (``engine.postproc.<name>``) where they differ from the schemes of URLs."""


@dataclass(frozen=True, slots=True)
class Sent:
    """How far a copy is.

    Attributes:
        destination: its name.
        part: base name of the file that is under way.
        done, total: bytes.
    """

    destination: str
    part: str
    done: int
    total: int


def send_copy(
    catalogue: Catalogue,
    backup_id: int,
    destination: NamedDestination,
    folder: Path,
    document: BackupDocument,
    work: Path,
    *,
    patience: float,
) -> Generator[Sent, None, Copy]:
    """Send a proven backup to a destination, from where an earlier try was cut.

    Args:
        catalogue: of the installation.
        backup_id: number of the record.
        destination: where it goes.
        folder: where the parts lie.
        document: of the backup; names the parts and their hashes.
        work: a folder for the document before it is sent.
        patience: seconds without any progress after which the line counts as gone for good.

    Yields:
        How far it is.

    Returns:
        The copy, stored and proven.

    Raises:
        BackstayError: it could not be sent. The copy says ``failed`` and why, and nothing half is left as far as the
            destination can be reached. Closing the generator leaves all as it is, to be resumed.
    """
    wanted = [CopyPart(part.name, part.size, part.blake3) for part in document.parts]
    copy = _begun(catalogue, backup_id, destination, wanted)
    if copy.state == "stored":
        return copy
    try:
        with open_destination(destination.url, destination.secrets) as opened:
            _remove_strays(catalogue, copy, opened, {part.name for part in wanted})
            copy = _planned(catalogue, copy, wanted)
            uploads = Uploads(catalogue, copy, opened, destination.options, patience)
            hashes = {part.name: part.blake3 for part in wanted}
            total = sum(part.size for part in wanted)
            files = [Upload(part, folder / part.name, hashes[part.name]) for part in copy.parts]
            with closing(uploads.run(files)) as steps:
                for name, done in steps:
                    yield Sent(destination.name, name, done, total)
            yield Sent(destination.name, document_name(document.record.archivename), total, total)
            _send_document(catalogue, copy, opened, destination, document, work, patience)
    except Exception as error:
        _failed(catalogue, copy, destination, error)
        raise
    return _stored(catalogue, copy)


def send_part(
    catalogue: Catalogue,
    backup_id: int,
    destination: NamedDestination,
    path: Path,
    *,
    patience: float,
    blake3: str = "",
) -> Generator[Sent, None, None]:
    """Send one part of an archive that is still being written; the part itself will not change any more.

    Args:
        catalogue: of the installation.
        backup_id: number of the record.
        destination: where it goes.
        path: of the part.
        patience: as for ``send_copy``.
        blake3: of its content; empty: it is not known.

    Raises:
        BackstayError: it could not be sent; ``send_copy`` tries it again.
    """
    size = path.stat().st_size
    copy = _begun(catalogue, backup_id, destination, [])
    if path.name not in {part.name for part in copy.parts}:
        catalogue.copies.set_parts(copy.id, [*copy.parts, CopyPart(path.name, size)])
    with open_destination(destination.url, destination.secrets) as opened:
        current = catalogue.copies.find(backup_id, destination.name) or copy
        part = next(part for part in current.parts if part.name == path.name)
        if part.size != size:
            part = replace(part, size=size)
            catalogue.copies.update_part(copy.id, part.name, size=size)
        uploads = Uploads(catalogue, current, opened, destination.options, patience)
        with closing(uploads.run([Upload(part, path, blake3)])) as steps:
            for name, done in steps:
                yield Sent(destination.name, name, done, size)


def remove_copy(catalogue: Catalogue, copy: Copy, destination: NamedDestination) -> None:
    """Remove a copy from its destination, however far it has come, and forget it.

    Where this fails the copy stays, says ``deleting`` and why, and is removed at the next run.

    Raises:
        BackstayError: the destination refuses, or cannot be reached.
    """
    if copy.state == "stored" and copy.locked_until is not None and copy.locked_until > datetime.now(UTC):
        raise StorageError(
            f"the copy of backup {copy.backup_id} at {copy.destination} is locked until "
            f"{copy.locked_until:%Y-%m-%d %H:%M} UTC: it can't be deleted before."
        )
    catalogue.copies.update(copy.id, state="deleting")
    refresh_remote_filename(catalogue, copy.backup_id)
    try:
        with open_destination(destination.url, destination.secrets) as opened:
            # The document and the main file first: what is left after a power cut must not look like a backup.
            for part in reversed(copy.parts):
                if part is copy.parts[-1]:
                    opened.delete(copy.file_name(document_name(part.name)))
                if part.started and not part.proof:
                    opened.abandon(copy.file_name(part.name), part.resume)
                opened.delete(copy.file_name(part.name))
    except BackstayError as error:
        catalogue.copies.update(copy.id, error=str(error))
        raise
    catalogue.copies.delete(copy.id)
    _log.info("Removed the copy of backup %d at %s", copy.backup_id, copy.destination)


def withdraw_copies(catalogue: Catalogue, backup_id: int, *, stored_too: bool = False) -> list[str]:
    """Remove what unfinished copies of a backup have left at their destinations.

    Args:
        catalogue: of the installation.
        backup_id: number of the record.
        stored_too: remove those that are stored as well.

    Returns:
        A sentence for each copy that could not be removed now.
    """
    problems = []
    for copy in catalogue.copies.of(backup_id):
        if copy.state == "stored" and not stored_too:
            continue
        try:
            remove_copy(catalogue, copy, catalogue.destinations.get(copy.destination))
        except BackstayError as error:
            problems.append(f"The copy of backup {backup_id} at {copy.destination} could not be removed: {error}")
    return problems


def refresh_remote_filename(catalogue: Catalogue, backup_id: int) -> None:
    """Say in a record where its first stored copy lies, as ``engine://path``; nothing where there is none."""
    backup = catalogue.backups.get(backup_id)
    if backup is None:
        return
    stored = next((copy for copy in catalogue.copies.of(backup_id) if copy.state == "stored"), None)
    found = catalogue.destinations.find(stored.destination) if stored is not None else None
    name = remote_filename(found.url, stored.file_name(backup.archivename)) if found and stored else None
    if name != backup.remote_filename:
        catalogue.backups.update(backup_id, remote_filename=name)


def remote_filename(url: str, name: str) -> str:
    """Return where a file lies as the API says it: the service and the path, without user or parameters.

    The service has the name that clients know from the reference engine; ``folder`` and ``rclone`` are Backstay's own.
    """
    address, _secrets = parse_address(url)
    path = "/".join(piece for piece in (address.host, address.path.strip("/"), name) if piece)
    lead = "/" if address.scheme == "folder" else ""
    return f"{_ENGINES.get(address.scheme, address.scheme)}://{lead}{path}"


def _begun(catalogue: Catalogue, backup_id: int, destination: NamedDestination, parts: Sequence[CopyPart]) -> Copy:
    """Return the copy as it is, or begin it; one that failed is begun anew."""
    copy = catalogue.copies.find(backup_id, destination.name)
    if copy is not None and copy.state == "deleting":
        # What is left of it may serve still: each part is looked at before it counts as sent.
        catalogue.copies.update(copy.id, state="sending", error="")
        return replace(copy, state="sending", error="")
    if copy is not None and copy.state != "failed":
        return copy
    if copy is not None:
        catalogue.copies.delete(copy.id)
    now = datetime.now(UTC)
    days = destination.options.lock_days
    locked_until = (now + timedelta(days=days)).replace(microsecond=0) if days else None
    return catalogue.copies.create(backup_id, destination.name, created=now, locked_until=locked_until, parts=parts)


def _remove_strays(catalogue: Catalogue, copy: Copy, opened: Destination, wanted: set[str]) -> None:
    """Remove parts that were sent early of an archive that was begun anew since, and has fewer of them."""
    for part in copy.parts:
        if part.name not in wanted:
            if part.started and not part.proof:
                opened.abandon(copy.file_name(part.name), part.resume)
            opened.delete(copy.file_name(part.name))
    kept = [part for part in copy.parts if part.name in wanted]
    if len(kept) < len(copy.parts):
        catalogue.copies.set_parts(copy.id, kept)


def _planned(catalogue: Catalogue, copy: Copy, wanted: Sequence[CopyPart]) -> Copy:
    """Note every part that is to arrive, with what is known of those that were begun."""
    current = catalogue.copies.find(copy.backup_id, copy.destination)
    known = {part.name: part for part in (current or copy).parts}
    parts = tuple(replace(known.get(part.name, part), size=part.size) for part in wanted)
    if current is None or parts != current.parts:
        catalogue.copies.set_parts(copy.id, parts)
    return replace(copy, parts=parts)


def _send_document(
    catalogue: Catalogue,
    copy: Copy,
    opened: Destination,
    destination: NamedDestination,
    document: BackupDocument,
    work: Path,
    patience: float,
) -> None:
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = work / f"document-{destination.id}.json"
    path.write_bytes(document_bytes(document))
    Uploads(catalogue, copy, opened, destination.options, patience).send_small(
        document_name(document.record.archivename), path
    )
    path.unlink()


def _stored(catalogue: Catalogue, copy: Copy) -> Copy:
    now = datetime.now(UTC)
    parts = (catalogue.copies.find(copy.backup_id, copy.destination) or copy).parts
    ways = dict.fromkeys(part.proof for part in parts)
    values: dict[str, Any] = {
        "state": "stored",
        "sent_at": now,
        "proven_at": now,
        "proven_how": ", ".join(ways),
        "error": "",
    }
    catalogue.copies.update(copy.id, **values)
    refresh_remote_filename(catalogue, copy.backup_id)
    return replace(copy, parts=parts, **values)


def _failed(catalogue: Catalogue, copy: Copy, destination: NamedDestination, error: Exception) -> None:
    """Remove what a failed upload has left, as far as that is possible, and say why it failed."""
    current = catalogue.copies.find(copy.backup_id, copy.destination)
    if current is None:
        return
    try:
        remove_copy(catalogue, current, destination)
    except BackstayError as problem:
        _log.warning("What was sent to %s can't be removed now: %s", destination.name, problem)
        if any(part.resume or part.proof for part in current.parts):
            catalogue.copies.update(current.id, state="deleting", error=str(error))
            return
        catalogue.copies.delete(current.id)
    catalogue.copies.create(copy.backup_id, copy.destination, created=copy.created, state="failed", error=str(error))
