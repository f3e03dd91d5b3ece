"""``.env`` files: ``DATABASE_URL``, and Laravel's ``DB_*``."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from backstay.databases.address import DatabaseAddress, Kind
from backstay.errors import UsageError
from backstay.platforms.hosts import host_of, split_host
from backstay.platforms.model import FoundDatabase, Site
from backstay.platforms.text import read_text

# Later files override earlier ones, as Symfony has it.
SOURCES = (".env", ".env.local")
_LINE = re.compile(
    r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.]*)[ \t]*=[ \t]*"
    r"(?:'([^']*)'|\"((?:[^\"\\]|\\.)*)\"|([^\n]*?))[ \t]*(?:(?<=[\s'\"])\#[^\n]*)?$",
    re.MULTILINE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}
_REFERENCE = re.compile(r"(?<!\\)\$\{(\w+)\}")
_LARAVEL: dict[str, Kind] = {
    "mysql": "mysql", "mariadb": "mysql", "pgsql": "postgresql", "postgres": "postgresql", "sqlite": "sqlite",
}  # fmt: skip


def read_dotenv(text: str, known: dict[str, str] | None = None) -> dict[str, str]:
    """Return the variables of a ``.env`` file: quotes taken off, ``${NAME}`` of the same file filled in."""
    values = dict(known or {})
    for match in _LINE.finditer(text):
        name, single, double, bare = match.groups()
        if single is not None:
            values[name] = single
            continue
        value = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), double) if double is not None else bare
        if double is None:
            value = re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()
        values[name] = _REFERENCE.sub(lambda m: values.get(m[1], ""), value)
    return values


def find_dotenv(root: Path) -> Site | None:
    """Return the site that a directory's ``.env`` describes, or ``None`` without such a file."""
    values: dict[str, str] = {}
    source = ""
    for name in SOURCES:
        text = read_text(root / name)
        if text is not None:
            values = read_dotenv(text, values)
            source = name if "DATABASE_URL" in text or "DB_" in text or not source else source
    if not source:
        return None
    warnings: list[str] = []
    address = _from_url(values, root, source, warnings) or _from_laravel(values, root)
    home = next((values[name] for name in ("APP_URL", "WP_HOME", "SITE_URL") if values.get(name)), "")
    return Site(
        kind="plain",
        name=values.get("APP_NAME") or root.resolve().name,
        host=host_of(home) if "//" in home else "",
        databases=[FoundDatabase(address, source)] if address else [],
        prefix=address.prefix if address else "",
        warnings=warnings,
        address=home if "//" in home else "",
    )


def _from_url(values: dict[str, str], root: Path, source: str, warnings: list[str]) -> DatabaseAddress | None:
    url = values.get("DATABASE_URL") or values.get("DB_URL") or ""
    if not url:
        return None
    # Symfony's own word for the project's folder.
    url = url.replace("%kernel.project_dir%", os.fspath(root.resolve()))
    try:
        address = DatabaseAddress.parse(url)
    except UsageError as problem:
        warnings.append(f"{source} holds a DATABASE_URL that is not understood: {problem}")
        return None
    if address.kind == "sqlite":
        return replace(address, name=os.fspath(root / address.name))
    return address


def _from_laravel(values: dict[str, str], root: Path) -> DatabaseAddress | None:
    kind = _LARAVEL.get(values.get("DB_CONNECTION", "").lower())
    name = values.get("DB_DATABASE", "")
    if kind is None and name and values.get("DB_USERNAME"):
        kind = "mysql"
    if kind == "sqlite":
        return DatabaseAddress("sqlite", name=os.fspath(root / (name or "database/database.sqlite")))
    if kind is None or not name:
        return None
    host, port, socket = split_host(values.get("DB_HOST") or "localhost")
    given = values.get("DB_PORT", "")
    socket = values.get("DB_SOCKET") or socket
    return DatabaseAddress(
        kind=kind,
        host="" if socket else host,
        port=int(given) if given.isdigit() else port,
        socket=socket,
        user=values.get("DB_USERNAME", ""),
        password=values.get("DB_PASSWORD", ""),
        name=name,
        prefix=values.get("DB_PREFIX", ""),
    )
