"""Choosing files and folders of an archive in a form: what is chosen is carried on while folders are opened.

A page that wants files chosen puts ``{% import "files/picker.html" as picker with context %}`` and
``{{ picker.tree(visit, picked) }}`` into its form, with ``picked`` from `pick`. The form comes back with the field
``pick_open`` while somebody looks for more: the page is then shown again. `Picked.only` goes into a restore.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from backstay.jobs.archive_index import Item, Listing
from backstay.jobs.browsing import globs_of
from backstay.web.pages.files.listing import PER_PAGE, crumbs
from backstay.web.pages.files.opening import BeingMadeError, opened
from backstay.web.rendering import quoted, unquoted
from backstay.web.visit import Visit

CHOSEN: Final = "picked"
OPEN: Final = "pick_open"
AT: Final = "pick_at"


@dataclass(frozen=True, slots=True)
class Picked:
    """What is chosen, and the folder that is shown to choose more.

    Attributes:
        chosen: paths, sorted.
        path: of the folder that is shown.
        crumbs: name and path of each folder on the way to it.
        listing: what is in it; None while the list of the archive is being made, or where it was not asked for.
        page: which page of the folder, from 1.
        is_looking: a folder was asked for: the form is to be shown again.
    """

    chosen: tuple[str, ...]
    path: str = ""
    crumbs: tuple[tuple[str, str], ...] = ()
    listing: Listing | None = None
    page: int = 1
    is_looking: bool = False

    @property
    def only(self) -> tuple[str, ...]:
        """The chosen paths as patterns for a restore; empty where nothing is chosen."""
        return globs_of(self.chosen)

    @property
    def unseen(self) -> list[str]:
        """Chosen paths that the folder that is shown does not show."""
        seen = {item.path for item in self.listing.items} if self.listing else set()
        return [path for path in self.chosen if path not in seen]

    @staticmethod
    def place(path: str, page: int = 1) -> str:
        """Return what the field ``pick_open`` holds to show a page of a folder."""
        return f"{page}:{quoted(path)}"

    @property
    def more(self) -> bool:
        """Whether the folder has a page after this one."""
        return self.listing is not None and self.page * PER_PAGE < self.listing.total

    def is_chosen(self, item: Item) -> bool:
        """Return whether an item is chosen itself."""
        return item.path in self.chosen

    def is_within(self, item: Item) -> bool:
        """Return whether an item comes with a folder that is chosen."""
        return any(not path or item.path.startswith(f"{path}/") for path in self.chosen)


def pick(visit: Visit, storage: str = "", *, show: bool = True) -> Picked:
    """Read what a form has chosen in the archive of the backup of the visit's path.

    Args:
        visit: a GET, or a POST of the form.
        storage: where the archive is read.
        show: open the folder that was asked for, too.

    Raises:
        WrongPasswordError: the archive needs a password.
        BackstayError: it cannot be looked into, or there is no such folder.
    """
    chosen = tuple(sorted({unquoted(path) for path in visit.fields(CHOSEN)}))
    asked = visit.field(OPEN)
    given, _, at = (asked or visit.field(AT)).partition(":")
    page = int(given) if given.isascii() and given.isdigit() and 0 < len(given) < 7 else 1
    at, page, is_looking = unquoted(at), max(1, page), bool(asked)
    if not show:
        return Picked(chosen, at, is_looking=is_looking)
    try:
        with opened(visit, storage) as inside:
            listing = inside.index.folder(at, (page - 1) * PER_PAGE, PER_PAGE)
    except BeingMadeError:
        return Picked(chosen, at, is_looking=is_looking)
    return Picked(chosen, at, tuple(crumbs(at)), listing, page, is_looking)
