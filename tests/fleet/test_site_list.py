"""Lists of sites: every line that cannot be used is told with its number, and what was written is read again."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backstay.catalogue import Connection
from backstay.errors import UsageError
from backstay.fleet.site_list import COLUMNS, Imported, export_sites, import_sites
from backstay.fleet.sites import SiteDetails, add_remote_site
from backstay.jobs.installation import Installation

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LIST = """name,address,group,tags,profile,keep_there,verify_tls,keep,schedule,time_zone,spread,secret,notes,paused
shop,https://shop.example,clients,wp big,2,3,no,14,0 3 * * *,Europe/Berlin,2h,word one,"A note, with a comma",yes
,blog.example,,,,,,,,,,word two,,
"""


def names(done: Imported) -> list[str]:
    return [site.name for site in done.sites]


def test_a_list_is_added_with_all_its_values(installation: Installation) -> None:
    done = import_sites(installation, LIST.encode())
    assert (names(done), done.refused, done.groups) == (["shop", "blog.example"], (), ("clients",))
    shop = installation.catalogue.sites.get("shop")
    assert (shop.group, shop.tags, shop.notes) == ("clients", ("big", "wp"), "A note, with a comma")
    assert shop.paused
    assert installation.catalogue.sites.connection(shop.id) == Connection("word one", {}, 2, 3, verify_tls=False)
    assert installation.catalogue.profiles.get(shop.profile_id).settings().count == 14
    (schedule,) = installation.catalogue.schedules.all()
    assert (schedule.profile_id, schedule.time_zone, schedule.spread) == (shop.profile_id, "Europe/Berlin", 7200)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("a,,x", "It has no address."),
        ("a,ftp://a.example,x", "not an HTTP address"),
        ("a,https://u:pa55@a.example,x", "carries a user name"),
        ("a,https://a.example,", "needs the server's secret word"),
        ("17,https://a.example,x", "can't be a name"),
        ("first,https://a.example,x", "There is a site named first already"),
        ("a,https://first.example,x", "is the site first already"),
        ("a,/no/such/folder,", "is not there"),
        ("a,https://a.example,x,,more", "more values than there are columns"),
        ("a,https://a.example,x,nine", "can't be in the column profile: it is a number"),
    ],
)
def test_a_line_that_cannot_be_used_is_told_and_nothing_is_added(
    installation: Installation, line: str, sentence: str
) -> None:
    content = f"name,address,secret,profile\nfirst,https://first.example,x\n\n{line}\nlast,https://last.example,x\n"
    done = import_sites(installation, content.encode())
    assert done.sites == ()
    (refused,) = done.refused
    assert refused.line == 4
    assert sentence in refused.reason
    assert "pa55" not in refused.reason
    assert installation.catalogue.sites.all() == []
    assert installation.catalogue.profiles.count() == 1
    assert names(import_sites(installation, content.encode(), skip_bad=True, dry_run=True)) == []
    assert names(import_sites(installation, content.encode(), skip_bad=True)) == ["first", "last"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "one of them is address"),
        (b"name,url\na,b\n", "one of them is address"),
        (b"address,colour\nb,red\n", "a column 'colour', and these are known: name, address"),
        (b"address,address\nb,b\n", "the column address twice"),
        ("address\nmünchen.example\n".encode("utf-16"), "not in UTF-8"),
        (b'address\n"open\n', "Line 2 of the list is no CSV"),
        (b"address\n" + b"x" * 200_000, "is no CSV"),
    ],
)
def test_what_is_no_list_is_said_to_be_none(installation: Installation, content: bytes, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        import_sites(installation, content)


def test_lists_of_spreadsheets_are_read(installation: Installation) -> None:
    content = "\ufeffName;Address;Tags\r\nshöp;https://shop.example;a,b\r\n;;\r\n".encode()
    assert names(import_sites(installation, content, secret="word")) == ["shöp"]
    assert installation.catalogue.sites.get("shöp").tags == ("a", "b")


def test_folders_of_this_machine_are_local_sites(installation: Installation, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    lines = f"address,database\n{tmp_path}/one,none\n{tmp_path}/two,\n{tmp_path}/two,\n"
    done = import_sites(installation, lines.encode(), skip_bad=True)
    assert names(done) == ["one", "two"]
    assert "named two already" in done.refused[0].reason
    text = export_sites(installation, installation.catalogue.sites.all(), with_secrets=True)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["address"], row["database"]) for row in rows] == [
        (f"{tmp_path}/one", "none"),
        (f"{tmp_path}/two", ""),
    ]


def test_what_is_written_is_read_again_and_holds_secrets_only_where_they_are_asked_for(
    installation: Installation, home: Path
) -> None:
    import_sites(installation, LIST.encode())
    sites = installation.catalogue.sites.all()
    plain = export_sites(installation, sites)
    assert "word" not in plain
    assert "secret" not in plain.splitlines()[0]
    text = export_sites(installation, sites, with_secrets=True)
    assert text.splitlines()[0] == ",".join(COLUMNS)
    for site in sites:
        installation.catalogue.sites.delete(site.id, with_profile=True)
    assert import_sites(installation, text.encode()).refused == ()
    assert export_sites(installation, installation.catalogue.sites.all(), with_secrets=True) == text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=300), st.text(max_size=300).map(lambda text: f"address,secret\n{text}".encode())
    )
)
def test_any_bytes_are_a_list_or_an_error(installation: Installation, content: bytes) -> None:
    try:
        done = import_sites(installation, content, secret="word", dry_run=True)
    except UsageError:
        return
    assert all(refused.reason and refused.line > 1 for refused in done.refused)


def test_a_site_that_is_there_already_is_told(installation: Installation) -> None:
    add_remote_site(installation, "https://shop.example", Connection("word", {}), SiteDetails("mine"), ask=False)
    done = import_sites(installation, b"address,secret\nhttps://shop.example,word\n")
    assert "is the site mine already" in done.refused[0].reason
