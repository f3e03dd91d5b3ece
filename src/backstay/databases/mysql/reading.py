"""What a statement of a dump is, and what a load does with it.

An archive may come from anywhere: only what a dump consists of is executed.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from backstay.databases.mysql.tokens import Token, tokens

_COMMENT = rb"(?:\s|--[\x00-\x20][^\n]*\n|\#(?!__\w)[^\n]*\n|/\*(?!M?!)(?:[^*]|\*(?!/))*\*/)*"
# Whole, so that no shorter name is found in a longer one; and never with a database before it.
_NAME = rb"(?:`[^`]*(?:``[^`]*)*`(?!`)|\"[^\"]*(?:\"\"[^\"]*)*\"(?!\")|[\w$#\x80-\xff]+(?![\w$#\x80-\xff]))(?!\s*\.)"
_ACCOUNT = rb"(?:`(?:[^`]|``)*`|'[^']*'|[\w$%.-]+(?:\(\))?)"
_INSERT = re.compile(
    _COMMENT + rb"(?:INSERT|REPLACE)\s+(?:IGNORE\s+)?INTO\s+(" + _NAME + rb")\s*"
    rb"(\((?:`(?:[^`]|``)*`|[^`)'\"])*\))?\s*VALUES?\b",
    re.IGNORECASE,
)
_CREATE = re.compile(
    _COMMENT + rb"(?:/\*M?!\d*\s*)?CREATE\s+(?:OR\s+REPLACE\s+|TEMPORARY\s+|AGGREGATE\s+|ALGORITHM\s*=\s*\w+\s+"
    rb"|DEFINER\s*=\s*" + _ACCOUNT + rb"(?:\s*@\s*" + _ACCOUNT + rb")?\s*|SQL\s+SECURITY\s+\w+\s+|/\*M?!\d*\s*|\*/\s*)*"
    rb"(TABLE|SEQUENCE|VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT|PACKAGE\s+BODY|PACKAGE)\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    rb"(" + _NAME + rb")(?!\s+RETURNS\s+\w+\s+SONAME\b)",
    re.IGNORECASE,
)
_OF_TRIGGER = re.compile(rb"\s+(?:BEFORE|AFTER)\s[^`\"]*?\sON\s+(" + _NAME + rb")", re.IGNORECASE)
_SET = re.compile(_COMMENT + rb"(?:/\*M?!\d*\s*)?SET\s+(.*)", re.IGNORECASE | re.DOTALL)
_IGNORED = re.compile(
    _COMMENT
    + rb"(?:/\*M?!\d*\s*)?(?:DROP\s+(?:/\*M?!\d*\s*)?(?:TABLE|VIEW|PROCEDURE|FUNCTION|TRIGGER|EVENT|SEQUENCE|PACKAGE)\b"
    rb"|LOCK\s+TABLES?\b|UNLOCK\s+TABLES?\b|START\s+TRANSACTION\b|BEGIN\Z|COMMIT\b|ROLLBACK\b"
    rb"|ALTER\s+TABLE\s+(?:`(?:[^`]|``)+`|\S+)\s+(?:DISABLE|ENABLE)\s+KEYS\b|\Z)",
    re.IGNORECASE,
)
_VARIABLES = frozenset(
    {"sql_mode", "collation_connection", "time_zone", "foreign_key_checks", "unique_checks", "autocommit"}
    | {"system_versioning_insert_history", "character_set_client", "character_set_results"}
)


class Role(enum.Enum):
    """What a statement does."""

    TABLE = "table"
    SEQUENCE = "sequence"
    ENTITY = "entity"
    INSERT = "insert"
    SESSION = "session"
    VARIABLE = "variable"
    NOTHING = "nothing"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Reading:
    """A statement understood as far as a load must.

    Attributes:
        role: what it does.
        kind: for a CREATE its object's kind, in upper case.
        name: the object's name as the dump has it.
        head: for an INSERT, how many bytes come before ``VALUES`` is followed by rows.
        columns: for an INSERT, its list of columns, empty without one.
        table: for a trigger, the table it belongs to.
    """

    role: Role
    kind: str = ""
    name: str = ""
    head: int = 0
    columns: str = ""
    table: str = ""

    @property
    def named(self) -> bool:
        """Whether it makes an object of the database or fills it."""
        return self.role in {Role.TABLE, Role.SEQUENCE, Role.ENTITY, Role.INSERT}


def read_statement(statement: bytes) -> Reading:
    """Return what a statement is."""
    if match := _INSERT.match(statement):
        columns = _decoded(match[2] or b"")
        return Reading(Role.INSERT, name=_name(match[1]), head=match.end(), columns=columns)
    if match := _CREATE.match(statement):
        kind = " ".join(match[1].decode().upper().split())
        role = {"TABLE": Role.TABLE, "SEQUENCE": Role.SEQUENCE}.get(kind, Role.ENTITY)
        of_trigger = _OF_TRIGGER.match(statement, match.end()) if kind == "TRIGGER" else None
        return Reading(role, kind=kind, name=_name(match[2]), table=_name(of_trigger[1]) if of_trigger else "")
    if match := _SET.match(statement):
        return Reading(_role_of_set(match[1]))
    return Reading(Role.NOTHING if _IGNORED.match(statement) else Role.REFUSED)


def _role_of_set(assignments: bytes) -> Role:
    if re.match(rb"@backstay_\d+\s*=", assignments):
        return Role.VARIABLE
    text = _decoded(assignments[:2000]).removesuffix("*/")
    if re.match(r"names\b", text, re.IGNORECASE):
        return Role.NOTHING
    names = [
        name.lower()
        for name in re.findall(r"(?:\A|,)\s*(?:SESSION\s+)?(?:@@(?:session\.)?)?(\w+)\s*=", text, re.IGNORECASE)
    ]
    if not names or len(assignments) > 2000 or any(name not in _VARIABLES for name in names) or "@OLD_" in text.upper():
        return Role.NOTHING
    return Role.SESSION


def _name(quoted: bytes) -> str:
    return Token(_decoded(quoted), "identifier").name


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def without_foreign_keys(text: str, *, checks: bool) -> tuple[str, list[str]]:
    """Take the constraints out of CREATE TABLE whose names belong to the whole database.

    Args:
        text: the statement.
        checks: take named CHECK constraints too, as MySQL (not MariaDB) needs it.

    Returns:
        The statement without them, and the constraints as ALTER TABLE … ADD takes them.
    """
    found = list(tokens(text, abstract=True))
    opened = next((i for i, token in enumerate(found) if token.text == "("), None)
    if opened is None:
        return text, []
    items: list[list[str]] = [[]]
    depth, index = 1, opened + 1
    while index < len(found):
        piece = found[index].text
        depth += (piece == "(") - (piece == ")")
        if depth == 0:
            break
        if piece == "," and depth == 1:
            items.append([])
        else:
            items[-1].append(piece)
        index += 1
    kept: list[str] = []
    taken: list[str] = []
    for item in items:
        (taken if _is_taken(item, checks=checks) else kept).append("".join(item))
    if not taken:
        return text, []
    # The last item carries the line break before the closing parenthesis.
    trailing = "".join(items[-1])[len("".join(items[-1]).rstrip()) :]
    head = "".join(token.text for token in found[: opened + 1])
    tail = "".join(token.text for token in found[index:])
    return f"{head}{','.join(kept).rstrip()}{trailing}{tail}", [item.strip() for item in taken]


def _is_taken(item: list[str], *, checks: bool) -> bool:
    words = [text.upper() for text in item if text.strip()][:4]
    if words[:2] == ["FOREIGN", "KEY"]:
        return True
    if words[:1] != ["CONSTRAINT"]:
        return False
    return words[2:4] == ["FOREIGN", "KEY"] or (checks and words[2:3] == ["CHECK"])
