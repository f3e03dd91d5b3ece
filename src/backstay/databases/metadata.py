"""The entry of a dump in ``databases.json``, and the older ``databases.ini`` (spec, 8.2)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from backstay.databases.address import DatabaseAddress
from backstay.databases.model import Json, SkippedObject, TableSummary
from backstay.errors import LoadError

OWN_KEY = "backstay"
_TYPES = {"mysql": ("mysqli", "mysql"), "postgresql": ("pgsql", "postgresql"), "sqlite": ("sqlite", "sqlite")}
_INI_LINE = re.compile(r'\s*(\w+)\s*=\s*"((?:[^"\\]|\\.)*)"\s*\Z', re.DOTALL)


def entry(
    address: DatabaseAddress,
    *,
    name: str,
    marker: str,
    parts: int,
    tables: Mapping[str, list[str]],
    summaries: Mapping[str, TableSummary],
    own: Mapping[str, Any],
    skipped: list[dict[str, str]] | None = None,
    blank_credentials: bool = False,
) -> Json:
    """Return a dump's entry, the vendor's keys in the vendor's order and Backstay's own facts in one key after them.

    Args:
        address: the database that was dumped.
        name: name of the first part.
        marker: what stands between two statements.
        parts: number of parts.
        tables: names in the dump, by kind.
        summaries: rows and checksum of each table, under its name in the dump.
        own: more facts for the ``backstay`` key.
        skipped: what is not in the dump because the server does not give it, as ``Omissions.to_json`` lists it.
        blank_credentials: leave user, password and TLS files out.
    """
    dbtype, dbtech = _TYPES[address.kind]
    tls = {} if blank_credentials else {key: value for key, value in address.options.items() if key.startswith("ssl")}
    return {
        "dbtype": dbtype,
        "dbtech": dbtech,
        "dbname": address.name,
        "sqlfile": name,
        "marker": marker,
        "dbhost": address.host or ("localhost" if address.socket else ""),
        "dbport": address.port if address.port is not None else "",
        "dbsocket": address.socket,
        "dbuser": "" if blank_credentials else address.user,
        "dbpass": "" if blank_credentials else address.password,
        "prefix": address.prefix,
        "dbencryption": 1 if tls else 0,
        "dbsslcipher": tls.get("ssl_cipher", ""),
        "dbsslca": tls.get("ssl_ca", ""),
        "dbsslkey": tls.get("ssl_key", ""),
        "dbsslcert": tls.get("ssl_cert", ""),
        "dbsslverifyservercert": 1 if "ssl_ca" in tls else 0,
        "parts": parts,
        "tables": {kind: names for kind, names in tables.items() if names},
        OWN_KEY: {
            **own,
            **({"skipped": skipped} if skipped else {}),
            "rows": {table: summary.rows for table, summary in summaries.items()},
            "checksums": {table: f"{summary.checksum:016x}" for table, summary in summaries.items()},
        },
    }


def own_facts(metadata: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return what Backstay itself noted in an entry; empty for the vendor's dumps."""
    facts = (metadata or {}).get(OWN_KEY)
    return facts if isinstance(facts, dict) else {}


def skipped_objects(metadata: Mapping[str, Any] | None) -> list[SkippedObject]:
    """Return what is not in a dump because the server did not give it, as noted in an entry."""
    listed = own_facts(metadata).get("skipped")
    return [
        SkippedObject(*(str(one.get(key, "")) for key in ("kind", "name", "reason")))
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict)
    ]


def table_summaries(metadata: Mapping[str, Any] | None) -> dict[str, TableSummary]:
    """Return rows and checksum of each table as noted in an entry, under the names in the dump."""
    facts = own_facts(metadata)
    rows, checksums = facts.get("rows"), facts.get("checksums")
    if not isinstance(rows, dict) or not isinstance(checksums, dict):
        return {}
    return {
        table: TableSummary(int(count), int(str(checksums[table]), 16))
        for table, count in rows.items()
        if table in checksums
    }


def read_databases_json(data: bytes) -> dict[str, Json]:
    """Read ``databases.json``: an entry for each dump, in order.

    Raises:
        LoadError: the file is no JSON object of objects.
    """
    try:
        found = json.loads(data)
    except ValueError as problem:
        raise LoadError(f"databases.json cannot be read: {problem}.") from problem
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        raise LoadError("databases.json is not an object with an entry for each dump.")
    return found


def read_databases_ini(data: bytes) -> dict[str, Json]:
    """Read ``databases.ini``, as dumps of 2015 have it: a section for each dump, all values strings."""
    found: dict[str, Json] = {}
    section: Json | None = None
    for line in data.decode("utf-8", "surrogateescape").splitlines():
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            section = found.setdefault(stripped[1:-1].strip('"'), {})
        elif section is not None and (match := _INI_LINE.match(line)):
            section[match[1]] = re.sub(r"\\(.)", _unescaped, match[2])
    return found


def _unescaped(match: re.Match[str]) -> str:
    return {"n": "\n", "r": "\r"}.get(match[1], match[1])
