"""Old texts replaced by new ones in one value, whatever the value is.

A value may be plain text, PHP's serialised data, JSON, or any of these in another: lengths and escapes stay right.
Addresses are found in the ways programs write them: as they are, with their slashes escaped, and percent-encoded.
Base64 is left alone: what looks like an old text in it is chance, and a change would destroy what it encodes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import quote

from backstay.errors import UsageError
from backstay.restore.replacement import serialized
from backstay.restore.replacement.address import AddressMove

_JSON_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SLASH = re.compile(rb"(\\*)/")
_JSON_SLASH = re.compile(rb"(?<!\\)(?:\\\\)*(\\/|\\u002[fF])")
_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_BASE64_ALPHABET = re.compile(rb"[A-Za-z0-9+/]+")
_SAFE_RUN = re.compile(r"[A-Za-z0-9._~-]+")
_SHORTEST_BASE64 = 24
_DEEPEST = 16


class Replacer:
    """Replaces texts by others, all at once: what one replacement brings in is not searched by the next.

    Args:
        pairs: old and new texts; where several fit, the longest old one counts.
        addresses: moves of a site's address, in all its forms and at its boundaries; where a text of ``pairs`` begins
            at the same place, that counts.

    Raises:
        UsageError: an old text is empty or given twice.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]], addresses: Sequence[AddressMove] = ()) -> None:
        seen: dict[str, str] = {}
        for old, new in pairs:
            if not old:
                raise UsageError("Give --replace as OLD=NEW: the old text is empty.")
            if seen.setdefault(old, new) != new:
                raise UsageError(f"--replace is given two new texts for {old!r}: give one.")
        self.pairs = tuple(seen.items())
        self._addresses = tuple(addresses)
        self._new: list[Callable[[bytes], bytes]] = []
        alternatives = []
        for old, new in sorted(self.pairs, key=lambda pair: len(pair[0]), reverse=True):
            for pattern, replacement, has_slashes in _variants(old, new):
                alternatives.append(b"(" + pattern + b")")
                self._new.append(partial(_like, replacement) if has_slashes else partial(_always, replacement))
        # Where a site moves within a host, the longest place counts too.
        for move in sorted(self._addresses, key=lambda move: len(str(move.old)), reverse=True):
            alternatives.append(b"(" + move.pattern() + b")")
            self._new.append(move.replacement)
        self._pattern = re.compile(b"|".join(alternatives) or b"(?!)")
        self._needles = [needle.lower().encode() for needle in self.needles() or ()]

    def __bool__(self) -> bool:
        return bool(self.pairs or self._addresses)

    def needles(self) -> list[str] | None:
        """Return texts of which every value that may change holds at least one; None where there are no such texts.

        They are plain ASCII, the same in all the ways in which an old text may be written.
        """
        found = []
        for old, _new in self.pairs:
            runs = _SAFE_RUN.findall(old)
            if not runs:
                return None
            found.append(max(runs, key=len))
        for move in self._addresses:
            needle = move.needle()
            if needle is None:
                return None
            found.append(needle)
        return found

    def apply(self, value: bytes) -> bytes:
        """Return a value with all replacements made; the same object where there is nothing to replace."""
        if self._needles:
            # The pattern is slow beside this, and most values hold nothing.
            lowered = value.lower()
            if not any(needle in lowered for needle in self._needles):
                return value
        if not self._pattern.search(value) or _is_base64(value):
            return value
        changed = self._structured(value, 0)
        return value if changed == value else changed

    def _structured(self, value: bytes, depth: int) -> bytes:
        if not self._pattern.search(value):
            return value
        if depth < _DEEPEST:

            def inner(text: bytes) -> bytes:
                return self._structured(text, depth + 1)

            if (rewritten := serialized.rewrite(value, inner)) is not None:
                return rewritten
            if (rewritten := self._in_json(value, depth)) is not None:
                return rewritten
            if b"s:" in value:
                return serialized.rewrite_fragments(value, inner, self._plain)
        return self._plain(value)

    def _in_json(self, value: bytes, depth: int) -> bytes | None:
        """Replace in the strings of a JSON document; None where the value is none."""
        if value.lstrip()[:1] not in (b"{", b"[", b'"'):
            return None
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            return None

        def change(match: re.Match[bytes]) -> bytes:
            token = match[0]
            if not self._pattern.search(token):
                return token
            text = json.loads(token).encode("utf-8", "surrogatepass")
            changed = self._structured(text, depth + 1)
            return token if changed == text else _json_string(changed, like=token)

        return _JSON_STRING.sub(change, value)

    def _plain(self, value: bytes) -> bytes:
        def change(match: re.Match[bytes]) -> bytes:
            if _in_base64(match):
                return match[0]
            return self._new[(match.lastindex or 1) - 1](match[0])

        return self._pattern.sub(change, value)


def _like(replacement: bytes, found: bytes) -> bytes:
    """Return a replacement with its slashes escaped as those of what was found."""
    escape = _SLASH.search(found)
    return replacement.replace(b"/", escape[0]) if escape else replacement


def _always(replacement: bytes, found: bytes) -> bytes:
    del found
    return replacement


def _variants(old: str, new: str) -> list[tuple[bytes, bytes, bool]]:
    """Return the ways in which an old text is written, as patterns, each with what replaces it.

    The third of each says that slashes of the replacement are escaped as those of what was found.
    """
    before, after = _bytes(old), _bytes(new)
    has_slashes = b"/" in before
    found = [(rb"\\*/".join(re.escape(piece) for piece in before.split(b"/")), after, has_slashes)]
    escaped = json.dumps(old)[1:-1].encode()
    if not old.isascii() and escaped != before:
        pattern = rb"\\*/".join(re.escape(piece) for piece in escaped.split(b"/"))
        found.append((pattern, json.dumps(new)[1:-1].encode(), has_slashes))
    encoded, encoded_new = quote(before, safe="").encode(), quote(after, safe="").encode()
    if encoded != before:
        found.append((re.escape(encoded), encoded_new, False))
        lower = re.sub(rb"%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
        if lower != encoded:
            found.append((re.escape(lower), encoded_new, False))
    return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _json_string(text: bytes, *, like: bytes) -> bytes:
    """Return a JSON string, escaped in the manner of another."""
    ascii_only = like.isascii()
    made = json.dumps(text.decode("utf-8", "surrogatepass"), ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    slash = _JSON_SLASH.search(like)
    return made.replace(b"/", slash[1]) if slash else made


def _is_base64(value: bytes) -> bool:
    """Return whether a value as a whole is base64, its lines wrapped or not."""
    bare = b"".join(value.split())
    return _BASE64_RUN.fullmatch(bare) is not None and _looks_encoded(bare)


def _looks_encoded(run: bytes) -> bool:
    """Distinguish base64 from a path: both are letters, digits and slashes."""
    return (
        len(run) >= _SHORTEST_BASE64
        and len(run) % 4 == 0
        and run[:1] != b"/"
        and any(65 <= letter <= 90 for letter in run)
        and any(97 <= letter <= 122 for letter in run)
        and any(48 <= letter <= 57 for letter in run)
    )


def _in_base64(match: re.Match[bytes]) -> bool:
    if not _BASE64_ALPHABET.fullmatch(match[0]):
        return False
    value = match.string
    start, end = match.span()
    while start and _BASE64_ALPHABET.match(value, start - 1, start):
        start -= 1
    run = _BASE64_RUN.match(value, start)
    if run is None or run.end() < end:
        return False
    return value[max(0, start - 7) : start] == b"base64," or _looks_encoded(run[0])
