"""What came of a restore, as JSON and in a sentence, for commands and pages alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstay.restore import RestoreReport, Rewritten


def report_json(report: RestoreReport) -> dict[str, Any]:
    """Return a report as plain JSON; bytes of names that are no text are written as escapes."""
    return {
        "target": plain(str(report.target)),
        "files": report.files,
        "bytes": report.bytes,
        "databases": {
            name: {"tables": len(summary.tables), "rows": summary.rows, "backups": dict(summary.backups)}
            for name, summary in report.databases.items()
        },
        "not_restored": list(report.not_restored),
        "configuration": configuration_json(report.configuration),
        "addresses": [list(pair) for pair in report.addresses],
        "replaced": {
            "files": {plain(path): count for path, count in report.replaced_in_files.items()},
            "databases": {name: dict(columns) for name, columns in report.replaced_in_databases.items()},
        },
        "window": report.window,
        "name": report.name,
        "kept_until": report.kept_until,
    }


def configuration_json(rewritten: tuple[Rewritten, ...]) -> dict[str, list[str]]:
    """Return what was changed in a site's configuration: file → names of its settings."""
    return {item.path: list(item.names) for item in rewritten}


def report_sentence(found: Mapping[str, Any]) -> str:
    """Return what `report_json` gave as a sentence."""
    parts = [f"{found['files']} entries"] if found["files"] or not found["databases"] else []
    parts += [f"{one['tables']} tables with {one['rows']} rows" for one in found["databases"].values()]
    kept = " What was replaced is kept, and can come back." if found["name"] else ""
    return f"{' and '.join(parts)} were brought back to {found['target']}.{kept}"


def plain(text: str) -> str:
    """Return a name of any bytes as text: those that are none become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
