"""The method table holds every row of api-methods.md, and its parts fit one another."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from backstay.api.methods import METHODS, REMOVED_METHODS, Method, Scope, find_method
from backstay.api.wire import plain

SECTION_5 = [
    "getGUIConfiguration",
    "saveConfiguration",
    "saveProfile",
    "deleteProfile",
    "browse",
    "getDBRoots",
    "getDBFilters",
    "getDBEntities",
    "setDBFilter",
    "getRegexDBFilters",
    "setRegexDBFilter",
    "getFSRoots",
    "getFSFilters",
    "getFSEntities",
    "setFSFilter",
    "getRegexFSFilters",
    "setRegexFSFilter",
    "getIncludedDirectories",
    "setIncludedDirectory",
    "removeIncludedDirectory",
    "getIncludedDBs",
    "setIncludedDB",
    "removeIncludedDB",
    "testDBConnection",
]
ALWAYS = [
    "getVersion",
    "getProfiles",
    "startBackup",
    "stepBackup",
    "listBackups",
    "getBackupInfo",
    "download",
    "downloadDirect",
    "delete",
    "deleteFiles",
    "exportConfiguration",
    "importConfiguration",
]
UPDATES = ["updateGetInformation", "updateDownload", "updateExtract", "updateInstall"]
DEFAULTS: dict[str, dict[str, Any]] = {
    "startBackup": {"profile": 1, "description": "", "comment": "", "overrides": {}},
    "stepBackup": {"tag": "json", "backupid": ""},
    "listBackups": {"first": 0, "limit": 50},
    "getBackupInfo": {"backup_id": 0},
    "download": {"backup_id": 0, "part_id": 1, "segment": 1, "chunk_size": 1},
    "downloadDirect": {"backup_id": 0, "part_id": 1},
    "delete": {"backup_id": 0},
    "deleteFiles": {"backup_id": 0},
    "log": {"tag": "remote"},
    "exportConfiguration": {"profile": 1},
    "importConfiguration": {"profile": 0, "data": {}},
    "getGUIConfiguration": {"profile": 1},
    "saveConfiguration": {"profile": -1, "engineconfig": {}},
    "saveProfile": {"profile": 0, "description": "", "quickicon": None, "source": 0},
    "deleteProfile": {"profile": 0},
    "browse": {"folder": "", "processfolder": False},
    "getDBFilters": {"profile": 1, "root": "[SITEDB]"},
    "getDBEntities": {"profile": 1, "root": "[SITEDB]"},
    "setDBFilter": {"profile": 1, "root": "[SITEDB]", "table": "", "type": "tables", "status": True},
    "getRegexDBFilters": {"profile": 1, "root": "[SITEDB]"},
    "setRegexDBFilter": {"profile": 1, "root": "[SITEDB]", "regex": "", "type": "regextables", "status": True},
    "getFSFilters": {"profile": 1, "root": "[SITEROOT]"},
    "getFSEntities": {"profile": 1, "root": "[SITEROOT]", "subdirectory": ""},
    "setFSFilter": {"profile": 1, "root": "[SITEROOT]", "path": "", "type": "", "status": True},
    "setRegexFSFilter": {"profile": 1, "root": "[SITEROOT]", "regex": "", "status": True},
    "setIncludedDirectory": {"profile": 1, "uuid": "", "path": "", "virtual_folder": ""},
    "removeIncludedDirectory": {"profile": 1, "uuid": ""},
    "setIncludedDB": {"profile": 1, "name": "", "connection": {}, "test": True},
    "removeIncludedDB": {"profile": 1, "name": ""},
    "testDBConnection": {"connection": {}},
    "updateGetInformation": {"force": False},
}
BY_NAME = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


def test_every_method_of_levels_400_and_600_is_there_once() -> None:
    names = [method.name for method in METHODS]
    assert sorted(names) == sorted([*ALWAYS, "log", *SECTION_5, *UPDATES])
    assert not set(names) & set(REMOVED_METHODS)


def test_levels_say_what_is_answered() -> None:
    at_400 = {method.name for method in METHODS if method.answers_at(400)}
    at_600 = {method.name for method in METHODS if method.answers_at(600)}
    assert at_400 == {*ALWAYS, "log", *SECTION_5, "updateGetInformation"}
    assert at_600 == set(ALWAYS)


@pytest.mark.parametrize("name", ["getVersion", "GETVERSION", "getversion", "GetVersion"])
def test_names_are_matched_without_regard_to_case(name: str) -> None:
    found = find_method(name)
    assert found is not None
    assert found.name == "getVersion"


@pytest.mark.parametrize("name", ["", "nope", "getLog", "startSRPBackup", "updateCleanup", "getVersion ", "İ"])
def test_other_names_are_not_found(name: str) -> None:
    assert find_method(name) is None


@BY_NAME
def test_defaults_are_the_documented_ones(method: Method[Any, Any]) -> None:
    parameters = method.read_parameters({})
    for name, value in DEFAULTS.get(method.name, {}).items():
        assert getattr(parameters, name) == value


@BY_NAME
def test_the_example_is_a_call_and_its_reply_is_one(method: Method[Any, Any]) -> None:
    known = set(method.parameters.model_json_schema().get("properties", {}))
    assert set(method.example) <= known
    if method.reply_type is bytes:
        return
    reply = method.read_reply(method.example_reply)
    assert plain(reply) == method.example_reply
    assert method.example_reply is not None


@BY_NAME
def test_everything_about_a_method_is_reported(method: Method[Any, Any]) -> None:
    assert method.summary.endswith(".")
    for name, schema in method.parameters.model_json_schema().get("properties", {}).items():
        assert schema.get("description"), f"{method.name}: {name}"
    assert method.parameters.__doc__


@BY_NAME
@given(data=st.data())
def test_any_parameters_can_be_read(method: Method[Any, Any], data: st.DataObject) -> None:
    names = list(method.parameters.model_json_schema().get("properties", {})) or ["x"]
    values = st.none() | st.text() | st.integers() | st.floats() | st.lists(st.text()) | st.booleans()
    given_data = data.draw(st.dictionaries(st.sampled_from(names) | st.text(), values) | st.lists(values) | values)
    assert isinstance(method.read_parameters(given_data), method.parameters)


def test_texts_become_what_they_mean() -> None:
    found = find_method("download")
    assert found is not None
    parameters = found.read_parameters({"backup_id": "25x", "part": "3", "segment": "2", "chunk_size": None, "zz": 1})
    assert parameters.model_dump() == {"backup_id": 25, "part_id": 3, "segment": 2, "chunk_size": 1}


def test_part_id_wins_over_its_alias() -> None:
    found = find_method("downloadDirect")
    assert found is not None
    assert found.read_parameters({"part": "3", "part_id": "2"}).part_id == 2


def test_structured_parameters_come_as_objects_or_as_json() -> None:
    found = find_method("startBackup")
    assert found is not None
    for overrides in ({"a.b": "1"}, '{"a.b": "1"}'):
        assert found.read_parameters({"overrides": overrides}).overrides == {"a.b": "1"}


SCOPES = {
    None: ["getVersion"],
    Scope.READ: ["getProfiles", "listBackups", "getBackupInfo", "log", "updateGetInformation"],
    Scope.BACKUP: ["startBackup", "stepBackup"],
    Scope.DOWNLOAD: ["download", "downloadDirect"],
    Scope.DELETE: ["delete", "deleteFiles"],
    Scope.CONFIGURE: [*SECTION_5, "exportConfiguration", "importConfiguration", *UPDATES[1:]],
}


@BY_NAME
def test_every_method_needs_the_documented_privilege(method: Method[Any, Any]) -> None:
    assert method.name in SCOPES[method.scope]
    assert method.scopes_for(method.read_parameters({})) == ({method.scope} if method.scope else set())


def test_overrides_need_the_right_to_configure() -> None:
    found = find_method("startBackup")
    assert found is not None
    assert found.scopes_for(found.read_parameters({"overrides": "{}"})) == {Scope.BACKUP}
    assert found.scopes_for(found.read_parameters({"overrides": '{"a":"b"}'})) == {Scope.BACKUP, Scope.CONFIGURE}


def test_only_calls_that_do_no_harm_twice_may_be_repeated() -> None:
    once = {method.name for method in METHODS if not method.repeatable}
    assert {"startBackup", "importConfiguration", "saveProfile", "setIncludedDirectory"} <= once
    assert not once & {"stepBackup", "getVersion", "listBackups", "download", "delete"}


def test_no_password_is_shown() -> None:
    for name in ("setIncludedDB", "testDBConnection"):
        found = find_method(name)
        assert found is not None
        parameters = found.read_parameters({"connection": {"password": "hidden"}})
        assert isinstance(parameters, BaseModel)
        assert "hidden" not in repr(parameters)
