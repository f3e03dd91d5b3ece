"""Named destinations as a person asks for them, and sending a backup that exists to one of them."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Collection, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from backstay.catalogue import Copy, DestinationOptions, NamedDestination, Profile
from backstay.engine import Sent, document_of, main_file, refresh_remote_filename, remove_copy, send_copy
from backstay.errors import BackstayError, NotFoundError, StorageError, UsageError, VerificationError
from backstay.jobs import lock
from backstay.jobs.installation import Installation
from backstay.jobs.machines import refuse_elsewhere
from backstay.jobs.records import get_backup
from backstay.profiles.remote_storage import remote_storage
from backstay.storage import Destination, PutOptions, open_destination, parse_address, secrets_from_environment

DESTINATIONS_KEY = "backstay.storage.destinations"
_NAME = re.compile(r"[\w.@-]{1,100}")
_PATIENCE_SECONDS = 360 * 60.0
_ENDING_SECONDS = 5.0
_TEST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Measured:
    """What a test of a destination found.

    Attributes:
        size: bytes that were sent and read back.
        sent, read, deleted: seconds that each took.
        proof: algorithm of the checksum that the service computes; empty: copies are read back to be proven.
    """

    size: int
    sent: float
    read: float
    deleted: float
    proof: str


def add_destination(
    installation: Installation,
    name: str,
    url: str,
    secrets: Mapping[str, str],
    options: DestinationOptions,
) -> NamedDestination:
    """Store a destination under a name; nothing is sent there.

    Args:
        installation: whose.
        name: by which profiles and commands know it.
        url: see ``backstay.storage.SCHEMES``; a password in it is kept among the secrets.
        secrets: by the names that the kind of service gives them.
        options: how it is used.

    Raises:
        UsageError: the name is taken or cannot be one, or the URL names no destination or one that is known already.
        ConfigurationError: a secret is missing.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            "The name of a storage has up to 100 letters, digits and . _ - @, no blanks: choose such a name."
        )
    address, in_url = parse_address(url)
    known = {**in_url, **secrets}
    for other in installation.catalogue.destinations.all():
        if other.url == address.url:
            raise UsageError(f"The storage {other.name} has this address already: use it, or give another address.")
    made = NamedDestination(0, name, address.url, known, datetime.now(UTC), options)
    _check(made)
    return installation.catalogue.destinations.create(made)


def edit_destination(
    installation: Installation,
    name: str,
    *,
    url: str | None = None,
    secrets: Mapping[str, str] | None = None,
    options: DestinationOptions | None = None,
    without: Collection[str] = (),
) -> NamedDestination:
    """Change a destination; what is None stays. Given secrets are put over those it has, those of ``without`` removed.

    Raises:
        NotFoundError: there is none of that name.
        UsageError: the URL names no destination.
        ConfigurationError: a secret is missing.
    """
    found = installation.catalogue.destinations.get(name)
    address, in_url = parse_address(url or found.url)
    kept = {key: value for key, value in found.secrets.items() if key not in without}
    edited = replace(
        found,
        url=address.url,
        secrets={**kept, **in_url, **(secrets or {})},
        options=options or found.options,
    )
    _check(edited)
    installation.catalogue.destinations.save(edited)
    return edited


def _check(destination: NamedDestination) -> None:
    """Open a destination once, which shows what its back end lacks, and check that it can do what is asked of it."""
    with open_destination(destination.url, destination.secrets) as opened:
        if destination.options.lock_days and not opened.capabilities.locks:
            raise UsageError(f"{opened.url} can't lock what is stored there: leave --lock-days out.")


def remove_destination(installation: Installation, name: str, *, forget: bool = False) -> int:
    """Remove a destination from the catalogue; what is stored there stays.

    Args:
        installation: whose.
        name: of the destination.
        forget: also where backups are stored there, or profiles send to it.

    Returns:
        How many copies the catalogue knew there.

    Raises:
        NotFoundError: there is none of that name.
        UsageError: it is in use.
    """
    catalogue = installation.catalogue
    catalogue.destinations.get(name)
    if held := catalogue.repositories.at(name):
        raise UsageError(
            f"The repository {held[0].name} lies at {name}: forget it first with "
            f"'backstay repository remove {held[0].name} --forget'."
        )
    copies = [copy for copy in catalogue.copies.at(name) if copy.state != "failed"]
    profiles = [str(profile.id) for profile in catalogue.profiles.all() if name in profile.settings().destination_names]
    if profiles and not forget:
        raise UsageError(
            f"Profile {', '.join(profiles)} sends its backups to {name}: change that first with "
            f"'backstay profile edit {profiles[0]} --set destinations=', or give --forget."
        )
    if copies and not forget:
        raise UsageError(
            f"{name} holds copies of backups, {len(copies)} in all: with --forget the records no longer say so, and "
            "what is stored there stays."
        )
    catalogue.destinations.delete(name)
    for copy in copies:
        refresh_remote_filename(catalogue, copy.backup_id)
    return len(copies)


def environment_secrets(url: str) -> dict[str, str]:
    """Return the secrets for an address that the environment holds, such as ``AWS_ACCESS_KEY_ID``."""
    return secrets_from_environment(parse_address(url)[0], os.environ)


def measure_destination(installation: Installation, name: str) -> Measured:
    """Write a file at a destination, read it back, delete it, and measure.

    Raises:
        NotFoundError: there is no destination of that name, or its folder or bucket is not there.
        BackstayError: what is wrong, in one sentence.
    """
    destination = installation.catalogue.destinations.get(name)
    content = os.urandom(_TEST_BYTES)
    with (
        tempfile.TemporaryDirectory(dir=installation.home.jobs) as folder,
        open_destination(destination.url, destination.secrets) as opened,
    ):
        source = Path(folder) / f"backstay-test-{token_hex(8)}.bin"
        source.write_bytes(content)
        try:
            return _measured(opened, source, content)
        except BackstayError:
            with suppress(BackstayError):
                opened.delete(source.name)
            raise


def _measured(opened: Destination, source: Path, content: bytes) -> Measured:
    # Not locked: what tests leave behind must be deletable.
    begun = time.monotonic()
    stored = opened.put(
        source.name, source, options=PutOptions(), on_resume=lambda _token: None, on_progress=lambda _done: None
    )
    sent = time.monotonic()
    back = b"".join(opened.stream(source.name))
    read = time.monotonic()
    if back != content:
        raise VerificationError(f"{opened.url} gave back other bytes than were sent: do not use it.")
    if source.name not in {file.name for file in opened.list(source.name)}:
        raise StorageError(f"{opened.url} does not list what was sent there: allow listing for this key.")
    before = time.monotonic()
    opened.delete(source.name)
    deleted = time.monotonic()
    with suppress(NotFoundError):
        opened.head(source.name)
        raise StorageError(f"{opened.url} keeps what was deleted: allow deleting for this key.")
    return Measured(len(content), sent - begun, read - sent, deleted - before, stored.proven)


def copy_backup(installation: Installation, backup_id: int, name: str) -> Generator[Sent, None, Copy]:
    """Send a complete backup that lies here to a destination, or go on with sending it.

    Args:
        installation: whose.
        backup_id: number of its record.
        name: of the destination.

    Yields:
        How far it is.

    Returns:
        The copy, stored and proven.

    Raises:
        NotFoundError: there is no such backup or destination, or the backup's files are not here.
        UsageError: the backup is not complete, or somebody is sending it already.
        BackstayError: it could not be sent.
    """
    backup = get_backup(installation, backup_id)
    destination = installation.catalogue.destinations.get(name)
    if backup.status != "complete":
        raise UsageError(f"Backup {backup_id} is not complete (its state is {backup.meta}): only whole ones are sent.")
    if (row := installation.catalogue.snapshots.of(backup_id)) is not None:
        raise UsageError(
            f"Backup {backup_id} lies in the repository {row.repository}, and no archive of it is sent: write one with "
            f"'backstay repository export {row.repository} {row.snapshot[:8]} --to DIR'."
        )
    main = main_file(installation.home, backup)
    if main is None:
        refuse_elsewhere(installation, backup)
        raise NotFoundError(f"The files of backup {backup_id} are not on this machine: there is nothing to send.")
    # The process of a backup that has just ended holds its lock for a moment more.
    with lock.tried(installation.home.job(backup_id), _ENDING_SECONDS) as taken:
        if not taken:
            raise UsageError(f"Backup {backup_id} is being worked on by another process: wait for its end.")
        return (
            yield from send_copy(
                installation.catalogue,
                backup_id,
                destination,
                main.parent,
                document_of(installation.catalogue, backup),
                installation.home.job(backup_id) / "work",
                patience=_PATIENCE_SECONDS,
            )
        )


def copies_of(installation: Installation, backup_id: int) -> list[Copy]:
    """Return the copies of a backup, oldest first."""
    return installation.catalogue.copies.of(backup_id)


def delete_copies(installation: Installation, backup_id: int) -> None:
    """Remove every copy of a backup from its destination.

    Raises:
        NotFoundError: there is no such backup.
        UsageError: it is frozen.
        StorageError: a copy could not be removed; those before it are gone.
    """
    if get_backup(installation, backup_id).frozen:
        raise UsageError(f"Backup {backup_id} is frozen: end that with 'backstay freeze {backup_id} --off' first.")
    for copy in copies_of(installation, backup_id):
        if copy.state == "failed":
            continue
        remove_copy(installation.catalogue, copy, installation.catalogue.destinations.get(copy.destination))


def adopt_storage(installation: Installation, profile: Profile) -> tuple[NamedDestination | None, str]:
    """Make a storage of what an imported profile says of where its backups are sent, and let the profile use it.

    Args:
        installation: whose.
        profile: as it was imported.

    Returns:
        The storage, None where there is none, and a sentence that says what is missing; empty where nothing is.
    """
    remote = remote_storage(profile.configuration)
    if remote is None:
        return None, ""
    if not remote.url:
        return None, f"Its backups are not sent elsewhere yet ({remote.engine}): {remote.missing}."
    try:
        address, _secrets = parse_address(remote.url)
        same = [one for one in installation.catalogue.destinations.all() if one.url == address.url]
        name = f"{remote.engine}-{profile.id}"
        options = DestinationOptions()
        used = same[0] if same else add_destination(installation, name, remote.url, remote.secrets, options)
    except BackstayError as error:
        return None, f"Its backups are not sent elsewhere yet ({remote.engine}): {error}"
    installation.catalogue.profiles.save(profile.with_values({DESTINATIONS_KEY: used.name}))
    return used, ""
