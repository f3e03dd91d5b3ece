"""Downloads of backups that lie in a repository, over the API: the same bytes every time, any range of them."""

from __future__ import annotations

import base64
import random
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.archives import open_archive
from backstay.catalogue import Backup
from backstay.client import Client
from backstay.jobs.records import delete_backup_files
from backstay.jobs.repositories import opened_repository
from backstay.repository.pruning import prune
from server.driving import Driven, driven
from support.backups import make_files, take
from support.repositories import add_sites, damage, has_files, into_repository, packs_of

PART_SIZE = 300_000
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Handed:
    """A server with backups in a repository: a split JPA, and a ZIP in one file; and the bytes of their parts."""

    server: Driven
    site: Path
    split: Backup
    whole: Backup
    parts: dict[tuple[int, int], bytes]


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handed]:
    """Take a backup of a site into a repository, and put the archive of another there."""
    folder = tmp_path_factory.mktemp("handed")
    site = make_files(folder / "site", 40, 3000)
    for number in range(10):
        (site / f"noise-{number}.bin").write_bytes(random.Random(number).randbytes(150_000))
    with driven(folder / "home") as server:
        installation = server.installation
        add_sites(installation)
        sizes = {"engine__archiver__common__part_size": str(PART_SIZE)}
        split = take(installation, site, backstay__repository="sites", **sizes)
        whole = into_repository(installation, take(installation, site, akeeba__advanced__archiver_engine="zip"))
        parts = {
            (backup.id, number): get(server, backup, number).content
            for backup in (split, whole)
            for number, _name, _size in files_of(server, backup)
        }
        yield Handed(server, site, split, whole, parts)


def files_of(server: Driven, backup: Backup) -> list[tuple[int, str, int]]:
    found = server.v2("getBackupInfo", backup_id=backup.id).data["filenames"]
    return [(file["part"], file["name"], int(file["size"])) for file in found]


def get(server: Driven, backup: Backup, part: int = 1, verb: str = "GET", **headers: str) -> httpx2.Response:
    fields = {"method": "downloadDirect", "backup_id": backup.id, "part_id": part, "_akeebaAuth": server.secret}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.http.request(verb, f"{server.url}/index.php?{urlencode(fields)}", headers=named)


def test_the_record_is_that_of_an_archive_with_its_parts(handed: Handed) -> None:
    assert not has_files(handed.server.installation, handed.split)
    for backup in (handed.split, handed.whole):
        files = files_of(handed.server, backup)
        found = handed.server.v2("getBackupInfo", backup_id=backup.id).data
        assert [part for part, _name, _size in files] == list(range(1, len(files) + 1))
        assert (found["archivename"], int(found["total_size"])) == (files[-1][1], sum(size for *_, size in files))
        assert int(found["filesexist"]) == 1
        assert int(found["multipart"]) == (len(files) if len(files) > 1 else 0)
        listed = next(one for one in handed.server.v2("listBackups").data if one["id"] == backup.id)
        assert (listed["meta"], int(listed["size"])) == ("ok", found["total_size"])
        assert all(len(handed.parts[backup.id, part]) == size for part, _name, size in files)
    names = [name for _part, name, _size in files_of(handed.server, handed.split)]
    stem = Path(handed.split.archivename).stem
    assert names == [*(f"{stem}.j{number:02}" for number in range(1, len(names))), f"{stem}.jpa"]
    assert all(size <= PART_SIZE for *_, size in files_of(handed.server, handed.split))
    assert len(names) > 3


def test_what_is_handed_out_is_the_site(handed: Handed, tmp_path: Path) -> None:
    for backup in (handed.split, handed.whole):
        folder = tmp_path / str(backup.id)
        folder.mkdir()
        for part, name, _size in files_of(handed.server, backup):
            (folder / name).write_bytes(handed.parts[backup.id, part])
        with open_archive(folder / backup.archivename) as archive:
            report = archive.verify()
            assert (report.problems, report.used_manifest) == ([], True)
            archive.extract(folder / "back")
        for path in handed.site.rglob("*"):
            assert path.is_dir() or (folder / "back" / path.relative_to(handed.site)).read_bytes() == path.read_bytes()


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not there")
def test_unzip_reads_it(handed: Handed, tmp_path: Path) -> None:
    (tmp_path / "site.zip").write_bytes(handed.parts[handed.whole.id, 1])
    subprocess.run(["unzip", "-tq", tmp_path / "site.zip"], check=True, capture_output=True)


def test_the_same_bytes_come_every_time(handed: Handed) -> None:
    for (number, part), content in handed.parts.items():
        backup = handed.split if number == handed.split.id else handed.whole
        again = get(handed.server, backup, part)
        assert (again.status_code, again.content) == (200, content)
        assert again.headers["content-length"] == str(len(content))
        assert again.headers["accept-ranges"] == "bytes"
        head = get(handed.server, backup, part, verb="HEAD")
        assert (head.content, head.headers["etag"]) == (b"", again.headers["etag"])


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_range_is_the_slice_of_the_whole(handed: Handed, data: st.DataObject) -> None:
    number, part = data.draw(st.sampled_from(sorted(handed.parts)))
    content = handed.parts[number, part]
    start = data.draw(st.integers(0, len(content) - 1))
    last = data.draw(st.integers(start, len(content) + 10))
    backup = handed.split if number == handed.split.id else handed.whole
    response = get(handed.server, backup, part, Range=f"bytes={start}-{last}")
    assert (response.status_code, response.content) == (206, content[start : last + 1])
    end = min(last, len(content) - 1)
    assert response.headers["content-range"] == f"bytes {start}-{end}/{len(content)}"


def test_a_download_goes_on_only_with_the_same_content(handed: Handed) -> None:
    content = handed.parts[handed.whole.id, 1]
    etag = get(handed.server, handed.whole, Range="bytes=0-0").headers["etag"]
    assert get(handed.server, handed.whole, Range="bytes=5-9", If_Range=etag).content == content[5:10]
    assert get(handed.server, handed.whole, Range="bytes=5-9", If_Range='"another"').status_code == 200
    assert get(handed.server, handed.whole, Range=f"bytes={len(content)}-").status_code == 416
    assert get(handed.server, handed.whole, 2).status_code >= 400


def test_segments_of_versions_1_and_2(handed: Handed) -> None:
    content = handed.parts[handed.whole.id, 1]
    joined = b""
    for segment in range(1, len(content) // MEBIBYTE + 2):
        reply = handed.server.v1("download", {"backup_id": handed.whole.id, "part_id": 1, "segment": segment})
        assert reply.status == 200
        joined += base64.b64decode(reply.data)
    assert joined == content
    assert handed.server.v1("download", {"backup_id": handed.whole.id, "segment": segment + 1}).status == 404
    large = handed.server.v2("download", backup_id=handed.whole.id, part_id=1, segment=1, chunk_size=10)
    assert base64.b64decode(large.data) == content
    assert handed.server.v2("download", backup_id=handed.whole.id, part_id=2, segment=1).status == 404


def test_version_3(handed: Handed) -> None:
    content = handed.parts[handed.whole.id, 1]
    reply = handed.server.v3("download", backup_id=handed.whole.id, part_id=1, segment=1, chunk_size=10)
    assert base64.b64decode(reply.data) == content


def test_the_client_downloads_it_as_any_other(handed: Handed, tmp_path: Path) -> None:
    with Client(handed.server.url, handed.server.secret) as client:
        paths = client.download(handed.split.id, tmp_path / "down", connections=2)
    assert [path.read_bytes() for path in paths] == [
        content for (number, _part), content in sorted(handed.parts.items()) if number == handed.split.id
    ]


def test_files_are_deleted_over_the_api(server: Driven, tmp_path: Path) -> None:
    installation = server.installation
    add_sites(installation)
    site = make_files(tmp_path / "site", 5, 2000)
    first, second = (into_repository(installation, take(installation, site)) for _ in range(2))
    assert server.v2("deleteFiles", backup_id=first.id).pair == (200, True)
    found = server.v2("getBackupInfo", backup_id=first.id).data
    assert (found["filenames"], int(found["filesexist"])) == ([], 0)
    assert get(server, first).status_code >= 400
    assert installation.catalogue.snapshots.of(first.id) is None
    installation.catalogue.backups.update(second.id, frozen=True)
    assert server.v2("delete", backup_id=second.id).status == 500
    assert get(server, second).status_code == 200
    installation.catalogue.backups.update(second.id, frozen=False)
    assert server.v2("delete", backup_id=second.id).pair == (200, True)
    assert server.v2("getBackupInfo", backup_id=second.id).status == 404
    assert list((installation.home.repositories / "sites/files/snapshots").glob("*")) == []


def test_a_prune_meanwhile_changes_no_byte(server: Driven, tmp_path: Path) -> None:
    installation = server.installation
    add_sites(installation)
    site = make_files(tmp_path / "site", 20, 3000)
    backups = []
    for number in range(4):
        (site / f"noise-{number}.bin").write_bytes(random.Random(number).randbytes(400_000))
        (site / f"noise-{number - 2}.bin").unlink(missing_ok=True)
        backups.append(take(installation, site, backstay__repository="sites"))
    kept = backups[-1]
    content = get(server, kept).content

    def pruned() -> None:
        for backup in backups[:-1]:
            delete_backup_files(installation, backup.id)
            with opened_repository(installation, "sites") as repository:
                prune(repository)

    with ThreadPoolExecutor(1) as pool:
        pruning = pool.submit(pruned)
        while not pruning.done():
            response = get(server, kept)
            assert (response.status_code, response.content) == (200, content)
        pruning.result()
    assert get(server, kept).content == content


def test_damage_is_an_error_and_never_other_bytes(
    server: Driven, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    installation = server.installation
    add_sites(installation)
    site = make_files(tmp_path / "site", 5, 2000)
    noise = random.Random(1).randbytes(3_000_000)
    (site / "noise.bin").write_bytes(noise)
    backup = into_repository(installation, take(installation, site))
    assert get(server, backup).status_code == 200
    damage(installation, noise)
    assert server.v2("download", backup_id=backup.id, part_id=1, segment=1, chunk_size=10).status == 500
    assert "is damaged" in caplog.text
    assert get(server, backup).status_code == 500
    for pack in packs_of(installation):
        pack.unlink()
    assert get(server, backup).status_code == 500
