"""Profiles as other servers store and export them: JSON and INI, filters in both forms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.errors import ConfigurationError
from backstay.profiles import Filters, Settings
from backstay.profiles.transfer import (
    configuration_text,
    filters_text,
    flattened,
    read_configuration,
    read_filters,
    with_retention,
)

NESTED = {
    "akeeba": {"basic": {"log_level": "4", "backup_type": "full"}, "quota": {"count_quota": "3"}},
    "engine": {"archiver": {"common": {"part_size": "0"}}},
    "core": {"filters": {"errorlogs": {"enabled": "1"}}},
}
FLAT = {
    "akeeba.basic.log_level": "4",
    "akeeba.basic.backup_type": "full",
    "akeeba.quota.count_quota": "3",
    "engine.archiver.common.part_size": "0",
    "core.filters.errorlogs.enabled": "1",
}
INI = r"""
; written by an old version
[akeeba]
basic.log_level="4"
basic.backup_type="full"
basic.note="a \"quoted\" line\nand another\tone, C:\old"
quota.count_quota = 3

[engine]
archiver.common.part_size="0"
list="###[1,2]"

[volatile]
core.something="1"
"""


def test_json_text() -> None:
    assert read_configuration(json.dumps(NESTED, indent=4)) == FLAT


def test_a_decoded_object() -> None:
    assert read_configuration(NESTED) == FLAT


def test_values_that_are_not_text() -> None:
    assert read_configuration('{"a":{"b":1,"c":true,"d":false,"e":null,"f":[1],"g":1.5}}') == {
        "a.b": "1",
        "a.c": "1",
        "a.d": "0",
        "a.g": "1.5",
    }


def test_dotted_keys_and_objects_mixed() -> None:
    assert flattened({"akeeba.basic": {"log_level": 4}, "x.y": "1"}) == {"akeeba.basic.log_level": "4", "x.y": "1"}


def test_ini_text() -> None:
    assert read_configuration(INI) == {
        "akeeba.basic.log_level": "4",
        "akeeba.basic.backup_type": "full",
        "akeeba.basic.note": 'a "quoted" line\nand another\tone, C:\\old',
        "akeeba.quota.count_quota": "3",
        "engine.archiver.common.part_size": "0",
    }


def test_what_is_not_stored_is_left_out() -> None:
    assert read_configuration('{"volatile":{"x":"1"},"a":{"b":"1"}}') == {"a.b": "1"}


@pytest.mark.parametrize("text", ["", "  ", "{}", "[]"])
def test_no_values(text: str) -> None:
    assert read_configuration(text) == {}


@pytest.mark.parametrize("text", ["nonsense", "[1]", "5", "{", '"text"', "[" * 100_000])
def test_what_is_no_configuration(text: str) -> None:
    with pytest.raises(ConfigurationError, match="neither JSON nor INI"):
        read_configuration(text)


def test_encrypted_text_needs_a_key() -> None:
    with pytest.raises(ConfigurationError, match="encrypted"):
        read_configuration("###AES128###abc")
    assert read_configuration("###CTR128###abc", decrypt=lambda text: '{"a":{"b":"' + text[-3:] + '"}}') == {
        "a.b": "abc"
    }


def test_values_that_mean_the_same_here() -> None:
    assert read_configuration('{"akeeba":{"advanced":{"archiver_engine":"zipnative"}}}') == {
        "akeeba.advanced.archiver_engine": "zip"
    }


def test_configuration_text_is_the_vendors() -> None:
    text = configuration_text({**FLAT, "a.b": "<'&\">"})
    assert json.loads(text) == {**NESTED, "a": {"b": "<'&\">"}}
    assert text.startswith('{\n    "akeeba": {\n')
    assert not set("<>&'") & set(text)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,3}(\.[a-z]{1,3}){1,3}", fullmatch=True), st.text(max_size=20)))
def test_what_is_written_is_read_back(values: dict[str, str]) -> None:
    prefixes = {key.rsplit(".", count)[0] for key in values for count in range(1, 4)}
    values = {key: value for key, value in values.items() if key not in prefixes and not key.startswith("volatile.")}
    assert read_configuration(configuration_text(values)) == values


def test_a_value_and_a_branch_of_the_same_name() -> None:
    assert read_configuration(configuration_text({"a.b": "1", "a.b.c": "2"})) == {"a.b.c": "2"}


def test_retention_is_written_out() -> None:
    written = with_retention({"akeeba.quota.count_quota": "9"})
    assert written["akeeba.quota.count_quota"] == "9"
    assert written["akeeba.quota.enable_count_quota"] == "0"
    assert Settings.from_values(written) == Settings.from_values({"akeeba.quota.count_quota": "9"})


STORED = {"tables": {"[SITEDB]": ["#__a", "b"]}, "extradirs": {"u": ["/srv", "x"]}}


def test_filters_in_every_form() -> None:
    expected = Filters.from_stored(STORED)
    numbered: Any = {"tables": {"[SITEDB]": {"0": "#__a", "1": "b"}}, "extradirs": {"u": {"0": "/srv", "1": "x"}}}
    serialized = (
        'a:2:{s:6:"tables";a:1:{s:8:"[SITEDB]";a:2:{i:0;s:4:"#__a";i:1;s:1:"b";}}'
        's:9:"extradirs";a:1:{s:1:"u";a:2:{i:0;s:4:"/srv";i:1;s:1:"x";}}}'
    )
    for form in (STORED, numbered, json.dumps(STORED), json.dumps(numbered), serialized, filters_text(expected)):
        assert read_filters(form) == expected


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "a:0:{}"])
def test_no_filters(text: str) -> None:
    assert read_filters(text) == Filters()


@pytest.mark.parametrize("text", ["nonsense", "a:1:{", 'O:8:"stdClass":0:{}', "[" * 100_000])
def test_what_are_no_filters(text: str) -> None:
    with pytest.raises(ConfigurationError, match="can't be read"):
        read_filters(text)
