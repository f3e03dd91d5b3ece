"""Some tables of a dump of SQLite: which of its statements are about them."""

from __future__ import annotations

import re

from backstay.databases.choice import TableChoice

_NAME = r"(\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]|'(?:[^']|'')*'|[\w$]+)"
_EXISTS = r"(?:IF\s+NOT\s+EXISTS\s+)?"
_ABOUT = tuple(
    (kind, re.compile(r"(?:\s+|--[^\n]*\n)*" + pattern, re.IGNORECASE))
    for kind, pattern in (
        ("table", rf"CREATE\s+TABLE\s+{_EXISTS}{_NAME}"),
        ("virtual", rf"CREATE\s+VIRTUAL\s+TABLE\s+{_EXISTS}{_NAME}"),
        ("virtual", rf"INSERT\s+INTO\s+sqlite_master\s*\([^)]*\)\s*VALUES\s*\('table',\s*{_NAME}"),
        ("sequence", rf"INSERT\s+INTO\s+\"?sqlite_sequence\"?\s*(?:\([^)]*\)\s*)?VALUES\s*\(\s*{_NAME}"),
        ("rows", rf"INSERT\s+INTO\s+{_NAME}"),
        ("index", rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+{_EXISTS}{_NAME}\s+ON\s+{_NAME}"),
        ("trigger", rf"CREATE\s+TRIGGER\s+{_EXISTS}{_NAME}\s(?:[^\"`\[']|{_NAME})*?\sON\s+{_NAME}"),
        ("view", rf"CREATE\s+VIEW\s+{_EXISTS}{_NAME}"),
    )
)
_ALWAYS = re.compile(
    r"\s*(?:PRAGMA\s+(?:encoding|page_size|auto_vacuum|foreign_keys|writable_schema)\b|BEGIN\b|COMMIT\b)", re.IGNORECASE
)
_SETTING = re.compile(r"\s*PRAGMA\b", re.IGNORECASE)


class Selection:
    """Follows the statements of a dump.

    Args:
        choice: which tables.
        settings: take settings of the file too, such as ``user_version``: right for a new file.

    Attributes:
        made: everything that the statements taken so far made.
        makes: name of the table, index, view or trigger that the statement asked about last makes; empty if none.
        counts: name of the table whose counter it sets; empty if none.
    """

    def __init__(self, choice: TableChoice, *, settings: bool) -> None:
        self._choice = choice
        self._settings = settings
        self._virtual: list[str] = []
        self.made: set[str] = set()
        self.makes = self.counts = ""

    def takes(self, statement: str) -> bool:
        """Whether a statement is about a chosen table; what says nothing of tables and changes nothing is taken too."""
        self.makes = self.counts = ""
        kind, name, table = _about(statement)
        if not kind:
            return bool(_ALWAYS.match(statement) or (self._settings and _SETTING.match(statement)))
        if name.lower().startswith("sqlite_") or not self._wants(table or name):
            return False
        if kind == "virtual":
            self._virtual.append(name)
        if kind == "sequence":
            self.counts = name
        elif kind != "rows":
            self.makes = name
            self.made.add(name)
        return True

    def _wants(self, name: str) -> bool:
        # A virtual table keeps its content in tables of its own, whose names begin with its name.
        return self._choice.wants(name) or any(name.startswith(f"{one}_") for one in self._virtual)


def _about(statement: str) -> tuple[str, str, str]:
    """Return what a statement is about: kind, name, and the table that an index or a trigger belongs to."""
    for kind, pattern in _ABOUT:
        if match := pattern.match(statement):
            names = [_bare(name) for name in match.groups() if name]
            return kind, names[0], names[-1] if kind in {"index", "trigger"} else ""
    return "", "", ""


def _bare(name: str) -> str:
    mark = {"[": "]"}.get(name[0], name[0])
    return name[1:-1].replace(mark * 2, mark) if name[0] in "\"`['" else name
