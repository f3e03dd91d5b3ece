"""What a PHP configuration file assigns, read as text: nothing in it is ever executed.

Only plain values are understood: strings in either quotes, numbers, true, false, null, and strings or known constants
joined by dots. Whatever a file computes otherwise (``getenv('X')``, a condition, another variable) is reported as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

Value = str | int | float | bool | None

_TOKEN = re.compile(
    r"(?P<comment>//[^\n]*?(?=\?>|\n|\Z)|\#(?!\[)[^\n]*?(?=\?>|\n|\Z)|/\*.*?(?:\*/|\Z))"
    r"|(?P<heredoc><<<[ \t]*(?P<mark>['\"]?)(?P<label>[A-Za-z_]\w*)(?P=mark)\n(?P<text>.*?)\n[ \t]*(?P=label)\b)"
    r"|(?P<single>'[^'\\]*(?:\\.[^'\\]*)*')"
    r'|(?P<double>"[^"\\]*(?:\\.[^"\\]*)*")'
    r"|(?P<variable>\$[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)"
    r"|(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?))"
    r"|(?P<word>\\?[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff\\]*)"
    r"|(?P<space>\s+)|(?P<other>.)",
    re.DOTALL,
)
_SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "e": "\x1b", "f": "\f", "\\": "\\", "$": "$", '"': '"'}
_DOUBLE_ESCAPE = re.compile(r"\\(?:([ntrvef\\$\"])|([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u\{([0-9A-Fa-f]+)\})")
_INTERPOLATION = re.compile(r"(?<!\\)(?:\\\\)*(?:\$[A-Za-z_{]|\{\$)")
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


@dataclass
class PhpValues:
    """What a file sets.

    Attributes:
        constants: by ``define()`` or ``const``; the first of a name counts, as in PHP.
        variables: variables and properties, without ``$``; the last of a name counts.
        computed: names that are set to something that cannot be read from the text alone.
    """

    constants: dict[str, Value] = field(default_factory=dict)
    variables: dict[str, Value] = field(default_factory=dict)
    computed: set[str] = field(default_factory=set)


class _NotPlainError(Exception):
    """An expression is more than a plain value."""


def read_php(text: str, known: dict[str, Value] | None = None) -> PhpValues:
    """Return the plain values that PHP source assigns.

    Args:
        text: the source.
        known: constants that stand before the file begins, such as ``__DIR__``.
    """
    found = PhpValues()
    constants = dict(known or {})
    source = list(_tokens(text))
    index = 0
    while index < len(source):
        token = source[index]
        if token.kind == "word" and token.text.lstrip("\\").lower() == "define" and _at(source, index + 1) == "(":
            index = _read_define(source, index + 2, found, constants)
        elif token.kind == "word" and token.text.lower() == "const" and _at(source, index + 2) == "=":
            index = _read_assignment(source, index + 1, found, constants, constant=True)
        elif token.kind == "variable" and _at(source, index + 1) == "=" and _at(source, index + 2) not in {"=", ">"}:
            index = _read_assignment(source, index, found, constants, constant=False)
        else:
            index += 1
    return found


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if match["heredoc"] is not None:
            quoted = match["text"].replace("\\", "\\\\") if match["mark"] == "'" else match["text"]
            yield _Token("nowdoc" if match["mark"] == "'" else "heredoc", quoted)
        elif kind not in {"comment", "space"}:
            yield _Token(kind, match[0])


def _at(source: list[_Token], index: int) -> str:
    return source[index].text if index < len(source) else ""


def _read_define(source: list[_Token], index: int, found: PhpValues, constants: dict[str, Value]) -> int:
    end, arguments = _arguments(source, index)
    if len(arguments) < 2:
        return end
    try:
        name = _evaluate(arguments[0], constants)
    except _NotPlainError:
        return end
    if not isinstance(name, str) or name in found.constants or name in found.computed:
        return end
    try:
        found.constants[name] = constants[name] = _evaluate(arguments[1], constants)
    except _NotPlainError:
        found.computed.add(name)
    return end


def _arguments(source: list[_Token], index: int) -> tuple[int, list[list[_Token]]]:
    arguments: list[list[_Token]] = [[]]
    depth = 1
    while index < len(source):
        text = source[index].text if source[index].kind == "other" else ""
        depth += (text in {"(", "["}) - (text in {")", "]"})
        if depth == 0:
            return index + 1, arguments
        if text == "," and depth == 1:
            arguments.append([])
        else:
            arguments[-1].append(source[index])
        index += 1
    return index, arguments


def _read_assignment(
    source: list[_Token], index: int, found: PhpValues, constants: dict[str, Value], *, constant: bool
) -> int:
    name = source[index].text.lstrip("$")
    index += 2
    expression: list[_Token] = []
    while index < len(source) and not (source[index].kind == "other" and source[index].text == ";"):
        expression.append(source[index])
        index += 1
    target = found.constants if constant else found.variables
    try:
        target[name] = _evaluate(expression, constants)
        found.computed.discard(name)
        if constant:
            constants[name] = target[name]
    except _NotPlainError:
        target.pop(name, None)
        found.computed.add(name)
    return index


def _evaluate(expression: list[_Token], constants: dict[str, Value]) -> Value:
    """Return the value of an expression.

    Raises:
        _NotPlainError: it is more than plain values joined by dots.
    """
    if not expression:
        raise _NotPlainError
    values = [_single(token, constants) for token in expression[::2]]
    if len(expression) == 1:
        return values[0]
    if len(expression) % 2 == 0 or any(token.text != "." for token in expression[1::2]):
        raise _NotPlainError
    return "".join("" if value is None or value is False else "1" if value is True else str(value) for value in values)


def _single(token: _Token, constants: dict[str, Value]) -> Value:
    if token.kind in {"single", "nowdoc"}:
        return _plain(token)
    if token.kind in {"double", "heredoc"}:
        return _double(token.text[1:-1] if token.kind == "double" else token.text)
    if token.kind == "number":
        digits = token.text.replace("_", "")
        if digits.lower().lstrip("+-").startswith("0x"):
            return int(digits, 16)
        return float(digits) if re.search(r"[.eE]", digits) else int(digits)
    if token.kind == "word":
        if token.text.lower() in _WORDS:
            return _WORDS[token.text.lower()]
        if token.text.lstrip("\\") in constants:
            return constants[token.text.lstrip("\\")]
    raise _NotPlainError


def _plain(token: _Token) -> str:
    """Return the text of a nowdoc, or of a string in which nothing is special but backslash and quotation mark."""
    if token.kind == "nowdoc":
        return token.text.replace("\\\\", "\\")
    return re.sub(r"\\([\\'])", r"\1", token.text[1:-1])


def _double(body: str) -> str:
    if _INTERPOLATION.search(body):
        raise _NotPlainError

    def escape(match: re.Match[str]) -> str:
        simple, octal, digits, point = match.groups()
        if simple:
            return _SIMPLE_ESCAPES[simple]
        if point:
            return chr(int(point, 16)) if int(point, 16) < 0x110000 else match[0]
        # A single byte, which may be part of a character of UTF-8.
        return (
            bytes([int(octal, 8) & 0xFF if octal else int(digits, 16)])
            .decode("latin-1")
            .encode("latin-1")
            .decode("utf-8", "surrogateescape")
        )

    unescaped = _DOUBLE_ESCAPE.sub(escape, body)
    return unescaped.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
