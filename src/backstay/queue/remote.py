"""Performing a run of a remote site, loaded when the first is performed: who has no such site never needs it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from backstay.jobs.installation import Installation


def perform(
    installation: Installation, remote_run_id: int, holder: str, *, may_go_on: Callable[[], bool], stopping: Event
) -> None:
    """Perform a run, see ``fleet.performing.perform``."""
    from backstay.fleet.performing import perform as performed

    performed(installation, remote_run_id, holder, may_go_on=may_go_on, stopping=stopping)
