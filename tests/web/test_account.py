"""A user's account: password, sessions, second factor, and being asked again."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from backstay.catalogue import JournalSearch
from backstay.catalogue.users import Session, User
from backstay.jobs import second_factor
from backstay.jobs.second_factor import new_recovery_codes, turn_on
from backstay.jobs.users import Role, sessions_of
from backstay.web.security import SESSION_COOKIE
from web.driving import PASSWORD, Visitor

_STEP = 100_000_000


@pytest.fixture(autouse=True)
def _long_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a code be shown for three years, so that no test meets the change of one."""
    monkeypatch.setattr(second_factor, "STEP_SECONDS", _STEP)


def code(secret: str, step: int = 0) -> str:
    """Return the code that an authenticator shows, or will."""
    return pyotp.TOTP(secret).generate_otp(int(time.time() // _STEP) + step)


def user_of(visitor: Visitor, name: str = "viewer") -> User:
    """Return a user as the catalogue has them now."""
    return visitor.installation.catalogue.users.get(name)


def session_of(visitor: Visitor, name: str = "viewer") -> Session:
    """Return a user's newest session."""
    return sessions_of(visitor.installation, user_of(visitor, name))[0]


def forget_proof(visitor: Visitor, name: str = "viewer") -> None:
    """Let it be long ago that the user proved who they are."""
    before = datetime.now(UTC) - timedelta(hours=1)
    visitor.installation.catalogue.sessions.update(session_of(visitor, name).id, confirmed=before)


def with_codes(visitor: Visitor) -> str:
    """Turn a viewer's second factor on; return its secret."""
    secret = second_factor.new_secret()
    turn_on(visitor.installation, user_of(visitor), secret, code(secret, -1))
    return secret


def sign_in(visitor: Visitor, password: str = PASSWORD) -> str:
    """Send the form of the viewer in a fresh browser; return the page that answers."""
    visitor.client.cookies.clear()
    return visitor.post("/sign-in", {"name": "viewer", "password": password}, form_at="/sign-in").text


def send_code(visitor: Visitor, page: str, text: str) -> str:
    """Send a code from the page that asked for it."""
    fields = dict(re.findall(r'name="(proof|from_here|next)" value="([^"]*)"', page))
    return visitor.client.post("/sign-in/second", data={**fields, "code": text}).text


def test_a_changed_password_ends_all_other_sessions(visitor: Visitor) -> None:
    visitor.signed_in(Role.VIEWER)
    stolen = visitor.client.cookies[SESSION_COOKIE]
    visitor.signed_in(Role.VIEWER)
    fields = {"old": PASSWORD, "password": PASSWORD + "!", "password_again": PASSWORD + "!"}
    assert "is wrong" in visitor.post("/account/password", {**fields, "old": "wrong"}, form_at="/account").text
    assert "differ" in visitor.post("/account/password", {**fields, "password_again": "x"}, form_at="/account").text
    assert "password is changed" in visitor.post("/account/password", dict(fields), form_at="/account").text
    assert len(sessions_of(visitor.installation, user_of(visitor))) == 1
    assert visitor.get("/account").url.path == "/account"
    visitor.client.cookies.clear()
    visitor.client.cookies.set(SESSION_COOKIE, stolen)
    assert visitor.get("/account").url.path == "/sign-in"
    assert "is wrong" in sign_in(visitor)
    assert "Sign out" in sign_in(visitor, PASSWORD + "!")


def test_a_session_is_listed_and_revoked_and_nobody_elses(visitor: Visitor) -> None:
    visitor.client.headers["user-agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    visitor.signed_in(Role.ADMINISTRATOR)
    others = session_of(visitor, "administrator").id
    visitor.signed_in(Role.VIEWER)
    stolen, stolen_id = visitor.client.cookies[SESSION_COOKIE], session_of(visitor).id
    visitor.signed_in(Role.VIEWER)
    page = visitor.get("/account").text
    assert page.count("Firefox on Linux") == 2
    assert visitor.post(f"/account/sessions/{others}/revoke", form_at="/account").status_code == 404
    assert len(sessions_of(visitor.installation, user_of(visitor, "administrator"))) == 1
    assert "signed out" in visitor.post(f"/account/sessions/{stolen_id}/revoke", form_at="/account").text
    visitor.client.cookies.clear()
    visitor.client.cookies.set(SESSION_COOKIE, stolen)
    assert visitor.get("/").url.path == "/sign-in"


def test_sessions_end_when_unused_and_at_last_in_any_case(visitor: Visitor) -> None:
    sessions, now = visitor.installation.catalogue.sessions, datetime.now(UTC)
    visitor.signed_in(Role.VIEWER)
    assert visitor.get("/").url.path == "/"
    sessions.update(session_of(visitor).id, last_seen=now - timedelta(minutes=721))
    assert visitor.get("/").url.path == "/sign-in"
    assert sessions_of(visitor.installation, user_of(visitor)) == []
    visitor.signed_in(Role.VIEWER)
    sessions.update(session_of(visitor).id, expires=now)
    assert visitor.get("/").url.path == "/sign-in"


def test_each_signing_in_has_a_session_and_a_token_of_its_own(visitor: Visitor) -> None:
    """A session that an attacker planted is not the one that the victim is signed in with."""
    visitor.client.cookies.set(SESSION_COOKIE, "planted")
    token = visitor.token("/sign-in")
    visitor.signed_in(Role.VIEWER)
    first, first_token = visitor.client.cookies[SESSION_COOKIE], visitor.token()
    visitor.signed_in(Role.VIEWER)
    assert len({"planted", first, visitor.client.cookies[SESSION_COOKIE]}) == 3
    for old in (token, first_token, "", "0" * 64):
        assert visitor.client.post("/sign-out", data={"from_here": old}).status_code == 403


def test_an_authenticator_is_set_up_and_asked_for(visitor: Visitor) -> None:
    visitor.signed_in(Role.VIEWER)
    page = visitor.post("/account/second-factor/begin", form_at="/account").text
    svg = re.search(r"<svg.*?</svg>", page, re.DOTALL)
    assert svg
    assert "style=" not in svg[0]
    secret = re.sub(r"\s", "", re.findall(r"<code>([A-Z2-7 ]+)</code>", page)[0])
    fields = dict(re.findall(r'name="(sealed|from_here)" value="([^"]*)"', page))
    wrong = visitor.client.post("/account/second-factor", data={**fields, "code": "000000"})
    assert "not the code" in wrong.text
    assert not user_of(visitor).second_factor
    forged = visitor.client.post("/account/second-factor", data={**fields, "sealed": "x", "code": code(secret)})
    assert "open for too long" in forged.text
    done = visitor.client.post("/account/second-factor", data={**fields, "code": code(secret, -1)}).text
    recovery = re.findall(r"\b(?:[a-z2-7]{4}-){3}[a-z2-7]{4}\b", done)
    assert len(set(recovery)) == 10
    assert recovery[0] not in visitor.get("/account").text
    assert recovery[0].replace("-", "") not in str(user_of(visitor).recovery_codes)

    page = sign_in(visitor)
    assert "One more step" in page
    assert visitor.get("/").url.path == "/sign-in"
    assert "no code that is good" in send_code(visitor, page, code(secret, -1))
    assert "Sign out" in send_code(visitor, page, code(secret))
    assert "no code that is good" in send_code(visitor, sign_in(visitor), code(secret))
    assert "Sign out" in send_code(visitor, sign_in(visitor), recovery[3].upper().replace("-", " "))
    assert "no code that is good" in send_code(visitor, sign_in(visitor), recovery[3])
    assert len(user_of(visitor).recovery_codes) == 9


def test_a_first_step_is_worth_nothing_elsewhere_or_after_a_change(visitor: Visitor) -> None:
    visitor.signed_in(Role.VIEWER)
    secret = with_codes(visitor)
    page = sign_in(visitor)
    proof = re.findall(r'name="proof" value="([^"]*)"', page)[0]
    visitor.client.cookies.clear()
    token = visitor.token("/sign-in")
    other = visitor.client.post("/sign-in/second", data={"from_here": token, "proof": proof, "code": code(secret)})
    assert "sign in anew" in other.text
    page = sign_in(visitor)
    user = user_of(visitor)
    visitor.installation.catalogue.users.update(user.id, disabled=True)
    assert "sign in anew" in send_code(visitor, page, code(secret))
    visitor.installation.catalogue.users.update(user.id, disabled=False, password="another")
    assert "sign in anew" in send_code(visitor, page, code(secret))


def test_wrong_codes_are_slowed_and_a_recovery_code_still_works(visitor: Visitor) -> None:
    visitor.signed_in(Role.VIEWER)
    secret = with_codes(visitor)
    recovery = new_recovery_codes(visitor.installation, user_of(visitor))
    page = sign_in(visitor)
    wrong = f"{(int(code(secret)) + 1) % 1000000:06}"
    for _attempt in range(8):
        send_code(visitor, page, wrong)
    assert "no code that is good" in send_code(visitor, page, code(secret))
    assert "Sign out" in send_code(visitor, page, recovery[0])


def test_what_is_dangerous_asks_for_the_password_and_the_code_again(visitor: Visitor) -> None:
    visitor.signed_in(Role.VIEWER)
    secret = with_codes(visitor)
    forget_proof(visitor)
    path, known = "/account/recovery-codes", user_of(visitor).recovery_codes
    for given in ({}, {"confirmed_with": PASSWORD}, {"confirmed_with": "wrong", "confirmed_code": code(secret)}):
        answer = visitor.post(path, dict(given), form_at="/account")
        assert (answer.status_code, "prove that it is you" in answer.text) == (403, True)
    assert user_of(visitor).recovery_codes == known
    answer = visitor.post(path, {"confirmed_with": PASSWORD, "confirmed_code": code(secret, 1)}, form_at="/account")
    assert "Recovery codes" in answer.text
    assert "asked for no code" in visitor.post("/account/second-factor/off", form_at="/account").text


def test_the_journal_tells_of_signing_in_and_never_of_a_secret(visitor: Visitor) -> None:
    visitor.signed_in(Role.VIEWER)
    visitor.post("/sign-out")
    entries = visitor.installation.catalogue.journal.newest(JournalSearch(), 10)
    assert [(one.who, one.action) for one in entries] == [("viewer", "signed out"), ("viewer", "signed in")]
    assert PASSWORD not in str(entries)


@pytest.mark.parametrize(
    "path", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/\t/evil.example", "javascript:1"]
)
def test_signing_in_leads_to_no_other_site(visitor: Visitor, path: str) -> None:
    visitor.signed_in(Role.VIEWER)
    visitor.client.cookies.clear()
    visitor.client.follow_redirects = False
    fields = {"name": "viewer", "password": PASSWORD, "next": path}
    assert visitor.post("/sign-in", dict(fields), form_at="/sign-in").headers["location"] == "/"
