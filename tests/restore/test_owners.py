"""A tree with owners, lists of access, hard links, capabilities and fractions of a second comes back as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from backstay.archives import open_archive
from backstay.jobs.drill import drill_backup
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files
from backstay.restore import DrillReport
from support.backups import make_files, take
from support.missing import skip_or_fail
from support.restores import begin_in, restore

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
PROGRAMS = ("rsync", "setfacl", "getfacl", "setfattr", "getfattr", "setcap")


def run(*command: str | Path, cwd: Path | None = None) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd, env={"PATH": PATH}).stdout


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site of two owners, with everything that no archive format has a place for."""
    if os.geteuid() != 0:
        pytest.skip("only root gives files to others")
    lacking = [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]
    if lacking:
        skip_or_fail(f"{', '.join(lacking)} is not installed")
    site = make_files(tmp_path / "site")
    (site / "tool").write_bytes(b"\x7fELF")
    (site / "index.php").write_text("<?php // index")
    (site / "owned").mkdir()
    (site / "owned/page.php").write_text("<?php")
    (site / "holes").write_bytes(b"begin" + bytes(20 << 20) + b"end" + bytes(3 << 20))
    os.link(site / "owned/page.php", site / "another name.php")
    (site / "leads to it").symlink_to("owned/page.php")
    run("chown", "-hR", "33:4", site)
    run("chown", "-h", "1234:2345", site / "owned", site / "owned/page.php", site / "leads to it")
    run("setfacl", "-m", "u:8:rw,g:9:r", site / "owned/page.php")
    run("setfacl", "-m", "u:8:rwx,d:u:8:rx", site / "owned")
    run("setfattr", "-n", "user.comment", "-v", "kept", site / "index.php")
    run("setfattr", "-n", "user.root", "-v", "kept too", site)
    run("setcap", "cap_net_bind_service=ep", site / "tool")
    for number, path in enumerate(sorted(site.rglob("*"), reverse=True)):
        time = 1_700_000_000_000_000_001 + 1_111_111 * number
        os.utime(path, ns=(time, time), follow_symlinks=False)
    os.utime(site, ns=(1_700_000_000_123_456_789, 1_700_000_000_123_456_789))
    return site


def archive_of(installation: Installation, site: Path) -> Path:
    return backup_files(installation, take(installation, site))[-1].path


def differences(site: Path, target: Path) -> str:
    return run("rsync", "-aHAXn", "--numeric-ids", "--delete", "--itemize-changes", f"{site}/", f"{target}/")


def test_rsync_finds_nothing_different_in_what_root_restores(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    target = tmp_path / "restored"
    restore(archive_of(installation, site), target, owners_of_archive=True, xattrs="all")
    assert differences(site, target) == ""
    for command in (("getfacl", "-R", "-n", "."), ("getfattr", "-R", "-h", "-d", "-m-", ".")):
        assert sorted(run(*command, cwd=target).splitlines()) == sorted(run(*command, cwd=site).splitlines())
    for path in (site, *site.rglob("*")):
        assert (target / path.relative_to(site)).lstat().st_mtime_ns == path.lstat().st_mtime_ns


def test_runs_of_zeros_are_restored_as_holes(installation: Installation, site: Path, tmp_path: Path) -> None:
    target = tmp_path / "restored"
    restore(archive_of(installation, site), target, xattrs="all")
    status = (target / "holes").stat()
    assert status.st_size == (site / "holes").stat().st_size
    assert status.st_blocks * 512 < 1 << 20
    assert (target / "holes").read_bytes() == (site / "holes").read_bytes()


def test_one_of_two_names_alone_has_the_content(installation: Installation, site: Path, tmp_path: Path) -> None:
    with open_archive(archive_of(installation, site)) as archive:
        archive.extract(tmp_path / "one", only=["owned/page.php"])
    assert (tmp_path / "one/owned/page.php").read_text() == "<?php"
    assert (tmp_path / "one/owned/page.php").stat().st_nlink == 1


def test_a_capability_of_a_strange_archive_is_not_given_unless_asked_for(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    warnings: list[str] = []
    with open_archive(archive_of(installation, site)) as archive:
        archive.extract(tmp_path / "plain", only=["tool"], on_warning=warnings.append)
        archive.extract(tmp_path / "special", only=["tool"], special_modes=True)
    assert os.listxattr(tmp_path / "plain/tool") == []
    assert warnings == ["tool did not get back the attribute security.capability, which gives rights to programs."]
    assert os.listxattr(tmp_path / "special/tool") == ["security.capability"]


def test_whoever_asks_for_no_owners_gets_the_files(installation: Installation, site: Path, tmp_path: Path) -> None:
    target = tmp_path / "restored"
    restore(archive_of(installation, site), target, owner=(8, 9), xattrs="all")
    assert os.listxattr(target / "tool") == ["security.capability"]
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in (target, *target.rglob("*"))} == {(8, 9)}


def test_who_is_not_root_gets_one_line_about_owners(
    installation: Installation, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive_path = archive_of(installation, site)
    warnings: list[str] = []
    # The suite's interpreter may lie where nobody else can read it: only the question for the user is answered anew.
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    with open_archive(archive_path) as archive:
        archive.extract(tmp_path / "mine", only=["owned", "index.php"], on_warning=warnings.append)
    assert warnings == ["The files do not get their owners back, for only root can do that: they belong to you."]
    assert (tmp_path / "mine/owned/page.php").stat().st_uid == os.getuid()


def test_the_drill_of_a_site_with_capabilities_passes(installation: Installation, site: Path) -> None:
    *_progress, report = drill_backup(installation, take(installation, site).id)
    assert isinstance(report, DrillReport)
    assert (report.verdict, report.problems) == ("passed", ())


def test_a_mount_point_gets_the_owner_of_the_root_and_its_own_back(
    installation: Installation, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(installation, site)
    target = tmp_path / "mounted"
    target.mkdir(mode=0o711)
    (target / "old.txt").write_text("old")
    run("chown", "-h", "5:6", target)
    run("setfattr", "-n", "user.mine", "-v", "1", target)
    before = tmp_path / "before"
    run("cp", "-a", target, before)
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) == str(target))
    options: dict[str, Any] = {"owners_of_archive": True, "xattrs": "all"}
    restoring = begin_in(tmp_path / "state", archive, target, **options)
    with restoring.journal:
        for _step in restoring.run(pytest.fail):
            pass
        restoring.undo(pytest.fail)
    assert differences(before, target) == ""
    restore(archive, target, **options)
    assert differences(site, target) == ""


def test_a_merge_brings_new_folders_with_their_owners(installation: Installation, site: Path, tmp_path: Path) -> None:
    target = tmp_path / "merged"
    (target / "kept").mkdir(parents=True)
    restore(archive_of(installation, site), target, strategy="merge", owners_of_archive=True, xattrs="all")
    assert differences(site / "owned", target / "owned") == ""
    assert (target / "kept").stat().st_uid == 0
    assert (target / "another name.php").samefile(target / "owned/page.php")
