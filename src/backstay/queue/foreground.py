"""Performing certain runs of remote sites here and now, for a command that waits for them; nothing else is done."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Collection, Iterator
from functools import partial
from typing import TYPE_CHECKING

from backstay.catalogue import PATIENT_SECONDS
from backstay.errors import BackstayError
from backstay.fleet.worker import RemoteWorker
from backstay.jobs.announcing import send_beside
from backstay.jobs.installation import Installation
from backstay.queue import members
from backstay.queue.remote import perform

if TYPE_CHECKING:
    from backstay.queue.leases import Lease

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def performing(installation: Installation, only: Collection[int]) -> Iterator[None]:
    """Perform runs in threads of this process until the end of the block.

    What is not finished then, another worker goes on with; others may take some of them at any time, too.

    Args:
        installation: whose.
        only: numbers of the runs.
    """
    member = _leased if installation.catalogue.is_shared else _locked
    try:
        with member(installation, only):
            yield
    finally:
        send_beside(installation)


@contextlib.contextmanager
def _locked(installation: Installation, only: Collection[int]) -> Iterator[None]:
    member = members.join(installation.home, foreground=True)
    living = partial(members.names, installation.home)
    worker = RemoteWorker(installation, member.name, living, perform, only=only)
    worker.start()
    try:
        yield
    finally:
        worker.stop()
        member.leave()


@contextlib.contextmanager
def _leased(installation: Installation, only: Collection[int]) -> Iterator[None]:
    from backstay.queue.leases import Lease

    ended = threading.Event()
    lease = Lease(installation.catalogue)
    patient = installation.patient(PATIENT_SECONDS, ended.is_set)
    worker = RemoteWorker(patient, lease.name, lease.living, perform, may_go_on=lease.holds, only=only)
    keeping = threading.Thread(target=_keep, args=(lease, ended), name="lease", daemon=True)
    keeping.start()
    worker.start()
    try:
        yield
    finally:
        ended.set()
        worker.stop()
        keeping.join()
        with contextlib.suppress(BackstayError):
            lease.leave()


def _keep(lease: Lease, ended: threading.Event) -> None:
    """Renew a lease; where it was lost, others have what was under way, and this process takes nothing any more."""
    from backstay.queue.leases import RENEW_SECONDS

    while not ended.wait(RENEW_SECONDS):
        try:
            if not lease.renew():
                _log.warning("This command was cut off from the catalogue: the workers go on with its backups.")
                return
        except BackstayError as error:
            _log.warning("%s", error)
