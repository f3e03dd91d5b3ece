"""Statements of a PostgreSQL dump that a server may refuse while the rest is loaded, and the objects they are about."""

from __future__ import annotations

import re

from backstay.databases.model import SkippedObject

_KINDS = (
    rb"FOREIGN\s+DATA\s+WRAPPER|FOREIGN\s+TABLE|SERVER|USER\s+MAPPING|EVENT\s+TRIGGER|PUBLICATION|SUBSCRIPTION|EXTENSION"
    rb"|MATERIALIZED\s+VIEW|VIEW|TABLE|SEQUENCE|INDEX|TYPE|DOMAIN|FUNCTION|PROCEDURE|AGGREGATE|TRIGGER|RULE|POLICY"
    rb"|STATISTICS|COLLATION|CONVERSION|CAST|OPERATOR\s+CLASS|OPERATOR\s+FAMILY|OPERATOR|LANGUAGE|COLUMN|CONSTRAINT"
    rb"|TEXT\s+SEARCH\s+\w+|ACCESS\s+METHOD|TRANSFORM|SCHEMA"
)
_BEFORE_KIND = rb"(?:OR\s+REPLACE|UNIQUE|UNLOGGED|CONSTRAINT(?=\s+TRIGGER)|RECURSIVE|(?:TRUSTED\s+)?PROCEDURAL)\s+"
_QUOTED_OR_BARE = rb"(?:\"(?:[^\"]|\"\")+\"|[^\s(;\".]+)"
_NAME = rb"(?P<name>" + _QUOTED_OR_BARE + rb"(?:\." + _QUOTED_OR_BARE + rb"){0,2})"
_ABOUT = re.compile(
    rb"(?P<verb>CREATE|ALTER|COMMENT\s+ON|REFRESH)\s+(?:" + _BEFORE_KIND + rb")?(?P<kind>" + _KINDS
    + rb")\s+(?:IF\s+NOT\s+EXISTS\s+|ONLY\s+|FOR\s+)?" + _NAME,
    re.IGNORECASE,
)  # fmt: skip
_CONSTRAINT = re.compile(
    rb"ALTER\s+TABLE\s+(?:ONLY\s+)?(?P<table>\S+)\s+ADD\s+CONSTRAINT\s+(?P<name>" + _QUOTED_OR_BARE
    + rb")\s+(?P<foreign>FOREIGN\s+KEY\b)?",
    re.IGNORECASE,
)  # fmt: skip
_REQUIRED = re.compile(rb"(?:SET|SELECT|COPY|CREATE\s+SCHEMA)\s", re.IGNORECASE)
_SUBSCRIPTION = re.compile(rb"(?:CREATE|ALTER)\s+SUBSCRIPTION\s", re.IGNORECASE)


def is_required(statement: bytes) -> bool:
    """Return whether a load fails where the server refuses a statement: settings, schemas, rows, sequences' values."""
    return _REQUIRED.match(statement) is not None


def is_subscription(statement: bytes) -> bool:
    """Return whether a statement subscribes to another server."""
    return _SUBSCRIPTION.match(statement) is not None


def is_foreign_key(statement: bytes) -> bool:
    """Return whether a statement adds a foreign key to a table."""
    match = _CONSTRAINT.match(statement)
    return match is not None and match["foreign"] is not None


def unchecked_foreign_key(statement: bytes, reason: str) -> SkippedObject:
    """Return the check that a foreign key waits for, which was added for rows to come only.

    Args:
        statement: for which ``is_foreign_key`` is true.
        reason: in the server's words.
    """
    match = _CONSTRAINT.match(statement)
    table, name = (match["table"], match["name"]) if match else (b"", b"")
    text = f"ALTER TABLE {_text(table)} VALIDATE CONSTRAINT {_text(name)};"
    return SkippedObject("check of present rows by the foreign key", _plain(name), reason, text)


def refused_object(statement: bytes, reason: str) -> SkippedObject:
    """Return what a server refused to make.

    Args:
        statement: of a dump.
        reason: in the server's words.
    """
    text = f"{_text(statement).rstrip()};"
    if match := _CONSTRAINT.match(statement):
        kind = "foreign key" if match["foreign"] else "constraint"
        return SkippedObject(kind, _plain(match["name"]), reason, text)
    if match := _ABOUT.match(statement):
        kind = " ".join(match["kind"].decode().lower().split())
        verb = match["verb"][:1].upper()
        before = {b"A": "change of the ", b"R": "content of the "}.get(verb, "")
        before = f"comment on the {before}" if match["verb"][:3].upper() == b"COM" else before
        return SkippedObject(before + kind, _plain(match["name"]), reason, text)
    return SkippedObject("object of the statement", " ".join(text.split())[:80], reason, text)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _plain(name: bytes) -> str:
    return _text(name).replace('"', "").removeprefix("public.")
