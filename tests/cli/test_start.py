"""Commands start fast: each loads what it needs and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from backstay.cli import _COMMANDS, application


def loaded(home: Path, *arguments: str) -> set[str]:
    """Return the modules that a command has loaded at its end."""
    program = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('\\n' + ' '.join(sys.modules), file=sys.stderr))\n"
        "from backstay.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-P", "-c", program, *arguments]
    done = subprocess.run(command, env={"BACKSTAY_HOME": str(home)}, capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


@pytest.fixture(scope="module")
def of_a_list(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the modules of a command that lists backups, in a home that is there already."""
    home = tmp_path_factory.mktemp("list") / "home"
    loaded(home, "list")
    return loaded(home, "list")


@pytest.mark.parametrize(
    "heavy",
    [
        "pydantic",
        "httpx2",
        "backstay.storage.s3",
        "backstay.restore",
        "backstay.engine.run",
        "backstay.archives.reader",
        "backstay.client",
        "alembic",
        "psycopg",
        "sqlalchemy.dialects.postgresql",
        "tomllib",
        "rich.progress",
    ],
)
def test_a_list_of_backups_loads_no_more_than_it_needs(of_a_list: set[str], heavy: str) -> None:
    assert "backstay.cli.records" in of_a_list
    assert heavy not in of_a_list


@pytest.mark.parametrize("argument", ["--help", "-h", "--version"])
def test_the_list_of_commands_is_shown_without_loading_them(home: Path, argument: str) -> None:
    assert not loaded(home, argument) & {"sqlalchemy", "pydantic", "backstay.cli.records", "backstay.engine"}


@pytest.mark.parametrize("name", _COMMANDS)
def test_the_summary_of_a_command_is_the_first_line_of_its_help(name: str) -> None:
    command = typer.main.get_command(application(name))
    assert (command.commands[name].help or "").splitlines()[0] == _COMMANDS[name].summary  # type: ignore[attr-defined]
