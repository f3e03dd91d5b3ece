"""``backstay catalogue``: where the catalogue is, and moving it into a database that machines share."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from backstay.cli import options
from backstay.cli.output import console, moment, print_json, say, shown, size, table
from backstay.errors import UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.tasks import list_tasks
from backstay.jobs.waiting import running_backups
from backstay.queue import members

_HELP = """Show where the catalogue is, and copy it into a database that several machines share.

The catalogue holds profiles, records, schedules and all the rest, but no archives. It is a file in the home unless the
setting catalogue.url, or BACKSTAY_CATALOGUE, names a PostgreSQL database.
"""
app = typer.Typer(no_args_is_help=True, help=_HELP)


@app.command()
def show(home: options.Home = None, json_output: options.Json = False) -> None:
    """Show where the catalogue is, its revision and size, and who works with it.

    Example:
        backstay catalogue show
    """
    with options.opened(home) as installation:
        catalogue = installation.catalogue
        facts = catalogue.facts()
        machines = catalogue.machines.names()
        workers = catalogue.workers.all() if catalogue.is_shared else []
    if json_output:
        told = [{"machine": one.machine, "since": moment(one.since), "lives": one.lives} for one in workers]
        print_json({**asdict(facts), "machines": machines, "workers": told})
        return
    rows = table("", "")
    rows.show_header = False
    for name, value in (
        ("Catalogue", facts.place),
        ("Kept by", facts.server),
        ("Revision", facts.revision),
        ("Size", size(facts.size)),
        ("This machine", facts.machine),
        ("Machines", ", ".join(machines)),
        ("Workers", ", ".join(f"{one.machine} since {moment(one.since)}" for one in workers if one.lives)),
        ("Rows", ", ".join(f"{count} {name}" for name, count in facts.rows.items() if count)),
    ):
        if value:
            rows.add_row(Text(name, style="bold"), Text(shown(value)))
    console.print(rows)


@app.command()
def copy(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="URL",
            help="URL of an empty PostgreSQL database. Other users can see command lines: leave the password to "
            "PGPASSWORD or ~/.pgpass.",
        ),
    ],
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Copy the catalogue of a home into an empty PostgreSQL database, and compare every row.

    The catalogue of the home is left as it is. Stop servers and workers before. The database counts from when
    catalogue.url in backstay.toml names it.

    Examples:
        backstay catalogue copy --to postgresql://backstay@db.example.com/backstay

        PGPASSWORD=secret backstay catalogue copy --to postgresql://backstay@db.example.com/backstay --json
    """
    # Imported here: it loads the driver of PostgreSQL.
    from backstay.catalogue.postgresql import shown as shown_url

    with options.opened(home) as installation:
        _refuse_busy(installation)
        copied = installation.catalogue.copy_to(installation.home, to)
        path = installation.home.configuration
    if json_output:
        print_json({"to": shown_url(to), "rows": copied})
        return
    say(f"Copied {sum(copied.values())} rows into {shown_url(to)}; each was read back and compared.")
    say(f'Now let {path} say where the catalogue is: the table [catalogue] with url = "…".')


def _refuse_busy(installation: Installation) -> None:
    """Refuse while anything writes to the catalogue that would be lost."""
    if count := members.living(installation):
        raise UsageError(f"{count} servers or workers run over this home: stop them first.")
    if running := running_backups(installation):
        raise UsageError(f"Backup {running[0]} is running: wait for its end, or stop it.")
    if tasks := list_tasks(installation, state="running"):
        raise UsageError(f"Task {tasks[0].id} is running: wait for its end, or stop it.")
