"""The command line: one module for each command."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from dataclasses import dataclass

import typer

from backstay.cli.noting import note_changes
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
    """Where a command is.

    Attributes:
        module: of this package.
        name: of its function, or of its group of commands.
        summary: the first line of its help: the list of all commands is shown without loading their modules.
        group: it is a group of commands.
    """

    module: str
    name: str
    summary: str
    group: bool = False


# In the order the help shows them.
_COMMANDS = {
    "backup": _Command(
        "backup", "backup", "Take a backup of a site: its files and its database, in one archive, proven."
    ),
    "status": _Command(
        "status", "status", "Show how every profile stands: its state, last good backup, proof, next run."
    ),
    "list": _Command("records", "list_command", "List the backups that were taken, newest first."),
    "show": _Command("records", "show", "Show all that is known of one backup: its files, its proof, its warnings."),
    "browse": _Command(
        "browse",
        "browse",
        "Look inside a backup's archive, a folder at a time, with the sizes of folders; or find names in it.",
    ),
    "log": _Command("records", "log", "Print the log of a backup."),
    "verify": _Command(
        "records",
        "verify",
        "Read a backup's archive, from the disk or from a storage, and prove that it is what was written.",
    ),
    "delete": _Command(
        "records",
        "delete",
        "Delete a backup: its archive here, its log and its record. One that is running is stopped.",
    ),
    "freeze": _Command("records", "freeze", "Protect a backup from being deleted, by hand or by retention."),
    "edit": _Command("records", "edit", "Change the description or the comment of a backup."),
    "compare": _Command(
        "compare", "compare", "Compare two backups: files added, changed and removed, tables and their rows."
    ),
    "copy": _Command(
        "copy",
        "copy",
        "Send a backup that exists to a storage, and prove that it arrived. An interrupted one is resumed.",
    ),
    "restore": _Command(
        "restore",
        "restore",
        "Bring a site back: its files into a folder, its databases into servers, its configuration to fit.",
    ),
    "drill": _Command(
        "drill",
        "drill",
        "Restore a backup into a scratch folder and a scratch database, compare everything, and remove them again.",
    ),
    "task": _Command(
        "task", "app", "List, show and stop long work that goes on by itself: proofs, copies, restores.", group=True
    ),
    "alarms": _Command(
        "alarms",
        "app",
        "List what is wrong: backups that failed, are late or suspicious, storages that do not answer.",
        group=True,
    ),
    "migrate": _Command(
        "migrate",
        "migrate",
        "Move a site here: back it up on its server, download, restore, and replace its old folder and address.",
    ),
    "worker": _Command(
        "worker", "worker", "Do what is scheduled, without answering calls: backups and proofs, alarms, notifications."
    ),
    "serve": _Command("serve", "serve", "Answer clients of the Akeeba Backup JSON API, versions 1, 2 and 3."),
    "service": _Command(
        "service", "app", "Run the server or the worker by systemd: now, and whenever the machine starts.", group=True
    ),
    "archive": _Command(
        "archive", "app", "List, verify and extract archives: JPA, JPS and ZIP, whole or in parts.", group=True
    ),
    "profile": _Command("profile", "app", "Make and change profiles: one for each site.", group=True),
    "site": _Command(
        "site",
        "app",
        "Keep the sites that are backed up: on other people's hosting, and on this machine.",
        group=True,
    ),
    "group": _Command("group", "app", "Put sites into groups: those of a client, or of a hosting.", group=True),
    "schedule": _Command("schedule", "app", "Take backups, verify and drill them by the clock.", group=True),
    "storage": _Command(
        "storage", "app", "Name the places that backups are sent to: folders, S3, SFTP, WebDAV …", group=True
    ),
    "repository": _Command(
        "repository",
        "app",
        "Keep many backups in one place, where what is the same in them is stored once.",
        group=True,
    ),
    "notify": _Command(
        "notify",
        "app",
        "Choose who is notified when a backup fails or is late: mail, chat, webhook, health check.",
        group=True,
    ),
    "catalogue": _Command(
        "catalogue",
        "app",
        "Show where the catalogue is, and copy it into a database that several machines share.",
        group=True,
    ),
    "secret": _Command("secret", "app", "Show or replace the secret word that opens the API.", group=True),
    "token": _Command(
        "token", "app", "Make, list and revoke tokens: credentials that may do some things and not others.", group=True
    ),
    "user": _Command("user", "app", "Say who may use the page, and what each may do there.", group=True),
    "journal": _Command(
        "journal", "journal", "Show who did what, newest first: through the page, the API and the command line."
    ),
    "remote": _Command(
        "remote",
        "app",
        "Drive any server of the Akeeba Backup JSON API: Backstay's own, Joomla, WordPress, Solo.",
        group=True,
    ),
    "conformance": _Command(
        "conformance",
        "conformance",
        "Check a server against the API's rules; without --changes, only by reading.",
    ),
}


def application(only: str | None = None) -> typer.Typer:
    """Return the command line.

    Args:
        only: the one command that is needed: the modules of the others are not loaded. Empty: the commands' names and
            summaries alone, for help. None, or what is no command: all of them.
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
        if only == "":
            app.command(name, help=command.summary)(lambda: None)
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
            if _takes_backup(sys.argv[1:]):
                _prepare_worker()
            command = application(_needed(sys.argv[1:]))
            note_changes(command)
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


def _takes_backup(arguments: list[str]) -> bool:
    """Return whether these arguments are likely to start a backup."""
    others = {"--help", "-h", "--dry-run", "--resume"}
    return arguments[:1] == ["backup"] and len(arguments) > 1 and not others & set(arguments)


def _prepare_worker() -> None:
    """Start the process that will take the backup, so that its modules load while ours do."""
    from backstay.jobs.job_process import prepare

    # Where it cannot be started, the backup will start one, and say why it can't.
    with contextlib.suppress(OSError):
        prepare()


def _needed(arguments: list[str]) -> str | None:
    """Return what of the command line these arguments need; see ``application``."""
    if "_BACKSTAY_COMPLETE" in os.environ:
        return None
    return arguments[0] if arguments and arguments[0] in _COMMANDS else ""


def _drop_output() -> None:
    """Let what is still to be written to standard output go nowhere: the end of the program would try it again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
