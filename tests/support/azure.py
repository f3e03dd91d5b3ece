"""A server of Azure Blob Storage for tests: Microsoft's Azurite, of npm, which ``make test`` installs where CI=true."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import os
import shutil
import subprocess
import sys
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import create_connection
from urllib.parse import urlencode

from backstay.storage.rclone_program import find_rclone
from support.destinations import Place
from support.s3 import free_port

ACCOUNT = "devstoreaccount1"
# Published by Microsoft for its emulators ("Use the Azurite emulator for local Azure Storage development").
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = "2022-11-02"
_numbers = itertools.count(1)


def find_azurite() -> str | None:
    """Return the path of the program, or None."""
    installed = Path(sys.prefix) / "share" / "azurite" / "node_modules" / ".bin"
    return shutil.which("azurite-blob", path=str(installed)) or shutil.which("azurite-blob")


class AzureServer:
    """A running server; what it holds is in its memory."""

    def __init__(self, program: str, folder: Path) -> None:
        self._port = free_port()
        self.endpoint = f"http://127.0.0.1:{self._port}/{ACCOUNT}"
        arguments = ["--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, *arguments, "--blobHost", "127.0.0.1", "--blobPort", str(self._port)],
                stdout=log,
                stderr=log,
                cwd=folder,
            )
        deadline = time.monotonic() + 60
        while True:
            with suppress(OSError), closing(create_connection(("127.0.0.1", self._port), 2)):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self._log.read_text()[-3000:])
            time.sleep(0.1)

    def place(self) -> Place:
        """Return an empty place in a container of its own."""
        name = f"container-{next(_numbers)}"
        variables = {"ACCOUNT": ACCOUNT, "KEY": KEY, "ENDPOINT": self.endpoint}
        environment = {f"RCLONE_AZUREBLOB_{variable}": value for variable, value in variables.items()}
        subprocess.run(
            [find_rclone(), "mkdir", f":azureblob:{name}"],
            env={**os.environ, **environment, "RCLONE_CONFIG": os.devnull},
            check=True,
        )
        url = f"az://{name}/pre/fix?account={ACCOUNT}&endpoint={self.endpoint}"
        return Place(url, {"account_key": KEY})

    def close(self) -> None:
        """Stop the server."""
        self.process.kill()
        self.process.wait()


def sas_token(permissions: str = "rwdlac") -> str:
    """Return a shared access signature for the account (learn.microsoft.com, "Create an account SAS")."""
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = {
        "sp": permissions,
        "ss": "b",
        "srt": "co",
        "st": "",
        "se": until,
        "sip": "",
        "spr": "",
        "sv": "2022-11-02",
    }
    text = "\n".join([ACCOUNT, *fields.values(), "", ""])
    signature = hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)
    known = {name: value for name, value in fields.items() if value}
    return urlencode({**known, "sig": base64.b64encode(signature).decode()})
