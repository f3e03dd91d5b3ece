"""Backups whose worker, whose server, or both are killed at any moment: each comes to a good end all the same.

So does one whose worker loses the processes that it has started.

A real server over a home, a real client that steps, and a real database. The worker makes what it has safe twenty times
a second here, so that what it takes up again may lie in the middle of anything.
"""

from __future__ import annotations

import functools
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstay.jobs.installation import api_secret, open_installation
from backstay.jobs.profiles import profile_of_site
from support.backups import make_files
from support.killing import Form, Ground, Watched, assert_whole
from support.mysql import MySQLServer
from support.serving import ServerProcess

pytestmark = pytest.mark.mysql

FORMS = [Form(name, part_size) for name in ("jpa", "jps", "zip") for part_size in (0, 2_000_000)]
# What Python runs first in each process; it must cost the server nothing.
SITE_CUSTOMIZE = """
import sys
if "backstay.jobs.worker" in sys.orig_argv:
    from backstay.engine import run
    assert run._CHECKPOINT_SECONDS
    run._CHECKPOINT_SECONDS = 0.05
"""


def make_site(root: Path) -> Path:
    """Make a site of some hundred files, one large one that does not shrink, and one that does."""
    make_files(root, count=300, size=1000)
    (root / "alpha.bin").write_bytes(random.Random(1).randbytes(8_000_000))
    words = [f"{number:x} word of some text\n".encode() for number in range(5000)]
    (root / "zebra.txt").write_bytes(b"".join(random.Random(2).choices(words, k=300_000)))
    return root


def fill_database(server: MySQLServer, name: str) -> None:
    """Make some tables, one of them larger, and a view."""
    noise = random.Random(3)
    server.execute("CREATE TABLE a_small (id INT PRIMARY KEY, v VARCHAR(50)) ENGINE=InnoDB", name)
    server.execute("INSERT INTO a_small VALUES (1, 'it''s'), (2, NULL)", name)
    server.execute("CREATE TABLE posts (id INT PRIMARY KEY, body TEXT, image BLOB) ENGINE=InnoDB", name)
    with server.connect(name) as connection, connection.cursor() as cursor:
        rows = [(number, f"text {noise.random()} " * 8, noise.randbytes(40)) for number in range(8_000)]
        cursor.executemany("INSERT INTO posts VALUES (%s, %s, %s)", rows)
        connection.commit()
    server.execute("CREATE VIEW titles AS SELECT id, LEFT(body, 10) AS title FROM posts", name)


@pytest.fixture(scope="module")
def ground(mysql_server: MySQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A site with a database, and a running server."""
    folder = tmp_path_factory.mktemp("killing")
    (folder / "sitecustomize.py").write_text(SITE_CUSTOMIZE)
    site = make_site(folder / "site")
    database = mysql_server.create("backstay_test_killing")
    fill_database(mysql_server, database.name)
    with open_installation(folder / "home") as installation:
        profile = profile_of_site(installation, site, database.url())
        secret = api_secret(installation)
        path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        with ServerProcess(folder / "home", {"PYTHONPATH": path}) as server:
            yield Ground(installation, server, secret, profile.id, site, mysql_server, database)
    mysql_server.drop(database.name)


class Course:
    """How an undisturbed backup goes.

    Attributes:
        seconds: how long it takes from the client's call to its end.
        borders: how often the domain that is told changes.
    """

    def __init__(self, ground: Ground, form: Form, target: Path) -> None:
        watched = ground.take(form, _watch)
        assert_whole(ground, watched, form, target)
        assert {"PackDB", "Packing", "finale"} <= set(watched.domains)
        self.seconds = watched.seconds
        self.borders = len(watched.domains) - 1


@pytest.fixture(scope="module")
def course(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Form], Course]:
    """Watch how a backup goes, once for each form."""
    return functools.cache(lambda form: Course(ground, form, tmp_path_factory.mktemp("back") / "site"))


def _watch(watched: Watched) -> None:
    watched.wait_for_start()
    while watched.wait_for_border(len(watched.domains)):
        pass


# ---------------------------------------------------------------------- who is killed


def kill_worker(seconds: float, chance: random.Random) -> Callable[[Watched], None]:
    """Kill the worker so many seconds after the start; sometimes the one that takes it up again too."""

    def disturb(watched: Watched) -> None:
        watched.wait_for_start()
        _sleep_until(watched.begun + seconds)
        killed = watched.kill_worker()
        while killed and chance.random() < 0.3:
            time.sleep(chance.uniform(0, seconds))
            killed = watched.kill_worker()

    return disturb


def kill_server(ground: Ground, seconds: float, chance: random.Random) -> Callable[[Watched], None]:
    """Kill the server so many seconds after the client called, and start it again a little later."""

    def disturb(watched: Watched) -> None:
        _sleep_until(watched.begun + seconds)
        ground.server.kill()
        time.sleep(chance.choice((0, 0.3)))
        ground.server.start()

    return disturb


def kill_both(ground: Ground, seconds: float, chance: random.Random) -> Callable[[Watched], None]:
    """Kill the server and the worker so many seconds after the start, the one or the other first."""

    def disturb(watched: Watched) -> None:
        watched.wait_for_start()
        _sleep_until(watched.begun + seconds)
        first, second = chance.sample([ground.server.kill, watched.kill_worker], 2)
        first()
        second()
        ground.server.start()
        # A server that has come back has taken up what had died, though no client stepped.
        assert watched.is_taken_up()

    return disturb


def kill_helpers(seconds: float, chance: random.Random) -> Callable[[Watched], None]:
    """Kill a process that the worker has started, so many seconds after the start, and then some others."""

    def disturb(watched: Watched) -> None:
        watched.wait_for_start()
        _sleep_until(watched.begun + seconds)
        for _number in range(4):
            watched.kill_helper(chance)
            time.sleep(chance.uniform(0, 0.1))

    return disturb


def kill_at_border(number: int, later: float = 0) -> Callable[[Watched], None]:
    """Kill the worker when the domain that is told has changed so often, or some seconds later."""

    def disturb(watched: Watched) -> None:
        watched.wait_for_start()
        watched.wait_for_border(number)
        time.sleep(later)
        watched.kill_worker()

    return disturb


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def moments(number: int, chance: random.Random) -> list[float]:
    """Return random moments of a backup, each a fraction of its time, one in each of as many equal pieces of it."""
    return [(place + chance.random()) / number for place in range(number)]


# ---------------------------------------------------------------------- the tests

SAMPLED = [
    pytest.param(FORMS[place % len(FORMS)], victim, place, id=f"{FORMS[place % len(FORMS)]}-{victim}-{place}")
    for place, victim in enumerate(
        ["worker", "both", "worker", "server", "worker", "both", "helpers", "border", "server", "worker"]
    )
]


def disturbance(ground: Ground, victim: str, seconds: float, chance: random.Random) -> Callable[[Watched], None]:
    """Return what does harm to a backup so many seconds after the client called."""
    if victim in ("worker", "helpers"):
        return kill_worker(seconds, chance) if victim == "worker" else kill_helpers(seconds, chance)
    return kill_server(ground, seconds, chance) if victim == "server" else kill_both(ground, seconds, chance)


@pytest.mark.parametrize(("form", "victim", "place"), SAMPLED)
def test_a_backup_that_is_killed_at_a_random_moment_comes_to_a_good_end(
    ground: Ground, course: Callable[[Form], Course], tmp_path: Path, form: Form, victim: str, place: int
) -> None:
    undisturbed = course(FORMS[0])
    chance = random.Random(place)
    moment = undisturbed.seconds * moments(len(SAMPLED), chance)[place]
    at_border = kill_at_border(undisturbed.borders - 1)
    disturb = at_border if victim == "border" else disturbance(ground, victim, moment, chance)
    assert_whole(ground, ground.take(form, disturb), form, tmp_path / "back")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize(("victim", "number"), [("worker", 30), ("server", 6), ("both", 6), ("helpers", 6)])
def test_a_backup_that_is_killed_at_any_moment_comes_to_a_good_end(
    ground: Ground,
    course: Callable[[Form], Course],
    tmp_path: Path,
    form: Form,
    victim: str,
    number: int,
) -> None:
    undisturbed = course(form)
    chance = random.Random(f"{form} {victim}")
    for place, moment in enumerate(moments(number, chance)):
        killed = False
        while not killed:
            watched = ground.take(form, disturbance(ground, victim, moment * undisturbed.seconds, chance))
            assert_whole(ground, watched, form, tmp_path / f"{place}-{watched.backup_id}")
            killed = victim in ("server", "helpers") or watched.killed > 0
            if not killed:
                # It was quicker than the one that was measured: its end came first.
                undisturbed.seconds = min(undisturbed.seconds, watched.seconds) * 0.95


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_backup_that_is_killed_at_any_border_of_its_domains_comes_to_a_good_end(
    ground: Ground, course: Callable[[Form], Course], tmp_path: Path, form: Form
) -> None:
    borders = course(form).borders
    killed = 0
    for border in range(borders + 1):
        for later in (0, 0.003, 0.02):
            watched = ground.take(form, kill_at_border(border, later))
            assert_whole(ground, watched, form, tmp_path / f"{border}-{later}")
            killed += watched.killed
    # At the last one the process has little left to do.
    assert killed >= 3 * borders - 3
