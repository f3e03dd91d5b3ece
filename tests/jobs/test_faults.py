"""What a failing disk, database or reader does to a backup: it ends honestly, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backstay import processes
from backstay.archives import ArchiveSummary, ArchiveWriter
from backstay.databases import DatabaseAddress
from backstay.engine import BackupRun, Plan
from backstay.errors import BackstayError
from backstay.jobs import Installation, backup_files, get_backup, open_installation
from backstay.jobs.worker import run_job
from support.backups import assert_gives_back, make_files, take
from support.disks import small_disk
from support.jobs import prepare
from support.mysql import MySQLServer


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all work done in this process: a fork would have a disk of its own, not the one that is played here."""
    monkeypatch.setattr(processes, "may_fork", lambda: False)


@pytest.fixture
def installation(home: Path) -> Iterator[Installation]:
    """An open home."""
    with open_installation(home) as opened:
        yield opened


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site with one large file."""
    root = make_files(tmp_path / "site", count=12)
    (root / "noise.bin").write_bytes(random.Random(1).randbytes(5_000_000))
    return root


def assert_failed_and_left_nothing(installation: Installation, backup_id: int, folder: Path | None = None) -> str:
    backup = get_backup(installation, backup_id)
    assert (backup.status, backup.filesexist) == ("fail", False)
    assert backup.error
    assert [path.name for path in (folder or installation.home.archives).iterdir()] == []
    assert not (installation.home.job(backup_id) / "work").exists()
    return backup.error


# ---------------------------------------------------------------------- disks that fill up


def fill(disk: Path) -> Path:
    """Take all that is left of a disk."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


@pytest.mark.parametrize("domain", ["init", "installer", "Packing", "finale"])
def test_a_disk_that_is_full_in_any_domain_fails_the_backup_with_a_sentence(
    installation: Installation, site: Path, tmp_path: Path, domain: str
) -> None:
    for number in range(40):
        (site / f"noise-{number}").write_bytes(random.Random(number).randbytes(1_000_000))
    with small_disk(tmp_path / "disk", 64) as disk:
        earlier = take(
            installation, site, akeeba__basic__output_directory=str(disk / "earlier"), backstay__scan__exclude="noise*"
        )
        before = backup_files(installation, earlier)[0].path.read_bytes()
        output = disk / "now"
        backup_id = prepare(installation, site, akeeba__basic__output_directory=str(output))
        job = installation.catalogue.jobs.get(backup_id)
        assert job is not None
        backup = get_backup(installation, backup_id)
        taking = BackupRun(installation.catalogue, installation.home, backup, Plan.from_json(job.plan), None)
        filler: Path | None = None

        def take_it() -> None:
            nonlocal filler
            for progress in taking.run():
                if progress.domain == domain and filler is None:
                    filler = fill(disk)

        if domain == "finale":
            # What is left to write there fits into a block that is begun already, or does not: both ends are honest.
            try:
                take_it()
            except BackstayError:
                error = assert_failed_and_left_nothing(installation, backup_id, output)
                assert "room left" in error
        else:
            with pytest.raises((BackstayError, OSError)):
                take_it()
            error = assert_failed_and_left_nothing(installation, backup_id, output)
            assert "left to write" in error or "no space left" in error or "MiB free" in error
        assert filler is not None
        assert backup_files(installation, earlier)[0].path.read_bytes() == before
        assert get_backup(installation, earlier.id).meta == "ok"


@pytest.mark.mysql
def test_a_disk_that_the_dump_fills_fails_the_backup_with_a_sentence(
    site: Path, tmp_path: Path, mysql_server: MySQLServer, mysql_database: DatabaseAddress
) -> None:
    noise = random.Random(4)
    with mysql_server.connect(mysql_database.name) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (x LONGBLOB)")
        for _number in range(30):
            cursor.execute("INSERT INTO t VALUES (%s)", (noise.randbytes(1_000_000),))
        connection.commit()
    with small_disk(tmp_path / "disk", 24) as disk, open_installation(disk / "home") as installation:
        backup_id = prepare(
            installation, site, mysql_database.url(), akeeba__basic__output_directory=str(tmp_path / "out")
        )
        with pytest.raises((BackstayError, OSError)):
            run_job(installation, backup_id)
        error = assert_failed_and_left_nothing(installation, backup_id, tmp_path / "out")
        assert "no space left" in error or "left to write" in error


# ---------------------------------------------------------------------- disks that fail


class Script:
    """Lets the n-th call of a function of the operating system fail for files under some folder."""

    def __init__(self, number: int, folder: Path) -> None:
        self._number = number
        self._folder = folder
        self._lock = threading.Lock()
        self.calls = 0
        self.failed: Path | None = None

    def around(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function that fails."""

        def call(descriptor: int, *arguments: Any) -> Any:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.is_relative_to(self._folder) and path.suffix != ".lock":
                with self._lock:
                    self.calls += 1
                    fails = self.calls == self._number
                if fails:
                    self.failed = path
                    raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            return real(descriptor, *arguments)

        return call


@pytest.mark.parametrize("archive_format", ["jpa", "jps", "zip"])
@pytest.mark.parametrize("operation", ["write", "writev", "pwrite", "fsync"])
def test_a_disk_that_fails_at_any_write_or_sync_never_gives_a_backup_that_is_falsely_called_good(
    installation: Installation, site: Path, tmp_path: Path, operation: str, archive_format: str
) -> None:
    outcomes = set()
    for number in (1, 2, 3, 5, 8, 13, 21):
        backup_id = prepare(
            installation,
            site,
            akeeba__advanced__archiver_engine=archive_format,
            engine__archiver__jps__key="secret",
            engine__archiver__common__part_size=2_000_000,
        )
        script = Script(number, installation.home.path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, operation, script.around(getattr(os, operation)))
            try:
                run_job(installation, backup_id)
            except (BackstayError, OSError):
                error = assert_failed_and_left_nothing(installation, backup_id)
                assert "did not expect" not in error
        outcomes.add(get_backup(installation, backup_id).status)
        if get_backup(installation, backup_id).status == "complete":
            assert script.failed is None
            password = "secret" if archive_format == "jps" else None
            assert_gives_back(installation, backup_id, site, tmp_path / f"back-{number}", password)
            break
    assert "fail" in outcomes


def test_a_site_that_cannot_be_read_at_some_place_is_backed_up_without_it_and_says_so(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    for number in (1, 4, 9):
        backup_id = prepare(installation, site)
        script = Script(number, site)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "read", script.around(os.read))
            run_job(installation, backup_id)
        assert script.failed is not None
        backup = get_backup(installation, backup_id)
        assert (backup.status, backup.warning_count) == ("complete", 1)
        ((_number, warning),) = installation.catalogue.backups.warnings(backup_id)
        assert warning.startswith(str(script.failed.relative_to(site)))


def test_an_archive_that_cannot_be_read_back_is_not_called_complete(
    installation: Installation, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        backup_id = prepare(installation, site)
        script = Script(number, installation.home.archives)
        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", script.around(os.pread))
            with pytest.raises((BackstayError, OSError)):
                run_job(installation, backup_id)
        assert script.failed is not None
        assert_failed_and_left_nothing(installation, backup_id)


def test_an_archive_that_a_disk_changed_is_not_called_complete(
    installation: Installation, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup_id = prepare(installation, site)
    real = ArchiveWriter.close

    def close(writer: ArchiveWriter) -> ArchiveSummary:
        summary = real(writer)
        with summary.parts[-1].open("r+b") as file:
            file.seek(1_000_000)
            byte = file.read(1)
            file.seek(1_000_000)
            file.write(bytes([byte[0] ^ 1]))
        return summary

    with monkeypatch.context() as patch:
        patch.setattr(ArchiveWriter, "close", close)
        with pytest.raises(BackstayError):
            run_job(installation, backup_id)
    assert "is not what was written" in assert_failed_and_left_nothing(installation, backup_id)


# ---------------------------------------------------------------------- databases that go away


class CuttingProxy:
    """Stands before a database server and goes away after so many bytes of its answers."""

    def __init__(self, server: str, folder: Path, after: int) -> None:
        self.path = folder / "proxy.sock"
        self._server = server
        self._left = after
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while self._left >= 0:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._sockets += [client, server]
            threading.Thread(target=self._forward, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, True), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(4096):
                if counted:
                    self._left -= len(data)
                    if self._left < 0:
                        self.close()
                        return
                target.sendall(data)
        except OSError:
            return

    def close(self) -> None:
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.mark.mysql
@pytest.mark.parametrize("backup_type", ["full", "dbonly"])
def test_a_database_that_goes_away_in_any_phase_fails_the_backup_with_a_sentence(
    installation: Installation,
    site: Path,
    tmp_path: Path,
    mysql_server: MySQLServer,
    mysql_database: DatabaseAddress,
    backup_type: str,
) -> None:
    with mysql_server.connect(mysql_database.name) as connection, connection.cursor() as cursor:
        for table in ("a", "b"):
            cursor.execute(f"CREATE TABLE {table} (x INT PRIMARY KEY, y TEXT)")
            cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s)", [(n, "text " * 40) for n in range(2000)])
        connection.commit()
    statuses = []
    for number, after in enumerate((0, 50, 1_000, 5_000, 100_000, 300_000, 10_000_000)):
        folder = tmp_path / str(number)
        folder.mkdir()
        proxy = CuttingProxy(mysql_server.socket, folder, after)
        address = replace(mysql_database, socket=str(proxy.path))
        backup_id = prepare(installation, site, address.url(), akeeba__basic__backup_type=backup_type)
        try:
            run_job(installation, backup_id)
        except BackstayError:
            error = assert_failed_and_left_nothing(installation, backup_id)
            assert "did not expect" not in error
        finally:
            proxy.close()
        statuses.append(get_backup(installation, backup_id).status)
    assert statuses == ["fail"] * 6 + ["complete"]
