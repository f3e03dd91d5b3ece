"""Making, copying, removing, exporting and importing profiles."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.responses import Response

from backstay.catalogue import ROOT_KEY
from backstay.errors import BackstayError, UsageError
from backstay.jobs.encrypted_settings import decrypted_settings
from backstay.jobs.profile_settings import look_at_site
from backstay.jobs.profiles import (
    DATABASE_KEY,
    copy_profile,
    create_profile,
    delete_profile,
    export_profile,
    import_profile,
)
from backstay.jobs.storage import adopt_storage
from backstay.jobs.users import Role
from backstay.platforms import Site
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit


def _new(visit: Visit) -> Response:
    return _form(visit, path=visit.asked("path"))


def _form(visit: Visit, status: int = 200, *, path: str = "", problem: str = "", **typed: str) -> Response:
    """Return the first step, or the second where the path is that of a folder."""
    site: Site | None = None
    path_problem = ""
    if path.strip():
        try:
            root, site = look_at_site(Path(path.strip()))
            path = str(root)
        except BackstayError as error:
            path_problem = str(error)
    values = {"name": site.name if site else "", "database": "found", "url": "", **typed}
    taken = [
        (number, description)
        for number, description, values_of in visit.installation.catalogue.profiles.configurations()
        if site and values_of.get(ROOT_KEY) == path
    ]
    return visit.page(
        "settings/new_profile.html", status, path=path, path_problem=path_problem, site=site, problem=problem,
        values=values, taken=taken,
        databases=[(found.address.redacted(), found.source) for found in site.databases] if site else [],
    )  # fmt: skip


def _create(visit: Visit) -> Response:
    path, name = visit.field("path"), visit.field("name").strip()
    choice, url = visit.field("database", "found"), visit.field("url").strip()
    database = {"found": "", "none": "none"}.get(choice, url)
    problem = "" if name else "Give the profile a name."
    if choice == "url" and not url:
        problem = "Give the URL of the database, or choose another answer."
    if problem:
        return _form(visit, 400, path=path, problem=problem, name=name, database=choice)
    try:
        made = create_profile(visit.installation, name=name, values={ROOT_KEY: path, DATABASE_KEY: database})
    except BackstayError as error:
        return _form(visit, 400, path=path, problem=str(error), name=name, database=choice)
    visit.note("profile made", f"profile {made.id}", name=name)
    return visit.redirect(f"/profiles/{made.id}/settings", f"Profile {made.id} is made.")


def _copy(visit: Visit) -> Response:
    made = copy_profile(visit.installation, visit.number(), visit.field("name"))
    visit.note("profile made", f"profile {made.id}", copied_from=visit.number())
    notice = f"Profile {made.id} is a copy of profile {visit.number()}. It has no schedules yet."
    return visit.redirect(f"/profiles/{made.id}/settings", notice)


def _delete(visit: Visit) -> Response:
    number = visit.number()
    if visit.field("sure") != "yes":
        raise UsageError("Tick that the profile and its schedules may go, and try again.")
    delete_profile(visit.installation, number)
    visit.note("profile deleted", f"profile {number}")
    return visit.redirect("/profiles", f"Profile {number} is deleted; its backups stay.")


def _export(visit: Visit) -> Response:
    exported = export_profile(visit.installation, visit.number())
    visit.note("profile exported", f"profile {visit.number()}")
    headers = {"Content-Disposition": f'attachment; filename="profile-{visit.number()}.json"'}
    return Response(json.dumps(exported, indent=2), media_type="application/json", headers=headers)


def _import(visit: Visit) -> Response:
    content, key = visit.file("file"), visit.field("key").strip()
    try:
        exported = _exported(content)
        profile, unknown = import_profile(
            visit.installation, exported, (lambda stored: decrypted_settings(stored, key)) if key else None
        )
    except BackstayError as error:
        return visit.page("settings/import_profile.html", 400, problem=str(error))
    storage, lacking = adopt_storage(visit.installation, profile)
    visit.note("profile imported", f"profile {profile.id}")
    sentences = [f"Profile {profile.id} is imported."]
    if storage is not None:
        sentences.append(f"Its backups go to the storage {storage.name}: test it.")
    if lacking:
        sentences.append(lacking)
    if unknown:
        sentences.append(f"Settings that Backstay keeps and does not honour: {len(unknown)}.")
    if not profile.configuration.get(ROOT_KEY):
        sentences.append("Say which folder it backs up: the setting Root.")
    return visit.redirect(f"/profiles/{profile.id}/settings", " ".join(sentences))


def _import_form(visit: Visit) -> Response:
    return visit.page("settings/import_profile.html", problem="")


def _exported(content: bytes | None) -> dict[str, Any]:
    if not content:
        raise UsageError("Choose the file of an exported profile.")
    with suppress(ValueError, RecursionError):
        exported = json.loads(content.decode("utf-8-sig"))
        if isinstance(exported, dict):
            return exported
    raise UsageError("The file is not an exported profile: it holds no JSON object.")


ROUTES = (
    PageRoute("GET", "/profiles/new", Role.ADMINISTRATOR, _new),
    PageRoute("POST", "/profiles/new", Role.ADMINISTRATOR, _create),
    PageRoute("GET", "/profiles/import", Role.ADMINISTRATOR, _import_form),
    PageRoute("POST", "/profiles/import", Role.ADMINISTRATOR, _import),
    PageRoute("POST", "/profiles/{number:int}/copy", Role.ADMINISTRATOR, _copy),
    PageRoute("POST", "/profiles/{number:int}/export", Role.ADMINISTRATOR, _export, confirmed=True),
    PageRoute("POST", "/profiles/{number:int}/delete", Role.ADMINISTRATOR, _delete, confirmed=True),
)
