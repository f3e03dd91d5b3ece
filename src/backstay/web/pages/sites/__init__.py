"""Sites: all of them, one with what its server said, adding and changing them, and the report of a group."""

from backstay.web.pages.sites import listing, one, report
from backstay.web.routes import PageRoute

ROUTES: tuple[PageRoute, ...] = (*listing.ROUTES, *one.ROUTES, *report.ROUTES)
