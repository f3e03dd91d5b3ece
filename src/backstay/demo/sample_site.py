"""A sample site with one of everything that makes backups go wrong.

Some hundreds of files: text, PHP and noise, empty ones and large ones, deep and empty directories, odd modes, odd
names, links that lead somewhere, nowhere and away, and times from 1970 to 2040. The same seed gives the same site.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Final

_VOCABULARY: Final = (
    "site page article module template component menu category user table index column query value session token "
    "the of and to in is that for it as was with be by on not this have from naïve café Ελληνικά 日本語 русский 🎉"
)
WORDS: Final = _VOCABULARY.split()

EARLIEST_TIME: Final = 1  # a second after the start of 1970
LATEST_TIME: Final = 2_208_988_800  # the start of 2040: more than a signed number of 32 bits holds
USUAL_TIME: Final = 1_700_000_000

ODD_NAMES: Final = (
    "two words.txt",
    " leading and trailing space ",
    'it\'s "quoted".txt',
    "back\\slash.txt",
    "new\nline.txt",
    "tab\there.txt",
    "-leading-dash",
    "--to=elsewhere",
    "$HOME;echo `id`.php",
    "100%_*[?].txt",
    "Z\u00fcrich in one code point.txt",
    "Zu\u0308rich in two code points.txt",
    "Ελληνικά 日本語 русский עברית.txt",
    "party \U0001f389 family \U0001f469\u200d\U0001f467.txt",
    "right\u202eto left.txt",
    "bell\x07 and escape\x1b[31m.txt",
    "n" * 255,
    ".hidden",
    "...",
    "no-extension",
    "UPPER.TXT",
    "upper.txt",
)
NAME_THAT_IS_NOT_UTF8: Final = os.fsdecode(b"latin-1 caf\xe9.txt")

ODD_MODES: Final = (0o400, 0o444, 0o600, 0o640, 0o644, 0o664, 0o700, 0o755, 0o777)


def make_sample_site(root: Path, *, seed: int = 1) -> None:
    """Make the sample site in a folder that does not exist yet.

    Args:
        root: the folder to make.
        seed: what the contents and times are drawn from.
    """
    source = random.Random(seed)  # noqa: S311  # sample data, not secrets
    root.mkdir(parents=True)
    _make_pages(root, source)
    _make_deep_and_empty_directories(root)
    _make_odd_names(root / "names", source)
    _make_odd_modes(root / "modes", source)
    _make_sizes(root / "media", source)
    _make_links(root / "links")
    _make_hidden_files(root)
    _set_times(root, source)


def text(source: random.Random, size: int) -> bytes:
    """Give about ``size`` bytes of words, the way pages are."""
    line = " ".join(source.choices(WORDS, k=200)).encode() + b"\n"
    return (line * (size // len(line) + 1))[: size - 1] + b"\n" if size else b""


def php(source: random.Random, size: int) -> bytes:
    """Give at least ``size`` bytes of PHP."""
    lines = ["<?php", "/** A class of the sample site. */", f"final class Sample{source.randrange(10**6)}", "{"]
    length = 0
    while length < size:
        name = f"{source.choice(WORDS[:16])}{source.randrange(10**6)}"
        lines.append(
            f"    public function {name}(array $options = []): ?string {{ return $options['{name}'] ?? null; }}"
        )
        length += len(lines[-1])
    return "\n".join([*lines, "}", ""]).encode()


def _make_pages(root: Path, source: random.Random) -> None:
    """Make the bulk: small files of a usual site, in a tree two levels deep."""
    kinds = (("php", php), ("html", text), ("css", text), ("png", lambda source, size: source.randbytes(size)))
    for area in ("administrator", "components", "language", "templates"):
        for number in range(8):
            folder = root / area / f"part{number:02}"
            folder.mkdir(parents=True)
            for page in range(12):
                ending, content = kinds[page % len(kinds)]
                (folder / f"page{page:02}.{ending}").write_bytes(content(source, source.randrange(20_000)))
    (root / "index.php").write_bytes(php(source, 2_000))


def _make_deep_and_empty_directories(root: Path) -> None:
    deepest = root.joinpath("deep", *(f"level {depth:02}" for depth in range(24)))
    deepest.mkdir(parents=True)
    (deepest / "at the bottom.txt").write_bytes(b"found\n")
    for name in ("empty", "empty/inside/another", "empty with a space", "cache"):
        (root / name).mkdir(parents=True, exist_ok=True)


def _make_odd_names(folder: Path, source: random.Random) -> None:
    """Make files with names that break quoting, terminals and encodings, as far as the file system takes them."""
    folder.mkdir()
    for name in (*ODD_NAMES, NAME_THAT_IS_NOT_UTF8):
        try:
            with (folder / name).open("xb") as file:
                file.write(text(source, 300))
        except OSError:
            continue
    for name in ("directory with a space", "directory\nwith a new line"):
        (folder / name).mkdir()
        (folder / name / "inside.txt").write_bytes(text(source, 100))


def _make_odd_modes(folder: Path, source: random.Random) -> None:
    folder.mkdir()
    for mode in ODD_MODES:
        file = folder / f"file {mode:o}.txt"
        file.write_bytes(text(source, 500))
        file.chmod(mode)
    for mode in (0o700, 0o750, 0o775, 0o777):
        inner = folder / f"directory {mode:o}"
        inner.mkdir()
        (inner / "inside.txt").write_bytes(text(source, 500))
        (folder / f"empty directory {mode:o}").mkdir()
        (folder / f"empty directory {mode:o}").chmod(mode)
        inner.chmod(mode)
    closed = folder / "directory 555"
    closed.mkdir()
    (closed / "inside.txt").write_bytes(text(source, 500))
    closed.chmod(0o555)


def _make_sizes(folder: Path, source: random.Random) -> None:
    """Make files at the borders where a packer's buffers end, and one that is half noise."""
    folder.mkdir()
    for name, size in (
        ("empty.dat", 0),
        ("one byte.dat", 1),
        ("64 KiB.dat", 65_536),
        ("under 1 MiB.dat", 1_048_575),
        ("1 MiB.dat", 1_048_576),
        ("just over 1 MiB.dat", 1_048_577),
    ):
        (folder / name).write_bytes(text(source, size))
    (folder / "noise.jpg").write_bytes(source.randbytes(400_000))
    (folder / "zeros.img").write_bytes(bytes(3_000_000))
    with (folder / "half noise.mp4").open("wb") as film:
        for _ in range(12):
            film.write(source.randbytes(500_000))
            film.write(text(source, 500_000))


def _make_links(folder: Path) -> None:
    folder.mkdir()
    for name, target in (
        ("to a file", "../index.php"),
        ("to a directory", "../media"),
        ("to nowhere", "no such thing"),
        ("away", "/usr/share/no-such-folder/file.txt"),
        ("up", "../.."),
        ("to itself", "to itself"),
        ("to an odd name", "../names/new\nline.txt"),
    ):
        (folder / name).symlink_to(target)


def _make_hidden_files(root: Path) -> None:
    (root / ".htaccess").write_bytes(b"RewriteEngine On\nRewriteRule ^old$ /new [R=301,L]\n")
    (root / ".well-known").mkdir()
    (root / ".well-known" / "security.txt").write_bytes(b"Contact: mailto:security@example.org\n")
    (root / "media" / ".htaccess").write_bytes(b"Require all denied\n")


def _set_times(root: Path, source: random.Random) -> None:
    """Give every file, link and directory a time of its own; directories last, as making files in them sets it."""
    paths: list[Path] = []
    for folder, directories, files in os.walk(root, topdown=False):
        paths += [Path(folder, name) for name in (*files, *directories)]
    extremes = [EARLIEST_TIME, EARLIEST_TIME + 1, LATEST_TIME, LATEST_TIME + 1]
    for number, path in enumerate(paths):
        seconds = extremes[number % 4] if number % 50 < len(extremes) else USUAL_TIME + source.randrange(10_000_000)
        os.utime(path, (seconds, seconds), follow_symlinks=False)
    os.utime(root, (USUAL_TIME, USUAL_TIME))
