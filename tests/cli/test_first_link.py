"""The one-time link that a server without users prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from backstay.jobs.installation import open_installation
from backstay.jobs.users import Role, create_user

_COMMAND = [sys.executable, "-c", "from backstay.cli import main; main()", "serve", "--port", "0", "--no-worker"]


def said(home: Path, *arguments: str, lines: int = 1, **settings: str) -> tuple[str, str]:
    """Run a server until it has printed so many lines, or, with none, logged one; return its output and its log."""
    environment = os.environ | {"BACKSTAY_HOME": str(home)} | settings
    with subprocess.Popen(
        [*_COMMAND, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            output = "".join(process.stdout.readline() for _line in range(lines))
            log = "" if lines else process.stderr.readline() + process.stderr.readline()
        finally:
            process.terminate()
        rest = process.communicate(timeout=60)
    return output + rest[0], log + rest[1]


@pytest.mark.parametrize(
    ("settings", "base"),
    [({}, r"http://127\.0\.0\.1:\d+"), ({"BACKSTAY_SERVER__PUBLIC_URL": "https://b.example/"}, r"https://b\.example")],
)
def test_a_server_without_users_prints_a_link_that_leads_to_it(home: Path, settings: dict[str, str], base: str) -> None:
    output, log = said(home, lines=2, **settings)
    assert re.search(rf"{base}/welcome/[\w-]{{43}}\n", output), output
    assert "/welcome/" not in log


def test_a_log_for_programs_never_holds_the_link(home: Path) -> None:
    output, log = said(home, "--log-format", "json", lines=0)
    assert "/welcome/" not in output + log
    assert "backstay user invite" in log


def test_a_server_with_users_prints_no_link(home: Path) -> None:
    with open_installation(home) as installation:
        create_user(installation, "anna", Role.ADMINISTRATOR, "a long enough password")
    output, log = said(home)
    assert "listens on" in output
    assert "/welcome/" not in output + log
