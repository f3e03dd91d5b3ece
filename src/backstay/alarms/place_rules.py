"""Rules over the places that backups go to: storages and disks."""

from __future__ import annotations

from collections.abc import Iterator

from backstay.alarms.model import DiskFacts, Facts
from backstay.alarms.wording import amount, moment, without_stop
from backstay.catalogue import Finding

_LONGEST_SUBJECT = 240


def storage_unreachable(facts: Facts) -> Iterator[Finding]:
    """Find storages that cannot be reached, or do not work."""
    for storage in facts.storages:
        if storage.problem in ("unreachable", "failing"):
            yield Finding(
                "storage",
                f"storage:{storage.name}",
                f"The storage {storage.name} does not work since {moment(storage.since)}: "
                f"{without_stop(storage.reason)}.",
                f"Mend what it names, and try it with 'backstay storage test {storage.name}'.",
                storage.since,
            )


def credential_refused(facts: Facts) -> Iterator[Finding]:
    """Find storages that refuse the credentials they are given."""
    for storage in facts.storages:
        if storage.problem == "refused":
            yield Finding(
                "credential",
                f"storage:{storage.name}",
                f"The storage {storage.name} refuses its credentials since {moment(storage.since)}: "
                f"{without_stop(storage.reason)}.",
                f"Enter new ones with 'backstay storage edit {storage.name}', and try them with 'backstay storage test "
                f"{storage.name}'.",
                storage.since,
            )


def disk_nearly_full(facts: Facts) -> Iterator[Finding]:
    """Find folders that have less room than they should have, or than the next archive is likely to take."""
    for disk in facts.disks:
        aspects = tuple(_shortages(disk))
        if not aspects:
            continue
        share = 100 * disk.free / max(1, disk.total)
        why = (
            f"and the last archive there took {amount(disk.needed, 'bytes')}"
            if "no room" in aspects
            else f"and {disk.wanted} % should be"
        )
        yield Finding(
            "disk",
            f"disk:{disk.folder}"[:_LONGEST_SUBJECT],
            f"The disk of {disk.folder} is nearly full: {amount(disk.free, 'bytes')} ({share:.1f} %) are free, {why}.",
            "Free some space there, keep fewer backups (the settings of retention), or set another output folder.",
            disk.at,
            aspects=aspects,
        )


def _shortages(disk: DiskFacts) -> Iterator[str]:
    """Give what is short, in the order in which it comes to be so."""
    if not disk.wanted:
        return
    if 100 * disk.free < disk.wanted * disk.total:
        yield "little"
    if disk.free < disk.needed:
        yield "no room"
