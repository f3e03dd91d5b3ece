"""What is set: profiles and what they leave out, schedules, storages, recipients, tokens and the server itself."""

from backstay.web.pages.settings import filters, profile, profile_making
from backstay.web.routes import PageRoute

ROUTES: tuple[PageRoute, ...] = (
    *profile_making.ROUTES,
    *profile.ROUTES,
    *filters.ROUTES,
)
