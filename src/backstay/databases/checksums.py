"""The checksum of a table: a sum over its rows, whatever their order."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from isal import isal_zlib

# Below this many bytes a row, zlib's CRC costs less to call than ISA-L's gains.
_SHORT = 400


def sum_of(rows: Sequence[bytes], size: int) -> int:
    """Return the sum of the CRC-32 of each row.

    Args:
        rows: the rows' text.
        size: their bytes in all, which decides between two ways.
    """
    return sum(map(zlib.crc32 if size < _SHORT * len(rows) else isal_zlib.crc32, rows))
