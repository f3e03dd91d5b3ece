"""Write ``docs/reference/metrics.md`` from the table of metrics; ``--check`` only tells whether it is up to date."""

from __future__ import annotations

import sys

from backstay.server.health import LEAST_SPACE
from backstay.server.metrics import METRICS, Metric
from reference_page import write_or_check

HEAD = f"""# Metrics and health

Three pages of the server are for monitors, under any path in front, as the API is. How they are used is said in
[watch the server](../how-to/watch-the-server.md).

* `/healthz`, for everyone: 200 as long as the server answers at all.
* `/readyz`, for everyone: 200 where the server can work; 503 with the reasons where the catalogue can't be read, its
  disk has less than {LEAST_SPACE >> 20} MiB free, or no process does what is scheduled; the last is not asked where the
  setting `server.worker` is off.
* `/metrics`, with a token of the scope `metrics` (`Authorization: Bearer`) or the secret word (`X-Akeeba-Auth`): the
  metrics below, in the text format of Prometheus. Others get 401 or 403.

## Metrics

Profiles have two labels: `profile` is their number, `name` the first 100 characters of what they are called. A profile
without a complete backup has no `backstay_backup_last_success_…`. Moments are seconds since 1970, as Prometheus has
them.

| Name | Kind | Labels | What it is |
|---|---|---|---|
"""

TAIL = """
Besides, `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_open_fds` and their like tell of the
server's own process, where the system tells.
"""


def main() -> int:
    """Write the page, or say whether it is up to date; gives the exit code."""
    return write_or_check("metrics.md", HEAD + "".join(row(metric) for metric in METRICS) + TAIL)


def row(metric: Metric) -> str:
    """Give the row of a metric."""
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    kind = "gauge" if metric.kind == "info" else metric.kind
    return f"| `{metric.exposed_name}` | {kind} | {labels} | {metric.help}. |\n"


if __name__ == "__main__":
    sys.exit(main())
