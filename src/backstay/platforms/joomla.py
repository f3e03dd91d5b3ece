"""Joomla: ``configuration.php`` with its class ``JConfig``."""

from __future__ import annotations

import re
from pathlib import Path

from backstay.databases.address import DatabaseAddress, Kind
from backstay.platforms.hosts import host_of, split_host
from backstay.platforms.model import FoundDatabase, Site
from backstay.platforms.php import PhpValues, read_php
from backstay.platforms.text import read_text

SOURCE = "configuration.php"
_KINDS: dict[str, Kind] = {
    "mysqli": "mysql", "mysql": "mysql", "pdomysql": "mysql", "pgsql": "postgresql", "postgresql": "postgresql",
}  # fmt: skip
_TLS = {"dbsslca": "ssl_ca", "dbsslcert": "ssl_cert", "dbsslkey": "ssl_key", "dbsslcipher": "ssl_cipher"}
_NEEDED = ("host", "user", "password", "db", "dbprefix")


def find_joomla(root: Path) -> Site | None:
    """Return the Joomla site in a directory, or ``None``."""
    text = read_text(root / SOURCE)
    if text is None or not re.search(r"\bclass\s+JConfig\b", text):
        return None
    values = read_php(text, {"__DIR__": str(root), "__FILE__": str(root / SOURCE)})
    warnings: list[str] = []
    databases = _databases(values, warnings)
    live_site = _text(values, "live_site")
    return Site(
        kind="joomla",
        name=_text(values, "sitename") or root.resolve().name,
        host=host_of(live_site),
        version=_version(root),
        databases=databases,
        prefix=_text(values, "dbprefix"),
        warnings=warnings,
        address=live_site,
    )


def _databases(values: PhpValues, warnings: list[str]) -> list[FoundDatabase]:
    name = _text(values, "db")
    if computed := sorted(values.computed.intersection(_NEEDED)):
        warnings.append(
            f"{SOURCE} computes {', '.join('$' + c for c in computed)}, and nothing in it is executed: "
            "name the database yourself."
        )
        return []
    if not name:
        return []
    kind = _KINDS.get(_text(values, "dbtype") or "mysqli")
    if kind is None:
        warnings.append(f"{SOURCE} names a database of an unknown type, {_text(values, 'dbtype')!r}.")
        return []
    host, port, socket = split_host(_text(values, "host") or "localhost")
    options = {option: _text(values, key) for key, option in _TLS.items() if _text(values, key)}
    address = DatabaseAddress(
        kind=kind,
        host=host,
        port=port,
        socket=socket,
        user=_text(values, "user"),
        password=_text(values, "password"),
        name=name,
        prefix=_text(values, "dbprefix"),
        options=options if _text(values, "dbencryption") not in {"", "0"} else {},
    )
    return [FoundDatabase(address, SOURCE)]


def _text(values: PhpValues, name: str) -> str:
    value = values.variables.get(name)
    return "" if value is None or isinstance(value, bool) else str(value)


def _version(root: Path) -> str:
    manifest = read_text(root / "administrator/manifests/files/joomla.xml") or ""
    if match := re.search(r"<version>\s*([\w.-]+)\s*</version>", manifest):
        return match[1]
    source = read_text(root / "libraries/src/Version.php") or ""
    numbers = [re.search(rf"\bconst\s+{part}_VERSION\s*=\s*(\d+)", source) for part in ("MAJOR", "MINOR", "PATCH")]
    return ".".join(match[1] for match in numbers if match)
