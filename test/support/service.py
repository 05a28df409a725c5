"""The whole service as `make run` starts it, and a client for it."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

from keys import KeysFile, sign, key_of_tests
from postgres import ROOT, free_port, is_alive, processes_below, wait_until


class Answer:
    """What came back for a request."""

    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    def json(self):
        """The body as JSON."""
        return json.loads(self.body)


class Connection(http.client.HTTPConnection):
    """A connection to a service. Requests carry its key, unless they have credentials of their own."""

    def __init__(self, service, timeout):
        super().__init__("127.0.0.1", service.port, timeout=timeout)
        self.key = service.key

    def request(self, method, url, body=None, headers=None, *, encode_chunked=False):
        super().request(method, url, body, {**self.key, **(headers or {})}, encode_chunked=encode_chunked)


class Service:
    """nginx, both pools and the logger, against one database. It wants keys if it gets the text of a file of keys; requests
    then carry the tests' key."""

    key = {}  # the header field that each request carries
    keys_file = None
    running = set()  # services that have not ended; what they wrote is shown with a failure

    def __init__(self, programs, environment=None, wait=True, output=subprocess.PIPE, prefix=(), keys=None, **variables):
        if keys is not None:
            self.keys_file = KeysFile(keys)
            self.key = key_of_tests().field
            variables["KEYS_FILE"] = str(self.keys_file.path)
        self.port = free_port()
        self.process = subprocess.Popen(
            [*prefix, ROOT / "docker/local/run"], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE,
            env={**os.environ, "PROGRAMS": str(programs), "APP_PORT": str(self.port),
                 "ASAN_OPTIONS": "detect_leaks=1", **(environment or {}), **variables})
        self.told = None  # when it was told to end
        self.log, self.errors = [], []
        self.readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.log), (self.process.stderr, self.errors)) if pair[0]]
        for reader in self.readers:
            reader.start()
        self.running.add(self)
        if wait:
            try:
                wait_until(lambda: self._is_up() or self.process.poll() is not None, 30, "the service's start")
                assert self.process.poll() is None, "".join(self.errors)
            except BaseException:
                self.kill()
                raise

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.decode(errors="backslashreplace"))

    def _is_up(self):
        """Whether it said so: in its log or, where that goes elsewhere, to people."""
        return self.events("ready") if self.process.stdout else any("ready at" in line for line in self.errors)

    def events(self, name, **members):
        """The log's lines of one event, as objects, that have these members."""
        parsed = [json.loads(line) for line in list(self.log) if line.startswith("{") and name in line]
        return [line for line in parsed if line["event"] == name and members.items() <= line.items()]

    def directory(self):
        """The run's own folder, which holds the sockets."""
        return pathlib.Path(os.readlink(f"/proc/{self.process.pid}/cwd"))

    def pids(self, word, without=None):
        """The pids of the service's processes whose command line starts with a program and has a word."""
        found = []
        for pid in processes_below(self.process.pid):
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if word in words[0] and "--migrate" not in words and (without is None or without not in words):
                found.append(pid)
        return found

    def workers(self):
        """The pids of the report workers."""
        return self.pids("analytics-fcgi", without="--probe")

    def connect(self, timeout=30):
        """A connection to nginx."""
        return Connection(self, timeout)

    def request(self, path, method="GET", headers=None, timeout=30, body=None):
        """One request on a connection of its own."""
        connection = self.connect(timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        """GET; header names with underscores for dashes."""
        return self.request(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def raw(self, data, timeout=15):
        """Sends bytes as they are, returns all that comes back until the other side closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(sign(data, self.key))
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            return received

    def last_lines(self):
        """The last lines that it wrote, but for those of the access log."""
        lines = [line for line in list(self.log) if '"event":"access"' not in line]
        return "".join([*lines[-20:], *self.errors[-20:]])

    @property
    def ended(self):
        """Whether it has been stopped."""
        return self.process.poll() is not None

    @property
    def status(self):
        """What it ended with: 0 when all went well."""
        return self.process.returncode

    def is_ready(self):
        """Whether /readiness_check says so."""
        return self.get("/readiness_check").status == 200

    def stop(self, number=signal.SIGTERM, seconds=10):
        """Ends the service; nothing of it may be left, and no sanitizer may have found anything."""
        pids = processes_below(self.process.pid)
        directory = self.directory() if self.process.poll() is None else None
        self.told = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(seconds)
        self.running.discard(self)
        for reader in self.readers:
            reader.join(5)
        self._remove_keys()
        left = [pid for pid in pids if is_alive(pid)]
        assert not left, f"processes left: {left}"
        assert directory is None or not directory.exists(), "the run's folder is left"
        errors = "".join(self.errors)
        assert "Sanitizer" not in errors and "runtime error" not in errors, errors

    def write_keys(self, text):
        """Replaces the file of keys."""
        self.keys_file.write(text)

    def _remove_keys(self):
        if self.keys_file:
            self.keys_file.close()

    def kill(self):
        """Ends what may be left, for a test that has failed already."""
        for pid in [self.process.pid, *processes_below(self.process.pid)]:
            try:
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.running.discard(self)
        self._remove_keys()


def run_logger(programs, database, port, prefix=(), **variables):
    """One run of the logger, as the last words of a command: its status and its line."""
    finished = subprocess.run([*prefix, programs / "usage-logger"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={**os.environ, **database.environment(), "APP_PORT": str(port), **variables},
                              timeout=60, check=False)
    assert finished.stderr == "", finished.stderr
    [text] = finished.stdout.splitlines()
    return finished.returncode, json.loads(text)
