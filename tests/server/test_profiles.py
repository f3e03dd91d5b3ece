"""Profiles, their settings and their transfer: api-methods.md 4 and 5.1."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from backstay.api.ciphers import BlockForm, encrypt_block, encrypt_counter_text
from backstay.profiles import Filters, setting_facts
from server.driving import Driven, driven


def test_a_new_profile(server: Driven) -> None:
    assert server.v2("saveProfile", description="New", quickicon=0).pair == (200, True)
    profile = server.installation.catalogue.profiles.get(2)
    assert (profile.description, profile.quickicon) == ("New", False)


def test_a_copy(server: Driven) -> None:
    server.v2("saveConfiguration", profile=1, engineconfig={"akeeba.basic.backup_type": "fileonly"})
    assert server.v2("saveProfile", source=1).pair == (200, True)
    assert server.v2("saveProfile", source=1, description="Named").pair == (200, True)
    copies = [server.installation.catalogue.profiles.get(number) for number in (2, 3)]
    assert [copy.description for copy in copies] == ["Default Backup Profile", "Named"]
    assert all(copy.configuration == {"akeeba.basic.backup_type": "fileonly"} for copy in copies)


def test_a_new_title(server: Driven) -> None:
    assert server.v2("saveProfile", profile=1, description="Renamed").pair == (200, True)
    assert server.v2("getProfiles").data == [{"id": 1, "name": "Renamed"}]


def test_overwriting_from_a_source(server: Driven) -> None:
    server.v2("saveProfile", description="Other")
    server.v2("saveConfiguration", profile=1, engineconfig={"akeeba.basic.backup_type": "fileonly"})
    assert server.v2("saveProfile", profile=2, source=1, description="Overwritten").pair == (200, True)
    profile = server.installation.catalogue.profiles.get(2)
    assert (profile.description, profile.configuration["akeeba.basic.backup_type"]) == ("Overwritten", "fileonly")


@pytest.mark.parametrize("data", [{}, {"profile": 9, "description": "x"}, {"source": 9}, {"profile": 1, "source": 9}])
def test_profiles_that_are_not_there(server: Driven, data: dict[str, object]) -> None:
    assert server.v2("saveProfile", data).pair == (404, "Invalid profile ID")


def test_delete_profile(server: Driven) -> None:
    server.v2("saveProfile", description="Other")
    assert server.v2("deleteProfile", profile=2).pair == (200, True)
    assert server.v2("deleteProfile", profile=2).pair == (404, "Invalid profile ID")
    assert server.v2("deleteProfile", profile=0).pair == (404, "Invalid profile ID")
    assert server.v2("deleteProfile", profile=-1).pair == (404, "Invalid profile ID")
    assert server.v2("deleteProfile", profile=1).pair == (404, "You cannot delete the default backup profile")


def test_save_configuration(server: Driven) -> None:
    values = {"akeeba.basic.backup_type": "fileonly", "akeeba.quota.count_quota": "7", "some.other.key": "kept"}
    assert server.v2("saveConfiguration", verb="POST", profile=1, engineconfig=values).pair == (200, True)
    assert server.v1("saveConfiguration", {"engineconfig": {"akeeba.quota.count_quota": 8}}).pair == (200, True)
    stored = server.installation.catalogue.profiles.get(1).configuration
    assert stored == {**values, "akeeba.quota.count_quota": "8"}


def test_save_configuration_with_what_cannot_be_used(server: Driven) -> None:
    reply = server.v2("saveConfiguration", profile=1, engineconfig={"akeeba.basic.backup_type": "nonsense"})
    assert reply.status == 500
    assert "akeeba.basic.backup_type" in reply.data
    assert server.installation.catalogue.profiles.get(1).configuration == {}


def test_save_configuration_of_no_profile(server: Driven) -> None:
    assert server.v2("saveConfiguration", profile=0).pair == (404, "Invalid profile ID")
    assert server.v2("saveConfiguration", profile=9).pair == (404, "Invalid profile ID")


def test_archives_never_go_into_the_sites_root(server: Driven) -> None:
    key = "akeeba.basic.output_directory"
    server.v2("saveConfiguration", engineconfig={"akeeba.platform.newroot": "/srv/site", key: "/srv/site"})
    assert server.installation.catalogue.profiles.get(1).configuration[key] == "[DEFAULT_OUTPUT]"


def test_get_gui_configuration(server: Driven) -> None:
    server.v2("saveConfiguration", engineconfig={"akeeba.quota.count_quota": "9"})
    reply = server.v2("getGUIConfiguration", profile=1)
    assert isinstance(reply.data, str)
    described = json.loads(reply.data)
    assert list(described) == ["engines", "installers", "gui"]
    assert described["gui"]["quota"]["akeeba.quota.count_quota"]["default"] == "9"
    assert described["gui"]["basic"]["akeeba.basic.backup_type"]["type"] == "enum"
    jps = described["engines"]["archiver"]["jps"]
    assert set(jps["information"]) == {"title", "description"}
    assert jps["parameters"]["engine.archiver.jps.key"]["type"] == "password"
    assert list(described["installers"]) == ["none"]


def test_get_gui_configuration_lists_what_a_profile_can_embed(server: Driven) -> None:
    folder = server.installation.home.installers
    folder.mkdir()
    for name in ("brs.jpa", "brs-joomla.jpa", "brs.json"):
        (folder / name).write_bytes(b"")
    server.v2("saveConfiguration", engineconfig={"akeeba.advanced.embedded_installer": "/srv/own.jpa"})
    installers = json.loads(server.v2("getGUIConfiguration").data)["installers"]
    assert list(installers) == ["none", "brs", "brs-joomla", "/srv/own.jpa"]
    assert installers["brs"]["name"] == "brs"


def test_every_setting_is_described(server: Driven) -> None:
    text = server.v2("getGUIConfiguration").data
    assert [fact.key for fact in setting_facts() if f'"{fact.key}"' not in text] == []


def test_export_and_import(server: Driven) -> None:
    values = {"akeeba.basic.backup_type": "fileonly", "engine.archiver.jps.key": "pass & <word>"}
    server.v2("saveConfiguration", verb="POST", engineconfig=values)
    server.v2("setFSFilter", path="media/huge", type="directories")
    exported = server.v2("exportConfiguration", profile=1).data
    assert list(exported) == ["description", "configuration", "filters"]
    assert json.loads(exported["configuration"])["akeeba"]["basic"]["backup_type"] == "fileonly"
    assert "&" not in exported["configuration"]
    assert json.loads(exported["filters"]) == {"directories": {"[SITEROOT]": ["media/huge"]}}
    assert server.v1("importConfiguration", {"profile": 0, "data": {**exported, "id": 77}}).pair == (200, [2])
    old, new = (server.installation.catalogue.profiles.get(number) for number in (1, 2))
    assert new.filters == old.filters
    assert values.items() <= new.configuration.items()
    assert new.settings() == old.settings()


def test_an_import_may_overwrite_up_to_level_500(server: Driven) -> None:
    data = {"description": "Over", "configuration": "{}", "filters": "{}"}
    assert server.v1("importConfiguration", {"profile": 1, "data": data}).pair == (200, [1])
    assert server.v2("getProfiles").data == [{"id": 1, "name": "Over"}]
    assert server.v1("importConfiguration", {"profile": 9, "data": data}).pair == (404, "Invalid profile ID")


def test_an_import_at_level_600_is_always_new(home: Path) -> None:
    with driven(home, api_level=600) as server:
        data = {"description": "New", "configuration": "{}", "filters": "{}"}
        assert server.v1("importConfiguration", {"profile": 1, "data": data}).pair == (200, [2])
        assert [profile["name"] for profile in server.v2("getProfiles").data] == ["Default Backup Profile", "New"]


@pytest.mark.parametrize("missing", ["description", "configuration", "filters"])
def test_an_import_that_lacks_something(server: Driven, missing: str) -> None:
    data = {"description": "x", "configuration": "{}", "filters": "{}"}
    del data[missing]
    assert server.v1("importConfiguration", {"data": data}).status == 0
    assert server.v1("importConfiguration", {}).status == 0


def test_an_import_of_ini_and_serialized_filters(server: Driven) -> None:
    configuration = '[akeeba]\nbasic.backup_type="fileonly"\n[volatile]\nx="1"\n'
    filters = 'a:1:{s:6:"tables";a:1:{s:8:"[SITEDB]";a:1:{i:0;s:5:"#__t1";}}}'
    data = {"description": "Old", "configuration": configuration, "filters": filters}
    assert server.v1("importConfiguration", {"data": data}).pair == (200, [2])
    profile = server.installation.catalogue.profiles.get(2)
    assert profile.configuration == {"akeeba.basic.backup_type": "fileonly"}
    assert profile.filters == Filters.from_stored({"tables": {"[SITEDB]": ["#__t1"]}})


def test_an_import_of_nonsense(server: Driven) -> None:
    data = {"description": "x", "configuration": "neither", "filters": "{}"}
    reply = server.v1("importConfiguration", {"data": data})
    assert reply.status == 500
    assert "neither JSON nor INI" in reply.data


def test_an_import_of_encrypted_settings(home: Path) -> None:
    plain = b'{"akeeba":{"basic":{"backup_type":"dbonly"}}}'
    block = base64.b64encode(encrypt_block(plain, "password", 128, BlockForm.SALTED)).decode()
    counter = encrypt_counter_text(plain, "password", 128)
    with driven(home, import_key=base64.b64encode(b"password").decode()) as server:
        for number, text in enumerate(("###AES128###" + block, "###CTR128###" + counter), 2):
            data = {"description": "x", "configuration": text, "filters": ""}
            assert server.v1("importConfiguration", {"data": data}).pair == (200, [number])
            stored = server.installation.catalogue.profiles.get(number).configuration
            assert stored == {"akeeba.basic.backup_type": "dbonly"}


def test_an_import_of_encrypted_settings_without_their_key(server: Driven) -> None:
    data = {"description": "x", "configuration": "###AES128###AAAA", "filters": ""}
    reply = server.v1("importConfiguration", {"data": data})
    assert reply.status == 500
    assert "server.import_key" in reply.data


def test_browse(server: Driven, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "images").mkdir(parents=True)
    (site / "a file").touch()
    server.v2("saveConfiguration", engineconfig={"akeeba.platform.newroot": str(site)})
    empty = server.v2("browse").data
    assert list(empty) == [
        *["folder", "folder_raw", "parent", "exists", "inRoot", "openbasedirRestricted", "writable"],
        *["subfolders", "breadcrumbs"],
    ]
    assert (empty["folder"], empty["folder_raw"], empty["parent"]) == (str(site), "", str(tmp_path))
    assert (empty["exists"], empty["inRoot"], empty["writable"]) == (True, True, True)
    assert empty["subfolders"] == ["images"]
    assert empty["breadcrumbs"][-1] == {"label": "site", "folder": str(site)}
    assert server.v2("browse", folder=str(site / "../site/./images")).data["folder"] == str(site / "images")
    assert server.v2("browse", folder="[SITEROOT]/images", processfolder=1).data["inRoot"] is True
    gone = server.v2("browse", folder=str(tmp_path / "gone")).data
    assert (gone["exists"], gone["subfolders"], gone["inRoot"]) == (False, [], False)
    root = server.v2("browse", folder="/").data
    assert (root["folder"], root["parent"]) == ("/", "/")
