"""A WebDAV server for tests: WsgiDAV in a thread of this process."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp  # type: ignore[import-untyped]  # it has no types

from support.destinations import Place

USER, PASSWORD = "backstay", "a secret/of the tests"
_numbers = itertools.count(1)


class WebDavServer:
    """A running server over a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        application = WsgiDAVApp(
            {
                "provider_mapping": {"/": str(folder)},
                "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
                "verbose": 0,
                "logging": {"enable": False},
                "property_manager": True,
                "lock_storage": True,
            }
        )
        self._server = wsgi.Server(("127.0.0.1", 0), application, numthreads=8)
        self._server.prepare()
        self.port = self._server.bind_addr[1]
        threading.Thread(target=self._server.serve, daemon=True).start()

    def place(self) -> Place:
        """Return an empty place."""
        name = f"place-{next(_numbers)}"
        (self.folder / name).mkdir()
        return Place(f"webdav://{USER}@127.0.0.1:{self.port}/{name}", {"password": PASSWORD})

    def close(self) -> None:
        """Stop the server."""
        self._server.stop()
