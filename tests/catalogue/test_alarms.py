"""Alarms in the catalogue: opened once, closed when nothing is found any more, each change told once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.catalogue import Finding, open_catalogue, open_home
from backstay.catalogue.alarms import AlarmTable
from backstay.errors import NotFoundError, UsageError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def finding(subject: str, aspects: frozenset[str] = frozenset()) -> Finding:
    return Finding("late", subject, f"{subject} is late.", "Take one.", NOW, aspects=tuple(sorted(aspects)))


@dataclass
class Expected:
    """What one open alarm should be."""

    aspects: set[str] = field(default_factory=set)
    acknowledged: bool = False
    number: int = 0


STEPS = st.lists(
    st.one_of(
        st.dictionaries(st.sampled_from("abc"), st.frozensets(st.sampled_from("xy")), max_size=3),
        st.sampled_from("abc"),
        st.just(None),
    ),
    max_size=12,
)


@settings(max_examples=25)
@given(STEPS)
def test_alarms_follow_what_is_found(steps: list[dict[str, frozenset[str]] | str | None]) -> None:
    """A dictionary is what is found, a letter acknowledges its alarm, None tells what is untold."""
    with tempfile.TemporaryDirectory() as folder, open_catalogue(open_home(Path(folder) / "home")) as catalogue:
        table = catalogue.alarms
        model: dict[str, Expected] = {}
        untold: dict[int, str] = {}
        for number, step in enumerate(steps):
            now = NOW + timedelta(minutes=number)
            if step is None:
                assert {one.alarm.id: one.change for one in table.untold()} == untold
                table.tell(table.untold())
                untold = {}
            elif isinstance(step, str):
                if step in model:
                    table.acknowledge(model[step].number, now)
                    model[step].acknowledged = True
            else:
                table.reconcile([finding(name, aspects) for name, aspects in step.items()], now)
                follow(table, model, untold, step)
            found = {one.subject: (one.id, one.state, set(one.details["aspects"])) for one in table.of()}
            assert found == {
                name: (one.number, "acknowledged" if one.acknowledged else "open", one.aspects)
                for name, one in model.items()
            }
        assert all(one.closed is not None for one in table.of(closed=True) if one.subject not in model)


def follow(
    table: AlarmTable, model: dict[str, Expected], untold: dict[int, str], found: dict[str, frozenset[str]]
) -> None:
    """Do to the model what the table should have done."""
    for name in [name for name in model if name not in found]:
        untold[model.pop(name).number] = "closed"
    numbers = {one.subject: one.id for one in table.of()}
    for name, aspects in found.items():
        if name not in model:
            model[name] = Expected(set(aspects), number=numbers[name])
            untold[numbers[name]] = "opened"
            continue
        if aspects - model[name].aspects:
            model[name].acknowledged = False
            untold.setdefault(numbers[name], "worsened")
        model[name].aspects = set(aspects)


def test_an_alarm_keeps_its_beginning_and_gets_the_newest_words(home: Path) -> None:
    with open_catalogue(open_home(home)) as catalogue:
        catalogue.alarms.reconcile([finding("a")], NOW)
        later = Finding("late", "a", "It is still late.", "Hurry.", NOW + timedelta(days=1), 1, 7)
        catalogue.alarms.reconcile([later], NOW + timedelta(days=1))
        [alarm] = catalogue.alarms.of()
        assert (alarm.since, alarm.opened, alarm.message, alarm.backup_id) == (NOW, NOW, "It is still late.", 7)
        catalogue.alarms.reconcile([], NOW + timedelta(days=2))
        assert catalogue.alarms.get(alarm.id).closed == NOW + timedelta(days=2)
        with pytest.raises(UsageError, match="is closed"):
            catalogue.alarms.acknowledge(alarm.id, NOW)
        with pytest.raises(NotFoundError, match="no alarm 99"):
            catalogue.alarms.acknowledge(99, NOW)
