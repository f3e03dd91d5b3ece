"""ZIP as bytes, and what other programs make of it."""

from __future__ import annotations

import shutil
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest

from archives import examples
from archives.trees import TIME, contents, file_source, plant, scan, write
from backstay.archives import Entry, EntryType, Source, open_archive
from backstay.archives.formats import DEFLATED, STORED, Content, Head
from backstay.archives.zip.layout import Ending, pack_central, pack_ending, pack_local, parse_central
from backstay.errors import DamagedArchiveError, MissingPartError


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    plant(root)
    return root


@pytest.mark.parametrize("data", [examples.ZIP, examples.ZIP_SPLIT])
def test_examples_are_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with open_archive(path) as archive:
        assert [(entry.path, entry.size, entry.compressed_size, entry.mode) for entry in archive] == [
            ("a.txt", 14, 16, None)
        ]
        assert b"".join(archive.read(archive.entry("a.txt"))) == b"Hello, world!\n"
        assert archive.comment == "Demo"
        assert archive.verify().ok


def test_local_times_of_the_vendor_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(examples.ZIP)
    with open_archive(path) as archive:
        assert archive.entry("a.txt").mtime in {TIME + hours * 1800 for hours in range(-30, 31)}


def test_unzip_gives_the_tree_back(tree: Path, tmp_path: Path) -> None:
    needs("unzip")
    # unzip changes line feeds in names.
    summary = write(tmp_path, "zip", (source for source in scan(tree) if "\n" not in source.path))
    (tmp_path / "out").mkdir()
    done = subprocess.run(["unzip", "-q", summary.parts[0], "-d", tmp_path / "out"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    found, wanted = contents(tmp_path / "out"), contents(tree)
    del wanted["spaces and\nnewlines.txt"]
    for path, expected in wanted.items():
        if expected.kind == "directory":
            assert found[path].kind == "directory"
        else:
            # unzip gives links no time.
            assert found[path][:2] == expected[:2]
            assert found[path].content == expected.content
            assert expected.kind == "symlink" or found[path].mtime == expected.mtime
    assert set(found) == set(wanted)


@pytest.mark.parametrize("part_size", [0, 100_000])
def test_7z_tests_it(tree: Path, tmp_path: Path, part_size: int) -> None:
    needs("7z")
    summary = write(tmp_path, "zip", scan(tree), part_size=part_size)
    done = subprocess.run(["7z", "t", summary.parts[-1]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything is Ok" in done.stdout
    assert "arning" not in done.stdout


def test_pythons_zipfile_reads_it(tree: Path, tmp_path: Path) -> None:
    summary = write(tmp_path, "zip", scan(tree))
    with zipfile.ZipFile(summary.parts[0]) as archive:
        assert archive.testzip() is None
        info = archive.getinfo("private/secret.txt")
        assert info.external_attr >> 16 == stat.S_IFREG | 0o600
        assert archive.read("link to file") == b"index.php"
        assert all(info.extract_version < 45 for info in archive.infolist())


def test_what_zip_and_zipfile_write_is_read(tree: Path, tmp_path: Path) -> None:
    needs("zip")
    path = tmp_path / "a.zip"
    subprocess.run(["zip", "-q", "-r", "-y", path, "."], cwd=tree, check=True)
    with open_archive(path) as archive:
        assert archive.verify().ok
        archive.extract(tmp_path / "out")
    found, wanted = contents(tmp_path / "out"), contents(tree)
    assert {path: item[:2] + item[3:] for path, item in found.items() if item.kind != "symlink"} == {
        path: item[:2] + item[3:] for path, item in wanted.items() if item.kind != "symlink"
    }
    assert {path: item.content for path, item in found.items()} == {path: item.content for path, item in wanted.items()}
    assert {path: item.mtime for path, item in found.items() if item.kind == "file"} == {
        path: item.mtime for path, item in wanted.items() if item.kind == "file"
    }


def test_a_streamed_zip_with_data_descriptors_is_read(tmp_path: Path) -> None:
    needs("zip")
    (tmp_path / "a.txt").write_bytes(b"streamed\n" * 5000)
    with (tmp_path / "a.zip").open("wb") as out:
        subprocess.run(["zip", "-q", "-fd", "-", "a.txt"], cwd=tmp_path, stdout=out, check=True)
    with open_archive(tmp_path / "a.zip") as archive:
        assert archive.verify().ok
        assert b"".join(archive.read(archive.entry("a.txt"))) == b"streamed\n" * 5000


def test_a_zip_behind_a_program_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.exe"
    path.write_bytes(b"MZ" + bytes(5000) + examples.ZIP)
    with open_archive(path) as archive:
        assert b"".join(archive.read(archive.entry("a.txt"))) == b"Hello, world!\n"


def test_names_of_other_systems_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("caf_.txt")
        info.create_system = 0
        archive.writestr(info, b"x")
    path.write_bytes(path.read_bytes().replace(b"caf_.txt", b"caf\x82.txt"))
    with open_archive(path) as opened:
        assert [entry.path for entry in opened] == ["café.txt"]


def test_zip64_is_read_and_written_only_where_a_number_asks_for_it(tmp_path: Path) -> None:
    head = Head(b"a", EntryType.FILE, 0o100644, TIME)
    huge = Content(STORED, 5 << 32, 5 << 32, 7)
    assert len(pack_local(head, huge, huge.size)) == len(pack_local(head, Content(DEFLATED, 1, 1, 7), 1)) + 20
    record = parse_central(pack_central(head, huge, huge.size, 70_000, 6 << 32))
    assert (record.size, record.compressed_size, record.disk, record.offset) == (5 << 32, 5 << 32, 70_000, 6 << 32)
    plain = pack_central(head, Content(STORED, 1, 1, 7), 1, 2, 3)
    assert len(plain) == 46 + 1 + 9
    assert pack_ending(Ending(0, 0, 65_534, 10, 10, b""), 65_534, (0, 20))[:4] == b"PK\x05\x06"
    assert pack_ending(Ending(0, 0, 65_535, 10, 10, b""), 65_535, (0, 20))[:4] == b"PK\x06\x06"
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w", allowZip64=True) as archive,
        archive.open("x", "w", force_zip64=True) as file,
    ):
        file.write(b"forced")
    with open_archive(tmp_path / "a.zip") as opened:
        assert b"".join(opened.read(opened.entry("x"))) == b"forced"


def test_70000_entries_are_written_and_read(tmp_path: Path) -> None:
    sources = (Source(f"{number:06d}", EntryType.FILE, 0o100644, TIME, 0, data=b"") for number in range(70_000))
    summary = write(tmp_path, "zip", sources)
    with zipfile.ZipFile(summary.parts[0]) as archive:
        assert len(archive.infolist()) > 70_000
    with open_archive(summary.parts[0]) as opened:
        assert sum(1 for _ in opened) == len(archive.infolist())


def test_parts_begin_and_end_as_the_notes_say(tree: Path, tmp_path: Path) -> None:
    summary = write(tmp_path, "zip", scan(tree), part_size=65536)
    assert [part.name for part in summary.parts[:2]] == ["a.z01", "a.z02"]
    assert summary.parts[-1].name == "a.zip"
    assert summary.parts[0].read_bytes()[:8] == b"PK\x07\x08PK\x03\x04"
    single = write(tmp_path / "one", "zip", [], part_size=65536)
    assert single.parts[0].read_bytes()[:8] == b"PK00PK\x03\x04"
    assert all(part.stat().st_size <= 65536 for part in summary.parts)


def test_missing_parts_are_named(tree: Path, tmp_path: Path) -> None:
    summary = write(tmp_path, "zip", scan(tree), part_size=65536)
    summary.parts[1].unlink()
    with pytest.raises(MissingPartError, match=r"a\.z02"):
        open_archive(summary.parts[-1])
    for part in summary.parts[2:-1]:
        part.unlink()
    with pytest.raises(MissingPartError, match="parts"):
        open_archive(summary.parts[-1])


def test_a_zip_without_its_end_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(examples.ZIP[:-1])
    with pytest.raises(DamagedArchiveError, match="cut short"):
        open_archive(path)


def test_an_encrypted_entry_is_told_of(tmp_path: Path) -> None:
    data = bytearray(examples.ZIP)
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with open_archive(path) as archive:
        problems = archive.verify().problems
    assert "encrypted" in problems[0].message


def test_entries_that_share_their_data_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"x" * 100)
        archive.writestr("b", b"y" * 100)
        archive.filelist[1].header_offset = archive.filelist[0].header_offset
        archive.filelist[1].filename = "a"
    with open_archive(path) as opened, pytest.raises(DamagedArchiveError, match="overlap"):
        list(opened)


def test_entry_fields_are_those_of_the_source(tmp_path: Path) -> None:
    summary = write(tmp_path, "zip", [file_source("a/b.txt", b"x" * 999, mode=0o100640)])
    with open_archive(summary.parts[0]) as archive:
        entry = archive.entry("a/b.txt")
    assert entry == Entry("a/b.txt", EntryType.FILE, 999, entry.compressed_size, 0o100640, TIME)
