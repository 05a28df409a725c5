"""Connections that read reports all the while something else happens to the service."""

import http.client
import json
import threading
import time

REPORTS = ("/api/reports/daily_usage", "/api/reports/user_visits")


class Outcome:
    """How one request went: a status and a whole body, or what broke it."""

    def __init__(self, path, started):
        self.path = path
        self.started = started
        self.seconds = None
        self.status = None
        self.error = None

    @property
    def good(self):
        """200 with a whole, valid body."""
        return self.status == 200 and self.error is None


class Load:
    """Reads reports over so many connections until stopped; every request's outcome is kept."""

    def __init__(self, service, connections=8, paths=REPORTS, timeout=20):
        self.service = service
        self.paths = paths
        self.timeout = timeout
        self.outcomes = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._read, args=(number,), daemon=True)
                        for number in range(connections)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(self.timeout + 5)
        assert not any(thread.is_alive() for thread in self.threads), "a request hangs"

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

    @staticmethod
    def _request(connection, outcome):
        """False when the connection is of no further use."""
        try:
            connection.request("GET", outcome.path)
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
