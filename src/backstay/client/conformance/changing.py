"""Checks that change something on the server: a backup taken and deleted, a profile made and deleted."""

from __future__ import annotations

import base64

from backstay.client.conformance.probe import Checks, FailedError, Group, NotOfferedError, Probe, require
from backstay.client.sync import Client
from backstay.errors import NotFoundError, RemoteError

backup_checks = Checks(Group.BACKUP, changes=True)
profile_checks = Checks(Group.PROFILES, changes=True)
TITLE = "Conformance check"
_COMPARED = 4 * 1048576


@backup_checks
def whole_backup(probe: Probe) -> None:
    """A backup is taken, listed, downloaded in both ways and deleted."""
    with probe.client() as client:
        record = _take(client, probe.profile)
        try:
            _look(client, record)
            _compare(client, record)
            require(client.delete_files(record), "deleteFiles does not answer true")
            require(not client.get_backup_info(record).filenames, "the files are still named after deleteFiles")
        finally:
            require(client.delete(record), "delete does not answer true")
        try:
            client.get_backup_info(record)
        except NotFoundError:
            return
    raise FailedError("the record is still there after delete")


def _take(client: Client, profile: int) -> int:
    replies = list(client.backup(profile, TITLE))
    first, last = replies[0], replies[-1]
    require(first.backup_id > 0, "startBackup does not return the number of the record")
    require(first.backupid, "startBackup does not return the backupid")
    require(len({reply.backupid for reply in replies}) == 1, "the backupid changes on the way")
    require(all(0 <= reply.progress <= 100 for reply in replies), "the progress leaves 0 to 100")
    progress = [reply.progress for reply in replies]
    require(progress == sorted(progress), "the progress runs backwards")
    require(last.progress == 100, "the last progress is not 100")
    return first.backup_id


def _look(client: Client, number: int) -> None:
    record = next((known for known in client.list_backups(0, 5) if known.id == number), None)
    require(record is not None, "the backup is not among the newest five")
    if record is not None:
        require(record.meta == "ok", f"its meta is {record.meta!r}")
        require(record.description == TITLE, "its description is another")


def _compare(client: Client, number: int) -> None:
    file = client.get_backup_info(number).filenames[0]
    wanted = min(file.size, _COMPARED)
    straight = b""
    with client.open_part(number, file.part) as stream:
        for chunk in stream.chunks:
            straight += chunk
            if len(straight) >= wanted:
                break
    pieces, segment = b"", 1
    while len(pieces) < wanted:
        pieces += base64.b64decode(client.download_segment(number, file.part, segment))
        segment += 1
    require(pieces[:wanted] == straight[:wanted], "the segments are not the file")


@profile_checks
def whole_profile(probe: Probe) -> None:
    """A profile is exported, imported again, found, and deleted."""
    with probe.client() as client:
        before = {profile.id for profile in client.get_profiles()}
        exported = client.export_configuration(probe.profile)
        renamed = exported.model_copy(update={"description": TITLE})
        client.import_configuration(renamed)
        fresh = [profile for profile in client.get_profiles() if profile.id not in before]
        require(len(fresh) == 1, "there is not exactly one more profile")
        require(fresh[0].name == TITLE, "its name is another")
        try:
            require(client.delete_profile(fresh[0].id), "deleteProfile does not answer true")
        except RemoteError as error:
            if error.status == 501:
                raise NotOfferedError(
                    f"the server does not delete profiles at its level: profile {fresh[0].id} stays"
                ) from None
            raise


@profile_checks
def filters(probe: Probe) -> None:
    """A filter is set, listed and taken away."""
    if probe.level > 500:
        raise NotOfferedError("the server has no filter methods at its level")
    path = "backstay-conformance-check"
    with probe.client() as client:
        require(client.set_fs_filter(path, "directories", probe.profile).newstate, "it is not set")
        listed = any(found.node.endswith(path) for found in client.get_fs_filters(probe.profile))
        require(
            not client.set_fs_filter(path, "directories", probe.profile, status=False).newstate, "it is not taken away"
        )
        require(listed, "it is not listed")
        require(
            not any(found.node.endswith(path) for found in client.get_fs_filters(probe.profile)), "it is still listed"
        )
