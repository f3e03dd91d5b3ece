"""getVersion, getProfiles and updates: every row of api-methods.md 1 and 6."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.version import RELEASE_DATE, __version__
from server.driving import Driven, driven


def test_get_version(server: Driven) -> None:
    version = server.v2("getVersion").data
    assert list(version) == ["api", "component", "date", "edition", "updateinfo"]
    assert version["api"] == 400
    assert (version["component"], version["date"], version["edition"]) == (__version__, RELEASE_DATE, "pro")
    assert server.v1("getVersion").data == {**version, "api": "400"}
    assert server.v3("getVersion").data == version


def test_get_version_at_level_600(home: Path) -> None:
    with driven(home, api_level=600) as server:
        assert list(server.v2("getVersion").data) == ["api", "component", "date", "edition"]
        assert server.v2("getVersion").data["api"] == 600


def test_get_profiles(server: Driven) -> None:
    server.v2("saveProfile", description="Second")
    assert server.v2("getProfiles").data == [
        {"id": 1, "name": "Default Backup Profile"},
        {"id": 2, "name": "Second"},
    ]


def test_no_update_unless_configured_otherwise(server: Driven) -> None:
    information = server.v2("updateGetInformation", force=1).data
    assert information["hasUpdate"] is False
    assert information["stuck"] == 0
    assert information["version"] == __version__
    assert server.v2("getVersion").data["updateinfo"] == information


def test_an_update_that_is_known(home: Path) -> None:
    with driven(home, newest_version="99.1", newest_version_url="https://example.com/new") as server:
        information = server.v2("updateGetInformation").data
        assert (information["hasUpdate"], information["version"]) == (True, "99.1")
        assert information["link"] == "https://example.com/new"


@pytest.mark.parametrize("method", ["updateDownload", "updateExtract", "updateInstall"])
def test_steps_of_an_update(server: Driven, method: str) -> None:
    reply = server.v2(method)
    assert reply.pair == (501, "This method is no longer supported by the Akeeba Remote JSON API")


@pytest.mark.parametrize("method", ["getLog", "startSRPBackup", "updateCleanup"])
def test_methods_of_old_servers(server: Driven, method: str) -> None:
    assert server.v2(method).pair == (405, f"Invalid method {method}")


DROPPED = [
    *["log", "updateGetInformation", "getGUIConfiguration", "saveConfiguration", "saveProfile", "deleteProfile"],
    *["browse", "getDBRoots", "getDBFilters", "getDBEntities", "setDBFilter", "getRegexDBFilters", "setRegexDBFilter"],
    *["getFSRoots", "getFSFilters", "getFSEntities", "setFSFilter", "getRegexFSFilters", "setRegexFSFilter"],
    *["getIncludedDirectories", "setIncludedDirectory", "removeIncludedDirectory", "getIncludedDBs", "setIncludedDB"],
    *["removeIncludedDB", "testDBConnection"],
]
KEPT = ["getVersion", "getProfiles", "listBackups", "getBackupInfo", "download", "delete", "deleteFiles", "stepBackup"]


def test_what_level_600_no_longer_answers(home: Path) -> None:
    with driven(home, api_level=600) as server:
        for method in DROPPED:
            assert server.v2(method).status == 501, method
        for method in [*KEPT, "exportConfiguration", "importConfiguration"]:
            assert server.v2(method).status not in (405, 501), method


def test_what_level_400_answers(server: Driven) -> None:
    for method in [*DROPPED, *KEPT, "exportConfiguration", "importConfiguration"]:
        assert server.v2(method).status not in (405, 501), method
