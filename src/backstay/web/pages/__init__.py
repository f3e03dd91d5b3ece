"""The pages: a module for each part of the site, each with its rows of the table of routes."""

from backstay.web.pages import (
    account,
    account_factors,
    alarms,
    backups,
    events,
    files,
    first_steps,
    journal,
    overview,
    profiles,
    restores,
    settings,
    sign_in,
    sites,
    static,
    tasks,
    users,
)
from backstay.web.routes import PageRoute

ROUTES: tuple[PageRoute, ...] = (
    *static.ROUTES,
    *sign_in.ROUTES,
    *first_steps.ROUTES,
    *journal.ROUTES,
    *account.ROUTES,
    *account_factors.ROUTES,
    *users.ROUTES,
    *overview.ROUTES,
    *alarms.ROUTES,
    *sites.ROUTES,
    *profiles.ROUTES,
    *restores.ROUTES,
    *backups.ROUTES,
    *tasks.ROUTES,
    *settings.ROUTES,
    *events.ROUTES,
    *files.ROUTES,
)
