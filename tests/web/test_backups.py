"""Backups on the page: the list, one record and what is done with it, its parts and log; hostile texts everywhere."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from backstay.catalogue import Backup
from backstay.jobs.profiles import profile_of_site
from backstay.jobs.records import backup_files, get_backup
from backstay.jobs.tasks import list_tasks
from backstay.jobs.users import Role
from backstay.jobs.watching import view_backup
from support.backups import make_files, make_files_and_noise, take
from support.destinations import Place
from support.stored import add_storage, store
from support.tasks import ended
from web.driving import PASSWORD, Visitor

HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e\\x1b[31m"


@pytest.fixture
def backup(visitor: Visitor, tmp_path: Path) -> Backup:
    """A small backup."""
    return take(visitor.installation, make_files(tmp_path / "site", 5))


def test_backups_are_found_by_text_profile_state_and_storage(visitor: Visitor, backup: Backup, tmp_path: Path) -> None:
    installation = visitor.installation
    (tmp_path / "nas").mkdir()
    add_storage(installation, Place(f"folder://{tmp_path / 'nas'}", {}))
    stored = store(installation, take(installation, make_files(tmp_path / "other", 3)))
    installation.catalogue.backups.update(backup.id, comment="before 100% of the_update")
    visitor.signed_in(Role.VIEWER)

    def found(query: str) -> list[int]:
        text = visitor.get(f"/backups?{query}").text
        return [one.id for one in (backup, stored) if f'href="/backups/{one.id}">' in text]

    assert found("") == [backup.id, stored.id]
    assert found("search=100%25") == found("search=THE_UP") == found(f"profile={backup.profile_id}") == [backup.id]
    assert found("search=x_u") == found("state=failed") == found("page=7") == []
    assert found("storage=nas") == found("state=elsewhere") == found(f"search=%23{stored.id}") == [stored.id]
    assert found("state=here") == [backup.id]
    assert found("state=nonsense&profile=x&page=²") == [backup.id, stored.id]


def test_what_is_hostile_is_text_on_every_page_of_backups(visitor: Visitor, backup: Backup) -> None:
    catalogue = visitor.installation.catalogue
    catalogue.backups.update(backup.id, description=HOSTILE, comment=HOSTILE, error=HOSTILE)
    catalogue.backups.add_warnings(backup.id, 1, [HOSTILE])
    catalogue.backups.update_proof(
        backup.id,
        lambda proof: {
            **proof,
            "verifications": {"": {"ok": False, "at": "2026-01-01T00:00:00+00:00", "problems": [HOSTILE]}},
            "drill": {"verdict": "failed", "at": "2026-01-01T00:00:00+00:00", "problems": [HOSTILE]},
        },
    )
    log = visitor.installation.home.log(backup.tag or "", backup.backupid or "")
    log.write_bytes(log.read_bytes() + b"WARNING |20260101 00:00:00|" + HOSTILE.encode() + b"\xff\r\n")
    visitor.signed_in(Role.ADMINISTRATOR)
    paths = ("/backups", "/backups/{}", "/backups/{}/log", "/backups/{}/delete", "/backups/compare?a={}&b={}")
    for path in paths:
        answer = visitor.get(path.format(backup.id, backup.id))
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert not {"\u202e", "\x1b"} & set(answer.text)
        assert path.endswith("b={}") or ESCAPED in answer.text, path
    catalogue.backups.update(backup.id, status="fail")
    assert ESCAPED in visitor.get(f"/backups/{backup.id}").text


def test_a_record_is_described_protected_and_deleted_after_a_password(visitor: Visitor, backup: Backup) -> None:
    here = f"/backups/{backup.id}"
    visitor.signed_in(Role.OPERATOR)
    page = visitor.post(f"{here}/describe", {"description": "new <b>", "comment": "two\nlines"}, form_at=here).text
    assert "new &lt;b&gt;" in page
    assert get_backup(visitor.installation, backup.id).comment == "two\nlines"
    assert "It is protected" in visitor.post(f"{here}/freeze", {"frozen": "yes"}, form_at=here).text
    visitor.signed_in(Role.ADMINISTRATOR)
    for number in range(1, 4):
        long_ago = backup.backupstart.replace(year=2020)
        visitor.installation.catalogue.sessions.update(number, confirmed=long_ago)
    asked = visitor.post(f"{here}/delete", {"what": "record"}, form_at=here)
    assert "Your password, please" in asked.text
    refused = visitor.post(f"{here}/delete", {"what": "record", "confirmed_with": PASSWORD}, form_at=here)
    assert refused.status_code == 400
    assert "is protected" in refused.text
    visitor.post(f"{here}/freeze", {"frozen": "no"}, form_at=here)
    assert visitor.post(f"{here}/delete", {"what": "nonsense"}, form_at=here).status_code == 400
    assert (
        "The files on this machine are deleted" in visitor.post(f"{here}/delete", {"what": "files"}, form_at=here).text
    )
    assert "is deleted." in visitor.post(f"{here}/delete", {"what": "record"}, form_at=here).text
    assert visitor.get(here).status_code == 404


def test_a_backup_is_verified_copied_and_deleted_everywhere_in_the_background(
    visitor: Visitor, backup: Backup, tmp_path: Path
) -> None:
    installation, here = visitor.installation, f"/backups/{backup.id}"
    (tmp_path / "nas").mkdir()
    add_storage(installation, Place(f"folder://{tmp_path / 'nas'}", {}))
    visitor.signed_in(Role.ADMINISTRATOR)
    for action, fields in (("verify", {}), ("copy", {"storage": "nas"})):
        assert visitor.post(f"{here}/{action}", dict(fields), form_at=here).url.path.startswith("/tasks/")
        task = ended(installation, list_tasks(installation)[0])
        assert (task.kind, task.state, task.started_by) == (action, "done", "administrator")
    page = visitor.get(here).text
    assert "read and compared" in page
    assert "proven" in page.lower()
    assert list((tmp_path / "nas").iterdir())
    assert visitor.post(f"{here}/copy", {"storage": "unknown"}, form_at=here).status_code == 404
    visitor.post(f"{here}/delete", {"what": "everywhere"}, form_at=here)
    assert ended(installation, list_tasks(installation)[0]).state == "done"
    assert installation.catalogue.backups.get(backup.id) is None
    assert not [path for path in (tmp_path / "nas").rglob("*") if path.is_file()]


def test_a_part_is_downloaded_whole_and_in_pieces_by_an_operator(visitor: Visitor, backup: Backup) -> None:
    part = f"/backups/{backup.id}/parts/1"
    content = backup_files(visitor.installation, backup)[0].path.read_bytes()
    assert visitor.signed_in(Role.VIEWER).get(part).status_code == 403
    visitor.signed_in(Role.OPERATOR)
    answer = visitor.get(part)
    assert answer.content == content
    assert answer.headers["content-disposition"].startswith("attachment")
    piece = visitor.client.get(part, headers={"Range": "bytes=10-19"})
    assert (piece.status_code, piece.content) == (206, content[10:20])
    assert visitor.get(f"/backups/{backup.id}/parts/2").status_code == 404


def test_a_log_is_searched_by_text_and_level_in_pages(visitor: Visitor, backup: Backup) -> None:
    log = visitor.installation.home.log(backup.tag or "", backup.backupid or "")
    lines = [
        f"{'WARNING' if n % 1000 == 0 else 'INFO':<8}|20260101 00:00:00|line {n} {'x' * 200}" for n in range(60_000)
    ]
    log.write_text("\r\n".join(lines) + "\r\n")
    visitor.signed_in(Role.VIEWER)
    here = f"/backups/{backup.id}/log"
    begun = time.perf_counter()
    first = visitor.get(here).text
    assert "line 299 " in first
    assert "line 300 " not in first
    assert "Further" in first
    found: list[str] = []
    path: str | None = f"{here}?search=LINE&level=WARNING"
    while path:
        text = visitor.get(path).text
        found += [part.split(" ")[0] for part in text.split("<bdi>line ")[1:]]
        path = next((p.split('"')[0].replace("&amp;", "&") for p in text.split('rel="next" href="')[1:]), None)
    assert found == [str(n) for n in range(0, 60_000, 1000)]
    assert time.perf_counter() - begun < 60
    assert "There is no such line" in visitor.get(f"{here}?search=nowhere&from=999999999999").text
    log.unlink()
    assert visitor.get(here).status_code == 404


def test_a_backup_is_begun_stopped_and_goes_on(visitor: Visitor, tmp_path: Path) -> None:
    installation = visitor.installation
    profile = profile_of_site(installation, make_files_and_noise(tmp_path / "site"), "none")
    visitor.signed_in(Role.OPERATOR)
    form = f"/backups/new?profile={profile.id}"
    fields = {"profile": profile.id, "description": "by hand", "comment": "why"}
    page = visitor.post("/backups/new", dict(fields), form_at=form)
    backup = installation.catalogue.backups.newest(0, 1)[0]
    assert page.url.path == f"/backups/{backup.id}"
    assert (backup.description, backup.comment, backup.origin) == ("by hand", "why", "backend")
    visitor.post(f"/backups/{backup.id}/stop", form_at="/backups")
    deadline = time.monotonic() + 60
    while (state := view_backup(installation, backup.id).state) not in ("stopped", "complete"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if state == "stopped":
        assert "Go on" in visitor.get(f"/backups/{backup.id}").text
        assert ">stopped</span>" in visitor.get("/backups").text
        visitor.post(f"/backups/{backup.id}/resume", form_at="/backups")
    while (current := get_backup(installation, backup.id)).status == "run":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (current.status, current.error) == ("complete", "")
    refused = visitor.post("/backups/new", {"profile": "999"}, form_at=form)
    assert refused.status_code == 400
    assert 'role="alert"' in refused.text


def test_how_long_each_domain_took_is_kept_with_the_record(visitor: Visitor, backup: Backup) -> None:
    seconds = backup.proof["seconds"]
    assert {"init", "Packing", "finale"} <= seconds.keys()
    assert all(spent >= 0 for spent in seconds.values())
    assert "Where its time went" in visitor.signed_in(Role.VIEWER).get(f"/backups/{backup.id}").text
