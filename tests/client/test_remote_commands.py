"""``backstay remote`` as a person uses it, against Backstay's own server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backstay import cli
from backstay.cli.remote_memory import memory_file
from client.fake_server import SECRET, FakeServer, running
from client.losing_proxy import LosingProxy
from client.real_server import RealServer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs a command line in this process; gives its exit code, output and messages."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("BACKSTAY_SECRET", "BACKSTAY_URL"):
        monkeypatch.delenv(name, raising=False)

    def run_command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["backstay", *map(str, arguments)])
        code: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        reported = capsys.readouterr()
        return code, reported.out, reported.err

    return run_command


@pytest.fixture
def remote(run: Run, real: RealServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``backstay remote`` with the address and secret of the real server."""
    monkeypatch.setenv("BACKSTAY_URL", real.url)
    monkeypatch.setenv("BACKSTAY_SECRET", real.secret)
    return lambda *arguments: run("remote", *arguments)


def test_how_a_backup_flows(remote: Run, real: RealServer, tmp_path: Path) -> None:
    code, out, err = remote(
        "backup", "--profile", real.profile, "--description", "By hand", "--download", tmp_path / "a"
    )
    assert code == 0, err
    assert "is complete on the server" in out
    assert "Backup: 100 %" in err
    _, out, _ = remote("list", "--json")
    number = json.loads(out)[0]["id"]
    assert "By hand" in remote("list")[1]
    code, out, _ = remote("show", number)
    assert "part 1: " in out
    code, out, _ = remote("download", number, "--to", tmp_path / "b", "--way", "segments", "--json")
    (file,) = json.loads(out)
    assert Path(file["path"]).read_bytes() == next((tmp_path / "a").iterdir()).read_bytes()
    assert "INFO" in remote("log", f"json.{json.loads(remote('show', number, '--json')[1])['backupid']}")[1]
    assert remote("delete-files", number)[0] == 2
    assert remote("delete-files", number, "--yes")[0] == 0
    assert json.loads(remote("show", number, "--json")[1])["filenames"] == []
    assert remote("delete", number, "--yes", "--json")[1] == "true\n"
    code, _, err = remote("show", number)
    assert code == 3
    assert "Invalid backup record identifier" in err


def test_a_backup_whose_start_is_not_answered_goes_on_to_its_end(
    remote: Run, real: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {record["id"] for record in json.loads(remote("list", "--json")[1])}
    proxy = LosingProxy(real.url, "startBackup", "stepBackup")
    with running(proxy) as url:
        monkeypatch.setenv("BACKSTAY_URL", url)
        code, out, err = remote("backup", "--profile", real.profile)
    # A small backup may end before the client asks for its first step, so that step's answer need not be lost.
    assert (code, proxy.asked) == (0, ["startBackup"]), err
    assert "startBackup" not in proxy.methods
    assert "is complete on the server" in out
    monkeypatch.setenv("BACKSTAY_URL", real.url)
    (record,) = [one for one in json.loads(remote("list", "--json")[1]) if one["id"] not in before]
    assert record["status"] == "complete"


def test_a_backup_can_be_fetched_away(remote: Run, real: RealServer, tmp_path: Path) -> None:
    code, out, err = remote("backup", "--profile", real.profile, "--download", tmp_path, "--delete-files", "--json")
    assert code == 0, err
    reported = json.loads(out)
    assert reported["deleted"] is True
    assert [Path(file).parent for file in reported["files"]] == [tmp_path]
    assert remote("backup", "--delete-files")[0] == 2


def test_what_answers_is_reported(remote: Run) -> None:
    code, out, _ = remote("test")
    assert code == 0
    assert "version 3" in out
    assert "API level 400" in out
    assert json.loads(remote("test", "--json")[1])["version"]["edition"] == "pro"
    assert "Site" in remote("profiles")[1]


@pytest.mark.parametrize("options", [["--api", "1"], ["--api", "2"], ["--encapsulation", "5"], ["--api", "3"]])
def test_versions_and_encapsulations_can_be_demanded(remote: Run, options: list[str]) -> None:
    code, out, err = remote("profiles", "--json", *options)
    assert code == 0, err
    assert json.loads(out)[0]["id"] == 1


@pytest.mark.parametrize("options", [["--api", "1"], ["--api", "2"], ["--api", "3"], ["--encapsulation", "2"]])
def test_the_exchange_is_shown_without_secrets(remote: Run, real: RealServer, options: list[str]) -> None:
    _, out, err = remote("profiles", "--verbose", *options)
    assert "getProfiles {}" in err
    assert "< HTTP 200" in err
    assert real.secret not in out + err


def test_what_worked_is_remembered_without_the_secret(remote: Run, real: RealServer) -> None:
    assert remote("profiles", "-v")[2].count("> POST") == 3
    assert remote("profiles", "-v")[2].count("> POST") == 2
    assert real.secret not in memory_file().read_text()
    memory_file().write_text("rubbish")
    assert remote("profiles")[0] == 0


def test_any_method_can_be_called(remote: Run, real: RealServer) -> None:
    found = json.loads(remote("call", "GETFSROOTS", f"profile={real.profile}")[1])
    assert found == [{"value": "[SITEROOT]", "text": str(real.site)}]
    settings = 'engineconfig={"akeeba.basic.backup_type": "fileonly"}'
    assert remote("call", "saveConfiguration", f"profile={real.profile}", settings)[1] == "true\n"
    code, _, err = remote("call", "getFSRoot")
    assert code == 2
    assert "Did you mean getFSRoots" in err
    assert remote("call", "downloadDirect")[0] == 2
    assert remote("call", "getVersion", "nonsense")[0] == 2
    code, _, err = remote("call", "updateInstall")
    assert code == 8
    assert "no longer supported" in err


def test_methods_are_listed(run: Run) -> None:
    assert "setRegexFSFilter" in run("remote", "methods")[1]
    assert "backup_id" in json.loads(run("remote", "methods", "--json")[1])["download"]


def test_a_profile_travels_as_a_file(remote: Run, real: RealServer, tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    assert remote("export", real.profile, "--output", file)[0] == 0
    assert file.stat().st_mode & 0o777 == 0o600
    before = len(json.loads(remote("profiles", "--json")[1]))
    assert remote("import", file)[0] == 0
    assert len(json.loads(remote("profiles", "--json")[1])) == before + 1
    file.write_text("rubbish")
    assert remote("import", file)[0] == 2
    assert remote("import", tmp_path / "nothing")[0] == 3


def test_the_secret_comes_from_a_file_or_the_command_line(run: Run, real: RealServer, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(real.secret + "\n")
    assert run("remote", "profiles", "--url", real.url, "--secret-file", file)[0] == 0
    assert run("remote", "profiles", "--url", real.url, "--secret", real.secret)[0] == 0
    assert run("remote", "profiles", "--url", real.url, "--secret", "x", "--secret-file", file)[0] == 2
    assert run("remote", "profiles", "--url", real.url, "--secret-file", tmp_path / "none")[0] == 3
    file.write_text("\n")
    assert run("remote", "profiles", "--url", real.url, "--secret-file", file)[0] == 2


def test_bad_input_has_one_clear_sentence_and_a_code_of_its_own(run: Run, server: FakeServer, tmp_path: Path) -> None:
    code, _, err = run("remote", "profiles", "--url", server.url, "--secret", "wrong")
    assert (code, err.count("\n")) == (4, 1)
    assert run("remote", "profiles", "--url", "http://127.0.0.1:9", "--secret", SECRET)[0] == 6
    assert run("remote", "profiles", "--url", "ftp://x", "--secret", SECRET)[0] == 2
    assert run("remote", "profiles", "--url", server.url, "--secret", SECRET, "--ca-file", tmp_path / "x")[0] == 3
    server.versions = ()
    code, _, err = run("remote", "profiles", "--url", server.url, "--secret", SECRET)
    assert code == 7
    assert "does not answer the API" in err


def test_conformance_prints_which_rules_hold(run: Run, real: RealServer, server: FakeServer) -> None:
    code, out, err = run("conformance", real.url, "--secret", real.secret, "--only", "version 3", "--only", "routes")
    assert code == 0, err
    assert "yes GET and POST are answered alike" in out
    assert "0 fails" in out
    code, out, _ = run("conformance", server.url, "--secret", SECRET, "--only", "records", "--json")
    assert code != 0
    assert json.loads(out)["ok"] is False
