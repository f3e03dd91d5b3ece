"""The dashboard and the alert rules of docs/monitoring ask for metrics that exist, in queries that Prometheus takes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml  # type: ignore[import-untyped]  # two calls need no stubs

from backstay.server.metrics import METRICS
from support.missing import skip_or_fail
from support.mysql import find_program

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "monitoring"
OF_EVERY_PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}
NAME = re.compile(r"\b(?:backstay|process)_\w+")


def alerts() -> Iterator[str]:
    """Give the query of each alert."""
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def panels() -> Iterator[str]:
    """Give the queries of the dashboard, with a value in the place of each variable."""
    for panel in json.loads((FOLDER / "grafana.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")


def test_every_metric_that_is_asked_for_exists() -> None:
    known = OF_EVERY_PROCESS | {metric.exposed_name for metric in METRICS}
    asked = [name for query in (*alerts(), *panels()) for name in NAME.findall(query)]
    assert len(asked) > 30
    assert set(asked) <= known


def test_prometheus_takes_the_queries(tmp_path: Path) -> None:
    promtool = find_program("promtool")
    if promtool is None:
        skip_or_fail("no promtool on PATH (Debian: prometheus)")
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(panels())]
    written = tmp_path / "panels.yml"
    written.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    command = [promtool, "check", "rules", str(written), str(FOLDER / "alerts.yml")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
