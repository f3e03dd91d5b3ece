"""Backstay as a service of systemd: its unit (systemd.service(5), systemd.exec(5)), and the calls that start it.

The unit of the system lets the service read what its account may read, and write nothing but its home and the folders
that it was given. A unit of one user has less of that: what hides or locks folders needs a user namespace there, in
which the files of all other users would look as if nobody owned them, and backups would note that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backstay.errors import BackstayError, NotFoundError, UsageError
from backstay.jobs.installation import Installation
from backstay.storage.address import parse_address

MARK = "# Written by 'backstay service install', which replaces it. Your own settings: systemctl edit"
_SYSTEM_UNITS = Path("/etc/systemd/system")
_RUNS = Path("/run/systemd/system")
"""There where systemd runs the machine (sd_booted(3))."""
_PRIVATE = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - the service sees others in their place
_STATE = ("ActiveState", "SubState", "UnitFileState", "Result", "MainPID", "ActiveEnterTimestamp")

_GENERAL = """
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""
_SYSTEM = """
# Sites are read wherever they lie, home folders included. RestrictSUIDSGID is not set: drills give folders back with
# the set-group bit that the site's have.
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
"""
_OF_ROOT = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_SETFCAP")
"""What reading every site and giving files back with their owners takes."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a unit says.

    Attributes:
        name: of the unit, without ``.service``.
        command: program and arguments.
        home: of Backstay.
        account: it runs as; empty: a unit of the user who runs the command.
        writable: folders that it may write to, besides the home.
        capabilities: that it is given (capabilities(7)); root keeps those that backups and drills need.
    """

    name: str
    command: Sequence[str]
    home: Path
    account: str = ""
    writable: Sequence[Path] = ()
    capabilities: Sequence[str] = ()

    @property
    def unit(self) -> str:
        """Name of the unit."""
        return f"{self.name}.service"


def unit_text(service: Service) -> str:
    """Return the unit of a service.

    Raises:
        UsageError: a path cannot be written in a unit, or is one that the service would not see.
    """
    if service.account:
        _require_visible(service)
    wanted = "multi-user.target" if service.account else "default.target"
    return f"""{MARK} {service.name}
[Unit]
Description=Backstay, backups of websites ({service.command[-1] if len(service.command) == 2 else service.name})
Wants=network-online.target
After=network-online.target mariadb.service mysql.service postgresql.service

[Service]
Type=notify
NotifyAccess=main
{f"User={service.account}" if service.account else "# As the user whose service manager runs it."}
Environment={_quoted(f"BACKSTAY_HOME={service.home}")}
ExecStart={" ".join(_quoted(word).replace("$", "$$") for word in service.command)}
Restart=on-failure
RestartSec=5
WatchdogSec=120
TimeoutStopSec=60
# Backups have processes of their own: they go on while the service is started anew, and one that the system kills for
# want of memory takes nothing else with it.
KillMode=process
OOMPolicy=continue
{_GENERAL.strip()}
{_of_system(service) if service.account else ""}
[Install]
WantedBy={wanted}
"""


def _of_system(service: Service) -> str:
    bounds = _OF_ROOT if service.account == "root" else service.capabilities
    # A folder of a disk that is not there must not keep the service from starting.
    folders = [f"ReadWritePaths={_quoted(str(service.home))}", *_more_folders(service.writable)]
    given = [f"AmbientCapabilities={' '.join(service.capabilities)}"] if service.account != "root" else []
    return "\n".join([_SYSTEM.strip(), *folders, f"CapabilityBoundingSet={' '.join(bounds)}", *given, ""])


def _more_folders(folders: Sequence[Path]) -> list[str]:
    return [f"ReadWritePaths={_quoted(f'-{folder}')}" for folder in folders]


def _quoted(text: str) -> str:
    """Return a word as units have it (systemd.syntax(7)): quoted, without specifiers."""
    if not text.isprintable():
        raise UsageError(f"A unit can't hold the name {text!r}: give one that can be printed.")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _require_visible(service: Service) -> None:
    for path in (Path(service.command[0]), service.home):
        if any(path.is_relative_to(hidden) for hidden in _PRIVATE):
            raise UsageError(f"The service has a /tmp of its own and would not see {path}: put it elsewhere.")


def written_folders(installation: Installation) -> list[Path]:
    """Return the folders outside the home that backups of the profiles are written to, and the folders of storages."""
    found: set[Path] = set()
    for profile in installation.catalogue.profiles.all():
        settings = profile.settings()
        root = Path(settings.root)
        folder = settings.output_directory.replace("[SITEROOT]", str(root)).replace("[ROOTPARENT]", str(root.parent))
        if folder.startswith("/"):
            # What stands in brackets is another name each day.
            found.add(Path(folder.partition("[")[0] + "x").parent if "[" in folder else Path(folder))
    for destination in installation.catalogue.destinations.all():
        address, _ = parse_address(destination.url)
        if address.scheme == "folder":
            found.add(Path(address.path))
    return sorted(folder for folder in found if not folder.is_relative_to(installation.home.path))


def install(service: Service) -> Path:
    """Write the unit of a service, and start it now and at every start of the machine; return where the unit is.

    Raises:
        UsageError: there is a unit of that name that Backstay did not write.
        BackstayError: systemd does not run here, the unit cannot be written, or the service does not start.
    """
    text, path = unit_text(service), _path(service)
    _require_systemd(service)
    _require_own(path, service.name)
    staged = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(text)
        staged.replace(path)
    except PermissionError as error:
        raise BackstayError(
            f"Units in {path.parent} are written by root: use sudo, or --user for a service of your own."
        ) from error
    _systemctl(service, "daemon-reload")
    _systemctl(service, "enable", service.unit)
    if _systemctl(service, "restart", service.unit, must=False):
        journal = "journalctl --user" if not service.account else "journalctl"
        raise BackstayError(
            f"The service {service.name} is written and did not start: '{journal} -u {service.name}' says why."
        )
    return path


def remove(service: Service) -> Path:
    """Stop a service and remove its unit; backups that run go on. Returns where the unit was.

    Raises:
        NotFoundError: there is no such unit.
        UsageError: Backstay did not write it.
        BackstayError: systemd does not run here, or refuses.
    """
    path = _path(service)
    if not path.exists():
        raise NotFoundError(f"There is no unit {path}: nothing is installed under the name {service.name}.")
    _require_systemd(service)
    _require_own(path, service.name)
    _systemctl(service, "disable", "--now", service.unit)
    path.unlink()
    _systemctl(service, "daemon-reload")
    return path


def state(service: Service) -> Mapping[str, str]:
    """Return what systemd says of a service, by the names of its properties.

    Raises:
        NotFoundError: there is no such unit.
        BackstayError: systemd does not run here.
    """
    _require_systemd(service)
    if not _path(service).exists():
        raise NotFoundError(f"There is no service {service.name}: make it with 'backstay service install'.")
    command = [*_command(service), "show", service.unit, "--property", ",".join(_STATE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    found = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    return {name: found.get(name, "") for name in _STATE}


def _path(service: Service) -> Path:
    if service.account:
        return _SYSTEM_UNITS / service.unit
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "systemd" / "user" / service.unit


def _require_systemd(service: Service) -> None:
    if shutil.which("systemctl") is None or not _RUNS.is_dir():
        raise BackstayError(
            f"systemd does not run this machine: '{' '.join(service.command)}' is for the service manager that does; "
            "--print prints the unit."
        )


def _require_own(path: Path, name: str) -> None:
    if path.exists() and not path.read_text(errors="replace").startswith(MARK):
        raise UsageError(f"The unit {path} was not written by Backstay: choose another name than {name} with --name.")


def _command(service: Service) -> list[str]:
    return ["systemctl"] if service.account else ["systemctl", "--user"]


def _systemctl(service: Service, *arguments: str, must: bool = True) -> int:
    result = subprocess.run([*_command(service), *arguments], capture_output=True, text=True, check=False)
    if must and result.returncode:
        reason = " ".join((result.stderr or result.stdout).split())
        raise BackstayError(f"'{' '.join(_command(service))} {' '.join(arguments)}' failed: {reason}")
    return result.returncode
