"""Where a destination is: one address for every kind of service, read from a URL and kept apart from its secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from backstay.errors import ConfigurationError, UsageError


@dataclass(frozen=True, slots=True)
class SecretField:
    """One secret that a kind of service can ask for.

    Attributes:
        name: its key in the secrets of a destination.
        label: what a prompt asks for.
        variables: environment variables that hold it, the first that is set wins.
        file_variables: environment variables that hold the path of a file with it.
        required: the service cannot be used without it.
    """

    name: str
    label: str
    variables: tuple[str, ...] = ()
    file_variables: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class Scheme:
    """What the URLs of one kind of service hold.

    Attributes:
        module: module of this package that speaks to it; it has a function ``open_address(address, secrets)``.
        form: how its URL is written.
        secrets: what it can ask for.
        options: names of the query parameters it knows.
        has_host: a server or bucket stands after the two slashes.
    """

    module: str
    form: str
    secrets: tuple[SecretField, ...] = ()
    options: tuple[str, ...] = ()
    has_host: bool = True


_PASSWORD = SecretField("password", "Password", ("BACKSTAY_STORAGE_PASSWORD",))

SCHEMES: Mapping[str, Scheme] = {
    "folder": Scheme("folder", "folder:///mnt/nas/backups", options=("mount",), has_host=False),
    "s3": Scheme(
        "s3",
        "s3://bucket/prefix?endpoint=https://host&region=eu-central-1",
        (
            SecretField("access_key_id", "Access key id", ("AWS_ACCESS_KEY_ID",), required=True),
            SecretField("secret_access_key", "Secret access key", ("AWS_SECRET_ACCESS_KEY",), required=True),
            SecretField("session_token", "Session token", ("AWS_SESSION_TOKEN",)),
        ),
        ("endpoint", "region", "style", "class", "lock_mode"),
    ),
    "gs": Scheme(
        "objects",
        "gs://bucket/prefix",
        (
            SecretField(
                "service_account",
                "Service account key (the JSON document)",
                ("GOOGLE_SERVICE_ACCOUNT_KEY",),
                ("GOOGLE_APPLICATION_CREDENTIALS",),
                required=True,
            ),
        ),
    ),
    "az": Scheme(
        "objects",
        "az://container/prefix?account=name",
        (
            SecretField("account", "Storage account", ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME")),
            SecretField("account_key", "Account key", ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_KEY")),
            SecretField("sas_token", "Shared access signature", ("AZURE_STORAGE_SAS_TOKEN",)),
        ),
        ("account", "endpoint"),
    ),
    "sftp": Scheme(
        "rclone",
        "sftp://user@host:port/path",
        (
            _PASSWORD,
            SecretField(
                "private_key", "Private key", ("BACKSTAY_STORAGE_PRIVATE_KEY",), ("BACKSTAY_STORAGE_PRIVATE_KEY_FILE",)
            ),
            SecretField(
                "private_key_password", "Password of the private key", ("BACKSTAY_STORAGE_PRIVATE_KEY_PASSWORD",)
            ),
        ),
        ("known_hosts", "host_key"),
    ),
    "webdavs": Scheme("rclone", "webdavs://user@host/path", (_PASSWORD,), ("vendor",)),
    "webdav": Scheme("rclone", "webdav://user@host/path", (_PASSWORD,), ("vendor",)),
    "ftps": Scheme("rclone", "ftps://user@host:port/path", (_PASSWORD,), ("implicit",)),
    "ftp": Scheme("rclone", "ftp://user@host:port/path", (_PASSWORD,)),
    "rclone": Scheme(
        "rclone",
        "rclone:REMOTE:path",
        (SecretField("config_password", "Password of rclone's configuration", ("RCLONE_CONFIG_PASS",)),),
        ("config",),
        has_host=False,
    ),
}
"""Every kind of service. One more is one module and one entry here."""

_REMOTE = re.compile(r"rclone:(?P<remote>[\w.+@][\w.+@ -]*):(?P<path>[^?]*)(?:\?(?P<query>.*))?", re.DOTALL)
_USER_IS, _PASSWORD_IS = "access_key_id", "secret_access_key"


@dataclass(frozen=True, slots=True)
class Address:
    """The address of one destination, without secrets.

    Attributes:
        scheme: a key of `SCHEMES`.
        host: server, bucket or container; for ``rclone`` the name of the remote; empty for a folder.
        port: TCP port, None for the usual one.
        user: account name, or empty.
        path: folder or prefix, without slashes at its ends but the leading one of an absolute folder.
        options: query parameters of the URL.
    """

    scheme: str
    host: str = ""
    port: int | None = None
    user: str = ""
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address as a URL that `parse_address` reads back."""
        query = "?" + urlencode(self.options, safe=":/", quote_via=quote) if self.options else ""
        if self.scheme == "rclone":
            return f"rclone:{self.host}:{quote(self.path)}{query}"
        user = quote(self.user, safe="") + "@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port is not None else ""
        path = self.path if self.path.startswith("/") or not self.path else "/" + self.path
        return f"{self.scheme}://{user}{host}{port}{quote(path)}{query}"


def parse_address(url: str) -> tuple[Address, dict[str, str]]:
    """Read the URL of a destination.

    Args:
        url: such as those of `SCHEMES`; reserved characters are percent-encoded. A user and a password may stand in it.

    Returns:
        The address without secrets, and the secrets that stood in the URL by their names.

    Raises:
        UsageError: the URL names no destination. The sentence holds no part of the URL that may be secret.
    """
    name = url.partition(":")[0].lower()
    scheme = SCHEMES.get(name)
    if scheme is None:
        kinds = ", ".join(
            known.partition("/")[0] + "//" for known in (s.form for s in SCHEMES.values()) if "//" in known
        )
        raise UsageError(f"The URL of a destination begins with one of {kinds} or rclone:; this one does not.")
    if name == "rclone":
        return _parse_remote(url, scheme), {}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as problem:
        raise UsageError(f"The {name} URL can't be read: its host or port is malformed.") from problem
    host = unquote(parts.hostname or "")
    if name in {"s3", "gs", "az"}:  # names of buckets keep their case, which `hostname` does not
        host = unquote(parts.netloc.rpartition("@")[2])
        port = None
    path = unquote(parts.path)
    if scheme.has_host and not host:
        raise UsageError(f"The {name} URL names no server or bucket: write {scheme.form}.")
    if not scheme.has_host and (host or len(path) < 2):
        raise UsageError(f"The {name} URL names no absolute folder: write {scheme.form} (with three slashes).")
    _refuse_odd_characters(name, host + path)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    secrets = {}
    if name == "s3":
        secrets = {key: value for key, value in ((_USER_IS, user), (_PASSWORD_IS, password)) if value}
        user = ""
    elif password:
        secrets["password"] = password
    path = "/" + path.strip("/") if name == "folder" else path.strip("/") if scheme.module != "rclone" else path
    return Address(name, host, port, user, path.rstrip("/"), _options(name, scheme, parts.query)), secrets


def _parse_remote(url: str, scheme: Scheme) -> Address:
    found = _REMOTE.fullmatch(url)
    if found is None:
        raise UsageError(
            "The rclone URL can't be read: write rclone:REMOTE:path, with the name of a remote of your rclone.conf "
            "(its settings belong there, not into the URL)."
        )
    path = unquote(found["path"])
    _refuse_odd_characters("rclone", path)
    return Address(
        "rclone", found["remote"], None, "", path.rstrip("/"), _options("rclone", scheme, found["query"] or "")
    )


def _options(name: str, scheme: Scheme, query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for option in options:
        if option not in scheme.options:
            known = f"it knows {', '.join(scheme.options)}" if scheme.options else "it knows none"
            raise UsageError(f"The {name} URL has a parameter {option[:40]!r} that is not known: {known}.")
    return options


def _refuse_odd_characters(name: str, text: str) -> None:
    if any(ord(character) < 32 or ord(character) == 127 for character in text) or ".." in text.split("/"):
        raise UsageError(f"The {name} URL can't be used: it holds '..' or a control character.")


def secret_fields(address: Address) -> tuple[SecretField, ...]:
    """Return the secrets that the service of an address can ask for, in the order to ask for them."""
    return SCHEMES[address.scheme].secrets


def secrets_from_environment(address: Address, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets for an address that environment variables hold, or the files they name.

    Raises:
        ConfigurationError: a file that is named can't be read.
    """
    found: dict[str, str] = {}
    for wanted in secret_fields(address):
        for variable in wanted.variables:
            if value := environment.get(variable):
                found.setdefault(wanted.name, value)
        for variable in wanted.file_variables:
            if (path := environment.get(variable)) and wanted.name not in found:
                try:
                    found[wanted.name] = Path(path).read_text(encoding="utf-8")
                except (OSError, UnicodeDecodeError) as error:
                    raise ConfigurationError(f"{path}, named by {variable}, can't be read: check its path.") from error
    return found


def require_secrets(address: Address, secrets: Mapping[str, str]) -> None:
    """Check that no secret is missing without which the service cannot be used.

    Raises:
        ConfigurationError: names the first that is missing and where it can come from.
    """
    for wanted in secret_fields(address):
        if wanted.required and not secrets.get(wanted.name):
            sources = " or ".join((*wanted.variables, *wanted.file_variables))
            raise ConfigurationError(f"{address.url} needs the {wanted.label.lower()}: set {sources}, or enter it.")
