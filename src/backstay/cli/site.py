"""``backstay site``: the sites that are backed up, behind servers of the API and on this machine."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from backstay.catalogue import Connection, Site
from backstay.cli import options, schedule_options, site_selection
from backstay.cli.output import console, counted, moment, print_json, say, shown, table
from backstay.cli.profile import Setting, setting_values
from backstay.cli.remote_connection import read_secret
from backstay.cli.site_asking import ask
from backstay.cli.site_list import export, import_command
from backstay.cli.site_output import found_lines, print_sites, site_json, state_text
from backstay.cli.site_report import report
from backstay.errors import NotFoundError, UsageError
from backstay.jobs.durations import parse_duration
from backstay.jobs.installation import Installation

if TYPE_CHECKING:
    pass

app = typer.Typer(
    help="Keep the sites that are backed up: on other people's hosting, and on this machine.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the site.")]
Group = Annotated[str | None, typer.Option("--group", metavar="NAME", help="Its group; '' takes it out of its group.")]
Notes = Annotated[str | None, typer.Option("--notes", metavar="TEXT", help="Notes for people.")]
Storages = Annotated[
    list[str] | None,
    typer.Option("--storage", metavar="NAME", help="Send its backups to this storage; may be given several times."),
]
Keep = Annotated[
    int | None,
    typer.Option("--keep", min=0, metavar="N", help="Backups that are kept, here and at each storage; 0: all."),
]
Profile = Annotated[int | None, typer.Option("--profile", min=1, help="Number of the server's backup profile.")]
KeepThere = Annotated[
    int | None,
    typer.Option("--keep-there", min=-1, metavar="N", help="Backups that stay on the server; -1: it is left as it is."),
]
NoTest = Annotated[bool, typer.Option("--no-test", help="Store it without asking the server.")]


@app.command()
def add(
    address: Annotated[
        str, typer.Argument(metavar="URL|PATH", help="Address of the site or its API; or a folder of this machine.")
    ],
    name: Annotated[
        str,
        typer.Option("--name", help="Name for it, unique.", show_default="the address's host, or the folder's name"),
    ] = "",
    group: Annotated[str, typer.Option("--group", metavar="NAME", help="Its group.")] = "",
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="WORD", help="A tag; may be given several times.")
    ] = None,
    notes: Notes = None,
    secret: options.Secret = None,
    secret_file: options.SecretFile = None,
    profile: Profile = None,
    keep_there: KeepThere = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Accept any certificate: whoever is in between can read the secret.")
    ] = False,
    storages: Storages = None,
    keep: Keep = None,
    schedule: Annotated[
        str, typer.Option("--schedule", metavar="TIME", help="Back it up by itself: a cron expression, or @daily.")
    ] = "",
    time_zone: schedule_options.Zone = None,
    spread: schedule_options.Spread = None,
    settings: Setting = None,
    database: Annotated[
        str,
        typer.Option(
            "--database", metavar="URL", help="Database of a local site.", show_default="found in its configuration"
        ),
    ] = "",
    no_test: NoTest = False,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Add a site. A server is asked once what it is and how it is called; that is told, and remembered.

    The secret word, or a token, comes from BACKSTAY_SECRET, a file or a prompt, and is kept encrypted.

    Examples:
        backstay site add https://shop.example --storage offsite --keep 14 --schedule '0 3 * * *' --spread 2h

        backstay site add https://blog.example/wp-admin/admin-ajax.php --secret-file blog.txt --name blog

        backstay site add /var/www/shop --schedule @daily
    """
    from backstay.fleet.site_list import is_folder
    from backstay.fleet.sites import SiteDetails, add_local_site, add_remote_site

    details = SiteDetails(
        name=name,
        group=group,
        tags=tuple(tags or ()),
        notes=notes or "",
        storages=tuple(storages or ()),
        keep=keep or None,
        settings=setting_values(settings),
        at=schedule,
        time_zone=time_zone or "",
        spread=parse_duration(spread or "0"),
    )
    local = is_folder(address) or ("://" not in address and Path(address).is_dir())
    if local:
        _refuse_for_folders(secret, secret_file, profile, keep_there, insecure=insecure)
        with options.opened(home) as installation:
            site = add_local_site(installation, Path(address).expanduser(), database, details)
            values = site_json(site, None)
        _told(site, values, schedule, [], json_output=json_output)
        return
    connection = Connection(
        read_secret(secret, secret_file),
        {},
        profile=profile or 1,
        keep_there=None if keep_there is None or keep_there < 0 else keep_there,
        verify_tls=not insecure,
    )
    with options.opened(home) as installation:
        site, detected = add_remote_site(installation, address, connection, details, ask=not no_test)
        values = site_json(site, None, installation.catalogue.sites.connection(site.id))
    lines = list(found_lines(site.found, connection.profile))
    if detected is not None:
        lines.insert(0, f"It answers: {detected.endpoint}")
    _told(site, values, schedule, lines, json_output=json_output)


def _refuse_for_folders(*given: object, insecure: bool) -> None:
    if insecure or any(value is not None for value in given):
        raise UsageError("A folder of this machine has no server: leave out what is said of one.")


def _told(site: Site, values: dict[str, Any], schedule: str, lines: list[str], *, json_output: bool) -> None:
    if json_output:
        print_json(values)
        return
    console.print(f"The site {shown(site.name)} is added.", markup=False)
    for line in lines:
        console.print(f"  {shown(line)}", markup=False)
    if not schedule:
        say(f"Nothing backs it up by itself yet: 'backstay schedule add {site.name} --at @daily'.")
    say(f"Take its first backup with 'backstay backup --site {site.name}'.")


@app.command("list")
def list_command(
    groups: site_selection.Groups = None,
    tags: site_selection.Tags = None,
    states: site_selection.States = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """List the sites: how each stands, since when, and its last good backup.

    Examples:
        backstay site list --group clients

        backstay site list --state failing --state silent --json
    """
    from backstay.fleet.selection import selected_sites, standings_of

    selection = site_selection.selection_of(None, groups, tags, states)
    with options.opened(home) as installation:
        found = selected_sites(installation, selection)
        standings = standings_of(installation)
    if json_output:
        print_json([site_json(site, standings.get(site.id)) for site in found])
    elif found:
        print_sites(found, standings)
    elif selection.is_empty:
        console.print("There is no site yet: add one with 'backstay site add URL'.")
    else:
        console.print("There is no such site: 'backstay site list' shows all.")


@app.command()
def show(name: Name, home: options.Home = None, json_output: options.Json = False) -> None:
    """Show all that is known of a site; its secret is not shown.

    Example:
        backstay site show shop.example
    """
    from backstay.fleet.selection import standings_of

    with options.opened(home) as installation:
        catalogue = installation.catalogue
        site = catalogue.sites.get(name)
        connection = catalogue.sites.connection(site.id) if site.kind == "remote" else None
        standing = standings_of(installation).get(site.id)
        schedules = [one for one in catalogue.schedules.all() if one.profile_id == site.profile_id]
        used = catalogue.profiles.get(site.profile_id).settings()
    storages = list(used.destination_names)
    if json_output:
        timed = [{"id": one.id, "what": one.what, "at": one.at, "time_zone": one.time_zone} for one in schedules]
        print_json({**site_json(site, standing, connection), "storages": storages, "schedules": timed})
        return
    console.print(Text(f"{shown(site.name)}: {shown(site.address) or 'a folder of this machine'}", style="bold"))
    if standing is not None:
        console.print(
            Text("State: ") + state_text(standing) + Text(f" since {moment(standing.since)}" if standing.since else "")
        )
        console.print(f"  {standing.meaning.sentence}", markup=False)
    rows = table("Field", "Value")
    for field, value in _fields(site, connection, storages, [f"{one.what} {one.at}" for one in schedules]):
        rows.add_row(field, Text(shown(value)))
    console.print(rows)
    if site.kind == "remote":
        for line in found_lines(site.found, connection.profile if connection else 1):
            console.print(f"  {shown(line)}", markup=False)


def _fields(
    site: Site, connection: Connection | None, storages: list[str], schedules: list[str]
) -> list[tuple[str, str]]:
    values = [
        ("Group", site.group),
        ("Tags", " ".join(site.tags)),
        ("Notes", site.notes),
        ("Profile here", str(site.profile_id)),
        ("Schedules", ", ".join(schedules) or "none"),
        ("Storages", ", ".join(storages) or "this machine alone"),
    ]
    if connection is not None:
        keep = connection.keep_there
        values += [
            ("Host", site.host),
            ("Profile of the server", str(connection.profile)),
            ("Stay on the server", "as it is" if keep is None else counted(keep, "backup")),
            ("Certificate", "is checked" if connection.verify_tls else "any is accepted"),
            ("Last answer (UTC)", moment(site.heard) or "never"),
            ("Failed in a row", str(site.failures) if site.failures else ""),
            ("Not tried before (UTC)", moment(site.not_before)),
        ]
    values.append(("Problem", site.problem))
    return [(field, value) for field, value in values if value]


app.command("test")(ask)


@app.command()
def edit(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    address: Annotated[str | None, typer.Option("--url", metavar="URL", help="Another address of its server.")] = None,
    group: Group = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", metavar="WORD", help="Add a tag.")] = None,
    untag: Annotated[list[str] | None, typer.Option("--untag", metavar="WORD", help="Take a tag away.")] = None,
    notes: Notes = None,
    secret: options.Secret = None,
    secret_file: options.SecretFile = None,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="Take another secret, from BACKSTAY_SECRET or a prompt.")
    ] = False,
    profile: Profile = None,
    keep_there: KeepThere = None,
    verify_tls: Annotated[
        bool | None, typer.Option("--verify-tls/--insecure", help="Whether the server's certificate is checked.")
    ] = None,
    storages: Storages = None,
    no_storage: Annotated[bool, typer.Option("--no-storage", help="Keep its backups on this machine alone.")] = False,
    keep: Keep = None,
    no_test: NoTest = False,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Change a site; what is not given stays. Other settings: 'backstay profile set', with the site's name.

    Examples:
        backstay site edit shop.example --group vip --tag magento --untag trial

        backstay site edit shop.example --new-secret --keep-there 2
    """
    from backstay.fleet.changing import SiteEdit, edit_site

    if storages and no_storage:
        raise UsageError("Give --storage or --no-storage, not both.")
    changed = SiteEdit(
        name=new_name,
        group=group,
        notes=notes,
        add_tags=tuple(tags or ()),
        remove_tags=tuple(untag or ()),
        storages=tuple(storages) if storages else () if no_storage else None,
        keep=keep,
        address=address,
        secret=read_secret(secret, secret_file) if new_secret or secret or secret_file else None,
        profile=profile,
        keep_there=keep_there,
        verify_tls=verify_tls,
    )
    if changed == SiteEdit():
        raise UsageError("Say what is to be changed: see 'backstay site edit --help'.")
    with options.opened(home) as installation:
        edited = edit_site(installation, installation.catalogue.sites.get(name), changed, ask=not no_test)
    if json_output:
        print_json(site_json(edited, None))
    else:
        console.print(f"The site {shown(edited.name)} is changed.", markup=False)


@app.command()
def pause(
    names: site_selection.Names = None,
    groups: site_selection.Groups = None,
    tags: site_selection.Tags = None,
    states: site_selection.States = None,
    home: options.Home = None,
) -> None:
    """Let sites not be backed up by themselves until they are resumed.

    Examples:
        backstay site pause shop.example

        backstay site pause --group clients
    """
    from backstay.fleet.changing import pause_site

    with options.opened(home) as installation:
        chosen = _chosen(installation, names, groups, tags, states)
        for site in chosen:
            pause_site(installation, site)
    console.print(f"Paused: {_listed(chosen)}.", markup=False)


@app.command()
def resume(
    names: site_selection.Names = None,
    groups: site_selection.Groups = None,
    tags: site_selection.Tags = None,
    states: site_selection.States = None,
    home: options.Home = None,
) -> None:
    """Let paused sites be backed up by themselves again, and those that were put off be tried at once.

    Examples:
        backstay site resume shop.example

        backstay site resume --state paused
    """
    from backstay.fleet.changing import resume_site

    with options.opened(home) as installation:
        chosen = _chosen(installation, names, groups, tags, states)
        for site in chosen:
            resume_site(installation, site)
    console.print(f"Resumed: {_listed(chosen)}.", markup=False)


def _chosen(installation: Installation, *given: Any) -> list[Site]:
    from backstay.fleet.selection import require_selected

    return require_selected(installation, site_selection.selection_of(*given))


def _listed(sites: list[Site]) -> str:
    names = ", ".join(shown(site.name) for site in sites[:10])
    return names if len(sites) <= 10 else f"{names} and {len(sites) - 10} more"


@app.command()
def remove(
    name: Name,
    with_profile: Annotated[
        bool, typer.Option("--with-profile", help="Of a local site, its profile and schedules too.")
    ] = False,
    yes: options.Yes = False,
    home: options.Home = None,
) -> None:
    """Remove a site. The backups of it stay, with their records; what is on its server stays, too.

    The profile and the schedules of a site behind a server go with it.

    Example:
        backstay site remove shop.example
    """
    from backstay.fleet.changing import remove_site

    with options.opened(home) as installation:
        site = installation.catalogue.sites.get(name)
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError("Nobody can be asked here: give --yes to go ahead.")
            typer.confirm(f"Remove the site {shown(site.name)}?", abort=True)
        remove_site(installation, site, with_profile=with_profile)
        kept = 0
        with suppress(NotFoundError):
            kept = len(installation.catalogue.backups.newest(profile_id=site.profile_id))
    console.print(f"The site {shown(site.name)} is removed.", markup=False)
    if kept:
        say("Its backups stay: see them with 'backstay list'.")


app.command("import")(import_command)
app.command()(export)
app.command()(report)
