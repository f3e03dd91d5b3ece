"""Make the pictures of the page in ``docs/images``: real backups of two sites with MariaDB, a real server, Chromium.

``make screenshots`` runs it. The sites are those of the tests, of the shape of WordPress and Joomla.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from backstay.jobs.users import Role  # noqa: E402
from support.cms_sites import make_joomla, make_wordpress  # noqa: E402 - found by the line above
from support.mysql import MySQLServer, given_server, start_private_server  # noqa: E402
from web.browser import DESKTOP, TELEPHONE, PageServer, chromium, open_page, page_server  # noqa: E402

IMAGES = ROOT / "docs" / "images"
LARGEST = 150_000
"""Bytes of a picture."""
_BACKUPS = 6


@dataclass(frozen=True)
class Picture:
    """One picture: its name, the page it shows, on a telephone or not, in the dark theme or not."""

    name: str
    path: str
    telephone: bool = False
    dark: bool = False


PICTURES = (
    Picture("overview", "/"),
    Picture("overview-dark", "/", dark=True),
    Picture("overview-telephone", "/", telephone=True),
    Picture("profile", "/profiles/1"),
    Picture("settings", "/profiles/1/settings"),
    Picture("leave-out", "/profiles/1/filters"),
    Picture("look-inside", "/backups/1/files"),
    Picture("bring-back", "/backups/1/restore"),
)


def prepare(folder: Path, database: MySQLServer, server: PageServer) -> None:
    """Take backups of two sites, verify one of them, and name a third site that has none yet."""
    keep = folder / "nas"
    keep.mkdir()
    server.backstay("storage", "add", "nas", f"folder://{keep}")
    server.backstay("profile", "create", "--name", "Town library")
    for number, (name, make) in enumerate((("Garden shop", make_wordpress), ("Town library", make_joomla)), 1):
        root = folder / name.replace(" ", "-").lower()
        make(root, database, database.create(f"site{number}"))
        values = ("--name", name, "--root", str(root), "--set", "backstay.storage.destinations=nas")
        server.backstay("profile", "edit", str(number), *values)
        server.backstay("schedule", "add", str(number), "--at", "17 3 * * *", "--time-zone", "Europe/Berlin")
        for night in range(_BACKUPS):
            (root / f"picture-{night}.bin").write_bytes(os.urandom(60_000 * (night + number)))
            server.backstay("backup", "--profile", str(number), "--json")
    server.backstay("verify", str(_BACKUPS))
    club = folder / "rowing-club"
    club.mkdir()
    server.backstay("profile", "create", "--name", "Rowing club", "--root", str(club))


def take(server: PageServer) -> None:
    """Take all pictures."""
    IMAGES.mkdir(exist_ok=True)
    with chromium() as browser:
        for picture in PICTURES:
            size = TELEPHONE if picture.telephone else DESKTOP
            with open_page(browser, server, Role.ADMINISTRATOR, size=size) as page:
                page.emulate_media(color_scheme="dark" if picture.dark else "light")
                answer = page.goto(picture.path)
                if answer is None or not answer.ok:
                    sys.exit(f"{picture.path} is not answered.")
                path = IMAGES / f"{picture.name}.png"
                page.screenshot(path=path)
                if path.stat().st_size > LARGEST:
                    sys.exit(f"{path.name} is larger than {LARGEST} bytes.")
                print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


def main() -> None:
    """Prepare a home, serve it, and take the pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mysql").mkdir()
        database = given_server() or start_private_server(folder / "mysql")
        if database is None:
            sys.exit("MariaDB is missing: scripts/install_test_servers.sh installs it.")
        try:
            with page_server(folder / "home") as server:
                prepare(folder, database, server)
                take(server)
        finally:
            database.close()


if __name__ == "__main__":
    main()
