"""The lease of this process over a catalogue that machines share: kept, lost, and what was another's taken over.

A process that could not renew its lease begins no step any more, some seconds before others may take the lease from
it. Where it then renews it, nobody has taken it, and it goes on. Where it has lost it, what it had begun is another's.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from backstay.catalogue import Catalogue
from backstay.catalogue.machines import LEASE_SECONDS
from backstay.queue.members import lease_name

RENEW_SECONDS: Final = 5.0
_HOLDS_SECONDS: Final = LEASE_SECONDS - 2 * RENEW_SECONDS

_log = logging.getLogger(__name__)


class Lease:
    """The lease of this process.

    Args:
        catalogue: that is shared; one that waits for nothing.

    Attributes:
        name: by which the queue knows the process; none is given twice.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._renewed = self._steady = time.monotonic()
        self._number = catalogue.workers.join(catalogue.machine)
        self.name = lease_name(self._number)

    def holds(self) -> bool:
        """Return whether nobody can have taken it yet."""
        return time.monotonic() - self._renewed < _HOLDS_SECONDS

    def renew(self) -> bool:
        """Renew it; return False where it was taken.

        Raises:
            BackstayError: the database can't be asked.
        """
        asked = time.monotonic()
        if not self.holds():
            self._steady = asked
        renewed = self._catalogue.workers.renew(self._number)
        if renewed:
            self._renewed = asked
        return renewed

    def leave(self) -> None:
        """Give it back: others may go on with what is not finished."""
        self._catalogue.workers.leave(self._number)

    def living(self) -> set[str]:
        """Return the names of all processes that have a lease."""
        return {lease_name(worker.id) for worker in self._catalogue.workers.all()}

    def take_over(self) -> None:
        """Take the leases of the dead, and queue again what they, and those that left, had begun."""
        # Imported here: who performs nothing but runs of remote sites does without.
        from dbos import DBOS

        # After the database was away nobody has renewed anything: all are given the time to do so.
        if time.monotonic() - self._steady >= LEASE_SECONDS:
            for worker in self._catalogue.workers.expel():
                _log.warning("Worker %d on %s gives no sign of life: others go on", worker.id, worker.machine)
        if self._left():
            with self._catalogue.exclusive("queue"):
                for workflow_id, queue in self._left():
                    _log.warning("%s is taken over from a process that ended", workflow_id)
                    DBOS.resume_workflow(workflow_id, queue_name=queue)

    def _left(self) -> list[tuple[str, str | None]]:
        """Return the workflows that were begun by a process without a lease, and their queues."""
        from dbos import DBOS

        begun = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        # Asked after that: whoever has begun one of these by then has its lease.
        held = self.living()
        return [(one.workflow_id, one.queue_name) for one in begun if one.executor_id not in held]
