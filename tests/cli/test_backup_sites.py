"""``backstay backup`` of many sites: on other servers and here, in the foreground and left to workers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.catalogue import Connection, Group, NewSite, Profile, Site
from backstay.jobs.installation import Installation
from backstay.jobs.profiles import profile_of_site
from fleet.fake_servers import SECRET, Behaviour, Servers, fake_servers
from fleet.simulation import BEGIN, endpoint_of
from support.backups import make_files
from support.catalogues import use_database


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Some sites elsewhere."""
    with fake_servers(8) as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def _database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the catalogue in its own file, or in a database that machines share."""
    if request.param == "postgresql":
        use_database(monkeypatch, request.getfixturevalue("postgresql_database"))


def add_sites(installation: Installation, servers: Servers, numbers: list[int], group: str = "") -> list[Site]:
    if group:
        installation.catalogue.groups.create(Group(0, group, BEGIN))
    new = [
        NewSite(
            Site(0, f"site-{n}", "remote", 0, BEGIN, group=group, address=servers.url(n), host=servers.host(n)),
            Connection(SECRET, endpoint_of(servers, n).stored()),
            Profile(0, f"site-{n}"),
        )
        for n in numbers
    ]
    return installation.catalogue.sites.create_all(new)


def backstay(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backstay", "backup", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.usefixtures("_database")
def test_sites_elsewhere_and_here_are_backed_up_at_once(
    installation: Installation, servers: Servers, tmp_path: Path
) -> None:
    add_sites(installation, servers, [0, 1, 2])
    profile = profile_of_site(installation, make_files(tmp_path / "site", count=5), "none")
    installation.catalogue.sites.create(NewSite(Site(0, "here", "local", profile.id, BEGIN)))
    servers.set({2: Behaviour(fault="fails")})
    done = backstay("--all-sites", "--json", "--description", "before the update")
    found = {one["site"]: one for one in json.loads(done.stdout)}
    assert {name: one["state"] for name, one in found.items()} == {
        "site-0": "done",
        "site-1": "done",
        "site-2": "failed",
        "here": "done",
    }
    assert "disk of the server is full" in found["site-2"]["message"]
    assert (done.returncode, done.stderr.strip()) == (40, "Error: 1 of 4 backups failed.")
    complete = [one for one in installation.catalogue.backups.newest() if one.status == "complete"]
    assert [one.description for one in complete] == ["before the update"] * 3


@pytest.mark.usefixtures("_database")
def test_what_is_left_to_workers_waits_and_can_be_cancelled(installation: Installation, servers: Servers) -> None:
    add_sites(installation, servers, [4, 5], "clients")
    sites = add_sites(installation, servers, [6])
    done = backstay("--group", "clients", "--background")
    assert (done.returncode, done.stdout) == (0, "2 backups: 2 waiting.\n")
    assert "No worker runs" in done.stderr
    assert backstay("--site", "site-4", "--cancel").stdout == "1 backup cancelled.\n"
    assert [run.state for run in installation.catalogue.remote_runs.newest()] == ["waiting", "cancelled"]
    done = backstay("--group", "clients")  # what waits already is what is waited for
    assert done.stdout == "2 backups: 2 complete.\n"
    assert len(installation.catalogue.remote_runs.newest()) == 3
    one = backstay("--profile", str(sites[0].profile_id))
    assert re.search(r"^Backup \d+ is complete: ", one.stdout)


def test_what_does_not_go_together_is_said(installation: Installation) -> None:
    for arguments, sentence in {
        ("--all-sites",): "No site is meant",
        ("--background",): "Say which sites are meant",
        ("--all-sites", "--format", "zip"): "said by their profiles",
        ("--site", "nowhere"): "There is no site 'nowhere'",
    }.items():
        done = backstay(*arguments)
        assert done.returncode != 0
        assert sentence in done.stderr
