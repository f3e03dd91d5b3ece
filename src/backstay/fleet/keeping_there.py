"""What stays on the remote server: the newest backups that this site's runs took there, and whatever others took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backstay.api.replies import BackupRecord
from backstay.catalogue import Catalogue
from backstay.client import Client
from backstay.engine.warnings import Warnings
from backstay.errors import BackstayError
from backstay.fleet.detection import plain_text

_LOOKED_THROUGH: Final = 500


def keep_there(
    catalogue: Catalogue, client: Client, site_id: int, newest: Mapping[str, object], keep: int, warnings: Warnings
) -> list[int]:
    """Delete on the server the older backups that runs of a site took there.

    A backup is this site's where a run of it noted its number, and its comment has the mark of that run: numbers alone
    may be another's, after the server was set up anew.

    Args:
        catalogue: knows the runs.
        client: of the server.
        site_id: of the site.
        newest: checkpoint of the run that has just ended.
        keep: as many stay.
        warnings: receives what could not be deleted.

    Returns:
        The numbers of those that were deleted there.
    """
    marks = _marks(catalogue, site_id) | _mark_of(newest)
    try:
        records = client.list_backups(0, _LOOKED_THROUGH)[:_LOOKED_THROUGH]
    except BackstayError as error:
        warnings.add(f"Older backups could not be deleted on the server: {plain_text(str(error), 500)}")
        return []
    mine = sorted((one for one in records if _is_mine(one, marks)), key=lambda one: one.id, reverse=True)
    deleted = []
    for record in mine[keep:]:
        if record.frozen:
            continue
        try:
            client.delete(record.id)
        except BackstayError as error:
            warnings.add(f"Backup {record.id} could not be deleted on the server: {plain_text(str(error), 500)}")
        else:
            deleted.append(record.id)
    return deleted


def _marks(catalogue: Catalogue, site_id: int) -> dict[int, str]:
    """The marks of all runs of a site, by the number of the server's record."""
    known: dict[int, str] = {}
    for run in catalogue.remote_runs.newest(site_id=site_id):
        if run.ended is not None:
            known |= _mark_of(run.checkpoint)
    return known


def _mark_of(checkpoint: Mapping[str, object]) -> dict[int, str]:
    record, mark = checkpoint.get("record"), checkpoint.get("mark")
    return {record: mark} if isinstance(record, int) and isinstance(mark, str) else {}


def _is_mine(record: BackupRecord, marks: Mapping[int, str]) -> bool:
    return record.id in marks and marks[record.id] in record.comment and record.status != "run"
