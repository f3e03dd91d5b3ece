"""Which paths a backup leaves out."""

from __future__ import annotations

import pytest

from backstay.engine.filters import FileRules, parse_regex
from backstay.errors import ConfigurationError
from backstay.profiles import SITE_ROOT, Filters


def rules(stored: dict[str, object], *patterns: str) -> FileRules:
    """Rules made of stored filters and patterns; a warning fails the test."""

    def refuse(message: str) -> None:
        pytest.fail(message)

    return FileRules(Filters.from_stored(stored), SITE_ROOT, patterns=patterns, on_warning=refuse)


def test_a_plain_directory_filter_excludes_that_directory_and_no_other() -> None:
    found = rules({"directories": {SITE_ROOT: ["media/huge"]}})
    assert found.directory("media/huge") == "directories"
    assert found.directory("media/huge2") is None
    assert found.directory("other/media/huge") is None


def test_lists_written_as_objects_with_numeric_keys_are_read() -> None:
    found = rules({"files": {SITE_ROOT: {"0": "a.txt", "1": "/b/c.txt"}}})
    assert found.file("a.txt") == "files"
    assert found.file("b/c.txt") == "files"


def test_filters_of_another_root_do_not_count() -> None:
    found = rules({"files": {"/elsewhere": ["a.txt"]}})
    assert found.file("a.txt") is None


@pytest.mark.parametrize(
    ("regex", "path", "excluded"),
    [
        (r"#\.bak$#i", "x/y.BAK", True),
        (r"#\.bak$#", "x/y.BAK", False),
        (r"/^tmp\/.*\.log$/", "tmp/a.log", True),
        (r"{\.(jpg|png)$}iu", "a.PNG", True),
        (r"!#^images/#", "images/a.png", False),
        (r"!#^images/#", "index.php", True),
        (r"~^a\nb$~", "a\nb", True),
    ],
)
def test_regular_expressions_are_read_as_pcre_with_delimiters(regex: str, path: str, excluded: bool) -> None:
    assert parse_regex(regex).excludes(path) is excluded


@pytest.mark.parametrize("regex", ["", "abc", "#unclosed", "#a#Q", "#(#", "\\a\\", " a ", "!"])
def test_what_is_no_regular_expression_is_refused_with_its_text(regex: str) -> None:
    with pytest.raises(ConfigurationError, match="filter"):
        parse_regex(regex)


def test_a_filter_that_cannot_be_used_leaves_out_nothing_and_says_so() -> None:
    warnings: list[str] = []
    filters = Filters.from_stored({"regexfiles": {SITE_ROOT: ["#(#", "#b#"]}})
    found = FileRules(filters, SITE_ROOT, on_warning=warnings.append)
    assert found.file("a") is None
    assert found.file("b") == "regexfiles #b#"
    assert len(warnings) == 1
    assert "'#(#'" in warnings[0]


def test_patterns_follow_the_syntax_of_gitignore() -> None:
    found = rules({}, "cache/", "*.log", "/tmp", "!keep.log")
    assert found.directory("a/cache") == "exclude"
    assert found.file("a/cache") is None
    assert found.file("deep/down/x.log") == "exclude"
    assert found.file("keep.log") is None
    assert found.directory("tmp") == "exclude"
    assert found.directory("a/tmp") is None


def test_names_that_are_not_utf8_can_be_matched() -> None:
    name = b"caf\xe9.log".decode("utf-8", "surrogateescape")
    assert rules({}, "*.log").file(name) == "exclude"


def test_skipped_files_and_folders_belong_to_one_folder() -> None:
    found = rules({"skipfiles": {SITE_ROOT: ["tmp"]}, "skipdirs": {SITE_ROOT: [""]}})
    assert found.files("tmp") == "skipfiles"
    assert found.files("tmp/deeper") is None
    assert found.subdirectories("") == "skipdirs"
