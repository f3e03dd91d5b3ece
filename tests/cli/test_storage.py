"""Storages from the command line: adding, testing, sending there, deleting."""

from __future__ import annotations

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.backups import make_files
from support.commands import backstay


def run(*arguments: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own."""
    done = backstay(*arguments, stdin=stdin)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def nas(tmp_path: Path) -> str:
    """The URL of an empty folder."""
    (tmp_path / "nas").mkdir()
    return f"folder://{tmp_path}/nas"


@pytest.mark.usefixtures("home")
def test_a_storage_is_added_tested_listed_changed_and_removed(nas: str, tmp_path: Path) -> None:
    assert json.loads(run("storage", "add", "nas", nas, "--json").stdout)["url"] == nas
    assert "named nas already" in run("storage", "add", "nas", f"folder://{tmp_path}", code=2).stderr
    assert "has this address already" in run("storage", "add", "other", nas, code=2).stderr
    assert "can't lock" in run("storage", "add", "o", f"folder://{tmp_path}", "--lock-days", "3", code=2).stderr
    assert "begins with one of" in run("storage", "add", "o", "gopher://x", code=2).stderr
    measured = json.loads(run("storage", "test", "nas", "--json").stdout)
    assert (measured["ok"], measured["size"]) == (True, 4 << 20)
    assert list((tmp_path / "nas").iterdir()) == []
    edited = json.loads(run("storage", "edit", "nas", "--bandwidth", "2MiB", "--read-back", "--json").stdout)
    assert (edited["bandwidth"], edited["read_back"]) == (2 << 20, True)
    assert [one["name"] for one in json.loads(run("storage", "list", "--json").stdout)] == ["nas"]
    (tmp_path / "nas").rmdir()
    assert "is not there" in run("storage", "test", "nas", code=3).stderr
    run("storage", "remove", "nas")
    assert "no storage named 'nas'" in run("storage", "show", "nas", code=3).stderr


@pytest.mark.skipif(find_spec("backstay.storage.s3") is None, reason="needs the S3 back end")
def test_secrets_come_from_variables_files_and_a_prompt_and_are_never_shown(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "word").write_text("Geheim123\n")
    url = "s3://bucket/x?endpoint=http://127.0.0.1:9"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    outputs = [
        run("storage", "add", "a", url, "--secret-file", f"secret_access_key={tmp_path / 'word'}", "--json"),
        run("storage", "edit", "a", "--ask", stdin="\nGeheim456\n\n"),
        run("storage", "show", "a"),
        run("storage", "show", "a", "--json"),
        run("storage", "list", "--json"),
    ]
    assert json.loads(outputs[0].stdout)["secrets"] == ["access_key_id", "secret_access_key"]
    assert "Geheim" not in "".join(done.stdout + done.stderr for done in outputs)
    assert b"Geheim" not in b"".join(path.read_bytes() for path in home.glob("catalogue.sqlite*"))
    assert "--secret-file takes" in run("storage", "edit", "a", "--secret-file", "nothing=/x", code=2).stderr


@pytest.mark.usefixtures("home")
def test_a_backup_is_sent_copied_shown_and_deleted_everywhere(nas: str, tmp_path: Path) -> None:
    site = make_files(tmp_path / "site", count=5)
    (tmp_path / "two").mkdir()
    run("storage", "add", "nas", nas)
    run("storage", "add", "two", f"folder://{tmp_path}/two")
    assert "no storage named 'nowhere'" in run("backup", str(site), "--storage", "nowhere", code=3).stderr
    done = json.loads(run("backup", str(site), "--storage", "nas", "--json").stdout)
    assert [(copy["destination"], copy["state"]) for copy in done["copies"]] == [("nas", "stored")]
    number = str(done["id"])
    assert "is stored at two: 1 part of" in run("copy", number, "--to", "two").stdout
    shown = run("show", number).stdout
    assert "Copy at nas: arrived" in shown
    assert "proven by reading it back" in shown
    assert "nas holds copies of backups, 1 in all" in run("storage", "remove", "nas", code=2).stderr
    assert "stay at nas, two: --everywhere" in run("delete", number, "--files-only", "--yes").stdout
    assert len(list((tmp_path / "two").iterdir())) == 2
    assert json.loads(run("show", number, "--json").stdout)["meta"] == "remote"
    run("delete", number, "--everywhere", "--yes")
    assert list((tmp_path / "nas").iterdir()) == list((tmp_path / "two").iterdir()) == []
