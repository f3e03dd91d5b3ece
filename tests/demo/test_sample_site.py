from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from backstay.demo.compare import compare_trees, walk
from backstay.demo.sample_site import EARLIEST_TIME, LATEST_TIME, NAME_THAT_IS_NOT_UTF8, make_sample_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sample") / "site"
    make_sample_site(root)
    return root


def test_the_sample_site_has_some_hundreds_of_files_of_every_kind(site: Path) -> None:
    entries = [(site / path).lstat() for path, _ in walk(site)]
    files = [entry for entry in entries if stat.S_ISREG(entry.st_mode)]
    assert len(files) > 400
    assert any(stat.S_ISLNK(entry.st_mode) for entry in entries)
    assert {entry.st_size for entry in files} > {0, 1, 65_536, 1_048_575, 1_048_576, 1_048_577}
    assert {stat.S_IMODE(entry.st_mode) for entry in files} >= {0o400, 0o444, 0o600, 0o755}
    assert {int(entry.st_mtime) for entry in entries} >= {EARLIEST_TIME, LATEST_TIME}


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses names that are not UTF-8")
def test_the_sample_site_has_a_name_that_is_not_utf8(site: Path) -> None:
    assert b"caf\xe9" in os.fsencode(NAME_THAT_IS_NOT_UTF8)
    assert (site / "names" / NAME_THAT_IS_NOT_UTF8).is_file()


def test_the_sample_site_has_links_that_lead_to_nothing(site: Path) -> None:
    assert not (site / "links" / "to nowhere").exists()
    assert (site / "links" / "away").readlink().is_absolute()


def test_the_same_seed_gives_the_same_site(site: Path, tmp_path: Path) -> None:
    make_sample_site(tmp_path / "again")
    assert compare_trees(site, tmp_path / "again").differences == []


def test_another_seed_gives_another_site(site: Path, tmp_path: Path) -> None:
    make_sample_site(tmp_path / "other", seed=2)
    assert len(compare_trees(site, tmp_path / "other").differences) > 100


def test_the_sample_site_is_made_under_a_strict_umask_and_locale(site: Path, tmp_path: Path) -> None:
    program = "import sys, pathlib, backstay.demo.sample_site as s; s.make_sample_site(pathlib.Path(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-c", program, tmp_path / "site"],
        check=True,
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
        umask=0o077,
    )
    made = [path for path, _ in walk(tmp_path / "site")]
    assert made == [path for path, _ in walk(site)]
