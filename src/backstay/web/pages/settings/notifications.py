"""Who is notified, of what, and what came of the newest messages; addresses and secrets are never shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

from starlette.responses import Response

from backstay.catalogue import Recipient
from backstay.catalogue.recipients import DeliveryCounts
from backstay.errors import BackstayError, UsageError
from backstay.jobs.recipients import Digest, Wishes, add_recipient, edit_recipient, send_test
from backstay.jobs.users import Role
from backstay.notifications.address import parse_recipient
from backstay.notifications.model import GROUPS, NEWS, PING_KINDS, PROBLEMS
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_EVENTS = {**GROUPS, **PROBLEMS, **{kind: text for kind, text in NEWS.items() if kind != "digest"}}


def _list(visit: Visit) -> Response:
    catalogue = visit.installation.catalogue
    counts = catalogue.deliveries.counts()
    found = [(one, counts.get(one.id, DeliveryCounts())) for one in catalogue.recipients.all()]
    return visit.page("settings/recipients.html", recipients=found)


def _form(
    visit: Visit, values: dict[str, Any], status: int = 200, *, stored: Recipient | None = None, problem: str = ""
) -> Response:
    is_ping = stored is not None and parse_recipient(stored.url).service == "ping"
    return visit.page(
        "settings/recipient.html", status,
        values=values, stored=stored, problem=problem, digests=get_args(Digest),
        events={kind: _EVENTS[kind] for kind in PING_KINDS if kind in _EVENTS} if is_ping else _EVENTS,
        messages=visit.installation.catalogue.deliveries.of(stored.id) if stored else [],
    )  # fmt: skip


def _new(visit: Visit) -> Response:
    values = {"name": "", "events": [], "profiles": "", "digest": "none", "digest_at": "08:00"}
    return _form(visit, values)


def _show(visit: Visit) -> Response:
    found = visit.installation.catalogue.recipients.get(visit.request.path_params["name"])
    options = found.options
    values = {
        "name": found.name, "events": list(found.events), "profiles": ", ".join(str(one) for one in options.profiles),
        "digest": options.digest or "none", "digest_at": options.digest_at,
    }  # fmt: skip
    return _form(visit, values, stored=found)


def _typed(visit: Visit) -> dict[str, Any]:
    names = ("name", "profiles", "digest", "digest_at")
    return {**{name: visit.field(name).strip() for name in names}, "events": visit.fields("events")}


def _wishes(visit: Visit, values: dict[str, Any]) -> Wishes:
    digest: Digest = next((one for one in get_args(Digest) if one == values["digest"]), "none")
    return Wishes(
        url=visit.field("url").strip() or None,
        secret=visit.field("secret").strip() or None,
        events=values["events"] or None,
        profiles=[one.strip() for one in values["profiles"].split(",") if one.strip()],
        digest=digest,
        digest_at=values["digest_at"] or None,
    )


def _create(visit: Visit) -> Response:
    values = _typed(visit)
    try:
        wishes = _wishes(visit, values)
        if wishes.url is None:
            raise UsageError("Give the URL of the recipient.")
        made = add_recipient(visit.installation, values["name"], wishes, datetime.now(UTC))
    except BackstayError as error:
        return _form(visit, values, 400, problem=str(error))
    visit.note("recipient added", f"recipient {made.name}", address=made.options.shown)
    if made.secret and wishes.secret is None:
        return visit.page("settings/shown_once.html", what=f"The secret of {made.name}", secret=made.secret,
                          about="It signs the messages of this webhook: give it to whoever receives them.",
                          back=f"/notifications/{made.name}")  # fmt: skip
    return visit.redirect(f"/notifications/{made.name}", f"The recipient {made.name} is added: test it.")


def _edit(visit: Visit) -> Response:
    found = visit.installation.catalogue.recipients.get(visit.request.path_params["name"])
    values = _typed(visit) | {"name": found.name}
    try:
        edit_recipient(visit.installation, found.name, _wishes(visit, values), datetime.now(UTC))
    except BackstayError as error:
        return _form(visit, values, 400, stored=found, problem=str(error))
    visit.note("recipient changed", f"recipient {found.name}")
    return visit.redirect(f"/notifications/{found.name}", f"The recipient {found.name} is saved.")


def _test(visit: Visit) -> Response:
    name = visit.request.path_params["name"]
    visit.note("recipient tested", f"recipient {name}")
    try:
        send_test(visit.installation, name, datetime.now(UTC))
    except BackstayError as error:
        return visit.redirect(f"/notifications/{name}", f"The test did not arrive: {error}")
    return visit.redirect(f"/notifications/{name}", "The test was taken: see that it arrived.")


def _remove(visit: Visit) -> Response:
    name = visit.request.path_params["name"]
    if visit.field("sure") != "yes":
        raise UsageError("Tick that the recipient may go, and try again.")
    visit.installation.catalogue.recipients.delete(name)
    visit.note("recipient removed", f"recipient {name}")
    return visit.redirect("/notifications", f"The recipient {name} is removed.")


ROUTES = (
    PageRoute("GET", "/notifications", Role.VIEWER, _list),
    PageRoute("GET", "/notifications/new", Role.ADMINISTRATOR, _new),
    PageRoute("POST", "/notifications/new", Role.ADMINISTRATOR, _create),
    PageRoute("GET", "/notifications/{name}", Role.VIEWER, _show),
    PageRoute("POST", "/notifications/{name}", Role.ADMINISTRATOR, _edit),
    PageRoute("POST", "/notifications/{name}/test", Role.OPERATOR, _test),
    PageRoute("POST", "/notifications/{name}/remove", Role.ADMINISTRATOR, _remove, confirmed=True),
)
