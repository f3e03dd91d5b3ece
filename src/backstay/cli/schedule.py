"""``backstay schedule``: what is done by itself, and when."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from backstay.catalogue import ProofOptions, Run, Schedule
from backstay.catalogue.schedules import Work
from backstay.cli import options, schedule_options, site_selection
from backstay.cli.output import console, counted, moment, print_json, say, shown, table
from backstay.errors import UsageError
from backstay.jobs.durations import parse_duration, shown_duration
from backstay.jobs.installation import Installation
from backstay.jobs.schedules import (
    add_schedule,
    edit_schedule,
    find_profile,
    next_run_of,
    pause_schedule,
    remove_schedule,
    resume_schedule,
    run_now,
    timing_of,
)
from backstay.queue.members import anyone_lives
from backstay.schedules import due_times

app = typer.Typer(help="Take backups, verify and drill them by the clock.", no_args_is_help=True)

_SHOWN_RUNS = 10
_STYLES = {"done": "green", "failed": "red", "running": "cyan", "skipped": "yellow"}


@app.command()
def add(
    profile: Annotated[
        str, typer.Argument(metavar="[PROFILE]", help="Number or name of the profile or site.", show_default=False)
    ] = "",
    *,
    at: schedule_options.At,
    groups: site_selection.Groups = None,
    tags: site_selection.Tags = None,
    what: Annotated[Work, typer.Option("--what", help="Take a backup, or prove those there are.")] = "backup",
    time_zone: schedule_options.Zone = None,
    spread: schedule_options.Spread = None,
    catch_up: schedule_options.CatchUp = None,
    which: schedule_options.Which = None,
    storage: schedule_options.Storage = None,
    here_only: schedule_options.HereOnly = None,
    within: schedule_options.Within = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Add a schedule to a profile, or one to each site of a group or with a tag.

    It runs while 'backstay serve' or 'backstay worker' does.

    Examples:
        backstay schedule add shop --at '17 3 * * *' --time-zone Europe/Berlin --spread 30m

        backstay schedule add 2 --at '0 5 * * *' --what verify --within 30d

        backstay schedule add 2 --at '0 6 * * SUN' --what drill

        backstay schedule add --group clients-a --at '0 3 * * *' --spread 4h
    """
    now = datetime.now(UTC)
    if bool(profile) == bool(groups or tags):
        raise UsageError("Name one profile or site, or the sites with --group and --tag.")
    default: Literal["newest", "rotating"] = "rotating" if what == "verify" else "newest"
    proof = _proof(ProofOptions(which=default), which, storage, here_only=here_only, within=within)
    with options.opened(home) as installation:
        made = [
            add_schedule(
                installation,
                number,
                at=at,
                now=now,
                what=what,
                time_zone=time_zone or "",
                spread=parse_duration(spread or "0"),
                catch_up=catch_up is not False,
                options=proof,
            )
            for number in _profiles(installation, profile, groups, tags)
        ]
    if profile:
        _print(made[0], "added", now, json_output=json_output)
    elif json_output:
        print_json([_json(schedule, now, None) for schedule in made])
    else:
        console.print(f"{counted(len(made), 'schedule')} added, one for each site.")


def _profiles(installation: Installation, profile: str, groups: list[str] | None, tags: list[str] | None) -> list[int]:
    """Return the number of the profile that was named, or those of the sites of groups and tags."""
    if profile:
        return [find_profile(installation, profile)]
    # Imported here: one profile needs none of it.
    from backstay.fleet.selection import require_selected

    chosen = require_selected(installation, site_selection.selection_of(None, groups, tags))
    return [site.profile_id for site in chosen]


@app.command("list")
def list_command(home: options.Home = None, json_output: options.Json = False) -> None:
    """List the schedules, with the next and the last run of each.

    Example:
        backstay schedule list --json
    """
    now = datetime.now(UTC)
    with options.opened(home) as installation:
        found = installation.catalogue.schedules.all()
        last = installation.catalogue.runs.newest()
        names = dict(installation.catalogue.profiles.names())
    if json_output:
        print_json([_json(schedule, now, last.get(schedule.id)) for schedule in found])
        return
    if not found:
        console.print("There is no schedule yet: add one with 'backstay schedule add PROFILE --at TIME'.")
        return
    rows = table("ID", "Profile", "What", "At", "Time zone", "Next (UTC)", "Last (UTC)", "Result", right=["ID"])
    for schedule in found:
        run = last.get(schedule.id)
        rows.add_row(
            str(schedule.id),
            Text(f"{schedule.profile_id} {shown(names.get(schedule.profile_id, ''))}"),
            schedule.what,
            Text(shown(schedule.at)),
            Text(shown(schedule.time_zone)),
            "paused" if schedule.paused else moment(next_run_of(schedule, now)),
            moment(run.due) if run else "",
            Text(run.state, style=_STYLES.get(run.state, "")) if run else "",
        )
    console.print(rows)


@app.command()
def show(number: schedule_options.Number, home: options.Home = None, json_output: options.Json = False) -> None:
    """Show a schedule, its next ten runs and its last ten.

    Example:
        backstay schedule show 3
    """
    now = datetime.now(UTC)
    with options.opened(home) as installation:
        schedule = installation.catalogue.schedules.get(number)
        runs = installation.catalogue.runs.of(number, _SHOWN_RUNS)
    following = [] if schedule.paused else list(islice(due_times(timing_of(schedule), now), _SHOWN_RUNS))
    if json_output:
        lists = {"next_runs": [moment(due) for due in following], "last_runs": [_run_json(run) for run in runs]}
        print_json({**_json(schedule, now, runs[0] if runs else None), **lists})
        return
    console.print(Text(f"Schedule {schedule.id}: {_sentence(schedule)}", style="bold"))
    if schedule.paused:
        console.print(f"It is paused: go on with 'backstay schedule resume {schedule.id}'.")
    else:
        rows = table("Next (UTC)", "There")
        for due in following:
            rows.add_row(moment(due), due.astimezone(ZoneInfo(schedule.time_zone)).strftime("%a %Y-%m-%d %H:%M:%S %Z"))
        console.print(rows)
    if runs:
        console.print()
        console.print(_runs_table(runs))


@app.command()
def edit(
    number: schedule_options.Number,
    *,
    at: schedule_options.NewAt = None,
    time_zone: schedule_options.Zone = None,
    spread: schedule_options.Spread = None,
    catch_up: schedule_options.CatchUp = None,
    which: schedule_options.Which = None,
    storage: schedule_options.Storage = None,
    here_only: schedule_options.HereOnly = None,
    within: schedule_options.Within = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Change a schedule; what is not given stays. A new time counts from now on.

    Examples:
        backstay schedule edit 3 --at '30 4 * * MON-FRI'

        backstay schedule edit 4 --spread 0 --no-catch-up
    """
    now = datetime.now(UTC)
    with options.opened(home) as installation:
        found = installation.catalogue.schedules.get(number)
        edited = edit_schedule(
            installation,
            number,
            now=now,
            at=at,
            time_zone=time_zone,
            spread=None if spread is None else parse_duration(spread),
            catch_up=catch_up,
            options=_proof(found.options, which, storage, here_only=here_only, within=within),
        )
    _print(edited, "changed", now, json_output=json_output)


@app.command()
def pause(number: schedule_options.Number, home: options.Home = None) -> None:
    """Let a schedule rest until it is resumed.

    Example:
        backstay schedule pause 3
    """
    with options.opened(home) as installation:
        pause_schedule(installation, number)
    console.print(f"Schedule {number} is paused: go on with 'backstay schedule resume {number}'.")


@app.command()
def resume(number: schedule_options.Number, home: options.Home = None) -> None:
    """Let a paused schedule go on; what was due meanwhile is not made up.

    Example:
        backstay schedule resume 3
    """
    now = datetime.now(UTC)
    with options.opened(home) as installation:
        resumed = resume_schedule(installation, number, now)
    _print(resumed, "resumed", now, json_output=False)


@app.command()
def remove(number: schedule_options.Number, home: options.Home = None) -> None:
    """Remove a schedule and the list of its runs; the backups stay.

    Example:
        backstay schedule remove 3
    """
    with options.opened(home) as installation:
        remove_schedule(installation, number)
    console.print(f"Schedule {number} is removed.")


@app.command()
def run(number: schedule_options.Number, home: options.Home = None, json_output: options.Json = False) -> None:
    """Run a schedule now, whatever its time; its next run stays.

    Example:
        backstay schedule run 3
    """
    with options.opened(home) as installation:
        made = run_now(installation, number, datetime.now(UTC))
        soon = anyone_lives(installation)
    if json_output:
        print_json(_run_json(made))
        return
    when = "starts within a minute" if soon else "starts with the next 'backstay serve' or 'backstay worker'"
    console.print(f"Run {made.id} of schedule {number} {when}: see 'backstay schedule show {number}'.", markup=False)


def _proof(
    used: ProofOptions,
    which: Literal["newest", "rotating"] | None,
    storage: str | None,
    *,
    here_only: bool | None,
    within: str | None,
) -> ProofOptions:
    days = None if within is None else parse_duration(within) / timedelta(days=1)
    if days is not None and days != int(days):
        raise UsageError("The span of --within is in whole days: write 30d or 4w.")
    given: dict[str, Any] = {
        "which": which,
        "storage": storage,
        "here_only": here_only,
        "within": None if days is None else int(days),
    }
    return replace(used, **{name: value for name, value in given.items() if value is not None})


def _print(schedule: Schedule, verb: str, now: datetime, *, json_output: bool) -> None:
    if json_output:
        print_json(_json(schedule, now, None))
        return
    console.print(f"Schedule {schedule.id} is {verb}: {_sentence(schedule)}.", markup=False)
    if (following := next_run_of(schedule, now)) is not None:
        say(f"It runs next at {moment(following)} UTC, while 'backstay serve' or 'backstay worker' does.")


def _sentence(schedule: Schedule) -> str:
    proven = schedule.options
    which = "the newest backup" if proven.which == "newest" else "each backup in turn"
    where = f" at {proven.storage}" if proven.storage else " here" if proven.here_only else ""
    within = f" within {proven.within}d" if proven.within else ""
    work = "backup" if schedule.what == "backup" else f"{schedule.what} {which}{where}{within}"
    spread = f", spread over {shown_duration(timedelta(seconds=schedule.spread))}" if schedule.spread else ""
    missed = "" if schedule.catch_up else ", missed runs are not made up"
    return shown(f"profile {schedule.profile_id}, {work}, at {schedule.at!r} in {schedule.time_zone}{spread}{missed}")


def _runs_table(runs: list[Run]) -> Any:
    rows = table("Due (UTC)", "Began", "Ended", "State", "Backup", "Result", right=["Backup"])
    for one in runs:
        rows.add_row(
            moment(one.due),
            moment(one.started),
            moment(one.ended),
            Text(one.state, style=_STYLES.get(one.state, "")),
            str(one.backup_id or ""),
            Text(shown(one.message)),
        )
    return rows


def _json(schedule: Schedule, now: datetime, last: Run | None) -> dict[str, Any]:
    values = asdict(schedule)
    values["created"], values["handled"] = moment(schedule.created), moment(schedule.handled)
    return {**values, "next": moment(next_run_of(schedule, now)) or None, "last": _run_json(last) if last else None}


def _run_json(made: Run) -> dict[str, Any]:
    moments = {name: moment(getattr(made, name)) or None for name in ("due", "created", "started", "ended")}
    return {**asdict(made), **moments}
