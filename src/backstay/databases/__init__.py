"""MySQL/MariaDB, PostgreSQL and SQLite as SQL text, out and in."""
