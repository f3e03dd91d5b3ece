"""Backups over the API whose worker, or whose server, is killed; and the proof that each is whole all the same."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backstay.api.replies import BackupRecord
from backstay.archives import ArchiveReader, open_archive
from backstay.client import Client
from backstay.databases import DatabaseAddress, load
from backstay.errors import ConnectionFailedError
from backstay.jobs import lock, report
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files, delete_backup, get_backup
from support import processes
from support.backups import assert_gives_back
from support.compare import assert_same_database
from support.mysql import MySQLServer
from support.serving import ServerProcess
from support.sinks import finish as run_to_the_end

PASSWORD = "of the archive"
_SQL = "installation/sql/"
_GONE_SECONDS = 5.0
_END_SECONDS = 120.0


@dataclass(frozen=True)
class Form:
    """What an archive is written as."""

    name: str
    part_size: int

    def overrides(self) -> dict[str, str]:
        """Return the settings of a backup in this form; one that may die often."""
        return {
            "akeeba.advanced.archiver_engine": self.name,
            "engine.archiver.common.part_size": str(self.part_size),
            "engine.archiver.jps.key": PASSWORD if self.name == "jps" else "",
            "backstay.job.attempts": "50",
        }

    @property
    def password(self) -> str | None:
        """Password of the archive, if it has one."""
        return PASSWORD if self.name == "jps" else None

    def __str__(self) -> str:
        """Give the name of the test."""
        return f"{self.name}-{'split' if self.part_size else 'whole'}"


@dataclass
class Ground:
    """Where the backups are taken: a site with a database, and a server that can be killed."""

    installation: Installation
    server: ServerProcess
    secret: str
    profile_id: int
    site: Path
    mysql: MySQLServer
    database: DatabaseAddress

    def take(self, form: Form, disturb: Callable[[Watched], None]) -> Watched:
        """Take a backup as a client does, and disturb it on the way; return it when it has ended."""
        watched = Watched(self, form)
        watched.begin()
        try:
            disturb(watched)
            watched.wait()
        except BaseException:
            # The next test begins with a clean ground.
            for backup in self.installation.catalogue.backups.newest(status="run"):
                delete_backup(self.installation, backup.id)
            raise
        return watched


class Watched:
    """A backup that a client of the API steps to its end, in a thread, while others do harm to it."""

    def __init__(self, ground: Ground, form: Form) -> None:
        self._ground = ground
        self._form = form
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="client", daemon=True)
        self._known = {backup.id for backup in ground.installation.catalogue.backups.newest()}
        self.backup_id = 0
        self.begun = 0.0
        self.seconds = 0.0
        self.domains: list[str] = []
        self.killed = 0

    def begin(self) -> None:
        """Let the client call."""
        self.begun = time.monotonic()
        self._thread.start()

    def wait_for_start(self) -> None:
        """Wait until the client has heard that the backup runs."""
        assert self._started.wait(_END_SECONDS)

    def wait(self) -> None:
        """Wait for the end; an error that the client received is raised here."""
        self._thread.join(_END_SECONDS)
        if self._error is not None:
            raise self._error
        assert not self._thread.is_alive(), f"the backup does not end: {self._progress()}"

    def _progress(self) -> object:
        return report.read(self._ground.installation.home.job(self.backup_id))

    def _run(self) -> None:
        try:
            with Client(self._ground.server.url, self._ground.secret, version=3) as client:
                backupid = self._start(client)
                self._started.set()
                has_run = True
                while has_run:
                    reply = client.step_backup(backupid)
                    assert reply.error == ""
                    assert reply.warnings == []
                    has_run = reply.has_run
            self.seconds = time.monotonic() - self.begun
        except BaseException as error:  # noqa: BLE001 - raised again where the test waits
            self._error = error
            self._started.set()

    def _start(self, client: Client) -> str:
        """Start the backup; where the answer was lost, look whether there is one, as the client's error says."""
        while True:
            try:
                reply = client.start_backup(self._ground.profile_id, overrides=self._form.overrides())
                self.backup_id = reply.backup_id
                return reply.backupid or ""
            except ConnectionFailedError:
                found = [record for record in self._listed(client) if record.id not in self._known]
            if found:
                self.backup_id = found[0].id
                return found[0].backupid or ""

    @staticmethod
    def _listed(client: Client) -> list[BackupRecord]:
        """Return the records, once the server is there again."""
        while True:
            try:
                return client.list_backups()
            except ConnectionFailedError:
                time.sleep(0.1)

    # ------------------------------------------------------------------ harm

    def kill_worker(self) -> bool:
        """Kill the process of the backup; return whether there was one.

        Fails where the lock, or a process that it had started, outlives it.
        """
        folder = self._ground.installation.home.job(self.backup_id)
        while (number := lock.process_number(folder)) is None:
            if get_backup(self._ground.installation, self.backup_id).status != "run":
                return False
            time.sleep(0.001)
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            return False
        deadline = time.monotonic() + _GONE_SECONDS
        while lock.process_number(folder) == number or processes.of_session(number):
            left = processes.of_session(number)
            assert time.monotonic() < deadline, f"the process was killed; its lock or these are left: {left}"
            time.sleep(0.005)
        self.killed += 1
        return True

    def kill_helper(self, chance: random.Random) -> bool:
        """Kill one of the processes that the backup's own has started, as a system short of memory does."""
        number = lock.process_number(self._ground.installation.home.job(self.backup_id))
        helpers = sorted(processes.of_session(number).keys() - {number}) if number is not None else []
        if not helpers:
            return False
        try:
            os.kill(chance.choice(helpers), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def is_taken_up(self) -> bool:
        """Return whether a process takes the backup, or it has ended."""
        installation = self._ground.installation
        alive = lock.is_alive(installation.home.job(self.backup_id))
        return alive or get_backup(installation, self.backup_id).status != "run"

    def wait_for_border(self, number: int) -> bool:
        """Wait until the domain that is reported has changed so often; return whether that came before the end."""
        folder = self._ground.installation.home.job(self.backup_id)
        seen = (0, 0)
        looked_at = 0.0
        while True:
            if (version := report.version(folder)) != seen:
                seen = version
                progress = report.read(folder)
                if progress is not None and [progress.domain] != self.domains[-1:]:
                    self.domains.append(progress.domain)
            if len(self.domains) > number:
                return True
            if time.monotonic() - looked_at > 0.05:
                looked_at = time.monotonic()
                if get_backup(self._ground.installation, self.backup_id).status != "run":
                    return False
            time.sleep(0.0005)


# ---------------------------------------------------------------------- the proof


def assert_whole(ground: Ground, watched: Watched, form: Form, target: Path) -> None:
    """Fail unless a backup is complete and clean and gives back files and database; then leave nothing of it."""
    installation = ground.installation
    backup = get_backup(installation, watched.backup_id)
    assert (backup.status, backup.error, backup.warning_count) == ("complete", "", 0)
    files = backup_files(installation, backup)
    assert sorted(path.name for path in installation.home.archives.iterdir()) == sorted(file.name for file in files)
    assert (installation.home.job(backup.id) / "output").read_bytes() == b""
    assert_gives_back(installation, backup.id, ground.site, target, form.password)
    shutil.rmtree(target)
    with open_archive(files[-1].path, password=form.password) as archive:
        report = archive.verify()
        assert (report.problems, report.used_manifest) == ([], True)
        assert_gives_database_back(ground, archive)
    with Client(ground.server.url, ground.secret, version=3) as client:
        client.delete(backup.id)
    assert list(installation.home.archives.iterdir()) == []


def assert_gives_database_back(ground: Ground, archive: ArchiveReader) -> None:
    """Fail unless the dump in an archive loads equal to the site's database."""
    entries = {entry.path.removeprefix(_SQL): entry for entry in archive if entry.path.startswith(_SQL)}
    metadata = json.loads(b"".join(archive.read(entries.pop("databases.json"))))["site.sql"]
    assert len(entries) == metadata["parts"]

    def opener(name: str) -> Callable[[], BinaryIO]:
        return lambda: archive.open(entries[name])

    names = sorted(entries, key=lambda name: "" if name == "site.sql" else name)
    scratch = ground.mysql.create(f"{ground.database.name}_back")
    try:
        parts = [(name, opener(name)) for name in names]
        run_to_the_end(load(scratch, parts, metadata=metadata, on_warning=_refuse))
        assert_same_database(ground.mysql, ground.database.name, scratch.name)
    finally:
        ground.mysql.drop(scratch.name)


def _refuse(warning: str) -> None:
    message = f"a warning: {warning}"
    raise AssertionError(message)
