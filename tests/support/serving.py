"""``backstay serve`` in a process of its own, that can be killed and started anew at the same address."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

_LINE = re.compile(r"Backstay \S+ listens on (https?://\S+?):(\d+);")


class ServerProcess:
    """A server over a home; a context manager that kills what still runs."""

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self._home = home
        # What it does by itself has tests of its own, and would cost each of these a second.
        self._environment = {**os.environ, "BACKSTAY_SERVER__WORKER": "false", **(environment or {})}
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, on the port of the time before, and wait until it answers."""
        command = [sys.executable, "-m", "backstay", "serve", "--quiet", "--home", str(self._home)]
        with (self._home.parent / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self._port)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment,
            )
        assert self._process.stdout is not None
        # It says first which backups had died.
        for line in self._process.stdout:
            if match := _LINE.match(line):
                self._port = int(match[2])
                self.url = f"{match[1]}:{self._port}"
                return
        message = f"the server did not start: {(self._home.parent / 'server.log').read_text()[-2000:]}"
        raise RuntimeError(message)

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
