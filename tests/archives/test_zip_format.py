"""ZIP as bytes, and what other programs make of it."""

from __future__ import annotations

import bz2
import hashlib
import lzma
import re
import shutil
import stat
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from archives import examples
from archives.trees import TIME, contents, file_source, plant, scan, write
from backstay.archives import Entry, EntryType, Source, open_archive
from backstay.archives.formats import DEFLATED, STORED, Content, Head
from backstay.archives.zip.layout import Ending, pack_central, pack_ending, pack_local, parse_central
from backstay.errors import DamagedArchiveError, MissingPartError, UnsafeEntryError, UnsupportedEntryError


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


def test_bytes_behind_the_end_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    for behind in (b"\n", bytes(5000), b"PK\x05\x06" + bytes(40), b"x" * 60_000):
        path.write_bytes(examples.ZIP + behind)
        with open_archive(path) as archive:
            assert archive.comment == "Demo"
            assert archive.verify().ok
            assert b"".join(archive.read(archive.entry("a.txt"))) == b"Hello, world!\n"


def test_bytes_behind_the_last_part_are_passed_over(tree: Path, tmp_path: Path) -> None:
    summary = write(tmp_path, "zip", scan(tree), part_size=65536)
    with summary.parts[-1].open("ab") as file:
        file.write(b"appended" * 100)
    with open_archive(summary.parts[-1]) as archive:
        assert archive.verify().ok


def test_a_signed_program_that_unpacks_itself_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.exe"
    path.write_bytes(b"MZ" + bytes(5000) + examples.ZIP + b"signature" * 300)
    with open_archive(path) as archive:
        assert b"".join(archive.read(archive.entry("a.txt"))) == b"Hello, world!\n"


def test_an_archive_within_an_archive_that_is_cut_short_is_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    empty = b"PK\x05\x06" + bytes(18)
    for inner in (examples.ZIP, empty):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("first.txt", b"first")
            archive.writestr("inner.zip", inner)
        data = path.read_bytes()
        path.write_bytes(data[: data.index(inner) + len(inner) + 30])
        with pytest.raises(DamagedArchiveError, match="cut short"):
            open_archive(path)


def mark_encrypted(data: bytes, *, flags: int = 1, method: int | None = None, extra: bytes = b"") -> bytes:
    """Set flags, the method and an extra field of the example in both of its headers."""
    local, central = bytearray(data), bytearray(data[data.index(b"PK\x01\x02") : data.index(b"PK\x05\x06")])
    end = bytearray(data[data.index(b"PK\x05\x06") :])
    del local[data.index(b"PK\x01\x02") :]
    local[6] |= flags
    central[8] |= flags
    if method is not None:
        local[8:10] = central[10:12] = method.to_bytes(2, "little")
    central[30:32] = len(extra).to_bytes(2, "little")
    central += extra
    end[12:16] = len(central).to_bytes(4, "little")
    return bytes(local + central + end)


@pytest.mark.parametrize(
    ("flags", "method", "extra", "words"),
    [
        (1, None, b"", "is encrypted (ZipCrypto)"),
        (1 | 1 << 6, None, b"", "is encrypted (PKWARE strong encryption)"),
        (1, 99, struct.pack("<HHH2sBH", 0x9901, 7, 2, b"AE", 3, 8), "is encrypted (AES-256)"),
        (1, 99, struct.pack("<HHH2sBH", 0x9901, 7, 2, b"AE", 1, 8), "is encrypted (AES-128)"),
        (1, 99, b"", "is encrypted (AES)"),
        (0, 9, b"", "is compressed with Deflate64"),
        (0, 93, b"", "is compressed with Zstandard"),
        (0, 98, b"", "is compressed with PPMd"),
        (0, 77, b"", "is compressed with method 77"),
    ],
)
def test_what_is_not_read_is_named_and_not_called_damaged(
    tmp_path: Path, flags: int, method: int | None, extra: bytes, words: str
) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(mark_encrypted(examples.ZIP, flags=flags, method=method, extra=extra))
    with open_archive(path) as archive:
        problems = archive.verify().problems
        assert [problem.path for problem in problems] == ["a.txt"]
        assert words in problems[0].message
        assert "damaged" not in problems[0].message
        with pytest.raises(UnsupportedEntryError, match=re.escape(words)):
            list(archive.read(archive.entry("a.txt")))
        with pytest.raises(UnsupportedEntryError, match=re.escape(words)) as error:
            archive.extract(tmp_path / "out")
    assert "All else was extracted" in str(error.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_all_but_what_is_encrypted_is_extracted(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.txt", "b.txt", "link", "z.txt"):
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777 if name == "link" else stat.S_IFREG | 0o644) << 16
            archive.writestr(info, name)
    data = bytearray(path.read_bytes())
    for encrypted in (b"b.txt", b"link"):
        data[data.index(encrypted) - 30 + 6] |= 1
        data[data.rindex(encrypted) - 46 + 8] |= 1
    path.write_bytes(data)
    with open_archive(path) as opened:
        assert [entry.path for entry in opened] == ["a.txt", "b.txt", "link", "z.txt"]
        with pytest.raises(UnsupportedEntryError, match=r"^b\.txt is encrypted .* \(and 1 more\)\. All else"):
            opened.extract(tmp_path / "out")
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["a.txt", "z.txt"]


RANDOM = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(40_000))


@pytest.mark.parametrize("content", [b"", b"x", b"abc" * 1000, RANDOM[:70_000] * 3, RANDOM + bytes(5 << 20)])
@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_lzma_and_bzip2_are_read(tmp_path: Path, method: int, content: bytes) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.bin", content)
    with open_archive(path) as opened:
        assert opened.verify().ok
        assert b"".join(opened.read(opened.entry("a.bin"))) == content


def with_method(path: Path, method: int, data: bytes, content: bytes) -> None:
    """Write an archive of one entry whose content was compressed elsewhere."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.bin", data)
    raw = bytearray(path.read_bytes())
    central = raw.index(b"PK\x01\x02")
    for at, shift in ((0, 0), (central, 2)):
        raw[at + 8 + shift : at + 10 + shift] = method.to_bytes(2, "little")
        raw[at + 14 + shift : at + 18 + shift] = zlib.crc32(content).to_bytes(4, "little")
        raw[at + 22 + shift : at + 26 + shift] = len(content).to_bytes(4, "little")
    path.write_bytes(raw)


def lzma_stream(content: bytes, *, dictionary: int | None = None) -> bytes:
    """Compress as method 14 of ZIP holds it, without a mark at the end."""
    alone = lzma.compress(content, lzma.FORMAT_ALONE)
    properties = alone[:1] + (alone[1:5] if dictionary is None else dictionary.to_bytes(4, "little"))
    return b"\x09\x14\x05\x00" + properties + alone[13:]


def test_xz_is_read(tmp_path: Path) -> None:
    with_method(tmp_path / "a.zip", 95, lzma.compress(RANDOM[:5000] * 9), RANDOM[:5000] * 9)
    with open_archive(tmp_path / "a.zip") as archive:
        assert archive.verify().ok


def test_lzma_without_a_mark_at_its_end_is_read_and_what_lies_behind_its_size_is_not(tmp_path: Path) -> None:
    content = RANDOM[:9000] * 5
    with_method(tmp_path / "a.zip", 14, lzma_stream(content + b"more"), content)
    with open_archive(tmp_path / "a.zip") as archive:
        assert b"".join(archive.read(archive.entry("a.bin"))) == content
        assert archive.verify().ok


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lzma_stream(b"short"), "holds 5 bytes where 40 were promised"),
        (lzma_stream(b"x" * 40)[:12], "holds"),
        (lzma_stream(b"x" * 40)[:6], "holds 0 bytes"),
        (b"\x09\x14\x06\x00" + lzma_stream(b"x" * 40)[4:], "damaged"),
        (b"\x09\x14\x05\x00\xff" + lzma_stream(b"x" * 40)[5:], "damaged"),
        # Four literal context bits and four literal position bits are more than LZMA's library takes.
        (b"\x09\x14\x05\x00" + bytes([4 + 9 * 4]) + lzma_stream(b"x" * 40)[5:], "damaged"),
    ],
)
def test_damaged_lzma_is_reported(tmp_path: Path, data: bytes, words: str) -> None:
    with_method(tmp_path / "a.zip", 14, data, b"x" * 40)
    with open_archive(tmp_path / "a.zip") as archive:
        assert words in archive.verify().problems[0].message


def test_lzma_takes_no_more_memory_than_its_content_and_a_limit(tmp_path: Path) -> None:
    content = b"x" * 40
    with_method(tmp_path / "a.zip", 14, lzma_stream(content, dictionary=0xFFFFFFFF), content)
    with open_archive(tmp_path / "a.zip") as archive:
        assert archive.verify().ok
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    raw[22:26] = raw[raw.index(b"PK\x01\x02") + 24 : raw.index(b"PK\x01\x02") + 28] = (1 << 30).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(raw)
    with open_archive(tmp_path / "a.zip") as archive:
        assert "bytes of memory" in archive.verify().problems[0].message


@pytest.mark.parametrize(("method", "packed"), [(14, lzma_stream(bytes(9 << 20))), (12, bz2.compress(bytes(9 << 20)))])
def test_content_that_unpacks_to_more_than_was_promised_stops_there(tmp_path: Path, method: int, packed: bytes) -> None:
    with_method(tmp_path / "a.zip", method, packed, b"y" * 1000)
    with open_archive(tmp_path / "a.zip") as archive:
        assert not archive.verify().ok
        found: list[bytes] = []
        with pytest.raises(DamagedArchiveError):
            found.extend(archive.read(archive.entry("a.bin")))
    assert len(b"".join(found)) <= 1000


def made_by(path: Path, names: list[bytes], *, system: int, attributes: int = 0x20) -> None:
    """Write an archive as a program of another system would."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            info = zipfile.ZipInfo(chr(0x41 + number) * len(name))
            info.create_system, info.external_attr = system, attributes
            archive.writestr(info, b"" if name.endswith(b"\\") else b"x")
    data = path.read_bytes()
    for number, name in enumerate(names):
        data = data.replace(chr(0x41 + number).encode() * len(name), name)
    path.write_bytes(data)


@pytest.mark.parametrize("system", [0, 6, 10, 11, 14])
def test_backslashes_of_windows_are_separators(tmp_path: Path, system: int) -> None:
    made_by(tmp_path / "a.zip", [b"site\\images\\", b"site\\images\\logo.png", b"site/css\\a.css"], system=system)
    with open_archive(tmp_path / "a.zip") as archive:
        assert [(entry.path, entry.type) for entry in archive] == [
            ("site/images", EntryType.DIRECTORY),
            ("site/images/logo.png", EntryType.FILE),
            ("site/css/a.css", EntryType.FILE),
        ]
        archive.extract(tmp_path / "out")
    assert (tmp_path / "out/site/images/logo.png").read_bytes() == b"x"


@pytest.mark.parametrize(("system", "attributes"), [(3, 0o100644 << 16), (19, 0o100644 << 16), (0, 0xFE49FFE0)])
def test_backslashes_of_unix_are_part_of_a_name(tmp_path: Path, system: int, attributes: int) -> None:
    made_by(tmp_path / "a.zip", [b"back\\slash.txt"], system=system, attributes=attributes)
    with open_archive(tmp_path / "a.zip") as archive:
        assert [entry.path for entry in archive] == ["back\\slash.txt"]


@pytest.mark.parametrize(
    "name", [b"..\\out.txt", b"a\\..\\..\\out.txt", b"\\out.txt", b"\\\\server\\out.txt", b"a/..\\../out"]
)
def test_backslashes_lead_out_of_no_folder(tmp_path: Path, name: bytes) -> None:
    made_by(tmp_path / "a.zip", [name], system=0)
    with open_archive(tmp_path / "a.zip") as archive, pytest.raises(UnsafeEntryError):
        archive.extract(tmp_path / "folder" / "out")
    assert not (tmp_path / "folder").exists()


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
