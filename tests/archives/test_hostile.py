"""Archives made to do harm: each is refused or made harmless, and nothing is ever written outside the target."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from blake3 import blake3

from archives.trees import TIME, file_source, password_for, write
from backstay.archives import EntryType, ExtractReport, Limits, ManifestLine, Source, open_archive
from backstay.archives.attributes import Attributes
from backstay.archives.formats import DEFLATED, STORED, Content, FormatWriter, Head, Totals
from backstay.archives.jpa.layout import pack_archive_header, pack_entity
from backstay.archives.jpa.writing import JpaWriter
from backstay.archives.jps.writing import JpsWriter
from backstay.archives.manifest import pack_line, piece_name
from backstay.archives.parts import PartWriter
from backstay.archives.zip.writing import ZipWriter
from backstay.errors import ArchiveLimitError, DamagedArchiveError, DiskFullError, UnsafeEntryError

FORMATS = ("jpa", "jps", "zip")
Piece = tuple[bytes, EntryType, int, bytes]


def raw(folder: Path, format_name: str, pieces: Sequence[Piece]) -> Path:
    """Write an archive of entries as they come, with no manifest and no questions asked."""
    folder.mkdir(exist_ok=True)
    writers: dict[str, Callable[[], FormatWriter]] = {
        "jpa": JpaWriter,
        "jps": lambda: JpsWriter(password_for("jps") or ""),
        "zip": lambda: ZipWriter(folder / "spool", ""),
    }
    writer = writers[format_name]()
    parts = PartWriter(folder / f"raw.{format_name}", 0)
    parts.create()
    writer.begin(parts)
    totals = Totals()
    for path, kind, mode, data in pieces:
        deflated = zlib.compress(data, 9, -15) if data and kind is EntryType.FILE else data
        method = DEFLATED if data and kind is EntryType.FILE else STORED
        head, content = Head(path, kind, mode, TIME), Content(method, len(data), len(deflated), zlib.crc32(data))
        position = parts.position
        parts.write(writer.header(head, content, len(data)))
        if deflated:
            unit = writer.unit(deflated)
            parts.write(bytes(unit.whole) + bytes(unit.data))
        writer.written(head, content, len(data), position)
        totals = Totals(totals.entries + 1, totals.size + len(data), totals.compressed_size + len(deflated))
    writer.finish(parts, totals)
    writer.discard()
    return parts.finish()[-1]


def file(path: bytes, data: bytes = b"evil", mode: int = 0o100644) -> Piece:
    return path, EntryType.FILE, mode, data


def link(path: bytes, target: bytes) -> Piece:
    return path, EntryType.SYMLINK, 0o120777, target


def extract(archive_path: Path, target: Path, warnings: list[str] | None = None, **options: object) -> ExtractReport:
    password = password_for("jps") if archive_path.suffix == ".jps" else None
    with open_archive(archive_path, password=password) as archive:
        return archive.extract(target, on_warning=(warnings if warnings is not None else []).append, **options)  # type: ignore[arg-type]  # passed on as the test gives them


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A target beside a file that must not change."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/victim").write_bytes(b"untouched")
    return tmp_path / "outside" / "target"


def nothing_outside(target: Path) -> None:
    assert (target.parent / "victim").read_bytes() == b"untouched"
    assert sorted(path.name for path in target.parent.iterdir()) in (["target", "victim"], ["victim"])


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(
    "path",
    [
        b"../victim",
        b"a/../../victim",
        b"/etc/backstay-test",
        b"..",
        b"a/..",
        b"nul\0byte",
        b"//server/share",
        b"a/b/../../../victim",
    ],
)
def test_a_path_that_leads_out_is_refused_before_anything_is_written(
    tmp_path: Path, target: Path, format_name: str, path: bytes
) -> None:
    archive = raw(tmp_path / "made", format_name, [file(b"good.txt"), file(path)])
    with pytest.raises(UnsafeEntryError):
        extract(archive, target)
    assert not target.exists()
    nothing_outside(target)
    with open_archive(archive, password=password_for(format_name)) as opened:
        assert len(list(opened)) == 2
        assert not opened.verify().ok


@pytest.mark.parametrize("format_name", FORMATS)
def test_what_is_not_wanted_does_not_stop_what_is(tmp_path: Path, target: Path, format_name: str) -> None:
    archive = raw(tmp_path / "made", format_name, [file(b"good.txt"), file(b"../victim")])
    assert extract(archive, target, only=["good.txt"]).entries == 1
    nothing_outside(target)


@pytest.mark.parametrize(
    "path", [b"C:\\windows\\system.ini", b"c:evil", b"..\\..\\victim", b"\\\\server\\share", b"C:/x"]
)
def test_a_path_of_another_system_is_an_ordinary_name_with_a_warning(tmp_path: Path, target: Path, path: bytes) -> None:
    warnings: list[str] = []
    extract(raw(tmp_path / "made", "jpa", [file(path)]), target, warnings)
    assert (target / os.fsdecode(path)).read_bytes() == b"evil"
    assert "Windows" in warnings[0]
    nothing_outside(target)


@pytest.mark.parametrize("path", [b"./a.txt", b"b//a.txt", b"b/./a.txt"])
def test_empty_steps_of_a_path_are_taken_out(tmp_path: Path, target: Path, path: bytes) -> None:
    extract(raw(tmp_path / "made", "jpa", [file(path)]), target)
    assert [found.name for found in target.rglob("*") if found.is_file()] == ["a.txt"]


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("aim", [b"..", b"/etc", b"."])
def test_an_entry_beneath_a_link_of_the_archive_is_left_out(
    tmp_path: Path, target: Path, format_name: str, order: int, aim: bytes
) -> None:
    pieces = [link(b"way", aim), file(b"way/victim"), file(b"good.txt", b"good")][::order]
    warnings: list[str] = []
    report = extract(raw(tmp_path / "made", format_name, pieces), target, warnings)
    assert (report.entries, report.refused) == (2, 1)
    assert "way/victim" in warnings[0]
    assert "link" in warnings[0]
    assert (target / "way").readlink() == Path(os.fsdecode(aim))
    assert (target / "good.txt").read_bytes() == b"good"
    nothing_outside(target)


def test_a_link_that_lies_on_disk_is_not_followed(tmp_path: Path, target: Path) -> None:
    target.mkdir()
    (target / "way").symlink_to("..", target_is_directory=True)
    (target / "victim").symlink_to("../victim")
    warnings: list[str] = []
    report = extract(raw(tmp_path / "made", "jpa", [file(b"way/victim"), file(b"victim", b"mine")]), target, warnings)
    assert report.refused == 1
    assert "way" in warnings[0]
    assert (target / "victim").read_bytes() == b"mine"
    assert not (target / "victim").is_symlink()
    nothing_outside(target)


def test_a_hard_link_that_lies_on_disk_is_not_written_through(tmp_path: Path, target: Path) -> None:
    target.mkdir()
    (target / "victim").hardlink_to(target.parent / "victim")
    extract(raw(tmp_path / "made", "jpa", [file(b"victim", b"mine")]), target)
    assert (target / "victim").read_bytes() == b"mine"
    nothing_outside(target)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("second", [b"a.txt", b"./a.txt", b".//a.txt"])
def test_of_two_entries_of_a_name_the_first_is_kept(
    tmp_path: Path, target: Path, format_name: str, second: bytes
) -> None:
    warnings: list[str] = []
    pieces = [file(b"a.txt", b"first"), file(b"b.txt", b"b"), file(second, b"second")]
    report = extract(raw(tmp_path / "made", format_name, pieces), target, warnings)
    assert (target / "a.txt").read_bytes() == b"first"
    assert report.refused == 1
    assert "a.txt" in warnings[0]


def test_a_link_in_place_of_a_file_before_it_is_left_out(tmp_path: Path, target: Path) -> None:
    warnings: list[str] = []
    extract(
        raw(tmp_path / "made", "jpa", [file(b"a", b"first"), link(b"a", b"../victim"), file(b"a", b"third")]),
        target,
        warnings,
    )
    assert not (target / "a").is_symlink()
    assert (target / "a").read_bytes() == b"first"
    assert len(warnings) == 2
    nothing_outside(target)


def test_names_that_a_target_takes_for_the_same_are_known(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backstay.archives.target import Target

    composed, decomposed = (unicodedata.normalize(form, "Ünder").encode() for form in ("NFC", "NFD"))
    pieces = [
        file(b"Readme", b"1"),
        file(b"README", b"2"),
        file(composed, b"3"),
        file(decomposed, b"4"),
        link(b"Way", b".."),
        file(b"way/victim"),
    ]
    archive = raw(tmp_path / "made", "jpa", pieces)
    assert extract(archive, target / "exact").refused == 0
    # A folder that folds names is not to be had here; what it would answer is.
    monkeypatch.setattr(Target, "_folds", lambda _: True)
    warnings: list[str] = []
    assert extract(archive, target / "folded", warnings).refused == 3
    assert (target / "folded/Readme").read_bytes() == b"1"
    assert not (target / "folded/README").exists()


@pytest.mark.parametrize("format_name", FORMATS)
def test_special_bits_of_files_are_dropped_unless_asked_for(tmp_path: Path, target: Path, format_name: str) -> None:
    pieces = [
        file(b"root", b"#!", 0o104755),
        (b"odd", EntryType.DIRECTORY, 0o044755, b""),
        (b"shared", EntryType.DIRECTORY, 0o042775, b""),
        (b"tmp", EntryType.DIRECTORY, 0o041777, b""),
    ]
    archive = raw(tmp_path / "made", format_name, pieces)
    warnings: list[str] = []
    extract(archive, target / "plain", warnings)
    # What guards a folder is kept: a folder for all without its sticky bit would be less safe than the site's was.
    assert modes(target / "plain") == {"root": 0o755, "odd": 0o755, "shared": 0o2775, "tmp": 0o1777}
    assert len(warnings) == 2
    extract(archive, target / "special", special_modes=True)
    assert modes(target / "special") == {"root": 0o4755, "odd": 0o4755, "shared": 0o2775, "tmp": 0o1777}


def modes(folder: Path) -> dict[str, int]:
    """Permissions of what lies in a folder, by name."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_modes_are_left_to_the_system_where_they_are_not_wanted(tmp_path: Path, target: Path) -> None:
    archive = raw(tmp_path / "made", "jpa", [file(b"a", b"x", 0o100777)])
    extract(archive, target, permissions=False)
    assert stat.S_IMODE((target / "a").stat().st_mode) & 0o111 == 0


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_devices_are_left_out(tmp_path: Path, target: Path, format_name: str, kind: int) -> None:
    warnings: list[str] = []
    report = extract(raw(tmp_path / "made", format_name, [file(b"dev/sda", b"x", kind | 0o666)]), target, warnings)
    assert (report.entries, report.refused) == (0, 1)
    assert "dev/sda" in warnings[0]
    assert "device" in warnings[0]


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_bomb_is_refused_before_anything_is_written(tmp_path: Path, target: Path, format_name: str) -> None:
    zeros = bytes(1 << 20)
    archive = raw(tmp_path / "made", format_name, [file(f"{number}".encode(), zeros) for number in range(50)])
    password = password_for(format_name)
    for limits in (Limits(total_size=10 << 20), Limits(ratio=100, ratio_floor=0), Limits(entries=49)):
        with open_archive(archive, password=password, limits=limits) as opened, pytest.raises(ArchiveLimitError):
            opened.extract(target)
        assert not target.exists()
    with open_archive(archive, password=password, limits=Limits(total_size=50 << 20, ratio=None)) as opened:
        assert opened.extract(target).bytes == 50 << 20


def test_what_the_disk_has_no_space_for_is_refused_without_any_limit_set(tmp_path: Path, target: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    size = 1 << 30
    head = Head(b"zeros", EntryType.FILE, 0o100644, TIME)
    count = free // size + 2
    # Each entry says that it unpacks to a gibibyte, as deflate could.
    data = bytes(size // 1000)
    archive = tmp_path / "a.jpa"
    with archive.open("wb") as file:
        file.write(pack_archive_header(count, size * count, len(data) * count, None))
        for number in range(count):
            file.write(pack_entity(head._replace(path=b"%d" % number), Content(DEFLATED, size, len(data), 0)))
            file.seek(len(data), os.SEEK_CUR)
        file.truncate()
    with pytest.raises(DiskFullError, match="unpacks to"):
        extract(archive, target)
    assert not target.exists()


@pytest.mark.parametrize("claimed", [0, 1, 999, 1001, 5000, 1 << 40, (1 << 64) - 1])
def test_a_size_that_lies_gives_no_content(tmp_path: Path, target: Path, claimed: int) -> None:
    deflated = zlib.compress(b"x" * 1000, 9, -15)
    block = pack_entity(Head(b"liar", EntryType.FILE, 0o100644, TIME), Content(DEFLATED, claimed, len(deflated), 0))
    archive = tmp_path / "a.jpa"
    archive.write_bytes(pack_archive_header(1, claimed, len(deflated), None) + block + deflated)
    with pytest.raises((DamagedArchiveError, DiskFullError)):
        extract(archive, target)
    assert not (target / "liar").exists()
    with open_archive(archive) as opened:
        assert not opened.verify().ok
        with pytest.raises(DamagedArchiveError):
            for _ in opened.read(opened.entry("liar")):
                pass


@pytest.mark.parametrize("size", [100, 1 << 31, 1 << 62, (1 << 64) - 1])
def test_data_beyond_the_end_is_not_read(tmp_path: Path, size: int) -> None:
    block = pack_entity(Head(b"liar", EntryType.FILE, 0o100644, TIME), Content(STORED, size, size, 0))
    archive = tmp_path / "a.jpa"
    archive.write_bytes(pack_archive_header(1, size, size, None) + block + b"x" * 50)
    with open_archive(archive) as opened, pytest.raises(DamagedArchiveError, match="cut short"):
        list(opened)


def test_a_header_shorter_than_its_path_is_damage(tmp_path: Path) -> None:
    archive = tmp_path / "a.jpa"
    archive.write_bytes(pack_archive_header(1, 0, 0, None) + b"JPF" + struct.pack("<HH", 25, 60_000) + bytes(70_000))
    with open_archive(archive) as opened, pytest.raises(DamagedArchiveError):
        list(opened)


def test_a_folder_in_place_of_a_file_and_a_file_in_place_of_a_folder_are_reported(tmp_path: Path, target: Path) -> None:
    (target / "a").mkdir(parents=True)
    (target / "b").write_bytes(b"file")
    warnings: list[str] = []
    report = extract(raw(tmp_path / "made", "jpa", [file(b"a"), file(b"b/c"), file(b"d", b"fine")]), target, warnings)
    assert (report.entries, report.refused) == (1, 2)
    assert {warning.split()[0] for warning in warnings} == {"a", "b/c"}


def test_a_name_too_long_for_the_target_is_reported(tmp_path: Path, target: Path) -> None:
    warnings: list[str] = []
    extract(raw(tmp_path / "made", "jpa", [file(b"n" * 5000), file(b"fine")]), target, warnings)
    assert (target / "fine").exists()
    assert len(warnings) == 1


def test_paths_deeper_than_the_system_takes_in_one_piece_are_made(tmp_path: Path, target: Path) -> None:
    path = b"/".join([b"d" * 100] * 60)
    report = extract(raw(tmp_path / "made", "jpa", [file(path, b"deep")]), target)
    assert report.entries == 1
    assert report.refused == 0


def test_messages_cannot_move_the_cursor(tmp_path: Path, target: Path) -> None:
    warnings: list[str] = []
    extract(
        raw(
            tmp_path / "made", "jpa", [file(b"\x1b[2J\n\r", b"x", stat.S_IFCHR), file(b"\xff\xfe", b"x", stat.S_IFCHR)]
        ),
        target,
        warnings,
    )
    assert all(warning.isprintable() for warning in warnings)
    assert warnings[0].startswith("\\x1b[2J\\n\\r ")
    assert warnings[1].startswith("\\xff\\xfe ")


def test_a_zip_whose_two_directories_of_names_differ_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.txt", b"x")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"good.txt", b"evil.txt", 1))
    with open_archive(path) as opened, pytest.raises(DamagedArchiveError):
        list(opened)


def test_a_manifest_cannot_make_folders_outside(tmp_path: Path, target: Path) -> None:
    sources = [Source("a/b", EntryType.DIRECTORY, 0o040755, TIME, implied=True), file_source("x", b"x")]
    summary = write(tmp_path / "made", "jpa", sources, store_above=0)
    data = summary.parts[0].read_bytes()
    assert b'"path":"a/b"' in data
    forged = data.replace(b'"path":"a/b"', b'"path":"../"')
    summary.parts[0].write_bytes(forged)
    with pytest.raises((DamagedArchiveError, UnsafeEntryError)):
        extract(summary.parts[0], target)
    nothing_outside(target)


def test_a_link_to_nothing_is_reported(tmp_path: Path, target: Path) -> None:
    warnings: list[str] = []
    report = extract(
        raw(tmp_path / "made", "jpa", [link(b"l", b""), link(b"n", b"a\0b"), file(b"fine")]), target, warnings
    )
    assert (report.entries, report.refused) == (1, 2)
    assert {warning.split()[0] for warning in warnings} == {"l", "n"}


def linked(path: str, data: bytes, *, size: int | None = None) -> bytes:
    """A line of the manifest that says that a path is a name of the file number one."""
    return pack_line(
        ManifestLine(
            path, EntryType.FILE, len(data) if size is None else size, 0o100644, TIME, blake3(data).hexdigest(),
            attributes=Attributes(inode="1:1"),
        )
    )  # fmt: skip


def with_manifest(folder: Path, pieces: Sequence[Piece], lines: Sequence[bytes]) -> Path:
    """Write an archive with a manifest of one's own."""
    text = b"".join(lines)
    end = f'{{"end":{len(lines)},"blake3":"{blake3(text).hexdigest()}"}}\n'.encode()
    return raw(folder, "jpa", [*pieces, file(piece_name(1).encode(), text + end)])


def test_a_manifest_cannot_make_one_file_of_two(tmp_path: Path, target: Path) -> None:
    archive = with_manifest(
        tmp_path / "a", [file(b"a", b"good"), file(b"b", b"evil")], [linked("a", b"good"), linked("b", b"evil")]
    )
    with open_archive(archive) as opened:
        opened.extract(target)
    assert ((target / "a").read_bytes(), (target / "b").read_bytes()) == (b"good", b"evil")
    assert (target / "a").stat().st_nlink == 1


def test_a_second_name_is_not_linked_to_a_damaged_first(tmp_path: Path, target: Path) -> None:
    lines = [linked("a", b"good"), linked("b", b"good")]
    archive = with_manifest(tmp_path / "a", [file(b"a", b"evil"), file(b"b", b"good")], lines)
    with open_archive(archive) as opened, pytest.raises(DamagedArchiveError, match="a is damaged"):
        opened.extract(target)
    assert not (target / "a").exists()
    assert (target / "b").read_bytes() == b"good"


def test_a_second_name_replaces_a_link_and_does_not_follow_it(tmp_path: Path, target: Path) -> None:
    outside = tmp_path / "elsewhere"
    outside.write_bytes(b"untouched")
    target.mkdir(exist_ok=True)
    (target / "b").symlink_to(outside)
    lines = [linked("a", b"good"), linked("b", b"good")]
    archive = with_manifest(tmp_path / "a", [file(b"a", b"good"), file(b"b", b"good")], lines)
    with open_archive(archive) as opened:
        opened.extract(target)
    assert outside.read_bytes() == b"untouched"
    assert (target / "b").samefile(target / "a")
    assert not (target / "b").is_symlink()
