"""Replies are written with the keys, order and types of api-methods.md, and read from servers of any age."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backstay.api.methods import METHODS, Method
from backstay.api.replies import BackupInfo, BackupRecord, DatabaseConnection, FileEntities, StepReply, VersionInfo
from backstay.api.wire import plain

RAW = [
    "id",
    "description",
    "comment",
    "backupstart",
    "backupend",
    "status",
    "origin",
    "type",
    "profile_id",
    "archivename",
    "absolute_path",
    "multipart",
    "tag",
    "backupid",
    "filesexist",
    "remote_filename",
    "total_size",
    "frozen",
    "instep",
]


def test_a_step_has_the_documented_keys_in_order() -> None:
    keys = [
        "HasRun",
        "Domain",
        "Step",
        "Substep",
        "Error",
        "Warnings",
        "ErrorException",
        "Archive",
        "tag",
        "Progress",
        "backupid",
        "sleepTime",
        "stepNumber",
        "stepState",
        "BackupID",
        "Profile",
    ]
    step = plain(StepReply(has_run=True, warnings=["x"], backup_id=25, profile=1))
    assert list(step) == keys
    assert step["HasRun"] is True
    assert step["ErrorException"] is None
    assert isinstance(step["Warnings"], list)
    for key in ("Progress", "sleepTime", "stepNumber", "BackupID", "Profile"):
        assert type(step[key]) is int


def test_records_have_the_documented_keys_in_order() -> None:
    assert list(plain(BackupRecord(size=1))) == [*RAW, "meta", "hasRemoteFiles", "size"]
    assert list(plain(BackupInfo())) == [*RAW, "filenames"]
    record = plain(BackupRecord())
    for key in ("id", "profile_id", "multipart", "filesexist", "total_size", "frozen", "instep"):
        assert type(record[key]) is int
    assert record["hasRemoteFiles"] is False


def test_a_version_has_the_documented_keys_in_order() -> None:
    assert list(plain(VersionInfo(updateinfo={}))) == ["api", "component", "date", "edition", "updateinfo"]


@pytest.mark.parametrize(
    ("sent", "meant"), [(1, True), (True, True), ("1", True), (0, False), (False, False), (None, False)]
)
def test_more_work_is_given_as_a_number_or_a_switch(sent: object, meant: bool) -> None:
    assert StepReply.model_validate({"HasRun": sent}).has_run is meant


@pytest.mark.parametrize(
    ("sent", "meant"), [(None, []), ([], []), (["a"], ["a"]), ({"0": "a", "1": "b"}, ["a", "b"]), ("a", ["a"])]
)
def test_warnings_come_in_many_forms(sent: object, meant: list[str]) -> None:
    assert StepReply.model_validate({"Warnings": sent}).warnings == meant


def test_records_of_old_servers_are_read() -> None:
    record = BackupRecord.model_validate(
        {"id": "24", "profile_id": "2", "description": None, "total_size": "", "new": 5}
    )
    assert (record.id, record.profile_id, record.description, record.total_size) == (24, 2, "", 0)
    assert plain(record)["new"] == 5


def test_empty_maps_written_as_lists_are_maps() -> None:
    found = FileEntities.model_validate({"folders": [], "files": {"a": {"files": 0, "size": "1.50 MB", "link": 0}}})
    assert found.folders == {}
    assert found.files["a"].size == "1.50 MB"


def test_a_connection_shows_no_password_and_takes_either_name_of_the_user() -> None:
    connection = DatabaseConnection.model_validate({"user": "u", "password": "hidden"})
    assert connection.username == "u"
    assert "hidden" not in repr(connection)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    )
)
def test_no_reply_makes_a_client_fail_in_another_way(method: Method[Any, Any], value: Any) -> None:
    try:
        method.read_reply(value)
    except ValidationError:
        return
