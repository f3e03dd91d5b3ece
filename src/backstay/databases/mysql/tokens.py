"""The lexical side of MySQL's SQL: identifiers found and changed, and nothing else touched.

Names are changed in identifiers only, never in strings or comments: a value ``#__x`` is a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

ABSTRACT = "#__"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the SQL mode changes in how text is read."""

    ansi_quotes: bool = False
    backslash_escapes: bool = True

    @classmethod
    def of_mode(cls, sql_mode: str) -> Dialect:
        """Return the dialect of an ``sql_mode`` value."""
        modes = sql_mode.upper().split(",")
        return cls("ANSI_QUOTES" in modes or "ANSI" in modes, "NO_BACKSLASH_ESCAPES" not in modes)


@dataclass(slots=True)
class Token:
    """A piece of SQL: its text and what it is (``identifier``, ``string``, ``comment``, ``space``, ``other``)."""

    text: str
    kind: str

    @property
    def name(self) -> str:
        """The name an identifier stands for, quotes taken off."""
        mark = self.text[0]
        return self.text[1:-1].replace(mark * 2, mark) if mark in '`"' else self.text

    def renamed(self, name: str) -> str:
        """Return the identifier's text with another name, quoted as it was; a bare name is quoted where it must be."""
        mark = self.text[0]
        if mark in '`"':
            return mark + name.replace(mark, mark * 2) + mark
        bare = name.removeprefix(ABSTRACT)
        return name if re.fullmatch(r"[A-Za-z0-9_$\x80-\U0010ffff]*", bare) else quote(name)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an identifier stands.

    Attributes:
        previous: the token before it, words in upper case; empty at the start.
        qualifier: the name before its dot (``a`` of ``a.b``), ``None`` without one.
    """

    previous: str
    qualifier: str | None


def quote(name: str) -> str:
    """Return a name in backticks."""
    return "`" + name.replace("`", "``") + "`"


def quote_string(text: str) -> str:
    """Return a text as a string literal that means the same with and without backslash escapes, save for backslashes.

    Used for names and modes, which hold none; values are quoted by :mod:`backstay.databases.mysql.rows`.
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@cache
def _pattern(dialect: Dialect, *, abstract: bool) -> re.Pattern[str]:
    # Unrolled, and never ended before a doubled quote: possessive groups match wrongly in Python before 3.11.5.
    plain, escape = (r"[^{q}\\]*", r"(?:\\.|{q}{q})") if dialect.backslash_escapes else ("[^{q}]*", "{q}{q}")
    quoted = "{q}" + plain + "(?:" + escape + plain + ")*{q}(?!{q})"
    single, double = (quoted.replace("{q}", q) for q in ("'", '"'))
    identifiers, strings = [r"`[^`]*(?:``[^`]*)*`(?!`)"], [single]
    (identifiers if dialect.ansi_quotes else strings).append(double)
    # In a dump '#__name' is a name; elsewhere '#' begins a comment.
    hash_comment = r"\#(?!__[\w$])[^\n]*" if abstract else r"\#[^\n]*"
    word = r"(?:\#__)?[\w$]+" if abstract else r"[\w$]+"
    # '/*!50100' and '/*M!100100' begin code that every server of that version reads.
    return re.compile(
        rf"(?P<identifier>{'|'.join(identifiers)})|(?P<string>{'|'.join(strings)})"
        rf"|(?P<comment>--(?=[\x00-\x20]|\Z)[^\n]*|{hash_comment}|/\*(?!M?!).*?\*/)"
        rf"|(?P<word>{word})|(?P<space>\s+)|(?P<other>.)",
        re.DOTALL,
    )


def tokens(text: str, dialect: Dialect | None = None, *, abstract: bool = False) -> Iterator[Token]:
    """Cut SQL into tokens whose texts, joined, are the text again.

    Args:
        text: the SQL.
        dialect: how strings and identifiers are quoted.
        abstract: whether the text is a dump's, where ``#__name`` may stand as a bare name.
    """
    for match in _pattern(dialect or Dialect(), abstract=abstract).finditer(text):
        kind = match.lastgroup or "other"
        if kind == "word":
            # A number is no name; a word may be one.
            kind = "other" if match[0].isdigit() else "identifier"
        yield Token(match[0], kind)


def map_identifiers(
    text: str, change: Callable[[str, Place], str], dialect: Dialect | None = None, *, abstract: bool = False
) -> str:
    """Return SQL with each identifier replaced by what ``change`` makes of its name and place."""
    out: list[str] = []
    previous, before_dot = "", None
    last_name: str | None = None
    for token in tokens(text, dialect, abstract=abstract):
        if token.kind in {"space", "comment"}:
            out.append(token.text)
            continue
        if token.kind != "identifier":
            out.append(token.text)
            before_dot = last_name if token.text == "." else None
            previous, last_name = token.text, None
            continue
        name = token.name
        qualifier = before_dot if previous == "." else None
        changed = change(name, Place(previous, qualifier))
        out.append(token.text if changed == name else token.renamed(changed))
        previous = token.text.upper() if token.text[0] not in '`"' else token.text
        last_name, before_dot = name, None
    return "".join(out)


def strip_qualifier(text: str, database: str, names: frozenset[str], dialect: Dialect | None = None) -> str:
    """Return SQL with the database's own name taken off the names in it (``db.table`` becomes ``table``)."""
    found = list(tokens(text, dialect))
    out: list[str] = []
    index = 0
    while index < len(found):
        token = found[index]
        if (
            token.kind == "identifier"
            and token.name == database
            and index + 2 < len(found)
            and found[index + 1].text == "."
            and found[index + 2].kind == "identifier"
            and found[index + 2].name in names
        ):
            index += 2
            continue
        out.append(token.text)
        index += 1
    return "".join(out)


def identifiers(text: str, dialect: Dialect | None = None, *, abstract: bool = False) -> set[str]:
    """Return the names of all identifiers in SQL."""
    return {token.name for token in tokens(text, dialect, abstract=abstract) if token.kind == "identifier"}


def remove_definer(text: str) -> str:
    """Return a CREATE statement without its DEFINER clause."""
    found = list(tokens(text))
    for start, token in enumerate(found):
        if token.kind == "identifier" and token.text.upper() == "DEFINER":
            end = _definer_end(found, start)
            if end:
                return "".join(t.text for t in found[:start] + found[end:])
        if token.text.upper() in {"VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "PACKAGE", "AS"}:
            break
    return text


def _definer_end(found: list[Token], start: int) -> int:
    """Return the index after ``DEFINER = user [@ host]`` and the space that follows, 0 if it is something else."""
    index = start + 1
    expected = ["=", None, "@", None]
    for position, wanted in enumerate(expected):
        at = index
        while at < len(found) and found[at].kind == "space":
            at += 1
        if at >= len(found):
            return 0
        fits = found[at].text == wanted if wanted else found[at].kind in {"identifier", "string"}
        if not fits:
            if position < 2:
                return 0
            break
        index = at + 1
    while index < len(found) and found[index].kind == "space":
        index += 1
    return index
