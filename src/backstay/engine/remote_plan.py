"""What a backup that another server takes is to become here: the plan of a remote run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from backstay.catalogue import Home, Profile
from backstay.engine.names import archive_name, expand, variables
from backstay.engine.plan import Plan
from backstay.errors import ConfigurationError
from backstay.profiles import as_stored

_DEFAULT = "[DEFAULT_OUTPUT]"


def make_remote_plan(
    home: Home,
    profile: Profile,
    *,
    overrides: Mapping[str, object],
    description: str,
    comment: str,
    tag: str,
    moment: datetime,
    host: str,
) -> Plan:
    """Settle where the archive of a remote site goes, and what is done with it.

    Args:
        home: where archives go by default.
        profile: whose settings count: storages, verification, retention.
        overrides: settings by dotted key, for this backup only.
        description: may hold variables; empty: one is made.
        comment: for the record.
        tag: origin of the backup.
        moment: of the start, in the time zone names are written in.
        host: host name of the site.

    Returns:
        The plan; its archive ends in ``.jpa`` until it is known what the server makes.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    settings = profile.settings(overrides)
    values = variables(moment, host=host, site_name=profile.description, platform="", platform_version="")
    folder = expand(settings.output_directory.replace(_DEFAULT, str(home.archives)), values)
    if "[" in folder:
        raise ConfigurationError(
            f"The archives of a remote site can't go to {folder}, for its folders are on another machine: set "
            f"akeeba.basic.output_directory of profile {profile.id} to a folder of this one, or to [DEFAULT_OUTPUT]."
        )
    utc = moment.astimezone(UTC)
    return Plan(
        profile_id=profile.id,
        tag=tag,
        backupid=utc.strftime("id-%Y%m%d-%H%M%S-%f"),
        description=expand(description, values) or f"Backup taken on {moment.strftime('%A, %d %B %Y %H:%M')}",
        comment=expand(comment, values),
        started=utc.isoformat(),
        values={**profile.configuration, **{key: as_stored(value) for key, value in overrides.items()}},
        filters={},
        archive=str(Path(folder).absolute() / f"{archive_name(settings.archive_name, values)}.jpa"),
        databases=(),
        host=host,
        platform="",
    )


def folder_of_archives(home: Home, plan: Plan) -> Path:
    """Return where the archive of a remote run goes on this machine, which may be another than where it was planned.

    Args:
        home: of this machine.
        plan: of the run.
    """
    planned, named = Path(plan.archive).parent, plan.settings.output_directory
    if not named.startswith(_DEFAULT):
        return planned
    below = len(Path(named.removeprefix(_DEFAULT).strip("/")).parts)
    return home.archives.joinpath(*planned.parts[len(planned.parts) - below :])
