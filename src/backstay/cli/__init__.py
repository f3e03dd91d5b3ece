"""The command line: one module for each command."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from dataclasses import dataclass

import typer

from backstay.cli.output import stderr
from backstay.errors import BackstayError, UsageError
from backstay.version import __version__

_HELP = """Back up websites, prove the backups, and bring sites back.

Take a backup of a site and its database, here and now:

    backstay backup /var/www/site --database mysql://user:password@localhost/site

Bring it back somewhere else:

    backstay restore 1 --to /var/www/new --database mysql://user:password@localhost/new

Answer clients of the Akeeba Backup JSON API:

    backstay serve
"""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"backstay {__version__}")
        raise typer.Exit


def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    del version


@dataclass(frozen=True, slots=True)
class _Command:
    """Where a command is: its module in this room, and the name of its function, or of its group of commands."""

    module: str
    name: str
    group: bool = False


# In the order the help shows them.
_COMMANDS = {
    "backup": _Command("backup", "backup"),
    "list": _Command("records", "list_command"),
    "show": _Command("records", "show"),
    "log": _Command("records", "log"),
    "verify": _Command("records", "verify"),
    "delete": _Command("records", "delete"),
    "freeze": _Command("records", "freeze"),
    "restore": _Command("restore", "restore"),
    "drill": _Command("drill", "drill"),
    "migrate": _Command("migrate", "migrate"),
    "serve": _Command("serve", "serve"),
    "archive": _Command("archive", "app", group=True),
    "profile": _Command("profile", "app", group=True),
    "secret": _Command("secret", "app", group=True),
    "token": _Command("token", "app", group=True),
    "remote": _Command("remote", "app", group=True),
    "conformance": _Command("conformance", "conformance"),
}


def application(only: str | None = None) -> typer.Typer:
    """Return the command line.

    Args:
        only: the one command that is needed: the modules of the others are not loaded, which halves the time a
            command takes to start. None, or what is no command: all of them.
    """
    app = typer.Typer(
        name="backstay",
        help=_HELP,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_main)
    for name, command in _COMMANDS.items():
        if only in _COMMANDS and name != only:
            continue
        found = getattr(importlib.import_module(f"backstay.cli.{command.module}"), command.name)
        if command.group:
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def main() -> None:
    """Run the command line: a user's error is one sentence and the exit code of its class, never a traceback."""
    try:
        try:
            # Imports make no garbage, but looking for it takes a tenth of their time.
            gc.disable()
            command = application(sys.argv[1] if len(sys.argv) > 1 else None)
            gc.enable()
            command()
        finally:
            sys.stdout.flush()
    except BackstayError as error:
        kind = "Wrong usage" if isinstance(error, UsageError) else "Error"
        stderr.print(f"{kind}: {error}".encode("utf-8", "backslashreplace").decode(), markup=False, style="red")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        stderr.print("Stopped.")
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has seen enough (head, say).
        _drop_output()
        sys.exit(141)
    except OSError as error:
        name = f" ({error.filename})" if error.filename else ""
        stderr.print(f"Error: The system refused: {error.strerror or error}{name}.", markup=False, style="red")
        _drop_output()
        sys.exit(1)


def _drop_output() -> None:
    """Let what is still to be written to standard output go nowhere: the end of the program would try it again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
