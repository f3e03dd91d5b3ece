"""The client against Backstay's own server, over every version of the API."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from backstay.archives import open_archive
from backstay.client import AsyncClient, Client, Credential, DownloadMethod
from backstay.errors import NotFoundError, PermissionDeniedError, RemoteError
from client.real_server import RealServer


@pytest.mark.parametrize(
    ("version", "encapsulation"), [(3, None), (2, None), (1, None), (1, 2), (1, 3), (1, 4), (1, 5)]
)
def test_a_backup_is_taken_downloaded_and_deleted(
    real: RealServer, tmp_path: Path, version: int, encapsulation: int | None
) -> None:
    with Client(real.url, real.secret, version=version, encapsulation=encapsulation) as client:
        replies = list(client.backup(real.profile, "Größe", "a comment", {"engine.archiver.common.part_size": 1048576}))
        number = replies[-1].backup_id
        assert replies[-1].progress == 100
        record = client.list_backups(limit=1)[0]
        assert (record.id, record.description, record.meta) == (number, "Größe", "ok")
        assert record.comment.startswith("a comment\n[backstay ")
        info = client.get_backup_info(number)
        assert len(info.filenames) > 2
        direct = client.download(number, tmp_path / "direct", way=DownloadMethod.DIRECT)
        pieces = client.download(number, tmp_path / "pieces", way=DownloadMethod.SEGMENTS, chunk_size=2)
        assert [path.read_bytes() for path in direct] == [path.read_bytes() for path in pieces]
        with open_archive(direct[-1]) as archive:
            assert {"index.html", "images/noise.bin"} <= {entry.path for entry in archive}
            assert archive.verify().ok
        assert "noise.bin" in client.log(f"json.{info.backupid}") or client.log(f"json.{info.backupid}")
        assert client.delete_files(number)
        assert client.get_backup_info(number).filenames == []
        assert client.delete(number)
        with pytest.raises(NotFoundError):
            client.get_backup_info(number)


def test_the_async_client_takes_a_backup_and_downloads_it(real: RealServer, tmp_path: Path) -> None:
    async def use() -> list[Path]:
        async with AsyncClient(real.url, real.secret) as client:
            replies = [reply async for reply in client.backup(real.profile)]
            paths = await client.download(replies[-1].backup_id, tmp_path)
            await client.delete(replies[-1].backup_id)
            return paths

    (path,) = asyncio.run(use())
    assert path.stat().st_size > 3_000_000


def test_a_profile_travels_and_its_settings_are_changed(real: RealServer) -> None:
    with Client(real.url, real.secret) as client:
        exported = client.export_configuration(real.profile)
        assert client.import_configuration(exported.model_copy(update={"description": "Copy"}))
        copy = next(profile.id for profile in client.get_profiles() if profile.name == "Copy")
        assert client.save_configuration({"akeeba.basic.backup_type": "fileonly"}, copy)
        stored = json.loads(client.export_configuration(copy).configuration)
        assert stored["akeeba"]["basic"]["backup_type"] == "fileonly"
        assert client.save_profile(copy, "Renamed")
        assert client.delete_profile(copy)
        assert copy not in [profile.id for profile in client.get_profiles()]


def test_filters_are_set_listed_and_taken_away(real: RealServer) -> None:
    with Client(real.url, real.secret) as client:
        assert client.get_fs_roots(real.profile)[0].value == "[SITEROOT]"
        assert client.set_fs_filter("images", "directories", real.profile).newstate
        assert client.get_fs_entities(profile=real.profile).folders["images"].directories == 1
        assert [found.node for found in client.get_fs_filters(real.profile)] == ["images"]
        assert not client.set_fs_filter("images", "directories", real.profile, status=False).newstate
        assert client.set_regex_fs_filter("#\\.bak$#", "regexfiles", real.profile)
        assert [found.item for found in client.get_regex_fs_filters(real.profile)] == ["#\\.bak$#"]
        assert client.set_included_directory(str(real.home), "extra", profile=real.profile).success
        ((uuid, place),) = client.get_included_directories(real.profile).items()
        assert place == [str(real.home), "extra"]
        assert client.remove_included_directory(uuid, real.profile).success
        assert client.get_db_roots(real.profile)[0].value == "[SITEDB]"
        assert client.get_included_dbs(real.profile) == {}
        assert (
            client.test_db_connection(
                {"host": "127.0.0.1", "port": "1", "driver": "mysqli", "database": "x", "user": "x", "password": "x"}
            ).status
            is False
        )
        assert json.loads(client.get_gui_configuration(real.profile))["gui"]
        assert client.browse(str(real.site)).subfolders == ["images"]
        assert client.update_get_information()["hasUpdate"] is False
        with pytest.raises(RemoteError) as caught:
            client.update_download()
        assert caught.value.status == 501


def test_a_token_may_do_what_it_is_for(real: RealServer) -> None:
    made = json.loads(real.backstay("token", "create", "reader", "--scope", "read", "--json"))
    token = made["token"]
    with Client(real.url, token) as client:
        assert client.get_profiles()
        assert client.endpoint is not None
        assert client.endpoint.credential is Credential.JOOMLA_HEADER
        for call in (client.start_backup, lambda: client.delete(1), lambda: client.browse("/etc")):
            with pytest.raises(PermissionDeniedError):
                call()
