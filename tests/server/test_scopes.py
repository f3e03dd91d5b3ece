"""Who may call what: every route and every method against every scope."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from backstay.api.methods import METHODS
from server.driving import ALL, Driven, challenge, driven, envelope_reply, json_reply

# Each method, and the scope that it needs; None: any caller who is known.
NEEDED: dict[str, str | None] = {
    "getVersion": None,
    "getProfiles": "read",
    "listBackups": "read",
    "getBackupInfo": "read",
    "log": "read",
    "updateGetInformation": "read",
    "startBackup": "backup",
    "stepBackup": "backup",
    "download": "download",
    "downloadDirect": "download",
    "delete": "delete",
    "deleteFiles": "delete",
    "exportConfiguration": "configure",
    "importConfiguration": "configure",
    "getGUIConfiguration": "configure",
    "saveConfiguration": "configure",
    "saveProfile": "configure",
    "deleteProfile": "configure",
    "browse": "configure",
    "getDBRoots": "configure",
    "getDBFilters": "configure",
    "getDBEntities": "configure",
    "setDBFilter": "configure",
    "getRegexDBFilters": "configure",
    "setRegexDBFilter": "configure",
    "getFSRoots": "configure",
    "getFSFilters": "configure",
    "getFSEntities": "configure",
    "setFSFilter": "configure",
    "getRegexFSFilters": "configure",
    "setRegexFSFilter": "configure",
    "getIncludedDirectories": "configure",
    "setIncludedDirectory": "configure",
    "removeIncludedDirectory": "configure",
    "getIncludedDBs": "configure",
    "setIncludedDB": "configure",
    "removeIncludedDB": "configure",
    "testDBConnection": "configure",
}
NOT_OFFERED = ("updateDownload", "updateExtract", "updateInstall")

# Each route a token may come by: how a call of a method looks there, the credential given.
ROUTES: dict[str, Callable[[str, str], tuple[str, dict[str, str]]]] = {
    "v3": lambda method, token: (f"/api/v3/akeebabackup/{method}", {"X-Joomla-Token": token}),
    "v3 by index.php": lambda method, token: (
        f"/api/index.php/v3/akeebabackup/{method}",
        {"Authorization": f"Bearer {token}"},
    ),
    "v2 in the query": lambda method, token: (f"/index.php?{urlencode({'method': method, '_akeebaAuth': token})}", {}),
    "v2 by the secret's header": lambda method, token: (f"/remote.php?method={method}", {"X-Akeeba-Auth": token}),
    "v2 by the token's header": lambda method, token: (f"/index.php?method={method}", {"X-Joomla-Token": token}),
    "v2 beside v3": lambda method, token: (f"/api/v2/akeebabackup?method={method}", {"X-Akeeba-Auth": token}),
    "v2 of WordPress": lambda method, token: (
        f"/wp-admin/admin-ajax.php?action=akeebabackup_api&method={method}",
        {"X-Akeeba-Auth": token},
    ),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    """One server for the whole table."""
    home: Path = tmp_path_factory.mktemp("scopes") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("BACKSTAY_SECRET", raising=False)
        with driven(home) as running:
            yield running


def status_of(server: Driven, url: str, headers: dict[str, str]) -> int:
    response = server.http.get(server.url + url, headers=headers)
    if response.status_code != 200:
        return response.status_code
    return int(response.json()["status"])


def test_the_table_is_complete() -> None:
    assert {method.name for method in METHODS} == {*NEEDED, *NOT_OFFERED}
    assert {method.name: method.scope for method in METHODS if method.offered} == NEEDED


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("scope", [*ALL, "metrics"])
def test_a_token_may_do_what_its_scope_says_and_nothing_else(shared: Driven, route: str, scope: str) -> None:
    token = shared.token(scope)
    for method, needed in NEEDED.items():
        status = status_of(shared, *ROUTES[route](method, token))
        if needed in (None, scope):
            assert status not in (403, 503), f"{method} with {scope} over {route}"
        else:
            assert status == 403, f"{method} with {scope} over {route}"


@pytest.mark.parametrize("route", ROUTES)
def test_all_scopes_but_one(shared: Driven, route: str) -> None:
    for scope in ALL:
        token = shared.token(*(set(ALL) - {scope}))
        for method in [method for method, needed in NEEDED.items() if needed == scope]:
            assert status_of(shared, *ROUTES[route](method, token)) == 403, f"{method} without {scope} over {route}"


@pytest.mark.parametrize("route", ROUTES)
def test_a_stranger_may_do_nothing(shared: Driven, route: str) -> None:
    for method in (*NEEDED, *NOT_OFFERED, "nope"):
        url, _ = ROUTES[route](method, "")
        # A download is refused by HTTP's own status: whoever saves what comes would take a reply for the archive.
        expected = 403 if method == "downloadDirect" else 503
        assert status_of(shared, url, {}) == expected, f"{method} over {route}"


def test_the_secret_word_may_do_everything(shared: Driven) -> None:
    for method in NEEDED:
        if method == "downloadDirect":
            continue
        assert shared.v3(method).status not in (403, 503), method
        assert shared.v2(method).status not in (403, 503), method
        assert shared.v1(method).status not in (401, 403, 503), method


def test_version_1_knows_no_tokens(shared: Driven) -> None:
    token = shared.token(*ALL)
    body = json.dumps({"challenge": challenge("foo", token), "method": "getVersion"})
    response = shared.http.get(
        f"{shared.url}/index.php", params={"json": json.dumps({"body": body})}, headers={"X-Joomla-Token": token}
    )
    assert envelope_reply(response).status == 401


def test_overrides_need_configure(shared: Driven) -> None:
    overrides = {"overrides": {"akeeba.platform.newroot": "/etc"}}
    for scopes, status in ((("backup",), 403), (("backup", "configure"), 500), (("configure",), 403)):
        headers = {"X-Joomla-Token": shared.token(*scopes)}
        assert shared.v3("startBackup", headers, overrides={"akeeba.basic.backup_type": "nonsense"}).status == status
    headers = {"X-Akeeba-Auth": shared.token("backup")}
    query = urlencode({"method": "startBackup", "overrides": json.dumps(overrides["overrides"])})
    assert json_reply(shared.http.get(f"{shared.url}/index.php?{query}", headers=headers)).status == 403
    query = urlencode({"method": "startBackup", "overrides[akeeba.platform.newroot]": "/etc"})
    assert json_reply(shared.http.get(f"{shared.url}/index.php?{query}", headers=headers)).status == 403


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_what_everyone_may_read_holds_no_secret(shared: Driven, path: str) -> None:
    response = shared.http.get(shared.url + path)
    assert response.status_code == 200
    assert shared.secret not in response.text
