"""downloadDirect: headers, ranges, errors, flat memory, and a client that goes away."""

from __future__ import annotations

import os
import socket
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest

from backstay.catalogue import Backup
from server.driving import Driven, make_record

CONTENT = bytes(range(256)) * 20


@pytest.fixture
def record(server: Driven) -> Backup:
    return make_record(server.installation, {"site.j01": b"first part", "site.jpa": CONTENT})


def url_of(server: Driven, record: Backup, part: int = 2) -> str:
    fields = {"method": "downloadDirect", "backup_id": record.id, "part_id": part, "_akeebaAuth": server.secret}
    return f"{server.url}/index.php?{urlencode(fields)}"


def get(server: Driven, record: Backup, part: int = 2, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.http.get(url_of(server, record, part), headers={"Accept-Encoding": "gzip", **named})


def test_the_whole_part_with_the_documented_headers(server: Driven, record: Backup) -> None:
    response = get(server, record)
    assert (response.status_code, response.content) == (200, CONTENT)
    assert response.headers["mime-version"] == "1.0"
    assert response.headers["content-disposition"] == 'attachment; filename="site.jpa"'
    assert response.headers["content-transfer-encoding"] == "binary"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-length"] == str(len(CONTENT))
    assert response.headers["cache-control"] == "must-revalidate, post-check=0, pre-check=0"
    assert response.headers["expires"] == "0"
    assert response.headers["pragma"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert parsedate_to_datetime(response.headers["last-modified"]).timestamp() <= time.time()


def test_parts_are_numbered_with_the_main_file_last(server: Driven, record: Backup) -> None:
    assert get(server, record, 1).content == b"first part"
    assert get(server, record, 2).content == CONTENT


def test_part_as_a_name_for_part_id(server: Driven, record: Backup) -> None:
    fields = {"method": "downloadDirect", "backup_id": record.id, "part": 1, "_akeebaAuth": server.secret}
    assert server.http.get(f"{server.url}/index.php?{urlencode(fields)}").content == b"first part"


def test_a_zip_says_so(server: Driven) -> None:
    record = make_record(server.installation, {"site.zip": b"PK"})
    assert get(server, record, 1).headers["content-type"] == "application/zip"


def test_an_empty_part(server: Driven) -> None:
    record = make_record(server.installation, {"site.jpa": b""})
    response = get(server, record, 1)
    assert (response.status_code, response.content) == (200, b"")


def test_head(server: Driven, record: Backup) -> None:
    response = server.http.head(url_of(server, record))
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len(CONTENT))


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=100-", 100, 5120),
        ("bytes=-20", 5100, 5120),
        ("bytes=5119-", 5119, 5120),
        ("bytes=5000-99999", 5000, 5120),
        ("bytes=-99999", 0, 5120),
        ("bytes=0-9, 10-19", 0, 20),
        ("bytes=0-9, 5-30", 0, 31),
        ("BYTES=3-3", 3, 4),
    ],
)
def test_a_piece(server: Driven, record: Backup, asked: str, start: int, stop: int) -> None:
    response = get(server, record, Range=asked)
    assert (response.status_code, response.content) == (206, CONTENT[start:stop])
    assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/5120"
    assert response.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize(
    "asked", ["bytes=9-3", "bytes=a-b", "lines=0-5", "bytes", "bytes=", "bytes=0-1,100-101", "bytes=--5", "bytes=٣-٤"]
)
def test_ranges_that_do_not_count(server: Driven, record: Backup, asked: str) -> None:
    response = server.http.get(url_of(server, record), headers={b"Range": asked.encode()})
    assert (response.status_code, response.content) == (200, CONTENT)


@pytest.mark.parametrize("asked", ["bytes=5120-", "bytes=9999-10000", "bytes=-0"])
def test_ranges_behind_the_end(server: Driven, record: Backup, asked: str) -> None:
    response = get(server, record, Range=asked)
    assert response.status_code == 416
    assert response.headers["content-range"] == "bytes */5120"


def test_a_piece_only_of_the_file_the_client_knows(server: Driven, record: Backup) -> None:
    whole = get(server, record)
    for known in (whole.headers["etag"], whole.headers["last-modified"]):
        assert get(server, record, Range="bytes=10-19", If_Range=known).status_code == 206
    assert get(server, record, Range="bytes=10-19", If_Range='"other"').content == CONTENT
    os.utime(record.absolute_path, (1, 1))
    assert get(server, record, Range="bytes=10-19", If_Range=whole.headers["etag"]).status_code == 200


def test_a_head_request_with_a_range(server: Driven, record: Backup) -> None:
    response = server.http.head(url_of(server, record), headers={"Range": "bytes=0-9"})
    assert (response.status_code, response.headers["content-length"]) == (206, "10")


@pytest.mark.parametrize(("part", "number", "sentence"), [(3, 1, "part"), (0, 1, "part"), (1, 77, "record identifier")])
def test_what_is_not_there(server: Driven, record: Backup, part: int, number: int, sentence: str) -> None:
    fields = {"method": "downloadDirect", "backup_id": number, "part_id": part, "_akeebaAuth": server.secret}
    response = server.http.get(f"{server.url}/index.php?{urlencode(fields)}")
    assert response.status_code == 404
    assert response.text == f"Invalid backup {sentence}\n"


@pytest.mark.parametrize(
    "path", ["/index.php?method=downloadDirect&", "/api/index.php/v3/akeebabackup/downloadDirect?"]
)
@pytest.mark.parametrize("secret", ["", "_akeebaAuth=wrong&"])
def test_a_stranger_gets_no_reply_that_could_be_taken_for_an_archive(
    server: Driven, record: Backup, path: str, secret: str
) -> None:
    response = server.http.get(f"{server.url}{path}{secret}backup_id={record.id}")
    assert (response.status_code, response.text) == (403, "Access denied\n")


def test_files_that_vanished(server: Driven, record: Backup) -> None:
    Path(record.absolute_path).unlink()
    assert get(server, record).status_code == 404


def test_a_name_that_no_header_takes(server: Driven) -> None:
    record = make_record(server.installation, {'sité "☃".jpa': b"x"})
    disposition = get(server, record, 1).headers["content-disposition"]
    assert disposition == "attachment; filename=\"sit_ ___.jpa\"; filename*=UTF-8''sit%C3%A9%20%22%E2%98%83%22.jpa"


def test_a_connection_serves_several_requests(server: Driven, record: Backup) -> None:
    for _ in range(3):
        assert get(server, record).content == CONTENT
        assert server.v2("getVersion").status == 200


def test_pipelined_downloads_come_whole_and_in_order(server: Driven, record: Backup) -> None:
    target = url_of(server, record).removeprefix(server.url)
    other = url_of(server, record, 1).removeprefix(server.url)
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        for path, last in ((target, False), (other, False), (target, True)):
            close = "Connection: close\r\n" if last else ""
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{close}\r\n".encode())
        received = b""
        while piece := connection.recv(65536):
            received += piece
    bodies = [answer.split(b"\r\n\r\n", 1)[1] for answer in received.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [CONTENT, b"first part", CONTENT]


def sparse(server: Driven, size: int) -> Backup:
    record = make_record(server.installation, {"large.jpa": b""})
    os.truncate(record.absolute_path, size)
    return record


def memory() -> int:
    """Resident bytes of this process, which is the server's too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10
    pytest.skip("the system does not show a process its memory")


def test_fifty_slow_downloads_take_no_memory(server: Driven) -> None:
    record = sparse(server, 1 << 30)
    target = url_of(server, record, 1).removeprefix(server.url)
    host, port = server.url.removeprefix("http://").split(":")
    before = memory()
    connections = [socket.create_connection((host, int(port))) for _ in range(50)]
    try:
        for connection in connections:
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for _ in range(3):
            for connection in connections:
                assert connection.recv(65536)
        time.sleep(0.5)
        assert memory() - before < 100 << 20
        assert server.v2("getVersion").status == 200, "others are answered meanwhile"
    finally:
        for connection in connections:
            connection.close()


def test_a_client_that_goes_away_leaves_nothing_behind(server: Driven) -> None:
    record = sparse(server, 1 << 30)
    target = url_of(server, record, 1).removeprefix(server.url)
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(1000)
    deadline = time.monotonic() + 10
    while is_open(record.absolute_path):
        assert time.monotonic() < deadline, "the file is still open"
        time.sleep(0.05)


def is_open(path: str) -> bool:
    links = Path("/proc/self/fd")
    if not links.is_dir():
        pytest.skip("the system does not show a process its open files")
    for link in links.iterdir():
        try:
            if link.readlink() == Path(path):
                return True
        except OSError:
            continue
    return False


def test_a_part_that_becomes_shorter_breaks_the_connection(server: Driven) -> None:
    record = sparse(server, 1 << 28)
    received = 0

    def download() -> None:
        nonlocal received
        with server.http.stream("GET", url_of(server, record, 1)) as response:
            for piece in response.iter_bytes(65536):
                if received == 0:
                    os.truncate(record.absolute_path, 1 << 20)
                received += len(piece)

    with pytest.raises(httpx2.HTTPError):
        download()
    assert received < 1 << 28
