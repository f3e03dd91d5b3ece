"""What changes places on disk can be stopped after any step, finished, or taken back."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from backstay.restore import slots
from backstay.restore.slots import Slots


class _Stopped(Exception):  # noqa: N818 - stands for the death of the process
    pass


def tree(folder: Path) -> dict[str, str]:
    """Return every path below a folder, with the content of files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = str(path.readlink()) if path.is_symlink() else "/" if path.is_dir() else path.read_text()
    return found


def make(folder: Path, content: dict[str, str]) -> None:
    """Make a tree; a content of '/' is a folder."""
    for name, text in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text == "/":
            path.mkdir()
        else:
            path.write_text(text)


OLD = {"a.txt": "old a", "both/x": "old x", "both/kept": "kept", "file-to-folder": "f", "folder-to-file/y": "y",
       "gone": "only old"}  # fmt: skip
NEW = {"a.txt": "new a", "both/x": "new x", "both/added/z": "z", "file-to-folder/w": "w", "folder-to-file": "g",
       "fresh": "only new"}  # fmt: skip


def places(base: Path, kind: str) -> tuple[Path, Slots]:
    """Lay out a swap of one of the three kinds, with the old and new content."""
    target = base / "site"
    target.mkdir()
    make(target, OLD)
    if kind == "whole":
        make(base / "new" / "site", NEW)
        return target, slots.whole(target, base / "new", base / "old")
    if kind == "content":
        make(target / ".apart" / "new", NEW)
        return target, slots.content(target, target / ".apart" / "new", target / ".apart" / "old", hidden=".apart")
    make(base / "new", NEW)
    return target, slots.merged(target, base / "new", base / "old")


def content_of(target: Path) -> dict[str, str]:
    return {name: text for name, text in tree(target).items() if not name.startswith(".apart")}


@pytest.mark.parametrize("kind", ["whole", "content", "merged"])
def test_a_swap_that_stops_after_any_step_is_finished_or_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    real = os.rename
    stopped = True
    for number, undo in itertools.product(range(30), (False, True)):
        base = tmp_path / f"{number}-{undo}"
        base.mkdir()
        target, swap = places(base, kind)
        before = content_of(target)
        left = number

        def rename(source: str, destination: str) -> None:
            nonlocal left
            if not left:
                raise _Stopped
            left -= 1
            real(source, destination)

        stopped = True
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", rename)
            try:
                swap.swap()
                stopped = False
            except _Stopped:
                pass
        again = Slots.from_json(swap.to_json())
        if undo:
            again.undo()
            again.undo()
            assert content_of(target) == before
        else:
            again.swap()
            again.swap()
            expected = NEW if kind != "merged" else NEW | {"both/kept": "kept", "gone": "only old"}
            assert {k: v for k, v in content_of(target).items() if v != "/"} == expected
        if not stopped:
            break
    assert not stopped


def test_slots_are_what_changes_in_order(tmp_path: Path) -> None:
    found = {}
    for kind in ("whole", "content", "merged"):
        (tmp_path / kind).mkdir()
        found[kind] = [(slot.path, slot.had_old, slot.has_new) for slot in places(tmp_path / kind, kind)[1].slots]
    assert found == {
        "whole": [("site", True, True)],
        "content": [("a.txt", True, True), ("both", True, True), ("file-to-folder", True, True),
                    ("folder-to-file", True, True), ("fresh", False, True), ("gone", True, False)],
        "merged": [("a.txt", True, True), ("both/added", False, True), ("both/x", True, True),
                   ("file-to-folder", True, True), ("folder-to-file", True, True), ("fresh", False, True)],
    }  # fmt: skip


def test_folders_are_merged_and_links_to_folders_are_not(tmp_path: Path) -> None:
    make(tmp_path / "site", {"a/x": "old", "b/x": "old", "elsewhere/x": "kept"})
    make(tmp_path / "new", {"a/x": "new"})
    (tmp_path / "site" / "c").symlink_to("elsewhere")
    make(tmp_path / "new", {"c/x": "new"})
    (tmp_path / "new" / "b").symlink_to("a")
    swap = slots.merged(tmp_path / "site", tmp_path / "new", tmp_path / "old")
    assert [slot.path for slot in swap.slots] == ["a/x", "b", "c"]
    swap.swap()
    assert tree(tmp_path / "site") == {
        "a": "/", "a/x": "new", "b": "a", "c": "/", "c/x": "new", "elsewhere": "/", "elsewhere/x": "kept",
    }  # fmt: skip


def test_an_undo_after_the_new_files_are_gone_touches_nothing(tmp_path: Path) -> None:
    target, swap = places(tmp_path, "whole")
    before = content_of(target)
    swap.swap()
    swap.undo()
    for path in sorted((tmp_path / "new").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    swap.undo()
    assert content_of(target) == before
