"""Sites that change, hide things or are odd while they are backed up."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from backstay.archives import open_archive
from backstay.engine import BackupRun, Plan, run
from backstay.engine.scanner import Scanner
from backstay.errors import ConfigurationError, NotFoundError
from backstay.jobs import lock
from backstay.jobs.backup import prepare_backup, step_backup
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.profiles import profile_of_site
from backstay.jobs.records import backup_files, get_backup
from backstay.jobs.worker import run_job
from backstay.profiles import SITE_ROOT, ExtraDirectory
from support import processes
from support.backups import assert_gives_back, begin, extract_site, make_files, take
from support.disks import small_disk
from support.jobs import prepare

FORMATS = ["jpa", *(pytest.param(name, marks=pytest.mark.slow) for name in ("jps", "zip"))]
CHANGES = ["grows", "shrinks", "is emptied", "disappears", "becomes a folder", "becomes a pipe"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site."""
    return make_files(tmp_path / "site", count=12)


def change_after_scan(monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[], object]) -> None:
    """Do something to the site just after the scan of a backup has seen one name, and before it is read."""
    real = Scanner.sources

    def sources(scanner: Scanner, after: str = "") -> Iterator[object]:
        counts_only = scanner._copy_database is None
        for source in real(scanner, after):
            yield source
            if source.path == name and not counts_only:
                change()

    monkeypatch.setattr(Scanner, "sources", sources)


def warnings_of(installation: Installation, backup_id: int) -> list[str]:
    return [message for _number, message in installation.catalogue.backups.warnings(backup_id)]


@pytest.mark.parametrize("size", [3_000, 6_000_000], ids=["small", "large"])
@pytest.mark.parametrize("archive_format", FORMATS)
@pytest.mark.parametrize(
    "change", ["grows", "shrinks", "is emptied", "disappears", "becomes a folder", "becomes a pipe"]
)
def test_a_file_that_changes_while_it_is_packed_never_breaks_the_archive(
    installation: Installation,
    site: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    archive_format: str,
    change: str,
) -> None:
    file = site / "changing.bin"
    content = random.Random(6).randbytes(size)
    file.write_bytes(content)

    def grow() -> None:
        with file.open("ab") as opened:
            opened.write(content)

    def replace_by(make: Callable[[Path], object]) -> None:
        file.unlink()
        make(file)

    changes: dict[str, Callable[[], None]] = {
        "grows": grow,
        "shrinks": lambda: os.truncate(file, size // 2),
        "is emptied": lambda: os.truncate(file, 0),
        "disappears": file.unlink,
        "becomes a folder": lambda: replace_by(Path.mkdir),
        "becomes a pipe": lambda: replace_by(os.mkfifo),
    }
    change_after_scan(monkeypatch, "changing.bin", changes[change])
    backup_id = prepare(
        installation, site, akeeba__advanced__archiver_engine=archive_format, engine__archiver__jps__key="secret"
    )
    run_job(installation, backup_id)
    assert get_backup(installation, backup_id).status == "complete"
    password = "secret" if archive_format == "jps" else None
    back = extract_site(installation, backup_id, tmp_path / "back", password)
    if not (back / "changing.bin").is_file():
        assert change in CHANGES[3:]
        (warning,) = warnings_of(installation, backup_id)
        assert "changing.bin" in warning
    elif change in CHANGES[3:]:
        # It was open already when it went, and could be read to its end.
        assert (back / "changing.bin").read_bytes() == content
    else:
        stored = (back / "changing.bin").read_bytes()
        whole = content + content if change == "grows" else content
        assert whole.startswith(stored)
        # What is stored is the file as it is now, or a warning says that it is not.
        assert stored == file.read_bytes() or "changing.bin" in " ".join(warnings_of(installation, backup_id))


def test_a_folder_that_disappears_is_a_warning(
    installation: Installation, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_after_scan(monkeypatch, "folder 0/file-0.txt", lambda: shutil.rmtree(site / "folder 3"))
    backup_id = prepare(installation, site)
    run_job(installation, backup_id)
    assert get_backup(installation, backup_id).status == "complete"
    assert warnings_of(installation, backup_id) == [
        "folder 3 disappeared while the backup ran: it is not in the backup."
    ]


def test_a_site_that_goes_away_fails_the_backup(
    installation: Installation, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_after_scan(monkeypatch, "folder 0/file-0.txt", lambda: site.rename(site.with_name("moved")))
    backup_id = prepare(installation, site)
    with pytest.raises(NotFoundError, match="went away while the backup ran"):
        run_job(installation, backup_id)
    assert get_backup(installation, backup_id).status == "fail"
    assert list(installation.home.archives.iterdir()) == []


def test_a_site_that_is_gone_when_the_backup_goes_on_fails_it(installation: Installation, site: Path) -> None:
    backup_id = prepare(installation, site)
    site.rename(site.with_name("moved"))
    with pytest.raises(NotFoundError, match="without it there is no backup"):
        run_job(installation, backup_id)
    assert get_backup(installation, backup_id).status == "fail"


def test_a_site_that_is_replaced_meanwhile_is_a_warning(
    installation: Installation, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exchange() -> None:
        site.rename(site.with_name("old"))
        shutil.copytree(site.with_name("old"), site, symlinks=True)

    change_after_scan(monkeypatch, "folder 0/file-0.txt", exchange)
    backup_id = prepare(installation, site)
    run_job(installation, backup_id)
    (warning,) = warnings_of(installation, backup_id)
    assert "was replaced by another while the backup ran" in warning


def test_a_root_that_is_a_link_stays_the_folder_it_was_at_the_start(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    current = tmp_path / "current"
    current.symlink_to(site)
    other = make_files(tmp_path / "other", count=3)
    backup_id = prepare(installation, site, akeeba__platform__newroot=str(current))
    current.unlink()
    current.symlink_to(other)
    run_job(installation, backup_id)
    assert_gives_back(installation, backup_id, site, tmp_path / "back")


def test_sparse_files_come_back_with_the_same_content(installation: Installation, site: Path, tmp_path: Path) -> None:
    with (site / "sparse.img").open("wb") as file:
        file.seek(9_000_000)
        file.write(b"end")
    backup = take(installation, site)
    assert backup.total_size < 1_000_000
    assert_gives_back(installation, backup.id, site, tmp_path / "back")


@pytest.mark.parametrize("stays", [True, False])
def test_other_file_systems_are_entered_unless_the_profile_says_not_to(
    installation: Installation, site: Path, tmp_path: Path, stays: bool
) -> None:
    with small_disk(site / "mounted", 1) as disk:
        (disk / "file").write_text("on another disk")
        backup_id = prepare(installation, site, backstay__scan__one_file_system=int(stays))
        run_job(installation, backup_id)
        back = extract_site(installation, backup_id, tmp_path / "back")
        assert (back / "mounted/file").exists() is not stays


def test_archives_do_not_go_into_the_sites_own_folder(installation: Installation, site: Path) -> None:
    with pytest.raises(ConfigurationError, match="choose another output folder"):
        prepare(installation, site, akeeba__basic__output_directory=str(site))


def test_a_link_into_the_folder_of_archives_is_not_followed_into_it(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    take(installation, site)
    (site / "way in").symlink_to(installation.home.archives)
    backup_id = prepare(installation, site, engine__archiver__common__dereference_symlinks=1)
    run_job(installation, backup_id)
    with open_archive(backup_files(installation, get_backup(installation, backup_id))[0].path) as archive:
        assert not [entry.path for entry in archive if "way in" in entry.path]


def test_a_home_is_no_site(installation: Installation) -> None:
    with pytest.raises(ConfigurationError, match="is where Backstay keeps"):
        prepare(installation, installation.home.archives)


def test_a_damaged_database_file_is_taken_as_it_lies_there(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    (site / "broken.db").write_bytes(b"SQLite format 3\x00" + bytes(496))
    backup_id = prepare(installation, site)
    run_job(installation, backup_id)
    (warning,) = warnings_of(installation, backup_id)
    assert warning.startswith("broken.db is stored as it lies on the disk")
    back = extract_site(installation, backup_id, tmp_path / "back")
    assert (back / "broken.db").read_bytes() == (site / "broken.db").read_bytes()


def test_copies_of_databases_go_when_they_are_packed(
    installation: Installation, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        with closing(sqlite3.connect(site / f"data-{number}.db")) as database:
            database.execute("CREATE TABLE t (x)")
            database.execute("INSERT INTO t VALUES (zeroblob(6000000))")
            database.commit()
    most = 0
    real = BackupRun._progress

    def progress(taking: BackupRun, *arguments: object) -> object:
        nonlocal most
        copies = taking._copies
        most = max(most, len(list(copies.iterdir())) if copies.exists() else 0)
        return real(taking, *arguments)  # type: ignore[arg-type]  # passed on as they come

    monkeypatch.setattr(BackupRun, "_progress", progress)
    backup_id = prepare(installation, site)
    run_job(installation, backup_id)
    assert 0 < most < 5
    assert_gives_back(installation, backup_id, site, tmp_path / "back")


def test_an_off_site_folder_that_comes_and_goes_shifts_no_other(
    installation: Installation, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        make_files(tmp_path / name, count=3)
    profile = profile_of_site(installation, site, "none")
    extra = {name: ExtraDirectory(str(tmp_path / name), name) for name in ("first", "second")}
    filters = replace(profile.filters, extra_directories=extra)
    installation.catalogue.profiles.save(replace(profile, filters=filters))
    monkeypatch.setattr(run, "_CHECKPOINT_SECONDS", 0.0)
    backup_id = prepare_backup(installation, profile_id=profile.id).id
    job = installation.catalogue.jobs.get(backup_id)
    assert job is not None
    taking = BackupRun(
        installation.catalogue, installation.home, get_backup(installation, backup_id), Plan.from_json(job.plan), None
    )
    steps = taking.run()
    for _progress in steps:
        if taking._checkpoint.get("section") == 2:
            break
    steps.close()
    shutil.rmtree(tmp_path / "first")
    run_job(installation, backup_id)
    back = extract_site(installation, backup_id, tmp_path / "back")
    assert len(list((back / "external_files/second").rglob("*.txt"))) == 3
    assert any("first" in warning for warning in warnings_of(installation, backup_id))


def test_all_filters_count_in_a_backup(installation: Installation, site: Path, tmp_path: Path) -> None:
    profile = profile_of_site(installation, site, "none")
    filters = profile.filters.with_node("directories", SITE_ROOT, "folder 1")
    filters = filters.with_node("regexfiles", SITE_ROOT, r"#file-[0-4]\.txt$#")
    installation.catalogue.profiles.save(replace(profile, filters=filters))
    backup_id = prepare_backup(installation, profile_id=profile.id).id
    run_job(installation, backup_id)
    back = extract_site(installation, backup_id, tmp_path / "back")
    names = {path.name for path in back.rglob("file-*")}
    assert names == {f"file-{number}.txt" for number in (5, 6, 7, 9, 10, 11)}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_half_a_million_files_in_one_folder_take_no_more_memory_than_a_backup_may() -> None:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        site = Path(place) / "site"
        site.mkdir()
        for number in range(500_000):
            (site / f"session_{number:032x}").touch()
        with open_installation(Path(place) / "home") as installation:
            begun = time.monotonic()
            state = begin(installation, site)
            peak = 0
            while state.has_run:
                number = lock.process_number(installation.home.job(state.backup_id)) or -1
                peak = max(peak, processes.memory_of(number))
                state = step_backup(installation, state.backupid)
            seconds = time.monotonic() - begun
            assert (state.error, state.warnings) == ("", ())
            assert get_backup(installation, state.backup_id).proof["entries"] >= 500_000
    reported = f"{seconds:.0f} s, {peak >> 20} MiB at most"
    print(f"half a million files in one folder: {reported}")
    # Their names are sorted, and so are all in memory at once: that may cost their length, and no more.
    assert peak < 200 << 20, reported
