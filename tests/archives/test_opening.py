"""One archive opened: entries found, content held to the manifest, errors that name both, options passed on."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archives.trees import REFERENCE, TIME, file_source, password_for, write
from backstay.archives import (
    ArchiveReader,
    Entry,
    EntryType,
    ExtractProgress,
    ExtractReport,
    Limits,
    Source,
    open_archive,
    open_parts,
    reader,
)
from backstay.archives.entries import VerifyReport
from backstay.archives.manifest import PIECE_SIZE, POINTER, piece_name
from backstay.archives.part_stream import LocalParts, find_parts
from backstay.errors import (
    ArchiveError,
    BackstayError,
    DamagedArchiveError,
    NotFoundError,
    UnsupportedEntryError,
    WrongPasswordError,
)

CONTENT = b"What is stored here can be changed in its place. "
FORMATS = ("jpa", "jps", "zip")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small archive of each format."""
    made = {}
    for name in FORMATS:
        sources = [
            file_source("a.txt", CONTENT, mode=0o100640),
            Source("d", EntryType.DIRECTORY, 0o040700, TIME),
            Source("l", EntryType.SYMLINK, 0o120777, TIME, target="a.txt"),
            file_source("d/b.txt", b"b" * 3000),
        ]
        made[name] = write(tmp_path_factory.mktemp(name), name, sources, store_above=0).parts[-1]
    return made


def opened(path: Path, **options: Any) -> ArchiveReader:
    return open_archive(path, password=password_for(path.suffix[1:]), **options)


def changed(archive: Path, folder: Path) -> Path:
    """Copy an archive with one byte of a.txt changed."""
    path = folder / archive.name
    path.write_bytes(archive.read_bytes().replace(CONTENT, CONTENT.replace(b"What", b"what"), 1))
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_an_archive_tells_what_it_is_and_what_it_holds(archives: dict[str, Path], name: str) -> None:
    with opened(archives[name]) as archive:
        assert (archive.format, archive.parts, archive.comment) == (name, [archives[name]], "")
        assert repr(archive) == f"ArchiveReader({str(archives[name])!r}, format={name!r}, parts=1)"
        paths = [entry.path for entry in archive]
        assert paths == ["a.txt", "d", "l", "d/b.txt", piece_name(1), POINTER]
        assert archive.has_manifest
        assert [line.path for line in archive.manifest()] == paths[:4], "its own files are none of the site's"
        for entry in archive:
            found = archive.entry(entry.path)
            assert (found.path, found.type, found.size, found.target, found.mtime) == (
                entry.path, entry.type, entry.size, entry.target, entry.mtime,
            )  # fmt: skip
        assert archive.entry("a.txt").mode == 0o100640
        assert b"".join(archive.read_path("d/b.txt")) == b"".join(archive.read(archive.entry("d/b.txt"))) == b"b" * 3000


def test_an_archive_from_elsewhere_is_walked_over() -> None:
    with open_archive(str(REFERENCE / "tiny.jpa")) as archive:
        entries = list(archive)
        assert [archive.entry(entry.path) for entry in entries] == entries
        assert not archive.has_manifest
        assert list(archive.manifest()) == []
        file = next(entry for entry in entries if entry.type is EntryType.FILE and entry.size)
        assert b"".join(archive.read_path(file.path)) == b"".join(archive.read(file))
        with pytest.raises(NotFoundError, match="has no entry nothing"):
            archive.entry("nothing")


@pytest.mark.parametrize("name", FORMATS)
def test_entries_are_read_as_the_manifest_tells_them_where_reading_is_dear(
    archives: dict[str, Path], name: str
) -> None:
    class Remote(LocalParts):
        is_remote = True
        may_fork = False

    with open_parts(Remote(find_parts(archives[name])), password=password_for(name)) as archive:
        files = [entry for entry in archive if entry.path in {"a.txt", "d/b.txt"}]
        assert [b"".join(archive.read(entry)) for entry in files] == [CONTENT, b"b" * 3000]


def test_a_manifest_without_a_pointer_is_found_by_a_walk(
    archives: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "indexed", lambda *_: None)
    with opened(archives["jpa"]) as archive:
        assert archive.has_manifest
        assert [line.path for line in archive.manifest()] == ["a.txt", "d", "l", "d/b.txt"]
        assert archive.entry("a.txt").size == len(CONTENT)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_not_there_or_no_file_is_named(archives: dict[str, Path], name: str) -> None:
    with opened(archives[name]) as archive:
        for call in (archive.entry, lambda path: list(archive.read_path(path))):
            with pytest.raises(NotFoundError, match=re.escape(f"{archives[name]} has no entry no\\n.")):
                call("no\n")
        for path, kind in (("d", "directory"), ("l", "symlink")):
            with pytest.raises(NotFoundError, match=f"^{path} in .* is a {kind}, and no file"):
                list(archive.read_path(path))


def test_content_that_is_not_the_manifests_is_named(archives: dict[str, Path], tmp_path: Path) -> None:
    with opened(changed(archives["jpa"], tmp_path)) as archive:
        words = r"^The entry a\.txt of a\.jpa is damaged: its content is not what the manifest says\.$"
        with pytest.raises(DamagedArchiveError, match=words) as caught:
            list(archive.read_path("a.txt"))
        assert isinstance(caught.value.__cause__, DamagedArchiveError)
        assert b"".join(archive.read(archive.entry("a.txt"))).startswith(b"what"), "it alone has no check of its own"
    words = r"^The entry a\.txt of a\.zip is damaged: [^.]*\.$"
    with opened(changed(archives["zip"], tmp_path)) as archive, pytest.raises(DamagedArchiveError, match=words):
        list(archive.read(archive.entry("a.txt")))


def test_what_is_wrong_with_an_entry_is_one_sentence(
    archives: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def content(_entry: Entry) -> Iterator[bytes]:
        yield b"some"
        raise DamagedArchiveError("its end is missing.")

    with opened(archives["jpa"]) as archive:
        entry = archive.entry("a.txt")
        monkeypatch.setattr(archive._reader, "content", content)
        with pytest.raises(DamagedArchiveError, match=r"^The entry a\.txt of a\.jpa is damaged: its end is missing\.$"):
            list(archive.read(entry))


def test_what_cannot_be_read_is_told_before_anything_of_it(archives: dict[str, Path]) -> None:
    with opened(archives["jpa"]) as archive:
        entry = archive.entry("a.txt")
        assert entry.location is not None
        unreadable = replace(entry, location=replace(entry.location, unsupported="is encrypted"))
        with pytest.raises(UnsupportedEntryError, match=r"^The entry a\.txt of a\.jpa is encrypted\.$"):
            list(archive.read(unreadable))


def test_content_is_a_stream_of_any_pieces(archives: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(archives["jpa"]) as archive:
        entry = archive.entry("a.txt")
        with archive.open(entry) as file:
            assert file.read() == CONTENT
        monkeypatch.setattr(archive, "read", lambda _entry: iter([b"", b"abc", b"", b"", b"defgh", b""]))
        with archive.open(entry) as file:
            assert file.readable()
            assert [file.read(2), file.read(4), file.read(), file.read()] == [b"ab", b"cdef", b"gh", b""]
        with archive.open(entry) as file:
            raw = file.raw  # type: ignore[attr-defined]  # a buffered reader has it
            space = bytearray(2)
            assert [(raw.readinto(space), bytes(space)) for _ in range(5)] == [
                (2, b"ab"), (1, b"cb"), (2, b"de"), (2, b"fg"), (1, b"hg"),
            ]  # fmt: skip
            assert raw.readinto(space) == 0


def test_a_manifest_whose_files_are_not_in_order_or_too_large_is_damage(archives: dict[str, Path]) -> None:
    with opened(archives["jpa"]) as archive:
        piece = archive.entry(piece_name(1))
        second = replace(piece, path=piece_name(2))
        for pieces in ([second], [second, piece], [piece, piece]):
            with pytest.raises(DamagedArchiveError, match=r"a\.jpa is damaged: its files are not in order"):
                archive._lines(pieces)
        archive._lines([replace(piece, size=PIECE_SIZE), second])
        with pytest.raises(DamagedArchiveError, match=r"a\.jpa is damaged: a file of it is too large"):
            archive._lines([piece, replace(second, size=PIECE_SIZE + 1)])


def test_only_files_are_pieces_of_a_manifest(archives: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(archives["jpa"]) as archive:
        found = [replace(entry, type=EntryType.DIRECTORY) for entry in archive]
        monkeypatch.setattr(reader, "indexed", lambda *_: None)

    class Walked(ArchiveReader):
        def __iter__(self) -> Iterator[Entry]:
            return iter(found)

    with open_archive(archives["jpa"]) as archive:
        assert not Walked(archive._stream, archive._reader, Limits()).has_manifest


def noted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Note the options of extractions instead of extracting."""
    seen: list[dict[str, Any]] = []

    class Extraction:
        def __init__(self, source: Any, limits: Limits, lines_of: Any, options: Any) -> None:
            names = options.__slots__
            seen.append({name: getattr(options, name) for name in names} | {"limits": limits, "reader": source.name})
            assert callable(lines_of)

        def run(self, target: Path) -> ExtractReport:
            seen[-1]["target"] = target
            return ExtractReport(1, 2, 3, used_manifest=True)

    monkeypatch.setattr(reader, "Extraction", Extraction)
    return seen


def test_the_options_of_an_extraction_are_passed_on(archives: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    seen, limits = noted(monkeypatch), Limits(entries=7)

    def select(_entry: Entry) -> bool:
        return True

    def progress(_progress: ExtractProgress) -> None:
        pass

    given = {"select": select, "rename": str.upper, "permissions": False, "special_modes": True, "owners": False,
             "on_warning": print, "on_progress": progress, "workers": 3}  # fmt: skip
    with opened(archives["jpa"], limits=limits) as archive:
        assert archive.extract(Path("there"), only=["a", "b"], xattrs="none", **given) == ExtractReport(  # type: ignore[arg-type]  # options of many types, one call
            1, 2, 3, used_manifest=True
        )
        archive.extract(Path("there"), special_modes=True)
        archive.extract(Path("there"))
    full, special, plain = seen
    assert full == given | {"only": ("a", "b"), "xattrs": "none", "limits": limits, "reader": "jpa",
                            "target": Path("there")}  # fmt: skip
    assert (special["xattrs"], special["special_modes"]) == ("all", True)
    plain["on_warning"]("nobody listens")
    plain["on_progress"](None)
    expected = {"only": (), "select": None, "rename": None, "permissions": True, "special_modes": False,
                "xattrs": "harmless", "owners": True, "workers": None}  # fmt: skip
    assert {name: plain[name] for name in expected} == expected


def test_verification_is_told_of_its_limits_and_tells_its_progress(
    archives: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[ExtractProgress] = []
    with opened(archives["jpa"], limits=Limits(entries=3)) as archive:
        assert "more than 3 entries" in archive.verify(workers=1).problems[0].message
    with opened(archives["jpa"]) as archive:
        report = archive.verify(on_progress=seen.append, workers=1)
        assert (report.ok, report.used_manifest, report.entries) == (True, True, 6)
        assert seen[-1].entries == 6
        asked: list[Any] = []

        def verify(*given: Any, workers: int | None) -> Generator[ExtractProgress, None, VerifyReport]:
            asked.append((given[0] is archive._reader, given[1] is archive._reader, workers))
            yield ExtractProgress(1, 2, "a", 3)
            return VerifyReport(0, 0, [], used_manifest=False)

        monkeypatch.setattr(reader, "verify", verify)
        archive.verify(workers=2)
        archive.verify()
        assert asked == [(True, True, 2), (True, True, None)]


def test_files_are_closed_with_the_archive_and_when_it_is_none(archives: dict[str, Path], tmp_path: Path) -> None:
    class Parts(LocalParts):
        def close(self) -> None:
            closed.append(self)
            super().close()

    closed: list[Parts] = []
    source = Parts(find_parts(archives["jps"]))
    with pytest.raises(WrongPasswordError):
        open_parts(source, password="another")
    assert closed == [source]
    source = Parts(find_parts(archives["jps"]))
    with open_parts(source, password=password_for("jps"), limits=Limits(entries=1)) as archive:
        assert archive._limits == Limits(entries=1)
        assert source not in closed
    assert source in closed
    (tmp_path / "a.jpa").write_bytes(b"nothing")
    with pytest.raises(BackstayError):
        open_archive(tmp_path / "a.jpa")


def test_a_file_that_cannot_be_read_is_named(archives: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(reader, "find_parts", refuse)
    with pytest.raises(ArchiveError, match=re.escape(f"{archives['jpa']} cannot be read: Permission denied.")):
        open_archive(archives["jpa"])
