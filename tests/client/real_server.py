"""Backstay's own server as a user starts it: a process of its own, on a free port of loopback."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMMAND = [sys.executable, "-c", "from backstay.cli import main; main()"]


@dataclass(frozen=True)
class RealServer:
    """A running server: its address, its home, its secret, and the number of a profile with a site."""

    url: str
    home: Path
    secret: str
    profile: int
    site: Path

    def backstay(self, *arguments: str) -> str:
        return backstay(self.home, *arguments)


def backstay(home: Path, *arguments: str) -> str:
    """Runs a command in a home and gives what it printed."""
    environment = os.environ | {"BACKSTAY_HOME": str(home)}
    done = subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[RealServer]:
    """Starts a server on a home of its own, with a profile for a small site; encryption is switched on."""
    home, site = folder / "home", folder / "site"
    home.mkdir(mode=0o700)
    (site / "images").mkdir(parents=True)
    (site / "index.html").write_text("<h1>hello</h1>")
    (site / "images" / "noise.bin").write_bytes(os.urandom(3_000_000))
    (home / "backstay.toml").write_text("[server]\nencrypted_encapsulations = true\nworker = false\n")
    made = backstay(home, "profile", "create", "--name", "Site", "--root", str(site), "--database", "none", "--json")
    profile = int(re.findall(r'"id": (\d+)', made)[0])
    secret = backstay(home, "secret", "show").strip()
    log = (folder / "serve.log").open("w")
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--home", str(home)], stdout=subprocess.PIPE, stderr=log, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://[\d.:]+", line)
        assert found, line + (folder / "serve.log").read_text()
        yield RealServer(found[0], home, secret, profile, site)
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()
        log.close()
