"""``backstay migrate``: move a site here from another server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backstay.cli import options
from backstay.cli.output import bar, say
from backstay.cli.remote_connection import read_secret
from backstay.cli.restore import ask, discarded_unless_begun, run
from backstay.cli.restore_plan import Wishes, make_plan, preview
from backstay.client import Client
from backstay.jobs import backup_remotely, begin_restore, confirm_overdue, moving_texts, source_of_server

if TYPE_CHECKING:
    from backstay.api.replies import StepReply


def migrate(
    server: Annotated[
        str, typer.Option("--from", metavar="URL", help="Address of the server that has the site, its API or not.")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder for the site here.")],
    database: Annotated[
        list[str] | None,
        typer.Option("--database", metavar="[DUMP=]URL", help="Database for the site here, as for 'restore'."),
    ] = None,
    profile: Annotated[int, typer.Option("--profile", help="Number of the backup profile on the server.")] = 1,
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="URL", help="New address of the site; the old one is replaced everywhere."),
    ] = None,
    replace_texts: Annotated[
        list[str] | None,
        typer.Option("--replace", metavar="OLD=NEW", help="Replace another text; may be given often."),
    ] = None,
    existing: Annotated[
        str, typer.Option("--existing-tables", metavar="ask|refuse|replace|backup", help="As for 'restore'.")
    ] = "ask",
    delete_files: Annotated[
        bool, typer.Option("--delete-files", help="Delete the backup's files on the server in the end.")
    ] = False,
    secret: Annotated[
        str | None,
        typer.Option(
            "--secret",
            metavar="TEXT",
            help="Secret word or token. Other users can see command lines: prefer the variable BACKSTAY_SECRET, "
            "--secret-file, or the prompt.",
        ),
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", metavar="FILE", help="File whose first line is the secret.")
    ] = None,
    password: options.Password = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Replace what is there without asking.")] = False,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Move a site here: back it up on its server, download, restore, and replace its old folder and address.

    Example:
        backstay migrate --from https://old.example --to /var/www/site --database mysql://user:password@localhost/site
    """
    wishes = Wishes(
        to=to,
        databases=tuple(database or ()),
        existing=existing,
        replacements=tuple(replace_texts or ()),
        address=address,
    )
    wishes.check()
    with options.opened(home) as installation, Client(server, read_secret(secret, secret_file)) as client:
        confirm_overdue(installation, say)
        with bar("Backup", quiet=json_output) as progress:

            def told(reply: StepReply) -> None:
                progress.update(f"{reply.domain} {reply.step}", reply.progress, 100, reply.progress)

            number = backup_remotely(client, profile, "Taken to move the site", told)
        with bar("Download", transfer=True, quiet=json_output) as progress:
            source = source_of_server(
                installation,
                client,
                number,
                password,
                lambda arrived: progress.update(arrived.name, arrived.done, arrived.total),
            )
        with discarded_unless_begun(source) as begun:
            plan = make_plan(source, wishes)
            texts = dict(moving_texts(source, server, Path(plan.target), plan.address)) | dict(plan.replacements)
            plan = replace(plan, replacements=tuple(texts.items()))
            looked = preview(plan)
            if looked.replaces and not yes:
                ask(looked.question(), json_output=json_output)
            restoring = begin_restore(installation, looked.decided(plan, wishes.existing, asked=looked.replaces))
            begun()
        run(restoring, json_output=json_output)
        if delete_files:
            client.delete_files(number)
