"""What a profile leaves out, by clicking through its real tree and tables."""

from __future__ import annotations

import json
import os
import re
import threading
from html import unescape
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from backstay.databases import DatabaseAddress
from backstay.databases.mysql.connection import connect
from backstay.jobs.file_filters import list_folder, set_file_filter
from backstay.jobs.folder_sizes import SizeCache, count_tree
from backstay.jobs.profiles import edit_profile
from backstay.jobs.users import Role
from support.commands import backstay
from web.browser import TELEPHONE, PageServer, faults, open_page
from web.driving import Visitor

HOSTILE = "<img src=x onerror=alert(1)>\u202e\x1b[31m"
SITE = "[SITEROOT]"


def make_site(root: Path) -> Path:
    """Make a WordPress-shaped site with names of every sort."""
    for path, size in {
        "wp-config.php": 100,
        "wp-includes/version.php": 10,
        "wp-content/uploads/a.jpg": 3000,
        "wp-content/uploads/2024/b.jpg": 5000,
        "wp-content/cache/page.html": 700,
        "wp-content/plugins/p.php": 50,
        f"{HOSTILE}/x.txt": 7,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x" * size)
    (root / "wp-includes/version.php").write_text("<?php $wp_version = '6.5';")
    with open(os.fsencode(root) + b"/caf\xe9.txt", "wb") as file:  # noqa: PTH123 - a name that is not UTF-8
        file.write(b"12345")
    return root


@pytest.fixture
def admin(visitor: Visitor, tmp_path: Path) -> Visitor:
    edit_profile(visitor.installation, 1, values={"akeeba.platform.newroot": str(make_site(tmp_path / "site"))})
    return visitor.signed_in(Role.ADMINISTRATOR)


def click(visitor: Visitor, text: str, path: str = "") -> str:
    """Press the button with a text (what only screen readers hear included) and return the page that follows."""
    page = visitor.get(path or "/profiles/1/filters").text
    for form in re.findall(r"<form method=\"post\".*?</form>", page, re.DOTALL):
        for value, inner in re.findall(r'<button[^>]*name="change" value="([^"]*)">(.*?)</button>', form, re.DOTALL):
            if unescape(re.sub("<[^>]*>", "", inner)).strip() == text:
                fields = {
                    name: unescape(content)
                    for name, content in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
                }
                answer = visitor.client.post("/profiles/1/filters", data={**fields, "change": unescape(value)})
                assert answer.status_code == 200, answer.text
                return answer.text
    raise AssertionError(f"no button {text!r}")


def nodes(visitor: Visitor, name: str, root: str = SITE) -> tuple[str, ...]:
    return visitor.installation.catalogue.profiles.get(1).filters.nodes(name, root)


def test_a_folder_shows_sizes_and_what_is_left_out_already(admin: Visitor) -> None:
    page = admin.get("/profiles/1/filters?path=wp-content").text
    assert "7.8 KiB" in page
    assert "what is in it is left out by default on this platform" in re.sub(r"\s+", " ", page)
    assert "Leave out its files (saves 2.9 KiB)" in page
    assert "Leave out its folders (saves 4.9 KiB)" in page


def test_folders_files_and_contents_are_left_out_and_taken_in_by_a_click(admin: Visitor) -> None:
    page = click(admin, "Leave out uploads", "/profiles/1/filters?path=wp-content")
    assert nodes(admin, "directories") == ("wp-content/uploads",)
    assert "by this profile" in page
    assert "Nothing of this folder is in the backup" in admin.get("/profiles/1/filters?path=wp-content/uploads").text
    click(admin, "Take in uploads", "/profiles/1/filters?path=wp-content")
    assert nodes(admin, "directories") == ()
    click(admin, "Keep it empty (saves 50 B)", "/profiles/1/filters?path=wp-content")
    assert (nodes(admin, "skipdirs"), nodes(admin, "skipfiles")) == (("wp-content/plugins",), ("wp-content/plugins",))
    click(admin, "Leave out wp-config.php")
    assert nodes(admin, "files") == ("wp-config.php",)
    click(admin, "Take in again wp-config.php")
    assert nodes(admin, "files") == ()


def test_names_of_any_bytes_pass_through_and_are_never_markup(admin: Visitor) -> None:
    page = admin.get("/profiles/1/filters").text
    assert "<img" not in page.replace('<img src="/static', "")
    assert "\u202e" not in page
    assert "\x1b" not in page
    click(admin, "Leave out <img src=x onerror=alert(1)>\\u202e\\x1b[31m")
    click(admin, "Leave out caf\\udce9.txt")
    assert nodes(admin, "directories") == (HOSTILE,)
    assert nodes(admin, "files") == ("caf\udce9.txt",)
    profile = admin.installation.catalogue.profiles.get(1)
    found = {one.name: one.left_out for one in list_folder(profile, SITE, "").entries}
    assert found[HOSTILE] is not None
    assert found["caf\udce9.txt"] is not None


@pytest.mark.parametrize("path", ["../", "wp-content/../../etc", "%00", "nothing"])
def test_a_path_that_leads_out_of_the_site_or_nowhere_is_refused(admin: Visitor, path: str) -> None:
    page = admin.get(f"/profiles/1/filters?path={path}").text
    assert 'class="problem"' in page
    assert "passwd" not in page


def test_expressions_and_folders_outside_the_site_are_added_and_removed(admin: Visitor, tmp_path: Path) -> None:
    base = "/profiles/1/filters"
    added = admin.post(f"{base}/expressions", {"kind": "regexfiles", "expression": r"#\.jpg$#"}, form_at=base)
    assert "The expression is added." in added.text
    assert r"by the expression <code>#\.jpg$#</code>" in admin.get(f"{base}?path=wp-content/uploads").text
    wrong = admin.post(f"{base}/expressions", {"kind": "regexfiles", "expression": "jpg"}, form_at=base)
    assert "not a regular expression between delimiters" in wrong.text
    click(admin, r"Take in again #\.jpg$#")
    assert nodes(admin, "regexfiles") == ()
    media = tmp_path / "media"
    media.mkdir()
    (media / "film.mp4").write_bytes(b"x" * 2048)
    assert "Give the absolute path" in admin.post(f"{base}/folders", {"path": "media"}, form_at=base).text
    assert str(media) in admin.post(f"{base}/folders", {"path": str(media), "as": "films"}, form_at=base).text
    (key, folder) = next(iter(admin.installation.catalogue.profiles.get(1).filters.extra_directories.items()))
    assert folder.virtual_folder == "films"
    assert "film.mp4" in admin.get(f"{base}?root={key}").text
    admin.post(f"{base}/folders/remove", {"key": key}, form_at=base)
    assert admin.installation.catalogue.profiles.get(1).filters.extra_directories == {}


def test_tables_show_rows_and_sizes_and_are_left_out_by_a_click(
    admin: Visitor, mysql_database: DatabaseAddress
) -> None:
    with connect(mysql_database) as connection:
        connection.execute("CREATE TABLE wp_posts (id INT PRIMARY KEY)")
        connection.execute("CREATE TABLE wp_log (id INT PRIMARY KEY)")
        connection.execute("INSERT INTO wp_posts VALUES (1), (2)")
        connection.execute("CREATE TABLE `wp_<b>x` (id INT PRIMARY KEY)")
    url = mysql_database.url() if callable(getattr(mysql_database, "url", None)) else str(mysql_database)
    edit_profile(admin.installation, 1, values={"backstay.site.database": url})
    path = "/profiles/1/filters/tables"
    page = admin.get(path).text
    assert "wp_posts" in page
    assert "<b>x" not in page
    click(admin, "Leave out wp_log", path)
    assert nodes(admin, "tables", "[SITEDB]") == ("wp_log",)
    assert "left out" in click(admin, "Leave out wp_<b>x", path)
    click(admin, "Take in wp_log", path)
    assert nodes(admin, "tables", "[SITEDB]") == ("wp_<b>x",)


def test_a_database_that_does_not_answer_is_a_sentence_on_the_page(admin: Visitor) -> None:
    edit_profile(admin.installation, 1, values={"backstay.site.database": "mysql://u:Geheim1@127.0.0.1:1/x"})
    page = admin.get("/profiles/1/filters/tables")
    assert page.status_code == 200
    assert 'class="problem"' in page.text
    assert "Geheim1" not in page.text
    edit_profile(admin.installation, 1, values={"backstay.site.database": "none"})
    assert "has no database" in admin.get("/profiles/1/filters/tables").text


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_may_not_change_filters_reads_them(admin: Visitor, role: Role) -> None:
    set_file_filter(admin.installation, 1, SITE, ["files"], "wp-config.php", present=True)
    page = admin.signed_in(role).get("/profiles/1/filters").text
    assert "by this profile" in page
    assert 'name="change"' not in page
    assert "expressions" not in page


def test_the_sizes_of_a_tree_are_counted_once_and_within_a_bound(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    (root / "loop").symlink_to(root)
    sizes = count_tree(root)
    assert sizes.of["wp-content/uploads"].total == 8000
    assert sizes.of["wp-content/uploads"].in_files == 3000
    assert sizes.of[""].files == 9
    assert sizes.is_whole
    moments = iter(range(100))
    short = count_tree(root, lambda: float(next(moments)), seconds=2.5)
    assert not short.is_whole
    assert 0 < len(short.of) < len(sizes.of)
    cache = SizeCache()
    found = [cache.sizes(root, patience=30) for _again in range(2)]
    assert found[0] is found[1]
    assert cache.sizes(root, patience=30, anew=True) is not found[0]


def test_two_people_who_click_at_once_both_count(admin: Visitor) -> None:
    def leave_out(number: int) -> None:
        set_file_filter(admin.installation, 1, SITE, ["files"], f"{number}.txt", present=True)

    threads = [threading.Thread(target=leave_out, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(nodes(admin, "files")) == [f"{number}.txt" for number in range(8)]


@pytest.mark.usefixtures("home")
def test_commands_list_and_change_what_is_left_out(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")

    def run(*arguments: str, code: int = 0) -> str:
        done = backstay("profile", *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    look = json.loads(run("look", str(root), "--json"))
    assert (look["kind"], look["version"]) == ("wordpress", "6.5")
    run("set", "1", "root", str(root))
    assert "no setting" in run("set", "1", "rooot", str(root), code=2)
    changed = json.loads(run("settings", "1", "--changed", "--json"))
    assert [(one["name"], one["value"]) for one in changed] == [("root", str(root))]
    run("exclude", "1", "wp-content/uploads")
    run("exclude", "1", "#__log", "--kind", "tabledata")
    assert "--kind is one of" in run("exclude", "1", "x", "--kind", "nonsense", code=2)
    listed = json.loads(run("filters", "1", "--json"))["left_out"]
    assert {(one["kind"], one["node"]) for one in listed} == {
        ("directories", "wp-content/uploads"),
        ("tabledata", "#__log"),
    }
    tree = {one["name"]: one for one in json.loads(run("tree", "1", "wp-content", "--json"))}
    assert (tree["uploads"]["size"], tree["uploads"]["left_out"]) == (8000, {"by": "profile", "filter": "directories"})
    assert tree["cache"]["filters"] == ["skipdirs", "skipfiles"]
    run("include", "1", "wp-content/uploads")
    key = run("add-folder", "1", "/srv/media").rstrip(".\n").rpartition(" ")[2]
    assert "/srv/media" in run("filters", "1")
    run("remove-folder", "1", key)
    assert json.loads(run("filters", "1", "--json"))["folders"] == []
    assert json.loads(run("copy", "1", "--name", "Two", "--json")) == {"id": 2, "name": "Two"}


@pytest.mark.parametrize(
    ("size", "scripts"),
    [
        (None, True),
        (TELEPHONE, False),
        pytest.param(None, False, marks=pytest.mark.slow),
        pytest.param(TELEPHONE, True, marks=pytest.mark.slow),
    ],
)
def test_filters_are_set_in_a_browser(
    browser: Browser, served: PageServer, tmp_path: Path, size: dict[str, int] | None, *, scripts: bool
) -> None:
    served.backstay("profile", "edit", "1", "--root", str(make_site(tmp_path / "site")), "--database", "none")
    options = {"size": size} if size else {}
    with open_page(browser, served, Role.ADMINISTRATOR, scripts=scripts, **options) as page:
        page.goto("/profiles/1/filters")
        page.get_by_role("link", name="wp-content/").click()
        page.get_by_role("heading", name="Set by hand").wait_for()
        if scripts:
            assert faults(page) == []
        page.get_by_role("button", name="Leave out uploads").click()
        page.get_by_text("wp-content/uploads is left out.").wait_for()
        page.get_by_role("button", name="Take in uploads").click()
        page.get_by_text("is no longer left out.").wait_for()
        page.get_by_role("link", name="Tables").click()
        page.get_by_text("has no database").wait_for()
        if scripts:
            assert faults(page) == []
