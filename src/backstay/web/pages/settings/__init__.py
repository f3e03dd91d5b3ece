"""What is set: profiles and what they leave out, schedules, storages, recipients, tokens and the server itself."""

from backstay.web.pages.settings import filters, notifications, profile, profile_making, schedules, server, storage
from backstay.web.routes import PageRoute

ROUTES: tuple[PageRoute, ...] = (
    *profile_making.ROUTES,
    *profile.ROUTES,
    *filters.ROUTES,
    *schedules.ROUTES,
    *storage.ROUTES,
    *notifications.ROUTES,
    *server.ROUTES,
)
