"""Downloads: in every way, resumed, checked, and never trusting what the server names or counts."""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path

import pytest
from starlette.responses import HTMLResponse, Response

from backstay.api.status import ApiError
from backstay.client import AsyncClient, Client, DownloadMethod, DownloadProgress, fetch
from backstay.errors import (
    BackstayError,
    ConnectionFailedError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    StoppedError,
    UsageError,
    VerificationError,
)
from client.fake_server import SECRET, FakeServer

RANDOM = random.Random(7)
PARTS = [RANDOM.randbytes(3_000_001), RANDOM.randbytes(70_000), b""]


@pytest.fixture
def ready(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    monkeypatch.setattr(fetch, "SMALLEST_RUN", 400_000)
    server.parts = list(PARTS)
    return server


def download(server: FakeServer, folder: Path, **options: object) -> list[bytes]:
    with Client(server.url, SECRET, version=2) as client:
        paths = client.download(7, folder, **options)  # type: ignore[arg-type]  # options of many types, one call
    assert sorted(folder.iterdir()) == sorted(paths)
    return [path.read_bytes() for path in paths]


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("way", DownloadMethod)
@pytest.mark.parametrize("connections", [1, 4])
def test_every_way_gives_the_same_bytes(
    ready: FakeServer, tmp_path: Path, version: int, way: DownloadMethod, connections: int
) -> None:
    reported: list[DownloadProgress] = []
    with Client(ready.url, SECRET, version=version) as client:
        paths = client.download(7, tmp_path, way=way, connections=connections, on_progress=reported.append)
    assert [path.name for path in paths] == ["site.j01", "site.j02", "site.jpa"]
    assert [path.read_bytes() for path in paths] == PARTS
    assert reported[-1].done == reported[-1].total == sum(map(len, PARTS))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site.j01", "site.j02", "site.jpa"]


def test_ranges_are_fetched_in_parallel(ready: FakeServer, tmp_path: Path) -> None:
    assert download(ready, tmp_path, parts=[1]) == PARTS[:1]
    ranges = [seen.headers.get("range") for seen in ready.calls("downloadDirect")]
    assert len(ranges) == 5
    assert ranges[0] == "bytes=0-0"


def test_a_broken_download_goes_on_where_it_was(ready: FakeServer, tmp_path: Path) -> None:
    ready.cut_after = [1_000_000, 500_000]
    assert download(ready, tmp_path, parts=[1], connections=1) == PARTS[:1]
    ranges = [seen.headers.get("range", "") for seen in ready.calls("downloadDirect")]
    assert ranges[0] == ""
    assert all(int(asked.removeprefix("bytes=").partition("-")[0]) > 400_000 for asked in ranges[1:])


def test_a_broken_download_without_ranges_skips_what_is_there(ready: FakeServer, tmp_path: Path) -> None:
    ready.ranges = False
    ready.cut_after = [1_000_000, 2_000_000]
    assert download(ready, tmp_path, parts=[1]) == PARTS[:1]


@pytest.mark.parametrize("way", [DownloadMethod.DIRECT, DownloadMethod.SEGMENTS])
def test_a_stopped_download_goes_on_in_another_program(ready: FakeServer, tmp_path: Path, way: DownloadMethod) -> None:
    arrived = 0

    def watch(progress: DownloadProgress) -> None:
        nonlocal arrived
        arrived = progress.done

    with Client(ready.url, SECRET) as client, pytest.raises(StoppedError):
        client.download(7, tmp_path, way=way, on_progress=watch, stop=lambda: arrived > 1_000_000)
    assert (tmp_path / "site.j01.part").exists()
    ready.seen.clear()
    assert download(ready, tmp_path, way=way) == PARTS
    if way is DownloadMethod.SEGMENTS:
        first = next(int(seen.data["segment"]) for seen in ready.calls("download"))
        assert first > 1


def test_a_download_that_breaks_for_good_keeps_what_arrived(
    ready: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "TRIES_WITHOUT_PROGRESS", 2)
    ready.cut_after = [1_000_000] + [0] * 20
    with Client(ready.url, SECRET) as client, pytest.raises(ConnectionFailedError, match="go on where it was"):
        client.download(7, tmp_path, connections=1)
    journal = json.loads((tmp_path / "site.j01.part.json").read_text())
    assert journal["runs"][0][1] > 500_000
    ready.cut_after = []
    assert download(ready, tmp_path) == PARTS


@pytest.mark.parametrize("damage", ["{}", "", "[]", '{"identity": 5, "runs": []}', "null", '{"runs": [[0, 99, 5]]}'])
def test_a_damaged_journal_starts_the_part_anew(ready: FakeServer, tmp_path: Path, damage: str) -> None:
    (tmp_path / "site.j01.part").write_bytes(b"x" * 5_000_000)
    (tmp_path / "site.j01.part.json").write_text(damage)
    assert download(ready, tmp_path) == PARTS


def test_a_file_that_changed_on_the_server_is_not_mixed(ready: FakeServer, tmp_path: Path) -> None:
    ready.cut_after = [1_000_000] + [0] * 20
    with Client(ready.url, SECRET) as client:
        with pytest.raises(StoppedError):
            client.download(
                7, tmp_path, connections=1, stop=lambda: (tmp_path / "site.j01.part").stat().st_size > 500_000
            )
        ready.cut_after = []
        journal = tmp_path / "site.j01.part.json"
        stored = json.loads(journal.read_text())
        journal.write_text(json.dumps(stored | {"validator": '"other"'}))
        with pytest.raises(VerificationError, match="changed on the server"):
            client.download(7, tmp_path)
    assert download(ready, tmp_path) == PARTS


def test_a_size_that_is_not_the_record_s_is_refused(ready: FakeServer, tmp_path: Path) -> None:
    files = {"filenames": [{"part": 1, "name": "site.jpa", "size": len(PARTS[0]) + 1}]}
    ready.replies["getBackupInfo"] = [files]
    for way in (DownloadMethod.DIRECT, DownloadMethod.SEGMENTS):
        with Client(ready.url, SECRET) as client, pytest.raises(VerificationError):
            client.download(7, tmp_path, way=way)
    assert not (tmp_path / "site.jpa").exists()


def test_segments_longer_than_the_part_are_refused(ready: FakeServer, tmp_path: Path) -> None:
    ready.replies["getBackupInfo"] = [{"filenames": [{"part": 1, "name": "site.jpa", "size": 5}]}]
    with Client(ready.url, SECRET) as client, pytest.raises(VerificationError, match="more of"):
        client.download(7, tmp_path, way=DownloadMethod.SEGMENTS)


def test_segments_of_old_length_are_put_one_after_the_other(ready: FakeServer, tmp_path: Path) -> None:
    ready.segment_length = 1048756
    assert download(ready, tmp_path, way=DownloadMethod.SEGMENTS) == PARTS


def test_larger_segments_can_be_asked_for(ready: FakeServer, tmp_path: Path) -> None:
    assert download(ready, tmp_path, way=DownloadMethod.SEGMENTS, chunk_size=2) == PARTS
    assert {str(seen.data["chunk_size"]) for seen in ready.calls("download")} == {"2"}


def test_a_server_that_sends_no_files_is_asked_for_segments(ready: FakeServer, tmp_path: Path) -> None:
    ready.direct = False
    assert download(ready, tmp_path) == PARTS
    assert ready.calls("download")


def test_a_busy_server_is_asked_again(ready: FakeServer, tmp_path: Path) -> None:
    with Client(ready.url, SECRET) as client:
        client.detect()
        ready.faults = [None, HTMLResponse("<html>busy", 503), HTMLResponse("<html>busy", 502)]
        (path,) = client.download(7, tmp_path, parts=[2])
    assert path.read_bytes() == PARTS[1]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (Response("Invalid backup part", 404, media_type="text/plain"), NotFoundError, "Invalid backup part"),
        (Response("You may not", 403, media_type="text/plain"), PermissionDeniedError, "You may not"),
        (Response('{"status":403,"data":"no"}', 200, media_type="application/json"), PermissionDeniedError, "no"),
        (HTMLResponse("<html>odd", 200), ProtocolError, "HTTP 200"),
        (HTMLResponse("<html>odd", 418), ProtocolError, "HTTP 418"),
    ],
)
def test_refusals_of_a_file_are_reported(
    ready: FakeServer, tmp_path: Path, answer: Response, error: type[BackstayError], words: str
) -> None:
    with Client(ready.url, SECRET) as client:
        client.detect()
        ready.faults = [None, answer]
        with pytest.raises(error, match=words):
            client.download(7, tmp_path, way=DownloadMethod.DIRECT, connections=1)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "a\\b", ".bashrc", "", "a\nb", "x" * 300])
def test_names_that_could_lead_elsewhere_are_refused(ready: FakeServer, tmp_path: Path, name: str) -> None:
    ready.replies["getBackupInfo"] = [{"filenames": [{"part": 1, "name": name, "size": 5}]}]
    with Client(ready.url, SECRET) as client, pytest.raises(ProtocolError, match="trusted"):
        client.download(7, tmp_path / "in")
    assert not (tmp_path / "in").exists()


def test_a_record_without_files_is_reported(ready: FakeServer, tmp_path: Path) -> None:
    ready.replies["getBackupInfo"] = [{"id": 7, "filenames": []}, ApiError(404, "Invalid backup record identifier")]
    with Client(ready.url, SECRET) as client:
        with pytest.raises(NotFoundError, match="not on the server"):
            client.download(7, tmp_path)
        with pytest.raises(NotFoundError, match="Invalid backup record"):
            client.download(7, tmp_path)


def test_what_is_there_already_is_not_fetched_and_never_overwritten(ready: FakeServer, tmp_path: Path) -> None:
    assert download(ready, tmp_path) == PARTS
    ready.seen.clear()
    assert download(ready, tmp_path) == PARTS
    assert not ready.calls("downloadDirect")
    (tmp_path / "site.jpa").write_text("mine")
    with Client(ready.url, SECRET) as client, pytest.raises(UsageError, match="something else"):
        client.download(7, tmp_path)
    assert (tmp_path / "site.jpa").read_text() == "mine"


def test_two_downloads_do_not_write_the_same_file(ready: FakeServer, tmp_path: Path) -> None:
    def meddle(progress: DownloadProgress) -> None:
        if progress.done > 500_000:
            with Client(ready.url, SECRET) as other, pytest.raises(UsageError, match="Another download"):
                other.download(7, tmp_path)
            raise KeyboardInterrupt

    with Client(ready.url, SECRET) as client, pytest.raises(KeyboardInterrupt):
        client.download(7, tmp_path, connections=1, on_progress=meddle)
    assert download(ready, tmp_path) == PARTS


def test_the_async_client_downloads_too(ready: FakeServer, tmp_path: Path) -> None:
    async def use() -> list[Path]:
        async with AsyncClient(ready.url, SECRET) as client:
            return await client.download(7, tmp_path)

    assert [path.read_bytes() for path in asyncio.run(use())] == PARTS


def test_a_cancelled_download_stops_and_goes_on_later(ready: FakeServer, tmp_path: Path) -> None:
    async def use() -> None:
        async with AsyncClient(ready.url, SECRET) as client:
            begun = asyncio.Event()
            loop = asyncio.get_running_loop()

            def reported(progress: DownloadProgress) -> None:
                if progress.done > 500_000:
                    loop.call_soon_threadsafe(begun.set)
                    time.sleep(0.01)

            task = asyncio.create_task(client.download(7, tmp_path, connections=1, on_progress=reported))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(use())
    assert (tmp_path / "site.j01.part.json").exists()
    assert download(ready, tmp_path) == PARTS
