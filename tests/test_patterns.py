"""Regular expressions that mean the same in every Python that the project supports."""

from __future__ import annotations

import re
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"
# CPython before 3.11.5, which Debian 12 has, matches possessive and atomic groups wrongly (python/cpython#106052).
UNSAFE = re.compile(r"\)[*+?]\+|\(\?>")


def test_no_pattern_uses_possessive_or_atomic_groups() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{number}"
        for path in sorted(SOURCE.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNSAFE.search(line)
    ]
    assert found == []
