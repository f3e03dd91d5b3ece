"""Tokens for the API as a person asks for them."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from backstay.api.methods import Scope
from backstay.errors import UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.tenants import numbers_of_groups

UNBOUND_SCOPES = frozenset({Scope.CONFIGURE, Scope.METRICS})
"""What a token that is bound to groups never may: settings can name any folder, figures are of all sites."""
_NAME = re.compile(r"[\w.@ -]{1,100}")
_PERIOD = re.compile(r"(\d{1,5})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def create_token(
    installation: Installation,
    name: str,
    scopes: Collection[Scope],
    now: datetime,
    expires: str = "",
    groups: Collection[str] = (),
) -> str:
    """Make a token; return it in clear, the only time.

    Args:
        installation: whose.
        name: what it is for.
        scopes: what it may do; none: read.
        now: this moment.
        expires: a date, or a time from now such as ``90d``; empty: never.
        groups: names of the groups of sites that it is bound to; none: it sees everything.

    Raises:
        UsageError: the name is taken or cannot be one, or the time has passed or is none; or it is to be bound, and
            to do what concerns more than sites.
        NotFoundError: there is no such group.
    """
    if not _NAME.fullmatch(name):
        raise UsageError("A token's name has up to 100 letters, digits, blanks and . _ - @: choose such a name.")
    until = _moment(expires, now) if expires else None
    if groups and (wide := sorted(UNBOUND_SCOPES & set(scopes))):
        raise UsageError(f"A token that is bound to groups can't have the scope {wide[0]}, which concerns all sites.")
    bound = numbers_of_groups(installation, groups)
    return installation.catalogue.tokens.create(name, [str(one) for one in scopes or [Scope.READ]], now, until, bound)


def _moment(text: str, now: datetime) -> datetime:
    if period := _PERIOD.fullmatch(text):
        return now + int(period[1]) * _UNITS[period[2]]
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text[:40]!r} is no time: write a date such as 2027-01-31, or 12h, 90d, 8w.") from None
    until = given if given.tzinfo else given.replace(tzinfo=UTC)
    if until <= now:
        raise UsageError(f"{text} has passed: give a time to come.")
    return until
