"""What a page's handler knows of one request, and how it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from backstay.catalogue.users import Session, User
from backstay.jobs import journal
from backstay.jobs.installation import Installation
from backstay.jobs.tenants import Groups
from backstay.jobs.users import Role
from backstay.web.guesses import Guesses
from backstay.web.rendering import html
from backstay.web.security import NOTICE_COOKIE, set_cookie

_LONGEST_NOTICE = 500


@dataclass(slots=True)
class Visit:
    """One request of a browser.

    Attributes:
        installation: whose pages.
        request: as it came.
        user: who is signed in; None: nobody.
        session: in which; None: in none.
        form: fields of a POST, the token against forgery among them, already checked.
        token: to be put into each form, against forgery.
        notice: a sentence to be shown once, of the request before.
        noted: whether what was done stands in the journal.
        guesses: what was guessed wrong before.
        delay: seconds for which the answer is held back.
    """

    installation: Installation
    request: Request
    user: User | None = None
    session: Session | None = None
    form: FormData = field(default_factory=FormData)
    token: str = field(default="", repr=False)
    notice: str = ""
    noted: bool = False
    guesses: Guesses = field(default_factory=Guesses, repr=False)
    delay: float = 0.0

    @property
    def who(self) -> User:
        """The user who is signed in, where the route demands one."""
        if self.user is None:
            raise RuntimeError("Nobody is signed in: the route must demand a role.")
        return self.user

    @property
    def groups(self) -> Groups:
        """Numbers of the groups of sites beyond which who asks sees nothing; None: they see everything."""
        return (self.user.groups or None) if self.user is not None else None

    @property
    def address(self) -> str:
        """Address of the browser."""
        return self.request.client.host if self.request.client else ""

    def may(self, role: str) -> bool:
        """Return whether who is signed in has a role, for templates."""
        return self.user is not None and Role(self.user.role).includes(Role(role))

    def number(self, name: str = "number") -> int:
        """Return a number of the path."""
        return int(self.request.path_params[name])

    def page_number(self) -> int:
        """Return which page of a list is asked for: 1 where nothing, or no number, was given."""
        given = self.asked("page", "1")
        return max(1, int(given)) if given.isascii() and given.isdigit() and len(given) < 7 else 1

    def asked(self, name: str, otherwise: str = "") -> str:
        """Return a parameter of the query."""
        return self.request.query_params.get(name, otherwise)

    def field(self, name: str, otherwise: str = "") -> str:
        """Return a text field of the form."""
        value = self.form.get(name, otherwise)
        return value if isinstance(value, str) else otherwise

    def fields(self, name: str) -> list[str]:
        """Return all values of a field that may come several times."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def file(self, name: str) -> bytes | None:
        """Return the content of an uploaded file; None where none was chosen. Its size is bounded with the body's."""
        value = self.form.get(name)
        return value.file.read() if isinstance(value, UploadFile) and value.filename else None

    def page(self, template: str, status: int = 200, /, **values: Any) -> Response:
        """Return a page made from a template, which knows this visit as ``visit``."""
        response = html(template, {"visit": self, **values}, status)
        if self.notice:
            response.delete_cookie(NOTICE_COOKIE, secure=True, path="/")
        return response

    def note(self, action: str, subject: str, /, **details: object) -> None:
        """Write into the journal what was done by this request.

        Args:
            action: in a few words: ``backup deleted``.
            subject: what it was done to: ``backup 12``.
            details: what else is to be known: texts, numbers, truths; never a secret.
        """
        who = self.user.name if self.user is not None else ""
        journal.note(self.installation, who, journal.PAGE, action, subject, details, self.address)
        self.noted = True

    def redirect(self, path: str, notice: str = "") -> Response:
        """Return an answer that leads on to a page of ours, where a sentence is shown once."""
        response = RedirectResponse(path, 303)
        if notice:
            set_cookie(response, NOTICE_COOKIE, quote(notice[:_LONGEST_NOTICE]), seconds=60)
        return response

    def to(self, path: str, /, **query: object) -> str:
        """Return a path with a query, for links in templates."""
        return address(path, query)


def address(path: str, query: Mapping[str, object]) -> str:
    """Return a path with a query whose empty values are left out."""
    pairs = "&".join(
        f"{quote(name)}={quote(str(value), safe='', errors='surrogateescape')}"
        for name, value in query.items()
        if value not in ("", None, False)
    )
    return f"{path}?{pairs}" if pairs else path
