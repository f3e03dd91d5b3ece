"""Statements of a MySQL dump on their way into its parts."""

from __future__ import annotations

from backstay.databases.mysql.definitions import Session
from backstay.databases.mysql.tokens import quote_string
from backstay.databases.parts import MARKER, PartWriter


class StatementWriter:
    """Writes statements in the vendor's form: a marker before and ``;`` after each, or ``DELIMITER`` where needed."""

    def __init__(self, parts: PartWriter, *, markers: bool) -> None:
        self._parts = parts
        self._markers = markers
        self._session = Session()

    @property
    def written(self) -> int:
        """Bytes written so far."""
        return self._parts.written

    def preamble(self, sql_mode: str) -> None:
        """Write the session settings that make a plain SQL client load the dump as it is meant."""
        self.statement("SET NAMES utf8mb4")
        self.statement(
            f"SET SESSION sql_mode = {quote_string(sql_mode)}, time_zone = '+00:00', "
            "foreign_key_checks = 0, unique_checks = 0"
        )

    def session(self, wanted: Session) -> None:
        """Write a SET statement if the next statement needs other session settings than the last."""
        now = self._session
        changes = []
        if wanted.sql_mode != now.sql_mode:
            changes.append(f"sql_mode = {quote_string(wanted.sql_mode)}")
        if wanted.collation != now.collation:
            changes.append(f"collation_connection = {quote_string(wanted.collation)}")
        if wanted.charset != now.charset:
            changes.append(f"character_set_client = {quote_string(wanted.charset)}")
        if wanted.time_zone != now.time_zone:
            changes.append(f"time_zone = {quote_string(wanted.time_zone)}")
        if changes:
            self.statement(f"SET SESSION {', '.join(changes)}")
            self._session = wanted

    def statement(self, text: str, *, compound: bool = False) -> None:
        """Write one statement; ``compound`` if semicolons may stand inside it."""
        data = text.encode("utf-8", "surrogateescape")
        if self._markers:
            self._parts.write(MARKER + data + b";\n")
        elif compound:
            self._parts.write(b"DELIMITER $$\n" + data + b"$$\nDELIMITER ;\n")
        else:
            self._parts.write(data + b";\n")

    def insert(self, head: bytes, rows: bytes) -> None:
        """Write an INSERT whose rows are text already."""
        self._parts.write(b"".join((MARKER if self._markers else b"", head, rows, b";\n")))

    def finish(self) -> None:
        """Make sure that there is a part, even of an empty database."""
        if not self._parts.names:
            self._parts.write(b"")
