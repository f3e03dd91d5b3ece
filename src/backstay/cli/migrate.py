"""``backstay migrate``: move a site here from another server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backstay.cli import options, restore_options
from backstay.cli.output import bar, say
from backstay.cli.remote_connection import read_secret
from backstay.cli.restore import ask, begin, run
from backstay.client import Client
from backstay.jobs.migrate import backup_remotely
from backstay.jobs.restore import confirm_overdue
from backstay.jobs.restore_plan import RestoreOptions, make_plan
from backstay.jobs.restore_preview import preview
from backstay.jobs.restore_sources import RestoreSource, source_of_server
from backstay.restore import RemoteArchive

if TYPE_CHECKING:
    from backstay.api.replies import StepReply


def migrate(
    server: Annotated[
        str, typer.Option("--from", metavar="URL", help="Address of the server that has the site, its API or not.")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder for the site here.")],
    database: restore_options.Database = None,
    profile: Annotated[int, typer.Option("--profile", help="Number of the backup profile on the server.")] = 1,
    address: restore_options.Address = None,
    old_address: restore_options.OldAddress = None,
    replace_texts: restore_options.Replace = None,
    existing: restore_options.Existing = "ask",
    delete_files: Annotated[
        bool, typer.Option("--delete-files", help="Delete the backup's files on the server in the end.")
    ] = False,
    secret: options.Secret = None,
    secret_file: options.SecretFile = None,
    connections: restore_options.Connections = 1,
    password: options.Password = None,
    yes: restore_options.Yes = False,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Move a site here: back it up on its server, download, restore, and replace its old folder and address.

    Example:
        backstay migrate --from https://old.example --to /var/www/site --database mysql://user:password@localhost/site
    """
    wanted = RestoreOptions(
        to=to,
        databases=tuple(database or ()),
        existing=existing,
        replacements=tuple(replace_texts or ()),
        address=address,
        old_addresses=tuple(old_address or ()),
    )
    wanted.check()
    word = read_secret(secret, secret_file)
    with options.opened(home) as installation, Client(server, word) as client:
        confirm_overdue(installation, say)
        # Asked before anything long begins: of the backup itself nothing needs to be known for it.
        looked = preview(installation, make_plan(RestoreSource(to, remote=RemoteArchive(server, word, 0, ())), wanted))
        if looked.replaces and not yes:
            ask(looked.question(), json_output=json_output)
        number = _back_up(client, profile, quiet=json_output)
        source = source_of_server(client, (server, word), number, password, connections)
        plan = replace(make_plan(source, wanted), moved_from=server)
        run(begin(installation, plan, existing=existing, yes=True, json_output=json_output), json_output=json_output)
        if delete_files:
            client.delete_files(number)


def _back_up(client: Client, profile: int, *, quiet: bool) -> int:
    """Take a backup on the server, and return its number there."""
    with bar("Backup", quiet=quiet) as progress:

        def report(reply: StepReply) -> None:
            progress.update(f"{reply.domain} {reply.step}", reply.progress, 100, reply.progress)

        return backup_remotely(client, profile, "Taken to move the site", report)
