"""A token that is bound to groups: for it the sites of others do not exist, method by method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from backstay.api.methods import METHODS, Scope
from backstay.errors import UsageError
from backstay.jobs.tokens import create_token
from server.driving import Driven, Reply, driven
from support.tenants import Tenant, two_tenants

SCOPES = [Scope.READ, Scope.BACKUP, Scope.DOWNLOAD, Scope.DELETE]
MISSING = 9999
OFFERED = [method for method in METHODS if method.scope is None or method.scope in SCOPES]
REFUSED = [method for method in METHODS if method not in OFFERED]


@dataclass
class Tenants:
    """A server with two tenants, and a token that is bound to the first."""

    server: Driven
    mine: Tenant
    theirs: Tenant
    token: str

    def call(self, method: str, token: str = "", **data: Any) -> Reply:
        return self.server.v3(method, {"X-Joomla-Token": token or self.token}, **data)


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """Two tenants behind a real server."""
    folder = tmp_path_factory.mktemp("tenants")
    with driven(folder / "home", api_level=400) as server:
        mine, theirs = two_tenants(server.installation, folder)
        token = create_token(server.installation, "mine", SCOPES, datetime.now(UTC), groups=[mine.group.name])
        yield Tenants(server, mine, theirs, token)


def parameters(method: str, tenant: Tenant | None) -> dict[str, Any]:
    """Return what a call of a method names of a tenant; None: what nobody has."""
    backup = tenant.backup.id if tenant else MISSING
    backupid = tenant.backup.backupid if tenant else "id-20000101-000000-000000"
    named: dict[str, dict[str, Any]] = {
        "startBackup": {"profile": tenant.site.profile_id if tenant else MISSING},
        "stepBackup": {"backupid": backupid},
        "log": {"tag": f"cli.{backupid}"},
        "getBackupInfo": {"backup_id": backup},
        "download": {"backup_id": backup, "part_id": 1, "segment": 1},
        "downloadDirect": {"backup_id": backup, "part_id": 1},
        "delete": {"backup_id": backup},
        "deleteFiles": {"backup_id": backup},
    }
    return named.get(method, {})


NAMING = [method.name for method in OFFERED if parameters(method.name, None)]


@pytest.mark.parametrize("method", NAMING)
def test_what_is_of_others_is_refused_in_the_words_for_what_is_not_there(tenants: Tenants, method: str) -> None:
    answers = []
    for tenant in (tenants.theirs, None):
        response = tenants.server.http.post(
            f"{tenants.server.url}/api/index.php/v3/akeebabackup/{method}",
            data=parameters(method, tenant),
            headers={"X-Joomla-Token": tenants.token},
        )
        assert tenants.theirs.word not in response.text
        answers.append((response.status_code, response.content))
    assert answers[0] == answers[1]
    assert b'"status":200' not in answers[0][1]
    kept = tenants.server.installation.catalogue.backups.get(tenants.theirs.backup.id)
    assert kept is not None
    assert kept.filesexist


@pytest.mark.parametrize("method", [method.name for method in OFFERED])
def test_nothing_that_is_answered_tells_of_others(tenants: Tenants, method: str) -> None:
    for named in ({}, parameters(method, tenants.theirs)):
        response = tenants.server.http.post(
            f"{tenants.server.url}/api/index.php/v3/akeebabackup/{method}",
            data=named,
            headers={"X-Joomla-Token": tenants.token},
        )
        assert tenants.theirs.word not in response.text
        assert str(tenants.theirs.backup.backupid) not in response.text


@pytest.mark.parametrize("method", [method.name for method in REFUSED])
def test_what_concerns_more_than_sites_is_refused_however_it_is_asked(tenants: Tenants, method: str) -> None:
    given: tuple[dict[str, Any], ...] = (
        {},
        {"profile": tenants.mine.site.profile_id},
        {"profile": tenants.theirs.site.profile_id},
    )
    for data in given:
        assert tenants.call(method, **data).status in (403, 501)


def test_lists_hold_what_is_ones_own(tenants: Tenants) -> None:
    assert tenants.call("getProfiles").data == [{"id": tenants.mine.site.profile_id, "name": tenants.mine.word}]
    pagings: tuple[dict[str, Any], ...] = ({}, {"limit": 0}, {"from": 0, "limit": 1})
    for paging in pagings:
        assert [one["id"] for one in tenants.call("listBackups", **paging).data] == [tenants.mine.backup.id]
    beyond: dict[str, Any] = {"from": 1, "limit": 5}
    assert tenants.call("listBackups", **beyond).data == []
    everything = tenants.server.v3("listBackups").data
    assert {one["id"] for one in everything} >= {tenants.mine.backup.id, tenants.theirs.backup.id}


def test_ones_own_is_answered(tenants: Tenants) -> None:
    mine = tenants.mine
    assert tenants.call("getVersion").status == 200
    assert tenants.call("getBackupInfo", backup_id=mine.backup.id).data["description"] == f"Backup of {mine.word}"
    assert tenants.call("download", backup_id=mine.backup.id, part_id=1, segment=1).status == 200
    assert tenants.call("log", tag=f"cli.{mine.backup.backupid}").status == 200
    direct = tenants.server.http.get(
        f"{tenants.server.url}/api/index.php/v3/akeebabackup/downloadDirect",
        params={"backup_id": mine.backup.id, "part_id": 1},
        headers={"X-Joomla-Token": tenants.token},
    )
    assert direct.content.startswith(b"JPA")
    started = tenants.call("startBackup", profile=mine.site.profile_id).data
    while started["HasRun"]:
        started = tenants.call("stepBackup", backupid=started["backupid"]).data
    assert tenants.call("delete", backup_id=started["BackupID"]).data is True


def test_a_backup_may_not_be_turned_to_another_folder(tenants: Tenants) -> None:
    overrides = {"akeeba.platform.newroot": "/etc"}
    assert tenants.call("startBackup", profile=tenants.mine.site.profile_id, overrides=overrides).status == 403


def test_a_step_without_a_name_is_not_that_of_others(tenants: Tenants) -> None:
    assert tenants.call("stepBackup").pair == tenants.call("stepBackup", tag="cli").pair
    assert tenants.call("stepBackup").status == 500


def test_a_token_of_every_scope_that_is_bound_never_gets_the_secret_word(tenants: Tenants) -> None:
    number = tenants.mine.group.id
    scopes = [str(scope) for scope in Scope]
    token = tenants.server.installation.catalogue.tokens.create("wide", scopes, datetime.now(UTC), groups=[number])
    for path in ("/api/index.php/v1/panopticon/akeebabackup/info", "/wp-json/v1/panopticon/akeebabackup/info"):
        answer = tenants.server.http.get(tenants.server.url + path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        assert tenants.server.secret not in answer.text
    assert tenants.call("exportConfiguration", token, profile=tenants.mine.site.profile_id).status == 403
    metrics = tenants.server.http.get(f"{tenants.server.url}/metrics", headers={"Authorization": f"Bearer {token}"})
    assert metrics.status_code == 403
    tenants.server.installation.catalogue.tokens.revoke("wide")


@pytest.mark.parametrize("scope", [Scope.CONFIGURE, Scope.METRICS])
def test_a_bound_token_is_not_made_with_what_concerns_all(tenants: Tenants, scope: Scope) -> None:
    with pytest.raises(UsageError, match="concerns all sites"):
        create_token(tenants.server.installation, "wide", [scope], datetime.now(UTC), groups=[tenants.mine.group.name])


def test_a_site_that_changes_its_group_changes_its_tenant_at_once(tenants: Tenants) -> None:
    catalogue = tenants.server.installation.catalogue
    catalogue.sites.update(tenants.theirs.site.id, group=tenants.mine.group.name)
    try:
        assert tenants.call("getBackupInfo", backup_id=tenants.theirs.backup.id).status == 200
    finally:
        catalogue.sites.update(tenants.theirs.site.id, group=tenants.theirs.group.name)
    assert tenants.call("getBackupInfo", backup_id=tenants.theirs.backup.id).status == 404


def test_a_group_that_somebody_is_bound_to_is_not_removed(tenants: Tenants) -> None:
    catalogue = tenants.server.installation.catalogue
    catalogue.sites.update(tenants.mine.site.id, group="")
    try:
        with pytest.raises(UsageError, match="Users or tokens are bound to the group"):
            catalogue.groups.delete(tenants.mine.group.name)
        assert tenants.call("listBackups").data == []
        assert tenants.call("getProfiles").data == []
    finally:
        catalogue.sites.update(tenants.mine.site.id, group=tenants.mine.group.name)


def test_a_token_that_is_regenerated_stays_bound(tenants: Tenants) -> None:
    tenants.token = tenants.server.installation.catalogue.tokens.regenerate("mine", datetime.now(UTC))
    test_lists_hold_what_is_ones_own(tenants)
