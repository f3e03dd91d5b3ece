"""Two machines over one catalogue: each with a home, a worker and a way to the database of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backstay.catalogue import Recipient, RecipientOptions
from backstay.catalogue.machines import LEASE_SECONDS
from backstay.databases import DatabaseAddress
from backstay.errors import ConfigurationError, NotFoundError, UsageError
from backstay.jobs.backup import start_backup
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.profiles import profile_of_site
from backstay.jobs.records import delete_backup, get_backup, list_backups, read_log
from backstay.jobs.restore_sources import source_of_backup
from backstay.jobs.schedules import add_schedule, run_now
from backstay.queue import members
from support.backups import make_files, take
from support.catalogues import VARIABLE, catalogue_url
from support.links import Link

pytestmark = pytest.mark.postgresql
PATIENCE_SECONDS = 200.0


class Machine:
    """A home, its way to the database, and the workers that run there.

    Attributes:
        installation: the home, opened over a way that is never cut.
        link: the way of its workers.
    """

    def __init__(self, name: str, folder: Path, address: DatabaseAddress) -> None:
        self.home = folder / name
        self.home.mkdir(parents=True)
        (self.home / "key").write_bytes(b"k" * 32)
        self.link = Link(address)
        (self.home / "backstay.toml").write_text(
            f'[catalogue]\nurl = "{catalogue_url(address)}"\n[worker]\nname = "{name}"\n'
        )
        self.installation: Installation = open_installation(self.home)
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Start a worker."""
        environment = {**os.environ, VARIABLE: catalogue_url(self.link.address)}
        with (self.home / "output.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "backstay", "worker", "--home", str(self.home)],
                stdout=log,
                stderr=log,
                env=environment,
            )
        self.processes.append(process)
        return process

    def said(self) -> str:
        """Return what its workers wrote."""
        return (self.home / "output.log").read_text()

    def close(self) -> None:
        """End everything."""
        for process in self.processes:
            process.kill()
            process.wait()
        self.link.close()
        self.installation.catalogue.close()

    def make_run(self, folder: Path) -> int:
        """Make a run of a site of this machine that is due now; return its number."""
        profile = profile_of_site(self.installation, make_files(folder, count=5), "none")
        schedule = add_schedule(self.installation, profile.id, at="@yearly", now=datetime.now(UTC))
        return run_now(self.installation, schedule.id, datetime.now(UTC)).id


@pytest.fixture
def machines(tmp_path: Path, postgresql_database: DatabaseAddress) -> Iterator[tuple[Machine, Machine]]:
    """Two machines."""
    with ExitStack() as stack:
        made = []
        for name in ("one", "two"):
            machine = Machine(name, tmp_path, postgresql_database)
            stack.callback(machine.close)
            made.append(machine)
        yield made[0], made[1]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come so far in time"
        time.sleep(0.1)


def state(machine: Machine, number: int) -> str:
    run = machine.installation.catalogue.runs.get(number)
    return run.state if run else "gone"


def test_a_backup_is_the_machine_s_that_took_it(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    one, two = machines
    backup = take(one.installation, make_files(tmp_path / "site", count=5))
    assert (backup.machine, one.installation.catalogue.profiles.get(backup.profile_id).machine) == ("one", "one")
    Path(backup.absolute_path).rename(tmp_path / "only-there")  # one's disk, which two does not see
    assert [(one.backup.filesexist, one.backup.meta) for one in list_backups(two.installation)] == [(True, "ok")]
    with pytest.raises(UsageError, match="lie on the disk of the machine one"):
        delete_backup(two.installation, backup.id)
    with pytest.raises(UsageError, match="lie on the disk of the machine one"):
        source_of_backup(two.installation, backup.id)
    with pytest.raises(NotFoundError, match="lies on the machine one"):
        read_log(two.installation, get_backup(two.installation, backup.id))
    with pytest.raises(UsageError, match="is on the machine one: start its backup there"):
        start_backup(two.installation, profile_id=backup.profile_id)
    shown = subprocess.run(
        [sys.executable, "-m", "backstay", "show", str(backup.id), "--home", str(two.home)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Its files lie on the disk of the machine one alone." in shown
    same = profile_of_site(two.installation, tmp_path / "site", "none")
    assert (same.machine, same.id) == ("two", backup.profile_id + 1)


def test_two_homes_may_not_have_one_name(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    other = tmp_path / "third"
    other.mkdir()
    settings = (machines[0].home / "backstay.toml").read_text()
    (other / "backstay.toml").write_text(settings)
    with pytest.raises(ConfigurationError, match="Another home over this catalogue is named one"):
        open_installation(other)
    (other / "key").unlink()
    (other / "backstay.toml").write_text(settings.replace('"one"', '"third"'))
    with pytest.raises(ConfigurationError, match="copy the file 'key' there"):
        open_installation(other)
    assert not (other / "key").exists()
    (other / "key").write_bytes(b"k" * 32)
    open_installation(other).catalogue.close()


def test_each_worker_runs_the_sites_of_its_machine(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    numbers = [machine.make_run(tmp_path / f"site-{machine.home.name}-{n}") for machine in machines for n in range(2)]
    workers = [machine.start() for machine in machines]
    wait_until(lambda: all(state(machines[0], number) == "done" for number in numbers))
    backups = machines[0].installation.catalogue.backups.newest()
    assert sorted(backup.machine for backup in backups) == ["one", "one", "two", "two"]
    for machine in machines:
        assert len(list((machine.home / "archives").iterdir())) == 2
    assert members.living(machines[0].installation) == 2
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_SECONDS) == 0
    assert members.living(machines[1].installation) == 0
    for machine in machines:
        assert "Traceback" not in machine.said()


@pytest.mark.timeout(400)
def test_what_a_killed_worker_had_begun_another_goes_on_with(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    one, _ = machines
    number = one.make_run(tmp_path / "site")
    (tmp_path / "site" / "noise").write_bytes(os.urandom(40_000_000))
    first, _ = one.start(), machines[1].start()
    wait_until(lambda: members.living(one.installation) == 2)
    wait_until(lambda: state(one, number) == "running")
    first.kill()
    first.wait()
    killed = time.monotonic()
    wait_until(lambda: members.living(one.installation) == 1)
    assert time.monotonic() - killed < LEASE_SECONDS + 30
    one.start()  # a site of this machine is run here
    wait_until(lambda: state(one, number) == "done")
    assert len(one.installation.catalogue.backups.newest()) == 1
    assert "taken over" in one.said() + machines[1].said()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_worker_that_was_cut_off_does_nothing_twice_and_works_again(
    machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    one, two = machines
    one.start(), two.start()
    wait_until(lambda: members.living(two.installation) == 2)
    number = one.make_run(tmp_path / "site")
    wait_until(lambda: state(one, number) in ("running", "done"))
    before = {worker.id for worker in two.installation.catalogue.workers.all()}
    one.link.cut()
    wait_until(lambda: [worker.machine for worker in two.installation.catalogue.workers.all()] == ["two"])
    later = one.make_run(tmp_path / "later")
    one.link.mend()
    wait_until(lambda: {state(one, number), state(one, later)} == {"done"})
    assert len(one.installation.catalogue.backups.newest()) == 2
    assert {worker.id for worker in one.installation.catalogue.workers.all()} - before
    assert "lost its lease: it begins anew" in one.said()


def test_a_message_goes_out_from_any_machine(machines: tuple[Machine, Machine]) -> None:
    catalogue = machines[0].installation.catalogue
    now = datetime.now(UTC)
    recipient = catalogue.recipients.create(
        Recipient(0, "ops", "https://127.0.0.1:1/x", "", (), RecipientOptions(), now)
    )
    (delivery,) = catalogue.deliveries.create("test:1", "test", [(recipient.id, {})], now)
    machines[1].start()
    wait_until(lambda: catalogue.deliveries.of(recipient.id)[0].attempts > 0)
    assert delivery == catalogue.deliveries.of(recipient.id)[0].id


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_goes_on_when_the_database_was_away_for_all(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    one, two = machines
    for machine in machines:
        machine.start()
    wait_until(lambda: members.living(one.installation) == 2)
    numbers = [machine.make_run(tmp_path / f"site-{machine.home.name}") for machine in machines]
    for machine in machines:
        (tmp_path / f"site-{machine.home.name}" / "noise").write_bytes(os.urandom(60_000_000))
    wait_until(lambda: "running" in {state(one, number) for number in numbers})
    for machine in machines:
        machine.link.cut()
    time.sleep(2 * LEASE_SECONDS)  # longer than any lease
    for machine in machines:
        machine.link.mend()
    wait_until(lambda: {state(one, number) for number in numbers} == {"done"})
    assert [backup.status for backup in one.installation.catalogue.backups.newest()] == ["complete"] * 2
    wait_until(lambda: members.living(two.installation) == 2)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_worker_that_stood_still_finds_its_lease_taken(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    one, two = machines
    stopped = one.start()
    two.start()
    wait_until(lambda: members.living(one.installation) == 2)
    stopped.send_signal(signal.SIGSTOP)
    wait_until(lambda: [worker.machine for worker in two.installation.catalogue.workers.all()] == ["two"])
    number = one.make_run(tmp_path / "site")
    stopped.send_signal(signal.SIGCONT)
    wait_until(lambda: state(one, number) == "done")
    assert "lost its lease" in one.said()
    assert len(one.installation.catalogue.backups.newest()) == 1


def test_a_worker_that_is_cut_off_ends_when_it_is_told_to(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    one, _ = machines
    worker = one.start()
    number = one.make_run(tmp_path / "site")
    wait_until(lambda: state(one, number) == "done")
    one.link.cut()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE_SECONDS) == 0
