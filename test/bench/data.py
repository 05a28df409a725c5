"""The databases: one server, filled by data.sql, and writers to them."""

import contextlib
import os
import pathlib
import subprocess
from collections import namedtuple

from postgres import PASSWORD, Postgres

HERE = pathlib.Path(__file__).parent
QUICK = bool(os.environ.get("QUICK"))  # a quick run to see that everything works; its figures mean nothing
SECONDS = 1 if QUICK else 3  # of a round

# Enough connections for every contender, and durable commits, as in production.
SETTINGS = "-c fsync=on -c max_connections=200 -c shared_buffers=1GB -c max_wal_size=8GB"

# `written`: tokens per second that are written during measurements.
Data = namedtuple("Data", "database users tokens rollups written", defaults=("ROLLUPS=on", 0))


class Databases:
    """One server, and a database for each name, which is created when it is first needed."""

    def __init__(self):
        self.server = Postgres(SETTINGS)
        self.made = {}

    def get(self, data):
        """The database with this data."""
        if data.database not in self.made:
            self.made[data.database] = self._make(data)
        return self.made[data.database]

    def _make(self, data):
        database = self.server.create_database(data.database)
        part = 100 if QUICK and data.tokens > 10_000 else 1
        database.users, tokens = data.users // part, data.tokens // part
        database.run_file(HERE / "data.sql", "-v", f"users={database.users}", "-v", f"tokens={tokens}")
        database.execute("VACUUM ANALYZE")
        migrate(database, data.rollups)
        database.execute("VACUUM ANALYZE")
        database.execute("CHECKPOINT")
        return database

    def close(self):
        """Ends the server and removes its files."""
        self.server.close()


def migrate(database, setting):
    """Migrates, for example with ROLLUPS=on."""
    done = database.migrate(**dict([setting.split("=")]))
    if done.returncode:
        raise RuntimeError(done.stderr)


def login(database):
    """libpq's environment for a database."""
    return {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(database.server.port), "PGDATABASE": database.name,
            "PGUSER": "postgres", "PGPASSWORD": PASSWORD}


def write_token(database):
    """pgbench's arguments for write_token.sql."""
    return "-f", HERE / "write_token.sql", "-D", f"users={database.users}"


@contextlib.contextmanager
def writing(database, rate, *options, folder=None):
    """Requests and uses this many tokens per second in the background."""
    with subprocess.Popen(
            ["pgbench", "-n", *write_token(database), "-c", "4", "-T", "3600", f"--rate={rate}", *options], cwd=folder,
            env=login(database), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
            if process.poll() is not None:
                raise RuntimeError("pgbench ended early")
        finally:
            process.terminate()
