"""The plan of a restore: what it would change, and its begin."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.responses import Response

from backstay.errors import BackstayError
from backstay.jobs.restore_drafts import RestoreDraft, forget_draft, source_of_draft
from backstay.jobs.restore_plan import RestoreOptions, make_plan
from backstay.jobs.restore_preview import Preview, preview
from backstay.jobs.restore_tasks import begin_in_background
from backstay.jobs.tasks import begin_task
from backstay.jobs.users import Role
from backstay.web.pages.restores.asking import draft_of, title_of
from backstay.web.pages.restores.fields import options_of
from backstay.web.rendering import shown
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_FEW: Final = 10
_FEW_OF: Final = 20
"""A site that lives writes files: a plan is another one when more files changed than ten and a twentieth."""


def _plan(visit: Visit) -> Response:
    draft = draft_of(visit)
    return _show(visit, draft)


def _show(visit: Visit, draft: RestoreDraft, *, problem: str = "", has_changed: bool = False) -> Response:
    source = source_of_draft(visit.installation, draft)
    options, problems = options_of(draft, source)
    if problems:
        return visit.redirect(f"/restores/new/{draft.word}/change")
    try:
        looked = _looked(visit, draft, options)
    except BackstayError as error:
        return visit.page("restores/refused.html", 400, draft=draft, sentence=str(error), title=title_of(visit, draft))
    return visit.page(
        "restores/plan.html",
        400 if problem else 200,
        draft=draft,
        looked=looked,
        plan=looked.plan,
        options=options,
        title=title_of(visit, draft),
        loaded=_loaded(looked),
        names=_names(looked),
        seen=_facts(looked),
        problem=problem,
        has_changed=has_changed,
        lacks_space=[one for one in looked.space if one.needed > one.free],
    )


def _begin(visit: Visit) -> Response:
    draft = draft_of(visit)
    options, problems = options_of(draft, source_of_draft(visit.installation, draft))
    if problems:
        return visit.redirect(f"/restores/new/{draft.word}/change")
    looked = _looked(visit, draft, options)
    if _is_another(visit.field("seen"), _facts(looked)):
        return _show(visit, draft, has_changed=True)
    names = _names(looked)
    if visit.field("name").strip() not in names:
        return _show(
            visit, draft, problem=f"That is not the site's name: type {names[0]} exactly as it is written here."
        )
    if "url" in draft.source:
        return _begin_migration(visit, draft, options, looked)
    number = draft.source.get("backup")
    name, task = begin_in_background(
        visit.installation, looked, options.existing, started_by=visit.who.name, backup_id=number
    )
    forget_draft(visit.installation, draft)
    visit.note("restore begun", f"restore {name}", target=looked.plan.target, archive=looked.plan.archive)
    return visit.redirect(f"/tasks/{task.id}", "The restore has begun.")


def _begin_migration(visit: Visit, draft: RestoreDraft, options: RestoreOptions, looked: Preview) -> Response:
    given = {
        **{name: value for name, value in draft.source.items() if name != "number"},
        "backup": draft.source.get("number"),
        "options": options.to_json(),
        "password": draft.fields.get("password", ""),
    }
    where = looked.plan.target
    task = begin_task(
        visit.installation, "migrate", f"Move {draft.source['url']} to {shown(where)}", given, started_by=visit.who.name
    )
    forget_draft(visit.installation, draft)
    visit.note("migration begun", draft.source["url"], target=where)
    return visit.redirect(f"/tasks/{task.id}", "The move has begun.")


def _looked(visit: Visit, draft: RestoreDraft, options: RestoreOptions) -> Preview:
    plan = make_plan(source_of_draft(visit.installation, draft), options)
    if "url" in draft.source:
        plan = replace(plan, moved_from=draft.source["url"])
    looked = preview(visit.installation, plan, in_detail=True)
    looked.check(options.existing)
    return looked


def _loaded(looked: Preview) -> list[dict[str, Any]]:
    found = []
    for dump in looked.in_the_way:
        address = looked.plan.database(dump)
        if address is not None:
            found.append({"dump": dump, "address": address.redacted(), "tables": looked.in_the_way[dump]})
    return found


def _names(looked: Preview) -> list[str]:
    """Return what may be typed to begin: the name of the folder, as it is shown; the host of its address."""
    target = looked.plan.target
    names = [shown(Path(target).name or target)]
    host = urlsplit(looked.plan.address or "").hostname
    return [*names, host] if host else names


def _facts(looked: Preview) -> str:
    """Return what a plan says, as a text that shows later whether it says the same."""
    facts = [
        looked.plan.target,
        looked.plan.archive,
        sorted(looked.plan.databases),
        looked.occupied,
        dict(looked.in_the_way),
        [looked.files, looked.bytes],
        [[one.path, *one.names] for one in looked.configuration],
        list(looked.not_restored),
        [list(pair) for pair in looked.move.texts],
        [[str(one.old), one.new] for one in looked.move.addresses],
    ]
    difference = looked.difference
    counts = [difference.added.count, difference.replaced.count, difference.removed.count] if difference else []
    told = counts if difference is not None and difference.is_whole else []
    return json.dumps([hashlib.sha256(json.dumps(facts).encode()).hexdigest(), *told])


def _is_another(before: str, now: str) -> bool:
    """Return whether a plan says something else than the one that was shown."""
    try:
        known, *counts = json.loads(before)
        bounds = [max(_FEW, int(count) // _FEW_OF) for count in counts]
    except (ValueError, TypeError):
        return True
    current, *found = json.loads(now)
    if known != current:
        return True
    # Where one of the two was not looked at to its end, the numbers say nothing.
    return len(counts) == len(found) and any(
        abs(one - other) > bound for one, other, bound in zip(counts, found, bounds, strict=True)
    )


ROUTES = (
    PageRoute("GET", "/restores/new/{word}", Role.ADMINISTRATOR, _plan),
    PageRoute("POST", "/restores/new/{word}/begin", Role.ADMINISTRATOR, _begin, confirmed=True),
)
