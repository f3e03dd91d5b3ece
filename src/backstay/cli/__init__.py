"""The command line: one module for each command."""

from __future__ import annotations

import sys

import typer

from backstay.cli import archive, backup, profile, records, remote, restore, secret, serve, token
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

app = typer.Typer(
    name="backstay",
    help=_HELP,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"backstay {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    del version


app.command("backup")(backup.backup)
app.command("list")(records.list_command)
app.command("show")(records.show)
app.command("log")(records.log)
app.command("verify")(records.verify)
app.command("delete")(records.delete)
app.command("freeze")(records.freeze)
app.command("restore")(restore.restore)
app.command("serve")(serve.serve)
app.add_typer(archive.app, name="archive")
app.add_typer(profile.app, name="profile")
app.add_typer(secret.app, name="secret")
app.add_typer(token.app, name="token")
app.add_typer(remote.app, name="remote")


def main() -> None:
    """Run the command line: a user's error is one sentence and the exit code of its class, never a traceback."""
    try:
        app()
    except BackstayError as error:
        kind = "Wrong usage" if isinstance(error, UsageError) else "Error"
        stderr.print(f"{kind}: {error}".encode("utf-8", "backslashreplace").decode(), markup=False, style="red")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        stderr.print("Stopped.")
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has seen enough (head, say).
        sys.stderr.close()
        sys.exit(141)
