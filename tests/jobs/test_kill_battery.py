"""Backups whose worker, whose server, or both are killed at any moment: each comes to a good end all the same.

A real server over a home, a real client that steps, and a real database. The worker makes what it has safe twenty times
a second here, so that what it takes up again may lie in the middle of anything.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstay.jobs import api_secret, open_installation, profile_of_site
from support.backups import make_files
from support.killing import Form, Ground, Watched, assert_whole
from support.mysql import MySQLServer
from support.serving import ServerProcess

pytestmark = pytest.mark.mysql

FORMS = [Form(name, part_size) for name in ("jpa", "jps", "zip") for part_size in (0, 4_000_000)]
Lasting = Callable[[Form], tuple[float, int]]
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
    (root / "alpha.bin").write_bytes(random.Random(1).randbytes(20_000_000))
    words = [f"{number:x} word of some text\n".encode() for number in range(5000)]
    (root / "zebra.txt").write_bytes(b"".join(random.Random(2).choices(words, k=1_000_000)))
    return root


def fill_database(server: MySQLServer, name: str) -> None:
    """Make some tables, one of them larger, and a view."""
    noise = random.Random(3)
    server.execute("CREATE TABLE a_small (id INT PRIMARY KEY, v VARCHAR(50)) ENGINE=InnoDB", name)
    server.execute("INSERT INTO a_small VALUES (1, 'it''s'), (2, NULL)", name)
    server.execute("CREATE TABLE posts (id INT PRIMARY KEY, body TEXT, image BLOB) ENGINE=InnoDB", name)
    with server.connect(name) as connection, connection.cursor() as cursor:
        rows = [(number, f"text {noise.random()} " * 8, noise.randbytes(40)) for number in range(20_000)]
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
        with ServerProcess(folder / "home", {"PYTHONPATH": str(folder)}) as server:
            yield Ground(installation, server, secret, profile.id, site, mysql_server, database)
    mysql_server.drop(database.name)


@pytest.fixture(scope="module")
def lasting(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Lasting:
    """Measure how many seconds an undisturbed backup takes, and how many borders it has; once for each form."""
    known: dict[Form, tuple[float, int]] = {}

    def measure(form: Form) -> tuple[float, int]:
        if form not in known:
            watched = ground.take(form, _watch)
            assert_whole(ground, watched, form, tmp_path_factory.mktemp("back") / "site")
            assert {"PackDB", "Packing", "finale"} <= set(watched.domains)
            known[form] = watched.seconds, len(watched.domains) - 1
        return known[form]

    return measure


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


def moments(seconds: float, number: int, chance: random.Random) -> list[float]:
    """Return random moments of a backup, one in each of as many equal pieces of its time."""
    return [seconds * (place + chance.random()) / number for place in range(number)]


# ---------------------------------------------------------------------- the tests

SAMPLED = [
    pytest.param(FORMS[place % len(FORMS)], victim, place, id=f"{FORMS[place % len(FORMS)]}-{victim}-{place}")
    for place, victim in enumerate(
        ["worker", "both", "worker", "server", "worker", "both", "worker", "border", "server", "worker"]
    )
]


def disturbance(ground: Ground, victim: str, moment: float, chance: random.Random) -> Callable[[Watched], None]:
    """Return what does harm to a backup at a moment."""
    if victim == "worker":
        return kill_worker(moment, chance)
    return kill_server(ground, moment, chance) if victim == "server" else kill_both(ground, moment, chance)


@pytest.mark.parametrize(("form", "victim", "place"), SAMPLED)
def test_a_backup_that_is_killed_at_a_random_moment_comes_to_a_good_end(
    ground: Ground, lasting: Lasting, tmp_path: Path, form: Form, victim: str, place: int
) -> None:
    seconds, borders = lasting(FORMS[0])
    chance = random.Random(place)
    moment = moments(seconds, len(SAMPLED), chance)[place]
    disturb = kill_at_border(borders - 1) if victim == "border" else disturbance(ground, victim, moment, chance)
    assert_whole(ground, ground.take(form, disturb), form, tmp_path / "back")


def whole_after_each(ground: Ground, form: Form, target: Path, disturbances: list[Callable[[Watched], None]]) -> int:
    """Take a backup with each disturbance, of which each must be whole; return how many killed a worker."""
    killed = 0
    for number, disturb in enumerate(disturbances):
        watched = ground.take(form, disturb)
        assert_whole(ground, watched, form, target / str(number))
        killed += watched.killed > 0
    return killed


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize(("victim", "number"), [("worker", 30), ("server", 6), ("both", 6)])
def test_a_backup_that_is_killed_at_any_moment_comes_to_a_good_end(
    ground: Ground, lasting: Lasting, tmp_path: Path, form: Form, victim: str, number: int
) -> None:
    seconds, _borders = lasting(form)
    chance = random.Random(f"{form} {victim}")
    disturbances = [disturbance(ground, victim, moment, chance) for moment in moments(seconds, number, chance)]
    killed = whole_after_each(ground, form, tmp_path, disturbances)
    # The last moments may lie behind the end of a backup that was quicker than the one that was measured.
    assert killed >= number * 2 // 3 or victim == "server"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_backup_that_is_killed_at_any_border_of_its_domains_comes_to_a_good_end(
    ground: Ground, lasting: Lasting, tmp_path: Path, form: Form
) -> None:
    _seconds, borders = lasting(form)
    disturbances = [kill_at_border(border, later) for border in range(borders + 1) for later in (0, 0.003, 0.02)]
    assert whole_after_each(ground, form, tmp_path, disturbances) >= len(disturbances) * 2 // 3
