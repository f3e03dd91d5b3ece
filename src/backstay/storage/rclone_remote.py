"""What rclone needs to know about a destination: its remote, as environment variables, and the path there.

Nothing secret stands in a command line, which every user of a machine can read. Remotes of our own addresses need no
file and see none; those of ``rclone:REMOTE:path`` come from the user's own configuration.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets as random_source
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import quote

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from backstay.errors import ConfigurationError, StorageError, UsageError
from backstay.storage.address import Address

# rclone, fs/config/obscure/obscure.go: AES-CTR under a key that is public. It hides a password from a glance, no more.
_OBSCURE_KEY = bytes.fromhex("9c935b48730a554d6bfd7c63c886a92bd390198eb8128afbf4de162b8b95f638")
_NAME = "backstay"
VARIABLE = "RCLONE_CONFIG_BACKSTAY_"
_KEPT = re.compile(r"PATH|HOME|USER|LANG|LC_.*|TMPDIR|SSL_CERT_(?:FILE|DIR)|(?i:https?_proxy|no_proxy|all_proxy)")
"""Variables that a remote of our own may see; the user's settings of rclone must not change what it does."""
_NEXTCLOUD = re.compile(r"(?P<root>.*?/dav/files/[^/]+)(?:/(?P<rest>.*))?")
_COMMON = {
    "RCLONE_USE_JSON_LOG": "true",
    "RCLONE_LOG_LEVEL": "NOTICE",
    "RCLONE_ASK_PASSWORD": "false",
    "RCLONE_INPLACE": "true",  # a file that has not arrived whole has a name of our own
    "RCLONE_IGNORE_TIMES": "true",  # what has the same size and time is not the same
    "RCLONE_RETRIES": "1",  # the caller tries again, with growing pauses
    "RCLONE_LOW_LEVEL_RETRIES": "2",
    "RCLONE_CONTIMEOUT": "15s",
    "RCLONE_TIMEOUT": "60s",
}


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote of rclone, and a folder there.

    Attributes:
        base: what stands before a name in rclone's paths, ``NAME:folder``.
        environment: all the variables that rclone is started with; it holds secrets.
        secrets: what must not be seen in a message.
    """

    base: str
    environment: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def path(self, name: str = "") -> str:
        """Return rclone's path of a file or folder of the destination."""
        if not name:
            return self.base
        return self.base + name if self.base.endswith((":", "/")) else f"{self.base}/{name}"


def obscure(secret: str) -> str:
    """Return a password in the form that rclone's settings hold it in."""
    start = random_source.token_bytes(16)
    encryptor = Cipher(algorithms.AES(_OBSCURE_KEY), modes.CTR(start)).encryptor()
    hidden = start + encryptor.update(secret.encode()) + encryptor.finalize()
    return base64.urlsafe_b64encode(hidden).rstrip(b"=").decode()


def make_remote(address: Address, secrets: Mapping[str, str], environment: Mapping[str, str]) -> Remote:
    """Return the remote of an address.

    Args:
        address: one whose scheme is served by rclone.
        secrets: by name.
        environment: of this process.

    Raises:
        ConfigurationError: a file that is needed is not there.
        UsageError: a parameter of the address can't be used.
    """
    if address.scheme == "rclone":
        return _remote_of_the_user(address, secrets, environment)
    settings, path = _MAKERS[address.scheme](address, secrets)
    if password := secrets.get("password"):
        settings["pass"] = obscure(password)
    if address.user:
        settings["user"] = address.user
    variables = {name: value for name, value in environment.items() if _KEPT.fullmatch(name)}
    variables |= {VARIABLE + name.upper(): value for name, value in settings.items()}
    return Remote(
        f"{_NAME}:{path}",
        variables | _COMMON | {"RCLONE_CONFIG": os.devnull},
        tuple(value for value in secrets.values() if value),
    )


def _remote_of_the_user(address: Address, secrets: Mapping[str, str], environment: Mapping[str, str]) -> Remote:
    variables = {name: value for name, value in environment.items() if name != "RCLONE_LOG_FILE"} | _COMMON
    if config := address.options.get("config"):
        if not Path(config).is_file():
            raise ConfigurationError(f"rclone's configuration {config} is not there: correct 'config' in the URL.")
        variables["RCLONE_CONFIG"] = config
    if password := secrets.get("config_password"):
        variables["RCLONE_CONFIG_PASS"] = password
    return Remote(f"{address.host}:{address.path}", variables, tuple(value for value in secrets.values() if value))


def _sftp(address: Address, secrets: Mapping[str, str]) -> tuple[dict[str, str], str]:
    settings = {"type": "sftp", "host": address.host, "known_hosts_file": str(_known_hosts(address))}
    if address.port:
        settings["port"] = str(address.port)
    if key := secrets.get("private_key"):
        settings["key_pem"] = key.strip().replace("\r\n", "\n").replace("\n", "\\n")
        if password := secrets.get("private_key_password"):
            settings["key_file_pass"] = obscure(password)
    elif not secrets.get("password"):
        settings["key_use_agent"] = "true"
    return settings, address.path[1:]


def _known_hosts(address: Address) -> Path:
    """Return the file with the key of the server, which is never trusted unseen."""
    if key := address.options.get("host_key"):
        if not re.fullmatch(r"[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}", key):
            raise UsageError(
                "host_key in the sftp URL is no public key: write its type, %20 and the key, as ssh-keyscan does."
            )
        line = f"{known_host(address)} {key}\n"
        folder = Path.home() / ".cache" / "backstay"
        path = folder / f"known_hosts.{hashlib.sha256(line.encode()).hexdigest()[:16]}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as file:
                file.write(line)
            Path(file.name).replace(path)
        except OSError as error:
            raise StorageError(f"{folder} can't be written ({error.strerror}): check its permissions.") from error
        return path
    path = Path(address.options.get("known_hosts") or "~/.ssh/known_hosts").expanduser()
    if not path.is_file():
        raise ConfigurationError(f"{path} is not there, so that {unknown_host_sentence(address)}")
    return path


def known_host(address: Address) -> str:
    """Return the server's name as a file of known hosts has it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    return address.host if address.port in {None, 22} else f"[{address.host}]:{address.port}"


def unknown_host_sentence(address: Address) -> str:
    """Say what to do about a server whose key is not known."""
    port = f" -p {address.port}" if address.port else ""
    return (
        f"the key of the server {known_host(address)} is not known here: compare what "
        f"'ssh-keyscan{port} {address.host}' prints with what its provider publishes, then add it to "
        f"{address.options.get('known_hosts') or '~/.ssh/known_hosts'}, or give it as host_key in the URL."
    )


def _webdav(address: Address, _secrets: Mapping[str, str]) -> tuple[dict[str, str], str]:
    host = f"[{address.host}]" if ":" in address.host else address.host
    port = f":{address.port}" if address.port else ""
    path, root = address.path.strip("/"), ""
    vendor = address.options.get("vendor")
    if (found := _NEXTCLOUD.fullmatch(path)) and vendor in {None, "nextcloud"}:
        vendor, root, path = "nextcloud", found["root"], found["rest"] or ""
    scheme = "https" if address.scheme == "webdavs" else "http"
    url = f"{scheme}://{host}{port}/{quote(root)}"
    return {"type": "webdav", "url": url, "vendor": vendor or "other"}, path


def _ftp(address: Address, _secrets: Mapping[str, str]) -> tuple[dict[str, str], str]:
    settings = {"type": "ftp", "host": address.host}
    if address.port:
        settings["port"] = str(address.port)
    if address.scheme == "ftps":
        settings["tls" if address.options.get("implicit") == "1" else "explicit_tls"] = "true"
    return settings, address.path[1:]


_MAKERS = {"sftp": _sftp, "webdav": _webdav, "webdavs": _webdav, "ftp": _ftp, "ftps": _ftp}
