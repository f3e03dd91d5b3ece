"""Sites are added after they were looked at, changed as a whole, and removed without their backups."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backstay.api.status import ApiError
from backstay.catalogue import ROOT_KEY, Connection, DestinationOptions, Group, NamedDestination, Profile
from backstay.client.endpoints import Address
from backstay.errors import AuthenticationError, ConnectionFailedError, NotFoundError, UsageError
from backstay.fleet.changing import (
    Asked,
    SiteEdit,
    ask_site,
    ask_sites,
    edit_site,
    pause_site,
    remove_site,
    resume_site,
)
from backstay.fleet.sites import SiteDetails, add_local_site, add_remote_site, name_of_address
from backstay.jobs.installation import Installation
from backstay.jobs.remote_runs import cancel_run, queue_run
from backstay.jobs.schedules import find_profile
from client.fake_server import SECRET, TOKEN, FakeServer, running

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KNOWN = Connection(SECRET, {})


@pytest.fixture
def site_folder(tmp_path: Path) -> Path:
    """A folder with a site in it."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "index.html").write_text("hello")
    return folder


def test_a_server_becomes_a_site_with_a_profile_and_a_schedule(installation: Installation, server: FakeServer) -> None:
    installation.catalogue.groups.create(Group(0, "clients", NOW))
    nas = NamedDestination(0, "nas", "folder:///tmp/nas", {}, NOW, DestinationOptions())
    installation.catalogue.destinations.create(nas)
    details = SiteDetails(
        "shop",
        "clients",
        ("b", "a", "a"),
        " notes ",
        storages=("nas",),
        keep=7,
        at="0  3 * * *",
        spread=timedelta(hours=1),
    )
    site, detected = add_remote_site(installation, server.url + "/?x=1", replace(KNOWN, profile=2), details)
    assert detected is not None
    assert (site.name, site.group, site.tags, site.notes) == ("shop", "clients", ("a", "b"), "notes")
    assert (site.kind, site.host, site.found["version"], site.paused) == ("remote", "127.0.0.1", "8.2.6", False)
    assert site.heard is not None
    connection = installation.catalogue.sites.connection(site.id)
    assert connection == replace(KNOWN, profile=2, endpoint=detected.endpoint.stored())
    profile = installation.catalogue.profiles.get(site.profile_id)
    settings = profile.settings()
    assert profile.description == "shop"
    assert ROOT_KEY not in profile.configuration
    assert settings.destination_names == ("nas",)
    assert (settings.count_enabled, settings.count) == (True, 7)
    assert profile.configuration["akeeba.quota.remote"] == "1"
    (schedule,) = installation.catalogue.schedules.all()
    assert (schedule.profile_id, schedule.at, schedule.spread) == (site.profile_id, "0 3 * * *", 3600)
    installation.catalogue.profiles.create(Profile(0, "shop"))
    assert find_profile(installation, "shop") == site.profile_id


@pytest.mark.parametrize(
    ("details", "profile", "sentence"),
    [
        (SiteDetails(group="nobody"), 1, "no group named 'nobody'"),
        (SiteDetails(storages=("nowhere",)), 1, "no storage named 'nowhere'"),
        (SiteDetails(tags=("two words",)), 1, "can't be a tag"),
        (SiteDetails(name="-x"), 1, "can't be a name"),
        (SiteDetails(name="17"), 1, "can't be a name"),
        (SiteDetails(at="now and then"), 1, "now and then|cron"),
        (SiteDetails(notes="x" * 10_001), 1, "at most 10,000"),
        (SiteDetails(), 9, r"The server has no profile 9: it has 1 \(Default\), 2 \(Nightly\)"),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_is_stored(
    installation: Installation, server: FakeServer, details: SiteDetails, profile: int, sentence: str
) -> None:
    with pytest.raises((UsageError, NotFoundError), match=sentence):
        add_remote_site(installation, server.url, replace(KNOWN, profile=profile), details)
    assert installation.catalogue.sites.all() == []
    assert installation.catalogue.profiles.count() == 1
    assert bool(server.seen) == (profile == 9)


def test_a_profile_of_a_server_is_one_site_and_another_profile_another(
    installation: Installation, server: FakeServer
) -> None:
    add_remote_site(installation, server.url, KNOWN, SiteDetails("one"))
    with pytest.raises(UsageError, match=r"is the site one already: change it with 'backstay site edit one'"):
        add_remote_site(installation, server.url, KNOWN, SiteDetails("two"))
    add_remote_site(installation, server.url, replace(KNOWN, profile=2), SiteDetails("two"))
    with pytest.raises(UsageError, match="site named two already"):
        add_remote_site(installation, "https://elsewhere.example", KNOWN, SiteDetails("two"))


def test_a_site_can_be_stored_without_asking_its_server(installation: Installation) -> None:
    site, detected = add_remote_site(installation, "shop.example/sub", KNOWN, SiteDetails(), ask=False)
    assert detected is None
    assert (site.name, site.address, site.host) == ("shop.example/sub", "https://shop.example/sub", "shop.example")
    assert installation.catalogue.sites.connection(site.id).endpoint == {}


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://www.shop.example", "shop.example"),
        ("https://shop.example/blog/", "shop.example/blog"),
        ("https://shop.example/blog/wp-admin/admin-ajax.php", "shop.example/blog"),
        ("https://shop.example/api/index.php/v3/akeebabackup", "shop.example"),
        ("https://shop.example:8443/index.php?option=com_akeeba", "shop.example"),
    ],
)
def test_a_site_without_a_name_is_called_by_its_address(address: str, name: str) -> None:
    assert name_of_address(Address.parse(address)) == name


def test_a_folder_becomes_a_site_with_the_profile_it_has(installation: Installation, site_folder: Path) -> None:
    values = {ROOT_KEY: str(site_folder), "backstay.site.database": "none"}
    profile = installation.catalogue.profiles.create(Profile(0, "Shop", values))
    site = add_local_site(installation, site_folder, "", SiteDetails(keep=3, at="@daily"))
    assert (site.name, site.kind, site.profile_id, site.address) == ("Shop", "local", profile.id, "")
    changed = installation.catalogue.profiles.get(profile.id)
    assert changed.configuration["backstay.site.database"] == "none"
    assert changed.settings().count == 3
    with pytest.raises(UsageError, match="is the site Shop already"):
        add_local_site(installation, site_folder, "", SiteDetails(name="other"))


def test_a_folder_without_a_profile_gets_one(installation: Installation, site_folder: Path) -> None:
    site = add_local_site(installation, site_folder, "none", SiteDetails())
    profile = installation.catalogue.profiles.get(site.profile_id)
    assert profile.description == site.name == "shop"
    assert profile.configuration[ROOT_KEY] == str(site_folder)
    assert profile.machine == installation.catalogue.machine
    with pytest.raises(NotFoundError):
        add_local_site(installation, site_folder / "missing", "", SiteDetails())


def test_asking_again_tells_what_changed_and_lets_the_site_be_tried(
    installation: Installation, server: FakeServer
) -> None:
    site, _ = add_remote_site(installation, server.url, KNOWN, SiteDetails("shop"))
    later = datetime.now(UTC) + timedelta(hours=3)
    installation.catalogue.sites.update(site.id, failures=4, not_before=later, problem="It was away.")
    server.replies["getVersion"] = [{"api": "400", "component": "9.0.0", "date": "2024-01-01", "edition": "pro"}]
    server.versions = (2,)
    tested = ask_site(installation, installation.catalogue.sites.get(site.id))
    assert tested.changes[-1] == "Its version was 8.2.6, and is 9.0.0 now."
    known = installation.catalogue.sites.get(site.id)
    assert (known.failures, known.not_before, known.problem) == (0, None, "")
    assert installation.catalogue.sites.connection(site.id).endpoint["version"] == 2


def test_a_server_that_refuses_leaves_its_reason_with_the_site(installation: Installation, server: FakeServer) -> None:
    site, _ = add_remote_site(installation, server.url, KNOWN, SiteDetails("shop"))
    server.replies["getVersion"] = [ApiError(503, "Access denied")]
    with pytest.raises(AuthenticationError):
        ask_site(installation, site)
    known = installation.catalogue.sites.get(site.id)
    assert known.problem
    assert known.found == site.found


def test_many_servers_are_asked_and_each_gives_its_outcome(installation: Installation, server: FakeServer) -> None:
    good, _ = add_remote_site(installation, server.url, KNOWN, SiteDetails("good"))
    bad, _ = add_remote_site(installation, "http://127.0.0.1:1", KNOWN, SiteDetails("bad"), ask=False)
    outcomes = {site.name: outcome for site, outcome in ask_sites(installation, [good, bad])}
    assert isinstance(outcomes["good"], Asked)
    assert isinstance(outcomes["bad"], ConnectionFailedError)
    assert list(ask_sites(installation, [])) == []


def test_a_site_is_changed_and_its_server_asked_only_where_that_matters(
    installation: Installation, server: FakeServer
) -> None:
    installation.catalogue.groups.create(Group(0, "clients", NOW))
    site, _ = add_remote_site(installation, server.url, KNOWN, SiteDetails("shop", tags=("old", "kept")))
    server.seen.clear()
    edit = SiteEdit(name="store", group="clients", notes="n", add_tags=("new",), remove_tags=("old",), keep=5)
    edited = edit_site(installation, site, edit)
    assert (edited.name, edited.group, edited.notes, edited.tags) == ("store", "clients", "n", ("kept", "new"))
    profile = installation.catalogue.profiles.get(site.profile_id)
    assert (profile.description, profile.settings().count) == ("store", 5)
    edit_site(installation, edited, SiteEdit(keep_there=2, keep=0))
    assert installation.catalogue.sites.connection(site.id).keep_there == 2
    assert not installation.catalogue.profiles.get(site.profile_id).settings().count_enabled
    edit_site(installation, edited, SiteEdit(keep_there=-1))
    assert installation.catalogue.sites.connection(site.id).keep_there is None
    assert server.seen == []
    edit_site(installation, edited, SiteEdit(secret=TOKEN, profile=2))
    assert server.seen
    connection = installation.catalogue.sites.connection(site.id)
    assert (connection.secret, connection.profile, connection.endpoint["credential"]) == (TOKEN, 2, "token")


@pytest.mark.parametrize(
    "edit", [SiteEdit(secret="wrong"), SiteEdit(profile=9), SiteEdit(address="http://127.0.0.1:1")]
)
def test_a_change_with_which_the_server_does_not_answer_is_not_stored(
    installation: Installation, server: FakeServer, edit: SiteEdit
) -> None:
    site, _ = add_remote_site(installation, server.url, KNOWN, SiteDetails("shop"))
    before = installation.catalogue.sites.connection(site.id)
    with pytest.raises((AuthenticationError, UsageError, ConnectionFailedError)):
        edit_site(installation, site, replace(edit, name="other"))
    assert installation.catalogue.sites.get(site.id) == site
    assert installation.catalogue.sites.connection(site.id) == before
    edit_site(installation, site, edit, ask=False)
    assert installation.catalogue.sites.connection(site.id) != before


def test_a_site_that_moves_is_found_at_its_new_address(installation: Installation, server: FakeServer) -> None:
    site, _ = add_remote_site(installation, "https://old.example", KNOWN, SiteDetails("shop"), ask=False)
    with ExitStack() as stack:
        for name in ("uvicorn.access", "uvicorn.error"):
            logging.getLogger(name).disabled = True
        other = stack.enter_context(running(FakeServer(versions=(2,), replies=server.replies)))
        moved = edit_site(installation, site, SiteEdit(address=other))
    assert (moved.address, moved.host) == (other, "127.0.0.1")
    assert installation.catalogue.sites.connection(site.id).endpoint["version"] == 2


def test_a_paused_site_is_resumed_without_its_old_failures(installation: Installation) -> None:
    site, _ = add_remote_site(installation, "https://shop.example", KNOWN, SiteDetails("shop"), ask=False)
    installation.catalogue.sites.update(site.id, failures=5, not_before=NOW)
    pause_site(installation, site)
    assert installation.catalogue.sites.get(site.id).paused
    resume_site(installation, site)
    known = installation.catalogue.sites.get(site.id)
    assert (known.paused, known.failures, known.not_before) == (False, 0, None)


def test_a_site_is_not_removed_while_a_run_of_it_is_open(installation: Installation) -> None:
    site, _ = add_remote_site(installation, "https://shop.example", KNOWN, SiteDetails("shop", at="@daily"), ask=False)
    run = queue_run(installation, site.profile_id)
    with pytest.raises(UsageError, match="runs or waits"):
        remove_site(installation, site)
    cancel_run(installation, run.id)
    remove_site(installation, site)
    assert installation.catalogue.sites.all() == []
    assert installation.catalogue.schedules.all() == []
    assert installation.catalogue.profiles.count() == 1


def test_the_profile_of_a_local_site_stays_unless_it_is_to_go(installation: Installation, site_folder: Path) -> None:
    site = add_local_site(installation, site_folder, "none", SiteDetails(at="@daily"))
    remove_site(installation, site)
    assert installation.catalogue.profiles.get(site.profile_id).description == "shop"
    assert len(installation.catalogue.schedules.all()) == 1
    again = add_local_site(installation, site_folder, "none", SiteDetails())
    assert again.profile_id == site.profile_id
    remove_site(installation, again, with_profile=True)
    assert installation.catalogue.profiles.count() == 1
