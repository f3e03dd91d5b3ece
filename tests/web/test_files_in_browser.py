"""Looking inside an archive in Chromium: by keyboard, without scripts, on a telephone; a folder and a picture saved."""

from __future__ import annotations

import http.client
import os
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from backstay.jobs.installation import open_installation
from backstay.jobs.users import Role
from support.backups import take
from web.browser import DESKTOP, TELEPHONE, PageServer, faults, open_page, page_server


def _picture() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"\x33\x66\x99" * 40 for _ in range(30))
    header = struct.pack(">IIBBBBB", 40, 30, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def looked_into(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """Serve a home with one backup."""
    folder = tmp_path_factory.mktemp("inside")
    site = folder / "site"
    (site / "images" / "2026").mkdir(parents=True)
    (site / "images" / "blue.png").write_bytes(_picture())
    (site / "images" / "2026" / "notes.txt").write_text("\n".join(f"line {n} " + "x" * 200 for n in range(50)))
    (site / "large").mkdir()
    (site / "large" / "noise.bin").write_bytes(os.urandom(24 << 20))
    (site / "index.php").write_text("<?php\necho 'hello';\n")
    with open_installation(folder / "home") as installation:
        take(installation, site)
    with page_server(folder / "home") as server:
        yield server


@pytest.mark.parametrize("scripts", [True, False])
def test_a_file_is_found_seen_and_saved(
    browser: Browser, looked_into: PageServer, tmp_path: Path, scripts: bool
) -> None:
    with open_page(browser, looked_into, Role.OPERATOR, scripts=scripts) as page:
        page.goto("/backups/1/files")
        page.get_by_role("link", name="images/").click()
        page.get_by_role("link", name="2026/").click()
        page.get_by_role("link", name="notes.txt").click()
        assert "line 49" in page.get_by_label("Content").inner_text()
        with page.expect_download() as saved:
            page.get_by_role("link", name="Download").click()
        assert saved.value.suggested_filename == "notes.txt"
        page.get_by_label("Folders").get_by_role("link", name="images").click()
        with page.expect_download() as saved:
            page.get_by_role("link", name="Download this folder as ZIP").click()
        saved.value.save_as(tmp_path / "images.zip")
        with zipfile.ZipFile(tmp_path / "images.zip") as archive:
            assert sorted(archive.namelist()) == ["2026/", "2026/notes.txt", "blue.png"]
        page.get_by_label("Find in names").fill("INDEX")
        page.get_by_label("Find in names").press("Enter")
        assert "No name beneath this folder" in page.inner_text("main")


def test_a_picture_is_shown(browser: Browser, looked_into: PageServer) -> None:
    with open_page(browser, looked_into, Role.OPERATOR) as page:
        page.goto("/backups/1/files/file?path=images/blue.png")
        picture = page.get_by_role("img", name="The picture blue.png")
        assert picture.evaluate("one => [one.complete, one.naturalWidth, one.naturalHeight]") == [True, 40, 30]


@pytest.mark.parametrize("size", [DESKTOP, TELEPHONE], ids=["desktop", "telephone"])
def test_pages_are_accessible(browser: Browser, looked_into: PageServer, size: dict[str, int]) -> None:
    with open_page(browser, looked_into, Role.OPERATOR, size=size) as page:
        for path in (
            "files",
            "files?path=images&sort=size",
            "files?search=notes",
            "files/file?path=images/2026/notes.txt",
            "files/file?path=images/blue.png",
            "tables",
        ):
            page.goto(f"/backups/1/{path}")
            assert faults(page) == [], path


@pytest.mark.parametrize("scripts", [True, False])
def test_files_are_chosen_in_several_folders_and_brought_to_the_plan(
    browser: Browser, looked_into: PageServer, scripts: bool
) -> None:
    with open_page(browser, looked_into, Role.ADMINISTRATOR, scripts=scripts) as page:
        page.goto("/backups/1/files/choose")
        page.get_by_role("button", name="Go on with what is chosen").click()
        assert "Choose a file or folder first." in page.inner_text("main")
        page.get_by_label("index.php").check()
        page.get_by_role("button", name="Open images").click()
        page.get_by_label("2026/").check()
        page.get_by_role("button", name="Open 2026").click()
        assert page.get_by_label("notes.txt").is_disabled()
        assert page.get_by_label("index.php").is_checked()
        if scripts:
            assert faults(page) == []
        page.get_by_role("button", name="All files").click()
        assert page.get_by_label("index.php").is_checked()
        page.get_by_role("button", name="Go on with what is chosen").click()
        page.wait_for_url("**/backups/1/restore?*")
        chosen = page.locator("input[name=picked]:checked").evaluate_all("all => all.map(one => one.value)")
        assert sorted(chosen) == ["images/2026", "index.php"]


def test_a_download_that_nobody_waits_for_ends(browser: Browser, looked_into: PageServer) -> None:
    with open_page(browser, looked_into, Role.OPERATOR) as page:
        cookie = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())
        for kind in ("package?path=large", "download?path=large/noise.bin") * 5:
            connection = http.client.HTTPConnection(looked_into.url.removeprefix("http://"))
            connection.request("GET", f"/backups/1/files/{kind}", headers={"Cookie": cookie})
            given = connection.getresponse()
            if given.status == 200:
                assert given.read(1000)
            connection.close()
        deadline = time.monotonic() + 60
        # As many as there is room for at once have ended, since others find room.
        for _ in range(8):
            while page.request.get("/backups/1/files/download?path=index.php").status != 200:
                assert time.monotonic() < deadline, "downloads that were given up still go on"
                page.wait_for_timeout(100)
