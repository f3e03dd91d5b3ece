"""Backups: the list, one with all that is known of it, what can be done with it, its log, and two compared."""

from backstay.web.pages.backups import changing, comparing, listing, log, parts, record, taking
from backstay.web.routes import PageRoute

ROUTES: tuple[PageRoute, ...] = (
    *listing.ROUTES,
    *taking.ROUTES,
    *comparing.ROUTES,
    *record.ROUTES,
    *changing.ROUTES,
    *parts.ROUTES,
    *log.ROUTES,
)
