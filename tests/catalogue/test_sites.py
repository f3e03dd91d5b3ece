"""Sites and groups: stored with their profiles or not at all, their secrets encrypted, their names kept equal."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from backstay.catalogue import BackupSearch, Catalogue, Connection, Group, Home, NewSite, Profile, Site, open_catalogue
from backstay.errors import NotFoundError, UsageError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ENDPOINT = {"version": 3, "url": "https://shop.example/api", "query": [], "credential": "token", "verb": "POST"}
CONNECTION = Connection("pa55word", ENDPOINT, profile=2, keep_there=3, verify_tls=False)


def a_site(name: str, **values: object) -> NewSite:
    site = Site(id=0, name=name, kind="remote", profile_id=0, created=NOW, address=f"https://{name}.example")
    return NewSite(replace(site, **values), CONNECTION, Profile(0, name))  # type: ignore[arg-type]


def test_a_site_is_stored_with_its_profile_and_found_by_name_number_and_profile(catalogue: Catalogue) -> None:
    catalogue.groups.create(Group(0, "clients", NOW))
    made = catalogue.sites.create(a_site("shop", group="clients", tags=("a", "b"), found={"product": "Backstay"}))
    assert made.id
    assert catalogue.profiles.get(made.profile_id).description == "shop"
    assert catalogue.sites.get("shop") == catalogue.sites.get(made.id) == made
    assert catalogue.sites.find_by_profile(made.profile_id) == made
    assert catalogue.sites.find_by_profile(1) is None
    assert (made.group, made.tags, made.found) == ("clients", ("a", "b"), {"product": "Backstay"})
    with pytest.raises(NotFoundError, match=r"no site 'other': see them with 'backstay site list'"):
        catalogue.sites.get("other")


def test_a_site_may_stand_on_a_profile_that_exists_and_no_other_site_on_the_same(catalogue: Catalogue) -> None:
    profile = catalogue.profiles.create(Profile(0, "before"))
    local = Site(id=0, name="shop", kind="local", profile_id=profile.id, created=NOW)
    catalogue.sites.create(NewSite(local))
    assert catalogue.profiles.get(profile.id).description == "shop"
    with pytest.raises(UsageError, match=rf"Profile {profile.id} belongs to the site shop already"):
        catalogue.sites.create(NewSite(replace(local, name="blog")))
    with pytest.raises(NotFoundError, match="no backup profile 99"):
        catalogue.sites.create(NewSite(replace(local, name="blog", profile_id=99)))
    assert [site.name for site in catalogue.sites.all()] == ["shop"]


@pytest.mark.parametrize("bad", [a_site("shop"), a_site("two"), a_site("three", group="nobody")])
def test_of_several_new_sites_all_are_stored_or_none(catalogue: Catalogue, bad: NewSite) -> None:
    catalogue.sites.create(a_site("shop"))
    with pytest.raises((UsageError, NotFoundError), match=r"site named (shop|two) already|no group named 'nobody'"):
        catalogue.sites.create_all([a_site("one"), a_site("two"), bad])
    assert [site.name for site in catalogue.sites.all()] == ["shop"]
    assert catalogue.profiles.count() == 2
    made = catalogue.sites.create_all([a_site("one"), a_site("two")])
    assert [site.name for site in catalogue.sites.all()] == ["one", "shop", "two"]
    assert made[0].profile_id != made[1].profile_id


def test_the_secret_of_a_site_is_kept_encrypted_and_never_shown(own_home: Home) -> None:
    with open_catalogue(own_home) as catalogue:
        site = catalogue.sites.create(a_site("shop"))
        assert catalogue.sites.connection(site.id) == CONNECTION
        assert "pa55word" not in f"{CONNECTION!r} {site!r}"
        catalogue.sites.set_connection(site.id, replace(CONNECTION, secret="other pa55word", keep_there=None))
        assert catalogue.sites.connection(site.id).secret == "other pa55word"
        assert catalogue.sites.connection(site.id).keep_there is None
    with closing(sqlite3.connect(own_home.catalogue)) as database:
        assert b"pa55word" not in database.execute("SELECT connection FROM sites").fetchone()[0]


def test_only_a_remote_site_has_a_connection(catalogue: Catalogue) -> None:
    local = Site(id=0, name="shop", kind="local", profile_id=0, created=NOW)
    site = catalogue.sites.create(NewSite(local, profile=Profile(0, "shop")))
    with pytest.raises(UsageError, match="shop is on a machine of Backstay"):
        catalogue.sites.connection(site.id)
    with pytest.raises(NotFoundError):
        catalogue.sites.connection(99)
    with pytest.raises(NotFoundError):
        catalogue.sites.set_connection(99, CONNECTION)


def test_any_value_of_a_site_can_be_changed(catalogue: Catalogue) -> None:
    catalogue.groups.create(Group(0, "clients", NOW))
    site = catalogue.sites.create(a_site("shop"))
    later = NOW + timedelta(hours=1)
    catalogue.sites.update(site.id, group="clients", tags=("x",), paused=True, failures=3, not_before=later)
    catalogue.sites.update(site.id, heard=later, problem="It is away.", found={"a": [1]}, host="192.0.2.1", notes="!")
    changed = catalogue.sites.get(site.id)
    assert changed == replace(
        site,
        group="clients",
        tags=("x",),
        paused=True,
        failures=3,
        not_before=later,
        heard=later,
        problem="It is away.",
        found={"a": [1]},
        host="192.0.2.1",
        notes="!",
    )
    catalogue.sites.update(site.id, group="", not_before=None)
    assert (catalogue.sites.get(site.id).group, catalogue.sites.get(site.id).not_before) == ("", None)
    with pytest.raises(NotFoundError, match="no site 99"):
        catalogue.sites.update(99, notes="")
    with pytest.raises(NotFoundError, match="no group named 'nobody'"):
        catalogue.sites.update(site.id, group="nobody")


def test_a_site_and_its_profile_have_the_same_name_whichever_is_renamed(catalogue: Catalogue) -> None:
    catalogue.sites.create(a_site("other"))
    site = catalogue.sites.create(a_site("shop"))
    catalogue.sites.update(site.id, name="store")
    assert catalogue.profiles.get(site.profile_id).description == "store"
    profile = catalogue.profiles.get(site.profile_id)
    catalogue.profiles.save(replace(profile, description="market"))
    assert catalogue.sites.get(site.id).name == "market"
    with pytest.raises(UsageError, match="site named other already"):
        catalogue.sites.update(site.id, name="other")
    with pytest.raises(UsageError, match="site named other already"):
        catalogue.profiles.save(replace(profile, description="other"))
    assert catalogue.profiles.get(site.profile_id).description == catalogue.sites.get(site.id).name == "market"


def test_a_profile_that_a_site_stands_on_is_removed_with_the_site_alone(catalogue: Catalogue) -> None:
    site, other = catalogue.sites.create(a_site("shop")), catalogue.sites.create(a_site("blog"))
    with pytest.raises(UsageError, match=r"belongs to the site shop: remove it with 'backstay site remove shop'"):
        catalogue.profiles.delete(site.profile_id)
    catalogue.sites.delete(site.id)
    assert catalogue.profiles.get(site.profile_id).description == "shop"
    catalogue.sites.delete(other.id, with_profile=True)
    with pytest.raises(NotFoundError):
        catalogue.profiles.get(other.profile_id)
    with pytest.raises(NotFoundError, match=f"no site {site.id}"):
        catalogue.sites.delete(site.id)


def test_groups_are_made_changed_counted_and_removed_when_they_are_empty(catalogue: Catalogue) -> None:
    group = catalogue.groups.create(Group(0, "clients", NOW, per_host=1, priority=5, notes="first"))
    catalogue.groups.create(Group(0, "alpha", NOW))
    assert [one.name for one in catalogue.groups.all()] == ["alpha", "clients"]
    assert catalogue.groups.get("clients") == group
    with pytest.raises(UsageError, match="group named clients already"):
        catalogue.groups.create(Group(0, "clients", NOW))
    with pytest.raises(UsageError, match="group named alpha already"):
        catalogue.groups.save(replace(group, name="alpha"))
    catalogue.groups.save(replace(group, name="customers", per_host=4))
    assert catalogue.groups.get("customers").per_host == 4
    site = catalogue.sites.create(a_site("shop", group="customers"))
    assert catalogue.groups.sizes() == {"customers": 1}
    assert catalogue.sites.profiles_of([group.id]) == [site.profile_id]
    with pytest.raises(UsageError, match="still a site in the group customers"):
        catalogue.groups.delete("customers")
    catalogue.sites.update(site.id, group="")
    catalogue.groups.delete("customers")
    with pytest.raises(NotFoundError, match="no group named 'customers'"):
        catalogue.groups.get("customers")
    with pytest.raises(NotFoundError):
        catalogue.groups.delete("customers")


def test_tokens_and_users_are_bound_to_groups_and_a_group_stays_while_somebody_is(catalogue: Catalogue) -> None:
    first, second = (catalogue.groups.create(Group(0, name, NOW)).id for name in ("first", "second"))
    token = catalogue.tokens.create("phone", ["read"], NOW, groups=[second, first, first])
    found = catalogue.tokens.authenticate(token, NOW)
    assert found is not None
    assert found.groups == catalogue.tokens.all()[0].groups == (first, second)
    token = catalogue.tokens.regenerate("phone", NOW)
    found = catalogue.tokens.authenticate(token, NOW)
    assert found is not None
    assert found.groups == (first, second)
    user = catalogue.users.create("anna", "viewer", NOW, groups=[first])
    assert user.groups == catalogue.users.get("anna").groups == catalogue.users.all()[0].groups == (first,)
    with pytest.raises(UsageError, match="Users or tokens are bound to the group first"):
        catalogue.groups.delete("first")
    catalogue.users.bind(user.id, [second])
    assert catalogue.users.of_id(user.id) == catalogue.users.get("anna")
    assert catalogue.users.get("anna").groups == (second,)
    catalogue.tokens.revoke("phone")
    catalogue.groups.delete("first")
    assert catalogue.groups.names_of([first, second]) == {second: "second"}
    catalogue.users.bind(user.id, [])
    assert catalogue.users.get("anna").groups == ()
    catalogue.groups.delete("second")


def test_a_profile_is_seen_by_the_groups_of_its_site_alone(catalogue: Catalogue) -> None:
    group = catalogue.groups.create(Group(0, "clients", NOW))
    site, other = catalogue.sites.create(a_site("shop", group="clients")), catalogue.sites.create(a_site("blog"))
    assert catalogue.sites.is_in(site.profile_id, (group.id,))
    assert not catalogue.sites.is_in(other.profile_id, (group.id,))
    assert not catalogue.sites.is_in(site.profile_id, ())
    assert not catalogue.sites.is_in(1, (group.id,))
    for profile in (site.profile_id, other.profile_id):
        catalogue.backups.create(
            description="d",
            comment="",
            backupstart=NOW,
            origin="cli",
            type="full",
            profile_id=profile,
            archivename=f"{profile}.jpa",
        )
    found = catalogue.backups.newest(matching=BackupSearch(groups=(group.id,)))
    assert [backup.profile_id for backup in found] == [site.profile_id]
    assert catalogue.backups.newest(matching=BackupSearch(groups=())) == []
