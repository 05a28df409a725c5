#!/usr/bin/python3
"""Runs every SQL file on an empty database: tables, sample data, migrations, queries. Part of `make lint`."""

import sys

import environment
import psycopg2
from postgres import ROOT, Postgres


def check(database):
    """Fails on the first file that PostgreSQL does not take."""
    database.run_file(ROOT / "sql/coworking/sample.sql")
    database.run_file(ROOT / "test/bench/data.sql", "-v", "users=10", "-v", "tokens=1000")
    for _ in range(2):
        migration = database.migrate()
        assert migration.returncode == 0, migration.stderr
    with database.connect() as connection:
        for number, path in enumerate(sorted(ROOT.glob("sql/[lrw]*/*.sql"))):
            try:
                connection.execute(f"PREPARE query_{number} AS {path.read_text()}")
            except psycopg2.Error as error:
                sys.exit(f"{path.relative_to(ROOT)}: {error}")


environment.scrub()
server = Postgres()
try:
    check(server.create_database("lint"))
finally:
    server.close()
