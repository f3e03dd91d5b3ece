"""What a profile leaves out of a backup and takes in besides the site's root.

The stored form is ``{filter name: {root: [node, …]}}``; writers of the reference engine turn every list into an
object with numeric keys, so both are read (engine-behaviour, filters).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

SITE_ROOT = "[SITEROOT]"
SITE_DATABASE = "[SITEDB]"

EXCLUSIONS = (
    "directories",
    "files",
    "skipdirs",
    "skipfiles",
    "tables",
    "tabledata",
    "regexdirectories",
    "regexfiles",
    "regexskipdirs",
    "regexskipfiles",
    "regextables",
    "regextabledata",
)


@dataclass(frozen=True, slots=True)
class ExtraDirectory:
    """A folder outside the site's root that is backed up too: its absolute path and its folder in the archive."""

    path: str
    virtual_folder: str


def virtual_folder(name: str) -> str:
    """Return the folder in the archive that a name given for one means; empty: the archive's own root.

    Pieces that would lead out of it are left out.
    """
    return "/".join(piece for piece in name.replace("\\", "/").split("/") if piece not in {"", ".", ".."})


@dataclass(frozen=True, slots=True)
class ExtraDatabase:
    """A database besides the site's own: connection values as the API names them, and the name of its dump file."""

    host: str = ""
    driver: str = "mysqli"
    port: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    database: str = ""
    prefix: str = ""
    dump_file: str = ""


@dataclass(frozen=True, slots=True)
class Filters:
    """All filters of a profile.

    Attributes:
        exclusions: filter name (one of ``EXCLUSIONS``) → root → nodes, in the order they were set.
        extra_directories: identifier (a UUID) → folder.
        extra_databases: name → connection.
    """

    exclusions: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    extra_directories: Mapping[str, ExtraDirectory] = field(default_factory=dict)
    extra_databases: Mapping[str, ExtraDatabase] = field(default_factory=dict)

    def nodes(self, name: str, root: str) -> tuple[str, ...]:
        """Return what the filter of that name holds for a root."""
        return self.exclusions.get(name, {}).get(root, ())

    def with_node(self, name: str, root: str, node: str, *, present: bool = True) -> Self:
        """Return these filters with a node added to, or taken out of, one filter."""
        nodes = [kept for kept in self.nodes(name, root) if kept != node] + ([node] if present else [])
        roots = {**self.exclusions.get(name, {}), root: tuple(nodes)}
        roots = {key: value for key, value in roots.items() if value}
        exclusions = {**self.exclusions, name: roots}
        return replace(self, exclusions={key: value for key, value in exclusions.items() if value})

    @classmethod
    def from_stored(cls, stored: object) -> Self:
        """Read the stored form; what is not of that form is left out.

        Args:
            stored: decoded JSON, lists or objects with numeric keys.
        """
        if not isinstance(stored, Mapping):
            return cls()
        exclusions = {
            name: {str(root): tuple(_texts(nodes)) for root, nodes in roots.items()}
            for name in EXCLUSIONS
            if isinstance(roots := stored.get(name), Mapping)
        }
        directories = {
            str(key): ExtraDirectory(*pair[:2])
            for key, value in _items(stored.get("extradirs"))
            if len(pair := list(_texts(value))) >= 2
        }
        databases = {
            str(key): _database(value) for key, value in _items(stored.get("multidb")) if isinstance(value, Mapping)
        }
        return cls(exclusions, directories, databases)

    def to_stored(self) -> dict[str, Any]:
        """Return the stored form, ready for JSON, with plain lists."""
        stored: dict[str, Any] = {
            name: {root: list(nodes) for root, nodes in roots.items()} for name, roots in self.exclusions.items()
        }
        if self.extra_directories:
            stored["extradirs"] = {
                key: [directory.path, directory.virtual_folder] for key, directory in self.extra_directories.items()
            }
        if self.extra_databases:
            stored["multidb"] = {
                key: {
                    "host": database.host,
                    "driver": database.driver,
                    "port": database.port,
                    "username": database.username,
                    "password": database.password,
                    "database": database.database,
                    "prefix": database.prefix,
                    "dumpFile": database.dump_file,
                }
                for key, database in self.extra_databases.items()
            }
        return stored


def _items(value: object) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, Mapping) else ()


def _texts(value: object) -> list[str]:
    nodes = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [str(node) for node in nodes if isinstance(node, str | int | float)]


def _database(value: Mapping[str, Any]) -> ExtraDatabase:
    return ExtraDatabase(
        host=str(value.get("host", "")),
        driver=str(value.get("driver", "mysqli")),
        port=str(value.get("port", "") or ""),
        username=str(value.get("username", value.get("user", ""))),
        password=str(value.get("password", "")),
        database=str(value.get("database", "")),
        prefix=str(value.get("prefix", "")),
        dump_file=str(value.get("dumpFile", "")),
    )
