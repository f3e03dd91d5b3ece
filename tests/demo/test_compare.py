from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from backstay.demo.compare import Comparison, Difference, compare_trees
from backstay.demo.live_database import in_use, make_database


def make_tree(root: Path) -> Path:
    (root / "folder" / "empty").mkdir(parents=True)
    (root / "page.html").write_bytes(b"words")
    (root / "folder" / "image.png").write_bytes(bytes(3_000_000))
    (root / "link").symlink_to("page.html")
    for path in ("page.html", "folder/image.png", "link", "folder/empty", "folder", "."):
        os.utime(root / path, (1_700_000_000, 1_700_000_000), follow_symlinks=False)
    return root


def set_time(path: Path, seconds: int) -> None:
    os.utime(path, (seconds, seconds), follow_symlinks=False)


def replace_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")
    set_time(path, 1_700_000_000)


def change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[2_500_000] = 1
    path.write_bytes(content)
    set_time(path, 1_700_000_000)


def compare_inside(one: Path, two: Path) -> Comparison:
    """Compare two trees whose roots may have been changed by the test: their times are made the same first."""
    for root in (one, two):
        set_time(root, 1_700_000_000)
    return compare_trees(one, two)


def test_trees_that_are_the_same_have_no_differences(tmp_path: Path) -> None:
    comparison = compare_inside(make_tree(tmp_path / "one"), make_tree(tmp_path / "two"))
    assert comparison.identical
    assert (comparison.directories, comparison.files, comparison.links, comparison.bytes) == (2, 2, 1, 3_000_005)


def test_fractions_of_a_second_are_not_compared(tmp_path: Path) -> None:
    one, two = make_tree(tmp_path / "one"), make_tree(tmp_path / "two")
    os.utime(two / "page.html", ns=(1_700_000_000_999_999_999, 1_700_000_000_999_999_999))
    assert compare_inside(one, two).identical


@pytest.mark.parametrize(
    ("path", "spoil", "message"),
    [
        ("page.html", Path.unlink, "is missing"),
        ("page.html", lambda path: path.chmod(0o600), "has mode 0600, not 0644"),
        ("page.html", lambda path: set_time(path, 1), "has the modification time 1, not 1700000000"),
        ("link", lambda path: set_time(path, 1), "has the modification time 1, not 1700000000"),
        ("folder", lambda path: set_time(path, 1), "has the modification time 1, not 1700000000"),
        ("folder", lambda path: path.chmod(0o700), "has mode 0700, not 0755"),
        (".", lambda path: path.chmod(0o700), "has mode 0700, not 0755"),
        (".", lambda path: set_time(path, 1), "has the modification time 1, not 1700000000"),
        ("folder/image.png", change_a_byte, "has other bytes between 2097152 and 3000000"),
        ("link", replace_link, "leads to 'elsewhere', not 'page.html'"),
    ],
)
def test_each_kind_of_difference_is_found(
    tmp_path: Path, path: str, spoil: Callable[[Path], None], message: str
) -> None:
    one, two = make_tree(tmp_path / "one"), make_tree(tmp_path / "two")
    for name in ("page.html", "folder/image.png"):
        (one / name).chmod(0o644)
        (two / name).chmod(0o644)
    for root in (one, two):
        (root / "folder").chmod(0o755)
        root.chmod(0o755)
    spoil(two / path)
    if path != ".":
        set_time(two, 1_700_000_000)
    assert compare_trees(one, two).differences == [Difference(path, message)]


def test_a_file_of_another_kind_and_one_too_many_are_found(tmp_path: Path) -> None:
    one, two = make_tree(tmp_path / "one"), make_tree(tmp_path / "two")
    (two / "page.html").unlink()
    (two / "page.html").mkdir()
    (two / "new").write_bytes(b"")
    assert compare_inside(one, two).differences == [
        Difference("page.html", "is a directory, not a file"),
        Difference("new", "is a file too many"),
    ]


def test_a_difference_shows_on_any_terminal() -> None:
    assert str(Difference("new\nline\udce9", "is missing")) == "new\\nline\\udce9: is missing"


def test_a_pipe_is_passed_over_and_counted(tmp_path: Path) -> None:
    one, two = make_tree(tmp_path / "one"), make_tree(tmp_path / "two")
    os.mkfifo(one / "pipe")
    comparison = compare_inside(one, two)
    assert comparison.identical
    assert comparison.others == 1


def online_copy(source: Path, copy: Path) -> None:
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(copy)) as destination:
        original.backup(destination)
    shutil.copystat(source, copy)


@pytest.fixture
def databases(tmp_path: Path) -> tuple[Path, Path]:
    """Give two folders, each with a database of the same content."""
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    make_database(folders[0] / "site.db", rows=200)
    online_copy(folders[0] / "site.db", folders[1] / "site.db")
    return folders


def test_a_consistent_copy_of_a_database_in_use_is_the_same(databases: tuple[Path, Path]) -> None:
    one, two = databases
    with in_use(one / "site.db"):
        online_copy(one / "site.db", two / "site.db")
        assert (one / "site.db").read_bytes() != (two / "site.db").read_bytes()
        comparison = compare_inside(one, two)
    assert comparison.differences == []
    assert (comparison.files, comparison.databases) == (1, 1)
    assert comparison.rows > 400


def test_a_plain_copy_of_a_database_in_use_loses_rows(databases: tuple[Path, Path]) -> None:
    one, two = databases
    with in_use(one / "site.db"):
        (two / "site.db").unlink()
        shutil.copy2(one / "site.db", two / "site.db")
        found = [difference.message for difference in compare_inside(one, two).differences]
    assert any("table history" in message for message in found)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM visit WHERE number = 1", "table visit has 199 rows, not 200"),
        ("UPDATE article SET anything = '1' WHERE id = 4", "table article has other rows"),
        ("UPDATE setting SET value = CAST('' AS BLOB) WHERE value = '' AND typeof(value) = 'text'", "table setting"),
        ("DROP VIEW dear_article", "view dear_article is missing or different"),
        ("CREATE TABLE more (x)", "table more is new"),
        ("PRAGMA user_version = 7", "user_version is 7, not 42"),
    ],
)
def test_each_difference_of_two_databases_is_found(databases: tuple[Path, Path], statement: str, message: str) -> None:
    one, two = databases
    with closing(sqlite3.connect(two / "site.db", isolation_level=None)) as connection:
        connection.execute(statement)
    shutil.copystat(one / "site.db", two / "site.db")
    (found,) = compare_inside(one, two).differences
    assert found.message.startswith(message)


def test_a_damaged_database_is_found(databases: tuple[Path, Path]) -> None:
    one, two = databases
    content = (two / "site.db").read_bytes()
    (two / "site.db").write_bytes(content[:8192] + bytes(8192) + content[16384:])
    shutil.copystat(one / "site.db", two / "site.db")
    assert compare_inside(one, two).differences


def test_a_file_that_only_starts_like_a_database_is_compared_by_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x").write_bytes(b"SQLite format 3\0" + folder.encode())
        set_time(tmp_path / folder / "x", 5)
    assert compare_inside(tmp_path / "one", tmp_path / "two").differences == [
        Difference("x", "has other bytes between 0 and 19")
    ]


def test_comparing_leaves_no_trace(databases: tuple[Path, Path]) -> None:
    one, two = databases
    before = [(path, path.stat().st_mtime_ns) for path in (one, two, one / "site.db", two / "site.db")]
    compare_trees(one, two)
    assert [(path, path.stat().st_mtime_ns) for path, _ in before] == before
    assert [path.name for path in one.iterdir()] == ["site.db"]
