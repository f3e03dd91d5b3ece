"""A user who is bound to groups: on no page, in no download and in no event is anything of others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from backstay.errors import UsageError
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.users import Role, bind_user, create_user, set_role
from backstay.web.pages import ROUTES
from backstay.web.routes import PageRoute
from backstay.web.security import FORGERY_FIELD
from support.tenants import Tenant, two_tenants
from web.driving import Visitor

PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
NEEDING = [route for route in ROUTES if route.needs is not None]
OWN_ONLY = ("/sign-out",)
"""What ends the session that the others need."""


@dataclass
class Tenants:
    """Two tenants, and a browser in which an operator who is bound to the first is signed in."""

    visitor: Visitor
    mine: Tenant
    theirs: Tenant
    token: str = ""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Tenant, Tenant]]:
    """Make two tenants in one home."""
    folder = tmp_path_factory.mktemp("tenants")
    with open_installation(folder / "home") as installation:
        yield (installation, *two_tenants(installation, folder))


@pytest.fixture
def tenants(shared: tuple[Installation, Tenant, Tenant]) -> Iterator[Tenants]:
    """Sign an operator in who is bound to the first of two tenants."""
    installation, mine, theirs = shared
    with Visitor(installation) as visitor:
        if installation.catalogue.users.find("operator") is None:
            create_user(installation, "boss", Role.ADMINISTRATOR, "a long enough password")
            create_user(installation, "operator", Role.OPERATOR, "a long enough password", [mine.group.name])
        visitor.signed_in(Role.OPERATOR)
        yield Tenants(visitor, mine, theirs, visitor.token("/account"))


def path_of(route: PageRoute, tenant: Tenant) -> str:
    """Return the path of a route with the numbers of a tenant in it."""
    kind: str = route.bound or ""
    for word in ("backup", "profile", "task", "site", "group"):
        kind = kind or (word if word in route.path else "")
    numbers: dict[str, int] = {
        "backup": tenant.backup.id,
        "profile": tenant.site.profile_id,
        "task": tenant.task,
        "site": tenant.site.id,
        "group": tenant.group.id,
    }
    given = {"number": str(numbers.get(kind, 1)), "part": "1"}
    return PARAMETER.sub(lambda found: given.get(found[1], "x"), route.path)


def ask(tenants: Tenants, route: PageRoute, path: str) -> tuple[int, str]:
    """Ask for a page as the bound user; return the status and all that was answered."""
    client = tenants.visitor.client
    fields = {"profile": str(tenants.theirs.site.profile_id), "path": f"{tenants.theirs.word}.html"}
    if route.verb == "POST":
        answer = client.post(path, data={FORGERY_FIELD: tenants.token, **fields}, follow_redirects=False)
    else:
        fields["backup"] = str(tenants.theirs.backup.id)
        answer = client.get(path, params=fields, follow_redirects=False)
    return answer.status_code, f"{answer.text} {dict(answer.headers)}"


@pytest.mark.parametrize("route", NEEDING, ids=lambda route: f"{route.verb} {route.path}")
def test_no_route_tells_of_others(tenants: Tenants, route: PageRoute) -> None:
    if route.path in OWN_ONLY:
        return
    status, text = ask(tenants, route, path_of(route, tenants.theirs))
    assert tenants.theirs.word not in text.replace(f"{tenants.theirs.word}.html", "")
    if route.bound not in ("nobody", "narrowed"):
        assert status in (403, 404), text[:500]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/overview?q=minezz",
        "/profiles",
        "/profiles/{profile}",
        "/backups",
        "/backups?search=minezz",
        "/backups/new",
        "/backups/{backup}",
        "/backups/{backup}/log",
        "/backups/{backup}/files",
        "/backups/{backup}/files/file?path=minezz.html",
        "/backups/{backup}/files/download?path=minezz.html",
        "/backups/{backup}/parts/1",
        "/tasks/{task}",
        "/sites",
        "/sites/{site}",
        "/groups/{group}/report",
        "/account",
    ],
)
def test_what_is_ones_own_is_there(tenants: Tenants, path: str) -> None:
    mine = tenants.mine
    numbers = {"site": mine.site.id, "group": mine.group.id}
    asked = path.format(profile=mine.site.profile_id, backup=mine.backup.id, task=mine.task, **numbers)
    answer = tenants.visitor.get(asked)
    assert answer.status_code == 200, answer.text[:500]
    assert tenants.theirs.word not in answer.text
    if path != "/account" and not path.endswith(("/log", "/parts/1")):
        assert mine.word in answer.text


def test_lists_of_others_are_empty_however_they_are_asked_for(tenants: Tenants) -> None:
    theirs = tenants.theirs
    for path in (
        f"/backups?profile={theirs.site.profile_id}",
        f"/backups?search={theirs.backup.id}",
        f"/backups?search={theirs.word[:6]}",
        f"/overview?q={theirs.word[:6]}",
        f"/profiles?q={theirs.site.profile_id}",
        f"/sites?q={theirs.word[:6]}",
        f"/sites?group={theirs.group.id}",
        f"/backups/new?profile={theirs.site.profile_id}",
    ):
        answer = tenants.visitor.get(path)
        assert answer.status_code == 200
        assert theirs.word not in answer.text
        assert f"/backups/{theirs.backup.id}" not in answer.text


def test_no_backup_of_others_is_begun(tenants: Tenants) -> None:
    before = len(tenants.visitor.installation.catalogue.backups.newest())
    answer = tenants.visitor.post("/backups/new", {"profile": tenants.theirs.site.profile_id}, form_at="/account")
    missing = tenants.visitor.post("/backups/new", {"profile": 9999}, form_at="/account")
    assert answer.status_code == missing.status_code == 400
    assert f"There is no backup profile {tenants.theirs.site.profile_id}" in answer.text
    assert len(tenants.visitor.installation.catalogue.backups.newest()) == before


def test_only_ones_own_sites_are_paused(tenants: Tenants) -> None:
    table = tenants.visitor.installation.catalogue.sites
    mine, theirs = tenants.mine.site.id, tenants.theirs.site.id
    alone = tenants.visitor.post("/sites/act", {"action": "pause", "site": theirs}, form_at="/account")
    assert alone.status_code == 400
    both = tenants.visitor.post("/sites/act", {"action": "pause", "site": [mine, theirs]}, form_at="/account")
    assert both.status_code == 200
    assert tenants.theirs.word not in alone.text + both.text
    assert (table.get(mine).paused, table.get(theirs).paused) == (True, False)
    table.update(mine, paused=False)


@pytest.mark.parametrize("subject", ["backup={backup}", "task={task}", "running=0", "overview=0"])
def test_no_event_of_others_is_heard(tenants: Tenants, subject: str) -> None:
    theirs = tenants.theirs
    answer = tenants.visitor.get("/events?" + subject.format(backup=theirs.backup.id, task=theirs.task))
    assert answer.status_code == 404
    own = f"/events?backup={tenants.mine.backup.id}&{subject.format(backup=theirs.backup.id, task=theirs.task)}"
    assert tenants.visitor.get(own).status_code == 404


def test_the_navigation_leads_nowhere_that_is_closed(tenants: Tenants) -> None:
    for path in set(re.findall(r'<a href="(/[a-z]*)"', tenants.visitor.get("/").text)):
        assert tenants.visitor.get(path).status_code == 200, path


def test_an_administrator_is_not_bound_and_who_is_bound_is_made_none(tenants: Tenants) -> None:
    installation = tenants.visitor.installation
    with pytest.raises(UsageError, match="An administrator sees everything"):
        bind_user(installation, installation.catalogue.users.get("boss"), [tenants.mine.group.name])
    with pytest.raises(UsageError, match="An administrator sees everything"):
        set_role(installation, installation.catalogue.users.get("operator"), Role.ADMINISTRATOR)
    with pytest.raises(UsageError, match="An administrator sees everything"):
        create_user(installation, "other", Role.ADMINISTRATOR, groups=[tenants.mine.group.name])


def test_who_is_bound_anew_is_signed_out_and_sees_the_others(tenants: Tenants) -> None:
    installation = tenants.visitor.installation
    user = installation.catalogue.users.get("operator")
    bind_user(installation, user, [tenants.theirs.group.name])
    try:
        assert "Sign in" in tenants.visitor.get("/").text
        tenants.visitor.signed_in(Role.OPERATOR)
        text = tenants.visitor.get("/backups").text
        assert tenants.theirs.word in text
        assert tenants.mine.word not in text
        bind_user(installation, user, [])
        tenants.visitor.signed_in(Role.OPERATOR)
        text = tenants.visitor.get("/backups").text
        assert tenants.theirs.word in text
        assert tenants.mine.word in text
    finally:
        bind_user(installation, user, [tenants.mine.group.name])
