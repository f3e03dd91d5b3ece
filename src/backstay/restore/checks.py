"""What is looked at before a restore begins, in its plan and its archive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backstay.databases import DatabaseAddress
from backstay.errors import NotFoundError, RestoreError
from backstay.restore.layout import ArchivedDatabase, Layout
from backstay.restore.plan import RestorePlan


def check_places(plan: RestorePlan, restores: Path) -> None:
    """Refuse to replace the folder that holds what the restore needs until its end."""
    kept = [(restores, "Backstay's own folder")]
    if plan.remote is None and not plan.repository:
        kept.append((Path(plan.archive), "the archive"))
    for needed, what in kept:
        if plan.files and needed.resolve().is_relative_to(plan.target):
            raise RestoreError(f"{needed} ({what}) lies in the folder that would be replaced: move it out of it first.")


def check_databases(layout: Layout, plan: RestorePlan) -> None:
    """Refuse dumps that the archive does not hold, and two of them in one place.

    Raises:
        NotFoundError: there is no such dump.
        RestoreError: two dumps are to go into one database.
    """
    known = {database.dump_file for database in layout.databases}
    for dump_file in plan.databases:
        if dump_file not in known and not plan.own_database:
            held = f"it holds {', '.join(sorted(known))}" if known else "it holds none, so leave --database out"
            raise NotFoundError(f"The archive has no database dump {dump_file}: {held}.")
    places = [replace(address, prefix="") for name in plan.databases if (address := plan.database(name))]
    if len({address.url() for address in places}) < len(places):
        raise RestoreError("Two dumps can't go into one database in one restore: restore one after the other.")


def prefix_of(address: DatabaseAddress, database: ArchivedDatabase | None, site_prefix: str) -> str:
    """Return the prefix of the tables' names: the one asked for, else the dump's own, else the site's."""
    own = str(database.metadata.get("prefix") or "") if database else ""
    return address.prefix or own or site_prefix


def is_wordpress(database: ArchivedDatabase) -> bool:
    """Return whether a dump holds tables of WordPress, whose rows name the prefix."""
    listed = database.metadata.get("tables")
    names: set[str] = set()
    if isinstance(listed, dict):
        names = {str(name) for kind in listed.values() if isinstance(kind, list) for name in kind}
    elif isinstance(listed, list):
        names = {str(name) for name in listed}
    return {"#__options", "#__usermeta"} <= names
