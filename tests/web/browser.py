"""The pages in a real browser: Chromium, driven by Playwright, before a server in a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.sync_api import Browser, Page, sync_playwright

from backstay.jobs.installation import open_installation
from backstay.jobs.users import Role, create_user

COMMAND = [sys.executable, "-c", "from backstay.cli import main; main()"]
PASSWORD = "a long enough password"
DESKTOP = {"width": 1280, "height": 800}
TELEPHONE = {"width": 390, "height": 844}
_RULES_OF_COLOURS = ["color-contrast", "link-in-text-block"]
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class PageServer:
    """A running ``backstay serve`` and its home."""

    url: str
    home: Path
    process: subprocess.Popen[str]

    def stop(self) -> None:
        """Ask the server to end."""
        self.process.terminate()

    def wait(self) -> int:
        """Wait for the server's end; return its exit code."""
        return self.process.wait(60)

    def backstay(self, *arguments: str) -> str:
        """Run a command in its home; give what it printed."""
        environment = os.environ | {"BACKSTAY_HOME": str(self.home)}
        done = subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser; the test is skipped where there is none, and fails where CI has none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing: scripts/install_test_servers.sh installs it.")
        pytest.skip("no Chromium on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_QUIET))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def page_server(home: Path, *, worker: bool = False) -> Iterator[PageServer]:
    """Serve a home, with one user of each role, all with the same password."""
    with open_installation(home) as installation:
        for role in Role:
            if installation.catalogue.users.find(role) is None:
                create_user(installation, role, role, PASSWORD)
    log_path = home.parent / "serve.log"
    arguments = ["serve", "--port", "0", "--home", str(home), *([] if worker else ["--no-worker"])]
    with (
        log_path.open("w") as log,
        subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://[\d.:]+", line)
            assert found, line + log_path.read_text()
            yield PageServer(found[0], home, process)
        finally:
            process.terminate()


@contextlib.contextmanager
def open_page(
    browser: Browser, server: PageServer, role: Role | None, *, size: dict[str, int] = DESKTOP, scripts: bool = True
) -> Iterator[Page]:
    """Open a window of its own, signed in with a role; at its end the browser's console must hold no complaint."""
    context = browser.new_context(viewport=size, java_script_enabled=scripts, base_url=server.url)  # type: ignore[arg-type]  # a TypedDict
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        if role is not None:
            sign_in(page, role)
        yield page
        # An answer with an error status is one of the things that pages are tested for.
        assert [one for one in complaints if "the server responded with a status of" not in one] == []
    finally:
        context.close()


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Sign in through the form."""
    page.goto("/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def confirm_password(page: Page) -> None:
    """Type the password again where the page asks for it."""
    if page.get_by_role("heading", name="Your password, please").count():
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Go on").click()


def faults(page: Page) -> list[str]:
    """Return what axe finds of serious or critical faults of accessibility; contrast in both themes."""
    page.evaluate(Axe().axe_script)
    found = []
    schemes: list[Literal["light", "dark"]] = ["light", "dark"]
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        # The themes differ in nothing but colours.
        rules = {"runOnly": _RULES_OF_COLOURS} if scheme == "dark" else {}
        answer = page.evaluate("options => axe.run(options)", {"resultTypes": ["violations"], **rules})
        found += [
            f"{scheme}: {one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
            for one in answer["violations"]
            if one["impact"] in ("serious", "critical")
        ]
    page.emulate_media(color_scheme="light")
    # Nothing may be wider than the window: a page is not scrolled sideways.
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"):
        found.append("the page is wider than the window")
    return found
