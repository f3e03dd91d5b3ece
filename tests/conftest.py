"""What every test may use: its own home folder, an environment free of the caller's settings, and steady Hypothesis."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from support.catalogues import copy_fresh_ones, use_database
from support.longest import longest_first

pytest_plugins = ["support.fixtures"]

# A shell that starts this in the background has it ignore Ctrl-C, and the programs that are tested would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where the caller has Python keep no bytecode, each of the thousand processes of a run would compile the product anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

SLOW_REASON = "slow: run by make test-slow"
SETTINGS_OF_THE_TESTS = "BACKSTAY_TEST_"
SHARED_CATALOGUES = os.environ.get("BACKSTAY_TEST_CATALOGUE") == "postgresql"

# All without a deadline: on a shared machine a slow example is no fault. In CI every run tries the same examples.
hypothesis.settings.register_profile(
    "default",
    deadline=None,
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
)
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("default"), derandomize=True)
# For the mutants, each of which runs the tests again.
hypothesis.settings.register_profile("few", hypothesis.settings.get_profile("ci"), max_examples=10)
FEW_EXAMPLES = "BACKSTAY_TEST_FEW_EXAMPLES" in os.environ
hypothesis.settings.load_profile("few" if FEW_EXAMPLES else "ci" if os.environ.get("CI") == "true" else "default")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--slow``."""
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def pytest_configure(config: pytest.Config) -> None:
    """Try twice as many examples with ``--slow``."""
    if config.getoption("--slow") and not FEW_EXAMPLES:
        hypothesis.settings.register_profile("slow", hypothesis.settings(), max_examples=100)
        hypothesis.settings.load_profile("slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is marked slow unless it was asked for; begin with the longest files."""
    longest_first(items)
    if config.getoption("--slow"):
        return
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.skip(reason=SLOW_REASON))


@pytest.fixture(scope="session", autouse=True)
def _catalogues_are_copied() -> Iterator[None]:
    """Spare each of the thousand homes of a run its migrations; some files of ``tests/catalogue`` take this back."""
    with pytest.MonkeyPatch.context() as patch:
        copy_fresh_ones(patch)
        yield


@pytest.fixture(autouse=True)
def _no_settings_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the caller's BACKSTAY_… variables, so that no test touches a real home or knows a real secret."""
    for name in list(os.environ):
        if name.startswith("BACKSTAY_") and not name.startswith(SETTINGS_OF_THE_TESTS):
            monkeypatch.delenv(name)


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a fresh BACKSTAY_HOME that does not exist yet, set in the environment too.

    With ``BACKSTAY_TEST_CATALOGUE=postgresql`` its catalogue is in a database of a server.
    """
    folder = tmp_path / "home"
    monkeypatch.setenv("BACKSTAY_HOME", str(folder))
    if SHARED_CATALOGUES:
        use_database(monkeypatch, request.getfixturevalue("postgresql_database"))
    return folder
