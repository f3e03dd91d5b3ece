"""Downloads of backups that lie at a storage only, over the API."""

from __future__ import annotations

import base64
import random
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
from blake3 import blake3

from backstay.catalogue import Backup
from backstay.client import Client
from server.driving import Driven, make_record
from support.destinations import Place
from support.stored import add_storage, store

FIRST = b"first part"
CONTENT = random.Random(3).randbytes(9_500_000)


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    (tmp_path / "nas").mkdir()
    return tmp_path / "nas"


@pytest.fixture
def record(server: Driven, nas: Path) -> Backup:
    """A record whose two parts lie at a storage only."""
    files = {"site.j01": FIRST, "site.jpa": CONTENT}
    made = make_record(server.installation, files)
    parts = [{"name": name, "size": len(data), "blake3": blake3(data).hexdigest()} for name, data in files.items()]
    server.installation.catalogue.backups.update(made.id, proof={"parts": parts})
    add_storage(server.installation, Place(f"folder://{nas}", {}))
    backup = server.installation.catalogue.backups.get(made.id)
    assert backup is not None
    return store(server.installation, backup)


def get(server: Driven, record: Backup, part: int = 2, verb: str = "GET", **headers: str) -> httpx2.Response:
    fields = {"method": "downloadDirect", "backup_id": record.id, "part_id": part, "_akeebaAuth": server.secret}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.http.request(verb, f"{server.url}/index.php?{urlencode(fields)}", headers=named)


def test_the_files_are_reported(server: Driven, record: Backup) -> None:
    reply = server.v2("getBackupInfo", backup_id=record.id)
    assert [(file["part"], file["name"], int(file["size"])) for file in reply.data["filenames"]] == [
        (1, "site.j01", len(FIRST)),
        (2, "site.jpa", len(CONTENT)),
    ]


def test_whole_parts(server: Driven, record: Backup) -> None:
    assert get(server, record, 1).content == FIRST
    response = get(server, record)
    assert (response.status_code, response.content) == (200, CONTENT)
    assert response.headers["content-length"] == str(len(CONTENT))
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["content-disposition"] == 'attachment; filename="site.jpa"'
    head = get(server, record, verb="HEAD")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", response.headers["etag"])


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=-5", -5, None),
        ("bytes=4194300-8388700", 4194300, 8388701),
        ("bytes=9000000-", 9000000, None),
    ],
)
def test_ranges(server: Driven, record: Backup, asked: str, start: int, stop: int | None) -> None:
    response = get(server, record, Range=asked)
    assert (response.status_code, response.content) == (206, CONTENT[start:stop])
    assert response.headers["content-range"].endswith(f"/{len(CONTENT)}")


def test_a_range_behind_the_end(server: Driven, record: Backup) -> None:
    assert get(server, record, Range=f"bytes={len(CONTENT)}-").status_code == 416


def test_a_download_goes_on_only_with_the_same_content(server: Driven, record: Backup) -> None:
    etag = get(server, record, Range="bytes=0-0").headers["etag"]
    assert get(server, record, Range="bytes=5-9", If_Range=etag).content == CONTENT[5:10]
    assert get(server, record, Range="bytes=5-9", If_Range='"another"').status_code == 200
    assert get(server, record, 1, Range="bytes=0-0").headers["etag"] != etag


def test_pieces_in_base64(server: Driven, record: Backup) -> None:
    pieces = [
        base64.b64decode(server.v2("download", backup_id=record.id, part_id=2, segment=number, chunk_size=4).data)
        for number in (1, 2, 3)
    ]
    assert b"".join(pieces) == CONTENT
    assert server.v2("download", backup_id=record.id, part_id=2, segment=9, chunk_size=4).status != 200


def test_the_client_downloads_it_as_any_other(server: Driven, record: Backup, tmp_path: Path) -> None:
    with Client(server.url, server.secret) as client:
        paths = client.download(record.id, tmp_path / "down", connections=2)
    assert [path.read_bytes() for path in paths] == [FIRST, CONTENT]


def test_what_is_gone_at_the_storage_is_reported(server: Driven, record: Backup, nas: Path) -> None:
    (nas / "site.jpa").unlink()
    assert get(server, record).status_code == 404
    assert server.v2("download", backup_id=record.id, part_id=2, segment=1, chunk_size=1).status != 200
    (nas / "site.j01").unlink()
    nas.rename(nas.with_name("away"))
    assert get(server, record, 1).status_code in (404, 500)


def test_what_became_shorter_at_the_storage_is_not_sent_as_whole(server: Driven, record: Backup, nas: Path) -> None:
    (nas / "site.jpa").write_bytes(CONTENT[:6_000_000])
    with pytest.raises(httpx2.HTTPError):
        get(server, record)
