"""The archive of a remote site put into a repository, where that is what its profile says."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from backstay.archives import find_parts
from backstay.catalogue import Backup, Catalogue, Home
from backstay.engine import Plan, Progress, let_go_of_snapshot, remove_parts, repository_by_name
from backstay.engine.warnings import Warnings
from backstay.errors import BackstayError, CatalogueAwayError, NotFoundError
from backstay.fleet.held_run import HeldRun
from backstay.jobs.records import get_backup
from backstay.jobs.repository_records import import_parts
from backstay.repository.marks import new_id


def put_into_repository(held: HeldRun, backup: Backup, plan: Plan, warnings: Warnings) -> Backup:
    """Put the proven archive of a run into the repository of its profile; the parts are removed later.

    Args:
        held: the run.
        backup: its record, with its proof.
        plan: of the run; its archive is the main part, as it lies here.
        warnings: receives a warning where that is not possible: the archive is kept as it is then.

    Returns:
        The record, which is a snapshot now.
    """
    name, main = plan.settings.repository, Path(plan.archive)
    if not name:
        return backup
    if "snapshot" not in held.checkpoint:
        # Before it is written: whoever goes on behind a death finds it, and writes no second.
        held.save(snapshot=new_id())
    try:
        snapshot = import_parts(
            held.installation,
            name,
            find_parts(main),
            backup.id,
            password=plan.settings.password,
            identity=held.checkpoint["snapshot"],
            on_step=lambda path, _done: held.show(Progress("finale", "Storing", path, fraction=0.9)),
        )
    except CatalogueAwayError:
        raise
    except BackstayError as error:
        warnings.add(
            f"The backup could not be put into the repository {name}: {error} Its archive is kept here; try again "
            f"with 'backstay repository import {name} {backup.id} --record'."
        )
        return backup
    held.installation.catalogue.backups.update_proof(
        backup.id,
        # The parts that arrived are not those that are handed out.
        lambda proof: {**proof, "parts": [], "manifest": "", "repository": name, "added": snapshot.added},
    )
    return get_backup(held.installation, backup.id)


def drop_parts(catalogue: Catalogue, backup: Backup, plan: Plan) -> None:
    """Remove the parts that have arrived, where the backup lies in a repository.

    Raises:
        StorageError: one cannot be removed.
    """
    if catalogue.snapshots.of(backup.id) is not None:
        remove_parts(Path(plan.archive))


def discard_snapshot(catalogue: Catalogue, home: Home, backup: Backup, plan: Plan, identity: str) -> list[str]:
    """Remove the snapshot of a run that comes to nothing.

    Args:
        catalogue: of the installation.
        home: of the installation.
        backup: the record.
        plan: of the run.
        identity: that the snapshot was to have; empty where none was.

    Returns:
        A sentence for what is left.
    """
    name = plan.settings.repository
    try:
        if let_go_of_snapshot(catalogue, home, backup.id) or not identity:
            return []
        with repository_by_name(catalogue, home, name) as repository, suppress(NotFoundError):
            repository.remove_snapshot(identity)
    except BackstayError as error:
        return [f"What was stored of it in the repository {name} may still be there: {error}"]
    return []
