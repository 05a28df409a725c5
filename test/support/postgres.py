"""A throwaway PostgreSQL server on a free port of the loopback interface."""

import atexit
import contextlib
import functools
import itertools
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import psycopg2

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(subprocess.check_output(["pg_config", "--bindir"], text=True).strip())
# PostgreSQL refuses to run as root.
UNPRIVILEGED = ["setpriv", "--reuid=www-data", "--regid=www-data", "--init-groups"] if os.geteuid() == 0 else []
PASSWORD = "s3cret-of-the-tests"


@functools.cache
def _own_ports():
    """200 ports, in turn, that no other process of tests uses while this one runs. All are below those that the kernel
    gives to clients (ip_local_port_range), which could take a port between its choice and its use."""
    claim = socket.socket(socket.AF_UNIX)
    for first in random.sample(range(10_000, 32_600, 200), 113):
        with contextlib.suppress(OSError):
            claim.bind(f"\0coworking-test-ports.{first}")  # held by its name until this process ends
            return claim, itertools.cycle(range(first, first + 200))
    raise AssertionError("all ports belong to other runs of the tests")


def free_port():
    """A port that nothing listens on."""
    for port in _own_ports()[1]:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("", port))
            return port
    raise AssertionError("cycle() ends")


def processes_below(pid):
    """The pids of a process's children, their children, and so on."""
    children = {}
    for path in pathlib.Path("/proc").glob("[1-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parent = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = list(children.get(pid, []))
    for child in found:  # grows meanwhile
        found += children.get(child, [])
    return found


def is_alive(pid):
    """Whether a process runs; one that has ended and only waits for its parent to notice does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def run_unprivileged(*command):
    """Runs a command as a user whom PostgreSQL's programs accept."""
    subprocess.run([*UNPRIVILEGED, *map(str, command)], check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)


def make_folder():
    """A folder that belongs to this user."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="coworking-test-postgres."))
    if UNPRIVILEGED:
        shutil.chown(folder, "www-data", "www-data")
    return folder


@functools.cache
def new_cluster():
    """A new cluster's data, of which every server gets a copy: that is quicker than initdb."""
    folder = make_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    password_file = folder / "password"
    password_file.write_text(PASSWORD)
    password_file.chmod(0o644)
    run_unprivileged(BINARIES / "initdb", "-D", folder / "data", "-U", "postgres", f"--pwfile={password_file}",
                     "--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
    return folder / "data"


class Postgres:
    """One server with its data in a folder of its own; close() leaves nothing."""

    def __init__(self, settings="", port=None):
        self.settings = settings  # that beat those below, as options of the server
        self._choose_place()
        self.port = port or self.port
        run_unprivileged("cp", "-a", new_cluster(), self.folder / "data")
        self.start()

    def _choose_place(self):
        self.folder = make_folder()
        self.port = free_port()

    @staticmethod
    def _run(program, *arguments):
        run_unprivileged(BINARIES / program, *arguments)

    def start(self):
        """Starts the server and waits until it takes connections."""
        settings = (f"-c listen_addresses=127.0.0.1 -c port={self.port} -c fsync=off "
                    f"-c unix_socket_directories={self.folder} -c max_connections=60 -c shared_buffers=128MB {self.settings}")
        self._run("pg_ctl", "-w", "-D", self.folder / "data", "-l", self.folder / "log", "-o", settings, "start")

    def stop(self, mode="fast"):
        """Stops the server as pg_ctl does: smart, fast or immediate."""
        self._run("pg_ctl", "-w", "-D", self.folder / "data", "-m", mode, "stop")

    def crash(self):
        """Kills the first process, waits for the others to notice, and starts the server again, which recovers."""
        os.kill(self.pids()[0], signal.SIGSTOP)  # no more children, so that none is missed
        pids = self.pids()
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, pids)), 30, "the end of the server's processes")
        for lock in ("data/postmaster.pid", f".s.PGSQL.{self.port}.lock"):  # name a process that is there until reaped
            (self.folder / lock).unlink()
        self.start()

    def crash_process(self, pid):
        """Kills one connection's process: the first process ends all others, and the server recovers."""
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), 10, "the process's end")
        wait_until(self.takes_connections, 30, "the server's recovery")

    def takes_connections(self):
        """Whether it does now."""
        try:
            self.connect("postgres").close()
            return True
        except psycopg2.OperationalError:
            return False

    def is_running(self):
        """Whether the server's process is there."""
        return (self.folder / "data/postmaster.pid").exists()

    def pids(self):
        """The postmaster's pid and those of its children."""
        postmaster = int((self.folder / "data/postmaster.pid").read_text().split()[0])
        return [postmaster, *processes_below(postmaster)]

    def process(self, backend):
        """The pid by which this machine knows one of the server's processes."""
        return backend

    def freeze(self):
        """Stops all of the server's processes: it accepts connections and never answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self):
        """Lets them go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):  # a connection that ends at this moment
                os.kill(pid, number)

    def close(self):
        """Stops the server and removes its data."""
        if self.is_running():
            self.thaw()
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def create_database(self, name):
        """A new database with the coworking service's two tables, empty."""
        with self.connect("postgres") as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        database = Database(self, name)
        database.run_file(ROOT / "sql/coworking/tables.sql")
        return database

    def connect(self, database, user="postgres", password=PASSWORD, options=""):
        """A connection on which every statement is its own transaction."""
        return Connection(host="127.0.0.1", port=self.port, dbname=database, user=user, password=password, options=options)


class Standby(Postgres):
    """A streaming replica of a server."""

    def __init__(self, primary, settings=None, port=None):  # pylint: disable=super-init-not-called
        self._choose_place()
        self.port = port or self.port
        self.settings = primary.settings if settings is None else settings
        self._run("pg_basebackup", "-D", self.folder / "data", "-d", self._origin(primary), "-R", "-c", "fast", "--no-sync")
        self.start()

    @staticmethod
    def _origin(primary):
        return f"host=127.0.0.1 port={primary.port} user=postgres password={PASSWORD}"

    def promote(self):
        """Makes it a primary, and waits until it takes writes."""
        self._run("pg_ctl", "-w", "-D", self.folder / "data", "promote")

    def follow(self, primary):
        """Has it stream from another primary."""
        with self.connect("postgres") as connection:
            connection.execute(f"ALTER SYSTEM SET primary_conninfo = '{self._origin(primary)}'")
            connection.execute("SELECT pg_reload_conf()")

    def replay(self, is_on):
        """Pauses the replay of what is received, or lets it go on."""
        with self.connect("postgres") as connection:
            connection.execute(f"SELECT pg_wal_replay_{'resume' if is_on else 'pause'}()")


class Connection:
    """A thin hand on psycopg2, autocommit."""

    def __init__(self, **parameters):
        self.raw = psycopg2.connect(**parameters)
        self.raw.autocommit = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def execute(self, sql, parameters=None):
        """Runs statements; returns the rows where there are any."""
        with self.raw.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else None

    def execute_as_text(self, sql, parameters):
        """Runs a query; returns its columns' names, and its rows with values as PostgreSQL writes them."""
        with self.raw.cursor() as cursor:
            cursor.execute(f"SELECT * FROM ({sql}) AS q LIMIT 0", parameters)
            names = [column.name for column in cursor.description]
            texts = ", ".join(f'"{name}"::text' for name in names)
            cursor.execute(f"SELECT {texts} FROM ({sql}) AS q", parameters)
            return names, cursor.fetchall()

    def close(self):
        """Ends the connection."""
        self.raw.close()


class Database:
    """One database of a server, and the environment that leads a program to it."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.user = "postgres"
        self.password = PASSWORD

    def environment(self):
        """DB_* as a deployment would set them."""
        return {"DB_HOST": "127.0.0.1", "DB_PORT": str(self.server.port), "DB_NAME": self.name,
                "DB_USERNAME": self.user, "DB_PASSWORD": self.password}

    def connect(self, **login):
        """See Postgres.connect."""
        return self.server.connect(self.name, **login)

    def execute(self, sql, parameters=None):
        """Runs statements on a connection of their own."""
        with self.connect() as connection:
            return connection.execute(sql, parameters)

    def run_file(self, path, *arguments, check=True):
        """Runs a file through psql, as the superuser."""
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        return subprocess.run(
            ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.server.port),
             "-U", "postgres", "-d", self.name, *arguments, "-f", str(path)],
            env=environment, check=check, capture_output=True, text=True)

    def migrate(self, **environment):
        """Does what `make migrate` does; returns the finished process."""
        return subprocess.run([ROOT / "build/analytics-fcgi", "--migrate"], cwd=ROOT, capture_output=True, text=True, check=False,
                              env={**os.environ, **self.environment(), **environment})

    def snapshot(self):
        """What an answer's ETag stands for: it changes with every write on the server, whoever's it is."""
        return self.execute("SELECT pg_current_snapshot()::text")

    def while_nothing_is_written(self, look):
        """What look() returns when nobody wrote to the server meanwhile: PostgreSQL's own upkeep now and then does."""
        for _ in range(20):
            before = self.snapshot()
            seen = look()
            if self.snapshot() == before:
                return seen
        raise AssertionError("somebody writes to the server all the time")

    def clear(self):
        """Empties both tables."""
        self.execute("TRUNCATE users, tokens RESTART IDENTITY")


def wait_until(condition, seconds, what):
    """Waits for a condition; fails when it does not come true in time. Returns the seconds it took."""
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        assert waited < seconds, f"{what}: not within {seconds} s"
        time.sleep(max(0.02, min(0.2, waited / 20)))  # asking takes time from other tests
    return time.monotonic() - started
