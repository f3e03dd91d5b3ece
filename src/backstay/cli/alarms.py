"""``backstay alarms``: what is wrong."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from backstay.catalogue import Alarm
from backstay.cli import options
from backstay.cli.output import console, moment, print_json, shown
from backstay.jobs.alarms import check

app = typer.Typer(no_args_is_help=False)

_ALARM = 1


@app.callback(invoke_without_command=True)
def alarms(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="List the closed ones too.")] = False,
    profile: Annotated[int | None, typer.Option("--profile", metavar="ID", help="Only those of this profile.")] = None,
    look: Annotated[
        bool, typer.Option("--look", help="Ask the storages and look at the disks now; else that is 15 minutes old.")
    ] = False,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """List what is wrong: backups that failed, are late or suspicious, storages that do not answer.

    Everything is looked at anew. The exit code is 1 while an alarm is open, so that any monitor can ask; alarms that
    were acknowledged do not count. An alarm closes by itself when its cause is gone.

    Examples:
        backstay alarms

        backstay alarms --json

        backstay alarms acknowledge 3
    """
    if context.invoked_subcommand is not None:
        context.obj = home
        return
    with options.opened(home) as installation:
        check(installation, datetime.now(UTC), look=look)
        found = installation.catalogue.alarms.of(profile_id=profile, closed=every)
    if json_output:
        print_json([_json(alarm) for alarm in found])
    else:
        _print(found)
    if any(alarm.state == "open" for alarm in found):
        sys.stdout.flush()
        raise typer.Exit(_ALARM)


@app.command()
def acknowledge(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="Number of the alarm, as 'backstay alarms' shows it.")],
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Say that you know of an alarm: it does not count any more, and stays until its cause is gone.

    Where it becomes worse, it counts again.

    Example:
        backstay alarms acknowledge 3
    """
    with options.opened(home or context.obj) as installation:
        alarm = installation.catalogue.alarms.acknowledge(number, datetime.now(UTC))
    if json_output:
        print_json(_json(alarm))
    else:
        console.print(f"Alarm {number} is acknowledged: {shown(alarm.message)}", markup=False)


def _json(alarm: Alarm) -> dict[str, Any]:
    return {
        "id": alarm.id,
        "kind": alarm.kind,
        "state": alarm.state,
        "subject": shown(alarm.subject),
        "profile": alarm.profile_id,
        "backup": alarm.backup_id,
        "since": alarm.since.isoformat(),
        "opened": alarm.opened.isoformat(),
        "acknowledged": alarm.acknowledged.isoformat() if alarm.acknowledged else None,
        "closed": alarm.closed.isoformat() if alarm.closed else None,
        "message": shown(alarm.message),
        "advice": shown(alarm.advice),
    }


def _print(found: list[Alarm]) -> None:
    if not found:
        console.print("There is no alarm.")
        return
    for alarm in found:
        ended = f", closed {moment(alarm.closed)}" if alarm.closed else ""
        console.print(f"{alarm.id}  {alarm.kind}, {alarm.state}, since {moment(alarm.since)} UTC{ended}", markup=False)
        for text in (alarm.message, alarm.advice):
            console.print(Padding(Text(shown(text)), (0, 0, 0, 4), expand=False))
