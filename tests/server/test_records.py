"""Backup records and their files: every row of api-methods.md 3."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from server.driving import Driven, make_record

MEBIBYTE = 1 << 20
COLUMNS = [
    *["id", "description", "comment", "backupstart", "backupend", "status", "origin", "type", "profile_id"],
    *["archivename", "absolute_path", "multipart", "tag", "backupid", "filesexist", "remote_filename", "total_size"],
    *["frozen", "instep"],
]


def test_list_backups(server: Driven) -> None:
    record = make_record(server.installation, {"site.j01": b"12345", "site.jpa": b"678"})
    (listed,) = server.v2("listBackups").data
    assert list(listed) == [*COLUMNS, "meta", "hasRemoteFiles", "size"]
    assert listed == {
        "id": record.id,
        "description": "Before the update",
        "comment": "",
        "backupstart": "2024-01-02 03:04:05",
        "backupend": "2024-01-02 03:04:35",
        "status": "complete",
        "origin": "json",
        "type": "full",
        "profile_id": 1,
        "archivename": "site.jpa",
        "absolute_path": record.absolute_path,
        "multipart": 2,
        "tag": "json",
        "backupid": "id-20240102-030405-678901",
        "filesexist": 1,
        "remote_filename": None,
        "total_size": 8,
        "frozen": 0,
        "instep": 0,
        "meta": "ok",
        "hasRemoteFiles": False,
        "size": 8,
    }


def test_the_range_of_a_list(server: Driven) -> None:
    numbers = [make_record(server.installation, {}, status="fail").id for _ in range(60)][::-1]

    def listed(**data: int) -> list[int]:
        named = {"from" if name == "first" else name: value for name, value in data.items()}
        return [record["id"] for record in server.v2("listBackups", named).data]

    assert listed() == numbers[:50]
    assert listed(limit=3) == numbers[:3]
    assert listed(limit=3, first=2) == numbers[2:5]
    assert listed(limit=0) == numbers
    assert listed(limit=0, first=5) == []
    assert listed(limit=5, first=100) == []
    assert server.v2("listBackups", {"from": -1}).status == 500


@pytest.mark.parametrize(
    ("values", "meta", "has_size"),
    [
        ({"status": "run"}, "pending", False),
        ({"status": "fail", "filesexist": False}, "fail", False),
        ({}, "ok", True),
        ({"filesexist": False}, "obsolete", False),
        ({"filesexist": False, "remote_filename": "s3://x/y"}, "remote", False),
    ],
)
def test_the_state_of_a_record(server: Driven, values: dict[str, object], meta: str, has_size: bool) -> None:
    make_record(server.installation, {"site.jpa": b"123"}, **values)
    (listed,) = server.v2("listBackups").data
    assert listed["meta"] == meta
    assert ("size" in listed) is has_size


def test_a_list_notices_that_files_are_gone(server: Driven) -> None:
    record = make_record(server.installation, {"site.jpa": b"123"})
    Path(record.absolute_path).unlink()
    (listed,) = server.v2("listBackups").data
    assert (listed["filesexist"], listed["meta"]) == (0, "obsolete")


def test_a_backup_that_has_not_ended(server: Driven) -> None:
    make_record(server.installation, {}, status="run", backupend=None)
    assert server.v2("listBackups").data[0]["backupend"] == "0000-00-00 00:00:00"


def test_get_backup_info(server: Driven) -> None:
    record = make_record(server.installation, {"s.j01": b"12345", "s.j02": b"1", "s.jpa": b"678"})
    information = server.v2("getBackupInfo", backup_id=record.id).data
    assert list(information) == [*COLUMNS, "filenames"]
    assert information["filenames"] == [
        {"part": 1, "name": "s.j01", "size": 5},
        {"part": 2, "name": "s.j02", "size": 1},
        {"part": 3, "name": "s.jpa", "size": 3},
    ]


def test_get_backup_info_without_files(server: Driven) -> None:
    record = make_record(server.installation, {}, filesexist=False)
    assert server.v2("getBackupInfo", backup_id=record.id).data["filenames"] == []


@pytest.mark.parametrize("method", ["getBackupInfo", "download", "delete", "deleteFiles"])
def test_an_unknown_record(server: Driven, method: str) -> None:
    for call in (server.v2, server.v3):
        assert call(method, backup_id=99).pair == (404, "Invalid backup record identifier")
    assert server.v1(method, {"backup_id": 99}).pair == (404, "Invalid backup record identifier")


@pytest.mark.parametrize("method", ["getBackupInfo", "download"])
def test_no_record_named(server: Driven, method: str) -> None:
    assert server.v2(method).pair == (404, "Invalid backup record identifier")


@pytest.mark.parametrize("method", ["delete", "deleteFiles"])
@pytest.mark.parametrize("number", [0, -3, "abc"])
def test_deleting_what_has_no_number(server: Driven, method: str, number: object) -> None:
    assert server.v2(method, backup_id=number).pair == (500, "Invalid record ID")


def test_segments_are_pieces_of_a_mebibyte(server: Driven) -> None:
    content = os.urandom(2 * MEBIBYTE + 100)
    record = make_record(server.installation, {"site.jpa": content})

    def segment(number: int, **data: int) -> tuple[int, object]:
        return server.v2("download", {"backup_id": record.id, "part_id": 1, "segment": number, **data}).pair

    pieces = [base64.b64decode(str(segment(number)[1])) for number in (1, 2, 3)]
    assert [len(piece) for piece in pieces] == [MEBIBYTE, MEBIBYTE, 100]
    assert b"".join(pieces) == content
    assert segment(4) == (404, "Invalid segment")
    assert segment(0) == (404, "Invalid segment")
    assert base64.b64decode(str(segment(2, chunk_size=2)[1])) == content[2 * MEBIBYTE :]
    assert base64.b64decode(str(segment(1, chunk_size=10)[1])) == content
    assert base64.b64decode(str(segment(1, chunk_size=-5)[1])) == content[:MEBIBYTE]
    # Huge pieces are cut to 32 MiB, and the second begins where the first ends.
    assert base64.b64decode(str(segment(1, chunk_size=10**9)[1])) == content
    assert segment(2, chunk_size=10**9) == (404, "Invalid segment")


def test_a_segment_that_begins_at_the_end_is_empty(server: Driven) -> None:
    record = make_record(server.installation, {"site.jpa": bytes(MEBIBYTE)})
    assert server.v2("download", backup_id=record.id, segment=2).pair == (200, "")
    assert server.v2("download", backup_id=record.id, segment=3).pair == (404, "Invalid segment")


def test_download_over_version_1(server: Driven) -> None:
    record = make_record(server.installation, {"site.jpa": b"JPA\0\xff"})
    assert server.v1("download", {"backup_id": record.id, "part_id": 1, "segment": 1}).data == "SlBBAP8="


def test_download_of_a_part_that_is_not_there(server: Driven) -> None:
    record = make_record(server.installation, {"site.jpa": b"x"})
    assert server.v2("download", backup_id=record.id, part_id=2).pair == (404, "Invalid backup part")
    assert server.v2("download", backup_id=record.id, part=1).status == 200
    Path(record.absolute_path).unlink()
    assert server.v2("download", backup_id=record.id).pair == (404, "Invalid backup part")


def test_download_of_a_part_that_cannot_be_opened(server: Driven) -> None:
    if os.geteuid() == 0:
        pytest.skip("the system lets root read every file")
    record = make_record(server.installation, {"site.jpa": b"x"})
    Path(record.absolute_path).chmod(0)
    assert server.v2("download", backup_id=record.id).pair == (500, "Error reading backup archive")


def test_delete(server: Driven) -> None:
    record = make_record(server.installation, {"site.j01": b"1", "site.jpa": b"2"})
    log = server.installation.home.log("json", "id-20240102-030405-678901")
    log.write_text("log")
    assert server.v2("delete", backup_id=record.id).pair == (200, True)
    assert server.v2("listBackups").data == []
    assert list(server.installation.home.archives.iterdir()) == []
    assert not log.exists()


def test_delete_files(server: Driven) -> None:
    record = make_record(server.installation, {"site.jpa": b"2"})
    log = server.installation.home.log("json", "id-20240102-030405-678901")
    log.write_text("log")
    assert server.v2("deleteFiles", backup_id=record.id).pair == (200, True)
    (listed,) = server.v2("listBackups").data
    assert (listed["id"], listed["filesexist"], listed["meta"]) == (record.id, 0, "obsolete")
    assert list(server.installation.home.archives.iterdir()) == []
    assert not log.exists()


@pytest.mark.parametrize("method", ["delete", "deleteFiles"])
def test_a_frozen_record_is_kept(server: Driven, method: str) -> None:
    record = make_record(server.installation, {"site.jpa": b"2"}, frozen=True)
    assert server.v2(method, backup_id=record.id).status == 500
    assert Path(record.absolute_path).exists()


def test_logs(server: Driven) -> None:
    make_record(server.installation, {}, backupid="id-1", tag="cli")
    make_record(server.installation, {}, backupid="id-2", tag="json")
    make_record(server.installation, {}, backupid="id-3", tag="cli")
    for tag, backupid in (("cli", "id-1"), ("json", "id-2"), ("cli", "id-3")):
        server.installation.home.log(tag, backupid).write_text(f"INFO    |log of {backupid} ###\r\n")
    assert server.v2("log", tag="json.id-2").data == "INFO    |log of id-2 ###\r\n"
    assert server.v2("log", tag="json").data.startswith("INFO    |log of id-2")
    assert server.v2("log").data.startswith("INFO    |log of id-3")
    assert server.v2("log", tag="cli.../../../key").status == 404
    assert server.v2("log", tag="json.id-9").pair == (404, "Invalid backup record identifier")


def test_no_log_at_all(server: Driven) -> None:
    assert server.v2("log").status == 404
    make_record(server.installation, {})
    assert server.v2("log").status == 404


def test_paths_that_are_not_utf_8_do_not_break_a_list(server: Driven) -> None:
    make_record(server.installation, {"gr\udcfc\udcdf.jpa": b"x"})
    assert server.v2("listBackups").data[0]["archivename"] == "gr\\udcfc\\udcdf.jpa"
    assert server.v1("listBackups").data[0]["archivename"] == "gr\\udcfc\\udcdf.jpa"
