"""Schedules: what is done by itself and when, with the next ten runs shown before anything is saved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import JSONResponse, Response

from backstay.catalogue import ProofOptions, Schedule
from backstay.catalogue.schedules import WORKS
from backstay.errors import BackstayError, NotFoundError, UsageError
from backstay.jobs.durations import parse_duration, shown_duration
from backstay.jobs.schedules import (
    add_schedule,
    default_time_zone,
    edit_schedule,
    find_profile,
    next_run_of,
    next_runs,
    pause_schedule,
    remove_schedule,
    resume_schedule,
    run_now,
)
from backstay.jobs.users import Role
from backstay.queue.members import anyone_lives
from backstay.schedules import find_zone, zone_names
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_PAGE = 50
_SHOWN_RUNS = 10


def _list(visit: Visit) -> Response:
    now, catalogue = datetime.now(UTC), visit.installation.catalogue
    chosen = visit.asked("profile")
    asked = visit.asked("page", "1")
    page = max(int(asked), 1) if asked.isdecimal() and len(asked) < 7 else 1
    number = int(chosen) if chosen.isdecimal() and len(chosen) < 10 else None
    # One more than is shown says whether there are more.
    found = catalogue.schedules.all(profile_id=number, offset=(page - 1) * _PAGE, limit=_PAGE + 1)
    shown = found[:_PAGE]
    return visit.page(
        "settings/schedules.html",
        schedules=[(one, next_run_of(one, now)) for one in shown],
        last=catalogue.runs.newest([one.id for one in shown]),
        names=catalogue.profiles.names_of({one.profile_id for one in shown} | ({number} if number else set())),
        profile=chosen, page=page, more=len(found) > _PAGE,
        works=anyone_lives(visit.installation),
    )  # fmt: skip


def _values(visit: Visit) -> dict[str, str]:
    """Return what the form holds, as it was typed."""
    names = ("profile", "what", "at", "time_zone", "spread", "which", "storage", "within")
    return {name: visit.field(name).strip() for name in names} | {"catch_up": visit.field("catch_up")}


def _form(
    visit: Visit, values: dict[str, Any], status: int = 200, *, schedule: Schedule | None = None, problem: str = ""
) -> Response:
    runs, refusal = _preview_of(values)
    return visit.page(
        "settings/schedule.html", status,
        schedule=schedule, values=values, problem=problem, runs=runs, refusal=refusal if values["at"] else "",
        profiles=visit.installation.catalogue.profiles.names(), works=WORKS, zones=zone_names(),
        storages=[one.name for one in visit.installation.catalogue.destinations.all()],
        last_runs=visit.installation.catalogue.runs.of(schedule.id, _SHOWN_RUNS) if schedule else [],
    )  # fmt: skip


def _new(visit: Visit) -> Response:
    values = {
        "profile": visit.asked("profile", "1"), "what": "backup", "at": "17 3 * * *",
        "time_zone": default_time_zone(visit.installation), "spread": "30m", "catch_up": "1",
        "which": "newest", "storage": "", "within": "",
    }  # fmt: skip
    return _form(visit, values)


def _show(visit: Visit) -> Response:
    one = visit.installation.catalogue.schedules.get(visit.number())
    values = {
        "profile": str(one.profile_id), "what": one.what, "at": one.at, "time_zone": one.time_zone,
        "spread": shown_duration(timedelta(seconds=one.spread)), "catch_up": "1" if one.catch_up else "",
        "which": one.options.which, "storage": "here" if one.options.here_only else one.options.storage,
        "within": f"{one.options.within}d" if one.options.within else "",
    }  # fmt: skip
    return _form(visit, values, schedule=one)


def _create(visit: Visit) -> Response:
    values = _values(visit)
    if visit.field("preview"):
        return _form(visit, values)
    try:
        made = add_schedule(
            visit.installation,
            find_profile(visit.installation, values["profile"]),
            at=values["at"],
            now=datetime.now(UTC),
            what=next((one for one in WORKS if one == values["what"]), "backup"),
            time_zone=values["time_zone"],
            spread=parse_duration(values["spread"] or "0"),
            catch_up=bool(values["catch_up"]),
            options=_options(values),
        )
    except BackstayError as error:
        return _form(visit, values, 400, problem=str(error))
    visit.note("schedule added", f"schedule {made.id}", profile=made.profile_id, at=made.at)
    return visit.redirect(f"/schedules/{made.id}", f"Schedule {made.id} is added.")


def _edit(visit: Visit) -> Response:
    found = visit.installation.catalogue.schedules.get(visit.number())
    values = _values(visit) | {"profile": str(found.profile_id), "what": found.what}
    if visit.field("preview"):
        return _form(visit, values, schedule=found)
    try:
        edit_schedule(
            visit.installation,
            found.id,
            now=datetime.now(UTC),
            at=values["at"],
            time_zone=values["time_zone"] or found.time_zone,
            spread=parse_duration(values["spread"] or "0"),
            catch_up=bool(values["catch_up"]),
            options=_options(values),
        )
    except BackstayError as error:
        return _form(visit, values, 400, schedule=found, problem=str(error))
    visit.note("schedule changed", f"schedule {found.id}", at=values["at"])
    return visit.redirect(f"/schedules/{found.id}", f"Schedule {found.id} is saved.")


def _options(values: dict[str, str]) -> ProofOptions:
    if values["what"] == "backup":
        return ProofOptions()
    days = parse_duration(values["within"] or "0") / timedelta(days=1)
    if days != int(days):
        raise UsageError("Within how long each backup comes round is in whole days: write 30d or 4w.")
    storage = values["storage"]
    return ProofOptions(
        which="rotating" if values["which"] == "rotating" else "newest",
        storage="" if storage == "here" else storage,
        here_only=storage == "here",
        within=int(days),
    )


def _preview_of(values: dict[str, str]) -> tuple[list[str], str]:
    """Return the next ten runs on the clocks of their place, and why there are none."""
    number = int(values["profile"]) if values["profile"].isdecimal() and len(values["profile"]) < 10 else 1
    try:
        spread = parse_duration(values["spread"] or "0")
        zone = find_zone(values["time_zone"] or "UTC")
        runs = next_runs(values["at"], zone.key, spread, number, datetime.now(UTC))
        return [run.astimezone(zone).strftime("%a %Y-%m-%d %H:%M %Z") for run in runs], ""
    except BackstayError as error:
        return [], str(error)


def _preview(visit: Visit) -> Response:
    asked = {name: visit.asked(name) for name in ("profile", "at", "time_zone", "spread")}
    runs, refusal = _preview_of(asked)
    return JSONResponse({"runs": runs, "problem": refusal})


def _pause(visit: Visit) -> Response:
    one = pause_schedule(visit.installation, visit.number())
    visit.note("schedule paused", f"schedule {one.id}")
    return visit.redirect(f"/schedules/{one.id}", f"Schedule {one.id} is paused.")


def _resume(visit: Visit) -> Response:
    one = resume_schedule(visit.installation, visit.number(), datetime.now(UTC))
    visit.note("schedule resumed", f"schedule {one.id}")
    return visit.redirect(f"/schedules/{one.id}", f"Schedule {one.id} goes on.")


def _run(visit: Visit) -> Response:
    run = run_now(visit.installation, visit.number(), datetime.now(UTC))
    visit.note("schedule run now", f"schedule {run.schedule_id}", run=run.id)
    soon = anyone_lives(visit.installation)
    when = "within a minute" if soon else "as soon as 'backstay serve' or 'backstay worker' does what is scheduled"
    return visit.redirect(f"/schedules/{run.schedule_id}", f"It starts {when}.")


def _remove(visit: Visit) -> Response:
    if visit.field("sure") != "yes":
        raise UsageError("Tick that the schedule may go, and try again.")
    number = visit.number()
    try:
        remove_schedule(visit.installation, number)
    except NotFoundError:
        return visit.redirect("/schedules", f"Schedule {number} is gone already.")
    visit.note("schedule removed", f"schedule {number}")
    return visit.redirect("/schedules", f"Schedule {number} is removed; the backups it took stay.")


ROUTES = (
    PageRoute("GET", "/schedules", Role.VIEWER, _list),
    PageRoute("GET", "/schedules/new", Role.ADMINISTRATOR, _new),
    PageRoute("POST", "/schedules/new", Role.ADMINISTRATOR, _create),
    PageRoute("GET", "/schedules/preview", Role.ADMINISTRATOR, _preview),
    PageRoute("GET", "/schedules/{number:int}", Role.VIEWER, _show),
    PageRoute("POST", "/schedules/{number:int}", Role.ADMINISTRATOR, _edit),
    PageRoute("POST", "/schedules/{number:int}/pause", Role.ADMINISTRATOR, _pause),
    PageRoute("POST", "/schedules/{number:int}/resume", Role.ADMINISTRATOR, _resume),
    PageRoute("POST", "/schedules/{number:int}/run", Role.OPERATOR, _run),
    PageRoute("POST", "/schedules/{number:int}/remove", Role.ADMINISTRATOR, _remove, confirmed=True),
)
