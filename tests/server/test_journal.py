"""What is changed through the API stands in the journal."""

from __future__ import annotations

from pathlib import Path

from backstay.api.methods import METHODS
from backstay.catalogue import JournalSearch
from backstay.server.dispatch import changes
from server.driving import driven


def test_the_methods_that_change_something_are_noted() -> None:
    assert {method.name for method in METHODS if method.offered and changes(method)} == {
        "startBackup",
        "delete",
        "deleteFiles",
        "importConfiguration",
        "saveConfiguration",
        "saveProfile",
        "deleteProfile",
        "setDBFilter",
        "setRegexDBFilter",
        "setFSFilter",
        "setRegexFSFilter",
        "setIncludedDirectory",
        "removeIncludedDirectory",
        "setIncludedDB",
        "removeIncludedDB",
    }


def test_a_call_is_noted_with_who_made_it_and_from_where(home: Path) -> None:
    with driven(home) as server:
        token = server.token("configure", name="ci")
        connection = {"driver": "mysqli", "host": "db", "password": "hunter2hunter2", "user": "u", "database": "d"}
        connection |= {"prefix": "p_"}
        calls = (("saveProfile", {"profile": 1, "description": "Shop"}), ("getDBRoots", {"profile": 1}))
        for name, data in calls:
            assert server.v3(name, {"X-Joomla-Token": token}, **data).status == 200
        assert (
            server.v2("setIncludedDB", {"profile": 1, "name": "crm", "connection": connection, "test": 0}).status == 200
        )
        assert server.v1("delete", {"backup_id": 99}).status != 200
        second, first = server.installation.catalogue.journal.newest(JournalSearch(), 10)
    assert (first.who, first.through, first.address) == ("token ci", "api", "127.0.0.1")
    assert (first.action, first.subject, first.details) == ("saveProfile", "profile 1", {"description": "Shop"})
    assert (second.who, second.action, second.details) == ("secret", "setIncludedDB", {"name": "crm"})
