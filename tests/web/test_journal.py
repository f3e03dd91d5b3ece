"""The page of the journal, and what the pages write into it."""

from __future__ import annotations

from backstay.catalogue import JournalSearch
from backstay.jobs.journal import API, note
from backstay.jobs.users import Role
from web.driving import Visitor

HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m"


def test_the_journal_shows_finds_and_pages_what_was_done(visitor: Visitor) -> None:
    visitor.signed_in(Role.ADMINISTRATOR)
    note(visitor.installation, HOSTILE, API, HOSTILE, HOSTILE, {"path": HOSTILE}, "192.0.2.1")
    page = visitor.get("/journal").text
    assert "192.0.2.1" in page
    assert not any(one in page for one in ("<script>alert", "\u202e", "\x1b"))
    for _number in range(100):
        note(visitor.installation, "token ci", API, "startBackup", "profile 1")
    page = visitor.get("/journal").text
    assert page.count("startBackup") == 100
    assert "192.0.2.1" in visitor.get("/journal?page=2").text
    assert "192.0.2.1" in visitor.get("/journal?text=192.0.2").text
    assert "no such entry" in visitor.get("/journal?who=nobody&through=api&since=2026-01-01&until=9999-12-31").text
    for strange in ("page=x", "page=-1", "page=99999999999999", "since=0001-01-01", "through=window"):
        assert visitor.get(f"/journal?{strange}").status_code == 200


def test_a_post_that_was_answered_is_noted(visitor: Visitor) -> None:
    visitor.signed_in(Role.VIEWER)
    visitor.post("/sign-out")
    newest = visitor.installation.catalogue.journal.newest(JournalSearch(), 1)[0]
    assert (newest.who, newest.through, newest.address) == ("viewer", "page", "testclient")
    assert "sign" in newest.action
