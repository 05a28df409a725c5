"""A throwaway PgBouncer in transaction mode before one PostgreSQL server."""

import copy
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import psycopg2
from postgres import PASSWORD, ROOT, UNPRIVILEGED, Connection, free_port, wait_until

NEEDED = (1, 21)  # the first version that forwards prepared statements
FETCHED = ROOT / "build/pgbouncer"  # where docker/local/setup-pooler puts what this system's packages lack
MISSING = "no PgBouncer of at least 1.21: docker/local/setup-pooler provides it"


def find_program():
    """The system's PgBouncer where it is new enough, or the folder of the fetched one, or None."""
    program = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.match(r"PgBouncer (\d+)\.(\d+)", said)
        if version and tuple(map(int, version.groups())) >= NEEDED:
            return pathlib.Path(program)
    return FETCHED if (FETCHED / "complete").exists() else None


class Pooler:
    """One PgBouncer with its files in a folder of its own; close() leaves nothing."""

    def __init__(self, server, users=None, pool_size=1, **settings):
        self.server = server
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coworking-test-pooler."))
        self.port = free_port()
        self._write_files({"postgres": PASSWORD, **(users or {})}, {"default_pool_size": pool_size, **settings})
        self.command = [*self._program(), self.folder / "pgbouncer.ini"]
        if UNPRIVILEGED:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, "www-data", "www-data")
        self.start()

    def start(self):
        """Starts it and waits until it takes connections."""
        with open(self.folder / "log", "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([*UNPRIVILEGED, *self.command], cwd=self.folder,
                                            stdout=log, stderr=subprocess.STDOUT)
        wait_until(self._takes_connections, 10, "the pooler")

    def _write_files(self, users, settings):
        """Passwords are in clear, since PgBouncer has to log in with them too."""
        settings = {"listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "", "pool_mode": "transaction",
                    "auth_type": "scram-sha-256", "auth_file": self.folder / "users", "admin_users": "postgres",
                    "server_login_retry": 0.1, "max_client_conn": 200, **settings}
        lines = [f"{name} = {value}" for name, value in settings.items()]
        (self.folder / "pgbouncer.ini").write_text("\n".join(
            ["[databases]", f"* = host=127.0.0.1 port={self.server.port}", "[pgbouncer]", *lines, ""]))
        (self.folder / "users").write_text("".join(f'"{name}" "{password}"\n' for name, password in users.items()))

    def _program(self):
        """A fetched one is copied to where another user may read it, and runs with the libraries beside it."""
        program = find_program()
        if program != FETCHED:
            return [program]
        shutil.copytree(FETCHED, self.folder / "program")
        (self.folder / "program").chmod(0o755)
        return [self.folder / "program/loader", "--library-path", self.folder / "program", self.folder / "program/pgbouncer"]

    def _takes_connections(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            self.connect("pgbouncer").close()
            return True
        except psycopg2.OperationalError:
            return False

    def connect(self, database, user="postgres", password=PASSWORD):
        """A client connection on which every statement is its own transaction."""
        return Connection(host="127.0.0.1", port=self.port, dbname=database, user=user, password=password)

    def reach(self, database):
        """The same database as it is reached through the pooler, by the same roles."""
        reached = copy.copy(database)
        reached.server = self
        return reached

    def stop(self):
        """Ends the pooler with all its connections."""
        self.process.kill()
        self.process.wait()

    def close(self):
        """Ends the pooler and removes its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
