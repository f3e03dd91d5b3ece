"""Sites and groups from the command line, against Backstay's own server."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from backstay.cli import main
from client.real_server import RealServer, serving


class Run(Protocol):
    """Runs a command; gives what it printed on standard output and on standard error."""

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Run it."""
        ...


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """Backstay's own server with one backup, for all tests of this module."""
    with serving(tmp_path_factory.mktemp("real")) as server:
        server.backstay("backup", "--profile", str(server.profile))
        yield server


@pytest.fixture
def run(home: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], real: RealServer) -> Run:
    """The command line over a fresh home, with the secret of the server in the environment."""
    monkeypatch.setenv("BACKSTAY_SECRET", real.secret)
    monkeypatch.setenv("COLUMNS", "250")

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["backstay", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == code, printed
        return printed.out, printed.err

    return run


def test_a_site_is_added_listed_shown_tested_changed_and_removed(run: Run, real: RealServer) -> None:
    run("group", "create", "clients", "--per-host", "1")
    profile = str(real.profile)
    out, err = run("site", "add", real.url, "--name", "shop", "--profile", profile, "--group", "clients", "--tag", "wp")
    assert "The site shop is added." in out
    assert "It answers: version 3" in out
    assert "Backstay 0" in out
    assert f"{profile} Site (used)" in out
    assert "Newest backup: 1 of" in out
    assert "The secret may download." in out
    assert "backstay schedule add shop" in err
    assert real.secret not in out + err
    listed = json.loads(run("site", "list", "--group", "clients", "--json")[0])
    assert [(one["name"], one["state"], one["group"], one["tags"]) for one in listed] == [
        ("shop", "never", "clients", ["wp"])
    ]
    assert "never: No good backup" in run("site", "list", "--state", "never")[0]
    assert "There is no such site" in run("site", "list", "--tag", "other")[0]
    shown = json.loads(run("site", "show", "shop", "--json")[0])
    assert (shown["connection"]["profile"], shown["found"]["may_download"]) == (real.profile, True)
    assert "The secret may download." in run("site", "show", "shop")[0]
    assert "shop answers: version 3" in run("site", "test", "shop")[0]
    assert json.loads(run("site", "test", "--json")[0])[0]["ok"] is True
    run("site", "edit", "shop", "--name", "store", "--untag", "wp", "--keep-there", "2", "--notes", "A shop")
    assert "2 backups" in run("site", "show", "store")[0]
    run("schedule", "add", "store", "--at", "@daily")
    run("site", "pause", "store")
    assert json.loads(run("site", "list", "--json")[0])[0]["state"] == "paused"
    run("site", "resume", "--state", "paused")
    assert json.loads(run("group", "list", "--json")[0])[0]["sites"] == 1
    assert "still a site in the group" in run("group", "remove", "clients", code=2)[1]
    run("group", "edit", "clients", "--name", "customers", "--priority", "5")
    assert "give --yes" in run("site", "remove", "store", code=2)[1]
    run("site", "remove", "store", "--yes")
    run("group", "remove", "customers")
    assert json.loads(run("site", "list", "--json")[0]) == []
    assert "backstay site add URL" in run("site", "list")[0]


def test_wrong_secrets_and_addresses_are_told_and_nothing_is_added(
    run: Run, real: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKSTAY_SECRET", "wrong")
    run("site", "add", real.url, code=4)
    run("site", "add", "http://127.0.0.1:1", code=6)
    monkeypatch.delenv("BACKSTAY_SECRET")
    assert "There is no secret" in run("site", "add", real.url, code=2)[1]
    assert run("site", "list", "--json")[0] == "[]\n"


def test_a_token_that_may_not_download_is_told(run: Run, real: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    made = json.loads(real.backstay("token", "create", "agency", "--scope", "read", "--scope", "backup", "--json"))
    monkeypatch.setenv("BACKSTAY_SECRET", made["token"])
    assert "The secret may NOT download" in run("site", "add", real.url)[0]


def test_a_folder_is_added_as_a_site(run: Run, tmp_path: Path) -> None:
    (tmp_path / "blog").mkdir()
    out, _ = run("site", "add", str(tmp_path / "blog"), "--schedule", "@daily", "--database", "none")
    assert "The site blog is added." in out
    assert "this machine" in run("site", "list")[0]
    assert "no such site with a server" in run("site", "test", code=2)[1]
    assert "leave out" in run("site", "add", str(tmp_path), "--profile", "2", code=2)[1]
    assert json.loads(run("schedule", "list", "--json")[0])[0]["at"] == "@daily"


def test_every_site_of_a_group_gets_a_schedule_at_once(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "sites.csv"
    file.write_text("address,group,tags\none.example,clients,wp\ntwo.example,clients,\nthree.example,,wp\n")
    run("site", "import", str(file), "--no-test")
    assert "2 schedules added" in run("schedule", "add", "--group", "clients", "--at", "@daily", "--spread", "4h")[0]
    listed = json.loads(run("schedule", "list", "--json")[0])
    assert {one["spread"] for one in listed} == {4 * 3600}
    assert len({one["profile_id"] for one in listed}) == 2
    made = json.loads(run("schedule", "add", "--tag", "wp", "--at", "@weekly", "--what", "verify", "--json")[0])
    assert [one["what"] for one in made] == ["verify", "verify"]
    assert (
        "Name one profile or site" in run("schedule", "add", "one.example", "--tag", "wp", "--at", "@daily", code=2)[1]
    )
    assert "Name one profile or site" in run("schedule", "add", "--at", "@daily", code=2)[1]
    assert "no such site" in run("schedule", "add", "--tag", "nobody", "--at", "@daily", code=2)[1]


def test_a_list_is_imported_all_or_nothing_and_exported(run: Run, real: RealServer, tmp_path: Path) -> None:
    file, written = tmp_path / "sites.csv", tmp_path / "written.csv"
    file.write_text(f"name,address,group\nshop,{real.url},clients\naway,http://127.0.0.1:1,clients\nbad,,\n")
    out, err = run("site", "import", str(file), code=2)
    assert "Line 4 (bad): It has no address." in err
    assert "Nothing was added" in out
    out, err = run("site", "import", str(file), "--skip-bad")
    assert "2 sites added, 1 line left out." in out
    assert "Groups made: clients." in out
    assert "shop: Backstay" in out
    assert "away: The server 127.0.0.1:1 cannot be reached" in out
    states = {one["name"]: one["problem"] for one in json.loads(run("site", "list", "--json")[0])}
    assert states["shop"] == ""
    assert "cannot be reached" in states["away"]
    run("site", "test", "--group", "clients", code=1)
    assert "away: The server 127.0.0.1:1 cannot be reached" in run("site", "list")[0]
    run("site", "export", "--with-secrets", "--to", str(written))
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert real.secret in written.read_text()
    assert real.secret not in run("site", "export")[0]
    assert "is there already" in run("site", "export", "--to", str(written), code=2)[1]
    assert "All lines" not in run("site", "import", str(written), "--dry-run", code=2)[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("site", "pause"), "Say which sites are meant"),
        (("site", "edit", "nobody"), "Say what is to be changed"),
        (("group", "edit", "nobody", "--notes", "x"), "no group named 'nobody'"),
        (("site", "show", "nobody"), "There is no site 'nobody'"),
        (("site", "list", "--state", "purple"), "A site is never 'purple'"),
        (("site", "import", "/no/such.csv"), "can't be read"),
    ],
)
def test_what_makes_no_sense_is_said(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    code = 3 if "nobody" in sentence or "can't be read" in sentence else 2
    assert sentence in run(*arguments, code=code)[1]
