"""How commands show sites: as JSON values, as a table, and in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from backstay.catalogue import Connection, Site
from backstay.cli.output import console, counted, moment, shown, size, table

if TYPE_CHECKING:
    from backstay.fleet.standing import SiteStanding

_MOST_PROBLEMS: Final = 10
_STYLES = {"good": "green", "warn": "yellow", "bad": "red", "quiet": ""}


def site_json(site: Site, standing: SiteStanding | None, connection: Connection | None = None) -> dict[str, Any]:
    """Return a site as JSON values, without its secret."""
    values = {name: _plain(value) for name, value in asdict(site).items()}
    if standing is not None:
        values |= {
            "state": standing.state,
            "since": _plain(standing.since),
            "running": standing.site.running,
            "scheduled": standing.site.scheduled,
            "last_good": _plain(standing.site.good),
            "backup": standing.site.backup_id,
            "size": standing.site.size,
        }
    if connection is not None:
        values["connection"] = {
            "endpoint": dict(connection.endpoint) or None,
            "profile": connection.profile,
            "keep_there": connection.keep_there,
            "verify_tls": connection.verify_tls,
        }
    return values


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def print_sites(sites: Sequence[Site], standings: Mapping[int, SiteStanding]) -> None:
    """Print sites as a table, with what their states mean."""
    rows = table("Name", "State", "Since (UTC)", "Last good (UTC)", "Size", "Group", "Tags", "Address", right=["Size"])
    for site in sites:
        one = standings.get(site.id)
        rows.add_row(
            Text(shown(site.name)),
            state_text(one),
            moment(one.since) if one else "",
            moment(one.site.good) if one else "",
            size(one.site.size) if one and one.site.backup_id is not None else "",
            Text(shown(site.group)),
            Text(shown(" ".join(site.tags))),
            Text(shown(site.address) if site.kind == "remote" else "this machine"),
        )
    console.print(rows)
    with_problem = [site for site in sites if site.problem]
    for site in with_problem[:_MOST_PROBLEMS]:
        console.print(Text(f"{shown(site.name)}: {shown(site.problem.partition(' Tried:')[0])}", style="red"))
    if len(with_problem) > _MOST_PROBLEMS:
        console.print(f"{counted(len(with_problem) - _MOST_PROBLEMS, 'more site')} with a problem: see '--json'.")
    states = {one.state: one.meaning.sentence for site in sites if (one := standings.get(site.id))}
    for state, sentence in sorted(states.items()):
        if state != "good":
            console.print(f"{state}: {sentence}", markup=False)


def state_text(one: SiteStanding | None) -> Text:
    """Return the state of a site, with a mark where a backup of it runs."""
    if one is None:
        return Text("")
    mark = ", running" if one.site.running else ""
    return Text(f"{one.state}{mark}", style=_STYLES[one.meaning.tone])


def found_lines(found: Mapping[str, Any], profile: int) -> Iterable[str]:
    """Give in sentences what a server said of itself, as it is kept with a site."""
    if not found:
        yield "Its server was not asked yet: 'backstay site test' does it."
        return
    level = f", level {found.get('level')} of the API" if found.get("level") else ""
    yield f"{found.get('product', '')} {found.get('version', '')} ({found.get('edition', '')}){level}."
    profiles = found.get("profiles")
    if profiles is None:
        yield "The secret may not list the backup profiles."
    elif profiles:
        names = [f"{number} {name}{' (used)' if number == profile else ''}" for number, name in profiles[:10]]
        more = f" and {counted(len(profiles) - 10, 'other')}" if len(profiles) > 10 else ""
        yield f"Backup profiles: {', '.join(names)}{more}."
    yield _newest(found)
    yield {
        True: "The secret may download.",
        False: "The secret may NOT download: backups can be taken there and not fetched. Give one that may.",
        None: "Whether the secret may download will be seen with the first backup.",
    }[found.get("may_download")]
    if found.get("certificate"):
        yield f"SHA-256 of its certificate: {found['certificate']}."


def _newest(found: Mapping[str, Any]) -> str:
    newest = found.get("newest")
    if not found.get("backups", True):
        return "The secret may not list backups: a backup whose start is not answered can't be found again."
    if not newest:
        return "There is no backup on it yet."
    state = {"ok": "complete", "obsolete": "complete, its files gone"}.get(newest.get("state"), newest.get("state"))
    held = f", {size(newest['size'])}" if newest.get("size") else ""
    return f"Newest backup: {newest.get('id')} of {newest.get('start')} (UTC), {state}{held}."
