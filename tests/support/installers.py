"""Packages of a restoration script, as their makers write them."""

from __future__ import annotations

import struct
from pathlib import Path


def make_package(path: Path, files: dict[str, bytes], *, link: str = "") -> Path:
    """Write a package as the format notes describe version 1.0 (sections 1.4 and 1.7): stored files, no extras."""
    kinds = [(name, 1, data) for name, data in files.items()] + ([(link, 2, b"/etc")] if link else [])
    blocks = []
    for name, kind, data in kinds:
        numbers = struct.pack("<BBIII", kind, 0, len(data), len(data), 0o100644)
        blocks.append(b"JPF" + struct.pack("<HH", 21 + len(name), len(name)) + name.encode() + numbers + data)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"JPA" + struct.pack("<HBBIII", 19, 1, 0, len(blocks), 0, 0) + b"".join(blocks))
    return path
