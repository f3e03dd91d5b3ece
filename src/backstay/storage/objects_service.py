"""Google Cloud Storage and Azure Blob Storage through the library obstore: opening them, and what their errors mean.

What the library says of an error holds the URL of the request, with its signature, and words of the server: none of it
is shown but the status and the service's code.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore.store
from obstore import exceptions

from backstay.errors import (
    AuthenticationError,
    BackstayError,
    ConfigurationError,
    ConnectionFailedError,
    DiskFullError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    UsageError,
)
from backstay.storage.address import Address

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

Store = obstore.store.GCSStore | obstore.store.AzureStore

_RETRIES: RetryConfig = {"max_retries": 6, "retry_timeout": timedelta(seconds=20)}
_STATUS = re.compile(r"status code: (\d{3})|\(code: (\d{3})\)")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_GOOGLE = "https://storage.googleapis.com"
_INTERFERING = ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_BEARER_TOKEN")
"""Variables that the library reads, and that can't stand beside a key that it is given."""

_Sentence = tuple[type[BackstayError], str]
_KEY: _Sentence = (AuthenticationError, "{label} refuses the credentials: enter them again.")
_DENIED: _Sentence = (PermissionDeniedError, "{what} is not open to this key: check the key and its rights.")
_BUCKET: _Sentence = (
    NotFoundError,
    "The bucket or container of {label} does not exist: create it, or correct its name.",
)
_MISSING: _Sentence = (NotFoundError, "{what} is not there.")
_LOCKED: _Sentence = (
    StorageError,
    "{what} is locked by a rule of its bucket or container: delete it when that has run out.",
)
_FULL: _Sentence = (DiskFullError, "{label} is full: free space there, or keep fewer backups.")
_FAILS: _Sentence = (ConnectionFailedError, "{label} fails at this time ({answer}): try again later.")
_AWAY: _Sentence = (ConnectionFailedError, "{label} can't be reached: check the address and the network.")
_REFUSED: _Sentence = (StorageError, "{what} was refused ({answer}): check the settings of the destination.")
_BY_CODE: Mapping[str, _Sentence] = {
    # Azure: learn.microsoft.com, "Blob service error codes"; Google: "XML API, HTTP status and error codes".
    "AuthenticationFailed": _KEY,
    "InvalidAuthenticationInfo": _KEY,
    "InvalidSecurity": _KEY,
    "ContainerNotFound": _BUCKET,
    "NoSuchBucket": _BUCKET,
    "BlobImmutableDueToPolicy": _LOCKED,
    "RetentionPolicyNotMet": _LOCKED,
    "ObjectUnderActiveHold": _LOCKED,
    "QuotaExceeded": _FULL,
}
_BY_STATUS: Mapping[int, _Sentence] = {
    401: _KEY,
    403: _DENIED,
    404: _MISSING,
    507: _FULL,
    **dict.fromkeys((408, 429, 500, 502, 503, 504), _FAILS),
}
_BY_KIND: tuple[tuple[type[Exception], _Sentence], ...] = (
    (FileNotFoundError, _MISSING),
    (exceptions.UnauthenticatedError, _KEY),
    (exceptions.PermissionDeniedError, _DENIED),
)


def open_store(address: Address, secrets: Mapping[str, str]) -> Store:
    """Open the bucket or container of an address; nothing is sent yet.

    Raises:
        ConfigurationError: a secret is missing, or is none.
        UsageError: the endpoint is no address.
    """
    try:
        return _google(address, secrets) if address.scheme == "gs" else _azure(address, secrets)
    except (exceptions.BaseError, ValueError, OSError):
        # What the library says may quote the key.
        raise ConfigurationError(f"The credentials of {address.url} can't be used: enter them again.") from None


def _google(address: Address, secrets: Mapping[str, str]) -> Store:
    key = secrets["service_account"]
    try:
        document = json.loads(key)
        base = str(document.get("gcs_base_url") or "")
        is_key = isinstance(document["private_key"], str) and isinstance(document["client_email"], str)
    except (ValueError, KeyError, AttributeError):
        is_key, base = False, ""
    if not is_key:
        raise ConfigurationError(
            f"{address.url} needs the key of a service account: give the JSON document that Google made for it."
        )
    if found := next((name for name in _INTERFERING if os.environ.get(name)), None):
        raise ConfigurationError(f"{address.url} has a key of its own, which {found} would hide: unset that variable.")
    return obstore.store.GCSStore(
        address.host,
        prefix=address.path or None,
        # Said in full: the library takes what is not said from variables of its own.
        config={"service_account_key": key, "skip_signature": False, "base_url": base or _GOOGLE},
        client_options=_client(base),
        retry_config=_RETRIES,
    )


def _azure(address: Address, secrets: Mapping[str, str]) -> Store:
    account = address.options.get("account") or secrets.get("account", "")
    endpoint = address.options.get("endpoint", "").rstrip("/")
    parts = urlsplit(endpoint)
    if endpoint and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.username):
        raise UsageError(f"The endpoint of az://{address.host} is no http or https address: correct it.")
    if not re.fullmatch(r"[a-z0-9]{3,24}", account):
        raise ConfigurationError(
            f"{address.url} needs the name of the storage account: add ?account=name, or set AZURE_STORAGE_ACCOUNT."
        )
    config: dict[str, Any] = {"account_name": account, "use_emulator": False, "skip_signature": False}
    config["endpoint"] = endpoint or f"https://{account}.blob.core.windows.net"
    if key := secrets.get("account_key"):
        config |= {"account_key": key.strip(), "credential_type": "access_key"}
    elif token := secrets.get("sas_token", "").strip().removeprefix("?"):
        config |= {"sas_key": token, "credential_type": "sas_token"}
    else:
        raise ConfigurationError(
            f"{address.url} needs the account key or a shared access signature: set AZURE_STORAGE_ACCOUNT_KEY or "
            "AZURE_STORAGE_SAS_TOKEN, or enter it."
        )
    return obstore.store.AzureStore(
        address.host,
        prefix=address.path or None,
        config=config,  # type: ignore[arg-type]  # put together above
        client_options=_client(endpoint),
        retry_config=_RETRIES,
    )


def _client(endpoint: str) -> ClientConfig:
    # A request is a piece of a file at most: one that takes so long is not on a line that will ever be of use.
    return {"allow_http": endpoint.startswith("http://"), "connect_timeout": "10s", "timeout": "5m"}


def status_of(error: Exception) -> int:
    """Return the HTTP status in an error of the library, 0 for none."""
    found = _STATUS.search(str(error))
    return int(found[1] or found[2]) if found else 0


def sentence(error: Exception, label: str, name: str = "") -> BackstayError:
    """Return the error a user meets for one of the library.

    Args:
        error: of the library.
        label: how messages call the place.
        name: of the file, or empty.
    """
    status = status_of(error)
    found = _CODE.search(str(error))
    code = found[1] if found else ""
    by_kind = next((one for kind, one in _BY_KIND if isinstance(error, kind)), None)
    unknown = _REFUSED if status else _AWAY
    kind, text = _BY_CODE.get(code) or _BY_STATUS.get(status) or by_kind or unknown
    answer = f"{status or ''} {code}".strip()
    return kind(text.format(label=label, what=f"{name} in {label}" if name else label, answer=answer))
