"""PHP source as tokens: literals in it found and replaced, and every other byte kept.

Only the lexical form is read (PHP language reference: strings, comments, heredoc); nothing is executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    rb"(?P<open><\?(?:php(?=\s)|=)?)"
    rb"|(?P<close>\?>\n?)"
    rb"|(?P<space>\s+)"
    rb"|(?P<comment>//(?:(?!\?>)[^\r\n])*|\#(?!\[)(?:(?!\?>)[^\r\n])*|/\*.*?(?:\*/|\Z))"
    rb"|(?P<single>'[^'\\]*(?:\\.[^'\\]*)*')"
    rb"|(?P<double>\"[^\"\\]*(?:\\.[^\"\\]*)*\")"
    rb"|(?P<heredoc><<<[ \t]*(?P<quote>['\"]?)(?P<label>[A-Za-z_]\w*)(?P=quote)\r?\n.*?(?<=\n)[ \t]*(?P=label)\b)"
    rb"|(?P<variable>\$[A-Za-z_\x80-\xff][\w\x80-\xff]*)"
    rb"|(?P<word>[A-Za-z_\x80-\xff][\w\x80-\xff]*)"
    rb"|(?P<number>\d[\w.]*)"
    rb"|(?P<other>.)",
    re.DOTALL | re.IGNORECASE,
)
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"e": b"\x1b", b"f": b"\f", b"\\": b"\\", b"$": b"$"}
_DOUBLE_ESCAPE = re.compile(rb'\\(?:([ntrvef\\$"])|([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u\{([0-9A-Fa-f]+)\})')


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of PHP: its kind, its bytes and where they begin. What lies outside ``<?php`` is no token."""

    kind: str
    text: bytes
    start: int

    @property
    def end(self) -> int:
        """Where the next token begins."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Setting:
    """A place where PHP gives a name a value.

    Attributes:
        name: of the constant, property or variable, without ``$``.
        start, end: of the expression that is the value.
        value: what it is, where it is one literal string; None for any other expression.
    """

    name: str
    start: int
    end: int
    value: bytes | None


def tokens(source: bytes) -> Iterator[Token]:
    """Yield the tokens of PHP code, without spaces and comments."""
    position = 0
    while (begin := re.compile(rb"<\?(?:php(?=\s|\Z)|=)", re.IGNORECASE).search(source, position)) is not None:
        position = begin.end()
        while match := _TOKEN.match(source, position):
            position = match.end()
            kind = match.lastgroup or "other"
            if match["heredoc"] is not None:
                kind = "heredoc"
            if kind == "close":
                break
            if kind not in {"space", "comment"}:
                yield Token(kind, match[0], match.start())
        else:
            return


def constants(source: bytes) -> list[Setting]:
    """Return what ``define('NAME', value)`` and ``const NAME = value`` set, in order."""
    found = []
    listed = list(tokens(source))
    for index, token in enumerate(listed):
        if token.kind != "word":
            continue
        following = listed[index + 1 : index + 4]
        if token.text.lower() == b"define" and [t.text for t in following[:1]] == [b"("] and len(following) == 3:
            name = literal(following[1])
            if name is not None and following[2].text == b",":
                found.append(_setting(name.decode("utf-8", "replace"), listed, index + 4, b",)"))
        elif token.text.lower() == b"const" and len(following) >= 2 and following[1].text == b"=":
            found.append(_setting(following[0].text.decode("utf-8", "replace"), listed, index + 3, b",;"))
    return found


def assignments(source: bytes) -> list[Setting]:
    """Return what ``$name = value;`` sets, plain variables and properties of a class alike, in order."""
    found = []
    listed = list(tokens(source))
    for index, token in enumerate(listed):
        if token.kind == "variable" and index + 2 < len(listed) and listed[index + 1].text == b"=":
            if listed[index + 2].text in {b"=", b">"}:
                continue
            found.append(_setting(token.text[1:].decode("utf-8", "replace"), listed, index + 2, b",;"))
    return found


def _setting(name: str, listed: list[Token], first: int, ends: bytes) -> Setting:
    depth, index = 0, first
    while index < len(listed):
        text = listed[index].text
        if not depth and len(text) == 1 and text in ends:
            break
        depth += (text in b"([{") - (text in b")]}") if len(text) == 1 else 0
        index += 1
    expression = listed[first:index]
    if not expression:
        return Setting(name, 0, 0, None)
    value = literal(expression[0]) if len(expression) == 1 else None
    return Setting(name, expression[0].start, expression[-1].end, value)


def literal(token: Token) -> bytes | None:
    """Return the value of a literal string; None for any other token, and for strings with variables in them."""
    inside = token.text[1:-1]
    if token.kind == "single":
        return re.sub(rb"\\([\\'])", rb"\1", inside)
    if token.kind == "double":
        bare = _DOUBLE_ESCAPE.sub(b"", inside)
        return None if re.search(rb"\$[A-Za-z_{\x80-\xff]|\{\$", bare) else _DOUBLE_ESCAPE.sub(_unescaped, inside)
    return None


def _unescaped(match: re.Match[bytes]) -> bytes:
    letter, octal, hexadecimal, point = match.groups()
    if letter is not None:
        return b'"' if letter == b'"' else _ESCAPES[letter]
    if octal is not None:
        return bytes([int(octal, 8) & 255])
    if hexadecimal is not None:
        return bytes([int(hexadecimal, 16)])
    return chr(min(int(point, 16), 0x10FFFF)).encode("utf-8", "surrogatepass")


def quoted(value: bytes) -> bytes:
    """Return a literal string that means a value: in single quotes, where only backslash and quote mean something."""
    return b"'" + value.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"


def replaced(source: bytes, changes: list[tuple[Setting, bytes]]) -> bytes:
    """Return the source with other expressions in the places of settings."""
    for setting, expression in sorted(changes, key=lambda change: change[0].start, reverse=True):
        source = source[: setting.start] + expression + source[setting.end :]
    return source
