"""What has to change in a site that moves: its old address, wherever it is written, and its old folder."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from backstay.archives import ArchiveReader, EntryType
from backstay.errors import UsageError
from backstay.platforms import find_site
from backstay.restore.layout import Layout, open_part
from backstay.restore.plan import MAIN_DUMP, RestorePlan
from backstay.restore.replacement import AddressMove, Place, Replacer

CONFIGURATION_FILES = ("configuration.php", "wp-config.php", ".env")
LARGEST_CONFIGURATION = 1 << 20
_ENDINGS = ("/index.php", "/remote.php", "/wp-admin/admin-ajax.php")
_INSERT = re.compile(rb"INSERT\s+INTO\s+[`\"]?([^`\"\s(]+)", re.IGNORECASE)
# Quotation marks in a value are escaped or doubled: what looks like this is two values of one row.
_OPTION = re.compile(rb"(?<!['\\])'(siteurl|home)'\s*,\s*'((?:https?:)?//[^'\\\s]+)'")
_READ = 1 << 20
_OVERLAP = 4096


@dataclass(frozen=True, slots=True)
class SiteMove:
    """What is replaced in a site that moves.

    Attributes:
        addresses: its old places and its new address.
        texts: old and new texts: those that were asked for, and its folder.
        untouched: addresses that the site gives as its own, and that are not among the old ones that were given.
    """

    addresses: tuple[AddressMove, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    untouched: tuple[str, ...] = ()

    def replacer(self) -> Replacer:
        """Return what does it."""
        return Replacer(self.texts, self.addresses)


def find_move(archive: ArchiveReader, layout: Layout, plan: RestorePlan) -> SiteMove:
    """Find out what of a site has to change: its old address, and its folder, where it gets a new address.

    The old address is the one that was given; else that of the site's configuration (``$live_site``, ``WP_HOME``,
    ``APP_URL``) and of WordPress's options ``siteurl`` and ``home``; else the host that the backup names. A server that
    the site moves from is an old address besides.

    Args:
        archive: of the restore.
        layout: what is in it.
        plan: of the restore.

    Raises:
        ArchiveError: the archive cannot be read.
        UsageError: a folder and a text that was asked for contradict each other.
    """
    texts: dict[str, str] = {}
    root = layout.information.get("root")
    moves = bool(plan.address or plan.moved_from)
    if moves and isinstance(root, str) and len(root.rstrip("/")) > 1 and root.rstrip("/") != plan.target:
        texts[root.rstrip("/")] = plan.target
    addresses: list[AddressMove] = []
    untouched: list[str] = []
    if plan.address:
        places = _places(_old_addresses(archive, layout, plan))
        addresses = [AddressMove(place, plan.address) for place in places]
        if plan.old_addresses:
            known = [*places, Place.parse(plan.address)]
            own = _places(site_address(archive, layout))
            untouched = [str(place) for place in own if not any(other.holds(place) for other in known)]
    return SiteMove(tuple(addresses), tuple((texts | dict(plan.replacements)).items()), tuple(untouched))


def site_address(archive: ArchiveReader, layout: Layout) -> Iterator[str]:
    """Yield the addresses that a site in an archive gives as its own, the most reliable first."""
    with tempfile.TemporaryDirectory(prefix="backstay-") as folder:
        extract_configuration(archive, layout, Path(folder))
        site = find_site(Path(folder))
    if site.address:
        yield site.address
    if site.kind == "wordpress":
        yield from _wordpress_options(archive, layout, site.prefix)


def extract_configuration(archive: ArchiveReader, layout: Layout, folder: Path) -> None:
    """Write the files of a site's configuration, as they are in an archive, to a folder."""
    for entry in archive:
        small = entry.type is EntryType.FILE and entry.size <= LARGEST_CONFIGURATION
        if entry.path in CONFIGURATION_FILES and small and not layout.is_own(entry.path):
            (folder / entry.path).write_bytes(b"".join(archive.read(entry)))


def _old_addresses(archive: ArchiveReader, layout: Layout, plan: RestorePlan) -> Iterator[str]:
    if plan.moved_from:
        yield _site_of(plan.moved_from)
    if plan.old_addresses:
        yield from plan.old_addresses
        return
    found = list(site_address(archive, layout))
    yield from found
    host = layout.information.get("host")
    if isinstance(host, str) and host and (plan.moved_from or not found):
        yield host


def _places(addresses: Iterator[str]) -> list[Place]:
    """Return the places of addresses; one in another is moved with it."""
    found: list[Place] = []
    for address in addresses:
        try:
            place = Place.parse(address)
        except UsageError:
            # A setting of the site that is no address names no place.
            continue
        if not any(other.holds(place) for other in found):
            found = [other for other in found if not place.holds(other)]
            found.append(place)
    return found


def _wordpress_options(archive: ArchiveReader, layout: Layout, prefix: str) -> Iterator[str]:
    """Yield ``home`` and ``siteurl`` of a dump, from the rows of its table of options."""
    database = next((one for one in layout.databases if one.dump_file == MAIN_DUMP), None)
    if database is None:
        return
    own = str(database.metadata.get("prefix") or "") or prefix
    tables = {b"#__options", f"{own}options".encode("utf-8", "surrogateescape")}
    found: dict[bytes, str] = {}
    for part in database.parts:
        inside = False
        with open_part(archive, part)() as stream:
            before = b""
            while len(found) < 2 and (data := stream.read(_READ)):
                before += data
                inside = _look_for_options(before, tables, found, inside=inside)
                before = before[-_OVERLAP:]
        if len(found) == 2:
            break
    yield from (found[name] for name in (b"home", b"siteurl") if name in found)


def _look_for_options(sql: bytes, tables: set[bytes], found: dict[bytes, str], *, inside: bool) -> bool:
    """Look through a piece of SQL that begins within the rows of one of the tables, or not.

    Returns:
        Whether the end of it that is looked at again begins within such rows.
    """
    start, again = 0, inside
    for match in [*_INSERT.finditer(sql), None]:
        for option in _OPTION.finditer(sql, start, match.start() if match else len(sql)) if inside else ():
            found.setdefault(option[1], option[2].decode("utf-8", "surrogateescape"))
        if match:
            inside, start = match[1] in tables, match.end()
            again = inside if match.start() < len(sql) - _OVERLAP else again
    return again


def _site_of(server: str) -> str:
    """Return host and path of a site from the address of its API."""
    parts = urlsplit(server if "//" in server else f"https://{server}")
    path = parts.path.rstrip("/")
    for ending in _ENDINGS:
        path = path.removesuffix(ending)
    return f"{parts.scheme}://{parts.netloc}{path}"
