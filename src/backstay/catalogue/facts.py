"""What a catalogue is as a database: where, of which revision, how large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, func, select, text

from backstay.catalogue.schema import metadata


@dataclass(frozen=True, slots=True)
class CatalogueFacts:
    """A catalogue as a database.

    Attributes:
        place: where it is, for people: path of a file, or server and name of a database.
        kind: ``sqlite`` or ``postgresql``.
        server: name and version of the program that keeps it.
        revision: of its tables.
        size: bytes that it takes, indexes included.
        rows: number of rows of each table.
        machine: name of this machine, where several share it; else empty.
    """

    place: str
    kind: str
    server: str
    revision: str
    size: int
    rows: Mapping[str, int]
    machine: str


def read_facts(engine: Engine, place: str, machine: str, revision: str) -> CatalogueFacts:
    """Return what a catalogue is as a database; its rows are counted."""
    kind = engine.dialect.name
    names = [table.name for table in metadata.sorted_tables]
    with engine.connect() as connection:
        rows = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }
        if kind == "sqlite":
            pages = text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
            size = int(connection.execute(pages).scalar_one())
            server = f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar_one()}"
        else:
            sizes = text("SELECT sum(pg_total_relation_size(to_regclass(name))) FROM unnest(:names) AS name")
            size = int(connection.execute(sizes, {"names": names}).scalar_one() or 0)
            version = connection.exec_driver_sql("SHOW server_version").scalar_one()
            server = f"PostgreSQL {str(version).split()[0]}"
    return CatalogueFacts(place, kind, server, revision, size, rows, machine)
