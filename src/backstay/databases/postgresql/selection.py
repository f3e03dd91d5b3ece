"""Some tables of a dump of PostgreSQL: which of its statements are about them, and what else they need."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from backstay.databases.choice import TableChoice

Key = tuple[str, str]
"""Schema and name of a relation."""

_NAME = r"(?:\"(?:[^\"]|\"\")*\"|[\w$]+)"
_QUALIFIED = rf"({_NAME}(?:\.{_NAME})*)"
_ANYTHING = r"(?:[^\"]|\"[^\"]*\")*?"
_SUPPORT = (
    r"(?:TYPE|DOMAIN|FUNCTION|PROCEDURE|AGGREGATE|COLLATION|SCHEMA|EXTENSION|OPERATOR(?:\s+(?:CLASS|FAMILY))?|CAST"
    r"|TEXT\s+SEARCH\s+\w+|SERVER|FOREIGN\s+DATA\s+WRAPPER)"
)
# What pg_dump writes about a relation; the names are the groups.
_FORMS = (
    ("makes", rf"CREATE\s+(?:UNLOGGED\s+|FOREIGN\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_QUALIFIED}"),
    ("makes", rf"CREATE\s+(?:OR\s+REPLACE\s+)?(?:RECURSIVE\s+|MATERIALIZED\s+)?VIEW\s+{_QUALIFIED}"),
    ("makes", rf"CREATE\s+(?:UNLOGGED\s+)?SEQUENCE\s+{_QUALIFIED}"),
    ("attaches", rf"ALTER\s+TABLE\s+(?:ONLY\s+)?{_QUALIFIED}\s+ATTACH\s+PARTITION\s+{_QUALIFIED}"),
    ("owned", rf"ALTER\s+SEQUENCE\s+{_QUALIFIED}\s+OWNED\s+BY\s+{_QUALIFIED}"),
    ("identity", rf"ALTER\s+TABLE\s+(?:ONLY\s+)?{_QUALIFIED}\s+ALTER\s{_ANYTHING}SEQUENCE\s+NAME\s+{_QUALIFIED}"),
    ("foreign key", rf"ALTER\s+TABLE\s+(?:ONLY\s+)?{_QUALIFIED}\s+ADD\s+CONSTRAINT\s+{_NAME}\s+FOREIGN\s+KEY\b"),
    ("about", rf"ALTER\s+(?:FOREIGN\s+|MATERIALIZED\s+)?(?:TABLE|VIEW|SEQUENCE)\s+(?:ONLY\s+)?{_QUALIFIED}"),
    ("index", rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+{_QUALIFIED}\s+ON\s+(?:ONLY\s+)?{_QUALIFIED}"),
    ("of index", rf"(?:ALTER|COMMENT\s+ON)\s+INDEX\s+{_QUALIFIED}"),
    ("about", rf"CREATE\s+(?:CONSTRAINT\s+)?TRIGGER\s+{_NAME}\s{_ANYTHING}\sON\s+{_QUALIFIED}"),
    ("about", rf"CREATE\s+RULE\s+{_NAME}\s+AS\s+ON\s+\w+\s+TO\s+{_QUALIFIED}"),
    ("about", rf"CREATE\s+POLICY\s+{_NAME}\s+ON\s+{_QUALIFIED}"),
    ("about", rf"CREATE\s+STATISTICS\s{_ANYTHING}\sFROM\s+{_QUALIFIED}\s*\Z"),
    ("about", rf"COMMENT\s+ON\s+(?:CONSTRAINT|TRIGGER|RULE|POLICY)\s+{_NAME}\s+ON\s+(?!DOMAIN\s){_QUALIFIED}"),
    ("about", rf"COMMENT\s+ON\s+(?:(?:FOREIGN\s+)?TABLE|(?:MATERIALIZED\s+)?VIEW|SEQUENCE|COLUMN)\s+{_QUALIFIED}"),
    ("about", rf"(?:GRANT|REVOKE)\s{_ANYTHING}\sON\s+(?:TABLE|SEQUENCE)\s+{_QUALIFIED}"),
    ("about", rf"COPY\s+{_QUALIFIED}"),
    ("about", rf"REFRESH\s+MATERIALIZED\s+VIEW\s+{_QUALIFIED}"),
    ("value", r"SELECT\s+pg_catalog\.setval\('((?:[^']|'')*)'"),
    ("large object", r"SELECT\s+pg_catalog\.lo_"),
    ("setting", r"(?:SET|SELECT\s+pg_catalog\.set_config\()"),
    ("support", rf"CREATE\s+(?:OR\s+REPLACE\s+)?{_SUPPORT}\s+(?:IF\s+NOT\s+EXISTS\s+)?{_QUALIFIED}?"),
    (
        "of support",
        rf"(?:ALTER|COMMENT\s+ON|(?:GRANT|REVOKE)\s{_ANYTHING}\sON)\s+{_SUPPORT}\s+(?:IF\s+NOT\s+EXISTS\s+)?{_QUALIFIED}",
    ),
)
_NEXT_VALUE = re.compile(r"nextval\('((?:[^']|'')*)'::(?:pg_catalog\.)?regclass")


class Decision(enum.Enum):
    """What becomes of a statement of a dump."""

    NO = enum.auto()
    YES = enum.auto()
    IF_MISSING = enum.auto()
    FOREIGN_KEY = enum.auto()


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about: the form of it, and the names that stand in it."""

    form: str
    names: tuple[Key, ...]


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    # Not with the module: most loads need none of them, and they take their time to compile.
    return [(form, re.compile(pattern, re.IGNORECASE | re.DOTALL)) for form, pattern in _FORMS]


def about(statement: bytes) -> Subject:
    """Return what a statement of a dump is about; the form is empty where it is none of those known."""
    text = statement.decode("utf-8", "surrogateescape")
    for form, pattern in _patterns():
        if match := pattern.match(text):
            found = [name for name in match.groups() if name]
            if form == "value":
                found = [name.replace("''", "'") for name in found]
            return Subject(form, tuple(_key(name) for name in found))
    return Subject("", ())


def _key(qualified: str) -> Key:
    names = [
        name[1:-1].replace('""', '"') if name.startswith('"') else name for name in re.findall(_NAME, qualified)[:2]
    ]
    return (names[0], names[1]) if len(names) > 1 else ("public", names[0])


class Selection:
    """Knows of a dump what is taken from it.

    Args:
        choice: which tables.
        definitions: the statements of the dump before its rows.

    Attributes:
        is_partial: whether some tables are chosen, and not all.
        relations: tables, views and sequences that are made: those chosen, partitions of chosen tables, and sequences
            that chosen tables own.
    """

    def __init__(self, choice: TableChoice, definitions: Iterable[bytes]) -> None:
        self.is_partial = bool(choice)
        self._index_of: dict[Key, Key] = {}
        self._support: set[Key] = set()
        made: list[Key] = []
        belongs: dict[Key, Key] = {}
        uses: dict[Key, set[Key]] = {}
        for statement in definitions:
            found = about(statement)
            if found.form == "makes":
                made.append(found.names[0])
            elif found.form in {"attaches", "identity"}:
                belongs[found.names[1]] = found.names[0]
            elif found.form == "owned":
                belongs[found.names[0]] = found.names[1]
            for name in _NEXT_VALUE.findall(statement.decode("utf-8", "surrogateescape")):
                uses.setdefault(found.names[0], set()).add(_key(name.replace("''", "'")))
        self.relations = {key for key in made if choice.wants(key[1], key[0])}
        while added := {key for key, owner in belongs.items() if owner in self.relations} - self.relations:
            self.relations |= added
        self._needed = {used for key in self.relations for used in uses.get(key, ())} - self.relations

    def decide(self, statement: bytes) -> Decision:
        """Return what becomes of a statement."""
        found = about(statement)
        makes_needed = found.form == "makes" and found.names[0] in self._needed
        if found.form == "support" or makes_needed:
            return Decision.IF_MISSING
        if self.is_partial and not (found.form == "setting" or self._concerns(found)):
            return Decision.NO
        return Decision.FOREIGN_KEY if found.form == "foreign key" and self.is_partial else Decision.YES

    def _concerns(self, found: Subject) -> bool:
        """Whether a statement is about something chosen."""
        if found.form == "of support":
            return found.names[0] in self._support
        if found.form == "of index":
            return self._index_of.get(found.names[0]) in self.relations
        if found.form == "index":
            index, table = found.names
            self._index_of[table[0], index[1]] = table
        # An index belongs to its table, and it is the partition that is attached.
        last = found.form in {"index", "attaches"}
        return bool(found.names) and found.names[-1 if last else 0] in self.relations

    def note_made(self, statement: bytes) -> None:
        """Note that a statement to be taken if lacking was executed: what the dump says of its object counts too."""
        found = about(statement)
        if found.form == "makes":
            self.relations.add(found.names[0])
        else:
            self._support.update(found.names)
