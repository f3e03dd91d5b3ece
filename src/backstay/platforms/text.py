"""Configuration files, read as text."""

from __future__ import annotations

from pathlib import Path

_LONGEST = 4 << 20


def read_text(path: Path) -> str | None:
    """Return a file's text, any bytes kept by ``surrogateescape``; ``None`` if it cannot be read or is far too long."""
    try:
        if not path.is_file() or path.stat().st_size > _LONGEST:
            return None
        return path.read_bytes().decode("utf-8", "surrogateescape").removeprefix("\ufeff").replace("\r\n", "\n")
    except OSError:
        return None
