"""An extractor in PHP with the memory it has by default takes what is written by default."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from archives.trees import file_source, write
from backstay.archives import open_archive
from backstay.archives.writer import STORE_ABOVE

# As the vendor's extractor does it (format notes, section 1.8): the whole entry is collected, then inflated.
EXTRACTOR = r"""<?php
$file = fopen($argv[1], 'rb');
fseek($file, (int) $argv[2]);
$left = (int) $argv[3];
$data = '';
while ($left > 0) {
    $piece = fread($file, min($left, 1048576));
    $left -= strlen($piece);
    $data .= $piece;
    unset($piece);
}
$content = $argv[4] === '1' ? gzinflate($data) : $data;
unset($data);
$hash = hash_init('sha256');
for ($at = 0; $at < strlen($content); $at += 1048576) {
    hash_update($hash, substr($content, $at, 1048576));
}
echo hash_final($hash), ' ', memory_get_peak_usage(true);
"""


@pytest.mark.parametrize("kind", ["hardly", "well"])
def test_the_largest_entry_that_is_deflated_fits_into_phps_memory(tmp_path: Path, kind: str) -> None:
    if shutil.which("php") is None:
        pytest.skip("php is not installed")
    noise = random.Random(1).randbytes(STORE_ABOVE)
    # Seven bits of eight are noise: the worst that is worth deflating.
    data = (
        bytes(byte & 0x7F for byte in noise)
        if kind == "hardly"
        else (b"INSERT INTO t VALUES\n" * (STORE_ABOVE // 21 + 1))
    )
    data = data[:STORE_ABOVE]
    summary = write(tmp_path, "jpa", [file_source("large.sql", data)])
    with open_archive(summary.parts[0]) as archive:
        entry = archive.entry("large.sql")
    assert entry.compressed_size < entry.size
    assert entry.location is not None
    program = tmp_path / "extract.php"
    program.write_text(EXTRACTOR)
    command: list[str | Path] = ["php", "-d", "memory_limit=128M", program, summary.parts[0]]
    where = [str(entry.location.start), str(entry.compressed_size), str(entry.location.method)]
    done = subprocess.run([*command, *where], capture_output=True, text=True, check=True)
    digest, peak = done.stdout.split()
    assert digest == hashlib.sha256(data).hexdigest()
    # A quarter is left for the extractor itself.
    assert int(peak) < 100 << 20
