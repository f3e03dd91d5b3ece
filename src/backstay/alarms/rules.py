"""The rules of alarms, and what a person should know of each; the reference page is made from this table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from backstay.alarms import backup_rules, place_rules, proof_rules, site_rules
from backstay.alarms.model import Facts
from backstay.catalogue import Finding


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of alarm.

    Attributes:
        kind: its name.
        find: finds what is wrong; it reads nothing but the facts.
        opens: when an alarm of it opens, in a sentence.
        closes: when it closes.
        settings: names of the settings of a profile that it heeds.
    """

    kind: str
    find: Callable[[Facts], Iterable[Finding]]
    opens: str
    closes: str
    settings: tuple[str, ...] = ()


RULES: tuple[Rule, ...] = (
    Rule(
        "failed",
        backup_rules.failed,
        "The last backup of a profile failed, or a scheduled one could not begin. Where the server of a remote site "
        "did not answer at all, the alarm is silent instead.",
        "A later one is complete, or its record is deleted.",
    ),
    Rule(
        "silent",
        site_rules.silent,
        "The server of a remote site has answered nothing since its last backup began, which failed. A site that a "
        "person has paused is never silent.",
        "It answers, in a backup or when it is tested, or a backup is complete.",
    ),
    Rule(
        "warnings",
        backup_rules.more_warnings,
        "The last complete backup of a profile gave more warnings than any of the five before it.",
        "A later one gives no more than those did. As long as the warnings last, the larger number does not become the "
        "usual one.",
        ("alarms_warnings",),
    ),
    Rule(
        "late",
        backup_rules.late,
        "No backup was complete after the last moment at which a schedule of the profile, or the interval that is set, "
        "expected one, and the grace is over. A profile without a schedule and without an interval is never late, nor "
        "is a site that a person has paused.",
        "A backup is complete.",
        ("alarms_expected_every", "alarms_grace"),
    ),
    Rule(
        "suspicious",
        backup_rules.suspicious,
        "The last complete backup is whole, but hardly what its site should have given: a folder, a database or a "
        "table that held something in the backup before holds nothing; there are less than half, or more than double, "
        "of the entries, bytes or rows that are usual (the median of the last five of its type; more only where there "
        "are three); or nothing has changed in many backups. Folders are looked at down to the third level, tables "
        "from ten rows on; names such as cache, tmp, log and session are passed over.",
        "A later backup is not suspicious: what was empty holds something again or is gone from the site, the amounts "
        "are usual again (after three backups a new amount is), something has changed.",
        ("alarms_factor", "alarms_emptied", "alarms_unchanged"),
    ),
    Rule(
        "drill",
        proof_rules.drill_failed,
        "The last drill of a backup that is kept failed or could not be made.",
        "A drill of the same backup passes, or the backup is deleted; where a drill could not be made, also when the "
        "next one of the profile passes.",
    ),
    Rule(
        "verification",
        proof_rules.verification_failed,
        "The last verification of a backup that is kept, here or at a storage, found damage.",
        "A verification of the same files passes, or the backup is deleted.",
    ),
    Rule(
        "repository",
        proof_rules.repository_damaged,
        "The last check of a repository found damage, or could not be made. Each day the part of it that was not read "
        "for longest is read by itself, so that all of it is read again within `[repositories] reread_days`.",
        "A check of the same repository finds nothing any more: after a backup has stored anew what was damaged and "
        "the backups that it hit are deleted, or after a good copy of the file was put back.",
    ),
    Rule(
        "copy",
        proof_rules.copy_missing,
        "The newest complete backup of a profile is not, with a proof of its arrival, at a storage that the profile "
        "names; or its archive is gone from this machine, and no storage has a copy.",
        "The copy has arrived and is proven, or a newer backup has its copies.",
        ("destinations",),
    ),
    Rule(
        "storage",
        place_rules.storage_unreachable,
        "A storage that a profile names did not answer a request for its list of files, or refused it. Storages are "
        "asked every 15 minutes.",
        "It answers.",
    ),
    Rule(
        "credential",
        place_rules.credential_refused,
        "A storage refused the credentials it was given.",
        "It takes them.",
    ),
    Rule(
        "disk",
        place_rules.disk_nearly_full,
        "Where archives go, or in Backstay's own folder, less is free than should be, or less than the largest of the "
        "newest archives took there. Disks are looked at every 15 minutes.",
        "There is more room.",
        ("alarms_free_space",),
    ),
)


def find_all(facts: Facts) -> list[Finding]:
    """Return everything that is wrong, by the rules in their order."""
    return [finding for rule in RULES for finding in rule.find(facts)]
