"""The list of backups: searched, filtered, in pages."""

from __future__ import annotations

from typing import Final, cast, get_args

from starlette.responses import Response

from backstay.catalogue import BackupSearch, FoundState
from backstay.jobs.records import list_backups
from backstay.jobs.tenants import Groups, names_of_profiles
from backstay.jobs.users import Role
from backstay.jobs.watching import view_of
from backstay.web.pages.backups.shown import STATES, proof_of
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_PER_PAGE: Final = 50
_LONGEST_SEARCH: Final = 200
_CHOICES: Final = 100
"""Where there are more profiles, one is named by its number instead of chosen from a list."""
_STATE_WORDS: Final = {
    "running": "running or waiting",
    "here": "on this machine",
    "elsewhere": "at storages only",
    "gone": "files are gone",
    "failed": "failed",
    "frozen": "protected",
}


def _list(visit: Visit) -> Response:
    catalogue = visit.installation.catalogue
    query = {name: visit.asked(name).strip()[:_LONGEST_SEARCH] for name in ("search", "profile", "state", "storage")}
    page = visit.page_number()
    found = list_backups(visit.installation, (page - 1) * _PER_PAGE, _PER_PAGE + 1, _search(query, visit.groups))
    shown = found[:_PER_PAGE]
    names = catalogue.profiles.names_of({one.backup.profile_id for one in shown})
    choices = names_of_profiles(visit.installation, visit.groups, _CHOICES)
    running = [one.backup for one in shown if one.backup.status == "run"]
    return visit.page(
        "backups/list.html",
        backups=shown,
        more=len(found) > _PER_PAGE,
        number=page,
        query=query,
        names=names,
        choices=choices,
        # Names of storages may tell of others.
        storages=[one.name for one in catalogue.destinations.all()] if visit.groups is None else [],
        states=_STATE_WORDS,
        copies=catalogue.copies.of_many(one.backup.id for one in shown),
        running=[one.id for one in running],
        state_of=STATES,
        # One that has no process waits, or was stopped.
        unfinished={one.id: view_of(visit.installation, one).state for one in running},
        proof_of=proof_of,
    )


def _search(query: dict[str, str], groups: Groups) -> BackupSearch:
    digits, state = query["profile"], query["state"]
    is_number = digits.isascii() and digits.isdigit() and len(digits) < 19
    return BackupSearch(
        query["search"],
        int(digits) if is_number else None,
        cast("FoundState", state) if state in get_args(FoundState) else "",
        query["storage"],
        groups,
    )


ROUTES = (PageRoute("GET", "/backups", Role.VIEWER, _list, bound="narrowed"),)
