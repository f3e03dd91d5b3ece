"""Entries made ready: what is deflated and what is stored, headers, lines of the manifest, and what is left out."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from archives.trees import TIME, file_source
from backstay.archives import Compression, DeflatedFile, EntryType, Source
from backstay.archives.attributes import Attributes
from backstay.archives.codec import Codec
from backstay.archives.formats import DEFLATED, STORED, Content, Head
from backstay.archives.jpa.writing import JpaWriter
from backstay.archives.jps.writing import JpsWriter
from backstay.archives.manifest import POINTER, piece_name
from backstay.archives.prepare import PreparedEntry, Preparer
from backstay.archives.zip.writing import ZipWriter
from backstay.errors import ArchiveError

TEXT, NOISE = b"backstay " * 50, bytes(range(256))
FORMATS = ("jpa", "jps", "zip")


class Ready:
    """A preparer of each format, and the pieces that it hands to the format."""

    def __init__(self, folder: Path, name: str, *, store_above: int = 1000) -> None:
        writers: dict[str, Any] = {"jpa": JpaWriter, "jps": lambda: JpsWriter("secret"),
                                   "zip": lambda: ZipWriter(folder / "spool", "")}  # fmt: skip
        self.writer: Any = writers[name]()
        self.heads: list[tuple[Head, Content, int]] = []
        self.pieces: list[bytes] = []
        real_header, real_unit = self.writer.header, self.writer.unit

        def header(head: Head, content: Content, largest: int) -> bytes:
            self.heads.append((head, content, largest))
            return bytes(real_header(head, content, largest))

        def unit(data: bytes | bytearray) -> Any:
            self.pieces.append(bytes(data))
            return real_unit(data)

        self.writer.header = header
        self.writer.unit = unit
        self.preparer = Preparer(self.writer, Codec(Compression.BALANCED), store_above)

    def __call__(self, source: Source) -> PreparedEntry:
        return self.preparer.prepare(source)

    def close(self) -> None:
        self.writer.discard()


@pytest.fixture(params=FORMATS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ready(tmp_path: Path, name: str) -> Any:
    made = Ready(tmp_path, name)
    yield made
    made.close()


def line(prepared: PreparedEntry) -> dict[str, Any]:
    return dict(json.loads(prepared.line))


def content_of(prepared: PreparedEntry, ready: Ready) -> bytes:
    """The content that was handed to the format."""
    pieces = ready.pieces or [bytes(prepared.units[0].data)]
    stored = prepared.content.method == STORED
    return b"".join(piece if stored else zlib.decompress(piece, -15) for piece in pieces)


@pytest.mark.parametrize(
    ("data", "method"),
    [(b"", None), (b"x", STORED), (TEXT, DEFLATED), (NOISE, STORED), (b"a" * 1000, DEFLATED), (b"a" * 1001, STORED)],
    ids=["nothing", "a byte", "text", "noise", "at the limit", "beyond it"],
)
def test_content_is_deflated_where_that_is_shorter_and_it_is_not_too_long(
    ready: Ready, name: str, data: bytes, method: int | None
) -> None:
    prepared = ready(file_source("d/a.txt", data, mode=0o100640))
    expected = DEFLATED if name == "jps" else (STORED if name == "zip" else DEFLATED) if method is None else method
    crc = zlib.crc32(data) if name == "zip" else 0
    assert (prepared.warning, prepared.too_large) == (None, False)
    assert prepared.head == Head(b"d/a.txt", EntryType.FILE, 0o100640, TIME)
    assert (prepared.content.size, prepared.content.crc) == (len(data), crc)
    assert ready.heads == [(prepared.head, prepared.content, len(data))]
    assert bytes(prepared.units[0].whole)[:2] in {b"JP", b"PK"}
    if data or name != "jps":
        assert prepared.content.method == expected
    if data:
        assert content_of(prepared, ready) == data
    if name != "jps":
        assert prepared.content.compressed_size == len(prepared.units[0].data)
        assert len(prepared.units) == 1
    else:
        assert prepared.content.compressed_size == sum(map(len, ready.pieces))
    assert line(prepared) == {
        "path": "d/a.txt", "type": "file", "size": len(data), "mode": "100640", "mtime": TIME,
        "blake3": blake3(data).hexdigest(),
    }  # fmt: skip


def test_content_of_jps_is_a_row_of_chunks(tmp_path: Path) -> None:
    ready = Ready(tmp_path, "jps")
    ready.writer.chunk_size = 10
    for size, lengths in ((0, []), (10, [10]), (11, [10, 1]), (30, [10, 10, 10])):
        ready.pieces.clear()
        prepared = ready(file_source("a", TEXT[:size]))
        assert [len(zlib.decompress(piece, -15)) for piece in ready.pieces] == lengths
        assert content_of(prepared, ready) == TEXT[:size] if size else not ready.pieces
        assert len(prepared.units) == 1 + len(lengths)
        assert prepared.units[0].data == b""
    ready.close()


def deflated(folder: Path, **changes: Any) -> Source:
    data = zlib.compress(TEXT, 9, -15)
    (folder / "deflated").write_bytes(data)
    values: dict[str, Any] = {"path": str(folder / "deflated"), "size": len(TEXT), "compressed_size": len(data),
              "crc32": zlib.crc32(TEXT), "blake3": blake3(TEXT).hexdigest()}  # fmt: skip
    return Source("site.sql", EntryType.FILE, 0o100600, TIME, deflated=DeflatedFile(**(values | changes)))


def test_content_that_was_deflated_before_is_taken_as_it_is(ready: Ready, name: str, tmp_path: Path) -> None:
    prepared = ready(deflated(tmp_path))
    assert prepared.head == Head(b"site.sql", EntryType.FILE, 0o100600, TIME)
    assert content_of(prepared, ready) == TEXT
    expected = {"size": len(TEXT), "mode": "100600", "blake3": blake3(TEXT).hexdigest()}
    assert {key: line(prepared)[key] for key in expected} == expected
    if name != "jps":
        packed = (tmp_path / "deflated").read_bytes()
        assert prepared.content == Content(DEFLATED, len(TEXT), len(packed), zlib.crc32(TEXT))
        assert bytes(prepared.units[0].data) == packed
        with pytest.raises(ArchiveError, match=r"deflated has \d+ bytes where 7 were written"):
            ready(deflated(tmp_path, compressed_size=7))
    with pytest.raises(ArchiveError, match="none cannot be read: No such file"):
        ready(deflated(tmp_path, path=str(tmp_path / "none")))


def test_a_file_is_read_with_its_mode_time_and_owner(ready: Ready, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT)
    path.chmod(0o600)
    os.utime(path, ns=(0, TIME * 10**9 + 5))
    source = Source("a.txt", EntryType.FILE, 0o100644, TIME, len(TEXT), file=str(path))
    prepared = ready(source)
    assert prepared.head == Head(b"a.txt", EntryType.FILE, 0o100600, TIME)
    found = line(prepared)
    assert (found["nanoseconds"], found["owner"].split(":")[0]) == (5, str(os.getuid()))
    path.write_bytes(TEXT + b"x")
    os.utime(path, (TIME + 9, TIME + 9))
    again = ready(source)
    assert (again.content.size, line(again)["mtime"]) == (len(TEXT) + 1, TIME + 9)
    path.unlink()
    gone = ready(source)
    assert (gone.head, gone.line, gone.units) == (None, b"", [])
    assert gone.warning == "cannot be read: No such file or directory"


def test_a_file_that_has_grown_too_large_is_packed_otherwise(
    ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstay.archives.codec.WHOLE_LIMIT", 10)
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT)
    prepared = ready(Source("a.txt", EntryType.FILE, 0o100644, TIME, 5, file=str(path)))
    assert (prepared.too_large, prepared.head, prepared.line, prepared.warning) == (True, None, b"", None)


def test_what_of_a_file_could_not_be_read_is_warned_of(
    ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstay.archives.content.read_attributes", lambda *_: (Attributes(), "lost something"))
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT)
    source = Source("a.txt", EntryType.FILE, 0o100644, int(path.stat().st_mtime), len(TEXT), file=str(path))
    prepared = ready(source)
    assert (prepared.warning, prepared.content.size, prepared.source) == ("lost something", len(TEXT), source)


def test_a_copy_has_the_owner_of_its_original(ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "copy").write_bytes(TEXT)
    monkeypatch.setattr(
        "backstay.archives.prepare.original_attributes",
        lambda source: (Attributes(7, f"1:2:{source.original}:", (), ""), "lost something"),
    )
    mtime = int((tmp_path / "copy").stat().st_mtime)
    source = Source("a", EntryType.FILE, 0o100644, mtime, len(TEXT), file=str(tmp_path / "copy"), original="first")
    prepared = ready(source)
    assert (line(prepared)["owner"], line(prepared)["nanoseconds"]) == ("1:2:first:", 7)
    folder = ready(Source("d", EntryType.DIRECTORY, 0o040700, TIME, original="second"))
    assert (line(folder)["owner"], folder.warning) == ("1:2:second:", "lost something")
    implied = ready(Source("d", EntryType.DIRECTORY, 0o040755, TIME, implied=True, original="third"))
    assert (line(implied)["owner"], implied.warning) == ("1:2:third:", "lost something")


def test_links_and_directories(ready: Ready, name: str) -> None:
    link = ready(Source("l", EntryType.SYMLINK, 0o120777, TIME, target="caf\udce9"))
    crc = zlib.crc32(b"caf\xe9") if name == "zip" else 0
    assert link.head == Head(b"l", EntryType.SYMLINK, 0o120777, TIME)
    assert link.content == Content(STORED, 4, 4, crc)
    assert ready.heads == [(link.head, link.content, 4)]
    assert (ready.pieces, len(link.units), link.units[0].data) == ([b"caf\xe9"], 2, b"")
    assert line(link) == {"path": "l", "type": "symlink", "size": 4, "mode": "120777", "mtime": TIME,
                          "target": "caf\udce9"}  # fmt: skip
    folder = ready(Source("d", EntryType.DIRECTORY, 0o040750, TIME))
    assert folder.head == Head(b"d", EntryType.DIRECTORY, 0o040750, TIME)
    assert (folder.content, len(folder.units), folder.warning) == (Content(STORED, 0, 0, 0), 1, None)
    assert line(folder) == {"path": "d", "type": "directory", "size": 0, "mode": "40750", "mtime": TIME}
    for target in ("", None):
        empty = ready(Source("l", EntryType.SYMLINK, 0o120777, TIME, target=target))
        assert (empty.warning, empty.head, empty.line) == ("is a link that points to nothing", None, b"")


@pytest.mark.parametrize(
    ("mode", "written"), [(0o040755, False), (0o755, False), (0o040750, True), (0o041755, True), (0o042755, True)]
)
def test_directories_that_others_imply_need_an_entry_only_for_their_mode(
    ready: Ready, mode: int, written: bool
) -> None:
    prepared = ready(Source("d", EntryType.DIRECTORY, mode, TIME, implied=True))
    assert (prepared.head is not None, bool(prepared.units)) == (written, written)
    assert line(prepared).get("implied", False) is not written
    assert (line(prepared)["mode"], line(prepared)["mtime"]) == (f"{mode:o}", TIME)


def test_what_cannot_be_stored_says_why(ready: Ready, name: str, tmp_path: Path) -> None:
    own = "has the name of the archive's own manifest"
    for path, words in ((piece_name(1), own), (POINTER, own), ("../a", "has a path that leads out of its folder")):
        prepared = ready(file_source(path, b"x"))
        assert (prepared.warning, prepared.head, prepared.line) == (words, None, b"")
    assert ready(file_source(piece_name(1) + ".txt", b"x")).warning is None
    ready.writer.largest = 100  # a small one, to be reached here
    assert ready(file_source("a", b"x" * 100)).warning is None
    for source in (file_source("a", b"x" * 101), deflated(tmp_path, size=101)):
        words = f"has 101 bytes: {name.upper()} holds files up to 100 bytes, choose another format to back it up"
        assert ready(source).warning == words


def test_a_batch_is_made_ready_in_order(ready: Ready) -> None:
    sources = [
        file_source("b", b"1"),
        file_source("../x", b"2"),
        Source("d", EntryType.DIRECTORY, 0o040700, TIME),
        Source("e", EntryType.DIRECTORY, 0o040755, TIME, implied=True),
        Source("l", EntryType.SYMLINK, 0o120777, TIME, target="a"),
        Source("m", EntryType.SYMLINK, 0o120777, TIME),
        file_source("a", b"3"),
    ]
    assert [prepared.source for prepared in ready.preparer.batch(sources)] == sources
