"""Where the reference engine's profiles send their backups (engine-behaviour 3.8), as an address of a storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

ENGINE_KEY = "akeeba.advanced.postproc_engine"
_PREFIX = "engine.postproc."
# Their tokens are of an application of the vendor's, and worth nothing to another program.
_BY_TOKEN = {
    "dropbox2": "Dropbox",
    "googledrive": "Google Drive",
    "onedrive": "OneDrive",
    "onedriveapp": "OneDrive",
    "onedrivebusiness": "OneDrive for Business",
    "box": "Box",
}


@dataclass(frozen=True, slots=True)
class RemoteStorage:
    """Where a profile sends its backups.

    Attributes:
        engine: the reference engine's name for the kind of service.
        url: of the storage; empty where it cannot be used as it is.
        secrets: by the names that the kind of service gives them.
        missing: a sentence that says what is missing; empty where nothing is.
    """

    engine: str
    url: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    missing: str = ""


def remote_storage(values: Mapping[str, str]) -> RemoteStorage | None:
    """Return where a profile sends its backups, or None where it keeps them.

    Args:
        values: settings by dotted key.
    """
    engine = values.get(ENGINE_KEY, "none")
    if engine in ("", "none"):
        return None
    if engine in _BY_TOKEN:
        return RemoteStorage(
            engine,
            missing=f"its access to {_BY_TOKEN[engine]} is of another program: make a remote with 'rclone config' and "
            "add it with 'backstay storage add NAME rclone:REMOTE:path'",
        )
    found = {
        key.removeprefix(f"{_PREFIX}{engine}."): value
        for key, value in values.items()
        if key.startswith(f"{_PREFIX}{engine}.")
    }
    makers = {
        "amazons3": _s3,
        "googlestoragejson": _google,
        "azure": _azure,
        "backblaze": _backblaze,
        "webdav": _webdav,
        "ftp": _ftp,
        "ftpcurl": _ftp,
        "sftp": _sftp,
        "sftpcurl": _sftp,
    }
    maker = makers.get(engine)
    if maker is None:
        return RemoteStorage(engine, missing=f"the kind {engine} is not known to Backstay: add a storage by hand")
    return maker(engine, found)


def _needs(engine: str, found: Mapping[str, str], *names: str) -> RemoteStorage | None:
    missing = [name for name in names if not found.get(name)]
    if not missing:
        return None
    return RemoteStorage(engine, missing=f"{', '.join(missing)} is not set")


def _path(folder: str) -> str:
    return quote("/" + folder.strip("/")) if folder.strip("/") else ""


def _s3(engine: str, found: Mapping[str, str]) -> RemoteStorage:
    if lacking := _needs(engine, found, "bucket", "accesskey", "secretkey"):
        return lacking
    endpoint = found.get("customendpoint", "")
    if endpoint and "://" not in endpoint:
        endpoint = ("http://" if found.get("usessl") == "0" else "https://") + endpoint
    options = {"endpoint": endpoint, "region": found.get("custom_region") or found.get("region") or "us-east-1"}
    query = urlencode({name: value for name, value in options.items() if value}, safe=":/", quote_via=quote)
    url = f"s3://{quote(found['bucket'])}{_path(found.get('directory', ''))}?{query}"
    return RemoteStorage(engine, url, {"access_key_id": found["accesskey"], "secret_access_key": found["secretkey"]})


def _google(engine: str, found: Mapping[str, str]) -> RemoteStorage:
    if lacking := _needs(engine, found, "bucket", "jsoncreds"):
        return lacking
    url = f"gs://{quote(found['bucket'])}{_path(found.get('directory', ''))}"
    return RemoteStorage(engine, url, {"service_account": found["jsoncreds"]})


def _azure(engine: str, found: Mapping[str, str]) -> RemoteStorage:
    if lacking := _needs(engine, found, "container", "account", "key"):
        return lacking
    url = f"az://{quote(found['container'])}{_path(found.get('directory', ''))}?account={quote(found['account'])}"
    return RemoteStorage(engine, url, {"account_key": found["key"]})


def _backblaze(engine: str, found: Mapping[str, str]) -> RemoteStorage:
    if lacking := _needs(engine, found, "bucket", "accountId", "applicationKey"):
        return lacking
    return RemoteStorage(
        engine,
        missing="the bucket's endpoint is not in the profile: look it up at Backblaze and add the storage with "
        f"'backstay storage add NAME s3://{found['bucket']}{_path(found.get('directory', ''))}?endpoint=https://…'",
    )


def _webdav(engine: str, found: Mapping[str, str]) -> RemoteStorage:
    if lacking := _needs(engine, found, "url", "username", "password"):
        return lacking
    parts = urlsplit(found["url"])
    if not parts.hostname:
        return RemoteStorage(engine, missing="url names no server")
    scheme = "webdav" if parts.scheme == "http" else "webdavs"
    host = parts.netloc.rpartition("@")[2]
    path = parts.path.rstrip("/") + _path(found.get("directory", ""))
    return RemoteStorage(
        engine, f"{scheme}://{quote(found['username'], safe='')}@{host}{path}", {"password": found["password"]}
    )


def _ftp(engine: str, found: Mapping[str, str]) -> RemoteStorage:
    if lacking := _needs(engine, found, "host", "user", "pass"):
        return lacking
    scheme = "ftps" if found.get("ftps") == "1" else "ftp"
    folder = "/".join(part for part in (found.get("initial_directory", ""), found.get("subdirectory", "")) if part)
    return RemoteStorage(engine, _server(scheme, found, "21", folder), {"password": found["pass"]})


def _sftp(engine: str, found: Mapping[str, str]) -> RemoteStorage:
    if lacking := _needs(engine, found, "host", "user"):
        return lacking
    if not found.get("pass"):
        # What the profile names is a file on the machine it comes from.
        return RemoteStorage(
            engine,
            missing="its private key is a file of the other machine: add the storage by hand, with "
            "--secret-file private_key=PATH",
        )
    return RemoteStorage(
        engine, _server("sftp", found, "22", found.get("initial_directory", "")), {"password": found["pass"]}
    )


def _server(scheme: str, found: Mapping[str, str], usual: str, folder: str) -> str:
    port = found.get("port", usual)
    shown = f":{port}" if port.isdigit() and port != usual else ""
    return f"{scheme}://{quote(found['user'], safe='')}@{found['host']}{shown}{_path(folder)}"
