"""Moving a site from another server: a fresh backup there, and the texts that have to change here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from backstay.archives import open_archive
from backstay.errors import BackupFailedError
from backstay.jobs.restore import RestoreSource
from backstay.restore import read_layout

if TYPE_CHECKING:
    from backstay.api.replies import StepReply
    from backstay.client import Client

_ENDINGS = ("/index.php", "/remote.php", "/wp-admin/admin-ajax.php")


def backup_remotely(client: Client, profile: int, description: str, on_step: Callable[[StepReply], None]) -> int:
    """Take a fresh backup on a server of the API and wait for its end.

    Args:
        client: of the server.
        profile: number of the profile there.
        description: title of the record.
        on_step: told of every reply.

    Returns:
        Number of the record there.

    Raises:
        BackupFailedError: the backup failed.
        BackstayError: the server could not be reached, or refused.
    """
    last: StepReply | None = None
    for last in client.backup(profile, description):
        on_step(last)
    if last is None or not last.backup_id:
        raise BackupFailedError("The server did not say which backup it took: look at its list of backups.")
    return last.backup_id


def moving_texts(source: RestoreSource, server: str, target: Path, address: str | None) -> tuple[tuple[str, str], ...]:
    """Return the old and new texts of a site that moves: its folder, and its address where it gets a new one.

    Args:
        source: the archive; it tells the site's old folder and host.
        server: address of the API that the archive came from.
        target: the new folder.
        address: the new address; None: it stays as it is.

    Raises:
        ArchiveError: the archive cannot be read.
    """
    with open_archive(source.path, password=source.password) as archive:
        information = read_layout(archive).information
    found: dict[str, str] = {}
    root = information.get("root")
    if isinstance(root, str) and len(root.rstrip("/")) > 1 and root.rstrip("/") != str(target):
        found[root.rstrip("/")] = str(target)
    if address:
        hosts = {_place_of(server)}
        if isinstance(host := information.get("host"), str) and host:
            hosts.add(host)
        for place in sorted(hosts):
            for scheme in ("https", "http"):
                if f"{scheme}://{place}" != address:
                    found[f"{scheme}://{place}"] = address
    return tuple(found.items())


def _place_of(server: str) -> str:
    """Return host and path of a site from the address of its API."""
    parts = urlsplit(server if "//" in server else f"https://{server}")
    path = parts.path.rstrip("/")
    for ending in _ENDINGS:
        path = path.removesuffix(ending)
    return parts.netloc + path
