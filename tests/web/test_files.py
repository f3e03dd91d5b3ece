"""Looking inside an archive through the page: its tree, one file, downloads, and what attackers put into archives."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from backstay.jobs.users import Role
from support.backups import take
from web.driving import Visitor

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
MARKUP = "<img src=x onerror=alert(1)>\u202etxt.exe"
RAW = b"bytes-\xff-\xfe"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Make a site with ordinary and hostile files."""
    root = tmp_path / "site"
    (root / "images" / "deep").mkdir(parents=True)
    (root / "index.php").write_text("<?php\r\n<script>alert(1)</script>\n\u202e\x1b[31mred\n")
    (root / "images" / "a.png").write_bytes(PNG)
    (root / "images" / "fake.png").write_bytes(b"<html><script>alert(1)</script></html>")
    (root / "images" / "bad.svg").write_bytes(SVG)
    (root / "images" / "deep" / "x.bin").write_bytes(bytes(range(256)))
    (root / "images" / "old.txt").write_bytes("Grüße".encode("cp1252"))
    (root / MARKUP).write_text("named badly")
    with open(bytes(root) + b"/" + RAW, "wb") as file:  # noqa: PTH123 - a path of any bytes
        file.write(b"raw")
    (root / "inside").symlink_to("images/a.png")
    (root / "outside").symlink_to("/etc/passwd")
    return root


def test_a_folder_shows_folders_first_with_sizes_and_names_are_never_markup(visitor: Visitor, site: Path) -> None:
    backup = take(visitor.installation, site)
    page = visitor.signed_in(Role.VIEWER).get(f"/backups/{backup.id}/files").text
    assert page.index("images/</bdi>") < page.index("index.php")
    assert "&lt;img src=x onerror=alert(1)&gt;\\u202etxt.exe" in page
    assert "<img src=x" not in page
    assert "\u202e" not in page
    assert "bytes-\\udcff-\\udcfe" in page or "bytes-\\xff-\\xfe" in page
    assert "files/file" not in page
    page = visitor.get(f"/backups/{backup.id}/files?path=images").text
    assert "a.png" in page
    assert "index.php" not in page
    assert visitor.get(f"/backups/{backup.id}/files?path=nowhere").status_code == 404
    assert visitor.get("/backups/99/files").status_code == 404
    for kind in ("file", "download", "picture", "package"):
        assert visitor.get(f"/backups/{backup.id}/files/{kind}?path=index.php").status_code == 403


def test_names_are_found_and_lead_to_their_files(visitor: Visitor, site: Path) -> None:
    backup = take(visitor.installation, site)
    page = visitor.signed_in(Role.OPERATOR).get(f"/backups/{backup.id}/files?search=PNG").text
    assert "images/a.png" in page
    assert "index.php" not in page
    assert "No name beneath" in visitor.get(f"/backups/{backup.id}/files?search=%25").text
    raw = quote(quote(RAW))
    assert "3 B" in visitor.get(f"/backups/{backup.id}/files/file?path={raw}").text
    assert visitor.get(f"/backups/{backup.id}/files/download?path={raw}").content == b"raw"


@pytest.mark.parametrize("by", ["name", "size", "time", "nonsense"])
def test_a_folder_of_many_is_paged(visitor: Visitor, tmp_path: Path, by: str) -> None:
    root = tmp_path / "site"
    root.mkdir()
    for number in range(250):
        (root / f"f{number:03}").write_bytes(b"x" * number)
    backup = take(visitor.installation, root)
    visitor.signed_in(Role.OPERATOR)
    seen: list[str] = []
    for page in (1, 2, 3):
        text = visitor.get(f"/backups/{backup.id}/files?sort={by}&page={page}").text
        seen += [f"f{number:03}" for number in range(250) if f">f{number:03}</bdi>" in text]
        assert (">Next<" in text) == (page < 3)
    assert sorted(seen) == [f"f{number:03}" for number in range(250)]


def test_a_file_is_shown_as_what_its_first_bytes_say_and_never_as_a_page(visitor: Visitor, site: Path) -> None:
    backup = take(visitor.installation, site)
    visitor.signed_in(Role.OPERATOR)
    at = f"/backups/{backup.id}/files"
    page = visitor.get(f"{at}/file?path=index.php").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\\u202e\\x1b[31mred" in page
    assert "<script>alert" not in page
    assert "Gr\u00fc\u00dfe" in visitor.get(f"{at}/file?path=images/old.txt").text
    assert "00 01 02" in visitor.get(f"{at}/file?path=images/deep/x.bin").text
    assert "files/picture?path=" in visitor.get(f"{at}/file?path=images/a.png").text
    for name in ("fake.png", "bad.svg"):
        page = visitor.get(f"{at}/file?path=images/{name}").text
        assert "files/picture" not in page
        assert "alert(1)" in page
        assert visitor.get(f"{at}/picture?path=images/{name}").status_code == 400
    answer = visitor.get(f"{at}/picture?path=images/a.png")
    assert answer.content == PNG
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_download_has_a_safe_name_and_is_no_page(visitor: Visitor, site: Path) -> None:
    backup = take(visitor.installation, site)
    visitor.signed_in(Role.OPERATOR)
    for path, content in (("images/bad.svg", SVG), (quote(quote(MARKUP)), b"named badly")):
        answer = visitor.get(f"/backups/{backup.id}/files/download?path={path}")
        assert answer.content == content
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-length"] == str(len(content))
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
        named = answer.headers["content-disposition"]
        assert named.startswith("attachment; filename=")
        assert "\u202e" not in named
        assert "%E2%80%AE" not in named
    assert visitor.get(f"/backups/{backup.id}/files/download?path=images").status_code == 404
    assert visitor.get(f"/backups/{backup.id}/files/download?path=inside").status_code == 404


def test_a_folder_comes_as_zip_with_names_that_stay_inside(visitor: Visitor, site: Path) -> None:
    backup = take(visitor.installation, site)
    answer = visitor.signed_in(Role.OPERATOR).get(f"/backups/{backup.id}/files/package")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert archive.read("images/a.png") == PNG
        assert "outside: it is a link that leads out" in archive.read("left-out.txt").decode()
        assert "outside" not in names
        assert archive.read("inside") == b"images/a.png"
        assert not [name for name in names if ".." in name.split("/") or name.startswith("/") or "\u202e" in name]
    answer = visitor.get(f"/backups/{backup.id}/files/package?path=images/deep")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["x.bin"]
        assert archive.read("x.bin") == bytes(range(256))


def test_the_password_of_an_archive_is_asked_for_and_kept_in_no_file(visitor: Visitor, site: Path) -> None:
    installation = visitor.installation
    word = "a-word-for-the-archive"
    overrides = {"engine.archiver.jps.key": word, "akeeba.advanced.archiver_engine": "jps"}
    backup = take(installation, site, **overrides)
    at = f"/backups/{backup.id}/files"
    answer = visitor.signed_in(Role.OPERATOR).get(at)
    assert answer.status_code == 403
    assert "Password of the archive" in answer.text
    answer = visitor.post(f"{at}/unlock", {"password": "wrong", "path": "images"}, form_at=at)
    assert answer.status_code == 403
    assert "does not open this archive" in answer.text
    answer = visitor.post(f"{at}/unlock", {"password": word, "path": "images"}, form_at=at)
    assert "a.png" in answer.text
    assert word not in str(answer.url)
    assert visitor.get(f"{at}/download?path=images/a.png").content == PNG
    assert not list((installation.home.path / "cache").rglob("*.sqlite"))
    # Another user has to type it, too.
    assert visitor.signed_in(Role.VIEWER).get(at).status_code == 403
