"""What is known of a site, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from backstay.databases.address import DatabaseAddress

SiteKind = Literal["joomla", "wordpress", "plain"]


@dataclass(frozen=True, slots=True)
class FoundDatabase:
    """A database that a site's configuration names, and the file that names it, relative to the site's root."""

    address: DatabaseAddress
    source: str


@dataclass(frozen=True, slots=True)
class Site:
    """What a directory is.

    Attributes:
        kind: which system lives there.
        name: the site's name, else the directory's.
        host: host name of its address; empty if the files do not name it.
        version: version of the system; empty if unknown.
        databases: what its configuration names, the main one first.
        prefix: prefix of its table names; may be empty.
        warnings: what its configuration does not say plainly, in sentences.
        address: its whole address, such as ``https://example.com/blog``; empty if the files do not name it.
    """

    kind: SiteKind
    name: str
    host: str = ""
    version: str = ""
    databases: list[FoundDatabase] = field(default_factory=list)
    prefix: str = ""
    warnings: list[str] = field(default_factory=list)
    address: str = ""
