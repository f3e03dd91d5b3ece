r"""A site's old address replaced by its new one, in every form in which programs write an address.

Found are ``http://`` and ``https://`` in front of the old host and path, and ``//`` alone; slashes and colons may be
escaped as JSON does (``\/``, ``\u002f``, ``\u003a``) or percent-encoded, once or more often. Host and path end where
those of the site end: neither ``old.example.com.other.org`` nor ``myold.example.com`` nor ``old.example.com:8080`` nor
``someone@old.example.com`` is ``old.example.com``, and ``/blogger`` is not in ``/blog``.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from backstay.errors import UsageError

_SLASH = rb"(?:\\*/|\\+u002[fF])"
_COLON = rb"(?::|\\+u003[aA])"
_PERCENT = rb"%(?:25)*"
# What is no scheme-relative address: another scheme, a host in a path, three slashes.
_NOT_BEFORE = rb"(?:(?<![\w:/\\.-])|(?<=\\[nrt]))(?<!%3[aA])(?<!u003[aA])"
_NOT_BEFORE_ENCODED = rb"(?<![:/])(?<!%3[aA])(?<!%2[fF])(?<!%253[aA])(?<!%252[fF])(?<!\\)"
# A host goes on with letters, digits, hyphens, a dot before one of them, a port; what stands before @ is a user's name.
_HOST_ENDS = (
    rb"(?![\w@-]|\.[\w-]|:\d|%(?:25)*(?:2[dD]|40|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF])"
    rb"|%(?:25)*2[eE][\w%-]|%(?:25)*3[aA]\d|\\+u00(?:2[dD]|40|3\d|[46][1-9a-fA-F]|[57][0-9aA]|5[fF]))"
)
# A folder's name goes on with anything but what ends it in an address.
_PATH_ENDS = (
    rb"(?![\w~+@\x80-\xff-]|\.[\w-]|%(?:25)*(?:20|2[bBdD]|2[eE][\w%-]|3\d|40|[4-7][0-9a-fA-F]|[89a-fA-F][0-9a-fA-F]))"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a site is: what its addresses have in common, whatever their scheme.

    Attributes:
        host: host name, with the port where there is one.
        path: folder on the host, such as ``/blog``; empty for the root.
    """

    host: str
    path: str = ""

    @classmethod
    def parse(cls, address: str) -> Place:
        """Read an address such as ``https://example.com/blog``; the scheme may be missing.

        Raises:
            UsageError: there is no host in it.
        """
        try:
            parts = urlsplit(address if "//" in address else f"//{address}")
        except ValueError:
            parts = urlsplit("")
        host = parts.netloc.rpartition("@")[2]
        default = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
        if not host or re.search(r"[\s\"'<>\\]", host):
            raise UsageError(f"A site's address is written as https://example.com, not {address!r}.")
        return cls(host.removesuffix(default).lower(), parts.path.rstrip("/"))

    def holds(self, other: Place) -> bool:
        """Return whether another place is this one, or a folder in it."""
        return self.host == other.host and (other.path + "/").startswith(self.path + "/")

    def __str__(self) -> str:
        return self.host + self.path


@dataclass(frozen=True, slots=True)
class AddressMove:
    """A site's old place, and its new address.

    Attributes:
        old: where the site was.
        new: its new address, ``https://example.com/path``, without a slash at the end.
    """

    old: Place
    new: str

    def pattern(self) -> bytes:
        """Return what finds the old address in bytes; it has no groups."""
        hosts = b"|".join(re.escape(host) for host in self._hosts())
        plain_path, encoded_path = self._path(_SLASH), self._path(_PERCENT + b"2[fF]", encoded=True)
        plain = (
            rb"(?:(?i:https?)" + _COLON + rb"|" + _NOT_BEFORE + rb")" + _SLASH + _SLASH
            + rb"(?i:" + hosts + rb")" + plain_path + self._end()
        )  # fmt: skip
        encoded_hosts = b"|".join(
            re.escape(quote(host, safe="").encode()).replace(b"%", _PERCENT) for host in self._hosts()
        )
        slash = _PERCENT + b"2[fF]"
        encoded = (
            rb"(?:(?i:https?)(?::|" + _PERCENT + rb"3[aA])|" + _NOT_BEFORE_ENCODED + rb")" + slash + slash
            + rb"(?i:" + encoded_hosts + rb")" + encoded_path + self._end()
        )  # fmt: skip
        return plain + b"|" + encoded

    def replacement(self, found: bytes) -> bytes:
        """Return the new address in the form of an old one that was found."""
        scheme, _, rest = self.new.partition("://")
        place = rest.encode("utf-8", "surrogateescape")
        head = re.match(rb"(?i:https?)(%(?:25)*3[aA]|\\+u003[aA]|:)", found)
        start = scheme.encode() + head[1] if head else b""
        body = found[head.end() if head else 0 :]
        if (percent := re.match(rb"(%(?:25)*)(2[fF])", body)) is not None:
            new = quote(b"//" + place, safe="").encode()
            if percent[2] == b"2f":
                new = re.sub(rb"%[0-9A-F]{2}", lambda match: match[0].lower(), new)
            return start + new.replace(b"%", percent[1])
        slash = re.match(_SLASH, body)
        return start + (b"//" + place).replace(b"/", slash[0] if slash else b"/")

    def needle(self) -> str | None:
        """Return a plain text that is in every form of the old address; None where there is none."""
        if len(self._hosts()) > 1:
            # A name with other letters is written in two ways that may have nothing in common.
            return None
        return max(re.findall(r"[a-z0-9.-]+", self.old.host), key=len, default=None)

    def _hosts(self) -> list[bytes]:
        forms = [self.old.host]
        with suppress(UnicodeError):
            forms.append(self.old.host.encode("idna").decode())
        with suppress(UnicodeError):
            forms.append(self.old.host.encode("ascii").decode("idna"))
        return [form.encode("utf-8", "surrogateescape") for form in dict.fromkeys(forms)]

    def _path(self, slash: bytes, *, encoded: bool = False) -> bytes:
        pieces = [piece.encode("utf-8", "surrogateescape") for piece in self.old.path.split("/")]
        if encoded:
            pieces = [re.escape(quote(piece, safe="").encode()).replace(b"%", _PERCENT) for piece in pieces]
        else:
            pieces = [re.escape(piece) for piece in pieces]
        return slash.join(pieces)

    def _end(self) -> bytes:
        return _PATH_ENDS if self.old.path else _HOST_ENDS
