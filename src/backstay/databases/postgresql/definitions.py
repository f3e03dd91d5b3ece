"""Definitions of a PostgreSQL database, as ``pg_dump --schema-only`` writes them under a dump's own snapshot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from backstay.databases.address import DatabaseAddress
from backstay.databases.postgresql.connection import parameters
from backstay.databases.postgresql.schema import Relation
from backstay.errors import DumpError

_INSTALLED = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/opt/local/lib/postgresql*/bin",
)
_REMOVAL = re.compile(r"^(?:DROP [^\n]*;|ALTER [A-Z ]+ IF EXISTS [^\n]*;)\n", re.MULTILINE)
_META_COMMAND = re.compile(r"^\\(?:un)?restrict .*\n", re.MULTILINE)


def find_pg_dump(server: int) -> str:
    """Return the path of a ``pg_dump`` that is at least as new as the server.

    Args:
        server: the server's version as libpq reports it (160014 for 16.14).

    Raises:
        DumpError: there is none, or only older ones.
    """
    found: list[tuple[int, str]] = []
    for path in _candidates():
        version = _version(path)
        if version >= server // 10_000:
            return path
        found.append((version, path))
    if not found:
        raise DumpError(
            "The program pg_dump, which writes PostgreSQL's definitions, is not installed: "
            f"install the PostgreSQL {server // 10_000} client programs."
        )
    newest, path = max(found)
    raise DumpError(
        f"{path} is of version {newest}, older than the server ({server // 10_000}), and cannot read its definitions: "
        f"install the PostgreSQL {server // 10_000} client programs."
    )


def _candidates() -> Iterable[str]:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if path := shutil.which("pg_dump", path=folder or os.curdir):
            yield path
    for pattern in _INSTALLED:
        root = Path(pattern[: pattern.index("*")]).parent
        for folder_path in sorted(root.glob(str(Path(pattern).relative_to(root))), reverse=True):
            if (folder_path / "pg_dump").exists():
                yield str(folder_path / "pg_dump")


def _version(program: str) -> int:
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, check=False, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(rb"\(PostgreSQL\) (\d+)", answer)
    return int(match[1]) if match else 0


class SchemaDump:
    """Runs ``pg_dump`` for one database.

    Args:
        program: its path.
        address: of the database.
        snapshot: an exported snapshot; empty for what is there now.
        excluded: relations to leave out.
    """

    def __init__(
        self, program: str, address: DatabaseAddress, snapshot: str = "", excluded: Iterable[Relation] = ()
    ) -> None:
        self._program = program
        self._address = address
        self._arguments = ["--schema-only", "--encoding=UTF8"]
        self._arguments += [f"--snapshot={snapshot}"] if snapshot else []
        # Quotation marks make a pattern exact.
        self._arguments += [f"--exclude-table={relation.quoted}" for relation in excluded]

    def before_rows(self) -> tuple[str, list[str]]:
        """Return the definitions that rows need, and the statements that remove what they make, in an order that works.

        One run answers both: ``--clean`` writes the removals before the first definition.
        """
        text = self._run("--section=pre-data", "--clean", "--if-exists")
        first = re.search(r"(?m)^CREATE ", text)
        head = text[: first.start()] if first else text
        drops = _REMOVAL.findall(head)
        return _REMOVAL.sub("", head) + text[len(head) :], [drop.rstrip().removesuffix(";") for drop in drops]

    def after_rows(self) -> str:
        """Return the definitions that come after the rows: indexes, keys, triggers, policies."""
        return self._run("--section=post-data")

    def of(self, relations: Iterable[Relation]) -> str:
        """Return the definitions of some relations and of all that belongs to them."""
        return self._run(*(f"--table={relation.quoted}" for relation in relations))

    def _run(self, *arguments: str) -> str:
        where = parameters(self._address)
        environment = {**os.environ, "PGCONNECT_TIMEOUT": str(where["connect_timeout"]), "PGTZ": "UTC"}
        environment |= {"PGPASSWORD": self._address.password} if self._address.password else {}
        for key in ("sslmode", "sslrootcert", "sslcert", "sslkey"):
            if key in where:
                environment[f"PG{key.upper()}"] = str(where[key])
        command = [self._program, *self._arguments, *arguments]
        if where.get("host"):
            command.append(f"--host={where['host']}")
        if where.get("port"):
            command.append(f"--port={where['port']}")
        if where.get("user"):
            command.append(f"--username={where['user']}")
        command += ["--no-password", f"--dbname=dbname='{_escaped(self._address.name)}'"]
        done = subprocess.run(command, capture_output=True, check=False, env=environment, stdin=subprocess.DEVNULL)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise DumpError(f"pg_dump failed on {self._address.redacted()}: {said[0] if said else 'no reason given'}.")
        # psql's own commands, which guard a restore by psql, mean nothing to a server.
        return _META_COMMAND.sub("", done.stdout.decode("utf-8"))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
