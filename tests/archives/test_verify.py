"""What verification says of an archive whose entries are not what its manifest says, one difference at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from archives.trees import TIME, file_source, write
from backstay.archives import Entry, EntryType, Limits, ManifestLine, Source, VerifyReport, open_archive
from backstay.archives.entries import ExtractProgress
from backstay.archives.manifest import ManifestLines, piece_name
from backstay.archives.verify import verify
from backstay.errors import DamagedArchiveError
from backstay.steps import finished

Change = Callable[[Iterator[Entry]], Iterable[Entry]]
DIRECTORY, FILE, LINK = EntryType.DIRECTORY, EntryType.FILE, EntryType.SYMLINK


@dataclass
class Changed:
    """A reader whose entries are told otherwise than the archive has them."""

    reader: Any
    change: Change

    def __getattr__(self, name: str) -> Any:
        return getattr(self.reader, name)

    def entries(self) -> Iterable[Entry]:
        """Tell the entries."""
        return self.change(self.reader.entries())


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of one of each."""
    sources = [
        file_source("a.txt", b"Hello", mode=0o100640),
        Source("d", DIRECTORY, 0o040700, TIME),
        Source("l", LINK, 0o120777, TIME, target="a.txt"),
        file_source("z.txt", b"z" * 1000),
    ]
    return write(tmp_path_factory.mktemp("made"), "jpa", sources).parts[-1]


def verified(
    archive: Path,
    change: Change = iter,
    lines: Callable[[Iterator[ManifestLine]], Iterable[ManifestLine]] | None = None,
    *,
    limits: Limits | None = None,
    progress: list[ExtractProgress] | None = None,
) -> VerifyReport:
    """Verify an archive with its entries or the lines of its manifest changed."""
    with open_archive(archive) as opened:
        reader = Changed(opened._reader, change)

        def lines_of(entries: list[Entry]) -> ManifestLines:
            found = opened._lines(entries)
            if lines is None:
                return found
            changed = type("Lines", (), {"hash": "changed", "__iter__": lambda _: iter(lines(iter(found)))})
            return cast("ManifestLines", changed())

        steps = verify(cast("Any", reader), cast("Any", reader), limits or Limits(), lines_of, workers=1)
        return finished(steps, (progress if progress is not None else []).append)


def problems(report: VerifyReport) -> list[tuple[str | None, str]]:
    return [(problem.path, problem.message) for problem in report.problems]


def one(path: str, /, **changes: Any) -> Change:
    """Tell one entry otherwise."""
    return lambda entries: (replace(entry, **changes) if entry.path == path else entry for entry in entries)


def line(path: str, /, **changes: Any) -> Callable[[Iterator[ManifestLine]], Iterable[ManifestLine]]:
    """Tell one line of the manifest otherwise."""
    return lambda lines: (replace(found, **changes) if found.path == path else found for found in lines)


def test_a_whole_archive_is_counted_and_proven(archive: Path) -> None:
    progress: list[ExtractProgress] = []
    report = verified(archive, progress=progress)
    with open_archive(archive) as opened:
        entries = list(opened)
        lines = opened._lines([entry for entry in entries if entry.path == piece_name(1)])
        assert len(list(lines)) == 5
    size = sum(entry.size for entry in entries)
    assert report == VerifyReport(len(entries), size, [], True, lines.hash)
    assert report.ok
    assert progress[-1] == ExtractProgress(len(entries), size, entries[-1].path, size)


def test_an_archive_without_a_manifest_is_read_all_the_same(archive: Path) -> None:
    report = verified(archive, lambda entries: [entry for entry in entries if "installation" not in entry.path])
    assert (report.entries, report.bytes, report.used_manifest, report.manifest_hash) == (4, 1010, False, None)


@pytest.mark.parametrize(
    ("path", "changes", "words"),
    [
        ("a.txt", {"mode": 0o100644}, "permissions are 644 where the manifest says 640"),
        ("a.txt", {"mode": 0o104640}, "permissions are 4640 where the manifest says 640"),
        ("d", {"mode": 0o040701}, "permissions are 701 where the manifest says 700"),
        ("a.txt", {"mtime": TIME + 1}, f"time is {TIME + 1} where the manifest says {TIME}"),
        ("a.txt", {"mtime": None}, f"time is None where the manifest says {TIME}"),
        ("z.txt", {"mtime": TIME - 2}, f"time is {TIME - 2} where the manifest says {TIME}"),
        ("a.txt", {"mode": None}, None),
        ("a.txt", {"mode": 0o640}, None),
        ("d", {"mtime": TIME + 1}, None),
        ("l", {"mode": 0o120700, "mtime": TIME + 1}, None),
    ],
)
def test_a_difference_is_damage_where_the_format_says_it(
    archive: Path, path: str, changes: dict[str, Any], words: str | None
) -> None:
    expected = [(path, f"The entry {path} is damaged: its {words}.")] if words else []
    assert problems(verified(archive, one(path, **changes))) == expected


@pytest.mark.parametrize(
    ("time", "compared"), [(1, True), ((1 << 31) - 1, True), (0, False), (-1, False), (1 << 31, False)]
)
def test_times_that_some_format_cannot_hold_are_not_compared(archive: Path, time: int, compared: bool) -> None:
    assert verified(archive, lines=line("a.txt", mtime=time)).ok is not compared


def test_entries_too_many_or_missing_are_named(archive: Path) -> None:
    assert problems(verified(archive, lambda entries: [entry for entry in entries if entry.path != "d"])) == [
        ("d", "The entry d is missing: the manifest lists it.")
    ]
    assert problems(verified(archive, one("d", path="other"))) == [
        ("other", "The entry other is not in the manifest."),
        ("d", "The entry d is missing: the manifest lists it."),
    ]


def test_only_files_are_the_manifests_own(archive: Path) -> None:
    """A folder or link in the place of one would be taken by an extraction for what it is."""
    name = piece_name(7)
    for path in ("d", "l"):
        assert (name, f"The entry {name} is not in the manifest.") in problems(verified(archive, one(path, path=name)))


def test_totals_that_do_not_match_are_told_of_the_archive(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []

    def wrong_totals(size: int, compressed_size: int) -> str:
        given.append((size, compressed_size))
        return "is not what it says"

    with open_archive(archive) as opened:
        monkeypatch.setattr(opened._reader, "wrong_totals", wrong_totals)
        report = opened.verify(workers=1)
        entries = list(opened)
    assert problems(report) == [(None, f"{archive} is not what it says.")]
    assert given == [(sum(entry.size for entry in entries), sum(entry.compressed_size for entry in entries))]


def test_damaged_content_and_what_cannot_be_read_are_told_apart(archive: Path) -> None:
    (path, message), *more = problems(verified(archive, lines=line("z.txt", blake3="0" * 64)))
    assert (path, more) == ("z.txt", [])
    assert message.startswith("The entry z.txt is damaged: ")

    def unreadable(entries: Iterator[Entry]) -> Iterator[Entry]:
        for entry in entries:
            assert entry.location is not None
            location = replace(entry.location, unsupported="is encrypted") if entry.path == "z.txt" else entry.location
            yield replace(entry, location=location)

    assert problems(verified(archive, unreadable)) == [("z.txt", "The entry z.txt is encrypted.")]


def test_paths_that_would_be_refused_are_told(archive: Path) -> None:
    (extra, unsafe, missing) = problems(verified(archive, one("z.txt", path="../z.txt")))
    assert (extra[0], unsafe[0], missing[0]) == ("../z.txt", "../z.txt", "z.txt")
    assert "leads out of its folder" in unsafe[1]


def test_what_goes_beyond_a_limit_or_ends_early_is_told_and_ends_it(archive: Path) -> None:
    report = verified(archive, limits=Limits(entries=2))
    assert [path for path, _ in problems(report)] == [None]
    assert (report.entries, report.used_manifest) == (0, False)

    walks = 0

    def cut(entries: Iterator[Entry]) -> Iterator[Entry]:
        nonlocal walks
        walks += 1
        for number, entry in enumerate(entries):
            if walks == 2 and number == 2:
                raise DamagedArchiveError("The archive is cut short.")
            yield entry

    assert problems(verified(archive, cut))[-1] == (None, "The archive is cut short.")


def test_at_most_a_thousand_problems_are_kept(archive: Path) -> None:
    def many(entries: Iterator[Entry]) -> Iterator[Entry]:
        found = list(entries)
        yield from (replace(found[0], path=f"{number}") for number in range(1001))
        yield from found

    assert len(verified(archive, many).problems) == 1000
