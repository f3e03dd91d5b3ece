"""Opening, listing, choosing and streaming."""

from __future__ import annotations

import asyncio
import inspect
import os
import zipfile
from pathlib import Path

import pytest

from archives.trees import REFERENCE, TIME, contents, file_source, password_for, plant, scan, write
from backstay.archives import EntryType, ExtractProgress, Source, open_archive, open_archive_async
from backstay.archives.asynchronous import AsyncArchiveReader
from backstay.archives.reader import ArchiveReader
from backstay.archives.registry import FORMATS
from backstay.errors import ArchiveError, MissingPartError, NotFoundError, UnknownFormatError


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    plant(root)
    return root


def test_the_format_is_found_by_content_not_by_name(tmp_path: Path) -> None:
    for format_name in FORMATS:
        summary = write(tmp_path / format_name, format_name, [file_source("a", b"a")])
        other = tmp_path / f"renamed-{format_name}.dat"
        summary.parts[0].rename(other)
        with open_archive(other, password=password_for(format_name)) as archive:
            assert archive.format == format_name


@pytest.mark.parametrize("data", [b"", b"J", b"JPA", b"JPS", b"PK", b"hello world" * 100, bytes(5000), b"\x1f\x8b\x08"])
def test_what_is_no_archive_is_reported(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.jpa"
    path.write_bytes(data)
    with pytest.raises(ArchiveError):
        open_archive(path)
    if data[:2] not in {b"JP", b"PK"}:
        with pytest.raises(UnknownFormatError):
            open_archive(path)


def test_what_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="none"):
        open_archive(tmp_path / "none.jpa")
    with pytest.raises(ArchiveError, match="not a file"):
        open_archive(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpa")
    with pytest.raises(ArchiveError, match="not a file"):
        open_archive(tmp_path / "pipe.jpa")


def test_any_part_opens_the_archive(tmp_path: Path) -> None:
    for name in ("tiny-split.jpa", "tiny-split.j01", "tiny-split.j04", "tiny-split.zip", "tiny-split.z03"):
        with open_archive(REFERENCE / name) as archive:
            assert len(archive.parts) == 7
    (tmp_path / "a.j02").write_bytes(b"alone")
    with pytest.raises(MissingPartError, match="last part"):
        open_archive(tmp_path / "a.j02")


def test_many_parts_do_not_use_up_the_open_files(tmp_path: Path) -> None:
    summary = write(tmp_path, "jpa", [file_source("a.bin", os.urandom(20 << 20))], part_size=65536)
    assert len(summary.parts) > 300
    with open_archive(summary.parts[-1]) as archive:
        assert sum(1 for _ in Path("/proc/self/fd").iterdir()) < 200
        assert archive.verify().ok


@pytest.mark.parametrize("format_name", FORMATS)
def test_content_is_streamed(tree: Path, tmp_path: Path, format_name: str) -> None:
    summary = write(tmp_path, format_name, scan(tree))
    with open_archive(summary.parts[0], password=password_for(format_name)) as archive:
        for path in ("large.sql", "large.bin", "index.php", "empty.txt"):
            entry = archive.entry(path)
            assert b"".join(archive.read(entry)) == (tree / path).read_bytes()
            assert max(map(len, archive.read(entry)), default=0) <= 2 << 20
            with archive.open(entry) as file:
                assert file.read(7) == (tree / path).read_bytes()[:7]
                assert file.read() == (tree / path).read_bytes()[7:]
        with pytest.raises(NotFoundError, match="nothing"):
            archive.entry("nothing")


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["images"], {"images/photo.jpg", "images/deep/er/still/a.txt"}),
        (["images/"], {"images/photo.jpg", "images/deep/er/still/a.txt"}),
        (["*.sql"], {"large.sql"}),
        (["images/*.txt", "run.sh"], {"images/deep/er/still/a.txt", "run.sh"}),
        (["private/secret.txt"], {"private/secret.txt"}),
        (["nothing like it"], set()),
    ],
)
def test_some_of_an_archive_is_extracted(tree: Path, tmp_path: Path, only: list[str], expected: set[str]) -> None:
    summary = write(tmp_path, "jpa", scan(tree))
    with open_archive(summary.parts[0]) as archive:
        archive.extract(tmp_path / "out", only=only)
    found, wanted = contents(tmp_path / "out"), contents(tree)
    assert {path for path, item in found.items() if item.kind == "file"} == expected
    assert all(found[path] == wanted[path] for path in found)


def test_entries_are_selected_and_renamed(tree: Path, tmp_path: Path) -> None:
    summary = write(tmp_path, "jpa", scan(tree))
    with open_archive(summary.parts[0]) as archive:
        archive.extract(
            tmp_path / "out",
            select=lambda entry: entry.type is EntryType.FILE and entry.size < 1000,
            rename=lambda path: path.replace("index.php", "index.bak"),
        )
    found = contents(tmp_path / "out")
    assert "index.bak" in found
    assert "large.sql" not in found


def test_extraction_merges_into_what_is_there(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "images").mkdir(parents=True)
    (out / "images/mine.txt").write_bytes(b"mine")
    (out / "index.php").write_bytes(b"old")
    (out / "dangling").write_bytes(b"a file in place of a link")
    (out / "run.sh").symlink_to("index.php")
    summary = write(tmp_path, "zip", scan(tree))
    with open_archive(summary.parts[0]) as archive:
        for _ in range(2):
            archive.extract(out)
    found = contents(out)
    mine = found.pop("images/mine.txt")
    assert mine.content
    assert found == contents(tree)


def test_progress_is_reported(tree: Path, tmp_path: Path) -> None:
    summary = write(tmp_path, "jpa", scan(tree))
    seen: list[ExtractProgress] = []
    with open_archive(summary.parts[0]) as archive:
        report = archive.extract(tmp_path / "out", on_progress=seen.append)
        assert seen[-1].entries == report.entries
        assert max(progress.bytes for progress in seen) == report.bytes
        seen.clear()
        verified = archive.verify(on_progress=seen.append)
    assert (seen[-1].entries, seen[-1].bytes) == (verified.entries, verified.bytes)


def test_the_times_of_a_foreign_zip_are_given_back(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("old.txt", (1999, 12, 31, 23, 59, 58)), b"x")
    with open_archive(path) as opened:
        opened.extract(tmp_path / "out")
    assert abs((tmp_path / "out/old.txt").stat().st_mtime - 946_684_798) < 20 * 3600


def test_the_asynchronous_reader_takes_what_the_other_takes() -> None:
    for name in ("close", "entry", "extract", "verify"):
        asynchronous, blocking = getattr(AsyncArchiveReader, name), getattr(ArchiveReader, name)
        assert inspect.signature(asynchronous) == inspect.signature(blocking)
        assert inspect.iscoroutinefunction(asynchronous)


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_asynchronous_reader_does_the_same(tree: Path, tmp_path: Path, format_name: str) -> None:
    summary = write(tmp_path, format_name, scan(tree))

    async def use() -> None:
        async with await open_archive_async(summary.parts[0], password=password_for(format_name)) as archive:
            assert (archive.format, archive.parts) == (format_name, summary.parts)
            assert await archive.has_manifest()
            paths = {entry.path async for entry in archive}
            assert "index.php" in paths
            entry = await archive.entry("large.sql")
            assert b"".join([piece async for piece in archive.read(entry)]) == (tree / "large.sql").read_bytes()
            assert (await archive.verify()).ok
            assert len([line async for line in archive.manifest()]) > 10
            assert (await archive.extract(tmp_path / "out", only=["index.php"])).entries == 1

    asyncio.run(use())
    assert (tmp_path / "out/index.php").read_bytes() == (tree / "index.php").read_bytes()


def test_a_special_mode_needs_no_archive_of_its_own(tmp_path: Path) -> None:
    sources = [Source("d", EntryType.DIRECTORY, 0o043770, TIME, implied=True), file_source("d/x", b"x", mode=0o106755)]
    summary = write(tmp_path, "jpa", sources)
    with open_archive(summary.parts[0]) as archive:
        archive.extract(tmp_path / "out", special_modes=True)
    found = contents(tmp_path / "out")
    assert (found["d"].mode, found["d/x"].mode) == (0o3770, 0o6755)
