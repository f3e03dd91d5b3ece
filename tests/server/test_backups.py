"""Taking backups over the API, with the real engine: every row of api-methods.md 2."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backstay.archives import open_archive
from server.driving import Driven, Reply
from support.backups import make_files

KEYS = [
    *["HasRun", "Domain", "Step", "Substep", "Error", "Warnings", "ErrorException", "Archive", "tag", "Progress"],
    *["backupid", "sleepTime", "stepNumber", "stepState", "BackupID", "Profile"],
]
UNKNOWN = (
    "A backup error has occurred: Akeeba Engine detected a problem while saving temporary data. "
    "Please restart your backup."
)
DOMAINS = ["init", "installer", "PackDB", "Packing", "finale"]


@pytest.fixture
def site(server: Driven, tmp_path: Path) -> Path:
    """A site of files, set as the root of profile 1."""
    root = make_files(tmp_path / "site")
    server.v2(
        "saveConfiguration", engineconfig={"akeeba.platform.newroot": str(root), "backstay.site.database": "none"}
    )
    return root


def run(call: Callable[..., Reply], **data: Any) -> list[dict[str, Any]]:
    """Take a backup as clients do; return every reply."""
    replies = [call("startBackup", data)]
    deadline = time.monotonic() + 60
    while replies[-1].data["HasRun"]:
        assert time.monotonic() < deadline
        replies.append(call("stepBackup", {"backupid": replies[-1].data["backupid"]}))
        assert replies[-1].status == 200, replies[-1]
    return [reply.data for reply in replies]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_backup(server: Driven, site: Path, version: int) -> None:
    def call(method: str, data: dict[str, Any]) -> Reply:
        if version == 1:
            return server.v1(method, data)
        return server.v2(method, data, verb="POST") if version == 2 else server.v3(method, **data)

    replies = run(call, profile=1, description="A title & more", comment="<b>comment</b>")
    first, last = replies[0], replies[-1]
    assert all(list(reply) == KEYS for reply in replies)
    for reply in replies:
        assert isinstance(reply["HasRun"], bool)
        assert reply["Domain"] in DOMAINS
        assert 0 <= reply["Progress"] <= 100
        assert (reply["Error"], reply["ErrorException"], reply["tag"]) == ("", None, "json")
        assert (reply["sleepTime"], reply["Profile"], reply["BackupID"]) == (0, 1, first["BackupID"])
        assert reply["backupid"] == first["backupid"]
        assert isinstance(reply["Warnings"], list)
        assert reply["stepState"] in ("init", "prepared", "running", "postrun", "finished")
    assert [reply["stepNumber"] for reply in replies] == list(range(1, len(replies) + 1))
    assert (last["HasRun"], last["Domain"], last["Progress"], last["stepState"]) == (False, "finale", 100, "finished")
    assert last["Archive"].endswith(".jpa")
    (record,) = server.v2("listBackups").data
    assert (record["description"], record["comment"]) == ("A title & more", "<b>comment</b>")
    assert (record["status"], record["origin"], record["tag"], record["meta"]) == ("complete", "json", "json", "ok")
    with open_archive(Path(record["absolute_path"])) as archive:
        assert "private/key.php" in {entry.path for entry in archive}
    assert "The backup is complete" in server.v2("log", tag=f"json.{last['backupid']}").data


def test_a_step_after_the_end_says_so_again(server: Driven, site: Path) -> None:
    last = run(server.v2)[-1]
    again = server.v2("stepBackup", backupid=last["backupid"])
    assert (again.status, again.data["HasRun"], again.data["Domain"]) == (200, False, "finale")


def test_overrides(server: Driven, site: Path) -> None:
    run(server.v2, overrides={"akeeba.basic.backup_type": "fileonly", "akeeba.advanced.archiver_engine": "zip"})
    (record,) = server.v2("listBackups").data
    assert (record["type"], record["archivename"][-4:]) == ("fileonly", ".zip")
    assert server.installation.catalogue.profiles.get(1).settings().backup_type == "full"


def test_overrides_that_cannot_be_used(server: Driven, site: Path) -> None:
    reply = server.v2("startBackup", overrides={"akeeba.basic.backup_type": "nonsense"})
    assert reply.status == 500
    assert "akeeba.basic.backup_type" in reply.data


def test_warnings_are_reported(server: Driven, site: Path) -> None:
    server.v2("setRegexFSFilter", regex="/fine/", type="regexfiles")
    profile = server.installation.catalogue.profiles.get(1)
    spoiled = profile.filters.with_node("regexfiles", "[SITEROOT]", "/(/")
    server.installation.catalogue.profiles.save(replace(profile, filters=spoiled))
    warnings = [warning for reply in run(server.v2) for warning in reply["Warnings"]]
    assert len([warning for warning in warnings if "/(/" in warning]) == 1


def test_a_profile_without_a_site(server: Driven) -> None:
    reply = server.v2("startBackup")
    assert reply.status == 500
    assert reply.data.startswith("Failed configuration check Q001: ")
    assert "akeeba.platform.newroot" in reply.data
    assert server.v2("listBackups").data == []


def test_a_site_that_is_gone(server: Driven, site: Path) -> None:
    site.rename(site.with_name("moved"))
    reply = server.v2("startBackup")
    assert reply.status == 500
    assert reply.data.startswith("Failed configuration check Q")
    assert str(site) in reply.data


def test_a_profile_that_is_not_there(server: Driven) -> None:
    assert server.v2("startBackup", profile=9).pair == (404, "Invalid profile ID")


def test_a_backup_that_fails(server: Driven, site: Path) -> None:
    database = {"backstay.site.database": "mysql://nobody:word@127.0.0.1:1/none"}
    start = server.v2("startBackup", overrides=database)
    deadline = time.monotonic() + 60
    reply = start
    while reply.status == 200 and reply.data["HasRun"]:
        assert time.monotonic() < deadline
        reply = server.v2("stepBackup", backupid=reply.data["backupid"])
    assert reply.status == 500
    assert reply.data.startswith("A backup error has occurred: ")
    assert "word" not in reply.data.replace("password", "")
    assert server.v2("listBackups").data[0]["status"] == "fail"


@pytest.mark.parametrize("call", ["v1", "v2", "v3"])
def test_a_step_without_or_with_an_unknown_backupid(server: Driven, call: str) -> None:
    calls: dict[str, Callable[..., Reply]] = {"v1": server.v1, "v2": server.v2, "v3": server.v3}
    missing = calls[call]("stepBackup")
    assert missing.status == 500
    assert "no backup is running" in missing.data
    unknown = server.v2("stepBackup", backupid="id-20000101-000000-000000")
    assert unknown.pair == (500, UNKNOWN)


def test_a_client_of_2013_steps_without_a_backupid_to_the_end(server: Driven, site: Path) -> None:
    first = server.v1("startBackup", {"profile": 1}).data
    time.sleep(1)  # the backup may end before the next step, whose client must hear of it all the same
    while (reply := server.v1("stepBackup")).data["HasRun"]:
        assert reply.status == 200
    assert (reply.data["backupid"], reply.data["Progress"]) == (first["backupid"], 100)
    assert server.v1("stepBackup").status == 500
    assert server.v1("stepBackup", {"tag": "cli"}).status == 500


def test_a_client_that_comes_late_finds_the_backup_done(server: Driven, site: Path) -> None:
    start = server.v2("startBackup").data
    deadline = time.monotonic() + 60
    while server.v2("listBackups").data[0]["status"] == "run":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    reply = server.v2("stepBackup", backupid=start["backupid"])
    assert (reply.status, reply.data["HasRun"]) == (200, False)
