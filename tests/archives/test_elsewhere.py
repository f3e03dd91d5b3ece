"""Archives whose parts lie elsewhere: what is read of them, how it is read, and that positions are not trusted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from blake3 import blake3

from archives.trees import begin, contents, file_source, fill, password_for, plant, scan, write
from backstay.archives import ArchiveReader, EntryType, Source, find_parts, manifest, open_archive, open_parts
from backstay.archives.buffered_stream import BLOCK, BufferedStream
from backstay.errors import ConnectionFailedError, DamagedArchiveError, NotFoundError

FORMATS = ("jpa", "jps", "zip")


class Elsewhere:
    """Parts that lie elsewhere, with every read counted; some reads can be made to fail."""

    is_remote = True
    may_fork = False
    descriptors: tuple[int, ...] = ()

    def __init__(self, archive: Path) -> None:
        self._paths = find_parts(archive)
        self.parts: Sequence[tuple[str, int]] = [(path.name, path.stat().st_size) for path in self._paths]
        self.reads = 0
        self.bytes = 0
        self.fails: Callable[[], bool] = lambda: False
        self._lock = threading.Lock()

    def read(self, part: int, offset: int, size: int) -> bytes:
        with self._lock:
            self.reads += 1
            self.bytes += size
        if self.fails():
            raise ConnectionFailedError("The place can't be reached: try again later.")
        with self._paths[part].open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def close(self) -> None:
        self.parts = ()


def opened(archive: Path, format_name: str) -> tuple[Elsewhere, ArchiveReader]:
    source = Elsewhere(archive)
    return source, open_parts(source, password=password_for(format_name))


@pytest.mark.parametrize("part_size", [0, 1 << 16], ids=["single", "split"])
@pytest.mark.parametrize("format_name", FORMATS)
def test_an_archive_elsewhere_is_listed_verified_and_extracted_like_one_here(
    tmp_path: Path, format_name: str, part_size: int
) -> None:
    plant(tmp_path / "site")
    archive = write(tmp_path / "archive", format_name, scan(tmp_path / "site"), part_size=part_size).parts[-1]
    _, reader = opened(archive, format_name)
    with reader, open_archive(archive, password=password_for(format_name)) as here:
        there = [(entry.path, entry.type, entry.size, entry.target) for entry in reader]
        assert there == [(entry.path, entry.type, entry.size, entry.target) for entry in here]
        assert list(reader.manifest()) == list(here.manifest())
        assert reader.verify() == here.verify()
        assert reader.verify().ok
        reader.extract(tmp_path / "back", special_modes=True)
        for entry in here:
            if entry.type is EntryType.FILE:
                assert b"".join(reader.read_path(entry.path)) == b"".join(here.read(entry))
    assert contents(tmp_path / "back") == contents(tmp_path / "site")


@pytest.mark.parametrize("part_size", [0, 5 << 20], ids=["single", "split"])
@pytest.mark.parametrize("format_name", FORMATS)
def test_one_file_of_an_archive_elsewhere_moves_little_more_than_itself(
    tmp_path: Path, format_name: str, part_size: int
) -> None:
    noise = blake3(b"noise").digest(length=64 << 10)
    sources = [file_source(f"files/{number:04}.bin", noise + bytes([number % 251])) for number in range(400)]
    summary = write(tmp_path, format_name, sources, part_size=part_size)
    source, reader = opened(summary.parts[-1], format_name)
    with reader:
        assert b"".join(reader.read_path("files/0200.bin")) == noise + bytes([200])
        assert source.bytes <= 8 * BLOCK < summary.total_size / 10
        assert source.reads <= 8
        assert len(list(reader)) == 402
        assert source.bytes <= 8 * BLOCK


@pytest.mark.parametrize("format_name", FORMATS)
def test_everything_is_read_in_large_pieces_and_once(tmp_path: Path, format_name: str) -> None:
    noise = blake3(b"noise").digest(length=100 << 10)
    sources = [file_source(f"{number:04}.bin", noise + bytes([number % 251])) for number in range(300)]
    summary = write(tmp_path, format_name, sources)
    source, reader = opened(summary.parts[-1], format_name)
    with reader:
        assert reader.verify(workers=3).ok
    assert source.bytes < 1.1 * summary.total_size
    assert source.reads < 30


@pytest.mark.parametrize("format_name", FORMATS)
def test_an_archive_without_positions_is_walked_over(
    tmp_path: Path, format_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstay.archives.manifest.with_position", lambda line, _: line)
    monkeypatch.setattr("backstay.archives.manifest.POINTER", "installation/backstay/other.json")
    archive = write(tmp_path, format_name, [file_source("a.txt", b"A" * 1000), file_source("b.txt", b"B")]).parts[-1]
    monkeypatch.undo()
    _, reader = opened(archive, format_name)
    with reader:
        assert b"".join(reader.read_path("b.txt")) == b"B"
        assert reader.has_manifest
        assert reader.verify().ok


@pytest.mark.parametrize("format_name", FORMATS)
def test_positions_are_those_of_the_headers(tmp_path: Path, format_name: str) -> None:
    plant(tmp_path / "site")
    for part_size in (0, 1 << 16):
        folder = tmp_path / str(part_size)
        archive = write(folder, format_name, scan(tmp_path / "site"), part_size=part_size).parts[-1]
        data = b"".join(path.read_bytes() for path in find_parts(archive))
        with open_archive(archive, password=password_for(format_name)) as reader:
            lines = [line for line in reader.manifest() if not line.implied and line.path != manifest.POINTER]
            signature = b"PK\3\4" if format_name == "zip" else b"JPF"
            assert all(line.at is not None and data[line.at : line.at + len(signature)] == signature for line in lines)


def _lying(archive: Path, change: Callable[[bytes], bytes]) -> Path:
    """Change the manifest of an archive whose content is stored as it is."""
    data = archive.read_bytes()
    changed = change(data)
    assert len(changed) == len(data)
    assert changed != data
    archive.write_bytes(changed)
    return archive


def test_a_position_that_leads_to_another_entry_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[int] = []

    def swapped(line: bytes, position: int) -> bytes:
        places.append(position)
        return line[:-2] + b',"at":%d}\n' % (position + (1 if len(places) == 2 else 0))

    monkeypatch.setattr("backstay.archives.manifest.with_position", swapped)
    sources = [file_source(name, name.encode()) for name in ("a.txt", "b.txt", "c.txt")]
    archive = write(tmp_path, "jpa", sources).parts[-1]
    _, reader = opened(archive, "jpa")
    with reader:
        assert b"".join(reader.read_path("c.txt")) == b"c.txt"
        with pytest.raises(DamagedArchiveError, match=r"b\.txt"):
            list(reader.read_path("b.txt"))
        with pytest.raises(DamagedArchiveError, match=r"b\.txt is damaged"):
            reader.extract(tmp_path / "back")
        assert (tmp_path / "back" / "c.txt").read_bytes() == b"c.txt"
        assert not (tmp_path / "back" / "b.txt").exists()


def test_positions_out_of_order_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.archives.manifest.with_position", lambda line, _: line[:-2] + b',"at":19}\n')
    archive = write(tmp_path, "jpa", [file_source("a", b"a"), file_source("b", b"b")]).parts[-1]
    _, reader = opened(archive, "jpa")
    with reader, pytest.raises(DamagedArchiveError, match="does not say where"):
        list(reader)


def test_content_that_is_not_what_the_manifest_says_is_reported(tmp_path: Path) -> None:
    noise = blake3(b"noise").digest(length=5000)
    archive = write(tmp_path, "jpa", [file_source("a.bin", noise)]).parts[-1]
    _lying(archive, lambda data: data.replace(noise[100:120], bytes(20)))
    for reader in (open_archive(archive), opened(archive, "jpa")[1]):
        with reader, pytest.raises(DamagedArchiveError, match=r"a\.bin .*not what the manifest says"):
            list(reader.read_path("a.bin"))


def test_a_pointer_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    archive = write(tmp_path, "jpa", [file_source("a.txt", b"a")]).parts[-1]
    start = archive.read_bytes().rindex(b'{"manifest":') + 12
    data = bytearray(archive.read_bytes())
    data[start] = ord("9") if data[start] != ord("9") else ord("8")
    archive.write_bytes(data)
    _, reader = opened(archive, "jpa")
    with reader:
        assert b"".join(reader.read_path("a.txt")) == b"a"
        assert not reader.verify().ok


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    archive = write(tmp_path, "jpa", [file_source("a/b", b"a"), Source("d", EntryType.DIRECTORY, 0o40700, 1)]).parts[-1]
    _, reader = opened(archive, "jpa")
    with reader:
        with pytest.raises(NotFoundError, match="has no entry nothing"):
            list(reader.read_path("nothing"))
        with pytest.raises(NotFoundError, match="is a directory"):
            list(reader.read_path("d"))


def test_a_read_that_failed_can_be_repeated(tmp_path: Path) -> None:
    archive = write(tmp_path, "jpa", [file_source("a.txt", b"a")]).parts[-1]
    source, reader = opened(archive, "jpa")
    with reader:
        answers = iter([True])
        source.fails = lambda: next(answers, False)
        stream = BufferedStream(source)
        with pytest.raises(ConnectionFailedError):
            stream.read(0, 10)
        assert stream.read(0, 3) == b"JPA"
        stream.close()


def test_a_site_file_with_the_name_of_the_pointer_is_left_out(tmp_path: Path) -> None:
    warnings: list[object] = []
    sources = [file_source("installation/backstay/manifest.json", b"{}"), file_source("a", b"a")]
    archive = fill(begin(tmp_path, "jpa"), sources, warnings.append).parts[-1]
    assert len(warnings) == 1
    with open_archive(archive) as reader:
        assert reader.verify().ok
