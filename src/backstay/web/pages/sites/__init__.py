"""Sites: all of them, one with what its server said, adding and changing them, and the report of a group."""

from backstay.web.pages.sites import acting, listing, making, one, report
from backstay.web.routes import PageRoute

ROUTES: tuple[PageRoute, ...] = (
    *listing.ROUTES,
    *report.ROUTES,
    *acting.ROUTES,
    *making.ROUTES,
    *one.ROUTES,
)
