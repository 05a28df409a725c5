"""Measurements of PostgreSQL itself: its limits, the cost for writers, and their delay by a migration."""

import pathlib
import re
import subprocess
import tempfile
import time

from data import SECONDS, login, migrate, write_token, writing
from measure_requests import CONNECTIONS, output, timed
from postgres import ROOT

SELECT = pathlib.Path(__file__).with_name("select.sql")


def pgbench(subject, clients, *options, **environment):
    """Runs of a script per second."""
    lines = output("pgbench", "-n", "-c", clients, "-j", min(clients, 2), "-T", SECONDS, *options,
                   env={**login(subject.database), **environment}, stderr=subprocess.DEVNULL)
    return float(lines.rpartition("tps = ")[2].split()[0])


def select_rate(subject, _):
    """The shortest query, prepared."""
    return pgbench(subject, CONNECTIONS, "-M", "prepared", "-f", SELECT)


def write_rate(subject, writers, **environment):
    """Tokens per second that this many clients insert and update during one run of the logger."""
    with subprocess.Popen([ROOT / "build/usage-logger"], stdout=subprocess.DEVNULL,
                          env={**login(subject.database), **subject.database.environment(), "APP_PORT": "1"}):
        return pgbench(subject, int(writers.split()[0]), *write_token(subject.database), **environment)


def write_rate_asynchronous(subject, writers):
    """The same with asynchronous commit, since waiting for the disk hides other costs."""
    return write_rate(subject, writers, PGOPTIONS="-c synchronous_commit=off")


def copy(subject, path):
    """Milliseconds that psql takes to COPY a report's rows."""
    query = re.sub(r"\$\d", "NULL", (ROOT / f"sql/reports/{path.rpartition('/')[2]}.sql").read_text())  # no parameter
    lines = output("psql", "-X", "-q", "-o", "/dev/null", "-c", r"\timing on", "-c", f"COPY ({query}) TO STDOUT",
                   env=login(subject.database))
    return float(lines.rpartition("Time: ")[2].split()[0])


def switch_rollups(subject, setting):
    """Seconds to switch rollups on or off."""
    return timed(migrate, subject.database, setting)


def switch_rollups_beside_writers(subject, setting):
    """The longest transaction of a writer meanwhile, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        with writing(subject.database, 200, "--log", folder=folder):
            time.sleep(1)
            migrate(subject.database, setting)
            time.sleep(1)
        log, = pathlib.Path(folder).iterdir()
        lines = log.read_text().splitlines()[:-1]  # without the last line, which the end of pgbench cut off
    return max(int(line.split()[2]) for line in lines) / 1e3
