"""SQL parts on their way into the archive."""

from __future__ import annotations

import tracemalloc
import zlib
from pathlib import Path

import pytest

from backstay.archives import Compression
from backstay.engine.spool import Spool


@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize("size", [0, 1, 70_000, 9_000_000])
def test_a_part_holds_what_was_written(tmp_path: Path, compression: Compression, size: int) -> None:
    spool = Spool(tmp_path / "spool", compression)
    content = (b"INSERT INTO `#__t` VALUES ('%d');\n" * (size // 30 + 1))[:size]
    with spool.open("site.sql") as part:
        for start in range(0, len(content), 100_000):
            part.write(content[start : start + 100_000])
    ((name, found),) = spool.finished()
    spool.close()
    assert (name, found.size, found.crc32) == ("site.sql", size, zlib.crc32(content))
    assert zlib.decompress(Path(found.path).read_bytes(), -15) == content


def test_a_dump_of_many_parts_stays_flat_in_memory(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", Compression.FAST)
    text = b"INSERT INTO `#__t` VALUES ('1');\n" * 15_000
    tracemalloc.start()
    for number in range(60):
        with spool.open(f"site.s{number:02d}") as part:
            part.write(text)
    parts = list(spool.finished())
    kept, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    spool.close()
    assert len(parts) == 60
    assert kept < 2 * len(text)
