"""Hypothesis makes tables and values, and every one comes back."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backstay.databases import DatabaseAddress, DumpOptions, measure
from support import compare
from support.mysql import MySQLServer
from support.sinks import dump_to, load_from

pytestmark = pytest.mark.mysql

NAME_CHARACTERS = st.one_of(
    st.sampled_from(string.printable.strip()),
    st.characters(min_codepoint=0x20, max_codepoint=0xFFFF, categories=["L", "M", "N", "P", "S"]),
)
names = st.text(NAME_CHARACTERS, min_size=1, max_size=15).filter(lambda name: not name.startswith(("#__", "bak_")))
bmp = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=30)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text("'\"\\`%_#-/*;\n\r\0\x1a\t@$ #__", max_size=30),
    st.just("\n/**ABDB**/"),
)
latin = st.text(st.characters(codec="cp1252"), max_size=30)


def clock(hours: int) -> st.SearchStrategy[str]:
    return st.builds(
        lambda sign, h, m, s, f: f"{sign}{h:02}:{m:02}:{s:02}.{f:06}",
        st.sampled_from(["", "-"]),
        st.integers(0, hours),
        st.integers(0, 59),
        st.integers(0, 59),
        st.integers(0, 999999),
    )


COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "tinyint": st.integers(-128, 127),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "bigint unsigned": st.integers(0, 2**64 - 1),
    "int(7) unsigned zerofill": st.integers(0, 2**32 - 1),
    "decimal(65,30)": st.decimals("-1e34", "1e34", places=30, allow_nan=False),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "bit(1)": st.integers(0, 1),
    "bit(64)": st.integers(0, 2**64 - 1),
    "varchar(60)": texts,
    "longtext": texts,
    "char(40) CHARACTER SET utf8mb3": bmp,
    "varchar(60) CHARACTER SET latin1": latin,
    "text CHARACTER SET utf16": texts,
    "varchar(60) COLLATE utf8mb4_bin": texts,
    "varchar(60) CHARACTER SET cp932": st.text("あアｱ漢字ABC\\~'①㈱", max_size=20),
    "binary(5)": st.binary(max_size=5),
    "varbinary(30)": st.binary(max_size=30),
    "longblob": st.binary(max_size=60),
    "enum('a','b''c','')": st.sampled_from(["a", "b'c", "", 0, "unknown"]),
    "set('x','y z')": st.sampled_from(["", "x", "x,y z"]),
    "year": st.one_of(st.integers(1901, 2155), st.just(0)),
    "date": st.one_of(st.dates().map(str), st.sampled_from(["0000-00-00", "2015-02-30", "2015-00-00"])),
    "datetime(6)": st.datetimes().map(str),
    "timestamp(3) NULL": st.one_of(st.integers(1, 2**31 - 1).map(lambda n: ("FROM_UNIXTIME(%s)", n)), st.just(None)),
    "time(6)": clock(838),
    "point": st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)).map(lambda p: ("POINT(%s,%s)", *p)),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]], list[list[Any]]]:
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=6))
    columns = draw(st.lists(names, min_size=len(kinds), max_size=len(kinds), unique_by=lambda n: n.casefold()))
    cells = [st.one_of(st.none(), COLUMNS[kind]) for kind in kinds]
    rows = draw(st.lists(st.tuples(*cells).map(list), max_size=12))
    return draw(names), list(zip(columns, kinds, strict=True)), rows


def fill(server: MySQLServer, database: str, table: str, columns: list[tuple[str, str]], rows: list[list[Any]]) -> None:
    connection = server.connect(database, sql_mode="ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO")
    with connection, connection.cursor() as cursor:
        listed = ", ".join(f"{compare.quote(name)} {kind}" for name, kind in columns)
        cursor.execute(f"CREATE TABLE {compare.quote(table)} ({listed})")
        for row in rows:
            cells = [cell if isinstance(cell, tuple) else ("%s", cell) for cell in row]
            marks = ", ".join(cell[0] for cell in cells)
            values = [value for cell in cells for value in cell[1:]]
            # The driver takes a percent sign that stands alone for one of its own.
            name = compare.quote(table).replace("%", "%%")
            cursor.execute(f"INSERT INTO {name} VALUES ({marks})", values)


# 12, and 25 with the slow tests: each makes, dumps and loads a table.
@settings(
    max_examples=settings().max_examples // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(table=tables(), prefix=st.sampled_from(["", "a", "jos_", "#"]), packet=st.sampled_from([1100, 131072]))
@pytest.mark.filterwarnings("ignore::pymysql.Warning")
def test_any_table_and_any_value_comes_back(
    mysql_server: MySQLServer,
    tmp_path_factory: pytest.TempPathFactory,
    table: tuple[str, list[tuple[str, str]], list[list[Any]]],
    prefix: str,
    packet: int,
) -> None:
    name, columns, rows = table
    folder: Path = tmp_path_factory.mktemp("any")
    source, target = (mysql_server.create(f"backstay_any_{which}") for which in "ab")
    fill(mysql_server, source.name, name, columns, rows)
    address = DatabaseAddress(**{**vars(source), "prefix": prefix})
    sink, summary = dump_to(folder, address, options=DumpOptions(packet_size=packet))
    load_from(sink, target, metadata=summary.metadata)
    compare.assert_same_database(mysql_server, source.name, target.name)
    assert measure(DatabaseAddress(**{**vars(target), "prefix": prefix})) == summary.tables
