"""The form of a restore: what was filled in, kept as it was typed, and made into the options of a restore."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from backstay.databases import DatabaseAddress
from backstay.errors import BackstayError, UsageError
from backstay.jobs.browsing import globs_of
from backstay.jobs.restore_drafts import RestoreDraft
from backstay.jobs.restore_plan import NO_DATABASE, RestoreOptions
from backstay.jobs.restore_sources import RestoreSource
from backstay.restore import MAIN_DUMP, present_tables
from backstay.web.rendering import unquoted
from backstay.web.visit import Visit

_TEXTS: Final = (
    "place",
    "target",
    "what",
    "paths",
    "strategy",
    "table_patterns",
    "existing",
    "address",
    "old_addresses",
    "replacements",
    "owner",
    "keep_days",
    "storage",
)
_CHECKS: Final = ("keep_configuration", "rename_server_files", "special_modes")
_DATABASE: Final = ("use", "kind", "host", "name", "user", "prefix")
_SECRET: Final = "password"  # noqa: S105 - the name of a field
_KINDS: Final = ("mysql", "postgresql", "sqlite")

FILES: Final = ("all", "files", "some-files")
DATABASES: Final = ("all", "databases", "some-tables")
"""What is to come back, where files or tables of databases are among it."""

DEFAULTS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(_TEXTS, ""),
    **dict.fromkeys(_CHECKS, False),
    "place": "own",
    "what": "all",
    "strategy": "whole",
    "existing": "replace",
    "keep_days": "7",
    "picked": [],
    "picked_tables": [],
    "databases": [],
}


class Sentences(dict[str, str]):
    """What is said at which field; at others nothing."""

    def __missing__(self, name: str) -> str:
        return ""


@dataclass(slots=True)
class Filled:
    """A form as it is shown again.

    Attributes:
        values: by field.
        problems: field → what is wrong with it.
        notes: field → what a test of it found.
    """

    values: dict[str, Any]
    problems: Sentences = field(default_factory=Sentences)
    notes: Sentences = field(default_factory=Sentences)


def defaults(draft: RestoreDraft, source: RestoreSource) -> dict[str, Any]:
    """Return what the form of a new draft holds: what the command line does where nothing is said."""
    databases = []
    for dump in draft.held.get("dumps", ()):
        is_own = dump["name"] == MAIN_DUMP and bool(source.database)
        kind = dump.get("kind") if dump.get("kind") in _KINDS else "mysql"
        given = dict.fromkeys(_DATABASE, "") | {"kind": kind, "host": "localhost", "prefix": dump.get("prefix", "")}
        databases.append({**given, "use": "own" if is_own else "none", _SECRET: ""})
    return {**DEFAULTS, "place": "own" if source.root else "other", "databases": databases} | draft.fields


def read_form(visit: Visit, draft: RestoreDraft) -> dict[str, Any]:
    """Return what was sent; an empty password stays what it was."""
    before = draft.fields.get("databases", [])
    databases = []
    for number, _dump in enumerate(draft.held.get("dumps", ())):
        given = {name: visit.field(f"db{number}_{name}").strip() for name in _DATABASE}
        known = before[number] if number < len(before) else {}
        # A password is for the account it was given with, and goes to no other server.
        is_same = all(known.get(name) == given[name] for name in ("kind", "host", "name", "user"))
        kept = known.get(_SECRET, "") if is_same else ""
        databases.append({**given, _SECRET: visit.field(f"db{number}_{_SECRET}") or kept})
    return {
        **{name: visit.field(name).strip() for name in _TEXTS},
        **{name: bool(visit.field(name)) for name in _CHECKS},
        "picked": [unquoted(one) for one in visit.fields("picked")],
        "picked_tables": visit.fields("picked_tables"),
        "databases": databases,
        _SECRET: visit.field(_SECRET) or draft.fields.get(_SECRET, ""),
    }


def options_of(draft: RestoreDraft, source: RestoreSource) -> tuple[RestoreOptions, dict[str, str]]:
    """Return the options of a restore, and what is wrong with which field."""
    values, problems = defaults(draft, source), dict[str, str]()
    databases = _databases(draft, values, source, problems)
    only = _only(values, problems)
    tables = _tables(values, problems)
    if values["what"] not in FILES and databases == (NO_DATABASE,):
        problems["what"] = "Nothing would come back: choose a database below, or files."
    options = RestoreOptions(
        to=_target(values, source, problems),
        databases=databases,
        existing=values["existing"] if values["existing"] in ("replace", "backup", "refuse") else "replace",
        replacements=_lines(values["replacements"]),
        address=values["address"] or None,
        old_addresses=_lines(values["old_addresses"]),
        only=only,
        only_tables=tables,
        files=values["what"] in FILES,
        merge=values["strategy"] == "merge",
        configuration=not values["keep_configuration"],
        rename_server_files=values["rename_server_files"],
        special_modes=values["special_modes"],
        owner=values["owner"] or None,
        keep_days=_days(values["keep_days"], problems),
    )
    for name, partly in (
        ("address", RestoreOptions(address=options.address)),
        ("old_addresses", RestoreOptions(address="https://example.com", old_addresses=options.old_addresses)),
        ("replacements", RestoreOptions(replacements=options.replacements)),
    ):
        try:
            partly.check()
        except UsageError as error:
            problems[name] = str(error)
    if options.old_addresses and not options.address:
        problems["address"] = "The old address is replaced by the new one: give that too."
    return options, problems


def tested(draft: RestoreDraft, number: int, source: RestoreSource) -> tuple[bool, str]:
    """Return whether the database that a form names for a dump answers, and what it says."""
    try:
        address = DatabaseAddress.parse(_url(defaults(draft, source)["databases"][number], source))
        count = len(present_tables(address))
    except (BackstayError, OSError) as error:
        return False, str(error)
    return True, f"The database answers. It holds {count} table{'' if count == 1 else 's'} and views."


def _target(values: Mapping[str, Any], source: RestoreSource, problems: dict[str, str]) -> Path | None:
    if values["place"] == "own" and source.root is not None:
        return source.root
    if not values["target"]:
        problems["target"] = "Say which folder the site goes to."
        return None
    if not values["target"].startswith("/"):
        problems["target"] = "Give the whole path of the folder, from / on."
    return Path(values["target"])


def _databases(
    draft: RestoreDraft, values: Mapping[str, Any], source: RestoreSource, problems: dict[str, str]
) -> tuple[str, ...]:
    found: list[str] = []
    if values["what"] not in DATABASES:
        return (NO_DATABASE,)
    for number, (dump, given) in enumerate(zip(draft.held.get("dumps", ()), values["databases"], strict=False)):
        if given["use"] not in ("own", "other"):
            continue
        try:
            found.append(f"{dump['name']}={DatabaseAddress.parse(_url(given, source)).url()}")
        except UsageError as error:
            problems[f"db{number}"] = str(error)
    return tuple(found) or (NO_DATABASE,)


def _url(given: Mapping[str, str], source: RestoreSource) -> str:
    """Return the URL of the database that a form names.

    Raises:
        UsageError: it names none.
    """
    if given["use"] == "own":
        return source.database
    if not given["name"]:
        raise UsageError("Say what the database is called; of SQLite, give the path of its file.")
    kind: Any = given["kind"] if given["kind"] in _KINDS else "mysql"
    if kind == "sqlite":
        return DatabaseAddress(kind, name=given["name"]).url()
    host, port, socket = given["host"] or "localhost", None, ""
    if host.startswith("/"):
        host, socket = "", host
    elif match := re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:]+):(\d{1,5})", host):
        host, port = match[1], int(match[2])
    return DatabaseAddress(
        kind, host.strip("[]"), port, socket, given["user"], given[_SECRET], given["name"], given["prefix"]
    ).url()


def _only(values: Mapping[str, Any], problems: dict[str, str]) -> tuple[str, ...]:
    if values["what"] != "some-files":
        return ()
    found = _lines(values["paths"]) + globs_of(values["picked"])
    if not found:
        problems["paths"] = "Choose a file or a folder, or bring all of them back."
    return found


def _tables(values: Mapping[str, Any], problems: dict[str, str]) -> tuple[str, ...]:
    if values["what"] != "some-tables":
        return ()
    found = _lines(values["table_patterns"]) + tuple(_literal(one) for one in values["picked_tables"])
    if not found:
        problems["table_patterns"] = "Choose a table, or bring all of them back."
    return found


def _literal(name: str) -> str:
    """Return a name as a pattern that fits nothing else."""
    return re.sub(r"([\[*?])", r"[\1]", name)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _days(text: str, problems: dict[str, str]) -> float:
    try:
        days = float(text or "7")
    except ValueError:
        days = -1.0
    if not 0 <= days <= 3650:
        problems["keep_days"] = "Give a number of days, such as 7."
        return 7.0
    return days
