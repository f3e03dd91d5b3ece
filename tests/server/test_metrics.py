"""The page ``/metrics``: who may read it, what it says, and that Prometheus understands it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from backstay.catalogue import Connection, NamedDestination, NewSite, Profile, Site
from backstay.catalogue.schema import alarms, deliveries, recipients, runs, schedules
from backstay.jobs import lock
from backstay.jobs.installation import Installation
from backstay.server.metrics import METRICS, exposition, gather
from backstay.server.request_counts import RequestCounts
from server.driving import ALL, Driven
from support.missing import skip_or_fail
from support.mysql import find_program

BEGUN = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
HOSTILE = 'a"} 1\nb{x="\\' + "é" * 1000 + "\udcff"

_BLANK: dict[type, Any] = {str: "", int: 0, bool: False, bytes: b"", datetime: BEGUN}
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def values_of(text: str) -> Values:
    """Give every sample of a page by its name and labels, read by the parser of Prometheus' own library."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(values: Values, name: str, /, **labels: str) -> float:
    return values[name, tuple(sorted(labels.items()))]


def page(server: Driven, credentials: str) -> Any:
    return server.http.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {credentials}"})


def collected(installation: Installation) -> str:
    return exposition(gather(installation, RequestCounts(), 0)).decode()


def add_backup(installation: Installation, profile: int, hours: float, status: str, **columns: Any) -> int:
    """Put a record into the catalogue that began some hours after the first moment and took ten minutes."""
    begun = BEGUN + timedelta(hours=hours)
    made = installation.catalogue.backups.create(profile_id=profile, backupstart=begun, type="full")
    ended = {} if status == "run" else {"backupend": begun + timedelta(minutes=10)}
    installation.catalogue.backups.update(made.id, status=status, **ended, **columns)
    return made.id


def add_rows(installation: Installation, table: sqlalchemy.Table, *rows: Mapping[str, Any]) -> None:
    """Put rows into a table; columns that they leave open and that must not be empty get something of their type."""
    needed = [column for column in table.columns if not column.nullable and not column.primary_key]
    blank = {column.name: _BLANK.get(_kind(column), {}) for column in needed}
    engine = sqlalchemy.create_engine(f"sqlite:///{installation.home.catalogue}")
    with engine.begin() as connection:
        connection.execute(insert(table), [{**blank, **row} for row in rows])
    engine.dispose()


def _kind(column: sqlalchemy.Column[Any]) -> type:
    kind = column.type
    return kind.impl_instance.python_type if isinstance(kind, sqlalchemy.TypeDecorator) else kind.python_type


def test_who_may_read_it(server: Driven) -> None:
    assert server.http.get(f"{server.url}/metrics").status_code == 401
    assert page(server, "bst_wrong").status_code == 401
    assert page(server, server.token(*ALL)).status_code == 403
    assert server.http.post(f"{server.url}/metrics").status_code == 405
    secret = server.http.get(f"{server.url}/metrics", headers={"X-Akeeba-Auth": server.secret})
    token = server.token("metrics")
    answer = page(server, token)
    assert (secret.status_code, answer.status_code) == (200, 200)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.headers["cache-control"] == "no-store"
    assert server.secret not in answer.text
    assert token not in answer.text


def test_the_requests_of_the_server_are_counted(server: Driven) -> None:
    token = server.token("metrics")
    server.v2("getVersion")
    server.v2("getVersion")
    server.v3("nope")
    server.http.get(f"{server.url}/api/v3/akeebabackup/getVersion", headers={"X-Akeeba-Auth": "wrong"})
    server.http.get(f"{server.url}/no/such/page")
    values = values_of(page(server, token).text)
    assert of(values, "backstay_http_requests_total", route="v2", status="200") == 2
    assert of(values, "backstay_http_requests_total", route="v3", status="405") == 1
    assert of(values, "backstay_http_requests_total", route="unknown", status="404") == 1
    assert of(values, "backstay_http_request_duration_seconds_count", route="v2") == 2
    assert of(values, "backstay_http_request_duration_seconds_sum", route="v2") > 0
    assert of(values, "backstay_failed_logins_total") == 1
    assert of(values, "process_resident_memory_bytes") > 0


def test_it_tells_what_the_catalogue_holds(installation: Installation) -> None:
    catalogue = installation.catalogue
    shop = catalogue.profiles.create(Profile(0, HOSTILE)).id
    old = catalogue.profiles.create(Profile(0, "gone")).id
    add_backup(installation, shop, 24, "complete", total_size=500, warning_count=3)
    # Made later, of an earlier moment, as an import from a storage makes it.
    first = add_backup(installation, shop, 0, "complete", total_size=400)
    add_backup(installation, shop, 48, "fail")
    running = add_backup(installation, shop, 49, "run")
    add_backup(installation, 1, 49, "run")
    add_backup(installation, old, 1, "complete")
    catalogue.profiles.delete(old)
    catalogue.destinations.create(NamedDestination(0, "offsite", "file:/x", {}, BEGUN))
    catalogue.copies.create(first, "offsite", created=BEGUN, state="stored", sent_at=BEGUN + timedelta(hours=3))
    paused = (False, False, True)
    add_rows(installation, schedules, *[{"profile_id": 1, "at": "@daily", "paused": value} for value in paused])
    add_rows(
        installation,
        runs,
        {"schedule_id": 1, "due": BEGUN, "state": "done"},
        {"schedule_id": 1, "due": BEGUN + timedelta(hours=1), "state": "waiting"},
        {"schedule_id": 1, "due": BEGUN + timedelta(hours=2), "state": "waiting"},
    )
    add_rows(
        installation,
        alarms,
        {"kind": "failed", "subject": "1", "closed": None, "acknowledged": None},
        {"kind": "late", "subject": "1", "closed": None, "acknowledged": BEGUN},
        {"kind": "late", "subject": "2", "closed": BEGUN, "acknowledged": None},
    )
    add_rows(installation, recipients, {"name": "ops"})
    add_rows(
        installation,
        deliveries,
        {"recipient_id": 1, "event": "a", "next_attempt": BEGUN, "delivered": None},
        {"recipient_id": 1, "event": "b", "next_attempt": None, "delivered": BEGUN},
    )
    with lock.tried(installation.home.job(running)):
        values = values_of(collected(installation))

    name = HOSTILE.encode("utf-8", "backslashreplace").decode()[:100]
    profile = {"profile": str(shop), "name": name}
    ended = (BEGUN + timedelta(hours=24, minutes=10)).timestamp()
    assert of(values, "backstay_backup_last_success_timestamp_seconds", **profile) == ended
    assert of(values, "backstay_backup_last_success_duration_seconds", **profile) == 600
    assert of(values, "backstay_backup_last_success_size_bytes", **profile) == 500
    assert of(values, "backstay_backup_last_success_warnings", **profile) == 3
    failed = (BEGUN + timedelta(hours=48, minutes=10)).timestamp()
    assert of(values, "backstay_backup_last_failure_timestamp_seconds", **profile) == failed
    successes = [key for key in values if key[0] == "backstay_backup_last_success_timestamp_seconds"]
    assert len(successes) == 1, "a profile that is gone or has no backup has no moment"
    assert of(values, "backstay_profiles") == 2
    assert of(values, "backstay_backups", status="complete") == 3
    assert of(values, "backstay_backups", status="fail") == 1
    assert (of(values, "backstay_backups_running"), of(values, "backstay_backups_waiting")) == (1, 1)
    assert of(values, "backstay_copies", storage="offsite", state="stored") == 1
    assert of(values, "backstay_copies", storage="offsite", state="failed") == 0
    arrived = (BEGUN + timedelta(hours=3)).timestamp()
    assert of(values, "backstay_copy_last_stored_timestamp_seconds", storage="offsite") == arrived
    assert (of(values, "backstay_schedules", state="active"), of(values, "backstay_schedules", state="paused")) == (
        2,
        1,
    )
    assert [of(values, "backstay_runs", state=state) for state in ("waiting", "running")] == [2, 0]
    due = (BEGUN + timedelta(hours=1)).timestamp()
    assert of(values, "backstay_run_oldest_waiting_timestamp_seconds") == due
    assert of(values, "backstay_alarms_open", kind="failed") == 1
    assert [of(values, "backstay_alarms_open", kind="late"), of(values, "backstay_workers")] == [0, 0]
    assert of(values, "backstay_alarms_acknowledged", kind="late") == 1
    assert of(values, "backstay_notifications_pending") == 1
    assert of(values, "backstay_home_size_bytes") >= of(values, "backstay_home_free_bytes") > 0


def test_every_metric_of_the_table_is_on_the_page(installation: Installation) -> None:
    names = {family.name for family in text_string_to_metric_families(collected(installation))}
    for metric in METRICS:
        assert {metric.name, metric.exposed_name} & names, metric.name


def test_a_catalogue_that_cannot_be_read(server: Driven) -> None:
    token = server.token("metrics")
    assert page(server, token).status_code == 200
    with sqlalchemy.create_engine(f"sqlite:///{server.installation.home.catalogue}").begin() as connection:
        connection.execute(sqlalchemy.text("ALTER TABLE backups RENAME TO lost"))
    answer = page(server, token)
    assert answer.status_code == 503
    assert str(server.installation.home.path) not in answer.text


def test_promtool_has_nothing_to_say(installation: Installation) -> None:
    promtool = find_program("promtool")
    if promtool is None:
        skip_or_fail("no promtool on PATH (Debian: prometheus)")
    add_backup(installation, 1, 0, "complete")
    facts = gather(installation, RequestCounts(), 0)
    facts.requests.add("v2", 200, 0.1)
    ours = b"".join(
        line for line in exposition(facts).splitlines(keepends=True) if b"process_" not in line
    )  # the library's own have conventions of their own
    result = subprocess.run([promtool, "check", "metrics"], input=ours, capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_sites_are_counted_by_state_and_their_runs_by_theirs(installation: Installation) -> None:
    for name in ("shop", "blog"):
        site = Site(0, name, "remote", 0, BEGUN, paused=name == "blog")
        installation.catalogue.sites.create(NewSite(site, Connection("a secret", {}), Profile(0, name)))
    shop = installation.catalogue.sites.get("shop")
    installation.catalogue.remote_runs.queue(shop.profile_id, BEGUN, request={})
    values = values_of(collected(installation))
    assert of(values, "backstay_sites", state="never") == 1
    assert of(values, "backstay_sites", state="paused") == 1
    assert of(values, "backstay_sites", state="failing") == 0
    assert of(values, "backstay_remote_runs", state="waiting") == 1
    assert of(values, "backstay_remote_runs", state="running") == 0
    assert of(values, "backstay_remote_run_oldest_waiting_timestamp_seconds") == BEGUN.timestamp()
