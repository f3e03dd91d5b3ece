"""What operators do with sites, one or many at once: back up, pause, resume, test."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from backstay.catalogue import Site
from backstay.errors import BackstayError, UsageError
from backstay.fleet.changing import ask_sites, pause_site, resume_site
from backstay.jobs.backup import begin_backup
from backstay.jobs.installation import Installation
from backstay.jobs.users import Role
from backstay.web.rendering import counted
from backstay.web.routes import PageRoute
from backstay.web.visible import visible_sites
from backstay.web.visit import Visit

_BACK: Final = re.compile(r"/sites(/\d{1,18}|\?[\w=&%+.,~-]*)?")
_MOST: Final = 200
_MOST_TESTED: Final = 16
_TOLD: Final = 3
_NOTED: Final = 20


@dataclass(frozen=True, slots=True)
class _Action:
    """What can be done: does it to sites, returns those that it could not be done to with the reason.

    Attributes:
        do: does it.
        done: what was done, in words of the journal: ``sites paused``.
        told: says to how many it was done.
    """

    do: Callable[[Installation, Sequence[Site]], list[tuple[Site, str]]]
    done: str
    told: str


def _back_up(installation: Installation, sites: Sequence[Site]) -> list[tuple[Site, str]]:
    return _each(sites, lambda site: begin_backup(installation, profile_id=site.profile_id))


def _pause(installation: Installation, sites: Sequence[Site]) -> list[tuple[Site, str]]:
    return _each(sites, lambda site: pause_site(installation, site))


def _resume(installation: Installation, sites: Sequence[Site]) -> list[tuple[Site, str]]:
    return _each(sites, lambda site: resume_site(installation, site))


def _test(installation: Installation, sites: Sequence[Site]) -> list[tuple[Site, str]]:
    remote = [site for site in sites if site.kind == "remote"]
    if len(remote) > _MOST_TESTED:
        raise UsageError(
            f"At most {_MOST_TESTED} sites are tested at once here: choose fewer, or use 'backstay site test'."
        )
    if not remote:
        raise UsageError("A site on a machine of Backstay has no server that could be tested.")
    answers = ask_sites(installation, remote) if remote else ()
    return [(site, str(answer)) for site, answer in answers if isinstance(answer, BackstayError)]


_ACTIONS: Final[Mapping[str, _Action]] = {
    "back-up": _Action(_back_up, "backups begun", "{} asked for: each begins when it is its turn"),
    "pause": _Action(_pause, "sites paused", "{} paused: nothing is taken by itself until it is resumed"),
    "resume": _Action(_resume, "sites resumed", "{} resumed"),
    "test": _Action(_test, "sites tested", "{} answered as it should"),
}


def _each(sites: Sequence[Site], do: Callable[[Site], object]) -> list[tuple[Site, str]]:
    failed = []
    for site in sites:
        try:
            do(site)
        except BackstayError as error:
            failed.append((site, str(error)))
    return failed


def _act(visit: Visit) -> Response:
    back, action = visit.field("back"), _ACTIONS.get(visit.field("action"))
    if action is None:
        raise UsageError("Choose what is to be done with the sites: back up, pause, resume or test.")
    sites = _chosen(visit)
    failed = action.do(visit.installation, sites)
    left_out = {site.id for site, _reason in failed}
    done = [site for site in sites if site.id not in left_out]
    if done:
        names = ", ".join(site.name for site in done[:_NOTED]) + (" …" if len(done) > _NOTED else "")
        visit.note(action.done, names, sites=len(done))
    noun = "backup" if visit.field("action") == "back-up" else "site"
    sentences = [action.told.format(counted(len(done), noun)) + "."] if done else []
    sentences += [f"{site.name}: {reason}" for site, reason in failed[:_TOLD]]
    if len(failed) > _TOLD:
        sentences.append(f"And {len(failed) - _TOLD} more.")
    return visit.redirect(back if _BACK.fullmatch(back) else "/sites", " ".join(sentences))


def _chosen(visit: Visit) -> list[Site]:
    """Return the sites that were ticked, those that may be seen.

    Raises:
        UsageError: none was, or too many were.
    """
    ticked = {int(one) for one in visit.fields("site") if one.isascii() and one.isdigit() and len(one) < 19}
    seen = [one.site.id for one in visible_sites(visit).standings if one.site.id in ticked]
    if not seen:
        raise UsageError("Tick the sites that are meant first.")
    if len(seen) > _MOST:
        raise UsageError(f"At most {_MOST} sites are chosen at once: the command line does it for all of a group.")
    return [visit.installation.catalogue.sites.get(number) for number in seen]


ROUTES = (PageRoute("POST", "/sites/act", Role.OPERATOR, _act, bound="narrowed"),)
