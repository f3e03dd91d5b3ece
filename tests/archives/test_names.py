"""Which paths may be written beneath a folder, stored in an archive, or shown to a person."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.archives.names import (
    LONGEST_PATH,
    folded,
    path_bytes,
    shown,
    why_not_storable,
    why_odd,
    why_unsafe,
)

OUT, EMPTY_STEP = "has a path that leads out of its folder", "has a path with an empty step in it"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "has no name"),
        ("a\0b", "has a name with a NUL byte in it"),
        ("\0", "has a name with a NUL byte in it"),
        ("/", "has an absolute path"),
        ("/a", "has an absolute path"),
        ("..", OUT),
        ("../a", OUT),
        ("a/..", OUT),
        ("a/../b", OUT),
        ("a/../..", OUT),
        (".", EMPTY_STEP),
        ("./a", EMPTY_STEP),
        ("a/.", EMPTY_STEP),
        ("a/./b", EMPTY_STEP),
        ("a//b", EMPTY_STEP),
        ("a/", EMPTY_STEP),
        ("a", None),
        ("a/b", None),
        ("a.", None),
        ("a./b", None),
        ("a../b", None),
        ("..a/b", None),
        (".htaccess", None),
        ("a/...", None),
        ("a\\..\\b", None),
        ("caf\udce9", None),
    ],
)
def test_paths_that_must_not_be_written(path: str, reason: str | None) -> None:
    assert why_unsafe(path) == reason
    assert why_not_storable(path) == reason


@given(st.lists(st.sampled_from([".", "..", "", "a", "a.", ".a", "..a", "\0", "b\\"]), max_size=5).map("/".join))
def test_a_safe_path_is_below_its_folder_step_by_step(path: str) -> None:
    steps = path.split("/")
    assert (why_unsafe(path) is None) == ("\0" not in path and not {"", ".", ".."} & set(steps))
    if why_unsafe(path) is None:
        assert PurePosixPath(path).parts == tuple(steps)


def test_paths_that_no_archive_can_hold() -> None:
    assert why_not_storable("é" * (LONGEST_PATH // 2)) is None
    assert why_not_storable("é" * (LONGEST_PATH // 2) + "a") == "has a path of more than 65000 bytes"
    assert why_not_storable("a\ud800") == "has a name that is no text and no bytes"
    assert path_bytes("é\udce9") == b"\xc3\xa9\xe9"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("C:", "looks like a path on a Windows drive"),
        ("z:a/b", "looks like a path on a Windows drive"),
        ("\\a", "looks like a Windows path that leads out of its folder"),
        ("..\\a", "looks like a Windows path that leads out of its folder"),
        ("a/b\\..", "looks like a Windows path that leads out of its folder"),
        ("a\\..\\..\\b", "looks like a Windows path that leads out of its folder"),
        ("a\\b", None),
        ("a\\..b", None),
        ("a\\b/c", None),
        ("1:a", None),
        ("ab:c", None),
        ("../a", None),
    ],
)
def test_paths_that_another_system_would_read_otherwise(path: str, reason: str | None) -> None:
    assert why_odd(path) == reason


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a/é ☃", "a/é ☃"),
        ("caf\udce9", "caf\\xe9"),
        ("a\n\x1b[2J", "a\\n\\x1b[2J"),
        ("\u202e", "\\u202e"),
        ("a\ud800", "'a\\ud800'"),
    ],
)
def test_what_is_shown_moves_no_cursor(path: str, text: str) -> None:
    assert shown(path) == text


def test_names_that_a_file_system_may_take_for_the_same() -> None:
    assert folded("CAFÉ/Straße") == folded("cafe\N{COMBINING ACUTE ACCENT}/STRASSE") == "café/strasse"
    assert folded("\N{GREEK SMALL LETTER ALPHA WITH PSILI}") != folded("α")
    # Folding the case of a composed letter may leave another one than composing the folded letters.
    assert folded("\u1f8c") == folded("\u1f84") == folded("\u1f04\u03b9")
