"""An SFTP server for tests: asyncssh in a thread of this process, without a shell, as at many providers."""

from __future__ import annotations

import asyncio
import itertools
import threading
from pathlib import Path
from urllib.parse import quote

import asyncssh

from support.destinations import Place

USER, PASSWORD = "backstay", "a secret/of the tests"
_numbers = itertools.count(1)


class _Login(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


class SftpServer:
    """A running server over a folder.

    Attributes:
        host_key: its public key, as ``ssh-keyscan`` prints it behind the host's name.
        user_key: a private key that opens it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        key = asyncssh.generate_private_key("ssh-ed25519")
        user_key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = " ".join(key.export_public_key().decode().split()[:2])
        self.user_key = user_key.export_private_key().decode()
        allowed = folder.parent / "authorized_keys"
        allowed.write_bytes(user_key.export_public_key())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

        def serve(channel: asyncssh.SSHServerChannel[bytes]) -> asyncssh.SFTPServer:
            return asyncssh.SFTPServer(channel, chroot=str(folder).encode())

        async def listen() -> asyncssh.SSHAcceptor:
            return await asyncssh.listen(
                "127.0.0.1",
                0,
                server_factory=_Login,
                server_host_keys=[key],
                authorized_client_keys=str(allowed),
                sftp_factory=serve,
            )

        self._acceptor = asyncio.run_coroutine_threadsafe(listen(), self._loop).result(30)
        self.port = self._acceptor.get_port()

    def place(self, *, host_key: str = "") -> Place:
        """Return an empty place."""
        name = f"place-{next(_numbers)}"
        (self.folder / name).mkdir()
        key = quote(host_key or self.host_key, safe="")
        return Place(f"sftp://{USER}@127.0.0.1:{self.port}/{name}?host_key={key}", {"password": PASSWORD})

    def close(self) -> None:
        """Stop the server."""

        async def close() -> None:
            self._acceptor.close()
            await self._acceptor.wait_closed()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
