"""Writes its new database, folder and address into a site's own configuration: Joomla, WordPress and ``.env``.

The files are edited as text: only the values change, and only where they differ. A value that is not one literal string
(``getenv('DB_NAME')``, say) is left alone, and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from backstay.databases import DatabaseAddress
from backstay.restore.configuration import dotenv, php
from backstay.restore.configuration.php import Setting
from backstay.restore.rewriting import write_in_place

_LARGEST = 1 << 20
_JOOMLA = "configuration.php"
_WORDPRESS = "wp-config.php"
_DOTENV = ".env"


@dataclass(frozen=True, slots=True)
class Move:
    """Where a site goes.

    Attributes:
        database: its new database, None where it keeps its own.
        prefix: of the names of its tables there; None where it is not known.
        old_root: folder it was in; empty where that is not known.
        new_root: folder it will be in.
        address: its new address (``https://…``, no slash at the end), None where it keeps its own.
    """

    database: DatabaseAddress | None
    prefix: str | None
    old_root: str
    new_root: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file that was changed: its path below the root, and the names that have new values."""

    path: str
    names: tuple[str, ...]


def rewrite_configuration(root: Path, move: Move, *, on_warning: Callable[[str], None]) -> list[Rewritten]:
    """Change the configuration below a folder that nobody uses yet; modes stay.

    Args:
        root: the folder.
        move: where the site goes.
        on_warning: called with one sentence for what has to be set by hand.
    """
    done = []
    for name, edit in ((_JOOMLA, _joomla), (_WORDPRESS, _wordpress), (_DOTENV, _dotenv)):
        path = root / name
        source = _read(path)
        if source is None:
            continue
        changed, names = edit(source, move, on_warning)
        if changed != source:
            write_in_place(path, changed)
            done.append(Rewritten(name, tuple(dict.fromkeys(names))))
    return done


def _read(path: Path) -> bytes | None:
    # A link may lead anywhere, and a file of a megabyte is no configuration.
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
        return None
    return path.read_bytes()


_Edited = tuple[bytes, list[str]]


def _joomla(source: bytes, move: Move, on_warning: Callable[[str], None]) -> _Edited:
    values: dict[str, str] = {}
    if move.database is not None:
        database = move.database
        values = {"host": _host(database), "user": database.user, "password": database.password, "db": database.name}
    if move.prefix is not None:
        values["dbprefix"] = move.prefix
    found = php.assignments(source)
    current = {setting.name: setting.value for setting in found}
    if move.database is not None and move.database.kind not in _kinds_of(current.get("dbtype")):
        values["dbtype"] = {"mysql": "mysqli", "postgresql": "pgsql", "sqlite": "sqlite"}[move.database.kind]
    if move.address and current.get("live_site"):
        values["live_site"] = move.address
    return _edit(source, found, values, move, _JOOMLA, on_warning)


def _kinds_of(dbtype: bytes | None) -> tuple[str, ...]:
    known: Mapping[bytes, tuple[str, ...]] = {
        b"mysqli": ("mysql",),
        b"mysql": ("mysql",),
        b"pdomysql": ("mysql",),
        b"pgsql": ("postgresql",),
        b"postgresql": ("postgresql",),
        b"sqlite": ("sqlite",),
    }
    return known.get(dbtype or b"", ("mysql", "postgresql", "sqlite"))


def _wordpress(source: bytes, move: Move, on_warning: Callable[[str], None]) -> _Edited:
    values: dict[str, str] = {}
    if move.database is not None and move.database.kind == "mysql":
        database = move.database
        values = {
            "DB_HOST": _host(database),
            "DB_USER": database.user,
            "DB_PASSWORD": database.password,
            "DB_NAME": database.name,
        }
    found = php.constants(source)
    current = {setting.name: setting.value for setting in found}
    if move.address:
        old = (
            (current.get("WP_HOME") or current.get("WP_SITEURL") or b"").decode("utf-8", "surrogateescape").rstrip("/")
        )
        for name in ("WP_HOME", "WP_SITEURL", "WP_CONTENT_URL", "WP_PLUGIN_URL"):
            value = (current.get(name) or b"").decode("utf-8", "surrogateescape")
            if value and (value.rstrip("/") == old or value.startswith(old + "/")):
                values[name] = move.address + value[len(old) :]
        values["DOMAIN_CURRENT_SITE"] = urlsplit(move.address).netloc
    source, names = _edit(source, found, values, move, _WORDPRESS, on_warning)
    if move.prefix is None:
        return source, names
    variables = [setting for setting in php.assignments(source) if setting.name == "table_prefix"]
    source, more = _edit(source, variables, {"table_prefix": move.prefix}, move, _WORDPRESS, on_warning)
    return source, names + more


def _edit(
    source: bytes,
    found: list[Setting],
    values: Mapping[str, str],
    move: Move,
    name: str,
    on_warning: Callable[[str], None],
) -> _Edited:
    changes: list[tuple[Setting, bytes]] = []
    for setting in found:
        wanted = values.get(setting.name)
        if wanted is None:
            wanted = _moved_path(setting.value, move)
        if wanted is None:
            continue
        value = wanted.encode("utf-8", "surrogateescape")
        if setting.value is None:
            on_warning(f"{name} does not set {setting.name} to a plain text: it is left as it is, set it by hand.")
        elif setting.value != value:
            changes.append((setting, php.quoted(value)))
    return php.replaced(source, changes), [setting.name for setting, _expression in changes]


def _moved_path(value: bytes | None, move: Move) -> str | None:
    """Return the new form of a path in the old root; None for any other value."""
    if not value or not move.old_root.strip("/") or move.old_root == move.new_root:
        return None
    path = value.decode("utf-8", "surrogateescape")
    old = move.old_root.rstrip("/")
    return move.new_root.rstrip("/") + path[len(old) :] if path == old or path.startswith(old + "/") else None


def _dotenv(source: bytes, move: Move, on_warning: Callable[[str], None]) -> _Edited:
    del on_warning
    before = dotenv.read(source)
    values: dict[str, str] = {}
    if (database := move.database) is not None:
        port = str(database.port or {"mysql": 3306, "postgresql": 5432, "sqlite": ""}[database.kind])
        values = {
            "DB_HOST": database.host or "localhost",
            "DB_PORT": port,
            "DB_SOCKET": database.socket,
            "DB_DATABASE": database.name,
            "DB_NAME": database.name,
            "DB_USERNAME": database.user,
            "DB_USER": database.user,
            "DB_PASSWORD": database.password,
            "DB_PASS": database.password,
        }
        if database.socket and not before.get("DB_SOCKET"):
            values["DB_HOST"] = f"localhost:{database.socket}"
        if url := before.get("DATABASE_URL"):
            values["DATABASE_URL"] = _url(url.decode("utf-8", "surrogateescape"), database)
    if move.prefix is not None:
        values |= {"DB_PREFIX": move.prefix, "DB_TABLE_PREFIX": move.prefix, "TABLE_PREFIX": move.prefix}
    if move.address:
        values |= {"APP_URL": move.address, "WP_HOME": move.address, "SITE_URL": move.address}
        if old := before.get("WP_HOME", b"").decode("utf-8", "surrogateescape").rstrip("/"):
            site = before.get("WP_SITEURL", b"").decode("utf-8", "surrogateescape")
            if site.startswith(old):
                values["WP_SITEURL"] = move.address + site[len(old) :]
    for name, value in before.items():
        if name not in values and (path := _moved_path(value, move)) is not None:
            values[name] = path
    wanted = {name: value.encode("utf-8", "surrogateescape") for name, value in values.items() if name in before}
    return dotenv.replaced(source, wanted), [name for name, value in wanted.items() if before[name] != value]


def _host(database: DatabaseAddress) -> str:
    """Return a host as Joomla and WordPress write it: ``host:port``, or ``localhost:/path/of/socket``."""
    if database.socket:
        return f"localhost:{database.socket}"
    host = f"[{database.host}]" if ":" in database.host and database.port else database.host
    return f"{host}:{database.port}" if database.port and database.port != 3306 else host


def _url(old: str, database: DatabaseAddress) -> str:
    """Return the database's address in the form of another URL: its scheme and its options stay."""
    parts = urlsplit(old)
    account = quote(database.user, safe="") + (f":{quote(database.password, safe='')}" if database.password else "")
    host = f"[{database.host}]" if ":" in database.host else database.host or "localhost"
    port = f":{database.port}" if database.port else ""
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{account}{'@' if account else ''}{host}{port}/{quote(database.name, safe='')}{query}"
