"""What the reference engine's profiles say of where backups are sent becomes the address of a storage."""

from __future__ import annotations

import pytest

from backstay.profiles.remote_storage import ENGINE_KEY, remote_storage
from backstay.storage import parse_address

COMPLETE = [
    (
        "amazons3",
        {"bucket": "b", "accesskey": "k", "secretkey": "Geheim", "region": "eu-central-1", "directory": "/a b/"},
        "s3://b/a%20b?region=eu-central-1",
        {"access_key_id": "k", "secret_access_key": "Geheim"},
    ),
    (
        "amazons3",
        {"bucket": "b", "accesskey": "k", "secretkey": "Geheim", "customendpoint": "s3.example.org", "directory": "/"},
        "s3://b?endpoint=https://s3.example.org&region=us-east-1",
        {"access_key_id": "k", "secret_access_key": "Geheim"},
    ),
    (
        "azure",
        {"container": "c", "account": "acc", "key": "Geheim", "directory": "x/y"},
        "az://c/x/y?account=acc",
        {"account_key": "Geheim"},
    ),
    ("googlestoragejson", {"bucket": "b", "jsoncreds": "Geheim"}, "gs://b", {"service_account": "Geheim"}),
    (
        "webdav",
        {"url": "https://cloud.example.org/dav/", "username": "me@x", "password": "Geheim", "directory": "/b"},
        "webdavs://me%40x@cloud.example.org/dav/b",
        {"password": "Geheim"},
    ),
    (
        "ftpcurl",
        {"host": "h", "user": "u", "pass": "Geheim", "ftps": "1", "initial_directory": "/d"},
        "ftps://u@h/d",
        {"password": "Geheim"},
    ),
    ("sftp", {"host": "h", "port": "2222", "user": "u", "pass": "Geheim"}, "sftp://u@h:2222", {"password": "Geheim"}),
]


def _values(engine: str, values: dict[str, str]) -> dict[str, str]:
    return {ENGINE_KEY: engine, **{f"engine.postproc.{engine}.{name}": value for name, value in values.items()}}


@pytest.mark.parametrize(("engine", "values", "url", "secrets"), COMPLETE)
def test_complete_settings_become_an_address_and_its_secrets(
    engine: str, values: dict[str, str], url: str, secrets: dict[str, str]
) -> None:
    found = remote_storage(_values(engine, values))
    assert found is not None
    assert (found.url, dict(found.secrets), found.missing) == (url, secrets, "")
    assert "Geheim" not in repr(found)
    address, in_url = parse_address(found.url)
    assert in_url == {}
    assert parse_address(address.url)[0] == address


@pytest.mark.parametrize(
    ("engine", "values", "missing"),
    [
        ("amazons3", {"bucket": "b"}, "accesskey, secretkey is not set"),
        ("dropbox2", {"refresh_token": "Geheim"}, "rclone config"),
        ("googledrive", {}, "Google Drive"),
        ("backblaze", {"bucket": "b", "accountId": "i", "applicationKey": "Geheim"}, "endpoint"),
        ("sftp", {"host": "h", "user": "u", "privkey": "/home/user/key"}, "private key"),
        ("webdav", {"url": "nothing", "username": "u", "password": "Geheim"}, "names no server"),
        ("sugarsync", {}, "not known"),
    ],
)
def test_what_is_missing_is_said(engine: str, values: dict[str, str], missing: str) -> None:
    found = remote_storage(_values(engine, values))
    assert found is not None
    assert found.url == ""
    assert missing in found.missing
    assert "Geheim" not in found.missing


def test_a_profile_that_keeps_its_backups_has_no_storage() -> None:
    assert remote_storage({}) is remote_storage({ENGINE_KEY: "none"}) is None
