"""Checks of methods that only read: version, profiles, records, downloads (api-methods.md 1 and 3)."""

from __future__ import annotations

import re

from backstay.api.replies import BackupInfo
from backstay.client.conformance.probe import Checks, Group, NotOfferedError, Probe, require
from backstay.client.fetch import PartStream
from backstay.client.sync import Client
from backstay.errors import BackstayError, NotFoundError, RemoteError

checks = Checks(Group.RECORDS)
UNKNOWN_RECORD = 2_000_000_000


@checks
def version(probe: Probe) -> None:
    """`getVersion` answers a level of at least 319, version, date and edition."""
    with probe.client() as client:
        answer = client.get_version()
    require(answer.api >= 319, f"the level is {answer.api}")
    require(answer.component, "there is no version")
    require(re.fullmatch(r"\d{4}-\d\d-\d\d", answer.date), f"the date is {answer.date!r}")
    require(answer.edition in ("pro", "core"), f"the edition is {answer.edition!r}")


@checks
def profiles(probe: Probe) -> None:
    """`getProfiles` lists profiles by number."""
    with probe.client() as client:
        numbers = [profile.id for profile in client.get_profiles()]
    require(numbers == sorted(numbers), "they are not in order")
    require(all(number > 0 for number in numbers), "one has no number")


@checks
def listing(probe: Probe) -> None:
    """`listBackups` lists records newest first, and keeps to from and limit."""
    with probe.client() as client:
        found = [record.id for record in client.list_backups(0, 3)]
        later = [record.id for record in client.list_backups(1, 2)]
        everything = client.list_backups(0, 0)
    require(found == sorted(found, reverse=True), "they are not newest first")
    require(len(found) <= 3, "the limit is not kept")
    require(later == found[1:], "from does not leave out the newest")
    require(len(everything) >= len(found), "limit 0 does not mean all")
    known = {"ok", "obsolete", "remote", "pending", "fail"}
    require(all(record.meta in known for record in everything), "a record has another meta than the documented ones")


@checks
def unknown_record(probe: Probe) -> None:
    """An unknown record is status 404 for getBackupInfo and download."""
    with probe.client() as client:
        _refuses(lambda: client.get_backup_info(UNKNOWN_RECORD), NotFoundError)
        _refuses(lambda: client.download_segment(UNKNOWN_RECORD), NotFoundError)


@checks
def unknown_backup(probe: Probe) -> None:
    """`stepBackup` without a backupid, or with an unknown one, is refused."""
    with probe.client() as client:
        _refuses(client.step_backup, RemoteError)
        _refuses(lambda: client.step_backup("id-20000101-000000-000000"), RemoteError)


def _refuses(call: object, error: type[BackstayError]) -> None:
    try:
        call()  # type: ignore[operator]  # any call without arguments, whatever it gives
    except error:
        return
    require(holds=False, otherwise="it is answered as if it were there")


def _with_files(client: Client) -> BackupInfo:
    for record in client.list_backups(0, 50):
        if record.filesexist:
            info = client.get_backup_info(record.id)
            if info.filenames and all(file.size > 0 for file in info.filenames):
                return info
    raise NotOfferedError("there is no backup with files to look at")


@checks
def parts(probe: Probe) -> None:
    """`getBackupInfo` numbers the parts from 1, the main file last."""
    with probe.client() as client:
        info = _with_files(client)
    require([file.part for file in info.filenames] == list(range(1, len(info.filenames) + 1)), "they are not in order")
    require(info.filenames[-1].name == info.archivename, "the last part is not the main file")


@checks
def segments(probe: Probe) -> None:
    """`download` gives segments that follow one another, and status 404 behind the end."""
    with probe.client() as client:
        info = _with_files(client)
        file = info.filenames[-1]
        require(client.download_segment(info.id, file.part, 1), "the first segment is empty")
        _refuses(lambda: client.download_segment(info.id, file.part, 3 + file.size // 1048576), NotFoundError)
        _refuses(lambda: client.download_segment(info.id, len(info.filenames) + 1, 1), NotFoundError)


@checks
def direct(probe: Probe) -> None:
    """`downloadDirect` gives the file with its size and name."""
    with probe.client() as client:
        info = _with_files(client)
        file = info.filenames[-1]
        with client.open_part(info.id, file.part) as stream:
            require(stream.status == 200, f"the HTTP status is {stream.status}")
            length = stream.headers.get("content-length")
            require(length == str(file.size), f"the length is {length} and not {file.size}")
            named = stream.headers.get("content-disposition", "")
            require(file.name in named, f"the name is not in {named!r}")


@checks
def ranges(probe: Probe) -> None:
    """`downloadDirect` answers a range with that range."""
    with probe.client() as client:
        info = _with_files(client)
        with client.open_part(info.id, info.filenames[-1].part, "bytes=1-3") as stream:
            _check_range(stream)


def _check_range(stream: PartStream) -> None:
    if stream.status == 200:
        raise NotOfferedError("the server sends the whole file, as old servers do")
    require(stream.status == 206, f"the HTTP status is {stream.status}")
    require(len(b"".join(stream.chunks)) == 3, "it is not as long as it was asked for")


@checks
def direct_unknown(probe: Probe) -> None:
    """`downloadDirect` of an unknown record is an HTTP error."""
    with probe.client() as client, client.open_part(UNKNOWN_RECORD, 1) as stream:
        require(stream.status >= 400, f"the HTTP status is {stream.status}")
