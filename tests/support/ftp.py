"""A server of FTP and FTPS for tests: pyftpdlib in a process of its own, which runs this file as a program."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

from support.certificates import self_signed
from support.destinations import Place

USER, PASSWORD = "backstay", "a secret/of the tests"
_numbers = itertools.count(1)


class FtpServer:
    """A running server over a folder; it takes connections with TLS (explicit) and without.

    Attributes:
        certificate: a file with what to trust (``SSL_CERT_FILE``) for TLS.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "files"
        self._folder.mkdir()
        self.certificate = folder / "server.pem"
        self.certificate.write_bytes(self_signed())
        arguments = [str(self.certificate), str(self._folder)]
        # The server is built on a module that Python warns of.
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def place(self, scheme: str = "ftp") -> Place:
        """Return an empty place; ``scheme`` is ftp or ftps."""
        name = f"place-{next(_numbers)}"
        (self._folder / name).mkdir()
        return Place(f"{scheme}://{USER}@127.0.0.1:{self.port}/{name}", {"password": PASSWORD})

    def close(self) -> None:
        """Stop the server."""
        self.process.kill()
        self.process.communicate()


def _serve(certificate: str, folder: str) -> None:
    from OpenSSL import SSL
    from pyftpdlib.authorizers import DummyAuthorizer  # type: ignore[import-untyped]  # it has no types
    from pyftpdlib.handlers import TLS_FTPHandler  # type: ignore[import-untyped]
    from pyftpdlib.servers import ThreadedFTPServer  # type: ignore[import-untyped]

    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, folder, perm="elradfmwMT")

    class Handler(TLS_FTPHandler):  # type: ignore[misc]
        # With TLS 1.3 it loses the end of what it receives.
        ssl_options = TLS_FTPHandler.ssl_options | SSL.OP_NO_TLSv1_3

    Handler.authorizer = authorizer
    Handler.certfile = certificate
    server = ThreadedFTPServer(("127.0.0.1", 0), Handler)
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever(handle_exit=False)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
