"""Several servers behind one list in DB_HOST: real ones, and hosts that say nothing."""

import contextlib
import socket
import time

from postgres import Database, wait_until

WORKERS = 4  # FCGI_WORKERS where nothing else is set


class HostList(Database):
    """A database that is reached by a list of hosts, in the order of preference; connect() goes to its own server."""

    def __init__(self, database, *hosts):
        super().__init__(database.server, database.name)
        self.user, self.password = database.user, database.password
        self.hosts = hosts

    def environment(self):
        """DB_* as a deployment would set them."""
        return {**super().environment(), "DB_HOST": ",".join("127.0.0.1" for _ in self.hosts),
                "DB_PORT": ",".join(str(host.port) for host in self.hosts)}


class DroppingHost:
    """A host that answers no SYN: its backlog is full of connections that nobody accepts."""

    def __init__(self, address="127.0.0.1", port=0):
        self.listener = socket.socket()
        self.listener.bind((address, port))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.fillers = []
        while not self._drops((address, self.port)):
            assert len(self.fillers) < 100, "the backlog does not fill up"

    def _drops(self, address):
        """Adds one more connection; whether it stays without an answer."""
        filler = socket.socket()
        filler.settimeout(0.3)
        self.fillers.append(filler)
        try:
            filler.connect(address)
            return False
        except TimeoutError:
            return True

    def close(self):
        """Gives the port back."""
        for each in (self.listener, *self.fillers):
            each.close()


@contextlib.contextmanager
def frozen(server):
    """All of a server's processes stand still."""
    server.freeze()
    try:
        yield server
    finally:
        server.thaw()


def workers_on(server, database):
    """How many of the service's workers have a connection to this server, its probe among them."""
    with server.connect(database.name) as connection:
        return connection.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                                  "AND application_name = 'coworking-analytics'")[0][0]


def catch_up(primary, standby, seconds=30, what="replay"):
    """Waits until a standby has replayed, or with what="receive" only received, all that the primary has written."""
    position, = primary.execute("SELECT pg_current_wal_lsn()")
    with standby.connect(primary.name) as connection:
        wait_until(lambda: connection.execute(f"SELECT pg_last_wal_{what}_lsn() >= %s", position)[0][0], seconds, "the standby")


def burn_transactions(database, snapshot, most=1000):
    """Uses up transaction ids until the server's snapshot has the same text as another server's had."""
    for _ in range(most):
        if database.snapshot() == snapshot:
            return
        database.execute("SELECT pg_current_xact_id()")
    raise AssertionError(f"{database.snapshot()} never becomes {snapshot}")


def pause_until(moment):
    """Lets whatever goes on go on until a moment of the monotonic clock."""
    wait_until(lambda: time.monotonic() >= moment, moment - time.monotonic() + 5, "the clock")
