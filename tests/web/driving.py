"""The pages without a browser: requests in this process, with the cookies and the token that a browser would send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import httpx2
from starlette.testclient import TestClient

from backstay.jobs.installation import Installation
from backstay.jobs.users import Role, create_user
from backstay.web import create_pages
from backstay.web.security import FORGERY_FIELD

PASSWORD = "a long enough password"


class Visitor:
    """Somebody with a browser.

    Args:
        installation: whose pages.
    """

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.client = TestClient(create_pages(installation), base_url="https://backstay.example", follow_redirects=True)

    def signed_in(self, role: Role) -> Self:
        """Sign in with a role; the user is made where there is none."""
        if self.installation.catalogue.users.find(role) is None:
            create_user(self.installation, role, role, PASSWORD)
        self.client.cookies.clear()
        answer = self.post("/sign-in", {"name": role.value, "password": PASSWORD}, form_at="/sign-in")
        assert answer.status_code == 200, answer.text
        return self

    def get(self, path: str) -> httpx2.Response:
        """Ask for a page."""
        return self.client.get(path)

    def post(self, path: str, fields: Mapping[str, object] | None = None, *, form_at: str = "/") -> httpx2.Response:
        """Send a form as the page at ``form_at`` has it, its token with it."""
        return self.client.post(path, data={FORGERY_FIELD: self.token(form_at), **(fields or {})})

    def token(self, form_at: str = "/") -> str:
        """Return the token against forgery that a page's forms carry."""
        found = re.search(rf'name="{FORGERY_FIELD}" value="(\w+)"', self.client.get(form_at).text)
        assert found, f"{form_at} has no form"
        return found[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
