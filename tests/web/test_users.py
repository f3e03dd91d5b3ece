"""Users, made and changed on the page."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from backstay.catalogue import Group
from backstay.jobs.second_factor import new_secret
from backstay.jobs.users import Role, create_user, invite, sessions_of
from backstay.web.security import SESSION_COOKIE
from web.driving import PASSWORD, Visitor


def path_of(visitor: Visitor, name: str) -> str:
    """Return the path of a user's page."""
    return f"/users/{visitor.installation.catalogue.users.get(name).id}"


def test_a_user_is_made_and_sets_a_password_through_a_link(visitor: Visitor) -> None:
    visitor.signed_in(Role.ADMINISTRATOR)
    page = visitor.post("/users", {"name": "ben", "role": "operator"}, form_at="/users").text
    link = re.findall(r"https://backstay\.example(/welcome/[\w-]+)", page)[0]
    assert "already" in visitor.post("/users", {"name": "ben", "role": "operator"}, form_at="/users").text
    assert visitor.post("/users", {"name": "cleo", "role": "king"}, form_at="/users").status_code == 400
    assert link not in visitor.get(path_of(visitor, "ben")).text
    visitor.client.cookies.clear()
    fields = {"password": PASSWORD, "password_again": PASSWORD}
    assert "Welcome, ben." in visitor.post(link, dict(fields), form_at=link).text
    assert visitor.get("/users").status_code == 403


def test_an_administrator_says_which_groups_a_user_and_a_token_see(visitor: Visitor) -> None:
    for name in ("clients-a", "clients-b"):
        visitor.installation.catalogue.groups.create(Group(0, name, datetime.now(UTC)))
    visitor.signed_in(Role.ADMINISTRATOR)
    users = visitor.installation.catalogue.users
    visitor.post("/users", {"name": "carla", "role": "viewer", "group": "clients-a"}, form_at="/users")
    assert users.get("carla").groups == (1,)
    wrong = visitor.post("/users", {"name": "dora", "role": "administrator", "group": "clients-a"}, form_at="/users")
    assert wrong.status_code == 400
    assert "An administrator sees everything" in wrong.text
    path = path_of(visitor, "carla")
    changed = visitor.post(f"{path}/groups", {"group": ["clients-a", "clients-b"]}, form_at=path)
    assert "carla sees the sites of clients-a, clients-b now." in changed.text
    assert users.get("carla").groups == (1, 2)
    assert "carla sees everything now." in visitor.post(f"{path}/groups", form_at=path).text
    assert users.get("carla").groups == ()
    fields = {"name": "phone", "scope": ["read"], "group": ["clients-b"]}
    assert "bst_" in visitor.post("/settings/tokens", fields, form_at="/settings").text
    assert visitor.installation.catalogue.tokens.all()[0].groups == (2,)
    assert "clients-b" in visitor.get("/settings").text
    refused = visitor.post("/settings/tokens", {**fields, "name": "x", "scope": ["configure"]}, form_at="/settings")
    assert "concerns all sites" in refused.text


def test_a_change_counts_at_once(visitor: Visitor) -> None:
    create_user(visitor.installation, "second", Role.ADMINISTRATOR, PASSWORD)
    visitor.signed_in(Role.OPERATOR)
    operators = visitor.client.cookies[SESSION_COOKIE]
    visitor.signed_in(Role.ADMINISTRATOR)
    administrators, path = visitor.client.cookies[SESSION_COOKIE], path_of(visitor, "operator")

    def as_operator() -> str:
        visitor.client.cookies.clear()
        visitor.client.cookies.set(SESSION_COOKIE, operators)
        reached = visitor.get("/users")
        visitor.client.cookies.clear()
        visitor.client.cookies.set(SESSION_COOKIE, administrators)
        return f"{reached.status_code} {reached.url.path}"

    assert as_operator() == "403 /users"
    visitor.post(f"{path}/role", {"role": "administrator"}, form_at=path)
    assert as_operator() == "200 /users"
    visitor.post(f"{path}/role", {"role": "viewer"}, form_at=path)
    assert as_operator() == "403 /users"
    visitor.post(f"{path}/disable", form_at=path)
    assert as_operator() == "200 /sign-in"
    assert "may sign in again" in visitor.post(f"{path}/enable", form_at=path).text
    assert as_operator() == "200 /sign-in"
    assert "is removed" in visitor.post(f"{path}/remove", form_at=path).text
    assert visitor.get(path).status_code == 404


def test_the_last_administrator_stays(visitor: Visitor) -> None:
    visitor.signed_in(Role.ADMINISTRATOR)
    path = path_of(visitor, "administrator")
    for change, fields in (("remove", {}), ("disable", {}), ("role", {"role": "viewer"})):
        answer = visitor.post(f"{path}/{change}", dict(fields), form_at=path)
        assert (answer.status_code, "last administrator" in answer.text) == (400, True), change
    assert visitor.get("/users").status_code == 200


def test_sessions_and_second_factors_are_taken_away(visitor: Visitor) -> None:
    visitor.signed_in(Role.VIEWER)
    users = visitor.installation.catalogue.users
    viewer = users.get("viewer")
    users.update(viewer.id, second_factor=new_secret(), recovery_codes=["x"])
    visitor.signed_in(Role.ADMINISTRATOR)
    path = path_of(visitor, "viewer")
    number = sessions_of(visitor.installation, viewer)[0].id
    assert visitor.post(f"{path}/revoke", {"session": "x"}, form_at=path).status_code == 400
    visitor.post(f"{path}/revoke", {"session": number}, form_at=path)
    assert sessions_of(visitor.installation, viewer) == []
    assert "password alone" in visitor.post(f"{path}/reset-factors", form_at=path).text
    assert (users.get("viewer").second_factor, users.get("viewer").recovery_codes) == ("", ())


def test_a_link_does_not_pass_by_a_second_factor(visitor: Visitor) -> None:
    visitor.signed_in(Role.VIEWER)
    viewer = visitor.installation.catalogue.users.get("viewer")
    visitor.installation.catalogue.users.update(viewer.id, second_factor=new_secret())
    visitor.client.cookies.clear()
    link = f"/welcome/{invite(visitor.installation, viewer)}"
    answer = visitor.post(link, {"password": PASSWORD, "password_again": PASSWORD}, form_at=link)
    assert answer.url.path == "/sign-in"
    assert SESSION_COOKIE not in visitor.client.cookies


def test_the_first_link_survives_a_name_that_is_refused(visitor: Visitor) -> None:
    link = f"/welcome/{invite(visitor.installation, None)}"
    fields = {"name": " ", "password": PASSWORD, "password_again": PASSWORD}
    assert visitor.post(link, dict(fields), form_at=link).status_code == 400
    assert "Welcome, anna." in visitor.post(link, {**fields, "name": "anna"}, form_at=link).text


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x>', "{{ 7 * 7 }}", "ünï & Söhne", "a/b?c#d"]
)
def test_names_of_users_are_never_markup(visitor: Visitor, name: str) -> None:
    create_user(visitor.installation, name, Role.ADMINISTRATOR, PASSWORD)
    visitor.client.cookies.clear()
    page = visitor.post("/sign-in", {"name": name, "password": PASSWORD}, form_at="/sign-in").text
    assert "Sign out" in page
    for path in ("/", "/account", "/users", path_of(visitor, name), "/journal"):
        page = visitor.get(path).text
        assert not any(one in page for one in ("<script>alert", "<img src=x", "49</bdi>"))
        assert "Sign out" in page


@pytest.mark.parametrize("name", ["", " ", "a\u202eb", "a\x00b", "a\nb", "x" * 101])
def test_names_that_nobody_can_read_are_refused(visitor: Visitor, name: str) -> None:
    visitor.signed_in(Role.ADMINISTRATOR)
    assert visitor.post("/users", {"name": name, "role": "viewer"}, form_at="/users").status_code == 400
