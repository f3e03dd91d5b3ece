"""How an entry of a ZIP archive is compressed and encrypted (PKWARE's APPNOTE 6.3, sections 4.4.4, 4.4.5 and 7)."""

from __future__ import annotations

from backstay.archives.formats import BZIP2, DEFLATED, LZMA, STORED, XZ

METHODS = {0: STORED, 8: DEFLATED, 12: BZIP2, 14: LZMA, 95: XZ}
"""The methods that are read, by their numbers in ZIP."""

_NAMES = {
    1: "Shrink",
    2: "Reduce",
    3: "Reduce",
    4: "Reduce",
    5: "Reduce",
    6: "Implode",
    9: "Deflate64",
    10: "PKWARE DCL Implode",
    16: "IBM z/OS CMPSC",
    18: "IBM TERSE",
    19: "IBM LZ77",
    20: "Zstandard",
    93: "Zstandard",
    94: "MP3",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
}
_ENCRYPTED = 1 << 0
_STRONG = 1 << 6
_AES = 99
_AES_ID = 0x9901
_AES_BITS = {1: 128, 2: 192, 3: 256}


def unsupported(flags: int, method: int, extras: dict[int, bytes]) -> str | None:
    """Say why an entry's content cannot be read, as the end of a sentence that begins with its name; None if it can.

    Args:
        flags: general purpose flags.
        method: the method in the header.
        extras: the extra fields by their identity.
    """
    if flags & _ENCRYPTED or method == _AES:
        name = _encryption(flags, method, extras.get(_AES_ID, b""))
        return f"is encrypted ({name}), and encrypted ZIP is not read: unpack it with the program that made it"
    if method in METHODS:
        return None
    name = _NAMES.get(method, f"method {method}")
    return f"is compressed with {name}, which is not read: unpack it with the program that made it"


def _encryption(flags: int, method: int, aes: bytes) -> str:
    if method == _AES:
        return f"AES-{_AES_BITS[aes[4]]}" if len(aes) >= 7 and aes[4] in _AES_BITS else "AES"
    return "PKWARE strong encryption" if flags & _STRONG else "ZipCrypto"
