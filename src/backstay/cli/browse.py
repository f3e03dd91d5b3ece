"""``backstay browse``: look inside the archive of a backup, a folder at a time."""

from __future__ import annotations

import stat
from typing import Annotated, Any

import typer
from rich.text import Text

from backstay.archives import EntryType
from backstay.cli import options
from backstay.cli.output import console, counted, moment, print_json, shown, size, table, warn
from backstay.errors import NotFoundError
from backstay.jobs.archive_index import Item, Sort, as_bytes
from backstay.jobs.archived_tables import find_definition, read_dumps
from backstay.jobs.browsing import Inside, look_inside

_KINDS = {EntryType.DIRECTORY: stat.S_IFDIR, EntryType.FILE: stat.S_IFREG, EntryType.SYMLINK: stat.S_IFLNK}
_AT_ONCE = 1000


def browse(
    number: Annotated[int, typer.Argument(metavar="ID", help="Number of the backup.")],
    path: Annotated[str, typer.Argument(help="Folder in its archive.", show_default="the root")] = "",
    search: Annotated[str, typer.Option("--search", metavar="TEXT", help="Find names that contain this text.")] = "",
    sort: Annotated[Sort, typer.Option("--sort", help="What is in a folder is sorted by this.")] = "name",
    tables: Annotated[bool, typer.Option("--tables", help="List tables, views and routines, with rows.")] = False,
    definition: Annotated[
        str, typer.Option("--definition", metavar="NAME", help="Print how a table, view or routine is defined.")
    ] = "",
    storage: options.Storage = "",
    password: options.Password = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Look inside a backup's archive, a folder at a time, with the sizes of folders; or find names in it.

    Example:
        backstay browse 12 wp-content/uploads --sort size
    """
    path = path.strip("/")
    found: list[Item] = []
    with (
        options.opened(home) as installation,
        look_inside(installation, number, storage=storage, password=password) as inside,
    ):
        if tables or definition:
            _databases(inside, definition, json_output=json_output)
            return
        while True:
            listing = (
                inside.index.search(search, path, len(found), _AT_ONCE)
                if search
                else inside.index.folder(path, len(found), _AT_ONCE, sort)
            )
            found += listing.items
            if not listing.items or len(found) >= listing.total:
                break
        problem = inside.index.problem
    if problem:
        warn(f"The archive is damaged, and more may have been in it. {problem}")
    if json_output:
        print_json([_plain(item) for item in found])
        return
    rows = table(
        "Mode", "Size", "Files", "Modified (UTC)", "Owner", "Path" if search else "Name", right=["Size", "Files"]
    )
    for item in found:
        rows.add_row(
            "" if item.mode is None else stat.filemode(_KINDS[item.type] | stat.S_IMODE(item.mode)),
            size(item.size),
            str(item.files) if item.is_folder else "",
            moment(item.modified),
            shown(item.owner_name),
            Text(_label(item, in_full=bool(search))),
        )
    console.print(rows)
    console.print(counted(len(found), "name"))


def _databases(inside: Inside, name: str, *, json_output: bool) -> None:
    dumps = read_dumps(inside)
    if name:
        found = next(((dump, one) for dump in dumps for one in dump.objects if one.name == name), None)
        if found is None:
            raise NotFoundError(f"There is no table {shown(name)} in the backup: see them with --tables.")
        text = find_definition(inside, found[0].name, found[1].kind, name).text
        print_json({"name": name, "definition": text}) if json_output else console.print(Text(_lines(text)))
        return
    objects = [(dump, one) for dump in dumps for one in dump.objects]
    if json_output:
        print_json([{"dump": dump.name, "kind": one.kind, "name": one.name, "rows": one.rows} for dump, one in objects])
        return
    rows = table("Dump", "Kind", "Name", "Rows", right=["Rows"])
    for dump, one in objects:
        count = "" if one.rows is None else str(one.rows)
        rows.add_row(shown(dump.name), shown(one.kind), Text(shown(one.name)), count)
    console.print(rows)


def _lines(text: str) -> str:
    return "\n".join(map(shown, text.splitlines()))


def _label(item: Item, *, in_full: bool) -> str:
    name = shown(item.path if in_full else item.name) + ("/" if item.is_folder else "")
    target = f" -> {shown(item.target)}" if item.target else ""
    return f"{name}{target}" + (f"   (it {item.warning})" if item.warning else "")


def _plain(item: Item) -> dict[str, Any]:
    return {
        "path": as_bytes(item.path).decode("utf-8", "backslashreplace"),
        "type": item.type.value,
        "size": item.size,
        "files": item.files if item.is_folder else None,
        "mode": None if item.mode is None else oct(stat.S_IMODE(item.mode)),
        "mtime": item.mtime,
        "owner": item.owner_name or None,
        "target": as_bytes(item.target).decode("utf-8", "backslashreplace") if item.target else None,
        "warning": item.warning or None,
    }
