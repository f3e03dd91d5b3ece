"""Bringing a site back: what and where, the plan, the restores that can be taken back; moves and drills."""

from backstay.web.pages.restores import asking, drill, listing, migration, planning
from backstay.web.routes import PageRoute

# Those with fixed names first: a restore's own page takes any name.
ROUTES: tuple[PageRoute, ...] = (
    *asking.ROUTES,
    *planning.ROUTES,
    *migration.ROUTES,
    *drill.ROUTES,
    *listing.ROUTES,
)
