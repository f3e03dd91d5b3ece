"""URLs of destinations, and the secrets that do not stay in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.errors import ConfigurationError, UsageError
from backstay.storage import open_destination, parse_address, secret_fields, secrets_from_environment


@pytest.mark.parametrize(
    "url",
    [
        "folder:///mnt/nas/backups",
        "folder:///mnt/nas/b%20c?mount=/mnt/nas",
        "s3://Bucket/prefix/deep?endpoint=http://127.0.0.1:9000&region=eu-central-1",
        "s3://bucket",
        "gs://bucket/prefix",
        "az://container/prefix?account=name",
        "sftp://user@host:2222/path/to",
        "sftp://user@host",
        "webdavs://me%40example.com@cloud.example.com/remote.php/dav/files/me",
        "ftps://user@host/path",
        "rclone:my drive:some/folder",
        "rclone:secret:",
    ],
)
def test_an_address_is_read_and_written_alike(url: str) -> None:
    address, secrets = parse_address(url)
    assert secrets == {}
    assert parse_address(address.url)[0] == address
    assert address.url == url.replace("my drive", "my drive")


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("sftp://user:pa%2Fss@host/path", {"password": "pa/ss"}),
        ("webdavs://user:word@host/", {"password": "word"}),
        ("s3://KEY:se%2Fcret@bucket/prefix", {"access_key_id": "KEY", "secret_access_key": "se/cret"}),
    ],
)
def test_secrets_leave_the_url(url: str, secrets: dict[str, str]) -> None:
    address, found = parse_address(url)
    assert found == secrets
    for secret in secrets.values():
        assert secret not in address.url
        assert secret not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nothing",
        "http://host/path",
        "folder://relative/path",
        "folder:///",
        "folder:///a/../b",
        "s3:///prefix",
        "s3://bucket/a?endpiont=x",
        "sftp://user:geheim@host:port/path",
        "rclone:",
        "rclone:noremote",
        "rclone::sftp,host=x,pass=geheim:path",
        "rclone:remote,pass=geheim:path",
        "rclone:--config:path",
    ],
)
def test_a_url_that_is_none_is_refused_in_one_sentence_without_its_secrets(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(url)
    assert "geheim" not in str(caught.value)


def test_secrets_come_from_the_usual_variables_and_files(tmp_path: Path) -> None:
    address, _ = parse_address("s3://bucket")
    environment = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
    assert secrets_from_environment(address, environment) == {"access_key_id": "id", "secret_access_key": "key"}
    key = tmp_path / "key.json"
    key.write_text("{}")
    address, _ = parse_address("gs://bucket")
    assert secrets_from_environment(address, {"GOOGLE_APPLICATION_CREDENTIALS": str(key)}) == {"service_account": "{}"}
    with pytest.raises(ConfigurationError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        secrets_from_environment(address, {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "missing")})


def test_a_missing_secret_is_named() -> None:
    address, _ = parse_address("s3://bucket")
    assert [field.name for field in secret_fields(address) if field.required] == ["access_key_id", "secret_access_key"]
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY"):
        open_destination("s3://bucket", {"access_key_id": "id"})
