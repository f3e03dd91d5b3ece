"""Dumps of another make of server load: what the server lacks is replaced by its nearest, and said once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backstay.databases import DatabaseAddress, load
from backstay.databases.mysql.compatibility import Compatibility, ServerNames
from backstay.errors import LoadError
from support.mysql import MySQLServer
from support.sinks import FolderSink, finish

_OLD_MARIADB = {
    **dict.fromkeys(
        [
            "utf8mb4_general_ci",
            "utf8mb4_bin",
            "utf8mb4_unicode_ci",
            "utf8mb4_unicode_520_ci",
            "utf8mb4_german2_ci",
            "utf8mb4_nopad_bin",
            "utf8mb4_unicode_520_nopad_ci",
            "utf8mb4_spanish_ci",
        ],
        "utf8mb4",
    ),
    **dict.fromkeys(["utf8_general_ci", "utf8_bin", "utf8_unicode_ci"], "utf8"),
}
_STYLES = ("ai_ci", "as_ci", "as_cs")
_NEW_MARIADB = {
    **{name.replace("utf8_", "utf8mb3_"): charset.replace("utf8", "utf8mb3", charset == "utf8")
       for name, charset in _OLD_MARIADB.items()},
    **{
        f"utf8mb4_uca1400_{language}{pad}{style}": "utf8mb4"
        for language in ("", "german2_", "spanish2_", "czech_", "croatian_")
        for pad in ("", "nopad_")
        for style in (*_STYLES, "ai_cs")
    },
}  # fmt: skip
_MYSQL_8 = {
    **dict.fromkeys(["utf8mb4_general_ci", "utf8mb4_bin", "utf8mb4_unicode_ci", "utf8mb4_unicode_520_ci"], "utf8mb4"),
    **dict.fromkeys([f"utf8mb4_0900_{style}" for style in (*_STYLES, "bin")], "utf8mb4"),
    **dict.fromkeys(
        [f"utf8mb4_{code}_0900_{style}" for code in ("de_pb", "cs", "es_trad") for style in ("ai_ci", "as_cs")],
        "utf8mb4",
    ),
    **dict.fromkeys(["utf8mb3_general_ci", "utf8mb3_bin", "utf8mb3_unicode_ci"], "utf8mb3"),
    **dict.fromkeys(["latin1_swedish_ci", "latin1_bin", "latin1_general_cs"], "latin1"),
}


def server(collations: dict[str, str], *, mariadb: bool) -> tuple[Compatibility, list[str]]:
    said: list[str] = []
    charsets = {charset: f"{charset}_general_ci" for charset in collations.values()}
    engines = {"innodb": "InnoDB", "myisam": "MyISAM", "mrg_myisam": "MRG_MyISAM", "memory": "MEMORY"}
    return Compatibility(ServerNames(collations, charsets, engines, mariadb), said.append), said


@pytest.mark.parametrize(
    ("collations", "name", "nearest"),
    [
        (_OLD_MARIADB, "utf8mb4_0900_ai_ci", "utf8mb4_unicode_520_nopad_ci"),
        (_OLD_MARIADB, "utf8mb4_0900_as_cs", "utf8mb4_nopad_bin"),
        (_OLD_MARIADB, "utf8mb4_0900_bin", "utf8mb4_nopad_bin"),
        (_OLD_MARIADB, "utf8mb4_de_pb_0900_ai_ci", "utf8mb4_german2_ci"),
        (_OLD_MARIADB, "utf8mb4_ja_0900_as_cs_ks", "utf8mb4_nopad_bin"),
        (_OLD_MARIADB, "utf8mb3_general_ci", "utf8_general_ci"),
        (_OLD_MARIADB, "utf8mb4_uca1400_ai_ci", "utf8mb4_unicode_520_ci"),
        (_NEW_MARIADB, "utf8mb4_0900_ai_ci", "utf8mb4_uca1400_nopad_ai_ci"),
        (_NEW_MARIADB, "utf8mb4_0900_as_ci", "utf8mb4_uca1400_nopad_as_ci"),
        (_NEW_MARIADB, "utf8mb4_0900_as_cs", "utf8mb4_uca1400_nopad_as_cs"),
        (_NEW_MARIADB, "utf8mb4_0900_bin", "utf8mb4_nopad_bin"),
        (_NEW_MARIADB, "utf8mb4_de_pb_0900_as_cs", "utf8mb4_uca1400_german2_nopad_as_cs"),
        (_NEW_MARIADB, "utf8mb4_cs_0900_ai_ci", "utf8mb4_uca1400_czech_nopad_ai_ci"),
        (_NEW_MARIADB, "utf8mb4_zh_0900_as_cs", "utf8mb4_uca1400_nopad_as_cs"),
        (_NEW_MARIADB, "utf8_general_ci", "utf8_general_ci"),
        (_MYSQL_8, "utf8mb4_uca1400_ai_ci", "utf8mb4_unicode_520_ci"),
        (_MYSQL_8, "uca1400_ai_ci", "utf8mb4_unicode_520_ci"),
        (_MYSQL_8, "utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_0900_ai_ci"),
        (_MYSQL_8, "utf8mb4_uca1400_as_ci", "utf8mb4_0900_as_ci"),
        (_MYSQL_8, "utf8mb4_uca1400_as_cs", "utf8mb4_0900_as_cs"),
        (_MYSQL_8, "utf8mb4_uca1400_german2_as_cs", "utf8mb4_de_pb_0900_as_cs"),
        (_MYSQL_8, "utf8mb4_unicode_520_nopad_ci", "utf8mb4_0900_ai_ci"),
        (_MYSQL_8, "utf8mb4_nopad_bin", "utf8mb4_0900_bin"),
        (_MYSQL_8, "latin1_swedish_nopad_ci", "latin1_swedish_ci"),
        (_MYSQL_8, "utf8mb3_uca1400_ai_ci", "utf8mb3_unicode_ci"),
        (_MYSQL_8, "klingon_ci", "klingon_ci"),
    ],
)
def test_the_nearest_collation(collations: dict[str, str], name: str, nearest: str) -> None:
    compatibility, said = server(collations, mariadb=collations is not _MYSQL_8)
    assert compatibility.collation(name) == nearest
    compatibility.collation(name)
    alias = name.replace("utf8mb3", "utf8") == nearest.replace("utf8mb3", "utf8")
    assert said == ([] if alias else [f"The server has no collation {name}: {nearest} is used instead."])


def test_engines_and_options_of_mariadb_on_mysql() -> None:
    compatibility, said = server(_MYSQL_8, mariadb=False)
    text = (
        "CREATE TABLE `COLLATE utf8mb4_uca1400_ai_ci` (`engine` varchar(9) DEFAULT 'ENGINE=Aria' "
        "COMMENT 'COLLATE utf8mb4_uca1400_ai_ci', engine int) ENGINE=Aria DEFAULT CHARSET=utf8mb3 "
        "COLLATE=utf8mb4_uca1400_as_ci PAGE_CHECKSUM=1 ROW_FORMAT=PAGE `PAGE_COMPRESSED`=1 COMMENT='ENGINE=Aria'"
    )
    assert compatibility.table(text) == (
        "CREATE TABLE `COLLATE utf8mb4_uca1400_ai_ci` (`engine` varchar(9) DEFAULT 'ENGINE=Aria' "
        "COMMENT 'COLLATE utf8mb4_uca1400_ai_ci', engine int) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 "
        "COLLATE=utf8mb4_0900_as_ci    COMMENT='ENGINE=Aria'"
    )
    assert said == [
        "The server has no collation utf8mb4_uca1400_as_ci: utf8mb4_0900_as_ci is used instead.",
        "The server has no storage engine Aria: InnoDB is used instead.",
        "The server has no table option PAGE_CHECKSUM: it is left out.",
        "InnoDB has no ROW_FORMAT=PAGE: it is left out.",
        "The server has no table option PAGE_COMPRESSED: it is left out.",
    ]


def test_names_of_the_three_byte_character_set_follow_the_server() -> None:
    compatibility, said = server(_OLD_MARIADB, mariadb=True)
    view = "CREATE VIEW `v` AS select _utf8mb3'_utf8mb3' COLLATE utf8mb3_bin AS `_utf8mb3`, convert(a using utf8mb3)"
    assert compatibility.statement(view) == (
        "CREATE VIEW `v` AS select _utf8'_utf8mb3' COLLATE utf8_bin AS `_utf8mb3`, convert(a using utf8)"
    )
    assert said == []


FROM_MYSQL_8 = [
    (
        "CREATE TABLE `#__a` (`id` int NOT NULL AUTO_INCREMENT, `t` varchar(40) CHARACTER SET utf8mb4 "
        "COLLATE utf8mb4_0900_as_cs NOT NULL DEFAULT 'utf8mb4_0900_ai_ci', `g` varchar(9) CHARACTER SET gb18030 "
        "COLLATE gb18030_chinese_ci, PRIMARY KEY (`id`), UNIQUE KEY (`t`)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 "
        "COLLATE=utf8mb4_0900_ai_ci ENCRYPTION='N' COMPRESSION='zlib' AUTOEXTEND_SIZE=4M "
        "COMMENT='COLLATE utf8mb4_0900_ai_ci'"
    ),
    "INSERT INTO `#__a` VALUES \n(1,'COLLATE utf8mb4_0900_ai_ci','\u4e2d'),(2,'x',NULL),(3,'X',NULL)",
    (
        "CREATE TABLE `#__b` (`id` int) ENGINE=NDBCLUSTER ROW_FORMAT=FIXED DEFAULT CHARSET=utf8mb4 "
        "COLLATE=utf8mb4_0900_ai_ci"
    ),
    "INSERT INTO `#__b` VALUES \n(1)",
    "SET SESSION sql_mode = '', character_set_client = 'utf8mb4', collation_connection = 'utf8mb4_0900_ai_ci'",
    "CREATE VIEW `#__v` AS select (`t` collate utf8mb4_0900_ai_ci) AS `t` from `#__a`",
    (
        "CREATE FUNCTION `#__f`(s varchar(9) CHARSET utf8mb4 COLLATE utf8mb4_0900_ai_ci) RETURNS varchar(40) "
        "CHARSET utf8mb4 COLLATE utf8mb4_0900_ai_ci DETERMINISTIC RETURN 'COLLATE utf8mb4_0900_ai_ci'"
    ),
]


def written(folder: Path, statements: list[str]) -> FolderSink:
    sink = FolderSink(folder)
    with sink.open("site.sql") as file:
        for statement in statements:
            file.write(b"/**ABDB**/" + statement.encode() + b";\n")
    return sink


METADATA = {"prefix": "jos_", "marker": "\n/**ABDB**/"}


@pytest.mark.mysql
def test_a_dump_of_mysql_8_loads_into_mariadb(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    sink = written(tmp_path, FROM_MYSQL_8)
    said: list[str] = []
    loaded = finish(
        load(replace(mysql_database, prefix="new_"), sink.parts(), metadata=METADATA, on_warning=said.append)
    )
    assert (loaded.rows, loaded.skipped) == (4, ())
    name = mysql_database.name
    assert mysql_server.execute("SELECT t, g FROM new_a ORDER BY id", name)[0] == ("COLLATE utf8mb4_0900_ai_ci", "中")
    assert mysql_server.execute("SELECT new_f('x')", name) == [("COLLATE utf8mb4_0900_ai_ci",)]
    assert mysql_server.execute("SELECT count(*) FROM new_v", name) == [(3,)]
    created = mysql_server.execute("SHOW CREATE TABLE new_a", name)[0][1]
    assert "COMMENT='COLLATE utf8mb4_0900_ai_ci'" in created
    assert "DEFAULT 'utf8mb4_0900_ai_ci'" in created
    assert len(said) == len(set(said)) == 9, said
    start = "The server has no "
    assert [one for one in said if one.startswith(f"{start}collation utf8mb4_0900_ai_ci: utf8mb4_")]
    assert f"{start}character set gb18030: utf8mb4 is used instead." in said
    assert f"{start}storage engine NDBCLUSTER: InnoDB is used instead." in said
    assert f"{start}table option ENCRYPTION: it is left out." in said
    assert "InnoDB has no ROW_FORMAT=FIXED: it is left out." in said


@pytest.mark.mysql
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(
    ("statement", "kind", "name"),
    [
        ("CREATE TABLE `#__{}` (a int)", "table", "x" * 45),
        ("CREATE TABLE `#__a` (a int, KEY `#__{}` (a))", "table", "k" * 45),
        ("CREATE TABLE `#__a` (a int PRIMARY KEY, b int, CONSTRAINT `#__{}` FOREIGN KEY (b) REFERENCES `#__a` (a))",
         "table", "c" * 45),
        ("CREATE TRIGGER `#__{}` BEFORE INSERT ON `#__a` FOR EACH ROW SET NEW.a = 1", "trigger", "t" * 45),
    ],
)  # fmt: skip
def test_a_prefix_that_makes_a_name_too_long_is_refused(
    mysql_server: MySQLServer,
    mysql_database: DatabaseAddress,
    tmp_path: Path,
    statement: str,
    kind: str,
    name: str,
    *,
    listed: bool,
) -> None:
    sink = written(tmp_path, [statement.format(name)])
    metadata = {**METADATA, **({"tables": {kind: ["#__" + name]}} if listed else {})}
    address = replace(mysql_database, prefix="a_prefix_of_20_chars")
    with pytest.raises(LoadError, match=r"makes the name a_prefix\w+ 65 characters long, .* at most 19 characters"):
        finish(load(address, sink.parts(), metadata=metadata, on_warning=print))
    assert mysql_server.execute("SHOW TABLES", mysql_database.name) == []
