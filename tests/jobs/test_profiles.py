"""Profiles as a person imports and exports them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from backstay.jobs.backup import start_backup, step_backup
from backstay.jobs.installation import open_installation
from backstay.jobs.profiles import export_profile, import_profile, profile_of_site
from backstay.jobs.storage import adopt_storage

CONFIGURATION = {
    "akeeba": {
        "advanced": {"archiver_engine": "zip", "embedded_installer": "none", "postproc_engine": "none"},
        "tuning": {"run_time_bias": "75", "max_exec_time": "20"},
    }
}


def test_keys_that_are_not_honoured_are_named_when_imported_and_given_back(home: Path) -> None:
    exported = {"description": "From elsewhere", "configuration": json.dumps(CONFIGURATION), "filters": "{}"}
    with open_installation(home) as installation:
        profile, not_honoured = import_profile(installation, exported)
        back = json.loads(export_profile(installation, profile.id)["configuration"])
    assert not_honoured == [
        "akeeba.advanced.postproc_engine",
        "akeeba.tuning.run_time_bias",
    ]
    assert back["akeeba"]["advanced"] == CONFIGURATION["akeeba"]["advanced"]
    assert back["akeeba"]["tuning"] == CONFIGURATION["akeeba"]["tuning"]


def test_an_imported_profile_that_cannot_send_yet_says_why(home: Path) -> None:
    values = {"akeeba.advanced.postproc_engine": "amazons3", "engine.postproc.amazons3.bucket": "b"}
    with open_installation(home) as installation:
        exported = {"description": "x", "configuration": json.dumps(values), "filters": "{}"}
        profile, _unknown = import_profile(installation, exported)
        storage, lacking = adopt_storage(installation, profile)
        assert storage is None
        assert lacking == "Its backups are not sent elsewhere yet (amazons3): accesskey, secretkey is not set."
        assert installation.catalogue.destinations.all() == []


def test_the_right_database_mends_a_profile_whose_first_backup_the_database_refused(home: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    with open_installation(home) as installation:
        wrong = profile_of_site(installation, site, "mysql://nobody:wrong@127.0.0.1:9/site")
        state = start_backup(installation, profile_id=wrong.id)
        while state.has_run:
            state = step_backup(installation, state.backupid)
        assert state.error
        right = profile_of_site(installation, site, "none")
        assert right.id == wrong.id
        again = start_backup(installation, profile_id=right.id)
        while again.has_run:
            again = step_backup(installation, again.backupid)
        assert not again.error
        assert profile_of_site(installation, site, "mysql://other@127.0.0.1:9/site").id != right.id


def test_a_backup_takes_the_programs_of_a_relative_path_from_where_it_was_started(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"programs{os.pathsep}{os.environ['PATH']}")
    started: list[str] = []
    real = subprocess.Popen

    def noted(*arguments: Any, **options: Any) -> Any:
        started.append(options["env"]["PATH"])
        return real(*arguments, **options)

    monkeypatch.setattr("backstay.jobs.job_process.subprocess.Popen", noted)
    with open_installation(home) as installation:
        profile = profile_of_site(installation, site, "none")
        state = start_backup(installation, profile_id=profile.id)
        while state.has_run:
            state = step_backup(installation, state.backupid)
    assert started[0].split(os.pathsep)[0] == str(programs)
