"""What is announced when a backup begins and ends; nothing that goes wrong here fails a backup."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from backstay.catalogue import PATIENT_SECONDS
from backstay.jobs.environment import child_environment
from backstay.jobs.installation import Installation, open_installation

_log = logging.getLogger("backstay.jobs.announcing")


def announce(
    installation: Installation,
    backup_id: int,
    kind: Literal["started", "succeeded", "failed"],
    *,
    send_now: bool = True,
) -> None:
    """Publish that a backup has begun or ended; where anyone is to hear of it, a process of its own sends it.

    Args:
        installation: whose.
        backup_id: number of its record.
        kind: what happened; announced once, however often this is called.
        send_now: False where this process sends what is due by itself, or its user does.
    """
    try:
        if not installation.catalogue.recipients.count():
            return
        # Imported here: where nobody is to hear of it, a backup starts sooner without.
        from backstay.jobs.backup_events import publish_backup

        publish_backup(installation, backup_id, kind)
        if send_now:
            _send_beside(installation)
    except Exception:  # noqa: BLE001 - whatever it is, the backup goes on
        _log.warning("That backup %d has %s could not be announced", backup_id, kind, exc_info=True)


def send_beside(installation: Installation) -> None:
    """Send what was announced, in a process that nobody waits for; nothing where nobody is to hear of anything."""
    try:
        if installation.catalogue.recipients.count():
            _send_beside(installation)
    except Exception:  # noqa: BLE001 - whatever it is, what was done is done
        _log.warning("What is to be announced could not be sent", exc_info=True)


# Its parent ends at once, so that nobody has to wait for the child. A unit of systemd that ends with its backup asks
# what it leaves to end, too: not before what is due was sent.
_DETACHED: Final = (
    "import os, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork() and os._exit(0); "
    "from backstay.jobs.announcing import send; send(sys.argv[1])"
)


def _send_beside(installation: Installation) -> None:
    """Open and close alarms, and send what is due, in a process that nobody waits for.

    A receiver that does not answer costs half a minute. What is not taken in a quarter of an hour, or where the process
    dies, is left to the queue of a server or worker, or to the next backup.
    """
    subprocess.run(
        [sys.executable, "-P", "-c", _DETACHED, str(installation.home.path)],
        cwd="/",
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=True,
        timeout=60,
    )


def send(home: str) -> None:
    """Open and close alarms of a home, send what is due, and try again for a while what is not taken.

    Args:
        home: path of its folder.
    """
    from backstay.jobs.alarms import check
    from backstay.jobs.notifications import deliver_due, retry_for_a_while

    with open_installation(Path(home), patience=PATIENT_SECONDS) as installation:
        check(installation, datetime.now(UTC))
        deliver_due(installation)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        retry_for_a_while(installation)
