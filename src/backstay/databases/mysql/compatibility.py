"""Dumps of another make of server: what the target does not know is replaced by the nearest that it has.

MySQL 8 has collations (``utf8mb4_0900_…``), MariaDB 10.10 others (``utf8mb4_uca1400_…``) that the other lacks; so it is
with storage engines and table options. The server is asked what it has; only what it lacks is replaced, each with one
warning. Names in quotes, string literals and comments are never touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from backstay.databases.mysql.connection import Connection
from backstay.databases.mysql.tokens import Dialect, Token, tokens

_ENGINE_ALIASES = {"MERGE": "MRG_MYISAM", "HEAP": "MEMORY", "NDB": "NDBCLUSTER"}
_INNODB_ROW_FORMATS = frozenset({"DEFAULT", "DYNAMIC", "COMPACT", "REDUNDANT", "COMPRESSED"})
# Table options of MySQL that MariaDB refuses, and the other way round; the server lists them nowhere.
_OPTIONS_OF_MYSQL = frozenset(
    {"ENCRYPTION", "COMPRESSION", "AUTOEXTEND_SIZE", "ENGINE_ATTRIBUTE", "SECONDARY_ENGINE"}
    | {"SECONDARY_ENGINE_ATTRIBUTE"}
)
_OPTIONS_OF_MARIADB = frozenset(
    {"PAGE_CHECKSUM", "TRANSACTIONAL", "PAGE_COMPRESSED", "PAGE_COMPRESSION_LEVEL", "ENCRYPTED", "ENCRYPTION_KEY_ID"}
    | {"IETF_QUOTES", "SEQUENCE"}
)
# What MySQL 8 calls a language by its code, MariaDB by its name.
_LANGUAGES = {
    "bs": "croatian",
    "cs": "czech",
    "da": "danish",
    "de_pb": "german2",
    "eo": "esperanto",
    "es": "spanish",
    "es_trad": "spanish2",
    "et": "estonian",
    "gl": "spanish",
    "hr": "croatian",
    "hu": "hungarian",
    "is": "icelandic",
    "la": "roman",
    "lt": "lithuanian",
    "lv": "latvian",
    "nb": "danish",
    "nn": "danish",
    "pl": "polish",
    "ro": "romanian",
    "sk": "slovak",
    "sl": "slovenian",
    "sr_latn": "croatian",
    "sv": "swedish",
    "tr": "turkish",
    "vi": "vietnamese",
    "bg": "",
    "mn_cyrl": "",
    "ru": "",
}
# From the newest version of Unicode's rules to none of them.
_FAMILIES = ("0900", "uca1400", "unicode_520", "unicode", "general", "")
_STYLES = frozenset({"ai", "as", "ci", "cs", "bin", "nopad", "ks", "w2"})
_CHARSET_OF_MANY = "utf8mb4"


@dataclass(frozen=True)
class ServerNames:
    """What a server has; all names in lower case.

    Attributes:
        collations: name → its character set.
        charsets: name → its default collation.
        engines: the storage engines in use → their names as the server writes them.
        is_mariadb: whether it is MariaDB.
    """

    collations: Mapping[str, str]
    charsets: Mapping[str, str]
    engines: Mapping[str, str]
    is_mariadb: bool


def read_names(connection: Connection) -> ServerNames:
    """Ask a server for its collations, character sets and storage engines."""
    listed = connection.rows(
        "SELECT collation_name AS name, character_set_name AS charset FROM information_schema.collations"
    )
    if connection.is_mariadb and connection.version >= (10, 10):
        # Collations that serve several character sets have their full names here only.
        listed += connection.rows(
            "SELECT full_collation_name AS name, character_set_name AS charset "
            "FROM information_schema.collation_character_set_applicability"
        )
    charsets = connection.rows(
        "SELECT character_set_name AS name, default_collate_name AS coll FROM information_schema.character_sets"
    )
    engines = connection.rows(
        "SELECT engine AS name FROM information_schema.engines WHERE support IN ('YES', 'DEFAULT')"
    )
    return ServerNames(
        {str(row["name"]).lower(): str(row["charset"] or "").lower() for row in listed},
        {str(row["name"]).lower(): str(row["coll"]).lower() for row in charsets},
        {str(row["name"]).lower(): str(row["name"]) for row in engines},
        connection.is_mariadb,
    )


@dataclass(frozen=True)
class _Style:
    """What a collation's name says of it."""

    language: str
    accents: bool
    case: bool
    binary: bool
    padded: bool
    family: str


def _style(name: str, charset: str) -> _Style:
    words = [word for word in name.removeprefix(charset).strip("_").split("_") if not word.startswith("mysql")]
    # The code of a language stands before the version (de_pb_0900_as_cs), and may look like a style (cs, as).
    start = words.index("0900") if "0900" in words else 0
    styles = {word for word in words[start:] if word in _STYLES}
    rest = "_".join(words[:start] + [word for word in words[start:] if word not in _STYLES])
    family = next(one for one in _FAMILIES if one in rest)
    language = rest.replace(family, "").strip("_")
    binary = "bin" in styles
    case = binary or "cs" in styles
    return _Style(
        language=_LANGUAGES.get(language, language),
        accents=binary or "as" in styles or ("ai" not in styles and case),
        case=case,
        binary=binary,
        padded=family != "0900" and "nopad" not in styles,
        family=family,
    )


def _distance(wanted: _Style, found: _Style) -> tuple[int, ...]:
    # Two texts that become equal break unique keys; two equal ones that become different lose nothing.
    merged = 4 * (wanted.accents and not found.accents) + 4 * (wanted.case and not found.case)
    parted = 2 * (found.accents and not wanted.accents) + 2 * (found.case and not wanted.case)
    language = 0 if found.language == wanted.language else (1 if not found.language else 2)
    ranks = (_FAMILIES.index(wanted.family), _FAMILIES.index(found.family))
    return (
        merged + parted + (wanted.binary != found.binary),
        language,
        wanted.padded != found.padded,
        abs(ranks[0] - ranks[1]),
    )


class Compatibility:
    """Rewrites statements for a server.

    Args:
        names: what the server has.
        on_replacement: receives one sentence for each thing that is replaced, once.
    """

    def __init__(self, names: ServerNames, on_replacement: Callable[[str], None]) -> None:
        self._names = names
        self._report = on_replacement
        self._reported: set[tuple[str, str]] = set()

    def collation(self, name: str) -> str:
        """Return a collation that the server has: the one of that name, or the nearest of its character set."""
        known, low = self._names.collations, name.lower()
        if low in known or (low.startswith("utf8_") and "utf8mb3" + low[4:] in known):
            return name
        charset = "" if low.startswith("uca1400_") else low.partition("_")[0]
        target = self.charset(charset) if charset else _CHARSET_OF_MANY
        own = {one: found for one, found in known.items() if found == target and one.startswith(target)}
        if not own:
            return name
        same = target + low[len(charset) :]
        if same in own and target in {"utf8", "utf8mb3"}:
            return same  # only another name of the same
        wanted = _style(low, charset)
        default = self._names.charsets.get(target, "")
        nearest = min(own, key=lambda one: (_distance(wanted, _style(one, target)), one != default, one))
        self._replaced("collation", name, nearest)
        return nearest

    def charset(self, name: str) -> str:
        """Return a character set that the server has: the one of that name, or one that holds all its characters."""
        known, low = self._names.charsets, name.lower()
        if low in known or (low == "utf8" and "utf8mb3" in known):
            return name
        if low == "utf8mb3" and "utf8" in known:
            return "utf8"
        if low in {"gb18030", "utf16", "utf16le", "utf32"} and _CHARSET_OF_MANY in known:
            self._replaced("character set", name, _CHARSET_OF_MANY)
            return _CHARSET_OF_MANY
        return name

    def engine(self, name: str) -> str:
        """Return a storage engine that the server has: the one of that name, else InnoDB."""
        known = self._names.engines
        if name.lower() in known or _ENGINE_ALIASES.get(name.upper(), "").lower() in known or "innodb" not in known:
            return name
        self._replaced("storage engine", name, known["innodb"])
        return known["innodb"]

    def session(self, text: str) -> str:
        """Return a SET statement with a collation and character sets that the server has."""
        text = re.sub(
            r"(\bcollation_connection\s*=\s*['\"]?)(\w+)",
            lambda match: match[1] + self.collation(match[2]),
            text,
            flags=re.IGNORECASE,
        )
        return re.sub(
            r"(\bcharacter_set_(?:client|results)\s*=\s*['\"]?)(\w+)",
            lambda match: match[1] + self.charset(match[2]),
            text,
            flags=re.IGNORECASE,
        )

    def statement(self, text: str, dialect: Dialect | None = None) -> str:
        """Return a CREATE statement with collations and character sets that the server has."""
        found = list(tokens(text, dialect, abstract=True))
        for index, value, words in _values(found):
            token = found[value]
            if words == "COLLATE":
                token.text = self.collation(token.text)
            elif words in {"CHARSET", "CHARACTER SET", "USING"}:
                token.text = self.charset(token.text)
            elif words == "introducer":
                found[index].text = "_" + self.charset(token.text[1:])
        return "".join(token.text for token in found)

    def table(self, text: str) -> str:
        """Return CREATE TABLE with collations, character sets, engines and options that the server has."""
        head, options = _without_options(self.statement(text))
        return head + self._table_options(options) if options else head

    def _table_options(self, text: str) -> str:
        found = list(tokens(text))
        engine = ""
        for index, token in enumerate(found):
            if (
                token.kind == "identifier"
                and token.text.upper() == "ENGINE"
                and (value := _behind_equals(found, index))
            ):
                found[value].text = self.engine(found[value].text)
                engine = engine or found[value].text.upper()
        refused = _OPTIONS_OF_MYSQL if self._names.is_mariadb else _OPTIONS_OF_MARIADB
        for index, token in enumerate(found):
            if token.kind != "identifier" or not (value := _behind_equals(found, index)):
                continue
            option, setting = token.name.upper(), found[value].text
            row_format = option == "ROW_FORMAT" and engine == "INNODB" and setting.upper() not in _INNODB_ROW_FORMATS
            if row_format or option in refused:
                what = f"{option}={setting}" if row_format else option
                whose = "InnoDB has no" if row_format else "The server has no table option"
                self._once("option", what, f"{whose} {what}: it is left out.")
                # A number with a unit is one token; what is left is a space.
                for piece in found[index : value + 1]:
                    piece.text = ""
        return "".join(token.text for token in found)

    def _replaced(self, kind: str, name: str, by: str) -> None:
        self._once(kind, name.lower(), f"The server has no {kind} {name}: {by} is used instead.")

    def _once(self, kind: str, name: str, sentence: str) -> None:
        if (kind, name) not in self._reported:
            self._reported.add((kind, name))
            self._report(sentence)


def _values(found: list[Token]) -> Iterator[tuple[int, int, str]]:
    """Yield where a keyword stands, where the bare name behind it, and the keyword."""
    for index, token in enumerate(found):
        if token.kind != "identifier" or token.text[0] in '`"':
            continue
        word = token.text.upper()
        following = _next(found, index)
        if word[0] == "_" and following and found[following].kind == "string":
            yield index, index, "introducer"
        if word == "CHARACTER" and following and found[following].text.upper() == "SET":
            word, following = "CHARACTER SET", _next(found, following)
        if word not in {"COLLATE", "CHARSET", "CHARACTER SET", "USING"} or not following:
            continue
        value = _next(found, following) if found[following].text == "=" else following
        if value and found[value].kind == "identifier" and found[value].text[0] not in '`"':
            yield index, value, word


def _next(found: list[Token], index: int) -> int:
    """Return the index of the next token that is no space and no comment, 0 at the end."""
    at = index + 1
    while at < len(found) and found[at].kind in {"space", "comment"}:
        at += 1
    return at if at < len(found) else 0


def _behind_equals(found: list[Token], index: int) -> int:
    equals = _next(found, index)
    return _next(found, equals) if equals and found[equals].text == "=" else 0


def _without_options(text: str) -> tuple[str, str]:
    """Cut CREATE TABLE behind its list of columns."""
    depth, at = 0, 0
    for token in tokens(text, abstract=True):
        at += len(token.text)
        depth += (token.text == "(") - (token.text == ")")
        if token.text == ")" and depth == 0:
            return text[:at], text[at:]
    return text, ""
