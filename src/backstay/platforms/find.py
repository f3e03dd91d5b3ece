"""Find out what a directory is."""

from __future__ import annotations

from pathlib import Path

from backstay.errors import NotFoundError
from backstay.platforms.dotenv import find_dotenv
from backstay.platforms.joomla import find_joomla
from backstay.platforms.model import Site
from backstay.platforms.wordpress import find_wordpress


def find_site(root: Path) -> Site:
    """Return what a directory is, and the databases that its configuration names.

    Files are read as text and never executed. A directory of no known kind is a plain site.

    Args:
        root: the site's directory.

    Raises:
        NotFoundError: there is no such directory.
    """
    if not root.is_dir():
        raise NotFoundError(f"There is no directory {root}: check the path of the site.")
    for finder in (find_joomla, find_wordpress, find_dotenv):
        site = finder(root)
        if site is not None:
            return site
    return Site(kind="plain", name=root.resolve().name)
