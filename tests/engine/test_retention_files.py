"""What retention takes from the disk and from the catalogue, and what it leaves where something stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backstay.catalogue import Backup, Catalogue, CopyPart, Home, NamedDestination, open_catalogue, open_home
from backstay.engine import apply_retention
from backstay.engine.retention import RetentionContext, forget_obsolete
from backstay.profiles import Settings

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


@dataclass
class Site:
    """A catalogue with backups of one day each, and what retention warns of."""

    catalogue: Catalogue
    home: Home
    warnings: list[str] = field(default_factory=list)

    def take(self, *, age: int = 0, profile: int = 1, name: str = "", parts: bool = True, **values: Any) -> int:
        """Make a backup of a main file, one part before it, and a log."""
        start = NOW - timedelta(days=age)
        backups = self.catalogue.backups
        made = backups.create(profile_id=profile, backupstart=start, type="full", tag="json", backupid=f"b{age}")
        stem = name or f"site-{made.id}"
        names = [f"{stem}.j01", f"{stem}.jpa"]
        for part in names:
            (self.home.archives / part).write_bytes(b"x")
        self.home.log("json", f"b{age}").touch()
        proof = {"parts": [{"name": part} for part in names]} if parts else {}
        path = str(self.home.archives / names[-1])
        columns = {"status": "complete", "backupend": start, "absolute_path": path, "total_size": 10, "proof": proof}
        backups.update(made.id, **(columns | values))
        return made.id

    def get(self, number: int) -> Backup:
        found = self.catalogue.backups.get(number)
        assert found is not None
        return found

    def apply(self, current: int, **settings: Any) -> None:
        """Apply the rules of a profile behind a backup."""
        apply_retention(self._context(current, Settings(**settings)))

    def forget(self, current: int, keep: int) -> None:
        """Forget records without files."""
        forget_obsolete(self._context(current, Settings(obsolete=keep)))

    def _context(self, current: int, settings: Settings) -> RetentionContext:
        return RetentionContext(
            self.catalogue, self.home, settings, self.get(current), NOW, on_warning=self.warnings.append
        )

    @property
    def files(self) -> list[str]:
        """What lies in the folder for archives."""
        return sorted(path.name for path in self.home.archives.iterdir())

    @property
    def logs(self) -> list[str]:
        """The logs that are there."""
        return sorted(path.name for path in self.home.logs.iterdir())

    @property
    def numbers(self) -> list[int]:
        """The records that are there."""
        return [backup.id for backup in reversed(self.catalogue.backups.newest())]


@pytest.fixture
def site(home: Path) -> Iterator[Site]:
    """A site without backups."""
    opened = open_home(home)
    with open_catalogue(opened) as catalogue:
        yield Site(catalogue, opened)


def test_parts_and_log_of_what_is_not_kept_go_and_the_record_says_so(site: Site) -> None:
    old, listed_nowhere, new = site.take(age=2), site.take(age=1, parts=False), site.take()
    site.apply(new, count_enabled=True, count=1)
    assert (site.files, site.logs) == (["site-3.j01", "site-3.jpa"], ["backstay.json.b0.log"])
    assert [site.get(number).filesexist for number in (old, listed_nowhere, new)] == [False, False, True]
    assert site.warnings == []


def test_the_main_file_goes_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[str] = []
    real = Path.unlink

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        gone.append(path.name)
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    site.take(age=1)
    site.apply(site.take(), count_enabled=True, count=1)
    assert gone[:2] == ["site-1.jpa", "site-1.j01"]


def test_frozen_backups_and_those_of_other_profiles_are_not_looked_at(site: Site) -> None:
    old, other, failed = site.take(age=3), site.take(age=3, profile=2), site.take(age=2, status="fail")
    frozen, new = site.take(age=1, frozen=True), site.take()
    site.apply(new, count_enabled=True, count=1)
    left = [number for number in (old, other, failed, frozen, new) if f"site-{number}.jpa" in site.files]
    assert left == [other, failed, frozen, new]


def test_age_is_counted_from_now_and_takes_no_backup_that_was_just_made(site: Site) -> None:
    old, older, young = site.take(age=11), site.take(age=40), site.take(age=10)
    site.apply(old, maximum_age_enabled=True, maximum_age_days=10, maximum_age_keep_day=0)
    assert [site.get(number).filesexist for number in (old, older, young)] == [True, False, True]


def test_a_record_without_a_path_stands_for_no_file(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site.home.archives)
    pathless, gone = site.take(age=2, filesexist=False, absolute_path=""), site.take(age=1, filesexist=False)
    new = site.take()
    site.forget(new, keep=1)
    assert site.numbers == [gone, new]
    assert f"site-{pathless}.j01" in site.files
    assert len(site.files) == 6


def test_what_somebody_removed_is_marked_and_does_not_count(site: Site) -> None:
    kept, removed, new = site.take(age=2), site.take(age=1), site.take()
    (site.home.archives / f"site-{removed}.jpa").unlink()
    site.apply(new, count_enabled=True, count=2)
    assert [site.get(number).filesexist for number in (kept, removed, new)] == [True, False, True]
    assert f"site-{kept}.jpa" in site.files


def test_files_that_a_newer_backup_claims_stay(site: Site) -> None:
    site.take(age=1, name="same")
    new = site.take(name="same")
    site.apply(new, count_enabled=True, count=1)
    assert (site.files, site.logs) == (["same.j01", "same.jpa"], ["backstay.json.b0.log"])


def test_what_cannot_be_removed_is_a_warning_and_tried_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    older, stuck, new = site.take(age=2), site.take(age=1), site.take()
    real = Path.unlink

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == f"site-{stuck}.jpa":
            raise PermissionError(13, "Permission denied", str(path))
        real(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        site.apply(new, count_enabled=True, count=1)
    (warning,) = site.warnings
    assert f"Backup {stuck} is no longer kept" in warning
    assert f"site-{stuck}.jpa can't be removed" in warning
    assert [site.get(number).filesexist for number in (older, stuck)] == [False, True]
    site.apply(new, count_enabled=True, count=1)
    assert site.files == [f"site-{new}.j01", f"site-{new}.jpa"]
    assert len(site.warnings) == 1


def obsolete(site: Site, count: int, **values: Any) -> list[int]:
    """Make records whose files are gone, oldest first."""
    made = [site.take(age=20 - number, filesexist=False, **values) for number in range(count)]
    for number in made:
        (site.home.archives / f"site-{number}.jpa").unlink()
    return made


def test_the_oldest_records_without_files_go_with_the_parts_and_logs_that_are_left(site: Site) -> None:
    first, second, third = obsolete(site, 3)
    new = site.take()
    site.forget(new, keep=0)
    assert site.numbers == [first, second, third, new]
    site.forget(new, keep=2)
    assert site.numbers == [second, third, new]
    assert f"site-{first}.j01" not in site.files
    assert f"site-{second}.j01" in site.files
    assert len(site.logs) == 3
    site.forget(new, keep=1)
    assert site.numbers == [third, new]


def test_records_that_stand_for_something_stay(site: Site) -> None:
    frozen, other = obsolete(site, 1, frozen=True), obsolete(site, 1, profile=2)
    stored, gone = obsolete(site, 2)
    site.catalogue.destinations.create(NamedDestination(0, "nas", "file:///srv", {}, NOW))
    copy = site.catalogue.copies.create(stored, "nas", created=NOW, parts=(CopyPart("a.jpa"),))
    site.catalogue.copies.update(copy.id, state="deleting")
    newest = obsolete(site, 1)
    new = site.take()
    site.forget(new, keep=1)
    assert site.numbers == [*frozen, *other, stored, *newest, new]
    assert gone not in site.numbers


def test_a_record_whose_log_cannot_be_removed_stays_with_a_warning(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = obsolete(site, 3)
    new = site.take()
    real = Path.unlink

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == f"site-{second}.j01":
            raise PermissionError(13, "Permission denied", str(path))
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    site.forget(new, keep=1)
    assert site.numbers == [second, third, new]
    assert first not in site.numbers
    (warning,) = site.warnings
    assert f"record of backup {second}" in warning
