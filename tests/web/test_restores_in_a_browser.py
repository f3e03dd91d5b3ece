"""Sites with databases brought back in a real browser: by keyboard, on a telephone, without scripts, after a death."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page

from backstay.databases import DatabaseAddress
from backstay.demo.compare import compare_trees
from backstay.jobs import lock
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.restore import pending_restores
from backstay.jobs.tasks import task_progress
from backstay.jobs.users import Role
from support import compare
from support.backups import take
from support.cms_sites import make_joomla, make_wordpress
from support.mysql import MySQLServer
from web.browser import PASSWORD, TELEPHONE, PageServer, confirm_password, faults, open_page

PATIENCE = 60_000
"""Milliseconds that a restore may take on a machine that is busy."""


@dataclass
class Site:
    """A site with a database, a backup of it, and copies of both as they were."""

    root: Path
    server: MySQLServer
    database: str
    number: int
    copy: Path

    def tables(self) -> dict[str, Any]:
        """Return all rows and definitions of its database."""
        named = compare.objects(self.server, self.database)
        return {"objects": named, "definitions": compare.definitions(self.server, self.database), "rows": self.rows()}

    def rows(self) -> dict[str, Any]:
        """Return the rows of its tables; what a restore keeps to go back to is none of them."""
        named = compare.objects(self.server, self.database)["BASE TABLE"]
        mine = [name for name in named if not name.startswith("backstay_")]
        return {name: compare.rows(self.server, self.database, name) for name in mine}

    def copy_tree(self, name: str) -> Path:
        """Keep the tree as it is now."""
        target = self.copy.with_name(name)
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-a", self.root, target], check=True)
        return target


@pytest.fixture(scope="module")
def opened(served: PageServer) -> Iterator[Installation]:
    """Open the home that the pages show."""
    with open_installation(served.home) as installation:
        yield installation


def _site(kind: str, opened: Installation, server: MySQLServer, folder: Path) -> Iterator[Site]:
    address = server.create(f"backstay_test_page_{kind}_{os.getpid()}")
    root = folder / kind
    (make_wordpress if kind == "blog" else make_joomla)(root, server, address)
    site = Site(root, server, address.name, 0, folder / "copy")
    site.number = take(opened, root, "").id
    site.copy_tree("copy")
    yield site
    server.drop(address.name)


@pytest.fixture
def blog(opened: Installation, mysql_server: MySQLServer, tmp_path: Path) -> Iterator[Site]:
    """A site of WordPress's shape."""
    yield from _site("blog", opened, mysql_server, tmp_path)


@pytest.fixture
def shop(opened: Installation, mysql_server: MySQLServer, tmp_path: Path) -> Iterator[Site]:
    """A site of Joomla's shape."""
    yield from _site("shop", opened, mysql_server, tmp_path)


def change(site: Site, table: str) -> tuple[Path, dict[str, Any]]:
    """Change files and rows; return what the site is then."""
    (site.root / "added.txt").write_text("since")
    (site.root / ("wp-settings.php" if site.root.name == "blog" else "index.php")).unlink()
    site.server.execute(f"DELETE FROM {table} LIMIT 1", site.database)
    site.server.execute("CREATE TABLE since (x int)", site.database)
    return site.copy_tree("changed"), site.tables()


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until something has the focus."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"the keyboard does not reach {target}")


def wait_for_end(page: Page) -> Locator:
    """Wait for the end of a task that brings something back; return the link to the restore."""
    link = page.get_by_role("link", name="take it back, or confirm it")
    link.wait_for(timeout=PATIENCE)
    return link


def forget_the_password(installation: Installation) -> None:
    """Let it be long ago that the administrator typed the password."""
    user = installation.catalogue.users.get(Role.ADMINISTRATOR)
    now, hour = datetime.now(UTC), timedelta(hours=1)
    for session in installation.catalogue.sessions.of_user(user.id, now, hour):
        installation.catalogue.sessions.update(session.id, confirmed=now - hour)


def begin(page: Page, name: str) -> None:
    """Begin what a plan shows."""
    page.get_by_label("Name of the site").fill(name)
    page.get_by_role("button", name="Bring it back").click()
    confirm_password(page)


def test_by_keyboard_alone_a_site_is_brought_back_taken_back_and_confirmed(
    browser: Browser, served: PageServer, blog: Site, opened: Installation
) -> None:
    before = blog.tables()
    changed, tables = change(blog, "wp_nokey")
    with open_page(browser, served, Role.ADMINISTRATOR) as page:
        for way in ("undo", "confirm"):
            forget_the_password(opened)
            page.goto(f"/backups/{blog.number}/restore")
            assert faults(page) == []
            tab_to(page, page.locator("form.restore-form > p button.main"))
            page.keyboard.press("Enter")
            page.get_by_role("heading", name="What this restore would do").wait_for()
            assert faults(page) == []
            page.get_by_text(re.compile(r"replaces \d tables")).wait_for()
            tab_to(page, page.get_by_label("Name of the site"))
            page.keyboard.type("blog")
            page.keyboard.press("Enter")
            page.get_by_role("heading", name="Your password, please").wait_for()
            page.keyboard.type(PASSWORD)
            page.keyboard.press("Enter")
            tab_to(page, wait_for_end(page))
            page.keyboard.press("Enter")
            page.get_by_role("heading", name="What came back").wait_for()
            assert faults(page) == []
            assert compare_trees(blog.copy, blog.root).differences == []
            assert {**blog.rows(), "since": None} == {**before["rows"], "since": None}
            tab_to(page, page.get_by_role("button", name="Take it back" if way == "undo" else "Confirm it"))
            page.keyboard.press("Enter")
            page.get_by_text("is taken back" if way == "undo" else "is confirmed").wait_for(timeout=PATIENCE)
            if way == "undo":
                assert compare_trees(changed, blog.root).differences == []
                assert blog.tables() == tables
        page.goto("/restores")
        page.get_by_text("All restores are over").wait_for()
        assert faults(page) == []
    assert pending_restores(opened) == []
    assert not [path.name for path in blog.root.parent.iterdir() if "backstay" in path.name]


def test_on_a_telephone_one_table_comes_back(browser: Browser, served: PageServer, shop: Site) -> None:
    before = shop.tables()
    changed, tables = change(shop, "jos_content")
    with open_page(browser, served, Role.ADMINISTRATOR, size=TELEPHONE) as page:
        page.goto(f"/backups/{shop.number}/restore")
        page.get_by_label("Some tables").check()
        page.get_by_label("#__content").check()
        assert faults(page) == []
        page.get_by_role("button", name="Test this database").click()
        page.get_by_text("The database answers. It holds 3 tables and views.").wait_for()
        page.get_by_role("button", name="Show the plan").last.click()
        page.get_by_text("replaces 1 table").wait_for()
        assert faults(page) == []
        begin(page, "shop")
        wait_for_end(page).click()
        page.get_by_role("heading", name="What came back").wait_for()
        assert faults(page) == []
        assert compare_trees(changed, shop.root).differences == []
        assert shop.rows() == {**tables["rows"], "jos_content": before["rows"]["jos_content"]}
        page.get_by_role("button", name="Take it back").click()
        page.get_by_text("is taken back").wait_for(timeout=PATIENCE)
    assert shop.tables() == tables


def test_without_scripts_a_folder_comes_back_and_a_copy_is_made_elsewhere(
    browser: Browser, served: PageServer, blog: Site, tmp_path: Path
) -> None:
    shutil.rmtree(blog.root / "wp-content")
    (blog.root / "wp-settings.php").write_text("changed")
    changed = blog.copy_tree("changed")
    tables = blog.tables()
    second: DatabaseAddress = blog.server.create(f"{blog.database}_copy")
    with open_page(browser, served, Role.ADMINISTRATOR, scripts=False) as page:
        page.goto(f"/backups/{blog.number}/restore")
        page.get_by_label("Some files or folders").check()
        page.get_by_role("button", name="Open wp-content").click()
        page.get_by_role("checkbox", name="uploads").wait_for()
        page.get_by_role("button", name="All files").click()
        page.get_by_role("checkbox", name="wp-content").check()
        page.get_by_role("button", name="Show the plan").last.click()
        page.get_by_text("No database is touched.").wait_for()
        begin(page, "blog")
        wait_for_end(page)
        assert compare_trees(blog.copy / "wp-content", blog.root / "wp-content").differences == []
        shutil.copytree(blog.copy / "wp-content", changed / "wp-content")
        shutil.copystat(blog.root, changed)
        assert compare_trees(changed, blog.root).differences == []
        page.goto(f"/backups/{blog.number}/restore")
        page.get_by_label("To another folder").check()
        page.get_by_label("Folder on this machine").fill(str(tmp_path / "new"))
        page.get_by_label("Another database").check()
        page.get_by_role("textbox", name="Host", exact=True).fill(second.socket or second.host)
        page.get_by_label("Name of the database").fill(second.name)
        page.get_by_role("textbox", name="User", exact=True).fill("nobody-at-all")
        page.get_by_label("Password of the database").fill("not-the-password")
        page.get_by_role("button", name="Test this database").click()
        assert page.get_by_role("alert").count() == 2
        assert "not-the-password" not in page.content()
        page.get_by_role("textbox", name="User", exact=True).fill(second.user)
        page.get_by_label("Password of the database").fill(second.password)
        page.get_by_label("Prefix of the tables").fill("new_")
        page.get_by_label("New address of the site").fill("https://new.example")
        page.get_by_role("button", name="Show the plan").last.click()
        page.get_by_text("becomes https://new.example").wait_for()
        begin(page, "new.example")
        wait_for_end(page)
    rows = blog.server.execute("SELECT option_name, option_value FROM new_options", second.name)
    options = {str(name): str(value) for name, value in rows}
    blog.server.drop(second.name)
    assert options["siteurl"] == options["home"] == "https://new.example"
    assert f"'{second.name}'" in (tmp_path / "new/wp-config.php").read_text()
    assert blog.tables() == tables


def test_a_restore_whose_process_is_killed_is_finished_from_the_page(
    browser: Browser, served: PageServer, mysql_server: MySQLServer, opened: Installation, tmp_path: Path
) -> None:
    address = mysql_server.create(f"backstay_test_page_long_{os.getpid()}")
    root = tmp_path / "long"
    make_wordpress(root, mysql_server, address)
    mysql_server.execute("CREATE TABLE wp_long AS SELECT seq, REPEAT('x', 60) t FROM seq_1_to_400000", address.name)
    site = Site(root, mysql_server, address.name, take(opened, root, "").id, tmp_path / "copy")
    site.copy_tree("copy")
    mysql_server.execute("DELETE FROM wp_long", address.name)
    (root / "added.txt").write_text("since")
    with open_page(browser, served, Role.ADMINISTRATOR) as page:
        page.goto(f"/backups/{site.number}/restore")
        page.get_by_role("button", name="Show the plan").last.click()
        begin(page, "long")
        page.wait_for_url("**/tasks/*")
        kill(opened, int(page.url.rpartition("/")[2]))
        (pending,) = [one for one in pending_restores(opened) if one.target == str(root)]
        assert (root / "added.txt").exists()
        # The page notices the death and loads itself anew, which another page must not be asked for meanwhile.
        page.locator("[data-live]").wait_for(state="detached", timeout=PATIENCE)
        page.goto("/restores")
        page.get_by_role("link", name=str(root)).click()
        page.get_by_text("It did not come to its end. Nothing was replaced yet.").wait_for()
        assert faults(page) == []
        page.get_by_role("button", name="Go on with it").click()
        wait_for_end(page).click()
        assert compare_trees(site.copy, root).differences == []
        assert mysql_server.execute("SELECT COUNT(*) FROM wp_long", address.name)[0][0] == 400_000
        assert pending.name in page.url
        page.get_by_role("button", name="Confirm it").click()
        page.get_by_text("is confirmed").wait_for(timeout=PATIENCE)
    mysql_server.drop(address.name)


def kill(installation: Installation, task_id: int) -> None:
    """Kill the process of a task when it has begun to work, and wait until it is gone."""
    until = time.monotonic() + PATIENCE / 1000
    while task_progress(installation, task_id) is None:
        assert time.monotonic() < until
        time.sleep(0.005)
    folder = installation.home.task(task_id)
    number = lock.process_number(folder)
    assert number is not None
    os.kill(number, signal.SIGKILL)
    while lock.is_alive(folder) or any(one.running for one in pending_restores(installation)):
        assert time.monotonic() < until
        time.sleep(0.01)
