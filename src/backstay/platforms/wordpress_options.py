"""WordPress's own address, where only its database knows it: the options ``home`` and ``siteurl``."""

from __future__ import annotations

from backstay.databases.address import DatabaseAddress
from backstay.errors import DatabaseError

_PATIENCE = 3.0
_LONGEST = 2048


def read_address(database: DatabaseAddress, prefix: str) -> str:
    """Ask a WordPress database for the address of its site.

    One query, which changes nothing and waits for each answer three seconds at most: the address is of use and not
    needed, so a database that gives none is no error here.

    Args:
        database: where the tables are.
        prefix: of the tables' names.

    Returns:
        An address such as ``https://example.com/blog``; empty where the database gives none.
    """
    # The driver is loaded only where it is asked.
    import pymysql

    from backstay.databases.mysql.connection import connect
    from backstay.databases.mysql.tokens import quote

    # ``home`` is what visitors open; ``siteurl`` is where WordPress's own files lie.
    table = quote(f"{prefix}options")
    condition = "option_name IN ('home', 'siteurl') AND option_value <> ''"
    sql = f"SELECT LEFT(option_value, {_LONGEST}) FROM {table} WHERE {condition} ORDER BY option_name LIMIT 1"  # noqa: S608 - the name is quoted
    try:
        with connect(database, patience=_PATIENCE) as connection:
            value = connection.value(sql)
    except (DatabaseError, pymysql.err.Error, OSError, ValueError):
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
