"""``backstay remote``: drive any server of the Akeeba Backup JSON API."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from backstay.api.methods import METHODS, find_method
from backstay.api.replies import BackupRecord
from backstay.api.wire import plain
from backstay.cli.output import console, print_json, say, shown, size, table
from backstay.cli.remote_connection import Remote, connected
from backstay.cli.remote_transfer import backup, download, pair
from backstay.client import Call
from backstay.errors import NotFoundError, UsageError

app = typer.Typer(
    help="Drive any server of the Akeeba Backup JSON API: Backstay's own, Joomla, WordPress, Solo.",
    no_args_is_help=True,
)

Identifier = Annotated[int, typer.Argument(metavar="ID", help="Number of the backup.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command()
@connected
def test(remote: Remote) -> None:
    """Find out how the server is called, and what answers.

    Example:
        backstay remote test --url https://example.com
    """
    version = remote.client.get_version()
    if remote.as_json:
        endpoint = remote.client.endpoint
        found = endpoint.stored() if endpoint else None
        print_json({"endpoint": found, "tried": remote.client.tried, "version": plain(version)})
        return
    console.print(f"It works: {remote.client.endpoint}", markup=False)
    console.print(
        shown(f"API level {version.api}, version {version.component} of {version.date}, edition {version.edition}"),
        markup=False,
    )
    if remote.verbose:
        for line in remote.client.tried:
            say(f"Tried {line}")


@app.command()
@connected
def profiles(remote: Remote) -> None:
    """List the backup profiles of the server.

    Example:
        backstay remote profiles --url https://example.com --json
    """
    found = remote.client.get_profiles()
    if remote.as_json:
        print_json(plain(found))
        return
    rows = table("ID", "Name", right=["ID"])
    for profile in found:
        rows.add_row(str(profile.id), Text(shown(profile.name)))
    console.print(rows)


app.command("backup")(backup)


@app.command("list")
@connected
def list_backups(
    remote: Remote,
    first: Annotated[int, typer.Option("--from", min=0, help="How many of the newest to leave out.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many at most; 0: all.")] = 50,
) -> None:
    """List the backups of the server, newest first.

    Example:
        backstay remote list --url https://example.com --limit 10
    """
    found = remote.client.list_backups(first, limit)
    if remote.as_json:
        print_json(plain(found))
        return
    rows = table("ID", "Start (UTC)", "State", "Profile", "Size", "Description", right=["ID", "Profile", "Size"])
    for record in found:
        rows.add_row(
            str(record.id),
            shown(record.backupstart or ""),
            Text(shown(record.meta or record.status)),
            str(record.profile_id),
            _size_of(record),
            Text(shown(record.description)),
        )
    console.print(rows)


def _size_of(record: BackupRecord) -> str:
    return size(record.size if record.size is not None else record.total_size or None)


@app.command()
@connected
def show(remote: Remote, backup_id: Identifier) -> None:
    """Show one backup and the files of its archive.

    Example:
        backstay remote show 25 --url https://example.com
    """
    info = remote.client.get_backup_info(backup_id)
    values: dict[str, Any] = plain(info)
    if remote.as_json:
        print_json(values)
        return
    rows = table("Field", "Value")
    for name, value in values.items():
        if name != "filenames" and value not in (None, ""):
            rows.add_row(name, Text(shown(str(value))))
    console.print(rows)
    for file in info.filenames:
        console.print(f"  part {file.part}: {shown(file.name)}  {size(file.size)}", markup=False)


app.command("download")(download)


@app.command()
@connected
def delete(remote: Remote, backup_id: Identifier, yes: Yes = False) -> None:
    """Delete a backup of the server: its files, its log and its record.

    Example:
        backstay remote delete 25 --url https://example.com --yes
    """
    _ask(f"Delete backup {backup_id} on the server, with its record?", yes=yes)
    remote.client.delete(backup_id)
    _done(remote, f"Backup {backup_id} is deleted on the server.")


@app.command("delete-files")
@connected
def delete_files(remote: Remote, backup_id: Identifier, yes: Yes = False) -> None:
    """Delete the files of a backup of the server and keep its record.

    Example:
        backstay remote delete-files 25 --url https://example.com --yes
    """
    _ask(f"Delete the files of backup {backup_id} on the server?", yes=yes)
    remote.client.delete_files(backup_id)
    _done(remote, f"The files of backup {backup_id} are deleted on the server.")


def _ask(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("Nobody can be asked here: give --yes to go ahead.")
    typer.confirm(question, abort=True)


def _done(remote: Remote, sentence: str) -> None:
    if remote.as_json:
        print_json(True)
    else:
        say(sentence)


@app.command()
@connected
def log(
    remote: Remote,
    tag: Annotated[str | None, typer.Argument(metavar="[TAG]", help="Which log, for example json.id-…")] = None,
) -> None:
    """Print the log of a backup; the newest servers no longer offer it.

    Example:
        backstay remote log json.id-20240102-030405-678901 --url https://example.com
    """
    text = remote.client.log(tag)
    if remote.as_json:
        print_json(text)
    else:
        sys.stdout.write("".join(letter if letter in "\n\t" else shown(letter) for letter in text if letter != "\r"))


@app.command("export")
@connected
def export_profile(
    remote: Remote,
    profile: Annotated[int, typer.Argument(metavar="PROFILE", help="Number of the profile.")] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.", show_default="output")
    ] = None,
) -> None:
    """Export a profile of the server, with its settings and filters, as JSON; it holds passwords.

    Example:
        backstay remote export 2 --url https://example.com --output profile.json
    """
    exported = plain(remote.client.export_configuration(profile))
    if output is None:
        print_json(exported)
        return
    output.touch(mode=0o600)
    output.write_text(json.dumps(exported, indent=2) + "\n", encoding="utf-8")
    say(f"Profile {profile} is in {output}.")


@app.command("import")
@connected
def import_profile(
    remote: Remote,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What export wrote.")],
    profile: Annotated[int, typer.Option("--profile", min=0, help="Profile to overwrite; 0 makes a new one.")] = 0,
) -> None:
    """Import a profile into the server.

    Example:
        backstay remote import profile.json --url https://example.com
    """
    try:
        data = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise NotFoundError(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise UsageError(f"{file} is not JSON: give what export wrote.") from None
    if not isinstance(data, dict):
        raise UsageError(f"{file} holds no profile: give what export wrote.")
    remote.client.import_configuration(data, profile)
    _done(remote, "The profile is imported.")


@app.command()
@connected
def call(
    remote: Remote,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Name of the method, for example getFSRoots.")],
    parameters: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Parameters; JSON for objects and lists.")
    ] = None,
) -> None:
    """Call any method of the API and print its reply as JSON; 'backstay remote methods' lists them.

    Examples:
        backstay remote call getDBRoots profile=1 --url https://example.com

        backstay remote call saveConfiguration profile=1 'engineconfig={"akeeba.basic.backup_type":"fileonly"}' --url …
    """
    found = find_method(method)
    if found is None:
        close = difflib.get_close_matches(method.lower(), [known.name.lower() for known in METHODS], 1)
        hint = next((f" Did you mean {known.name}?" for known in METHODS if [known.name.lower()] == close), "")
        raise UsageError(f"There is no method {method}.{hint} 'backstay remote methods' lists them.")
    if found.reply_type is bytes:
        raise UsageError(f"{found.name} answers with a file: use 'backstay remote download'.")
    data = {key: _value(value) for key, value in map(pair, parameters or ())}
    print_json(plain(remote.client.run(Call(found, data))))


def _value(text: str) -> Any:
    """Return an object or a list from its JSON text, anything else as it is."""
    if not text.startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


@app.command()
def methods(
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, for scripts.")] = False,
) -> None:
    """List all methods of the API and their parameters.

    Example:
        backstay remote methods
    """
    if as_json:
        print_json({method.name: method.parameters.model_json_schema().get("properties", {}) for method in METHODS})
        return
    rows = table("Method", "Parameters", "What it does")
    for method in METHODS:
        names = ", ".join(method.parameters.model_json_schema(mode="validation").get("properties", {}))
        rows.add_row(method.name, names, method.summary)
    console.print(rows)
