"""Storages: the places elsewhere that backups are sent to, with what they hold; their secrets are never shown."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from backstay.catalogue import DestinationOptions, NamedDestination
from backstay.errors import BackstayError, UsageError
from backstay.jobs.repository_usage import counted_usage
from backstay.jobs.sizes import parse_size
from backstay.jobs.storage import add_destination, edit_destination, remove_destination
from backstay.jobs.tasks import begin_task
from backstay.jobs.users import Role
from backstay.storage import SCHEMES, Address, parse_address
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

KINDS = {
    "folder": "A folder (a disk, NFS, a mount)",
    "s3": "S3 and all that speaks it",
    "gs": "Google Cloud Storage",
    "az": "Azure Blob Storage",
    "sftp": "SFTP",
    "webdavs": "WebDAV (HTTPS)",
    "webdav": "WebDAV (HTTP)",
    "ftps": "FTP over TLS",
    "ftp": "FTP",
    "rclone": "A remote of rclone",
}
_HOSTS = {"s3": "Bucket", "gs": "Bucket", "az": "Container", "rclone": "Remote"}
_WITH_USER = ("sftp", "webdavs", "webdav", "ftps", "ftp")
_LONG_SECRETS = ("private_key", "service_account")


def _list(visit: Visit) -> Response:
    catalogue = visit.installation.catalogue
    figures = {one.name: one for one in catalogue.figures.destinations()}
    repositories = catalogue.repositories.all()
    return visit.page(
        "settings/storages.html",
        storages=catalogue.destinations.all(),
        figures=figures,
        repositories=repositories,
        held=catalogue.snapshots.figures() if repositories else {},
        used={one.name: counted_usage(visit.installation, one.name) for one in repositories},
    )


def _new(visit: Visit) -> Response:
    kind = visit.asked("kind")
    return _form(visit, kind if kind in KINDS else "", {})


def _show(visit: Visit) -> Response:
    found = visit.installation.catalogue.destinations.get(visit.request.path_params["name"])
    address, _secrets = parse_address(found.url)
    options = found.options
    values = {
        "name": found.name, "host": address.host, "port": str(address.port or ""), "user": address.user,
        "path": address.path, "bandwidth": str(options.bandwidth or ""), "parts_at_once": str(options.parts_at_once),
        "lock_days": str(options.lock_days), "read_back": "1" if options.read_back else "",
        **{f"option.{name}": value for name, value in address.options.items()},
    }  # fmt: skip
    return _form(visit, address.scheme, values, stored=found)


def _form(
    visit: Visit,
    kind: str,
    values: dict[str, str],
    status: int = 200,
    *,
    stored: NamedDestination | None = None,
    problem: str = "",
) -> Response:
    figures = [one for one in visit.installation.catalogue.figures.destinations() if stored and one.name == stored.name]
    return visit.page(
        "settings/storage.html", status,
        kind=kind, kinds=KINDS, scheme=SCHEMES.get(kind), values=values, stored=stored, problem=problem,
        host_label=_HOSTS.get(kind, "Server"), has_user=kind in _WITH_USER, long_secrets=_LONG_SECRETS,
        copies=sum(figures[0].copies.values()) if figures else 0,
    )  # fmt: skip


def _typed(visit: Visit) -> dict[str, str]:
    """Return what the form holds but for its secrets."""
    return {
        key: value.strip()
        for key, value in visit.form.multi_items()
        if isinstance(value, str) and not key.startswith("secret.")
    }


def _url(kind: str, values: dict[str, str]) -> str:
    scheme = SCHEMES.get(kind)
    if scheme is None:
        raise UsageError("Choose a kind of storage.")
    port = values.get("port", "")
    if port and not (port.isascii() and port.isdigit()):
        raise UsageError("The port is a number.")
    options = {name: values[f"option.{name}"] for name in scheme.options if values.get(f"option.{name}")}
    address = Address(
        kind,
        values.get("host", "") if scheme.has_host or kind == "rclone" else "",
        int(port) if port else None,
        values.get("user", ""),
        values.get("path", ""),
        options,
    )
    return address.url


def _secrets(visit: Visit, kind: str) -> dict[str, str]:
    names = [one.name for one in SCHEMES[kind].secrets]
    return {name: value.replace("\r\n", "\n") for name in names if (value := visit.field(f"secret.{name}"))}


def _options(values: dict[str, str], used: DestinationOptions) -> DestinationOptions:
    numbers: dict[str, Any] = {}
    for name, most in (("parts_at_once", 32), ("lock_days", 3650)):
        text = values.get(name, "")
        if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= most):
            raise UsageError(f"{name.replace('_', ' ').capitalize()}: give a number up to {most}.")
        numbers[name] = int(text)
    numbers["parts_at_once"] = max(1, numbers["parts_at_once"])
    bandwidth = parse_size(values.get("bandwidth") or "0")
    return replace(used, bandwidth=bandwidth, read_back=values.get("read_back") == "1", **numbers)


def _create(visit: Visit) -> Response:
    kind, values = visit.field("kind"), _typed(visit)
    try:
        url, options = _url(kind, values), _options(values, DestinationOptions())
        made = add_destination(visit.installation, values.get("name", ""), url, _secrets(visit, kind), options)
    except BackstayError as error:
        return _form(visit, kind if kind in KINDS else "", values, 400, problem=str(error))
    visit.note("storage added", f"storage {made.name}", url=made.url)
    return visit.redirect(f"/storage/{made.name}", f"The storage {made.name} is added: test it.")


def _edit(visit: Visit) -> Response:
    found = visit.installation.catalogue.destinations.get(visit.request.path_params["name"])
    kind, values = parse_address(found.url)[0].scheme, _typed(visit)
    without = [one.name for one in SCHEMES[kind].secrets if visit.field(f"remove.{one.name}")]
    try:
        url, options = _url(kind, values), _options(values, found.options)
        edit_destination(
            visit.installation, found.name, url=url, secrets=_secrets(visit, kind), options=options, without=without
        )
    except BackstayError as error:
        return _form(visit, kind, values, 400, stored=found, problem=str(error))
    visit.note("storage changed", f"storage {found.name}", url=url)
    return visit.redirect(f"/storage/{found.name}", f"The storage {found.name} is saved.")


def _test(visit: Visit) -> Response:
    name = visit.installation.catalogue.destinations.get(visit.request.path_params["name"]).name
    task = begin_task(
        visit.installation, "test storage", f"Test of the storage {name}", {"name": name}, started_by=visit.who.name
    )
    visit.note("storage tested", f"storage {name}")
    return visit.redirect(f"/tasks/{task.id}")


def _import(visit: Visit) -> Response:
    name = visit.installation.catalogue.destinations.get(visit.request.path_params["name"]).name
    given = {"name": name, "password": visit.field("password")}
    task = begin_task(visit.installation, "import storage", f"Find backups at {name}", given, started_by=visit.who.name)
    visit.note("backups of a storage imported", f"storage {name}")
    return visit.redirect(f"/tasks/{task.id}")


def _remove(visit: Visit) -> Response:
    name = visit.request.path_params["name"]
    if visit.field("sure") != "yes":
        raise UsageError("Tick that the storage may go, and try again.")
    copies = remove_destination(visit.installation, name, forget=bool(visit.field("forget")))
    with suppress(BackstayError):
        visit.note("storage removed", f"storage {name}", copies=copies)
    return visit.redirect("/storage", f"The storage {name} is removed; what is stored there stays.")


ROUTES = (
    PageRoute("GET", "/storage", Role.VIEWER, _list),
    PageRoute("GET", "/storage/new", Role.ADMINISTRATOR, _new),
    PageRoute("POST", "/storage/new", Role.ADMINISTRATOR, _create),
    PageRoute("GET", "/storage/{name}", Role.VIEWER, _show),
    PageRoute("POST", "/storage/{name}", Role.ADMINISTRATOR, _edit),
    PageRoute("POST", "/storage/{name}/test", Role.OPERATOR, _test),
    PageRoute("POST", "/storage/{name}/import", Role.ADMINISTRATOR, _import),
    PageRoute("POST", "/storage/{name}/remove", Role.ADMINISTRATOR, _remove, confirmed=True),
)
