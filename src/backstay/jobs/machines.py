"""What lies on which machine, where several share a catalogue: files on the disk of one are no other's."""

from __future__ import annotations

from pathlib import Path

from backstay import engine
from backstay.catalogue import ANY_MACHINE, Backup, Profile
from backstay.errors import UsageError
from backstay.jobs.installation import Installation


def is_of_here(installation: Installation, backup: Backup) -> bool:
    """Return whether a backup was taken on this machine, so that its process and its files are looked for here."""
    return backup.machine == installation.catalogue.machine


def lies_elsewhere(installation: Installation, backup: Backup) -> bool:
    """Return whether the files of a backup lie on another machine, and at no place that both reach."""
    if is_of_here(installation, backup):
        return False
    row = installation.catalogue.snapshots.of(backup.id)
    if row is None:
        return engine.main_file(installation.home, backup) is None
    at_a_storage = bool(installation.catalogue.repositories.get(row.repository).destination)
    return not at_a_storage and not engine.folder_of(installation.home, row.repository).is_dir()


def place_name(installation: Installation, folder: Path) -> str:
    """Return how a folder is named in the catalogue: with its machine, where several share it."""
    machine = installation.catalogue.machine
    return f"{machine}:{folder}" if machine else str(folder)


def refuse_elsewhere(installation: Installation, backup: Backup) -> None:
    """Refuse what must be done where a backup runs, or where its files lie.

    Raises:
        UsageError: that is on another machine.
    """
    if is_of_here(installation, backup):
        return
    if backup.machine == ANY_MACHINE:
        raise UsageError(
            f"Backup {backup.id} is taken on the server of a remote site, where it can't be stopped for a while: wait "
            f"for its end, or cancel it with 'backstay delete {backup.id}'."
        )
    if backup.status == "run":
        raise UsageError(f"Backup {backup.id} runs on the machine {backup.machine}: give this command there.")
    if backup.filesexist and lies_elsewhere(installation, backup):
        raise UsageError(
            f"The files of backup {backup.id} lie on the disk of the machine {backup.machine}: give this command there."
        )


def claim_site(installation: Installation, profile: Profile) -> None:
    """See to it that the site of a profile belongs to this machine.

    Raises:
        UsageError: it belongs to another.
    """
    catalogue = installation.catalogue
    if not profile.machine and catalogue.machine:
        catalogue.profiles.claim(profile.id)
        profile = catalogue.profiles.get(profile.id)
    if profile.machine != catalogue.machine:
        raise UsageError(
            f"The site of profile {profile.id} is on the machine {profile.machine}: start its backup there, or set its "
            "root here to move it to this machine."
        )
