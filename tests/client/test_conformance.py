"""The conformance checks hold for Backstay's own server, and see what a bad server does wrong."""

from __future__ import annotations

import json

import pytest
from starlette.responses import HTMLResponse, Response

from backstay.client.conformance import CHECKS, Group, Outcome, run_checks
from backstay.errors import AuthenticationError, ProtocolError
from client.fake_server import SECRET, FakeServer
from client.real_server import RealServer


def test_every_check_holds_for_backstay(real: RealServer) -> None:
    with_files = real.backstay("backup", str(real.site), "--database", "none", "--json")
    assert json.loads(with_files)["id"]
    findings = list(run_checks(real.url, real.secret, changes=True, profile=real.profile))
    assert [finding for finding in findings if finding.outcome is Outcome.FAILS] == []
    left_out = {finding.name for finding in findings if finding.outcome is Outcome.NOT_OFFERED}
    assert left_out == {"A wrong secret word fails, even beside a good token", "A token is taken as a bearer, too"}
    assert len(findings) == len(CHECKS)


def test_every_check_of_version_3_holds_for_a_token(real: RealServer) -> None:
    scopes = [part for scope in ("read", "backup", "download", "delete", "configure") for part in ("--scope", scope)]
    token = json.loads(real.backstay("token", "create", "all", *scopes, "--json"))["token"]
    findings = list(run_checks(real.url, token, groups=[Group.VERSION_3, Group.RECORDS]))
    outcomes = {finding.outcome for finding in findings if finding.group is Group.VERSION_3}
    assert outcomes == {Outcome.HOLDS}
    assert [finding for finding in findings if finding.outcome is Outcome.FAILS] == []


def test_without_asking_nothing_is_changed(server: FakeServer) -> None:
    list(run_checks(server.url, SECRET))
    changing = {"startBackup", "delete", "deleteFiles", "importConfiguration", "saveProfile", "setFSFilter"}
    assert not changing & {seen.method for seen in server.seen}


def test_a_server_that_breaks_rules_is_found_out(server: FakeServer) -> None:
    server.junk = (b"<p>Notice</p>", b"###")
    findings = {finding.name: finding for finding in run_checks(server.url, SECRET)}
    reported = findings["The reply is JSON of status and data, typed so, with nothing around it and no ### in it"]
    assert reported.outcome is Outcome.FAILS
    assert "###" in reported.message
    listed = findings["`listBackups` lists records newest first, and keeps to from and limit"]
    assert (listed.outcome, "Invalid method listBackups" in listed.message) == (Outcome.FAILS, True)
    assert all(SECRET not in finding.message for finding in findings.values())


def test_a_version_that_is_not_there_is_no_failure(server: FakeServer) -> None:
    server.versions = (2,)
    findings = list(run_checks(server.url, SECRET, groups=[Group.VERSION_1, Group.VERSION_3]))
    assert {finding.outcome for finding in findings} == {Outcome.NOT_OFFERED}


def test_a_wrong_secret_and_a_server_without_the_api_are_reported(server: FakeServer) -> None:
    with pytest.raises(AuthenticationError):
        list(run_checks(server.url, "wrong"))
    page: Response = HTMLResponse("<html>", 404)
    server.before = lambda _seen: page
    with pytest.raises(ProtocolError):
        list(run_checks(server.url, SECRET))
