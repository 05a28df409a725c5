"""Reports while workers, database and service are killed, stopped and frozen.

Eight connections keep reading reports (support/load.py), and each test prints how many requests were
answered. All deadlines are the contract's.
"""

import contextlib
import functools
import http.client
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from collections import Counter

import pytest
from background import Background
from cluster import frozen, pause_until
from fixtures import make_crowd, make_database
from keys import key_of_tests
from load import Batch, Load
from postgres import ROOT, wait_until
from processes import cpu_seconds, open_sockets
from target import IS_POD

WORKERS = 4  # the default of FCGI_WORKERS
LIMIT_MS = 2000  # STATEMENT_TIMEOUT_MS in tests that wait for it
ENOUGH = 1000  # requests that a test waits for


@pytest.fixture
def run(run):
    """Starts services that want keys, as all pods do."""
    return functools.partial(run, keys=key_of_tests().line)


@pytest.fixture(scope="module")
def fragile(own_server):
    """A migrated database on a server that tests may break."""
    return make_database(own_server)


class Probes(Background):
    """Clients that request a probe's path every 50 ms until stopped."""

    def __init__(self, service, path, clients=1):
        super().__init__(*[(self._poll,)] * clients)
        self.service = service
        self.path = path
        self.results = []  # (time of the request, status, seconds)

    def _poll(self):
        while not self.stopping.wait(0.05):
            asked = time.monotonic()
            try:
                status = self.service.get(self.path).status
            except OSError as error:
                status = repr(error)
            self.results.append((asked, status, time.monotonic() - asked))

    def statuses(self, since=0.0, until=float("inf")):
        """Statuses of the requests that began and ended between two times."""
        return [status for asked, status, seconds in list(self.results)
                if since <= asked and asked + seconds <= until]

    def slowest(self):
        """The longest time of an answer."""
        return max(seconds for _, _, seconds in self.results)


def our_pids(service):
    """The processes that must survive a fault: nginx, the workers of both pools, their supervisors. Looks twice, since a
    child of a supervisor has its name until it runs another program."""
    first, second = ({pid for name in ("analytics-fcgi", "nginx", "multiwatch") for pid in service.pids(name)} for _ in range(2))
    return sorted(first & second)


def is_open(port):
    """Whether something listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def backends(connection, database):
    """The number of connections that the service's programs have to a database."""
    return connection.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s "
                              "AND application_name = 'coworking-analytics'", (database.name,))[0][0]


def assert_all_well(load, moment):
    """Fails unless requests from this time on all get their reports."""
    load.reach(100, since=moment)
    assert all(outcome.good for outcome in load.since(moment)), load.summary()


# Workers


def test_every_worker_killed_ten_times(run, fragile, state):
    service = run(fragile)
    kills, back = 0, []
    with fragile.connect() as watcher, Load(service) as load:
        load.reach(100, 5)
        started = time.monotonic()
        for second in range(10):
            pause_until(started + 0.95 * second)
            victims = service.workers()
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
                kills += 1
            back.append(wait_until(lambda victims=victims: len(set(service.workers()) - set(victims)) == WORKERS,
                                   5, "all workers"))
        assert time.monotonic() - started <= 10 and kills == 10 * WORKERS
        # Each new worker connects when it starts; the killed workers' backends end within a second.
        last = wait_until(lambda: backends(watcher, fragile) == WORKERS + 1, 5, "a connection of each worker")
        load.reach(ENOUGH)
        assert_all_well(load, time.monotonic())
    failed = load.bad()
    state("kill -9", load, kills=kills, failed=len(failed), slowest=max(o.seconds for o in load.outcomes),
          workers_back_within=max(back), connected_within=last)
    assert len(failed) <= kills
    assert all(o.status == 502 and o.answered for o in failed), failed
    assert max(o.seconds for o in load.outcomes) <= 5


def test_a_stopped_worker_delays_only_its_own_request(run, fragile, state):
    service = run(fragile)
    victim = service.workers()[0]
    with Load(service) as load:
        load.reach(100, 5)
        stopped = time.monotonic()
        os.kill(victim, signal.SIGSTOP)
        try:
            load.reach(ENOUGH, since=stopped)
            pause_until(stopped + 3)
            served = len(load.since(stopped))
        finally:
            os.kill(victim, signal.SIGCONT)
        assert_all_well(load, time.monotonic())
    hurt = [o for o in load.outcomes if not o.good or o.seconds > 1]
    state("SIGSTOP of a worker", load, served_meanwhile=served, hurt=hurt)
    assert len(hurt) <= 1 and not [o for o in load.outcomes if not o.answered]
    assert victim in service.workers()


# Liveness

PROBE = ["/usr/bin/cgi-fcgi", "-bind", "-connect", "run/reports.sock"]  # as manifests/coworking.yaml has it


def probe_outcomes(service, times):
    """Counts of the liveness probe's exit status and first line of output."""
    environment = {**os.environ, "PATH_INFO": "/health_check"}
    found = Counter()
    for _ in range(times):
        probe = subprocess.run(PROBE, env=environment, cwd=service.directory(), stdin=subprocess.DEVNULL,
                               capture_output=True, text=True, timeout=30, check=False)
        found[probe.returncode, probe.stdout.splitlines()[0] if probe.stdout else ""] += 1
    return found


@pytest.mark.skipif(IS_POD, reason="the pod's probes run inside it")
def test_the_liveness_probe_never_fails_with_a_healthy_worker(run, fragile, state):
    """cgi-fcgi fails with EPIPE if a worker closes its connection before it has read the end of STDIN."""
    service = run(fragile)
    at_rest = probe_outcomes(service, ENOUGH)
    with Load(service) as load:
        load.reach(100, 5)
        under_load = probe_outcomes(service, ENOUGH)
    state("liveness probe", load, at_rest=dict(at_rest), under_load=dict(under_load))
    assert at_rest == under_load == {(0, "Status: 200 OK"): ENOUGH}


# The database goes away


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_database_stopped_for_ten_seconds(run, own_server, fragile, state, mode):
    service = run(fragile)
    pids = our_pids(service)
    with Probes(service, "/health_check") as health, Probes(service, "/readiness_check") as readiness, \
            Load(service) as load:
        load.reach(100, 5)
        own_server.stop(mode)
        down = time.monotonic()
        try:
            pause_until(down + 10)
            refusal = service.get("/api/reports/daily_usage")
        finally:
            up_again = time.monotonic()
            own_server.start()
        returned = time.monotonic()
        wait_until(service.is_ready, 2, "readiness")
        ready = time.monotonic() - returned
        assert_all_well(load, returned + 2)
    during = [o for o in load.outcomes if o.started >= down and o.ended <= up_again]
    first_good = min(o.ended for o in load.good() if o.started > down) - returned
    state(f"database stopped ({mode})", load, slowest=max(o.seconds for o in during), health_slowest=health.slowest(),
          ready_again=ready, report_again=first_good)
    assert len(during) >= ENOUGH
    assert {o.status for o in during} == {503} and max(o.seconds for o in during) <= 1
    assert {o.status for o in load.outcomes} == {200, 503} and len(load.answered()) == len(load.outcomes)
    assert refusal.headers["Retry-After"]
    assert set(health.statuses()) == {200}
    # Readiness keeps a result for a second.
    assert set(readiness.statuses(down + 1, up_again)) == {503}
    assert our_pids(service) == pids


@pytest.mark.parametrize("migrated", [True, False], ids=["migrated", "new"])
def test_database_not_there_at_start(run, own_server, fragile, state, migrated, programs):
    database = fragile
    if not migrated:
        database = own_server.create_database(f"new_{programs.name}")
        database.run_file(ROOT / "test/service/example.sql")
    own_server.stop()
    try:
        started = time.monotonic()
        service = run(database)
        start = time.monotonic() - started
        pids = our_pids(service)
        everything = [service.process.pid, *service.pids("")]
        used, since = cpu_seconds(everything), time.monotonic()
        pause_until(since + 4)
        load_of_idling = (cpu_seconds(everything) - used) / (time.monotonic() - since)
        assert service.get("/health_check").status == 200
        assert service.get("/readiness_check").status == 503
        with Load(service) as load:
            wait_until(lambda: len(load.answered()) >= ENOUGH, 15, "requests")
        assert {o.status for o in load.outcomes} == {503} and max(o.seconds for o in load.outcomes) <= 1
        assert our_pids(service) == pids, "a crash loop"
    finally:
        own_server.start()
    returned = time.monotonic()
    with Load(service) as later:
        wait_until(service.is_ready, 2, "readiness")
        ready = time.monotonic() - returned
        assert_all_well(later, returned + 2)
    state("database not there at start", load, afterwards=later.summary(), start_took=start, cores_used=load_of_idling,
          slowest=max(o.seconds for o in load.outcomes), ready_again=ready)
    assert our_pids(service) == pids
    assert load_of_idling < 0.25


# Trouble from the start


def drop_tables(database):
    """Drops the coworking service's tables."""
    database.execute("DROP TABLE tokens, users")


def change_password(database):
    """Changes the role's password, which the service does not know."""
    database.execute(f"DROP ROLE IF EXISTS {database.name}; CREATE ROLE {database.name} LOGIN PASSWORD 'another'")
    database.user = database.name


@pytest.mark.plain_only(reason="test_commands has the same trouble for both builds, without the load")
@pytest.mark.parametrize("trouble, line", [(drop_tables, "tokens"), (change_password, "password")])
def test_database_that_is_of_no_use(run, own_server, state, programs, trouble, line):
    database = own_server.create_database(f"{trouble.__name__}_{programs.name}")
    trouble(database)
    service = run(database)
    pids = our_pids(service)
    everything = [service.process.pid, *service.pids("")]
    with Load(service) as load:
        wait_until(lambda: len(load.answered()) >= ENOUGH, 60, "requests")
    used, since = cpu_seconds(everything), time.monotonic()
    pause_until(since + 3)
    cores = (cpu_seconds(everything) - used) / (time.monotonic() - since)
    said = [text.strip() for text in service.errors + service.log if line in text]
    state(trouble.__name__, load, cores_used=cores, slowest=max(o.seconds for o in load.outcomes), first_line=said[:1],
          lines=len(service.log) - len(service.events("request")) - len(service.events("access")))
    assert {o.status for o in load.outcomes} == {503} and len(load.answered()) == len(load.outcomes)
    assert max(o.seconds for o in load.outcomes) <= 1
    assert service.get("/health_check").status == 200 and service.get("/readiness_check").status == 503
    assert said and not any("another" in text or database.password in text for text in service.errors + service.log)
    assert our_pids(service) == pids and cores < 0.25


# The database does not answer


@contextlib.contextmanager
def locked(database):
    """Somebody has locked the table, and a commit since then makes kept answers outdated."""
    with database.connect() as someone:
        someone.execute("BEGIN; LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE")
        database.execute("SELECT pg_current_xact_id()")
        yield someone


SILENCES = {"frozen": frozen, "locked": locked}


@pytest.mark.parametrize("silence", list(SILENCES))
@pytest.mark.parametrize("connections, limit_ms", [
    (8, LIMIT_MS),
    (64, LIMIT_MS),
    pytest.param(8, 5000, marks=pytest.mark.plain_only(reason="the same with the default limit takes long")),
])
def test_database_that_does_not_answer(run, own_server, fragile, state, silence, connections, limit_ms):
    variables = {} if limit_ms == 5000 else {"STATEMENT_TIMEOUT_MS": str(limit_ms)}
    service = run(fragile, **variables)
    limit = limit_ms / 1000
    pids = our_pids(service)
    counts = []
    with Probes(service, "/health_check") as health, Probes(service, "/readiness_check", 8) as readiness, \
            fragile.connect() as watcher, Load(service, connections) as load:
        load.reach(100, 5)
        with SILENCES[silence](own_server if silence == "frozen" else fragile):
            began = time.monotonic()
            while time.monotonic() < began + min(2.5 * limit, limit + 3):
                pause_until(time.monotonic() + 0.1)
                if silence == "locked":
                    counts.append(backends(watcher, fragile))
            over = time.monotonic()
        back = time.monotonic()
        assert_all_well(load, back + 2)
        load.reach(ENOUGH)
    served = [o for o in load.good() if o.started >= began and o.ended <= over]
    during = [o for o in load.outcomes if not o.good and o.ended <= over]
    by_status = {status: sum(o.status == status for o in during) for status in (503, 504)}
    late = [o for o in load.outcomes if o.seconds > limit + 1]
    recovered = min(o.ended for o in load.good() if o.ended > back) - back
    state(f"{silence} with {connections} connections, limit {limit:.0f} s", load, during=by_status,
          slowest=max(o.seconds for o in load.outcomes), health_slowest=health.slowest(), health_checks=len(health.results),
          readiness_checks=len(readiness.results), recovered=recovered, backends=max(counts, default=None))
    assert not late, late
    assert len(load.answered()) == len(load.outcomes)
    assert not served
    # More requests wait than there are workers. Those behind get 503 instead of waiting for another limit.
    assert by_status[504] > 0 and by_status[503] > 0
    assert by_status[503] + by_status[504] == len(during) >= connections
    assert set(health.statuses()) == {200} and health.slowest() <= 0.5
    if silence == "locked":
        assert set(readiness.statuses()) == {200}
        assert max(counts) <= 4 * WORKERS + 1  # the server notices within 500 ms that a worker gave up
    else:
        assert set(readiness.statuses(began + 1.5, over)) == {503}
    assert our_pids(service) == pids


@pytest.mark.alone
def test_however_many_wait(run, own_server, fragile, state):
    """2,000 requests fit into nginx's connections and the sockets' queues."""
    waiting = 2_000
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    service = run(fragile, STATEMENT_TIMEOUT_MS=str(LIMIT_MS))
    limit = LIMIT_MS / 1000
    with Load(service) as load:
        load.reach(ENOUGH)
    with Probes(service, "/health_check") as health, Probes(service, "/readiness_check", 8), frozen(own_server):
        batch = Batch(service, waiting).collect(limit + 5)
    recovered = wait_until(service.is_ready, 2, "readiness")
    state(f"{waiting} waiting", load, statuses=batch.statuses(), slowest=batch.slowest(), health_checks=len(health.results),
          health_slowest=health.slowest(), health=set(health.statuses()), recovered=recovered)
    assert set(batch.statuses()) <= {503, 504} and batch.slowest() <= limit + 1
    assert set(health.statuses()) == {200} and health.slowest() <= 0.5


@pytest.mark.alone
def test_requests_behind_a_locked_table_get_503(run, fragile, state):
    """All workers wait for a lock. Requests behind them get 503 as soon as those time out."""
    service = run(fragile, STATEMENT_TIMEOUT_MS=str(LIMIT_MS))
    limit = LIMIT_MS / 1000
    with locked(fragile):
        first = Batch(service, WORKERS)
        wait_until(lambda: fragile.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] == WORKERS,
                   1, "workers that wait for the lock")
        second = Batch(service, 400)
        first.collect(limit + 2)
        second.collect(limit + 2)
    with Load(service) as load:
        load.reach(ENOUGH)
    assert not load.bad(), load.summary()
    state("behind a locked table", load, first=first.statuses(), second=second.statuses(),
          slowest=max(first.slowest(), second.slowest()))
    assert first.slowest() <= limit + 1 and second.slowest() <= limit + 1
    assert first.statuses() == {504: WORKERS}
    # A worker that is free just before the limit may start one more request, for the time that is left.
    assert set(second.statuses()) <= {503, 504} and second.statuses().get(504, 0) <= WORKERS
    refusals = [answer for answer, _ in second.answers if b" 503 " in answer.partition(b"\r\n")[0]]
    assert all(b"\r\nRetry-After: " in answer for answer in refusals)


@pytest.mark.alone
def test_requests_that_waited_too_long_for_a_worker_are_not_served(run, fragile, state):
    """The only worker gets to them after their time limit."""
    service = run(fragile, STATEMENT_TIMEOUT_MS=str(LIMIT_MS), FCGI_WORKERS="1")
    worker, = service.workers()
    with Load(service) as load:
        load.reach(ENOUGH)
    os.kill(worker, signal.SIGSTOP)
    try:
        batch = Batch(service, 100)
        pause_until(time.monotonic() + LIMIT_MS / 1000 + 0.2)
    finally:
        os.kill(worker, signal.SIGCONT)
    late = Batch(service, 1).collect(1)
    batch.collect(1)
    state("waited too long for a worker", load, statuses=batch.statuses(), slowest=batch.slowest())
    assert batch.statuses() == {503: 100} and batch.slowest() <= LIMIT_MS / 1000 + 1
    assert late.statuses() == {200: 1}


# Connections that went stale


def test_stale_connections_fail_no_request(run, own_server, fragile, state):
    service = run(fragile)
    answered = 0
    terminations = 3
    with own_server.connect("postgres") as administrator:
        for _ in range(terminations):
            with Load(service) as load:
                load.reach(300)
            answered += len(load.good())
            assert not load.bad(), load.summary()
            ended = administrator.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                                          "WHERE datname = %s", (fragile.name,))[0][0]
            assert ended >= WORKERS, "an idle worker has no connection"
    for mode in ("fast", "immediate"):
        with Load(service) as load:
            load.reach(300)
        answered += len(load.good())
        assert not load.bad(), load.summary()
        own_server.stop(mode)
        own_server.start()
        wait_until(service.is_ready, 10, "readiness")
    with Load(service) as load:
        load.reach(300)
    answered += len(load.good())
    assert not load.bad(), load.summary()
    state("stale connections", terminations=terminations, restarts=2, answered=answered, failed=0)
    assert answered >= ENOUGH


# The end of the service


def test_end_under_load(run, fragile, state):
    """Requests from before TERM get whole answers. Later ones may be refused, or closed without a single
    byte (they were not accepted, and a client may send them again), but every answer is whole. A pod's
    network ends with its last process: requests after that may fail in any way."""
    service = run(fragile)
    with Load(service) as kept, Load(service, 4, headers={"Connection": "close"}) as fresh:
        kept.reach(ENOUGH)
        fresh.reach(100)
        service.stop()
        gone = time.monotonic() - service.told
        pause_until(time.monotonic() + 0.2)
    outcomes = kept.outcomes + fresh.outcomes
    accepted = [o for o in outcomes if o.sent is not None and o.sent < service.told]
    later = [o for o in outcomes if o.sent is None or o.sent >= service.told]
    without_answer = [o for o in later if o.status is None]
    state("TERM under load", kept, gone_within=gone, accepted=len(accepted), later=len(later),
          of_those_turned_away=len(without_answer))
    assert gone <= 10
    assert all(o.good for o in accepted), [o for o in accepted if not o.good]
    assert all(o.good for o in later if o.status is not None), [o for o in later if not o.good]
    closed = ("ConnectionRefusedError", "ConnectionResetError", "RemoteDisconnected", "BrokenPipeError")
    turned_away = [o for o in without_answer if not IS_POD or o.started < service.told + gone]
    assert all(o.error.startswith(closed) for o in turned_away), turned_away
    with pytest.raises(ConnectionRefusedError):
        service.get("/health_check")


@pytest.mark.alone
@pytest.mark.parametrize("released", [True, False], ids=["served", "timed-out"])
def test_end_with_many_waiting(run, fragile, state, released):
    """TERM arrives while all workers are busy and many requests are queued."""
    service = run(fragile)
    waiting = 100
    nginx = service.pids("nginx")
    at_rest = open_sockets(nginx)
    with Load(service) as load:
        load.reach(ENOUGH)
    with locked(fragile) as holder:
        batch = Batch(service, waiting)
        # nginx connects to the workers when it has read a request.
        wait_until(lambda: open_sockets(nginx) >= at_rest + 2 * waiting, 2, "requests that nginx has taken")
        if released:
            threading.Timer(1, holder.close).start()
        service.stop()
        gone = time.monotonic() - service.told
        batch.collect(1)
    state(f"TERM with {waiting} waiting", load, gone_within=gone, answers=batch.statuses())
    assert gone <= 10
    assert set(batch.statuses()) <= ({200} if released else {503, 504})


# Streams

CROWD = 100_000  # users, whose visits are a stream of about 6 MB


@pytest.fixture(scope="session")
def crowd(server):
    """A database with so many users that user_visits is streamed."""
    return make_crowd(server, CROWD)


class Stream:
    """A large answer, read in two parts."""

    def __init__(self, service, version, headers):
        self.connection = service.connect()
        self.connection._http_vsn_str = f"HTTP/{version}"  # pylint: disable=protected-access
        self.connection.request("GET", "/api/reports/user_visits", headers=headers)
        self.response = self.connection.getresponse()
        self.body = self.response.read(1)
        self.looks_whole = None

    def finish(self):
        """Reads the rest, and records whether it looks like a whole answer to a client."""
        try:
            self.body += self.response.read()
            self.looks_whole = True
        except http.client.IncompleteRead as cut:
            self.body += cut.partial
            self.looks_whole = False
        except ConnectionError:
            self.looks_whole = False
        self.connection.close()
        return self


def kill_worker(worker, _):
    """Kills the worker in mid-answer."""
    os.kill(worker, signal.SIGKILL)


def end_backend(worker, watcher):
    """Terminates the backend while the worker, which is stopped, has read only some of the rows."""
    watcher.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND state = 'active' AND pid <> pg_backend_pid()")
    wait_until(lambda: not watcher.execute("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
                                           "AND state = 'active' AND pid <> pg_backend_pid()"), 5, "the backend's end")
    os.kill(worker, signal.SIGCONT)


FORMATS = {"plain": ("1.1", {}), "gzip": ("1.1", {"Accept-Encoding": "gzip"}), "csv": ("1.1", {"Accept": "text/csv"}),
           "HTTP/1.0": ("1.0", {})}


@pytest.mark.plain_only(reason="measures nginx, which is the same in both builds")
def test_end_in_mid_answer(run, crowd, state):
    """After TERM a large answer is still sent to its end. Five times, since timing decides what nginx does when it
    finds nothing to read."""
    received, whole, reports = [], None, 0
    for _ in range(5):
        service = run(crowd, FCGI_WORKERS="1")
        with Load(service, paths=("/api/reports/daily_usage",)) as load:
            load.reach(ENOUGH // 5)
        reports += len(load.good())
        whole = whole or Stream(service, "1.1", {}).finish()
        received.append(end_in_mid_answer(service, crowd))
    state("TERM in mid-answer", reports=reports, received=[len(stream.body) for stream in received], whole=len(whole.body))
    assert all(stream.looks_whole and stream.body == whole.body for stream in received)


def end_in_mid_answer(service, crowd):
    """Ends a service while the database pauses in mid-answer; returns the answer. (Pausing the worker would not
    do: SIGCONT interrupts its write.)"""
    service.get("/api/reports/user_visits")
    backend, = crowd.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                             "AND query LIKE '%coworking_analytics.user_visits%' AND pid <> pg_backend_pid()")[0]
    backend = crowd.server.process(backend)
    through = len(service.events("request", path="/api/reports/user_visits"))
    stream = Stream(service, "1.1", {})
    os.kill(backend, signal.SIGSTOP)
    ending = threading.Thread(target=service.stop, daemon=True)
    ending.start()
    with contextlib.suppress(ProcessLookupError):  # the answer, and with it the service, may have ended
        wait_until(lambda: not is_open(service.port), 4, "the closing of the port")
        assert len(service.events("request", path="/api/reports/user_visits")) <= through + 1, "TERM came too late"
        # Rows come in bursts, so that nginx, which is shutting down, often finds nothing to do.
        for _ in range(40):
            os.kill(backend, signal.SIGCONT)
            ending.join(0.002)
            os.kill(backend, signal.SIGSTOP)
            ending.join(0.02)
        os.kill(backend, signal.SIGCONT)
    stream.finish()
    ending.join(11)
    assert not ending.is_alive() and service.status == 0
    return stream


def test_cut_stream_never_looks_whole(run, crowd, state):
    service = run(crowd, FCGI_WORKERS="1")
    with crowd.connect() as watcher, Load(service, paths=("/api/reports/daily_usage",)) as load:
        for name, (version, headers) in FORMATS.items():
            whole = Stream(service, version, headers).finish()
            assert whole.looks_whole and len(whole.body) > (500_000 if headers else 5_000_000)
            for fault in (kill_worker, end_backend):
                received, tries = cut_stream(service, watcher, fault, whole, version, headers)
                state(f"{fault.__name__}, {name}", tries=tries, whole=len(whole.body), received=received)
        load.reach(ENOUGH)
    state("cut streams", load)
    assert not load.bad(), load.summary()


def cut_stream(service, watcher, fault, whole, version, headers):
    """Causes a fault in mid-answer; tries again when the whole answer had already been sent."""
    for tries in range(1, 21):
        stream = Stream(service, version, headers)
        worker, = service.workers()
        os.kill(worker, signal.SIGSTOP)
        fault(worker, watcher)
        stream.finish()
        if stream.looks_whole:
            assert stream.body == whole.body, "a cut body looks whole"
            continue
        assert len(stream.body) < len(whole.body)
        return len(stream.body), tries
    raise AssertionError("the fault never came in mid-answer")
