"""Passkeys, authenticators and forged requests in a real browser."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyotp
from playwright.sync_api import Browser, Page

from backstay.jobs.installation import open_installation
from backstay.jobs.users import Role, sessions_of
from web.browser import PASSWORD, TELEPHONE, PageServer, confirm_password, faults, open_page, sign_in


def by_name(served: PageServer) -> PageServer:
    """Return the server under a name: passkeys belong to names, not to IP addresses."""
    return replace(served, url=served.url.replace("127.0.0.1", "localhost"))


def add_authenticator(page: Page) -> None:
    """Give the browser a device that makes passkeys and knows its owner."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def forget_proof(served: PageServer, name: str) -> None:
    """Let it be long ago that a user proved who they are."""
    with open_installation(served.home) as installation:
        for one in sessions_of(installation, installation.catalogue.users.get(name)):
            installation.catalogue.sessions.update(one.id, confirmed=datetime.now(UTC) - timedelta(hours=1))


def test_a_passkey_is_added_signs_in_alone_and_proves_again(browser: Browser, served: PageServer) -> None:
    with open_page(browser, by_name(served), Role.VIEWER, size=TELEPHONE) as page:
        add_authenticator(page)
        page.goto("/account")
        assert faults(page) == []
        page.get_by_role("button", name="Add a passkey").click()
        confirm_password(page)
        page.get_by_label("Name").fill("telephone")
        assert faults(page) == []
        page.get_by_role("button", name="Add the passkey").click()
        page.get_by_role("heading", name="Recovery codes").wait_for()
        recovery = page.locator("pre").inner_text().split()
        assert len(recovery) == 10
        page.get_by_role("link", name="I have kept them").click()
        page.get_by_text("telephone", exact=True).wait_for()

        page.get_by_text("Menu").click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="Use a passkey").click()
        page.wait_for_url("**/")
        forget_proof(served, "viewer")
        page.goto("/account")
        page.get_by_role("button", name="Make new recovery codes").click()
        page.get_by_role("heading", name="Your password, please").wait_for()
        page.get_by_role("button", name="Use a passkey").click()
        page.get_by_role("heading", name="Recovery codes").wait_for()
        recovery = page.locator("pre").inner_text().split()

        # The password alone is not enough any more: the passkey or a recovery code is the second step.
        for way in ("passkey", "code"):
            page.context.clear_cookies()
            page.goto("/sign-in")
            page.get_by_label("Name").fill("viewer")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in", exact=True).click()
            page.get_by_role("heading", name="One more step").wait_for()
            if way == "passkey":
                page.get_by_role("button", name="Use a passkey").click()
            else:
                page.get_by_label("Code").fill(recovery[0])
                page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/")
        forget_proof(served, "viewer")
        page.goto("/account")
        page.get_by_role("button", name="Remove").click()
        page.get_by_role("button", name="Use a passkey").click()
        page.get_by_text("The passkey is removed.").wait_for()


def test_an_authenticator_is_set_up_without_scripts(browser: Browser, served: PageServer) -> None:
    with open_page(browser, served, Role.OPERATOR, size=TELEPHONE, scripts=False) as page:
        page.goto("/account")
        page.get_by_role("button", name="Set up an authenticator").click()
        page.get_by_text("No camera?").click()
        secret = page.locator("details code").inner_text().replace(" ", "")
        page.get_by_label("Code").fill(pyotp.TOTP(secret).now())
        page.get_by_role("button", name="Turn it on").click()
        page.get_by_role("heading", name="Recovery codes").wait_for()
        code = page.locator("pre").inner_text().split()[0]
        page.context.clear_cookies()
        page.goto("/sign-in")
        page.get_by_label("Name").fill("operator")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Code").fill(code)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/")
        page.goto("/account")
        page.get_by_role("button", name="Turn it off").click()
        page.get_by_text("You are asked for no code any more.").wait_for()


def test_the_pages_about_people_are_usable_at_each_size(browser: Browser, served: PageServer) -> None:
    for size in (TELEPHONE, {"width": 1280, "height": 800}):
        with open_page(browser, served, Role.ADMINISTRATOR, size=size) as page:
            for path in ("/account", "/users", "/users/1", "/journal"):
                page.goto(path)
                assert faults(page) == [], path


@contextmanager
def other_site(content: str) -> Iterator[str]:
    """Serve one page of another origin; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name that it has
            del format, arguments

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_another_origin_can_neither_post_nor_fetch(browser: Browser, served: PageServer) -> None:
    """Same host and another port: the cookies are sent, so that only origin and token are in the way."""
    context = browser.new_context(base_url=served.url)
    page = context.new_page()
    sign_in(page, "viewer")
    token = re.findall(r'name="from_here" value="(\w+)"', page.content())[0]
    form = (
        f'<form method="post" action="{served.url}/sign-out"><input name="from_here" value="{token}">'
        "<button>Go</button></form>"
    )
    with other_site(form) as address:
        page.goto(address)
        page.get_by_role("button").click()
        page.get_by_text("This form did not come from").wait_for()
        page.goto(address)
        fetched = page.evaluate(
            """async ([url, token]) => {
                const seen = [];
                for (const [method, body] of [["GET", undefined], ["POST", new URLSearchParams({from_here: token})]]) {
                    for (const mode of ["cors", "no-cors"]) {
                        try {
                            const path = method === "GET" ? "/account" : "/sign-out";
                            const given = {method, body, mode, credentials: "include"};
                            seen.push((await fetch(url + path, given)).type);
                        } catch (error) { seen.push("refused"); }
                    }
                }
                return seen;
            }""",
            [served.url, token],
        )
        assert set(fetched) <= {"refused", "opaque"}
        framed = page.evaluate(
            """async (url) => {
                const frame = document.createElement("iframe");
                frame.src = url;
                document.body.append(frame);
                await new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 3000); });
                try { return frame.contentDocument?.body?.innerText ?? ""; } catch { return ""; }
            }""",
            served.url,
        )
        assert "Overview" not in framed
    page.goto(served.url)
    page.get_by_role("button", name="Sign out").wait_for()
    context.close()
