"""``backstay backup --site``, ``--group``, ``--tag``, ``--all-sites``: backups of many sites, here and elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, replace

from backstay.catalogue import Site
from backstay.cli.output import console, counted, print_json, say, warn
from backstay.errors import BackstayError, BackupFailedError, UsageError
from backstay.fleet.selection import Selection, selected_sites
from backstay.jobs.backup import begin_backup
from backstay.jobs.installation import Installation
from backstay.jobs.remote_runs import cancel_run, queue_run
from backstay.jobs.waiting import resume_unfinished

_LOOK_SECONDS = 0.5
_RESUME_SECONDS = 5.0
_TOLD_SECONDS = 5.0
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """The backup of one site.

    Attributes:
        site: name of the site.
        state: ``waiting`` or ``running``, then ``done``, ``failed`` or ``cancelled``.
        run: number of its run, where the site is on another server.
        backup: number of its record; None: it has none.
        message: how it ended, or why it could not begin, in a sentence.
    """

    site: str
    state: str = "waiting"
    run: int | None = None
    backup: int | None = None
    message: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in ("waiting", "running")


def back_up(
    installation: Installation, selection: Selection, description: str, *, background: bool, as_json: bool
) -> None:
    """Ask for a backup of each site, and see them to their end.

    Args:
        installation: whose.
        selection: which sites.
        description: for the list of backups.
        background: leave them to the workers, and do not wait.
        as_json: print JSON, and no progress.

    Raises:
        BackupFailedError: some failed; the others were taken.
        UsageError: no site is meant.
    """
    asked = [_ask(installation, site, description) for site in _selected(installation, selection)]
    if background:
        _warn_without_worker(installation, asked)
    else:
        asked = _see_to_the_end(installation, asked, quiet=as_json)
    if as_json:
        print_json([asdict(one) for one in asked])
    else:
        _print(asked)
    failed = [one for one in asked if one.state == "failed"]
    if failed:
        raise BackupFailedError(f"{len(failed)} of {counted(len(asked), 'backup')} failed.")


def cancel(installation: Installation, selection: Selection) -> None:
    """End the backups of sites on other servers that wait or are under way.

    Raises:
        UsageError: no site is meant.
    """
    count = 0
    for site in _selected(installation, selection):
        run = installation.catalogue.remote_runs.open_of(site.id)
        count += run is not None and cancel_run(installation, run.id)
    console.print(f"{counted(count, 'backup')} cancelled.", markup=False)


def _selected(installation: Installation, selection: Selection) -> list[Site]:
    sites = selected_sites(installation, selection)
    if not sites:
        raise UsageError("No site is meant by that: see them with 'backstay site list'.")
    return sites


def _ask(installation: Installation, site: Site, description: str) -> Asked:
    """Ask for the backup of a site; one of a remote site that waits or is under way already is the one."""
    try:
        if site.kind == "local":
            begun = begin_backup(
                installation, profile_id=site.profile_id, description=description, origin="cli", tag="cli"
            )
            return Asked(site.name, "running", backup=begun.id)
        run = installation.catalogue.remote_runs.open_of(site.id) or queue_run(
            installation, site.profile_id, description=description, origin="cli", tag="cli"
        )
        return Asked(site.name, run.state, run.id, run.backup_id)
    except BackstayError as error:
        return Asked(site.name, "failed", message=str(error))


def _warn_without_worker(installation: Installation, asked: list[Asked]) -> None:
    from backstay.queue.members import anyone_lives

    if any(one.run for one in asked) and not anyone_lives(installation):
        warn("No worker runs that would take these backups: start 'backstay worker' or 'backstay serve'.")


def _see_to_the_end(installation: Installation, asked: list[Asked], *, quiet: bool) -> list[Asked]:
    """Perform what was asked for, beside the workers there may be, and wait until all of it has ended."""
    # Imported here: what waits for nothing begins sooner.
    from backstay.queue.foreground import performing

    runs = {one.run for one in asked if one.run is not None}
    told = looked = time.monotonic()
    try:
        with performing(installation, runs):
            while any(one.is_open for one in asked):
                time.sleep(_LOOK_SECONDS)
                asked = _looked_at(installation, asked)
                now = time.monotonic()
                if now - told >= _TOLD_SECONDS and not quiet:
                    _tell(asked)
                    told = now
                if now - looked >= _RESUME_SECONDS:
                    resume_unfinished(installation)
                    looked = now
    except KeyboardInterrupt:
        left = sum(one.is_open for one in _looked_at(installation, asked))
        say(
            f"{counted(left, 'backup')} of these not ended: workers go on with them, or give this command again; "
            "end those of sites on other servers with --cancel."
        )
        raise
    return asked


def _tell(asked: list[Asked]) -> None:
    under_way = [one.site for one in asked if one.state == "running"]
    more = f" and {len(under_way) - _NAMED} more" if len(under_way) > _NAMED else ""
    named = f"; under way: {', '.join(under_way[:_NAMED])}{more}" if under_way else ""
    say(f"{sum(not one.is_open for one in asked)} of {counted(len(asked), 'backup')} ended{named}.")


def _looked_at(installation: Installation, asked: list[Asked]) -> list[Asked]:
    found = installation.catalogue.remote_queue.open()
    open_runs = {run.id: "running" if run.holder else "waiting" for run in found}
    return [_now(installation, one, open_runs) if one.is_open else one for one in asked]


def _now(installation: Installation, one: Asked, open_runs: dict[int, str]) -> Asked:
    """Return how far a backup is that had not ended."""
    catalogue = installation.catalogue
    if one.run is not None:
        if one.run in open_runs:
            return replace(one, state=open_runs[one.run])
        run = catalogue.remote_runs.find(one.run)
        if run is None:
            return replace(one, state="failed", message="Its site was removed.")
        return replace(one, state=run.state, backup=run.backup_id, message=run.message)
    backup = catalogue.backups.get(one.backup or 0)
    if backup is None:
        return replace(one, state="failed", message=f"Backup {one.backup} was deleted.")
    state = {"complete": "done", "fail": "failed"}.get(backup.status, "running")
    return replace(one, state=state, message=backup.error)


def _print(asked: list[Asked]) -> None:
    for one in asked:
        if one.state == "failed":
            warn(f"{one.site}: {one.message}")
    counts = Counter(one.state for one in asked)
    named = {
        "done": "complete",
        "failed": "failed",
        "cancelled": "cancelled",
        "running": "under way",
        "waiting": "waiting",
    }
    parts = [f"{counts[state]} {name}" for state, name in named.items() if counts[state]]
    console.print(f"{counted(len(asked), 'backup')}: {', '.join(parts)}.", markup=False)
