"""Runs against servers that answer as the vendor's do, as broken ones do, and as ones that mean harm do."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from backstay.api.status import ApiError
from backstay.archives import Source, create_archive, pack
from backstay.archives.entries import EntryType
from backstay.archives.formats import STORED, Content, Head
from backstay.archives.jpa.layout import pack_archive_header, pack_entity
from backstay.catalogue import Connection, RemoteRun, Site
from backstay.client import fetch, flows, recovery, transport
from backstay.fleet import held_run, server_change, taking
from backstay.fleet.performing import perform
from backstay.jobs.installation import Installation
from client.fake_server import RECORD, SECRET, FakeServer, Seen, running
from fleet.remote_sites import add_site, claimed, gone_on_with, performed, record_of

STEP = {"HasRun": 1, "Domain": "Packing", "Progress": 50, "backupid": "id-1", "BackupID": 7, "Profile": 1}
LAST = {**STEP, "HasRun": 0, "Domain": "finale", "Progress": 100}
NOBODY = {**RECORD, "filenames": []}


def vendor_archive(*, parts: int = 4, claimed_size: int | None = None) -> list[bytes]:
    """The parts of a JPA archive as the vendor's are: without a manifest.

    Args:
        parts: how many.
        claimed_size: bytes of content that its header says; None: as many as there are.
    """
    entries = [(b"index.php", b"<?php"), (b"images/noise.bin", os.urandom(200_000))]
    body = b"".join(
        pack_entity(Head(name, EntryType.FILE, 0o100644, 1_700_000_000), Content(STORED, len(data), len(data), 0))
        + data
        for name, data in entries
    )
    size = sum(len(data) for _, data in entries)
    header = pack_archive_header(len(entries), claimed_size or size, size, parts if parts > 1 else None)
    whole, length = header + body, 65_536
    return [whole[number * length : (number + 1) * length if number + 1 < parts else None] for number in range(parts)]


def encrypted_archive(folder: Path) -> bytes:
    """A JPS archive."""
    folder.mkdir()
    writer = create_archive(folder / "site.jps", format="jps", work_directory=folder, password="a password")
    for _ in pack(writer, [Source("a", EntryType.FILE, 0o100644, 1_700_000_000, 1, data=b"a")]):
        pass
    writer.close()
    return (folder / "site.jps").read_bytes()


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server that takes a backup in three steps and gives an archive of four parts out; nobody waits long for it."""
    monkeypatch.setattr(flows, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(recovery, "LOOK_PAUSE", 0.001)
    monkeypatch.setattr(held_run, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(taking, "_FINISHING_PAUSE", 0.001)
    monkeypatch.setattr(fetch, "TRIES_WITHOUT_PROGRESS", 2)
    fake = FakeServer(parts=vendor_archive())
    fake.replies["startBackup"] = [{**STEP, "Progress": 0}]
    fake.replies["stepBackup"] = [STEP, {**LAST, "Warnings": ["A file \x1b[31mvanished"]}]
    fake.replies["listBackups"] = [[]]
    with running(fake) as url:
        fake.url = url
        yield fake


@pytest.fixture
def site(installation: Installation, vendor: FakeServer) -> Site:
    """A remote site behind that server."""
    return add_site(installation, vendor.url, SECRET)


def failure(installation: Installation, site: Site) -> str:
    """Why a run failed; nothing of its archive is left."""
    run = performed(installation, site)
    assert run.state == "failed"
    backup = record_of(installation, run)
    assert (backup.status, backup.error, backup.filesexist) == ("fail", run.message, False)
    assert list(installation.home.archives.glob("*")) == []
    assert installation.catalogue.sites.get(site.id).problem == run.message
    assert SECRET not in run.message
    return run.message


def test_a_backup_of_the_vendors_is_proven_by_its_structure_and_sizes(
    installation: Installation, vendor: FakeServer, site: Site
) -> None:
    run = performed(installation, site)
    backup = record_of(installation, run)
    assert (run.state, run.message) == ("done", f"Backup {backup.id} is complete, with 1 warnings.")
    assert (backup.proof["level"], backup.multipart, backup.total_size) == ("structure", 4, sum(map(len, vendor.parts)))
    assert backup.archivename.endswith(".jpa")
    assert backup.archivename != "site.jpa"
    assert [text for _, text in installation.catalogue.backups.warnings(backup.id)] == ["A file [31mvanished"]
    (start,) = vendor.calls("startBackup")
    assert run.checkpoint["mark"] in start.data["comment"]
    assert vendor.calls("delete") == []


def test_totals_that_the_vendor_counts_in_another_way_are_a_warning(
    installation: Installation, vendor: FakeServer, site: Site
) -> None:
    vendor.parts = vendor_archive(parts=1, claimed_size=200_004)
    run = performed(installation, site)
    assert run.state == "done"
    (vanished, totals) = installation.catalogue.backups.warnings(run.backup_id or 0)
    assert "vanished" in vanished[1]
    assert totals[1].endswith("holds 200005 bytes of content, and its header says 200004.")


def test_an_encrypted_archive_without_its_password_is_kept_with_a_warning(
    installation: Installation, vendor: FakeServer, site: Site, tmp_path: Path
) -> None:
    vendor.parts = [encrypted_archive(tmp_path / "jps")]
    vendor.replies["getBackupInfo"] = [
        {**RECORD, "filenames": [{"part": 1, "name": "site.jps", "size": len(vendor.parts[0])}]}
    ]
    backup = record_of(installation, performed(installation, site))
    assert (backup.status, backup.proof["level"]) == ("complete", "none")
    assert any("could not be read" in text for _, text in installation.catalogue.backups.warnings(backup.id))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], "The files of backup 7 are not on the server"),
        ([{"part": 1, "name": "../../etc/passwd", "size": 1}], "Backstay reads JPA, JPS, ZIP and SQL"),
        ([{"part": 1, "name": "a.jpa", "size": 1}] * 2, "makes no archive"),
        ([{"part": 1, "name": "a.jpa", "size": -5}], "makes no archive"),
        ([{"part": n, "name": "a.jpa", "size": 1} for n in range(10_001)], "10001 parts of its archive makes no"),
        ([{"part": 1, "name": "a.sql", "size": 1}, {"part": 2, "name": "b.sql", "size": 1}], "in several files"),
        ([{"part": 1, "name": "a.jpa", "size": 10**17}], "make room there"),
        ("nonsense", "a value of another kind than the API has"),
    ],
)
def test_files_that_make_no_archive_are_refused_before_the_first_byte(
    installation: Installation, vendor: FakeServer, site: Site, files: Any, expected: str
) -> None:
    vendor.replies["getBackupInfo"] = [{**RECORD, "filenames": files}]
    assert expected in failure(installation, site)
    assert vendor.calls("downloadDirect") == []


def test_names_of_a_server_are_never_names_here(installation: Installation, vendor: FakeServer, site: Site) -> None:
    sizes = [len(part) for part in vendor.parts]
    names = ["../../../tmp/x.j01", ".bashrc", "a" * 5000, "/etc/\x1b\n.JPA"]
    vendor.replies["getBackupInfo"] = [
        {**RECORD, "filenames": [{"part": n + 1, "name": names[n], "size": sizes[n]} for n in range(4)]}
    ]
    backup = record_of(installation, performed(installation, site))
    assert backup.status == "complete"
    found = sorted(path.name for path in installation.home.archives.glob("*"))
    assert found == sorted(part["name"] for part in backup.proof["parts"])
    assert all(name.startswith(Path(backup.archivename).stem) for name in found)


def test_an_archive_that_a_server_sent_elsewhere_is_told_as_such(
    installation: Installation, vendor: FakeServer, site: Site
) -> None:
    vendor.replies["getBackupInfo"] = [{**NOBODY, "remote_filename": "amazons3://bucket/site.jpa"}]
    assert "has sent backup 7 to a storage of its own" in failure(installation, site)


@pytest.mark.parametrize("more", [10, -10])
def test_a_part_of_another_size_than_was_said_is_no_part(
    installation: Installation, vendor: FakeServer, site: Site, more: int
) -> None:
    names = ["site.j01", "site.j02", "site.j03", "site.jpa"]
    files = [{"part": n + 1, "name": names[n], "size": len(vendor.parts[n])} for n in range(4)]
    files[1]["size"] = len(vendor.parts[1]) + more
    vendor.replies["getBackupInfo"] = [{**RECORD, "filenames": files}]
    message = failure(installation, site)
    assert "the file is damaged or still being written" in message
    assert message.endswith("Backup 7 is whole on the server.")


def test_a_stream_that_never_ends_is_cut_where_the_part_should(
    installation: Installation, vendor: FakeServer, site: Site
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536
            await asyncio.sleep(0.001)

    vendor.before = answering("downloadDirect", lambda: StreamingResponse(endless(), 200, FILE))
    assert "The archive that the server sent is damaged" in failure(installation, site)


def test_a_stream_that_is_cut_short_is_told_as_such(installation: Installation, vendor: FakeServer, site: Site) -> None:
    vendor.before = answering("downloadDirect", lambda: StreamingResponse(iter([b""]), 206, FILE))
    vendor.direct = False
    vendor.replies["download"] = [ApiError(404, "Invalid segment")]
    assert "The server did not find it: Invalid segment" in failure(installation, site)


def test_a_worker_that_stops_does_not_wait_for_a_stream_that_trickles(
    installation: Installation, vendor: FakeServer, site: Site
) -> None:
    stopping, free = threading.Event(), threading.Event()

    def trickle() -> Iterator[bytes]:
        for number in range(len(vendor.parts[0])):
            stopping.set()
            yield vendor.parts[0][number : number + 1]
            if free.wait(0.05):
                return

    vendor.before = answering("downloadDirect", lambda: StreamingResponse(trickle(), 200, FILE))
    run = claimed(installation, site)
    perform(installation, run.id, run.holder, stopping=stopping)
    free.set()
    left = installation.catalogue.remote_runs.get(run.id)
    assert (left.state, left.holder) == ("waiting", "")
    vendor.before = None
    assert gone_on_with(installation, left, "second").state == "done"
    assert len(vendor.calls("startBackup")) == 1


def test_an_answer_that_trickles_is_given_up(
    installation: Installation, vendor: FakeServer, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LONGEST_REPLY_SECONDS", 0.0)
    monkeypatch.setattr("backstay.client.sync.LONGEST_REPLY_SECONDS", 0.0)
    assert "the reply was not whole after 0 seconds" in failure(installation, site)


def test_an_answer_that_never_ends_is_given_up(
    installation: Installation, vendor: FakeServer, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"{" * 65_536
            await asyncio.sleep(0.001)

    monkeypatch.setattr(transport, "MAX_REPLY", 1 << 20)
    vendor.before = answering("getBackupInfo", lambda: StreamingResponse(endless()))
    assert "the reply is longer than 1048576 bytes" in failure(installation, site)


def test_web_pages_are_told_as_such(installation: Installation, vendor: FakeServer, site: Site) -> None:
    vendor.before = lambda _seen: HTMLResponse("<h1>Maintenance</h1>", 200)
    message = failure(installation, site)
    assert "does not answer the API" in message
    assert "try it with 'backstay site test'" in message


def test_pages_in_the_middle_of_a_backup_are_waited_out(
    installation: Installation, vendor: FakeServer, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_run, "PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr(held_run, "_FIRST_PAUSE", 0.01)
    pages = [HTMLResponse("<h1>Maintenance</h1>", 200) for _ in range(3)]

    def sometimes(seen: Seen) -> Response | None:
        return pages.pop() if pages and seen.path.endswith(("stepBackup", "getBackupInfo")) else None

    vendor.before = sometimes
    vendor.replies["getBackupInfo"] = [{**info_of(vendor), "status": "run"}, info_of(vendor)]
    assert performed(installation, site).state == "done"
    assert len(vendor.calls("startBackup")) == 1


def test_a_redirect_to_another_host_is_not_followed(installation: Installation, vendor: FakeServer, site: Site) -> None:
    other = FakeServer()
    with running(other) as url:
        vendor.before = lambda _seen: RedirectResponse(url.replace("127.0.0.1", "localhost"), 307)
        assert "which is not followed because it leads to another host" in failure(installation, site)
    assert other.seen == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ApiError(403, "Not \x1b[1mallowed"), "does not allow this: Not [1mallowed. Let the secret take and download"),
        (ApiError(401, "Who are you?"), "did not accept the secret or token: Who are you? Give the site the secret"),
        (ApiError(500, "Out of disk space"), "answered with an error: Out of disk space (status 500)"),
        ({**STEP, "Error": "No space\nleft"}, "The backup failed on the server: No space left"),
    ],
)
def test_what_a_server_refuses_is_told_in_its_words(
    installation: Installation, vendor: FakeServer, site: Site, answer: Any, expected: str
) -> None:
    vendor.replies["startBackup"] = [answer]
    assert expected in failure(installation, site)


def test_a_backup_that_fails_in_a_step_is_told_in_the_servers_words(
    installation: Installation, vendor: FakeServer, site: Site
) -> None:
    vendor.replies["stepBackup"] = [{**STEP, "HasRun": 1, "Error": "mysqldump \x07died"}]
    assert "The backup failed on the server: mysqldump died." in failure(installation, site)


def test_a_backup_that_does_not_get_on_is_given_up(
    installation: Installation, vendor: FakeServer, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = installation.configuration.jobs.model_copy(update={"stuck_after": 0.0001})
    changed = installation.configuration.model_copy(update={"jobs": jobs})
    monkeypatch.setitem(vars(installation), "configuration", changed)
    vendor.replies["stepBackup"] = [STEP]
    assert "The server has reported the same step for 0 minutes" in failure(installation, site)


def test_a_backup_that_never_ends_is_given_up(
    installation: Installation, vendor: FakeServer, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "LONGEST_SECONDS", 0.0)
    vendor.replies["stepBackup"] = [{**STEP, "Step": str(number)} for number in range(1000)]
    assert "The backup has not ended on the server after 0 hours" in failure(installation, site)


def test_a_server_that_does_not_answer_is_told_as_such(installation: Installation) -> None:
    site = add_site(installation, "http://127.0.0.1:9", SECRET)
    run = performed(installation, site)
    assert run.state == "failed"
    assert "cannot be reached" in run.message
    assert run.message.endswith("Look whether the site is up.")


def test_a_disk_that_is_full_here_is_told_as_such(
    installation: Installation, vendor: FakeServer, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int, _data: bytes, _position: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("backstay.client.part_file.os.pwrite", full)
    assert "There is no space left to write" in failure(installation, site)
    assert len(vendor.calls("startBackup")) == 1


def test_an_archive_that_is_damaged_is_no_backup(installation: Installation, vendor: FakeServer, site: Site) -> None:
    vendor.parts[0] = vendor.parts[0][:60] + bytes(200) + vendor.parts[0][260:]
    assert "The archive that the server sent is damaged" in failure(installation, site)


def test_a_certificate_nobody_vouches_for_must_be_the_one_that_was_seen(
    installation: Installation, vendor: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = add_site(installation, vendor.url.replace("http:", "https:"), SECRET)
    installation.catalogue.sites.set_connection(site.id, Connection(SECRET, {}, verify_tls=False))
    installation.catalogue.sites.update(site.id, found={"certificate": "ab" * 32})
    monkeypatch.setattr(server_change, "certificate_at", lambda _host, _port: "cd" * 32)
    run = performed(installation, site)
    assert "shows another certificate than when it was added, and was not sent the secret" in run.message
    assert vendor.seen == []


def test_an_address_that_has_changed_is_told_where_a_run_fails(
    installation: Installation, vendor: FakeServer, site: Site
) -> None:
    installation.catalogue.sites.update(site.id, host="192.0.2.9")
    vendor.replies["startBackup"] = [ApiError(500, "No")]
    assert "its address has changed from 192.0.2.9 to 127.0.0.1." in failure(installation, site)


def test_a_start_whose_answer_was_lost_is_not_repeated(
    installation: Installation, vendor: FakeServer, site: Site
) -> None:
    def lose(seen: Seen) -> Response | None:
        if seen.path.endswith("startBackup") and not started:
            started.append(seen)
            return Response(b"", 502)
        if seen.path.endswith("listBackups"):
            vendor.replies["listBackups"] = [[{**RECORD, "status": "run", "comment": mark_in(installation, site)}]]
        return None

    started: list[Seen] = []
    vendor.before = lose
    run = performed(installation, site)
    assert run.state == "done", run.message
    assert len(vendor.calls("startBackup")) == 0
    assert len(started) == 1


FILE = {"content-disposition": 'attachment; filename="x"', "content-type": "application/octet-stream"}


def answering(method: str, answer: Callable[[], Response]) -> Callable[[Seen], Response | None]:
    """What answers one method with something else."""
    return lambda seen: answer() if seen.path.endswith(method) else None


def info_of(server: FakeServer) -> dict[str, Any]:
    """What the server says of its archive."""
    names = [f"site.j{number:02d}" for number in range(1, len(server.parts))] + ["site.jpa"]
    files = [{"part": n + 1, "name": names[n], "size": len(part)} for n, part in enumerate(server.parts)]
    return {**RECORD, "filenames": files}


def mark_in(installation: Installation, site: Site) -> str:
    """The mark of the run of a site that has not ended."""
    run: RemoteRun | None = installation.catalogue.remote_runs.open_of(site.id)
    assert run is not None
    return str(run.checkpoint["mark"])
