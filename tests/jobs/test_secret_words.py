"""Secrets of profiles and storages, as they are taken out of messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from backstay.catalogue import NamedDestination
from backstay.jobs.installation import Installation
from backstay.jobs.secret_words import secret_words
from backstay.profiles import Filters


def test_passwords_of_databases_archives_and_storages_are_known(installation: Installation) -> None:
    catalogue = installation.catalogue
    values = {
        "backstay.site.database": "mysql://joe:wo%2Frd-1@db/site",
        "engine.archiver.jps.key": "word-2",
        "akeeba.basic.archive_name": "no secret",
    }
    other = {"key": {"host": "db", "user": "joe", "password": "word-3", "database": "other", "driver": "mysqli"}}
    filters = Filters.from_stored({**Filters().to_stored(), "multidb": {"[SITEROOT]": other, **other}})
    profile = replace(catalogue.profiles.get(1), configuration=values, filters=filters)
    catalogue.profiles.save(profile)
    now = datetime.now(UTC)
    catalogue.destinations.create(NamedDestination(0, "nas", "sftp://nas", {"password": "word-4", "pin": "123"}, now))
    known = secret_words(installation, 1)
    assert known == ["mysql://joe:wo%2Frd-1@db/site", "wo%2Frd-1", "wo/rd-1", "word-2", "word-3", "word-4"]
    assert secret_words(installation, None) == secret_words(installation, 99) == ["word-4"]
    for url in ("mysql://[", "sqlite:///site.db"):
        catalogue.profiles.save(replace(profile, configuration={"backstay.site.database": url}))
        assert secret_words(installation, 1) == [url, "word-3", "word-4"]
