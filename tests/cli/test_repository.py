"""Repositories from the command line: made, filled, shown, checked, pruned, written as archives, removed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from backstay.archives import create_archive, open_archive, pack
from backstay.archives.entries import EntryType, Source
from support.commands import backstay

CONTENT = b"the same in every backup " * 4000


def run(*arguments: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command on repositories as a process of its own."""
    done = backstay("repository", *arguments, stdin=stdin)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def archive(folder: Path, name: str, text: str) -> str:
    """Make an archive with a file that is always the same and one that is not."""
    folder.mkdir(exist_ok=True)
    writer = create_archive(folder / name, format=name[-3:], work_directory=folder / "work")
    sources = [
        Source(path, EntryType.FILE, 0o100644, 1_700_000_000, len(data), data=data)
        for path, data in (("same.txt", CONTENT), ("text.txt", text.encode()))
    ]
    for _ in pack(writer, sources, workers=1):
        pass
    return str(writer.close().parts[-1])


def packs(folder: Path) -> list[Path]:
    """List the packs below a folder."""
    return sorted(path for path in folder.rglob("packs/*") if path.is_file())


def test_archives_are_kept_and_come_back(home: Path, tmp_path: Path) -> None:
    assert json.loads(run("create", "sites", "--json").stdout) == {"name": "sites", "storage": None, "encrypted": False}
    assert "already" in run("create", "sites", code=2).stderr
    first = json.loads(run("import", "sites", archive(tmp_path / "in", "one.jpa", "one"), "--json").stdout)
    second = json.loads(
        run("import", "sites", archive(tmp_path / "in", "two.zip", "two"), "--description", "Café", "--json").stdout
    )
    assert 0 < second["added"] < first["added"]
    shown = json.loads(run("show", "sites", "--json").stdout)
    assert [backup["description"] for backup in shown["backups"]] == ["one.jpa", "Café"]
    assert shown["size"] == 2 * len(CONTENT) + 6 > shown["stored"]
    assert 0 < shown["backups"][0]["frees"] < first["added"]
    assert "2 backups with files of" in run("show", "sites").stdout
    for name in ("jpa", "zip"):
        out = tmp_path / name
        written = json.loads(
            run("export", "sites", first["id"][:5], "--to", str(out), "--format", name, "--json").stdout
        )
        with open_archive(written["parts"][-1]) as opened:
            assert b"".join(opened.read_path("same.txt")) == CONTENT
            assert opened.verify().ok
    assert "already" in run("export", "sites", first["id"], "--to", str(tmp_path / "jpa"), code=10).stderr
    assert "format rar" in run("export", "sites", first["id"], "--to", "x", "--format", "rar", code=2).stderr
    assert "no backup 'zz'" in run("export", "sites", "zz", "--to", "x", code=3).stderr
    assert [one["name"] for one in json.loads(run("list", "--json").stdout)] == ["sites"]


def test_jps_takes_the_password_of_the_archive(home: Path, tmp_path: Path) -> None:
    run("create", "sites")
    identity = json.loads(run("import", "sites", archive(tmp_path / "in", "one.jpa", "1"), "--json").stdout)["id"]
    assert (
        "give a password" in run("export", "sites", identity, "--to", str(tmp_path), "--format", "jps", code=2).stderr
    )
    run("export", "sites", identity, "--to", str(tmp_path), "--format", "jps", "--password", "secret word")
    main = next(tmp_path.glob("*.jps"))
    with open_archive(main, password="secret word") as opened:
        assert opened.verify().ok
    again = json.loads(run("import", "sites", str(main), "--password", "secret word", "--json").stdout)
    assert again["added"] == 0
    assert "password" in run("import", "sites", str(main), code=12).stderr


def test_a_removed_backup_frees_its_space_and_damage_is_named(home: Path, tmp_path: Path) -> None:
    run("create", "sites")
    first, second = (
        json.loads(run("import", "sites", archive(tmp_path / text, "one.jpa", text * 1000), "--json").stdout)["id"]
        for text in ("one", "two")
    )
    assert "is let go of" in run("remove", "sites", first[:8]).stdout
    assert json.loads(run("prune", "sites", "--json").stdout)["waiting"] == 0
    assert "is good" in run("check", "sites", "--read-data", "100%").stdout
    for path in packs(home):
        content = bytearray(path.read_bytes())
        content[30] ^= 1
        path.write_bytes(content)
    done = run("check", "sites", "--read-data", "100%", "--json", code=52)
    report = json.loads(done.stdout)
    assert {found["path"] for found in report["damages"] if found["backup"] == second} == {"same.txt", "text.txt"}
    assert "no share" in run("check", "sites", "--read-data", "half", code=2).stderr
    assert "same.txt is damaged" in run("check", "sites", code=52).stderr


def test_one_file_is_read_straight_from_a_repository(home: Path, tmp_path: Path) -> None:
    run("create", "sites")
    identity = json.loads(run("import", "sites", archive(tmp_path / "in", "one.jpa", "1"), "--json").stdout)["id"]
    name = f"repository:sites:{identity[:6]}"
    assert backstay("archive", "cat", name, "text.txt").stdout == "1"
    listed = json.loads(backstay("archive", "list", name, "--json").stdout)
    assert {"same.txt", "text.txt"} <= {entry["path"] for entry in listed}
    assert "is good" in backstay("archive", "verify", name).stdout
    assert backstay("archive", "extract", name, "--to", str(tmp_path / "out"), "--only", "text.txt").returncode == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["text.txt"]
    pack_file = packs(home)[0]
    content = bytearray(pack_file.read_bytes())
    content[30] ^= 1
    pack_file.write_bytes(content)
    assert backstay("archive", "cat", name, "text.txt").stdout == "1"
    assert "same.txt" in backstay("archive", "verify", name).stderr
    assert backstay("archive", "cat", name, "same.txt").returncode == 11
    assert backstay("archive", "list", "repository:others:1").returncode == 3
    assert backstay("archive", "list", "repository:sites:ffffffffffffffff0").returncode == 3


def test_an_encrypted_repository_at_a_storage_is_taken_up_by_another_home(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nas").mkdir()
    url = f"folder://{tmp_path}/nas"
    assert backstay("storage", "add", "nas", url).returncode == 0
    assert "no passphrase" in run("create", "sites", "--at", "nas", "--encrypt", code=2).stderr
    made = json.loads(run("create", "sites", "--at", "nas", "--encrypt", "--json", stdin="a passphrase\n").stdout)
    assert made == {"name": "sites", "storage": "nas", "encrypted": True}
    identity = json.loads(run("import", "sites", archive(tmp_path / "in", "one.jpa", "1"), "--json").stdout)["id"]
    assert all(b"same.txt" not in path.read_bytes() for path in (tmp_path / "nas").rglob("*") if path.is_file())
    assert "lies at nas" in backstay("storage", "remove", "nas", "--forget").stderr
    monkeypatch.setenv("BACKSTAY_HOME", str(tmp_path / "another home"))
    assert backstay("storage", "add", "nas", url).returncode == 0
    (tmp_path / "passphrase").write_text("another\n")
    file = ("--passphrase-file", str(tmp_path / "passphrase"))
    assert "does not open" in run("create", "sites", "--at", "nas", "--existing", *file, code=12).stderr
    assert json.loads(run("list", "--json").stdout) == []
    (tmp_path / "passphrase").write_text("a passphrase\n")
    run("create", "sites", "--at", "nas", "--existing", *file)
    run("export", "sites", identity, "--to", str(tmp_path / "out"))
    run("create", "others", "--at", "nas", "--no-encrypt")
    run("remove", "others", "--forget")
    assert "something" in run("create", "others", "--at", "nas", "--no-encrypt", code=2).stderr


def test_a_repository_is_forgotten_taken_up_again_and_deleted(home: Path, tmp_path: Path) -> None:
    run("create", "sites")
    run("import", "sites", archive(tmp_path / "in", "one.jpa", "1"))
    assert "Say what" in run("remove", "sites", code=2).stderr
    run("remove", "sites", "--forget")
    assert "no repository named 'sites'" in run("show", "sites", code=3).stderr
    assert "something" in run("create", "sites", code=2).stderr
    run("create", "sites", "--existing")
    assert len(json.loads(run("show", "sites", "--json").stdout)["backups"]) == 1
    run("remove", "sites", "--everything", "--yes")
    assert not (home / "repositories/sites").exists()
    assert "no repository at" in run("create", "sites", "--existing", code=3).stderr
    assert "no repository named" in run("remove", "sites", "--everything", "--yes", code=3).stderr
    for name in ("..", "a/b", ".hidden", ""):
        assert "choose such a name" in run("create", name, code=2).stderr


def test_a_damaged_archive_leaves_the_repository_as_it_was(home: Path, tmp_path: Path) -> None:
    run("create", "sites")
    main = Path(archive(tmp_path / "in", "one.jpa", "1"))
    content = bytearray(main.read_bytes())
    content[200] ^= 0xFF
    main.write_bytes(content)
    assert "damaged" in run("import", "sites", str(main), code=11).stderr
    assert json.loads(run("show", "sites", "--json").stdout)["backups"] == []
