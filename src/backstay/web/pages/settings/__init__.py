"""What is set: profiles, filters, schedules, storages, repositories, recipients, tokens, the server itself."""

from backstay.web.pages.settings import (
    filters,
    notifications,
    profile,
    profile_making,
    repositories,
    schedules,
    server,
    storage,
)
from backstay.web.routes import PageRoute

ROUTES: tuple[PageRoute, ...] = (
    *profile_making.ROUTES,
    *profile.ROUTES,
    *filters.ROUTES,
    *schedules.ROUTES,
    *storage.ROUTES,
    *repositories.ROUTES,
    *notifications.ROUTES,
    *server.ROUTES,
)
