"""Looking inside the archive of a backup: its tree, one file of it, downloads, its tables."""

from backstay.web.pages.files import choosing, downloads, listing, one_file, opening, tables
from backstay.web.routes import PageRoute

ROUTES: tuple[PageRoute, ...] = (
    *listing.ROUTES,
    *one_file.ROUTES,
    *downloads.ROUTES,
    *tables.ROUTES,
    *choosing.ROUTES,
    *opening.ROUTES,
)
