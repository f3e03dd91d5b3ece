"""The first user, signing in and out, and what keeps strangers and forged forms away."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser
from starlette.testclient import TestClient

from backstay.jobs.installation import Installation
from backstay.jobs.users import Role, invite
from backstay.server.application import create_application
from backstay.web import create_pages
from backstay.web.pages import ROUTES
from backstay.web.security import FORGERY_FIELD, SESSION_COOKIE
from web.browser import TELEPHONE, PageServer, faults, open_page
from web.driving import PASSWORD, Visitor


def test_the_first_user_is_made_through_a_link_that_works_once(visitor: Visitor) -> None:
    link = f"/welcome/{invite(visitor.installation, None)}"
    fields = {"name": "anna", "password": PASSWORD, "password_again": PASSWORD}
    assert visitor.post(link, {**fields, "password_again": "another"}, form_at=link).status_code == 400
    assert "Welcome, anna." in visitor.post(link, dict(fields), form_at=link).text
    assert visitor.installation.catalogue.users.get("anna").role == Role.ADMINISTRATOR
    assert visitor.get(link).status_code == 404


def test_a_wrong_password_and_an_unknown_name_are_refused_alike(visitor: Visitor) -> None:
    visitor.signed_in(Role.VIEWER)
    visitor.client.cookies.clear()
    texts = {
        visitor.post("/sign-in", {"name": name, "password": "wrong wrong wrong"}, form_at="/sign-in").text.replace(
            f'value="{name}"', ""
        )
        for name in ("viewer", "nobody")
    }
    assert len({text.split("<h1>")[1].split(FORGERY_FIELD)[0] for text in texts}) == 1
    assert SESSION_COOKIE not in visitor.client.cookies


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_form_of_another_site_is_refused(visitor: Visitor, headers: dict[str, str]) -> None:
    visitor.signed_in(Role.VIEWER)
    token = visitor.token()
    assert visitor.client.post("/sign-out", data={FORGERY_FIELD: token}, headers=headers).status_code == 403
    assert visitor.client.post("/sign-out", data={}).status_code == 403
    assert visitor.get("/").url.path == "/"


@pytest.mark.parametrize("role", [None, *Role])
def test_each_page_is_for_its_role_and_those_above(visitor: Visitor, role: Role | None) -> None:
    """A page is refused to everyone below its role before its handler sees anything."""
    if role is not None:
        visitor.signed_in(role)
        visitor.client.follow_redirects = False
        token = visitor.token()
    else:
        visitor.client.follow_redirects = False
        token = visitor.token("/sign-in")
    for route in ROUTES:
        if route.needs is None or (role is not None and role.includes(route.needs)):
            continue
        path = "/".join("1" if part.startswith("{") else part for part in route.path.split("/"))
        answer = visitor.client.request(route.verb, path, data={FORGERY_FIELD: token} if route.verb == "POST" else None)
        if role is None:
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in"), path
        else:
            assert (answer.status_code, f"role {route.needs}" in answer.text) == (403, True), path


@pytest.mark.parametrize("scripts", [True, False])
def test_signing_in_and_out_in_a_browser(browser: Browser, served: PageServer, *, scripts: bool) -> None:
    with open_page(browser, served, None, size=TELEPHONE, scripts=scripts) as page:
        page.goto("/?")
        page.goto("/")
        assert "/sign-in" in page.url
        if scripts:
            assert faults(page) == []
        page.get_by_label("Name").fill("viewer")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Overview").wait_for()
        cookies = {one["name"]: one for one in page.context.cookies()}
        session = cookies[SESSION_COOKIE]
        assert (session["httpOnly"], session["secure"], session["sameSite"]) == (True, True, "Strict")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_text("You are signed out.").wait_for()
        page.goto("/")
        assert "/sign-in" in page.url


def test_the_word_of_a_one_time_link_is_not_in_the_log(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    word = invite(installation, None)
    with (
        caplog.at_level("INFO", logger="backstay.server.access_log"),
        TestClient(create_application(installation, create_pages(installation))) as client,
    ):
        assert client.get(f"/welcome/{word}").status_code == 200
    assert "GET /welcome/%7Bword%7D: 200" in caplog.text
    assert word not in caplog.text
