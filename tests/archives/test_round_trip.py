"""What goes into an archive comes out of it, in every format, whole and in parts."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archives.trees import TIME, begin, contents, file_source, fill, password_for, plant, scan, write
from backstay.archives import Compression, EntryType, Source, open_archive
from backstay.archives.registry import FORMATS

NAME_CHARACTERS = st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
NAMES = st.one_of(
    st.text(NAME_CHARACTERS, min_size=1, max_size=12),
    st.binary(min_size=1, max_size=12).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
).filter(lambda name: name not in {".", ".."} and "/" not in name and "\0" not in name)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join).filter(lambda path: not path.startswith("installation"))
DATA = st.one_of(
    st.binary(max_size=300),
    st.tuples(st.binary(min_size=1, max_size=20), st.integers(0, 12_000)).map(lambda pair: pair[0] * pair[1]),
    st.integers(1, 200_000).map(lambda size: bytes(i * i * 7 >> 3 & 255 for i in range(size))),
)
MODES = st.integers(0, 0o777)
TIMES = st.integers(1, (1 << 31) - 1)


@st.composite
def trees(draw: st.DrawFn) -> list[Source]:
    """Draw sources in which no path lies beneath one that is not a folder."""
    taken: dict[str, EntryType] = {}
    sources = []
    for path in draw(st.lists(PATHS, max_size=8, unique=True)):
        parents = ["/".join(path.split("/")[:count]) for count in range(1, path.count("/") + 1)]
        if path in taken or any(
            taken.get(parent, EntryType.DIRECTORY) is not EntryType.DIRECTORY for parent in parents
        ):
            continue
        taken.update(dict.fromkeys(parents, EntryType.DIRECTORY))
        kind = draw(st.sampled_from(EntryType))
        taken[path] = kind
        mode, mtime = draw(MODES), draw(TIMES)
        if kind is EntryType.FILE:
            sources.append(file_source(path, draw(DATA), mode=0o100000 | mode, mtime=mtime))
        elif kind is EntryType.SYMLINK:
            sources.append(Source(path, kind, 0o120777, mtime, target=draw(NAMES)))
        else:
            sources.append(Source(path, kind, 0o040000 | mode, mtime))
    return sources


@settings(max_examples=60)
@given(
    sources=trees(),
    format_name=st.sampled_from(FORMATS),
    part_size=st.one_of(st.just(0), st.integers(65536, 150_000)),
    compression=st.sampled_from(Compression),
    password=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_any_tree_survives(
    sources: list[Source], format_name: str, part_size: int, compression: Compression, password: str
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        from backstay.archives import create_archive

        secret = password if format_name == "jps" else None
        writer = create_archive(
            folder / f"a.{format_name}",
            format=format_name,
            work_directory=folder,
            part_size=part_size,
            password=secret,
            compression=compression,
        )
        summary = fill(writer, sources)
        assert all(part.stat().st_size <= part_size + 17 for part in summary.parts) or not part_size
        with open_archive(summary.parts[-1], password=secret) as archive:
            report = archive.verify()
            assert report.problems == []
            assert report.manifest_hash == summary.manifest_hash
            entries = {entry.path: entry for entry in archive if not entry.path.startswith("installation/backstay/")}
            assert set(entries) == {source.path for source in sources}
            for source in sources:
                entry = entries[source.path]
                assert (entry.type, entry.target) == (source.type, source.target)
                if source.data is not None:
                    assert b"".join(archive.read(entry)) == source.data
                    assert entry.mtime == source.mtime
                if source.type is not EntryType.SYMLINK:
                    assert (entry.mode or 0) & 0o7777 == source.mode & 0o7777


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    plant(root)
    return root


@pytest.mark.parametrize("part_size", [0, 65536, 1_000_003])
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_folder_is_given_back_with_every_mode_time_and_link(
    tree: Path, tmp_path: Path, format_name: str, part_size: int
) -> None:
    summary = write(tmp_path, format_name, scan(tree), part_size=part_size)
    assert (len(summary.parts) > 1) == bool(part_size)
    assert summary.total_size == sum(part.stat().st_size for part in summary.parts)
    assert all(part.stat().st_mode & 0o777 == 0o600 for part in summary.parts)
    assert list((tmp_path / "work").iterdir()) == []
    with open_archive(summary.parts[0], password=password_for(format_name)) as archive:
        assert archive.parts == summary.parts
        report = archive.verify()
        assert (report.problems, report.used_manifest) == ([], True)
        extracted = archive.extract(tmp_path / "out")
    assert extracted.refused == 0
    assert contents(tmp_path / "out") == contents(tree)


@pytest.mark.parametrize("compression", Compression)
def test_a_stronger_compression_makes_a_smaller_archive_of_the_same_content(
    tree: Path, tmp_path: Path, compression: Compression
) -> None:
    summary = write(tmp_path / compression.value, "jpa", scan(tree), compression=compression)
    plain = write(tmp_path / "plain", "jpa", scan(tree), store_above=0)
    assert summary.total_size < plain.total_size * 0.7
    with open_archive(summary.parts[-1]) as archive:
        assert archive.verify().ok


def test_what_does_not_shrink_is_stored(tree: Path, tmp_path: Path) -> None:
    summary = write(tmp_path, "jpa", scan(tree))
    with open_archive(summary.parts[-1]) as archive:
        photo, large, text = (archive.entry(path) for path in ("images/photo.jpg", "large.bin", "large.sql"))
    assert photo.compressed_size == photo.size
    assert large.compressed_size == large.size
    assert text.compressed_size < text.size / 3


def test_a_large_file_above_the_limit_is_stored_and_below_it_deflated(tmp_path: Path) -> None:
    data = b"the same line again and again\n" * 200_000
    sources = [file_source("a.log", data), file_source("b.log", data[: 1 << 20])]
    summary = write(tmp_path, "jpa", sources, store_above=5 << 20)
    with open_archive(summary.parts[-1]) as archive:
        first, second = archive.entry("a.log"), archive.entry("b.log")
        assert first.compressed_size == first.size
        assert second.compressed_size < second.size / 10


def test_directories_with_their_usual_mode_have_no_entry_but_their_time_comes_back(tmp_path: Path) -> None:
    sources = [
        Source("usual", EntryType.DIRECTORY, 0o040755, TIME, implied=True),
        file_source("usual/a.txt", b"a"),
        Source("shared", EntryType.DIRECTORY, 0o040770, TIME + 1, implied=True),
        file_source("shared/b.txt", b"b"),
    ]
    summary = write(tmp_path, "jpa", sources)
    with open_archive(summary.parts[-1]) as archive:
        assert [entry.path for entry in archive][:3] == ["usual/a.txt", "shared", "shared/b.txt"]
        archive.extract(tmp_path / "out")
    found = contents(tmp_path / "out")
    assert (found["usual"].mode, found["usual"].mtime) == (0o755, TIME)
    assert (found["shared"].mode, found["shared"].mtime) == (0o770, TIME + 1)


def test_times_before_1970_and_after_2106_come_back(tmp_path: Path) -> None:
    times = [-86_400, 0, 1 << 31, 1 << 32, 4_300_000_000]
    for format_name in FORMATS:
        sources = [file_source(f"{index}.txt", b"x", mtime=mtime) for index, mtime in enumerate(times)]
        summary = write(tmp_path / format_name, format_name, sources)
        with open_archive(summary.parts[-1], password=password_for(format_name)) as archive:
            assert archive.verify().problems == []
            archive.extract(tmp_path / format_name / "out")
        found = contents(tmp_path / format_name / "out")
        assert [found[f"{index}.txt"].mtime for index in range(len(times))] == times


def test_an_archive_of_nothing_is_an_archive(tmp_path: Path) -> None:
    for format_name in FORMATS:
        summary = write(tmp_path / format_name, format_name, [])
        assert summary.entries == 0
        with open_archive(summary.parts[-1], password=password_for(format_name)) as archive:
            assert archive.verify().ok
            assert list(archive.manifest()) == []


def test_the_comment_of_a_zip_is_kept(tmp_path: Path) -> None:
    summary = fill(begin(tmp_path, "zip", comment="Before the update"), [])
    with open_archive(summary.parts[-1]) as archive:
        assert archive.comment == "Before the update"
