"""What a handler is given and gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from backstay.downloads.stored_parts import StoredPart
from backstay.engine import BackupFile
from backstay.jobs.installation import Installation
from backstay.jobs.tenants import Groups


class Scheduling(Enum):
    """How a handler spends its time.

    INLINE takes no time to speak of and runs in the event loop. The others run in a thread: SHORT takes little time,
    WAITING waits for news of a backup, LARGE makes a large reply.
    """

    INLINE = auto()
    SHORT = auto()
    WAITING = auto()
    LARGE = auto()


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler may know of a call besides its parameters.

    Attributes:
        installation: what the call is about.
        version: of the API: 1, 2 or 3.
        groups: numbers of the groups of sites that lists are narrowed to; None: they hold everything.
        when_sent: what is to be done when the reply is sent; a handler may add to it.
    """

    installation: Installation
    version: int
    groups: Groups = None
    when_sent: list[Callable[[], None]] = field(default_factory=list)

    @property
    def level(self) -> int:
        """The API level that this server reports."""
        return self.installation.configuration.server.api_level


@dataclass(frozen=True, slots=True)
class Handler:
    """The function that answers a method, from a call and its typed parameters; and how it spends its time."""

    function: Callable[[Call, Any], Any]
    scheduling: Scheduling = Scheduling.SHORT


@dataclass(frozen=True, slots=True)
class PartOfArchive:
    """A part to be sent as it is, from wherever it lies: the reply of ``downloadDirect``."""

    file: BackupFile | StoredPart
