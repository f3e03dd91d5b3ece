"""What is measured for Prometheus: the table of metrics, and the text that shows them.

Names and units follow the conventions of Prometheus (prometheus.io/docs/practices/naming). The text of the page is
written by ``prometheus_client``, which escapes whatever a profile or a storage is called.
"""

from __future__ import annotations

import platform
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from backstay.catalogue.figures import Figures, LastBackup
from backstay.fleet.overview import current_sites
from backstay.fleet.standing import STATES as SITE_STATES
from backstay.jobs import lock
from backstay.jobs.installation import Installation
from backstay.notifications.model import PROBLEMS
from backstay.queue import members
from backstay.server.request_counts import RequestCounts
from backstay.version import __version__

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

_LONGEST_LABEL = 100
Kind = Literal["gauge", "counter", "summary", "info"]
Sample = tuple[tuple[str, ...], float | tuple[int, float]]
"""Values of the labels, in order, and the value; of a summary the number of observations and their sum."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything in the metrics.

    Attributes:
        figures: of the catalogue.
        running: number of backups with a living process.
        waiting: number of backups without one that are to get one.
        workers: number of processes that do what is scheduled.
        sites: how many sites are in each state; none where there is no site.
        remote_runs: backups of remote sites that have not ended, by state.
        oldest_remote_run: when the one that has waited longest was asked for; None: none waits.
        disk_free, disk_size: bytes of the disk that holds the home.
        requests: answered since the server started.
        failed_logins: wrong credentials since then.
    """

    figures: Figures
    running: int
    waiting: int
    workers: int
    sites: Mapping[str, int]
    remote_runs: Mapping[str, int]
    oldest_remote_run: datetime | None
    disk_free: int
    disk_size: int
    requests: RequestCounts
    failed_logins: int


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table.

    Attributes:
        name: without what the kind adds: ``_total`` of a counter, ``_info``.
        kind: of Prometheus.
        help: what it says, one sentence without full stop.
        labels: names, in the order of the values.
        samples: finds the values.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    samples: Callable[[Facts], Iterable[Sample]]

    @property
    def exposed_name(self) -> str:
        """The name in queries."""
        return self.name + {"counter": "_total", "info": "_info"}.get(self.kind, "")


def _label(text: str) -> str:
    """Return a text that a label may have: encodable, and not so long that it makes every scrape large."""
    return text.encode("utf-8", "backslashreplace").decode()[:_LONGEST_LABEL]


def _of_profiles(value: Callable[[LastBackup], float]) -> Callable[[Facts], Iterator[Sample]]:
    def samples(facts: Facts) -> Iterator[Sample]:
        for profile in facts.figures.profiles:
            if profile.last_success is not None:
                yield (str(profile.id), _label(profile.name)), value(profile.last_success)

    return samples


def _last_failures(facts: Facts) -> Iterator[Sample]:
    for profile in facts.figures.profiles:
        if profile.last_failure is not None:
            yield (str(profile.id), _label(profile.name)), profile.last_failure.timestamp()


def _copies(facts: Facts) -> Iterator[Sample]:
    for destination in facts.figures.destinations:
        for state in ("sending", "stored", "failed", "deleting"):
            yield (_label(destination.name), state), destination.copies.get(state, 0)


def _last_copies(facts: Facts) -> Iterator[Sample]:
    for destination in facts.figures.destinations:
        if destination.last_stored is not None:
            yield (_label(destination.name),), destination.last_stored.timestamp()


def _by_name(counts: Mapping[str, int], *always: str) -> Iterator[Sample]:
    for name in sorted({*counts, *always}):
        yield (name,), counts.get(name, 0)


def _moment(value: datetime | None) -> Iterator[Sample]:
    if value is not None:
        yield (), value.timestamp()


_PROFILE = ("profile", "name")

METRICS = (
    Metric(
        "backstay_backup_last_success_timestamp_seconds",
        "gauge",
        "When the newest complete backup of a profile ended",
        _PROFILE,
        _of_profiles(lambda last: last.ended.timestamp()),
    ),
    Metric(
        "backstay_backup_last_success_duration_seconds",
        "gauge",
        "How long the newest complete backup of a profile took, its waiting included",
        _PROFILE,
        _of_profiles(lambda last: (last.ended - last.started).total_seconds()),
    ),
    Metric(
        "backstay_backup_last_success_size_bytes",
        "gauge",
        "Size of the archive of the newest complete backup of a profile",
        _PROFILE,
        _of_profiles(lambda last: last.size),
    ),
    Metric(
        "backstay_backup_last_success_warnings",
        "gauge",
        "Warnings of the newest complete backup of a profile",
        _PROFILE,
        _of_profiles(lambda last: last.warnings),
    ),
    Metric(
        "backstay_backup_last_failure_timestamp_seconds",
        "gauge",
        "When the newest failed backup of a profile ended",
        _PROFILE,
        _last_failures,
    ),
    Metric("backstay_profiles", "gauge", "Profiles", (), lambda facts: [((), len(facts.figures.profiles))]),
    Metric(
        "backstay_backups",
        "gauge",
        "Records of backups by status; a number falls when records are deleted",
        ("status",),
        lambda facts: _by_name(facts.figures.backups, "complete", "fail", "run"),
    ),
    Metric("backstay_backups_running", "gauge", "Backups that run", (), lambda facts: [((), facts.running)]),
    Metric(
        "backstay_backups_waiting",
        "gauge",
        "Backups that wait for others to end, and go on by themselves",
        (),
        lambda facts: [((), facts.waiting)],
    ),
    Metric(
        "backstay_copies",
        "gauge",
        "Copies of backups at a storage by state",
        ("storage", "state"),
        _copies,
    ),
    Metric(
        "backstay_copy_last_stored_timestamp_seconds",
        "gauge",
        "When the newest copy at a storage had arrived",
        ("storage",),
        _last_copies,
    ),
    Metric(
        "backstay_workers",
        "gauge",
        "Processes that do what is scheduled: servers and workers over this home",
        (),
        lambda facts: [((), facts.workers)],
    ),
    Metric(
        "backstay_sites",
        "gauge",
        "Sites by state",
        ("state",),
        lambda facts: _by_name(facts.sites, *SITE_STATES),
    ),
    Metric(
        "backstay_remote_runs",
        "gauge",
        "Backups of remote sites that have not ended, by state",
        ("state",),
        lambda facts: _by_name(facts.remote_runs, "waiting", "running"),
    ),
    Metric(
        "backstay_remote_run_oldest_waiting_timestamp_seconds",
        "gauge",
        "When the backup of a remote site that has waited longest was asked for; absent where none waits",
        (),
        lambda facts: _moment(facts.oldest_remote_run),
    ),
    Metric(
        "backstay_schedules",
        "gauge",
        "Schedules by state",
        ("state",),
        lambda facts: zip((("active",), ("paused",)), facts.figures.schedules, strict=True),
    ),
    Metric(
        "backstay_runs",
        "gauge",
        "Runs of schedules that have not ended, by state",
        ("state",),
        lambda facts: _by_name(facts.figures.runs, "waiting", "running"),
    ),
    Metric(
        "backstay_run_oldest_waiting_timestamp_seconds",
        "gauge",
        "When the run of a schedule that has waited longest was due; absent where none waits",
        (),
        lambda facts: _moment(facts.figures.oldest_run),
    ),
    Metric(
        "backstay_alarms_open",
        "gauge",
        "Open alarms by kind, without those that were acknowledged",
        ("kind",),
        lambda facts: _by_name(facts.figures.alarms, *PROBLEMS),
    ),
    Metric(
        "backstay_alarms_acknowledged",
        "gauge",
        "Alarms that were acknowledged and are not closed, by kind",
        ("kind",),
        lambda facts: _by_name(facts.figures.acknowledged_alarms, *PROBLEMS),
    ),
    Metric(
        "backstay_notifications_pending",
        "gauge",
        "Notifications that are still to be delivered",
        (),
        lambda facts: [((), facts.figures.deliveries)],
    ),
    Metric(
        "backstay_home_free_bytes",
        "gauge",
        "Free space of the disk that holds BACKSTAY_HOME",
        (),
        lambda facts: [((), facts.disk_free)],
    ),
    Metric(
        "backstay_home_size_bytes",
        "gauge",
        "Size of the disk that holds BACKSTAY_HOME",
        (),
        lambda facts: [((), facts.disk_size)],
    ),
    Metric(
        "backstay_http_requests",
        "counter",
        "Requests answered since the server started: by version of the API or kind of page, and by status: that of the "
        "API's reply where there is one, else HTTP's",
        ("route", "status"),
        lambda facts: facts.requests.by_status(),
    ),
    Metric(
        "backstay_http_request_duration_seconds",
        "summary",
        "How long requests took; stepBackup waits for news for up to a second",
        ("route",),
        lambda facts: facts.requests.durations(),
    ),
    Metric(
        "backstay_failed_logins",
        "counter",
        "Wrong secret words and tokens since the server started",
        (),
        lambda facts: [((), facts.failed_logins)],
    ),
    Metric(
        "backstay_build",
        "info",
        "Version of Backstay and of Python",
        ("version", "python"),
        lambda _: [((__version__, platform.python_version()), 1)],
    ),
)


def gather(installation: Installation, requests: RequestCounts, failed_logins: int) -> Facts:
    """Look at everything that is measured.

    Raises:
        BackstayError: the catalogue cannot be read.
    """
    figures = installation.catalogue.figures.read()
    running = {number for number in figures.unfinished if lock.is_alive(installation.home.job(number))}
    waiting = set(figures.unfinished) - running - installation.catalogue.jobs.paused()
    remote = installation.catalogue.remote_runs.open()
    disk = shutil.disk_usage(installation.home.path)
    return Facts(
        figures=figures,
        running=len(running),
        waiting=len(waiting),
        workers=members.living(installation),
        sites={str(state): count for state, count in current_sites(installation).counts.items()},
        remote_runs=Counter(one.state for one in remote),
        oldest_remote_run=min((one.created for one in remote if one.state == "waiting"), default=None),
        disk_free=disk.free,
        disk_size=disk.total,
        requests=requests,
        failed_logins=failed_logins,
    )


def exposition(facts: Facts) -> bytes:
    """Return the text of the page, with the processor time and memory of this process besides."""
    # Imported here: a server that nobody scrapes does without.
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    class Collector:
        def collect(self) -> Iterator[Family]:
            return (_family(metric, facts) for metric in METRICS)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _family(metric: Metric, facts: Facts) -> Family:
    from prometheus_client.metrics_core import Metric as Family

    family = Family(metric.name, metric.help, metric.kind)
    for values, value in metric.samples(facts):
        labels = dict(zip(metric.labels, values, strict=True))
        if isinstance(value, tuple):
            family.add_sample(f"{metric.name}_count", labels, value[0])
            family.add_sample(f"{metric.name}_sum", labels, value[1])
        else:
            family.add_sample(metric.exposed_name, labels, value)
    return family
