"""``backstay profile``: what is left out of the backups of a profile, and what is taken in besides its site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from backstay.catalogue import Profile
from backstay.cli import options
from backstay.cli.output import console, print_json, shown, size, table
from backstay.errors import UsageError
from backstay.jobs.file_filters import (
    FILE_FILTERS,
    FILE_REGEXES,
    ListedEntry,
    add_folder,
    list_folder,
    remove_folder,
    set_file_filter,
    set_file_regex,
    tree_of,
)
from backstay.jobs.folder_sizes import count_tree
from backstay.jobs.installation import Installation
from backstay.jobs.schedules import find_profile
from backstay.jobs.table_filters import TABLE_FILTERS, TABLE_REGEXES, list_tables, set_table_filter, set_table_regex
from backstay.profiles import SITE_DATABASE, SITE_ROOT

Number = Annotated[str, typer.Argument(metavar="PROFILE", help="Number or name of the profile or site.")]
Node = Annotated[
    str,
    typer.Argument(metavar="NODE", help="Path within the site, table (#__ for its prefix), or expression."),
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help="directories, files, skipdirs (the folders in it), skipfiles (the files in it), tables, tabledata (rows); "
        "with regex before it, NODE is an expression such as '#\\.bak$#i'.",
        show_default="directories or files, by what lies there",
    ),
]
Root = Annotated[
    str | None,
    typer.Option("--root", metavar="NAME", help="Of which folder or database.", show_default="the site's own"),
]


def filters(number: Number, home: options.Home = None, json_output: options.Json = False) -> None:
    """List what a profile leaves out by hand, and the folders and databases it takes in besides its site.

    Example:
        backstay profile filters 2 --json
    """
    with options.opened(home) as installation:
        profile = installation.catalogue.profiles.get(find_profile(installation, number))
    found = _by_hand(profile)
    folders = [
        {"name": name, "path": one.path, "in_archive": one.virtual_folder}
        for name, one in profile.filters.extra_directories.items()
    ]
    databases = [
        {"name": name, "host": one.host, "database": one.database}
        for name, one in profile.filters.extra_databases.items()
    ]
    patterns = profile.settings().exclude.splitlines()
    if json_output:
        print_json({"left_out": found, "patterns": patterns, "folders": folders, "databases": databases})
        return
    rows = table("Kind", "Of", "What")
    for one in [*found, *({"kind": "exclude", "root": "", "node": line} for line in patterns)]:
        rows.add_row(one["kind"], Text(shown(one["root"])), Text(shown(one["node"])))
    for folder in folders:
        rows.add_row("taken in", Text(shown(folder["name"])), Text(shown(folder["path"])))
    for database in databases:
        rows.add_row(
            "taken in", Text(shown(database["name"])), Text(shown(f"{database['host']}/{database['database']}"))
        )
    console.print(rows)


def exclude(number: Number, node: Node, kind: Kind = None, root: Root = None, home: options.Home = None) -> None:
    r"""Leave a folder, file or table out of the backups of a profile.

    Examples:
        backstay profile exclude 2 images/videos

        backstay profile exclude 2 '#__logs' --kind tabledata

        backstay profile exclude 2 '#\.bak$#i' --kind regexfiles
    """
    _change(number, node, kind, root, home, present=True)


def include(number: Number, node: Node, kind: Kind = None, root: Root = None, home: options.Home = None) -> None:
    """Take in again what was left out by hand.

    Example:
        backstay profile include 2 images/videos
    """
    _change(number, node, kind, root, home, present=False)


def tree(
    number: Number,
    path: Annotated[str, typer.Argument(metavar="PATH", help="Folder within the site.")] = "",
    root: Root = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """List a folder of a profile's site with its sizes, and what of it is left out.

    Examples:
        backstay profile tree 2

        backstay profile tree 2 images --json
    """
    with options.opened(home) as installation:
        profile = installation.catalogue.profiles.get(find_profile(installation, number))
    name = root or SITE_ROOT
    folder = list_folder(profile, name, path)
    sizes = count_tree(tree_of(profile, name) / folder.path)
    prefix = f"{folder.path}/" if folder.path else ""
    listed = [
        (one, sizes.of[key].total if one.is_folder and (key := one.path.removeprefix(prefix)) in sizes.of else one.size)
        for one in folder.entries
    ]
    if json_output:
        print_json([_entry_json(one, count) for one, count in listed])
        return
    rows = table("Name", "Size", "In the backup", right=["Size"])
    for one, count in listed:
        rows.add_row(Text(shown(one.name) + ("/" if one.is_folder else "")), size(count), Text(_state(one)))
    console.print(rows)


def tables(number: Number, root: Root = None, home: options.Home = None, json_output: options.Json = False) -> None:
    """List the tables of a profile's database with rows and sizes, and what of them is left out.

    Example:
        backstay profile tables 2
    """
    with options.opened(home) as installation:
        profile = installation.catalogue.profiles.get(find_profile(installation, number))
    found = list_tables(profile, root or SITE_DATABASE)
    if found is None:
        raise UsageError(f"The site of profile {number} has no database.")
    if json_output:
        print_json(
            [
                {
                    "name": one.name,
                    "kind": one.found.kind,
                    "rows": one.found.rows,
                    "size": one.found.data_length + one.found.index_length,
                    "left_out": one.is_left_out,
                    "has_rows": one.has_rows,
                }
                for one in found
            ]
        )
        return
    rows = table("Name", "Kind", "Rows", "Size", "In the backup", right=["Rows", "Size"])
    for one in found:
        is_empty = one.found.kind == "table" and not one.has_rows
        rows.add_row(
            Text(shown(one.name)),
            one.found.kind,
            "" if one.found.rows is None else str(one.found.rows),
            size(one.found.data_length + one.found.index_length),
            "left out" if one.is_left_out else "without rows" if is_empty else "yes",
        )
    console.print(rows)


def add_folder_command(
    number: Number,
    path: Annotated[str, typer.Argument(metavar="PATH", help="Absolute path of a folder outside the site.")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="Its folder in the archive.")] = "",
    home: options.Home = None,
) -> None:
    """Back up a folder outside the site with a profile.

    Example:
        backstay profile add-folder 2 /srv/media
    """
    if not path.startswith(("/", "[")):
        raise UsageError("Give the absolute path of a folder outside the site.")
    with options.opened(home) as installation:
        key = add_folder(installation, find_profile(installation, number), path, name)
    console.print(f"The folder {shown(path)} is in the backups of profile {number}, by the name {key}.", markup=False)


def remove_folder_command(
    number: Number,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, as 'backstay profile filters' shows.")],
    home: options.Home = None,
) -> None:
    """Back up a folder outside the site no longer.

    Example:
        backstay profile remove-folder 2 3f1c7a0e-2f0e-4c59-9f7e-0d5f3f3c2b11
    """
    with options.opened(home) as installation:
        remove_folder(installation, find_profile(installation, number), name)
    console.print(f"The folder {shown(name)} is not in the backups of profile {number}.", markup=False)


def _change(profile: str, node: str, kind: str | None, root: str | None, home: Path | None, *, present: bool) -> None:
    with options.opened(home) as installation:
        number = find_profile(installation, profile)
        name = kind or _kind(installation.catalogue.profiles.get(number), root or SITE_ROOT, node)
        is_of_files = name in FILE_FILTERS + FILE_REGEXES
        place = root or (SITE_ROOT if is_of_files else SITE_DATABASE)
        _set(installation, number, place, name, node, present=present)
    console.print(shown(f"{node} is {'left out' if present else 'no longer left out'} ({name})."), markup=False)


def _set(installation: Installation, number: int, root: str, name: str, node: str, *, present: bool) -> None:
    if name in FILE_FILTERS:
        set_file_filter(installation, number, root, [name], node, present=present)
    elif name in FILE_REGEXES:
        set_file_regex(installation, number, root, name, node, present=present)
    elif name in TABLE_FILTERS:
        set_table_filter(installation, number, root, name, node, present=present)
    elif name in TABLE_REGEXES:
        set_table_regex(installation, number, root, name, node, present=present)
    else:
        known = ", ".join(FILE_FILTERS + TABLE_FILTERS + FILE_REGEXES + TABLE_REGEXES)
        raise UsageError(f"--kind is one of {known}.")


def _kind(profile: Profile, root: str, node: str) -> str:
    path = node.strip("/")
    for name in ("directories", "files"):
        if path in profile.filters.nodes(name, root):
            return name
    place = tree_of(profile, root) / path
    if not place.exists() and not place.is_symlink():
        raise UsageError(f"{shown(node)} is not there: give --kind, or another path.")
    return "directories" if place.is_dir() else "files"


def _by_hand(profile: Profile) -> list[dict[str, str]]:
    return [
        {"kind": name, "root": root, "node": node}
        for name, roots in profile.filters.exclusions.items()
        for root, nodes in roots.items()
        for node in nodes
    ]


def _state(one: ListedEntry) -> str:
    if one.left_out is not None:
        return f"left out ({one.left_out.by})"
    if {"skipfiles", "skipdirs"} <= one.ruled.keys():
        return "without what is in it"
    partly = [what for name, what in (("skipfiles", "files"), ("skipdirs", "folders")) if name in one.ruled]
    return f"without its {partly[0]}" if partly else "yes"


def _entry_json(one: ListedEntry, count: int) -> dict[str, Any]:
    left_out = {"by": one.left_out.by, "filter": one.left_out.reason} if one.left_out else None
    return {
        "name": one.name,
        "path": one.path,
        "folder": one.is_folder,
        "link": one.is_link,
        "size": count,
        "left_out": left_out,
        "filters": sorted(one.ruled),
    }
