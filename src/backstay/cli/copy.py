"""``backstay copy``: send a backup that exists to a storage."""

from __future__ import annotations

from typing import Annotated

import typer

from backstay.cli import options
from backstay.cli.copies import copy_json
from backstay.cli.output import bar, console, counted, print_json, size
from backstay.cli.records import Number
from backstay.jobs.storage import copy_backup
from backstay.steps import finished


def copy(
    number: Number,
    to: Annotated[list[str], typer.Option("--to", metavar="NAME", help="Name of the storage; give it several times.")],
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Send a backup that exists to a storage, and prove that it arrived. An interrupted one is resumed.

    Examples:
        backstay copy 12 --to nas

        backstay copy 12 --to nas --to offsite --json
    """
    done = []
    with options.opened(home) as installation:
        for name in dict.fromkeys(to):
            with bar("Copy", transfer=True, quiet=json_output) as progress:
                stored = finished(
                    copy_backup(installation, number, name),
                    lambda sent: progress.update(f"{sent.part} to {sent.destination}", sent.done, sent.total),
                )
            done.append(stored)
            if not json_output:
                total = sum(part.size for part in stored.parts)
                console.print(
                    f"Backup {number} is stored at {name}: {counted(len(stored.parts), 'part')} of {size(total)}, "
                    f"proven by {stored.proven_how}.",
                    markup=False,
                )
    if json_output:
        print_json([copy_json(stored) for stored in done])
