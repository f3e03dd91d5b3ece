"""WordPress: ``wp-config.php`` with its constants and ``$table_prefix``."""

from __future__ import annotations

import re
from pathlib import Path

from backstay.databases.address import DatabaseAddress
from backstay.platforms.hosts import host_of, split_host
from backstay.platforms.model import FoundDatabase, Site
from backstay.platforms.php import PhpValues, read_php
from backstay.platforms.text import read_text

SOURCE = "wp-config.php"
_NEEDED = ("DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST", "table_prefix")


def find_wordpress(root: Path) -> Site | None:
    """Return the WordPress site in a directory, or ``None``.

    WordPress also takes the file from the folder above, if no other WordPress lies there.
    """
    path, shown = root / SOURCE, SOURCE
    if not path.is_file() and (root / "wp-includes").is_dir() and not (root.parent / "wp-settings.php").exists():
        path, shown = root.parent / SOURCE, f"../{SOURCE}"
    text = read_text(path)
    if text is None:
        return None
    folder = f"{path.parent}/"
    values = read_php(text, {"__DIR__": str(path.parent), "__FILE__": str(path), "ABSPATH": folder})
    warnings: list[str] = []
    prefix = values.variables.get("table_prefix")
    home = values.constants.get("WP_HOME") or values.constants.get("WP_SITEURL")
    version = re.search(r"\$wp_version\s*=\s*'([^']+)'", read_text(root / "wp-includes/version.php") or "")
    return Site(
        kind="wordpress",
        name=root.resolve().name,
        host=host_of(home) if isinstance(home, str) else "",
        version=version[1] if version else "",
        databases=_databases(values, shown, warnings),
        prefix=prefix if isinstance(prefix, str) else "",
        warnings=warnings,
        address=home if isinstance(home, str) else "",
    )


def _databases(values: PhpValues, source: str, warnings: list[str]) -> list[FoundDatabase]:
    if computed := sorted(values.computed.intersection(_NEEDED)):
        warnings.append(
            f"{source} computes {', '.join(computed)}, and nothing in it is executed: name the database yourself."
        )
        return []
    name, prefix = values.constants.get("DB_NAME"), values.variables.get("table_prefix")
    if not isinstance(name, str) or not name:
        return []
    host, port, socket = split_host(str(values.constants.get("DB_HOST") or "localhost"))
    address = DatabaseAddress(
        kind="mysql",
        host=host,
        port=port,
        socket=socket,
        user=str(values.constants.get("DB_USER") or ""),
        password=str(values.constants.get("DB_PASSWORD") or ""),
        name=name,
        prefix=prefix if isinstance(prefix, str) else "",
    )
    return [FoundDatabase(address, source)]
