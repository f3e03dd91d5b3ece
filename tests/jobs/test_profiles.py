"""Profiles as a person imports and exports them."""

from __future__ import annotations

import json
from pathlib import Path

from backstay.jobs.installation import open_installation
from backstay.jobs.profiles import export_profile, import_profile

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
        "akeeba.advanced.embedded_installer",
        "akeeba.advanced.postproc_engine",
        "akeeba.tuning.run_time_bias",
    ]
    assert back["akeeba"]["advanced"] == CONFIGURATION["akeeba"]["advanced"]
    assert back["akeeba"]["tuning"] == CONFIGURATION["akeeba"]["tuning"]
