"""The table of settings and the filters of a profile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.errors import ConfigurationError
from backstay.profiles import SITE_ROOT, Filters, Settings, as_stored, setting_facts


def test_every_setting_has_a_key_a_default_and_a_sentence() -> None:
    facts = setting_facts()
    assert len({fact.key for fact in facts}) == len(facts) > 30
    assert len({fact.name for fact in facts}) == len(facts)
    for fact in facts:
        assert "." in fact.key
        assert fact.description.endswith("."), fact.name


def test_defaults_come_back_from_their_stored_form() -> None:
    stored = {fact.key: fact.default for fact in setting_facts()}
    assert Settings.from_values(stored).model_dump() == Settings().model_dump()


def test_strings_are_converted_and_unknown_keys_are_kept() -> None:
    found = Settings.from_values(
        {"engine.archiver.common.part_size": "131072", "engine.dump.native.nobtree": "1", "engine.postproc.box.x": "y"}
    )
    assert (found.part_size, found.dump_strip_engine_options) == (131072, True)
    assert found.model_extra == {"engine.postproc.box.x": "y"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("engine.archiver.common.part_size", "many"),
        ("engine.archiver.common.part_size", "-1"),
        ("akeeba.basic.backup_type", "everything"),
        ("akeeba.advanced.archiver_engine", "rar"),
        ("akeeba.basic.log_level", "9"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_key(key: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=key.replace(".", r"\.")):
        Settings.from_values({key: value})


def test_secrets_are_in_no_representation_and_no_error() -> None:
    found = Settings.from_values({"engine.archiver.jps.key": "Geheim"})
    assert "Geheim" not in repr(found)
    assert as_stored(found.archive_password) == "Geheim"


def test_filters_of_both_stored_forms_are_the_same() -> None:
    lists = {"files": {SITE_ROOT: ["a", "b"]}, "extradirs": {"u": ["/srv", "private"]}}
    objects = {"files": {SITE_ROOT: {"0": "a", "1": "b"}}, "extradirs": {"u": {"0": "/srv", "1": "private"}}}
    assert Filters.from_stored(lists) == Filters.from_stored(objects)
    assert Filters.from_stored(lists).to_stored() == lists


KEYS = st.sampled_from(["files", "extradirs", "multidb", "x", "0"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_whatever_is_stored_is_read_without_a_crash_and_written_the_same(stored: object) -> None:
    found = Filters.from_stored(stored)
    assert Filters.from_stored(found.to_stored()) == found
