"""Commands as tests of stored backups run them, and the backups they take."""

from __future__ import annotations

from typing import Any

from backstay.jobs.installation import Installation
from support.commands import backstay

PASSWORD = "correct horse"


def settings_of(format_name: str, part_size: int) -> dict[str, Any]:
    """Give what makes a backup an archive of a format, in parts of so many bytes."""
    settings: dict[str, Any] = {
        "akeeba__advanced__archiver_engine": format_name,
        "engine__archiver__common__part_size": part_size,
    }
    return {**settings, "engine__archiver__jps__key": PASSWORD} if format_name == "jps" else settings


def run(installation: Installation, *arguments: str, code: int = 0) -> str:
    """Run a command as a process of its own; return what it printed, errors for one that must fail."""
    done = backstay(*arguments, "--home", str(installation.home.path))
    assert (done.returncode != 0) == (code != 0), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout
