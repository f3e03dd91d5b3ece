"""Two tenants in one home: each with a group, a site of a folder here, and a backup of it that was taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backstay.catalogue import Backup, Finding, Group, Site
from backstay.fleet.sites import SiteDetails, add_local_site
from backstay.jobs import journal
from backstay.jobs.installation import Installation
from backstay.jobs.records import describe_backup
from backstay.jobs.schedules import add_schedule
from backstay.jobs.tasks import begin_task
from support.backups import take
from support.tasks import ended


@dataclass(frozen=True)
class Tenant:
    """One tenant: a word that stands in all that is theirs and in nothing else, and what it is."""

    word: str
    group: Group
    site: Site
    backup: Backup
    task: int


def two_tenants(installation: Installation, folder: Path) -> tuple[Tenant, Tenant]:
    """Make two tenants, ``mine`` and ``theirs``, and open an alarm about each."""
    made = _tenant(installation, folder, "minezz"), _tenant(installation, folder, "theirszz")
    now = datetime.now(UTC)
    installation.catalogue.alarms.reconcile(
        [
            Finding(
                kind="late",
                subject=f"profile {one.site.profile_id}",
                since=now,
                message=f"{one.word} is late.",
                advice=f"See to {one.word}.",
                profile_id=one.site.profile_id,
            )
            for one in made
        ],
        now,
    )
    return made


def _tenant(installation: Installation, folder: Path, word: str) -> Tenant:
    now, root = datetime.now(UTC), folder / word
    root.mkdir(parents=True)
    (root / f"{word}.html").write_text(word)
    group = installation.catalogue.groups.create(Group(0, f"group-{word}", now))
    site = add_local_site(installation, root, "none", SiteDetails(group=group.name, tags=(f"tag-{word}",)))
    backup = take(installation, root)
    describe_backup(installation, backup.id, description=f"Backup of {word}", comment=word)
    add_schedule(installation, site.profile_id, at="0 3 * * *", now=now)
    journal.note(installation, f"user-{word}", journal.PAGE, "done", word)
    task = begin_task(
        installation,
        "verify",
        f"Verify {word}",
        {"storage": ""},
        started_by="somebody",
        profile_id=site.profile_id,
        backup_id=backup.id,
    )
    ended(installation, task)
    return Tenant(word, group, site, backup, task.id)
