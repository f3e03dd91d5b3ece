"""What a page is: its verb, its path, who may ask for it, and the function that answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from backstay.jobs.users import Role
from backstay.web.tenancy import Bound
from backstay.web.visit import Visit


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One row of the table of pages.

    Attributes:
        verb: what changes something is a POST.
        path: as Starlette writes it: ``/backups/{number:int}``.
        needs: least role; None: whoever comes, signed in or not.
        handler: answers; runs in a thread.
        confirmed: the user must have proven within the last minutes who they are: asked for the password otherwise.
        bound: how it is kept to what a user who is bound to groups of sites sees; None: it is not there for them.
    """

    verb: Literal["GET", "POST"]
    path: str
    needs: Role | None
    handler: Callable[[Visit], Response]
    confirmed: bool = False
    bound: Bound | None = None
