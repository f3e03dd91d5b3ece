"""Logs as JSON: one object a line, whatever is in it."""

from __future__ import annotations

import json
import logging

from backstay.jobs.process_log import JsonFormatter


def test_a_line_is_one_object_with_its_fields() -> None:
    record = logging.LogRecord("backstay.server", logging.INFO, __file__, 1, "%s ends\nhere \udcff", ("name",), None)
    record.fields = {"status": 200, "path": "/a\u2028b"}
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "INFO",
        "logger": "backstay.server",
        "message": "name ends\nhere \udcff",
        "status": 200,
        "path": "/a\u2028b",
    }


def test_a_bug_brings_its_traceback() -> None:
    error = ValueError("a\nb")
    record = logging.LogRecord("backstay", logging.ERROR, __file__, 1, "a bug", (), (ValueError, error, None))
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "ValueError: a\nb" in json.loads(line)["exception"]
