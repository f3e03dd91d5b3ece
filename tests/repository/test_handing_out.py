"""A snapshot as a JPA or ZIP archive: read by everything, the same bytes every time, any range of them at once."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay import processes
from backstay.archives import EntryType, ManifestLine, open_archive, open_parts
from backstay.errors import UsageError
from backstay.processes import ProcessPool, Task
from backstay.repository import entry_formats
from backstay.repository.archive_bytes import SnapshotArchive, hand_out
from backstay.repository.entry_formats import Form
from backstay.repository.opened import Repository
from backstay.repository.writing import SnapshotWriter
from repository.places import TIME, created, files_of, fill, opened

FORMS = [Form(name, part_size, "a comment") for name in ("jpa", "zip") for part_size in (0, 65_536, 100_000, 1 << 30)]
FILES = files_of(1, 300, large=200_000)
LARGEST = 150_000


class Site:
    """A repository with a snapshot of files, one of which is larger than what PHP inflates in memory."""

    def __init__(self, folder: Path, passphrase: str | None) -> None:
        self.folder = folder
        self.passphrase = passphrase
        self.repository: Repository = created(folder, passphrase=passphrase)
        writer = SnapshotWriter(self.repository, workers=2)
        writer.add(ManifestLine("implied", EntryType.DIRECTORY, 0, 0o040755, TIME, implied=True))
        fill(writer, FILES)
        name = b"no utf-8 \xff\xfe.txt".decode("utf-8", "surrogateescape")
        writer.add_file(ManifestLine(name, EntryType.FILE, 0, 0o100600, TIME), iter((b"bytes",)))
        self.snapshot = writer.finish({})

    def archive(self, form: Form) -> SnapshotArchive:
        return hand_out(self.repository, self.snapshot, form, "site")


@pytest.fixture(scope="module", params=[None, "secret"], ids=["plain", "encrypted"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the repository; what is larger than `LARGEST` is handed out stored."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entry_formats, "STORE_ABOVE", LARGEST)
        made = Site(tmp_path_factory.mktemp("site"), request.param)
        yield made
        made.repository.close()


def written(archive: SnapshotArchive, folder: Path) -> Path:
    """Write a handed-out archive into a folder; give its main file."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number, (name, size) in enumerate(archive.parts):
        (folder / name).write_bytes(b"".join(archive.stream_part(number)))
        assert (folder / name).stat().st_size == size
    return folder / archive.parts[-1][0]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_it_verifies_and_extracts_equal_to_what_was_put_in(site: Site, form: Form, tmp_path: Path) -> None:
    main = written(site.archive(form), tmp_path / "out")
    with open_archive(main) as archive:
        report = archive.verify()
        assert (report.problems, report.used_manifest) == ([], True)
        archive.extract(tmp_path / "back")
        assert len(list(archive)) == len(FILES) + 3 + 2
    for path, content in FILES.items():
        assert (tmp_path / "back" / path).read_bytes() == content
    assert (tmp_path / "back/latest").readlink() == Path("empty")
    if form.part_size:
        assert all(size <= form.part_size for _, size in site.archive(form).parts)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_it_has_the_same_bytes_on_every_machine(site: Site, form: Form, tmp_path: Path) -> None:
    shutil.copytree(site.folder / "place", tmp_path / "place")
    with opened(tmp_path, passphrase=site.passphrase) as repository:
        other = hand_out(repository, repository.snapshot(site.snapshot.id), form, "site")
        assert other.parts == site.archive(form).parts
        assert list(other.stream(0, 1 << 40))
        assert b"".join(other.stream(0, 1 << 40)) == b"".join(site.archive(form).stream(0, 1 << 40))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_range_is_a_slice_of_the_whole(site: Site, form: Form) -> None:
    archive = site.archive(form)
    whole = b"".join(archive.stream(0, archive.layout.length))
    assert len(whole) == archive.layout.length == sum(size for _, size in archive.parts)
    interesting = [0, *archive.layout.parts, *archive.layout.starts, *archive.layout.records]
    interesting += [archive.layout.pointer_at, archive.layout.own_records_at, archive.layout.ending_at, len(whole)]
    interesting += [piece.at for piece in archive.layout.pieces]
    near = st.builds(
        lambda at, by: min(max(at + by, 0), len(whole)), st.sampled_from(interesting), st.integers(-40, 40)
    )
    offsets = st.one_of(st.integers(0, len(whole)), near)

    @settings(max_examples=60, deadline=None)
    @given(offsets, offsets)
    def ranges_are_slices(one: int, other: int) -> None:
        start, end = sorted((one, other))
        # Made anew: nothing of what was read before may be needed.
        again = SnapshotArchive(site.repository, site.snapshot, archive.layout, "site")
        assert b"".join(again.stream(start, end)) == whole[start:end]

    ranges_are_slices()


def test_large_files_are_stored_and_small_ones_are_not_deflated_anew(site: Site) -> None:
    with open_parts(site.archive(Form("zip"))) as archive:
        entries = {entry.path: entry for entry in archive}
    with open_parts(site.archive(Form("jpa"))) as archive:
        large = archive.entry("images/large.bin")
        small = archive.entry("folder 1/file-001.txt")
    assert entries["images/large.bin"].size == len(FILES["images/large.bin"]) > LARGEST
    assert (large.location.method if large.location else None) == 0
    assert small.compressed_size < small.size


@pytest.mark.parametrize("form", FORMS[:2] + FORMS[4:6], ids=str)
def test_it_is_read_where_it_lies_without_being_written_anywhere(site: Site, form: Form, tmp_path: Path) -> None:
    with open_parts(site.archive(form)) as archive:
        assert b"".join(archive.read_path("images/large.bin")) == FILES["images/large.bin"]
        assert archive.verify().problems == []
        archive.extract(tmp_path / "back", only=["folder 2"])
    assert (tmp_path / "back/folder 2/file-002.txt").read_bytes() == FILES["folder 2/file-002.txt"]


@pytest.mark.parametrize(
    ("program", "arguments", "part_size"),
    # unzip reads no parts.
    [("unzip", ["-tq"], 0), ("7z", ["t", "-bd"], 0), ("7z", ["t", "-bd"], 65_536)],
)
def test_other_programs_read_the_zip(
    site: Site, program: str, arguments: list[str], part_size: int, tmp_path: Path
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    main = written(site.archive(Form("zip", part_size)), tmp_path / "out")
    done = subprocess.run([program, *arguments, main], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unknown_format_or_part_size_is_refused(site: Site) -> None:
    with pytest.raises(UsageError, match="rar"):
        site.archive(Form("rar"))
    with pytest.raises(UsageError, match="too small"):
        site.archive(Form("jpa", 1000))


def test_an_empty_backup_is_an_archive(tmp_path: Path) -> None:
    with created(tmp_path) as repository:
        snapshot = SnapshotWriter(repository).finish({})
        for name in ("jpa", "zip"):
            main = written(hand_out(repository, snapshot, Form(name, 65_536), "site"), tmp_path / "out")
            with open_archive(main) as archive:
                assert archive.verify().problems == []


def test_processes_share_the_work_of_reading_it(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = []
    submit = ProcessPool.submit

    def counted(pool: ProcessPool, message: object) -> Task:
        tasks.append(message)
        return submit(pool, message)

    monkeypatch.setattr(ProcessPool, "submit", counted)
    monkeypatch.setattr(processes, "may_fork", lambda: True)
    with open_parts(site.archive(Form("jpa"))) as archive:
        archive.extract(tmp_path / "back", workers=2)
    assert tasks
    for path, content in FILES.items():
        assert (tmp_path / "back" / path).read_bytes() == content
    # The files of the cache are this process's as before.
    assert b"".join(site.archive(Form("zip")).stream(0, 1 << 40))
