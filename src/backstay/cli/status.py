"""``backstay status``: how every profile stands."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from backstay.cli import options
from backstay.cli.output import console, moment, print_json, shown, size, table
from backstay.jobs.overview import (
    STATES,
    Detail,
    Sort,
    State,
    find_standings,
    next_runs,
    read_details,
    read_overview,
)

_STYLES = {"good": "green", "warn": "yellow", "bad": "red", "busy": "cyan", "quiet": ""}


def status(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Only profiles with this in their name.")] = "",
    state: Annotated[State | None, typer.Option("--state", help="Only profiles in this state.")] = None,
    sort: Annotated[Sort, typer.Option("--sort", help="What stands first.")] = "state",
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Show how every profile stands: its state, last good backup, proof, next run.

    What needs you most stands first. The words are those of the overview in the browser.

    Examples:
        backstay status

        backstay status shop --json

        backstay status --state late
    """
    with options.opened(home) as installation:
        due = next_runs(installation.catalogue.schedules.times()) if sort == "next" else None
        overview = read_overview(installation)
        found = find_standings(overview, text=text, state=state or "", sort=sort, due=due)
        details = read_details(installation, found)
    if json_output:
        print_json([_json(one) for one in details])
    elif not details:
        console.print("There is no such profile: 'backstay profile list' shows all.")
    else:
        _print(details)


def _json(one: Detail) -> dict[str, Any]:
    standing, proof = one.standing, one.proof
    return {
        "profile": standing.id,
        "name": shown(standing.name),
        "state": standing.state,
        "meaning": standing.meaning.sentence,
        "alarms": standing.alarms,
        "running": standing.running,
        "backup": standing.backup_id,
        "ended": standing.ended.isoformat() if standing.ended else None,
        "size": standing.size,
        "failure": shown(one.failure),
        "proof": None
        if proof is None
        else {"what": proof.what, "at": proof.at.isoformat(), "passed": proof.passed, "backup": proof.backup_id},
        "next_run": one.next_run.isoformat() if one.next_run else None,
        "places": [{"storage": shown(place.name), "proven": place.proven} for place in one.places],
        "history": [
            {"backup": past.id, "ended": past.ended.isoformat(), "good": past.good, "size": past.size}
            for past in one.history
        ],
    }


def _print(details: list[Detail]) -> None:
    rows = table(
        "ID", "Profile", "State", "Last good (UTC)", "Size", "Proof (UTC)", "Next (UTC)", "Where", right=["ID", "Size"]
    )
    for one in details:
        standing = one.standing
        rows.add_row(
            str(standing.id),
            Text(shown(standing.name)),
            Text(standing.state, style=_STYLES[standing.meaning.tone]),
            moment(standing.ended),
            size(standing.size) if standing.backup_id is not None else "",
            _proof(one),
            moment(one.next_run),
            Text(", ".join(shown(place.name) or "here" for place in one.places)),
        )
    console.print(rows)
    states = {one.standing.state for one in details}
    for state in STATES:
        if state in states and state != "good":
            console.print(f"{state}: {STATES[state].sentence}", markup=False)


def _proof(one: Detail) -> Text:
    if one.proof is None:
        return Text("")
    what = "drill" if one.proof.what == "drill" else "verified"
    failed = "" if one.proof.passed else ", failed"
    return Text(f"{what} {moment(one.proof.at)}{failed}", style="" if one.proof.passed else "red")
