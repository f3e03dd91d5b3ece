"""The servers that other tests rely on: they speak the API as its clients expect, and count what they are asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.archives import open_archive
from backstay.client import Client
from backstay.errors import BackstayError
from fleet.fake_servers import SECRET, Behaviour, Servers, fake_servers


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Eight sites at two hosts."""
    with fake_servers(8, parts=2) as running:
        yield running


@pytest.mark.parametrize("number", [0, 1], ids=["version 3", "version 2"])
def test_a_backup_is_taken_and_fetched(servers: Servers, tmp_path: Path, number: int) -> None:
    with Client(servers.url(number), SECRET) as client:
        assert client.detect().version == 3 - number
        assert [profile.name for profile in client.get_profiles()] == ["Default Backup Profile"]
        reply = client.start_backup(profile=1, comment="a comment")
        while reply.has_run:
            reply = client.step_backup(backupid=reply.backupid)
        (record,) = client.list_backups()
        assert (record.comment, record.meta) == ("a comment", "ok")
        client.download(record.id, tmp_path)
        client.delete_files(record.id)
        assert client.get_backup_info(record.id).filenames == []
    with open_archive(tmp_path / "site.jpa") as archive:
        assert archive.verify(workers=1).ok
    sites, hosts = servers.counts()
    assert (sites[number]["started"], sites[number]["complete"], sites[number]["files deleted"]) == (1, 1, 1)
    assert hosts[servers.host(number)]["most_backups"] == 1


def test_faults_are_those_of_real_servers(servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("backstay.client.recovery.LOOK_PAUSE", 0.1)
    faults = {2: "refuses", 3: "fails", 4: "html", 5: "loses-start", 6: "loses-end", 7: "cuts"}
    servers.set({number: Behaviour(fault=fault) for number, fault in faults.items()})
    messages = {2: "Failed configuration check", 3: "disk of the server is full", 4: "not answer the API"}
    for number in faults:
        with Client(servers.url(number), SECRET) as client:
            if number in messages:
                with pytest.raises(BackstayError, match=messages[number]):
                    list(client.backup())
                continue
            list(client.backup())
            client.download(1, tmp_path / str(number))
    sites, _ = servers.counts()
    assert {number: sites[number]["started"] for number in faults} == {2: 0, 3: 1, 4: 0, 5: 1, 6: 1, 7: 1}
    assert {number: sites[number]["complete"] for number in (5, 6, 7)} == {5: 1, 6: 1, 7: 1}
