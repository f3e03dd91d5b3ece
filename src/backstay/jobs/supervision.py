"""Telling systemd how a program is: started, alive, ending (sd_notify(3)).

That is a datagram to the socket named by ``NOTIFY_SOCKET``. Where nobody asks, nothing is sent.
"""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass

_SOCKET = "NOTIFY_SOCKET"
_LIMIT = "WATCHDOG_USEC"
_LIMIT_OF = "WATCHDOG_PID"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Who started this program and wants to hear of it.

    Attributes:
        address: of the socket; empty: nobody.
        pause: seconds after which it is to hear again that the program lives: half of what it waits. None: it does
            not watch.
    """

    address: str = ""
    pause: float | None = None

    def ready(self) -> None:
        """Say that the program does its work from now on."""
        self._tell("READY=1")

    def alive(self) -> None:
        """Say that the program lives; to be called from the loop whose life is meant."""
        if self.pause is not None:
            self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the program is about to end."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if not self.address:
            return
        # A name in the abstract namespace is written with @ (unix(7)).
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
                sending.connect(address)
                sending.sendall(state.encode())
        except OSError as error:
            _log.warning("systemd could not be notified of %s: %s.", state, error.strerror or error)


def supervisor() -> Supervisor:
    """Return who supervises this program; the programs that it starts do not see it."""
    address, limit, limit_of = (os.environ.pop(name, "") for name in (_SOCKET, _LIMIT, _LIMIT_OF))
    is_ours = not limit_of or limit_of == str(os.getpid())
    return Supervisor(address, int(limit) / 2e6 if address and is_ours and limit.isdecimal() else None)
