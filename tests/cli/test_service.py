"""``backstay service``: units that systemd takes, and what is done with them, with a systemctl that only notes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backstay.catalogue import NamedDestination
from backstay.errors import BackstayError, NotFoundError, UsageError
from backstay.jobs import service as services
from backstay.jobs.installation import Installation
from backstay.jobs.service import Service, install, remove, state, unit_text, written_folders
from support.missing import skip_or_fail

ANALYZE = shutil.which("systemd-analyze")
PROGRAM = str(Path(sys.executable).resolve())
HOME = Path("/var/lib/backstay")
SERVICES = {
    "account": Service("backstay-serve", (PROGRAM, "serve"), HOME, "backstay", [Path("/srv/a b%c"), Path("/mnt/é")]),
    "reads all": Service("backstay-serve", (PROGRAM, "serve"), HOME, "backstay", (), ["CAP_DAC_READ_SEARCH"]),
    "root": Service("backstay-worker", (PROGRAM, "worker"), HOME, "root"),
    "user": Service("backstay-serve", (PROGRAM, "serve", "--port", "8118"), HOME),
    "hostile": Service("x", (PROGRAM, 'a"b\\c$HOME%n;', "&& rm"), Path('/srv/"%h" \\x41/$HOME'), "backstay"),
}


@pytest.mark.parametrize("kind", SERVICES)
def test_systemd_takes_the_unit(kind: str, tmp_path: Path) -> None:
    if ANALYZE is None:
        skip_or_fail("no systemd-analyze on PATH (Debian: systemd)")
    service = SERVICES[kind]
    unit = tmp_path / service.unit
    unit.write_text(unit_text(service))
    mode = "--system" if service.account else "--user"
    # With a place of its own to look for units, those of this machine have no say.
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:", "XDG_RUNTIME_DIR": str(tmp_path)}
    verified = subprocess.run(
        [ANALYZE, mode, "--man=no", "verify", str(unit)], env=environment, capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    if service.account:
        command = [ANALYZE, "security", "--offline=true", "--threshold=30", str(unit)]
        rated = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert rated.returncode == 0, rated.stdout[-500:]


def test_what_a_unit_lets_a_service_do() -> None:
    account, root, user = (unit_text(SERVICES[kind]).splitlines() for kind in ("account", "root", "user"))
    for line in ("Type=notify", "NoNewPrivileges=yes", "KillMode=process", "Restart=on-failure"):
        assert all(line in unit for unit in (account, root, user)), line
    for line in ("ProtectSystem=strict", "ProtectHome=read-only", 'ReadWritePaths="/var/lib/backstay"'):
        assert line in account, line
        assert line in root, line
    assert 'ReadWritePaths="-/srv/a b%%c"' in account
    assert "CapabilityBoundingSet=" in account
    assert not any("SYS_ADMIN" in line or "SYS_PTRACE" in line for line in root)
    # They would need a user namespace, in which a backup notes wrong owners.
    assert not any(line.startswith(("Protect", "Private", "ReadWritePaths", "User=")) for line in user)
    assert "WantedBy=default.target" in user


def test_paths_that_a_service_would_not_see_or_a_unit_can_not_hold() -> None:
    with pytest.raises(UsageError, match="would not see /tmp/home"):
        unit_text(Service("x", (PROGRAM,), Path("/tmp/home"), "backstay"))
    for name in ("/srv/a\nExecStart=/bin/sh", "/srv/\udcff"):
        with pytest.raises(UsageError, match="can't hold the name"):
            unit_text(Service("x", (PROGRAM,), Path(name), "backstay"))


def test_folders_that_backups_are_written_to(installation: Installation, tmp_path: Path) -> None:
    profiles = installation.catalogue.profiles
    profile = profiles.get(1)
    assert written_folders(installation) == []
    settings = {"akeeba.platform.newroot": "/srv/www/shop", "akeeba.basic.output_directory": "/srv/out/[YEAR]/x"}
    profiles.save(profile.with_values(settings))
    profiles.create(profile.with_values({**settings, "akeeba.basic.output_directory": "[ROOTPARENT]/kept"}))
    for name, url in (("nas", "folder:///mnt/nas/a%20b"), ("cloud", "s3://bucket")):
        installation.catalogue.destinations.create(NamedDestination(0, name, url, {}, installation.now()))
    assert written_folders(installation) == [Path("/mnt/nas/a b"), Path("/srv/out"), Path("/srv/www/kept")]


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that systemd seems to run; gives the file in which systemctl notes how it was called."""
    calls, programs = tmp_path / "calls", tmp_path / "bin"
    programs.mkdir()
    systemctl = programs / "systemctl"
    systemctl.write_text(
        f'#!/bin/sh\necho "$@" >> {calls}\n[ "$1" != show ] || echo "ActiveState=active\nSubState=running"\n'
        f'[ ! -e {tmp_path}/broken ] || [ "$1" != restart ]\n'
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(services, "_RUNS", tmp_path)
    monkeypatch.setattr(services, "_SYSTEM_UNITS", tmp_path / "units")
    return calls


def test_a_service_is_installed_looked_at_and_removed(noted: Path, tmp_path: Path) -> None:
    service = SERVICES["root"]
    path = install(service)
    assert path == tmp_path / "units" / "backstay-worker.service"
    assert path.read_text() == unit_text(service)
    unit = "backstay-worker.service"
    assert noted.read_text().splitlines() == ["daemon-reload", f"enable {unit}", f"restart {unit}"]
    install(service)
    assert state(service)["ActiveState"] == "active"
    noted.unlink()
    remove(service)
    assert list(path.parent.iterdir()) == []
    assert noted.read_text().splitlines() == [f"disable --now {unit}", "daemon-reload"]
    for again in (remove, state):
        with pytest.raises(NotFoundError):
            again(service)


def test_a_unit_of_somebody_else_is_left_alone(noted: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "units" / "backstay-worker.service"
    foreign.parent.mkdir()
    foreign.write_text("[Service]\nExecStart=/bin/true\n")
    for change in (install, remove):
        with pytest.raises(UsageError, match="not written by Backstay"):
            change(SERVICES["root"])
    assert foreign.read_text() == "[Service]\nExecStart=/bin/true\n"
    assert not noted.exists()


def test_a_service_that_does_not_start(noted: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(BackstayError, match="'journalctl -u backstay-worker' says why"):
        install(SERVICES["root"])


def test_a_machine_without_systemd(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "backstay", "service", "install", "--user", "--home", str(home), "--print"]
    printed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert printed.returncode == 0
    assert f'Environment="BACKSTAY_HOME={home}"' in printed.stdout
    monkeypatch.setattr(services, "_RUNS", tmp_path / "missing")
    with pytest.raises(BackstayError, match="systemd does not run this machine"):
        install(SERVICES["user"])
