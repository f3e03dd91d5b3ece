"""What is kept on this machine of handed-out archives: it makes them fast, and is nowhere needed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.archives import EntryType, ManifestLine, manifest
from backstay.archives.formats import DEFLATED, STORED, Content, Head
from backstay.archives.zip.layout import pack_central, with_place
from backstay.errors import DamagedRepositoryError
from backstay.repository import archive_planning, entry_formats
from backstay.repository.archive_bytes import hand_out
from backstay.repository.entry_blocks import EntryBlock, make_block
from backstay.repository.entry_formats import Form, Format
from backstay.repository.layout import Snapshot
from backstay.repository.lines import Line, segments
from backstay.repository.opened import Repository
from backstay.repository.pruning import prune
from backstay.repository.writing import SnapshotWriter
from repository.places import TIME, all_files, created, files_of, fill, opened, pack_files, take
from repository.plain_archive import PlainArchive

FORMS = [Form(name, part_size, "a comment") for name in ("jpa", "zip") for part_size in (0, 65_536, 1 << 30)]
FILES = files_of(3, 200, large=200_000)


@pytest.fixture(params=[None, "secret"], ids=["plain", "encrypted"])
def passphrase(request: pytest.FixtureRequest) -> str | None:
    """Give what the repository is made with."""
    given: str | None = request.param
    return given


def whole(repository: Repository, snapshot: Snapshot, form: Form) -> bytes:
    """Give all parts of a handed-out archive."""
    return b"".join(hand_out(repository, snapshot, form, "site").stream(0, 1 << 40))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_an_archive_has_the_bytes_that_the_plain_way_gives(
    form: Form, passphrase: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_formats, "STORE_ABOVE", 150_000)
    monkeypatch.setattr(manifest, "PIECE_SIZE", 20_000)
    with created(tmp_path, passphrase=passphrase) as repository:
        writer = SnapshotWriter(repository, workers=2)
        writer.add(ManifestLine("implied", EntryType.DIRECTORY, 0, 0o040755, TIME, implied=True))
        fill(writer, FILES)
        snapshot = writer.finish({})
        expected = [bytes(part) for part in PlainArchive(repository, snapshot, form).parts]
        for _ in range(2):
            archive = hand_out(repository, snapshot, form, "site")
            assert [size for _, size in archive.parts] == [len(part) for part in expected]
            assert [b"".join(archive.stream_part(number)) for number in range(len(expected))] == expected


def test_a_second_opening_reads_nothing_of_the_repository(
    passphrase: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with created(tmp_path, passphrase=passphrase) as repository:
        snapshot = take(repository, FILES)
        expected = whole(repository, snapshot, FORMS[0])
    with opened(tmp_path, passphrase=passphrase) as repository:
        with monkeypatch.context() as patch:
            patch.setattr(repository.store, "read", lambda *_: pytest.fail("something was read"))
            archive = hand_out(repository, snapshot, FORMS[0], "site")
        assert b"".join(archive.stream(0, 1 << 40)) == expected


def test_two_backups_share_what_is_kept_of_their_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with created(tmp_path) as repository:
        whole(repository, take(repository, FILES), FORMS[0])
        made = []

        def counted(lines: list[Line], form: Format) -> EntryBlock:
            made.append(len(lines))
            return make_block(lines, form)

        monkeypatch.setattr(archive_planning, "make_block", counted)
        changed = {**FILES, "folder 1/file-001.txt": b"something else"}
        snapshot = take(repository, changed)
        whole(repository, snapshot, FORMS[0])
        assert len(made) == 1


def test_names_in_an_encrypted_repository_are_in_no_file_of_the_cache(tmp_path: Path) -> None:
    with created(tmp_path, passphrase="secret") as repository:
        whole(repository, take(repository, {"a-telling-name": b"content"}), FORMS[0])
    kept = b"".join(path.read_bytes() for path in (tmp_path / "state").glob("layouts*"))
    assert kept
    assert b"a-telling-name" not in kept


@pytest.mark.parametrize("spoil", ["cut", "flipped", "rows", "missing", "folder", "older"])
def test_a_damaged_cache_is_made_again(spoil: str, passphrase: str | None, tmp_path: Path) -> None:
    with created(tmp_path, passphrase=passphrase) as repository:
        snapshot = take(repository, FILES)
        expected = whole(repository, snapshot, FORMS[3])
    spoil_cache(tmp_path / "state/layouts.sqlite", spoil)
    for _ in range(2):
        with opened(tmp_path, passphrase=passphrase) as repository:
            assert whole(repository, snapshot, FORMS[3]) == expected


def spoil_cache(path: Path, how: str) -> None:
    """Damage a cache of archives that nobody has open."""
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "flipped":
        path.write_bytes(bytes(255 - byte if number % 997 == 0 else byte for number, byte in enumerate(content)))
    elif how == "missing":
        path.unlink()
    elif how == "folder":
        path.unlink()
        path.mkdir()
    else:
        with sqlite3.connect(path) as connection:
            if how == "older":
                connection.execute("UPDATE about SET value = '0' WHERE name = 'version'")
            else:
                for table in ("blocks", "places", "layouts"):
                    found = connection.execute(f"SELECT key, data FROM {table}").fetchall()
                    spoiled = [(data[:-9] + bytes(9), key) for key, data in found]
                    connection.executemany(f"UPDATE {table} SET data = ? WHERE key = ?", spoiled)
        connection.close()


def test_chunks_that_lie_elsewhere_after_a_prune_are_found(tmp_path: Path) -> None:
    with created(tmp_path) as repository, opened(tmp_path, state="other") as other:
        first = take(repository, files_of(1, 60))
        second = take(repository, dict(list(files_of(1, 60).items())[:9]))
        expected = whole(other, second, FORMS[0])
        before = set(pack_files(tmp_path))
        repository.remove_snapshot(first.id)
        prune(repository)
        assert not before <= set(pack_files(tmp_path))
        assert whole(other, second, FORMS[0]) == expected
        assert whole(repository, second, FORMS[0]) == expected


def test_pruning_forgets_what_is_kept_of_backups_that_are_gone(tmp_path: Path) -> None:
    with created(tmp_path) as repository:
        first, second = take(repository, files_of(1, 60)), take(repository, {"one": b"file"})
        for snapshot in (first, second):
            whole(repository, snapshot, FORMS[0])
        repository.remove_snapshot(first.id)
        prune(repository)
        left = len(list(segments(repository, second)))
    with sqlite3.connect(tmp_path / "state/layouts.sqlite") as connection:
        assert connection.execute("SELECT snapshot FROM layouts").fetchall() == [(second.id,)]
        assert connection.execute("SELECT count(*) FROM blocks").fetchone() == (left,)
    connection.close()


def test_a_range_beside_a_damaged_chunk_is_read(tmp_path: Path) -> None:
    with created(tmp_path) as repository:
        snapshot = take(repository, {f"file-{number}": bytes([number]) * 9 for number in range(5)})
        archive = hand_out(repository, snapshot, FORMS[0], "site")
        expected = b"".join(archive.stream(0, 1 << 40))
        for path in all_files(tmp_path):
            if path.parent.name == "packs":
                content = bytearray(path.read_bytes())
                content[24 + 2] ^= 1
                path.write_bytes(content)
        (bad,) = [at for at in range(len(expected)) if not readable(archive.stream, at, at + 1)][:1]
        assert b"".join(archive.stream(0, bad)) == expected[:bad]


def readable(stream: Callable[[int, int], Iterator[bytes]], start: int, end: int) -> bool:
    """Say whether a range can be read."""
    try:
        list(stream(start, end))
    except DamagedRepositoryError:
        return False
    return True


HEADS = st.builds(
    Head,
    st.binary(min_size=1, max_size=30).filter(lambda path: 0 not in path),
    st.sampled_from([EntryType.FILE, EntryType.DIRECTORY, EntryType.SYMLINK]),
    st.sampled_from([0o100644, 0o040755, 0o120777]),
    st.integers(0, 1 << 33),
)
SIZES = st.one_of(st.integers(0, 1 << 20), st.integers((1 << 32) - (1 << 21), 1 << 34))


@settings(max_examples=300, deadline=None)
@given(
    HEADS,
    st.builds(Content, st.sampled_from([STORED, DEFLATED]), SIZES, SIZES, st.integers(0, (1 << 32) - 1)),
    st.sampled_from([0, 1, 65_534, 65_535, 65_536, 1 << 20]),
    st.sampled_from([0, 1, (1 << 32) - 2, (1 << 32) - 1, 1 << 32, 1 << 40]),
)
def test_a_record_that_is_moved_is_the_record_of_that_place(
    head: Head, content: Content, disk: int, offset: int
) -> None:
    largest = max(content.size, content.compressed_size)
    made = pack_central(head, content, largest, 0, 0)
    assert with_place(made, disk, offset) == pack_central(head, content, largest, disk, offset)
