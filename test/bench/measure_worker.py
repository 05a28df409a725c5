"""Instructions that a worker executes for a request, counted by callgrind and so independent of the machine's load."""

import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import tempfile

import fastcgi
from measure_requests import WRITE
from postgres import ROOT, UNPRIVILEGED, wait_until

REQUESTS = 20


class Worker:
    """One report worker under callgrind, with its socket where a run of the service has it."""

    def __init__(self, database):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coworking-bench."))
        (self.folder / "run").mkdir()
        shutil.copy(ROOT / "build/analytics-fcgi", self.folder)
        if UNPRIVILEGED:
            for path in (self.folder, self.folder / "run"):
                shutil.chown(path, "www-data", "www-data")
        # callgrind writes the counts, and resets them, whenever the worker waits for the next request.
        self.process = subprocess.Popen(
            [*UNPRIVILEGED, "spawn-fcgi", "-n", "-s", "run/reports.sock", "--", shutil.which("valgrind"),
             "--tool=callgrind", "--callgrind-out-file=counted", "--dump-before=http_next", "./analytics-fcgi"],
            cwd=self.folder, env={**os.environ, **database.environment()}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_until((self.folder / "run/reports.sock").exists, 10, "the worker's socket")

    def directory(self):
        """The folder with the socket."""
        return self.folder

    def stop(self):
        """Ends the worker; returns the counts of instructions between waits."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        lines = [line for path in self.folder.glob("counted*") for line in path.read_text().splitlines()]
        shutil.rmtree(self.folder)
        return [int(line.split()[1]) for line in lines if line.startswith("totals:")]


def count(subject, path, between):
    """Instructions of one request: the median of several."""
    worker = Worker(subject.database)
    try:
        for _ in range(REQUESTS):
            between()
            output, ended = fastcgi.output(fastcgi.exchange(worker, fastcgi.get(path), timeout=60))
            if not ended or b"Status: 200" not in output:
                raise RuntimeError(f"{path}: {output[:200]}")
    finally:
        counted = worker.stop()
    return statistics.median(counted)


def instructions_kept(subject, path):
    """When nothing has changed since the last one."""
    return count(subject, path, lambda: None)


def instructions_fresh(subject, path):
    """When a token was written since the last one."""
    with subject.database.connect() as writer:
        return count(subject, path, lambda: writer.execute(WRITE))
