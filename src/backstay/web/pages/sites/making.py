"""Adding a remote site, changing and removing any."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from backstay.alarms.facts import storages_of
from backstay.catalogue import Connection, Group, Profile, Site
from backstay.errors import BackstayError, UsageError
from backstay.fleet.changing import SiteEdit, edit_site, remove_site
from backstay.fleet.sites import KEPT_KEY, KEPT_SWITCH, SiteDetails, add_remote_site, checked_name
from backstay.jobs.durations import parse_duration
from backstay.jobs.users import Role
from backstay.web.pages.sites.one import standing_for
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_FIRST: Final[Mapping[str, str]] = {
    "address": "",
    "name": "",
    "group": "",
    "tags": "",
    "notes": "",
    "profile": "1",
    "keep": "",
    "keep_there": "",
    "at": "17 3 * * *",
    "spread": "1h",
    "insecure": "",
    "untested": "",
}


def _new(visit: Visit) -> Response:
    return _form(visit, "sites/new.html", _FIRST)


def _add(visit: Visit) -> Response:
    try:
        _make_group(visit)
        connection = Connection(
            visit.field("secret").strip(),
            {},
            _number(visit, "profile", "The number of the server's profile") or 1,
            _number(visit, "keep_there", "The number of backups that stay on the server"),
            not visit.field("insecure"),
        )
        site, _detected = add_remote_site(
            visit.installation,
            visit.field("address").strip(),
            connection,
            _details(visit),
            ask=not visit.field("untested"),
        )
    except BackstayError as error:
        return _form(visit, "sites/new.html", _typed(visit), str(error))
    visit.note("site added", site.name, address=site.address)
    return visit.redirect(f"/sites/{site.id}", f"The site {site.name} is added.")


def _details(visit: Visit) -> SiteDetails:
    return SiteDetails(
        name=visit.field("name").strip(),
        group=visit.field("group").strip(),
        tags=_tags(visit),
        notes=visit.field("notes"),
        storages=tuple(visit.fields("storage")),
        keep=_number(visit, "keep", "The number of backups that are kept") or None,
        at=visit.field("at").strip(),
        spread=parse_duration(visit.field("spread").strip() or "0"),
    )


def _edit_form(visit: Visit) -> Response:
    site = visit.installation.catalogue.sites.get(standing_for(visit).site.id)
    profile = visit.installation.catalogue.profiles.get(site.profile_id)
    values = {
        "name": site.name,
        "group": site.group,
        "tags": " ".join(site.tags),
        "notes": site.notes,
        "address": site.address,
        "keep": _kept(profile),
        "untested": "",
    }
    if site.kind == "remote":
        connection = visit.installation.catalogue.sites.connection(site.id)
        values |= {
            "profile": str(connection.profile),
            "keep_there": "" if connection.keep_there is None else str(connection.keep_there),
            "insecure": "" if connection.verify_tls else "1",
        }
    return _form(visit, "sites/edit.html", values, site=site, sent=storages_of(profile.configuration))


def _edit(visit: Visit) -> Response:
    site = visit.installation.catalogue.sites.get(standing_for(visit).site.id)
    try:
        _make_group(visit)
        edited = edit_site(visit.installation, site, _changes(visit, site), ask=not visit.field("untested"))
    except BackstayError as error:
        return _form(visit, "sites/edit.html", _typed(visit), str(error), site=site, sent=visit.fields("storage"))
    visit.note("site changed", edited.name)
    return visit.redirect(f"/sites/{site.id}", f"The site {edited.name} is saved.")


def _changes(visit: Visit, site: Site) -> SiteEdit:
    """Return what was typed that is not as it is."""
    tags = _tags(visit)
    common = {
        "name": visit.field("name").strip(),
        "group": visit.field("group").strip(),
        "notes": visit.field("notes"),
        "add_tags": tags,
        "remove_tags": tuple(set(site.tags) - set(tags)),
        "storages": tuple(visit.fields("storage")),
        "keep": _number(visit, "keep", "The number of backups that are kept") or 0,
    }
    if site.kind != "remote":
        return SiteEdit(**common)  # type: ignore[arg-type]  # values of several kinds, by name
    known = visit.installation.catalogue.sites.connection(site.id)
    address, profile = visit.field("address").strip(), _number(visit, "profile", "The number of the server's profile")
    keep_there = _number(visit, "keep_there", "The number of backups that stay on the server")
    verify = not visit.field("insecure")
    return SiteEdit(
        **common,  # type: ignore[arg-type]  # values of several kinds, by name
        address=address if address != site.address else None,
        secret=visit.field("secret").strip() or None,
        profile=profile if profile not in (None, known.profile) else None,
        keep_there=(-1 if keep_there is None else keep_there) if keep_there != known.keep_there else None,
        verify_tls=verify if verify != known.verify_tls else None,
    )


def _remove(visit: Visit) -> Response:
    site = visit.installation.catalogue.sites.get(standing_for(visit).site.id)
    if visit.field("sure") != "yes":
        raise UsageError("Tick that the site may go, and try again.")
    remove_site(visit.installation, site)
    visit.note("site removed", site.name)
    return visit.redirect("/sites", f"The site {site.name} is removed; its backups stay.")


def _form(
    visit: Visit,
    template: str,
    values: Mapping[str, str],
    problem: str = "",
    *,
    site: Site | None = None,
    sent: tuple[str, ...] | list[str] | None = None,
) -> Response:
    catalogue = visit.installation.catalogue
    return visit.page(
        template,
        400 if problem else 200,
        site=site,
        values={**_FIRST, **values},
        problem=problem,
        groups=[one.name for one in catalogue.groups.all()],
        storages=[one.name for one in catalogue.destinations.all()],
        sent=visit.fields("storage") if sent is None else sent,
    )


def _typed(visit: Visit) -> dict[str, str]:
    """Return what was typed, but the secret."""
    return {name: visit.field(name) for name in _FIRST}


def _kept(profile: Profile) -> str:
    """Return how many backups a profile keeps; empty: all."""
    return profile.configuration.get(KEPT_KEY, "") if profile.configuration.get(KEPT_SWITCH) == "1" else ""


def _tags(visit: Visit) -> tuple[str, ...]:
    return tuple(visit.field("tags").replace(",", " ").split())


def _number(visit: Visit, field: str, what: str) -> int | None:
    """Return the number in a field; None: it is empty.

    Raises:
        UsageError: it is none.
    """
    text = visit.field(field).strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise UsageError(f"{what} is a number, or left empty.")
    return int(text)


def _make_group(visit: Visit) -> None:
    """Make the group that was typed where there is none of that name."""
    name = visit.field("group").strip()
    if name and name not in {one.name for one in visit.installation.catalogue.groups.all()}:
        visit.installation.catalogue.groups.create(Group(0, checked_name(name), datetime.now(UTC)))
        visit.note("group made", name)


ROUTES = (
    PageRoute("GET", "/sites/new", Role.ADMINISTRATOR, _new),
    PageRoute("POST", "/sites/new", Role.ADMINISTRATOR, _add),
    PageRoute("GET", "/sites/{number:int}/edit", Role.ADMINISTRATOR, _edit_form),
    PageRoute("POST", "/sites/{number:int}/edit", Role.ADMINISTRATOR, _edit),
    PageRoute("POST", "/sites/{number:int}/remove", Role.ADMINISTRATOR, _remove, confirmed=True),
)
