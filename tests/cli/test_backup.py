"""Backups from the command line, as a person takes them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backstay.demo.compare import compare_trees
from backstay.errors import UsageError
from backstay.jobs.sizes import parse_size
from support.backups import make_files
from support.commands import backstay

BACKSTAY = [sys.executable, "-m", "backstay"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site of files."""
    return make_files(tmp_path / "site")


def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own."""
    done = backstay(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.usefixtures("home")
def test_a_site_is_backed_up_listed_shown_verified_and_restored(site: Path, tmp_path: Path) -> None:
    backup = json.loads(run("backup", str(site), "--json").stdout)
    assert backup["status"] == "complete"
    assert backup["warnings"] == []
    assert Path(backup["archive"]).stat().st_size == backup["size"]
    (listed,) = json.loads(run("list", "--json").stdout)
    assert (listed["id"], listed["meta"], listed["size"]) == (backup["id"], "ok", backup["size"])
    shown = json.loads(run("show", "1", "--json").stdout)
    assert shown["filenames"] == [{"part": 1, "name": Path(backup["archive"]).name, "size": backup["size"]}]
    assert json.loads(run("verify", "1", "--json").stdout)["ok"] is True
    assert "The backup is complete" in run("log", "1").stdout
    run("restore", "1", "--to", str(tmp_path / "back"), "--json")
    assert compare_trees(site, tmp_path / "back").differences == []


@pytest.mark.usefixtures("home")
def test_what_a_person_reads_names_the_archive_and_says_that_it_was_proven(site: Path) -> None:
    reported = run("backup", str(site), "--description", "Before the update")
    assert "Backup 1 is complete: read back from the disk" in reported.stdout
    assert "Before the update" in run("list").stdout
    assert "Part 1: " in run("show", "1").stdout
    assert "Backup 1 is good" in run("verify", "1").stdout


@pytest.mark.usefixtures("home")
def test_a_second_backup_of_the_same_folder_uses_the_same_profile(site: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(site)
    first = json.loads(run("backup", str(site), "--json").stdout)
    second = json.loads(run("backup", str(tmp_path / "link"), "--json").stdout)
    assert first["profile"] == second["profile"] != 1


@pytest.mark.usefixtures("home")
def test_names_that_are_not_utf8_are_no_trouble(tmp_path: Path) -> None:
    site = make_files(tmp_path / os.fsdecode(b"caf\xe9"))
    backup = json.loads(run("backup", str(site), "--description", os.fsdecode(b"\xff"), "--json").stdout)
    assert backup["status"] == "complete"
    assert "\\udcff" in run("list").stdout
    assert "\\udce9" in run("profile", "list").stdout
    run("restore", "1", "--to", str(tmp_path / "back"), "--json", "--yes")
    assert compare_trees(site, tmp_path / "back").differences == []


@pytest.mark.usefixtures("home")
def test_archives_do_not_go_to_the_sites_own_folder(site: Path) -> None:
    assert "choose another output folder" in run("backup", str(site), "--output", str(site), code=9).stderr
    assert not list(site.glob("*.jpa"))


@pytest.mark.usefixtures("home")
def test_a_dry_run_counts_and_takes_nothing(site: Path) -> None:
    counted = json.loads(run("backup", str(site), "--exclude", "*.txt", "--dry-run", "--json").stdout)
    assert counted["files"] == 1
    assert counted["excluded"] == {"exclude": 40}
    assert json.loads(run("list", "--json").stdout) == []


@pytest.mark.usefixtures("home")
def test_a_frozen_backup_cannot_be_deleted_until_it_is_free_again(site: Path) -> None:
    run("backup", str(site), "--json")
    run("freeze", "1")
    assert "freeze 1 --off" in run("delete", "1", code=2).stderr
    run("freeze", "1", "--off")
    run("delete", "1", "--files-only")
    (listed,) = json.loads(run("list", "--json").stdout)
    assert listed["meta"] == "obsolete"
    run("delete", "1")
    assert json.loads(run("list", "--json").stdout) == []


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["backup", "/nowhere/at/all"], 3, "The site's folder /nowhere/at/all is not there"),
        (["backup"], 2, "Give the folder of a site, or --profile"),
        (["backup", "/"], 9, "root of the whole file system"),
        (["backup", "--profile", "1"], 9, "Profile 1 has no site yet"),
        (["backup", "--profile", "9"], 3, "There is no backup profile 9"),
        (["backup", "--resume", "9"], 3, "There is no backup 9"),
        (["show", "9"], 3, "There is no backup 9"),
        (["log", "9"], 3, "There is no backup 9"),
        (["delete", "9"], 3, "There is no backup 9"),
        (["verify", "9"], 3, "There is no backup 9"),
        (["restore", "9", "--to", "x"], 3, "There is no backup 9"),
        (["restore", "nothing.jpa", "--to", "x"], 3, "nothing.jpa"),
        (["archive", "list", "/etc/hostname"], 15, "/etc/hostname"),
        (["profile", "delete", "1"], 2, "cannot delete the default backup profile"),
        (["profile", "create", "--name", "x", "--set", "nonsense=1"], 2, "nonsense"),
        (["profile", "create", "--name", "x", "--set", "part_size=abc"], 9, "'abc' is not a whole number"),
        (["profile", "create", "--name", " "], 2, "A profile needs a name"),
        (["backup", "/tmp", "--part-size", "10"], 2, "at least 64KiB"),
        (["backup", "/tmp", "--part-size", "-5"], 2, "is not a size"),
    ],
)
def test_bad_input_gets_one_clear_sentence(arguments: list[str], code: int, sentence: str) -> None:
    reported = run(*arguments, code=code)
    assert sentence in reported.stderr
    assert len(reported.stderr.strip().splitlines()) == 1


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert str(tmp_path / "file/home") in run("list", "--home", str(tmp_path / "file/home"), code=9).stderr


@pytest.mark.usefixtures("home")
def test_a_truncated_archive_is_reported_and_nothing_is_left_at_the_target(site: Path, tmp_path: Path) -> None:
    archive = Path(json.loads(run("backup", str(site), "--json").stdout)["archive"])
    cut = tmp_path / "cut.jpa"
    cut.write_bytes(archive.read_bytes()[:-2000])
    reported = run("restore", str(cut), "--to", str(tmp_path / "back"), code=11)
    assert "cut.jpa" in reported.stderr
    assert not (tmp_path / "back").exists()
    run("archive", "verify", str(cut), code=52)


@pytest.mark.usefixtures("home")
def test_an_interrupted_backup_can_be_taken_up_again(site: Path, tmp_path: Path) -> None:
    with (site / "big").open("wb") as file:
        file.write(os.urandom(60_000_000))
    process = subprocess.Popen(
        [*BACKSTAY, "backup", str(site)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    while not json.loads(run("list", "--json").stdout):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _out, reported = process.communicate(timeout=60)
    if process.returncode == 40:
        assert "backstay backup --resume 1" in reported
        run("backup", "--resume", "1", "--json")
    run("restore", "1", "--to", str(tmp_path / "back"), "--json")
    assert compare_trees(site, tmp_path / "back").differences == []


@pytest.mark.usefixtures("home")
def test_an_encrypted_archive_needs_its_password(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no password" in run("backup", str(site), "--format", "jps", code=9).stderr
    monkeypatch.setenv("BACKSTAY_PASSWORD", "right")
    archive = json.loads(run("backup", str(site), "--format", "jps", "--json").stdout)["archive"]
    monkeypatch.setenv("BACKSTAY_PASSWORD", "wrong")
    run("archive", "extract", archive, "--to", str(tmp_path / "back"), code=12)
    assert not (tmp_path / "back").exists()
    monkeypatch.setenv("BACKSTAY_PASSWORD", "right")
    run("restore", archive, "--to", str(tmp_path / "back"), "--json")
    assert compare_trees(site, tmp_path / "back").differences == []


@pytest.mark.parametrize(
    ("text", "size"), [("65536", 65536), ("50MiB", 50 << 20), ("1.5G", 3 << 29), ("2 kb", 2048), ("10M", 10 << 20)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "12 parsecs", "1e400G", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(text)


@pytest.mark.usefixtures("home")
def test_a_profile_whose_backups_go_into_a_repository_is_used_like_any_other(site: Path, tmp_path: Path) -> None:
    run("repository", "create", "house")
    once = json.loads(run("backup", str(site), "--repository", "house", "--part-size", "64KiB", "--json").stdout)
    assert (once["status"], once["repository"], once["proof"]["level"]) == ("complete", "house", "new")
    run("profile", "edit", str(once["profile"]), "--set", "repository=house")
    text = run("backup", "--profile", str(once["profile"]), "--read-all").stdout
    assert "what is new was read back from its repository" in text
    assert "of the repository house" in text
    listed = json.loads(run("list", "--json").stdout)
    assert [one["meta"] for one in listed] == ["ok", "ok"]
    assert json.loads(run("verify", "2", "--json").stdout)["ok"] is True
    run("restore", "2", "--to", str(tmp_path / "back"), "--json")
    assert compare_trees(site, tmp_path / "back").differences == []
    shown = json.loads(run("profile", "settings", str(once["profile"]), "--json").stdout)
    assert "house" in [one["value"] for one in shown if one["key"] == "backstay.repository"]
    (tmp_path / "profile.json").write_text(run("profile", "export", str(once["profile"])).stdout)
    copied = json.loads(run("profile", "import", str(tmp_path / "profile.json"), "--json").stdout)
    assert '"house"' in run("profile", "show", str(copied["id"]), "--json").stdout


@pytest.mark.usefixtures("home")
def test_a_repository_that_is_not_there_is_named_before_anything_begins(site: Path) -> None:
    assert "no repository named 'nowhere'" in run("backup", str(site), "--repository", "nowhere", code=3).stderr
    assert json.loads(run("list", "--json").stdout) == []
