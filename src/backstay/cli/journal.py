"""``backstay journal``: who did what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from backstay.catalogue import JournalEntry, JournalSearch
from backstay.cli import options
from backstay.cli.output import console, moment, print_json, shown, table
from backstay.errors import UsageError
from backstay.jobs.durations import parse_duration
from backstay.jobs.journal import DOORS


def journal(
    who: Annotated[str, typer.Option("--who", metavar="NAME", help="Only what this user or token did.")] = "",
    through: Annotated[
        str, typer.Option("--through", metavar="DOOR", help="Only what came through page, api or command.")
    ] = "",
    action: Annotated[
        str, typer.Option("--action", metavar="TEXT", help="Only this action, as the journal names it.")
    ] = "",
    search: Annotated[
        str, typer.Option("--search", metavar="TEXT", help="Only entries with this text in who, action, what or where.")
    ] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="A date (2027-01-31), or a time ago: 12h, 30d.")
    ] = "",
    until: Annotated[str, typer.Option("--until", metavar="WHEN", help="The same: only what was before.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")] = 50,
    page: Annotated[int, typer.Option("--page", min=1, help="Which page of so many, from the newest on.")] = 1,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Show who did what, newest first: through the page, the API and the command line.

    Examples:
        backstay journal

        backstay journal --who anna --since 30d

        backstay journal --action restore --json
    """
    if through and through not in DOORS:
        raise UsageError(f"{through!r} is no way in: give page, api or command.")
    now = datetime.now(UTC)
    wanted = JournalSearch(who, through, action, search, _moment(since, now), _moment(until, now))
    with options.opened(home) as installation:
        found = installation.catalogue.journal.newest(wanted, limit, (page - 1) * limit)
    if json_output:
        print_json([_json(entry) for entry in found])
    elif not found:
        console.print("The journal has no such entry.")
    else:
        _print(found)


def _moment(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        return now - parse_duration(text)
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def _print(found: list[JournalEntry]) -> None:
    rows = table("When (UTC)", "Who", "Through", "Did", "To", "More")
    for entry in found:
        more = ", ".join(f"{name} {value}" for name, value in entry.details.items())
        came = f"{entry.through}, {entry.address}" if entry.address else entry.through
        rows.add_row(moment(entry.at), *(shown(text) for text in (entry.who, came, entry.action, entry.subject, more)))
    console.print(rows)


def _json(entry: JournalEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at.isoformat(),
        "who": entry.who,
        "through": entry.through,
        "address": entry.address,
        "action": entry.action,
        "subject": entry.subject,
        "details": dict(entry.details),
    }
