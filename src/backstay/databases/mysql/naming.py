"""A site's prefix and ``#__``: names made abstract in a dump, and real again in a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from backstay.databases.mysql.tokens import ABSTRACT, Dialect, Place, map_identifiers, tokens
from backstay.errors import LoadError

LONGEST_NAME = 64
# What stands before a name of a table or constraint in CREATE TABLE as the server writes it.
_BEFORE_NAMES = frozenset({"TABLE", "SEQUENCE", "REFERENCES", "CONSTRAINT", "KEY", "INDEX", "EXISTS"})


@dataclass(frozen=True)
class Naming:
    """How names are written in a dump.

    Attributes:
        prefix: the site's prefix.
        database: name of the database, as a qualifier of its own names.
        names: the names of everything in the database that may carry the prefix.
    """

    prefix: str
    database: str
    names: frozenset[str]
    enabled: bool = True

    def abstract(self, name: str) -> str:
        """Return a name with ``#__`` in place of the prefix.

        A name that is the prefix and nothing else stays: ``#__`` alone would read as a comment in a body.
        """
        if self.enabled and self.prefix and name.startswith(self.prefix) and name != self.prefix:
            return ABSTRACT + name[len(self.prefix) :]
        return name

    def literal(self, names: Iterable[str]) -> frozenset[str]:
        """Return those names that begin with ``#__`` by themselves, and stand for nothing else in the dump."""
        return frozenset(
            name
            for name in names
            if name.startswith(ABSTRACT) and self.prefix + name[len(ABSTRACT) :] not in self.names
        )

    def in_table(self, text: str) -> str:
        """Return CREATE TABLE or CREATE SEQUENCE with abstract names; columns keep theirs."""

        def change(name: str, place: Place) -> str:
            if place.qualifier is not None:
                return self.abstract(name) if place.qualifier == self.database and name in self.names else name
            return self.abstract(name) if place.previous in _BEFORE_NAMES else name

        return map_identifiers(text, change)

    def in_merge_table(self, text: str) -> str:
        """Return CREATE TABLE of a MERGE table: the tables it unites are named in a list at its end."""
        head, union, tail = text.rpartition("UNION=(")
        return self.in_table(head) + union + map_identifiers(tail, lambda name, _: self.abstract(name))

    def in_view(self, text: str) -> str:
        """Return CREATE VIEW, as the server writes it, with abstract names; columns and aliases keep theirs."""

        def change(name: str, place: Place) -> str:
            if name not in self.names or place.previous == "AS":
                return name
            if place.qualifier is not None and place.qualifier != self.database:
                return name
            return self.abstract(name)

        return map_identifiers(text, change)

    def in_body(self, text: str, dialect: Dialect) -> str:
        """Return a routine, trigger or event with abstract names wherever a name of the database stands alone.

        A ``#`` comment that would read as an abstract name in a dump becomes a ``--`` comment.
        """

        def change(name: str, place: Place) -> str:
            if name not in self.names or (place.qualifier is not None and place.qualifier != self.database):
                return name
            return self.abstract(name)

        if self.enabled and ABSTRACT in text:
            text = "".join(
                "-- " + token.text if token.kind == "comment" and token.text.startswith(ABSTRACT) else token.text
                for token in tokens(text, dialect)
            )
        return map_identifiers(text, change, dialect)


def concrete(
    text: str,
    prefix: str,
    *,
    literal: frozenset[str] = frozenset(),
    rename: Callable[[str, Place], str] | None = None,
    dialect: Dialect | None = None,
) -> str:
    """Return SQL of a dump with the prefix in place of ``#__``, in identifiers only.

    Args:
        text: the statement.
        prefix: what takes the place of ``#__``.
        literal: names of columns and aliases that begin with ``#__`` by themselves.
        rename: gives the real name of a table another one, for tables that are loaded beside the old ones.
        dialect: how the text is quoted.
    """

    def change(name: str, place: Place) -> str:
        # A table, key or constraint may be called in the dump what a column is called for good.
        abstract = name.startswith(ABSTRACT) and (name not in literal or _names_no_column(place))
        real = prefix + name[len(ABSTRACT) :] if abstract else name
        return rename(real, place) if rename else real

    return map_identifiers(text, change, dialect, abstract=True)


def refuse_long_name(name: str, prefix: str) -> None:
    """Refuse a name that its prefix makes longer than a server takes.

    Raises:
        LoadError: it is longer.
    """
    if len(name) > LONGEST_NAME:
        most = LONGEST_NAME - len(name) + len(prefix)
        advice = f"choose a prefix of at most {most} characters" if most > 0 else "no prefix is short enough"
        raise LoadError(
            f"the prefix {prefix!r} makes the name {name} {len(name)} characters long, and the server takes "
            f"{LONGEST_NAME}: {advice}"
        )


def _names_no_column(place: Place) -> bool:
    return place.qualifier is None and place.previous in _BEFORE_NAMES
