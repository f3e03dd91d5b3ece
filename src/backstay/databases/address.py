"""Where a database is: one address for every kind, read from a URL and shown without its password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from backstay.errors import UsageError

Kind = Literal["mysql", "postgresql", "sqlite"]

_SCHEMES: Mapping[str, Kind] = {
    "mysql": "mysql",
    "mariadb": "mysql",
    "mysqli": "mysql",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "pgsql": "postgresql",
    "sqlite": "sqlite",
    "sqlite3": "sqlite",
}
_SOCKET_KEYS = ("unix_socket", "socket")


@dataclass(frozen=True)
class DatabaseAddress:
    """The address of one database.

    Attributes:
        kind: which family of servers speaks there.
        host: name or address of the server; empty with a socket, and for SQLite.
        port: TCP port, ``None`` for the server's usual one.
        socket: path of a Unix socket (PostgreSQL: of the folder that holds it), or empty.
        user: account name.
        password: its password; in no ``repr``.
        name: name of the database; for SQLite the path of its file.
        prefix: prefix of the site's table names (``jos_``), written ``#__`` in a dump.
        options: other query parameters of the URL, such as ``ssl_ca``.
    """

    kind: Kind
    host: str = ""
    port: int | None = None
    socket: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    name: str = ""
    prefix: str = ""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, url: str, *, prefix: str | None = None) -> Self:
        """Read a URL such as ``mysql://user:password@host:port/name?prefix=abc_``.

        ``?unix_socket=`` names a socket; the scheme of a driver (``mysql+pymysql``) is accepted. SQLite paths follow
        the usual custom: ``sqlite:///relative.db``, ``sqlite:////absolute.db``; where only the absolute reading of
        three slashes names something that exists, it is taken.

        Args:
            url: the URL; reserved characters in user and password are percent-encoded.
            prefix: table prefix, if it does not stand in the URL (it wins over the URL's).

        Raises:
            UsageError: the URL names no database or an unknown kind of server. The message never holds the password.
        """
        scheme, separator, _ = url.partition(":")
        kind = _SCHEMES.get(scheme.partition("+")[0].lower())
        if kind is None or not separator:
            raise UsageError(
                "A database URL begins with mysql://, postgresql:// or sqlite:///; "
                f"this one begins with {scheme[:20] if separator else 'none of them'!r}."
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as problem:
            raise UsageError(f"The {kind} URL cannot be read: its host or port is malformed.") from problem
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        url_prefix = query.pop("prefix", "")
        address = cls(kind=kind, prefix=url_prefix if prefix is None else prefix)
        if kind == "sqlite":
            # Not urlsplit's fields: a file's name may hold '?' only percent-encoded, but '#' is common enough.
            path = _sqlite_path(url)
            if not path:
                raise UsageError("The SQLite URL names no file; write sqlite:///path/of/file.db.")
            return replace(address, name=path, options=query)
        socket = ""
        for key in _SOCKET_KEYS:
            socket = query.pop(key, "") or socket
        host = unquote(parts.hostname or "")
        if kind == "postgresql":
            host = query.pop("host", "") or host
            if host.startswith("/"):
                host, socket = "", host
        name = unquote(parts.path.removeprefix("/"))
        if not name:
            raise UsageError(f"The {kind} URL names no database; write {kind}://user:password@host/name.")
        return replace(
            address,
            host="" if socket else host or "localhost",
            port=port,
            socket=socket,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            name=name,
            options=query,
        )

    def url(self) -> str:
        """Return the address as a URL that :meth:`parse` reads back, password included."""
        return self._url(self.password, self.options)

    def redacted(self) -> str:
        """Return the address as a URL for people and logs: no password, no options."""
        return self._url("***" if self.password else "", {})

    def _url(self, password: str, options: Mapping[str, str]) -> str:
        query = {**options}
        if self.prefix:
            query["prefix"] = self.prefix
        if self.socket and self.kind != "sqlite":
            query["unix_socket"] = self.socket
        end = "?" + urlencode(query, safe="/") if query else ""
        if self.kind == "sqlite":
            return f"sqlite:///{quote(self.name)}{end}"
        account = quote(self.user, safe="")
        if password:
            account += ":" + quote(password, safe="*")
        host = f"[{self.host}]" if ":" in self.host else self.host
        where = (f"{account}@" if account else "") + host + (f":{self.port}" if self.port is not None else "")
        return f"{self.kind}://{where}/{quote(self.name, safe='')}{end}"


def _sqlite_path(url: str) -> str:
    rest = url.split(":", 1)[1].split("?", 1)[0]
    if not rest.startswith("//"):
        return unquote(rest)
    path = unquote(rest[2:])
    if not path.startswith("/"):
        return path
    relative = path[1:]
    if not relative or relative.startswith("/"):
        return relative
    if not _may_hold(Path(relative)) and _may_hold(Path(path)):
        return path
    return relative


def _may_hold(path: Path) -> bool:
    return path.parent.is_dir() and (path.exists() or path.parent != Path("/"))
