"""Connections that read reports all the while something else happens to the service."""

import http.client
import json
import selectors
import socket
import time

from background import Background
from keys import sign
from postgres import wait_until

REPORTS = ("/api/reports/daily_usage", "/api/reports/user_visits")


class Outcome:
    """How one request went: a status and a whole body, or what broke it."""

    def __init__(self, path, started):
        self.path = path
        self.started = started
        self.sent = None  # when the whole request had left
        self.seconds = None
        self.status = None
        self.error = None

    @property
    def good(self):
        """200 with a whole, valid body."""
        return self.status == 200 and self.error is None

    @property
    def answered(self):
        """A whole answer: a report or a problem document."""
        return self.status is not None and self.error is None

    @property
    def ended(self):
        """The moment at which the answer was there."""
        return self.started + self.seconds

    def __repr__(self):
        return f"<{self.path} {self.error or self.status} after {self.seconds:.3f} s>"


class Load(Background):
    """Reads reports over so many connections until stopped; every request's outcome is kept."""

    def __init__(self, service, connections=8, paths=REPORTS, timeout=20, headers=None):
        super().__init__(*((self._read, number) for number in range(connections)), patience=timeout + 5)
        self.service = service
        self.paths = paths
        self.headers = headers or {}
        self.timeout = timeout
        self.outcomes = []

    def _read(self, number):
        connection = None
        while not self.stopping.is_set():
            if connection is None:
                connection = self.service.connect(self.timeout)
            outcome = Outcome(self.paths[number % len(self.paths)], time.monotonic())
            number += 1
            if not self._request(connection, outcome):
                connection.close()
                connection = None
            outcome.seconds = time.monotonic() - outcome.started
            self.outcomes.append(outcome)
            if outcome.status is None:
                time.sleep(0.05)  # nothing listens: a client would wait too
        if connection:
            connection.close()

    def _request(self, connection, outcome):
        """False when the connection is of no further use."""
        try:
            connection.request("GET", outcome.path, headers=self.headers)
            outcome.sent = time.monotonic()
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            outcome.error = f"{type(error).__name__}: {error}"
            return False
        outcome.status = response.status
        try:
            document = json.loads(body)
        except ValueError:
            outcome.error = f"a cut body that looks whole: {body[-40:]!r}"
            return False
        if response.status != 200 and document.get("status") != response.status:
            outcome.error = f"not a problem document: {body[:200]!r}"
        return not response.will_close

    def good(self):
        """The requests that were answered in full."""
        return [outcome for outcome in list(self.outcomes) if outcome.good]

    def answered(self):
        """The requests that got a whole answer, be it a report or a problem document."""
        return [outcome for outcome in list(self.outcomes) if outcome.answered]

    def reach(self, number, seconds=60, since=0):
        """Waits until so many requests that began after a moment have been answered with a report."""
        wait_until(lambda: sum(outcome.good for outcome in self.since(since)) >= number, seconds,
                   f"{number} reports")

    def bad(self):
        """All others."""
        return [outcome for outcome in list(self.outcomes) if not outcome.good]

    def since(self, moment):
        """The requests that began after a moment of the monotonic clock."""
        return [outcome for outcome in list(self.outcomes) if outcome.started >= moment]

    def summary(self):
        """What came back how often."""
        counts = {}
        for outcome in list(self.outcomes):
            key = outcome.error or outcome.status
            counts[key] = counts.get(key, 0) + 1
        return counts


class Batch:
    """One request on each of many connections, all at the same time and in one thread."""

    def __init__(self, service, number, path=REPORTS[0]):
        self.started = time.monotonic()
        self.waiting = selectors.DefaultSelector()
        self.answers = []  # (the whole answer as it came, seconds)
        request = sign(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(), service.key)
        for _ in range(number):
            connection = socket.create_connection(("127.0.0.1", service.port))
            connection.sendall(request)
            connection.setblocking(False)
            self.waiting.register(connection, selectors.EVENT_READ, (time.monotonic(), bytearray()))

    def collect(self, seconds):
        """Reads every answer to its end; fails when one is still missing after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.waiting.get_map():
            assert time.monotonic() < deadline, f"{len(self.waiting.get_map())} requests hang"
            for key, _ in self.waiting.select(0.1):
                self._read(key)
        return self

    def _read(self, key):
        sent, received = key.data
        try:
            chunk = key.fileobj.recv(65536)
        except ConnectionError:
            chunk = b""
        received += chunk
        if not chunk:
            self.waiting.unregister(key.fileobj)
            key.fileobj.close()
            self.answers.append((bytes(received), time.monotonic() - sent))

    def statuses(self):
        """How many got which status; None stands for no answer or a cut one."""
        counts = {}
        for answer, _ in self.answers:
            status = self._status(answer)
            counts[status] = counts.get(status, 0) + 1
        return counts

    @staticmethod
    def _status(answer):
        head, found, body = answer.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        whole = found and len(body) == int(fields.get(b"content-length", -1))
        return int(head.split()[1]) if whole else None

    def slowest(self):
        """The longest that an answer took, in seconds."""
        return max(seconds for _, seconds in self.answers)
