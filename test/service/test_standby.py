"""Standbys: the age of answers and its bound, conflicts with recovery, and failover."""

import contextlib
import datetime
import itertools
import time

import law
import psycopg2
import pytest
from cluster import WORKERS, HostList, catch_up, pause_until, workers_on
from exactness import Paced, Run, compare, create_rollups_database, rebuild
from fixtures import make_database
from law import FUNCTIONS
from load import Load
from postgres import Database, Postgres, Standby, wait_until
from service import run_logger
from target import IS_POD

pytestmark = pytest.mark.skipif(IS_POD, reason="the servers are on this machine's loopback interface")

names = (f"replicated_{number}" for number in itertools.count(1))
USE = "INSERT INTO tokens (user_id, token, created_at, used_at) VALUES (3, 'x', '2024-03-05', '2024-03-05')"
LAG_MS = 1000  # MAX_REPLICA_LAG_MS where a test waits for it
LEFT_OUT_SECONDS = 10  # how long the service avoids a host that is behind
BACK_SECONDS = 75  # within which workers leave a server that was promoted


@pytest.fixture(scope="module")
def primary():
    """The primary."""
    postgres = Postgres()
    yield postgres
    postgres.close()


@pytest.fixture(scope="module")
def database(primary):
    """A migrated database."""
    return make_database(primary)


@pytest.fixture(scope="module")
def replica(primary, database):
    """A standby of the primary."""
    standby = Standby(primary)
    catch_up(database, standby)
    yield standby
    standby.close()


@pytest.fixture
def standby(database, replica):
    """The standby, which has caught up before and after the test."""
    catch_up(database, replica)
    yield replica
    replica.replay(True)
    catch_up(database, replica)


def as_of(answer):
    """An answer's Data-As-Of."""
    text = answer.headers["Data-As-Of"]
    assert len(text) == len("2026-11-28T17:09:07.123Z") and text.endswith("Z"), text
    return datetime.datetime.fromisoformat(text)


def now():
    """The current time in whole milliseconds, as in a header."""
    moment = datetime.datetime.now(datetime.timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def last_commit(standby):
    """The time of the last commit that a standby has replayed."""
    with standby.connect("postgres") as connection:
        return connection.execute("SELECT pg_last_xact_replay_timestamp()")[0][0]


# Data-As-Of


def test_a_primary_s_answers_are_current(run, database):
    """New, kept and not modified answers."""
    service = run(database)
    for path in law.REPORTS:
        tag = None
        for _ in range(3):
            before = now()
            answer = service.request(path, headers={"If-None-Match": tag} if tag else {})
            assert before <= as_of(answer) <= now(), (path, answer.status)
            tag = answer.headers["ETag"]
        assert answer.status == 304
        assert before <= as_of(service.request(path, "HEAD"))


def test_an_idle_standby_s_answers_are_current(run, database, standby):
    """It has replayed all that it received, and the primary's connection is alive: it is not behind."""
    service = run(HostList(database, standby), MAX_REPLICA_LAG_MS=str(LAG_MS))
    database.execute(USE)
    with standby.connect(database.name) as connection:
        is_old = "SELECT now() - pg_last_xact_replay_timestamp() > %s * interval '2 ms'"
        wait_until(lambda: connection.execute(is_old, (LAG_MS,))[0][0], 20, "an old last change")
    for path in law.ANSWERS:
        before = now()
        answer = service.get(path)
        assert (answer.status, answer.body) == (200, law.answer(database, path))
        assert before <= as_of(answer) <= now()
    assert service.is_ready()


def test_a_standby_that_is_behind_says_since_when(run, database, standby):
    service = run(HostList(database, standby), MAX_REPLICA_LAG_MS="0")
    old = law.daily_usage(database)
    before = now()
    database.execute(USE)
    catch_up(database, standby)
    while last_commit(standby) < before:  # a process may read the clock for its commit before another, and commit after it
        database.execute("SELECT pg_current_xact_id()")
        catch_up(database, standby)
    last = law.daily_usage(database)
    standby.replay(False)
    pause_until(time.monotonic() + 0.2)
    after = now()  # until then the standby may have replayed other sessions' commits, as those of autovacuum
    database.execute(USE)
    catch_up(database, standby, what="receive")
    for _ in range(2):
        answer = service.get(law.DAILY_USAGE)
        assert (answer.status, answer.body) == (200, last)
        assert before <= as_of(answer) <= after
    standby.replay(True)
    wait_until(lambda: as_of(service.get(law.DAILY_USAGE)) > after, 5, "a current answer")
    assert service.get(law.DAILY_USAGE).body == law.daily_usage(database) not in (old, last)


def test_no_answer_is_older_than_it_says(run, database, standby):
    """While replay stops and goes on, each answer holds all commits from before its Data-As-Of that the standby knew of."""
    service = run(HostList(database, standby), MAX_REPLICA_LAG_MS="0")
    committed = []
    for number in range(40):
        if number % 8 == 3:
            standby.replay(False)
        elif number % 8 == 6:
            standby.replay(True)
        database.execute(USE)
        committed.append(now())
        catch_up(database, standby, what="receive")
        pause_until(time.monotonic() + (0.3 if number % 8 in (3, 4, 5) else 0))
        answer = service.get(law.DAILY_USAGE)
        seen = answer.json().get("2024-03-05", 0)
        total = database.execute("SELECT count(*) FROM tokens WHERE created_at = '2024-03-05'")[0][0]
        missing = total - seen
        assert missing == 0 or as_of(answer) <= committed[-missing], (number, missing)


# MAX_REPLICA_LAG_MS


@pytest.mark.alone
def test_a_standby_that_is_too_far_behind_does_not_answer(run, database, standby):
    """One worker: each remembers on its own when the standby was last up to date."""
    service = run(HostList(database, standby), MAX_REPLICA_LAG_MS=str(LAG_MS), FCGI_WORKERS="1")
    since = time.monotonic()
    assert service.get(law.DAILY_USAGE).body == law.daily_usage(database) and service.is_ready()
    standby.replay(False)
    database.execute(USE)
    wait_until(lambda: service.get(law.DAILY_USAGE).status == 503, 5, "a refusal")
    assert time.monotonic() - since > LAG_MS / 1000
    answer = service.get(law.USER_VISITS)
    assert answer.status == 503 and answer.headers["Retry-After"]
    assert "behind" in answer.json()["detail"] and "MAX_REPLICA_LAG_MS" in answer.json()["detail"]
    assert "127.0.0.1" not in answer.body.decode()
    wait_until(lambda: not service.is_ready(), 3, "readiness's refusal")
    assert service.get("/health_check").status == 200
    standby.replay(True)
    wait_until(lambda: service.get(law.DAILY_USAGE).status == 200, LEFT_OUT_SECONDS + 3, "a report")
    wait_until(service.is_ready, 3, "readiness")
    assert service.get(law.DAILY_USAGE).body == law.daily_usage(database)


@pytest.mark.alone
def test_another_host_answers_for_one_that_is_too_far_behind(run, database, standby):
    service = run(HostList(database, standby, database.server), MAX_REPLICA_LAG_MS=str(LAG_MS))
    with Load(service, connections=4) as load:
        load.reach(100)
        wait_until(lambda: workers_on(standby, database) >= WORKERS, 10, "all workers on the standby")
        since = time.monotonic()
        standby.replay(False)
        database.execute(USE)
        wait_until(lambda: workers_on(database.server, database) >= WORKERS, LAG_MS / 1000 + 5, "the workers' move")
        moved = time.monotonic()
        load.reach(len(load.outcomes) + 200)
        wait_until(service.is_ready, 2, "readiness")
        assert service.get(law.DAILY_USAGE).body == law.daily_usage(database)
    assert not load.bad(), load.summary()
    assert moved - since > LAG_MS / 1000 - 0.3


def test_an_idle_primary_does_not_count_as_lag(run, database, standby):
    """Writes with pauses longer than the bound; the first one after a pause does not count as lag either."""
    service = run(HostList(database, standby), MAX_REPLICA_LAG_MS=str(LAG_MS))
    with Load(service, connections=4) as load:
        for _ in range(5):
            load.reach(len(load.outcomes) + 200)
            pause_until(time.monotonic() + 1.5 * LAG_MS / 1000)
            database.execute(USE)
    assert not load.bad(), load.summary()


def test_constant_writes_do_not_count_as_lag(run, database, standby):
    service = run(HostList(database, standby), MAX_REPLICA_LAG_MS=str(LAG_MS))
    with Paced(database, {}, USE), Load(service, connections=4) as load:
        pause_until(time.monotonic() + 3 * LAG_MS / 1000)
        load.reach(200)
    assert not load.bad(), load.summary()


@pytest.mark.alone
def test_a_standby_without_its_primary_answers_until_the_bound(run, database, standby):
    """Its lag is unknown, so the time since its last replayed commit counts, which each worker sees for itself."""
    service = run(HostList(database, standby), MAX_REPLICA_LAG_MS=str(2 * LAG_MS), FCGI_WORKERS="1")
    database.execute(USE)
    catch_up(database, standby)
    expected = law.daily_usage(database)
    database.server.stop()
    try:
        answer = service.get(law.DAILY_USAGE)
        assert (answer.status, answer.body) in ((200, expected), (503, answer.body))
        wait_until(lambda: service.get(law.DAILY_USAGE).status == 503, 10, "a refusal")
        assert "behind" in service.get(law.DAILY_USAGE).json()["detail"]
    finally:
        database.server.start()
    wait_until(lambda: service.get(law.DAILY_USAGE).status == 200, 30, "a report")


# Conflicts with recovery


def test_a_report_that_recovery_cancels_is_retried(run, primary, say):
    """VACUUM removes rows that a report on the standby still sees, and the standby does not wait for queries."""
    database = primary.create_database(next(names))
    database.execute("""
        INSERT INTO users (first_name, last_name, joined_at) SELECT 'A', 'B', now() FROM generate_series(1, 100);
        INSERT INTO tokens (user_id, token, used_at) SELECT n % 100 + 1, 'x', now() FROM generate_series(1, 60000) AS n;
        ALTER TABLE tokens SET (autovacuum_enabled = off);
        ANALYZE users, tokens""")
    assert database.migrate(ROLLUPS="off").returncode == 0
    impatient = Standby(primary, settings="-c max_standby_streaming_delay=0 -c hot_standby_feedback=off")
    try:
        catch_up(database, impatient)
        service = run(HostList(database, impatient))
        before = conflicts(impatient, database)
        churn = ["UPDATE tokens SET used_at = now() WHERE id % 50 = 0", "VACUUM tokens"]
        with Load(service, connections=4) as load:
            until = time.monotonic() + 8
            with database.connect() as connection:
                while time.monotonic() < until:
                    for statement in churn:
                        connection.execute(statement)
                    load.reach(len(load.good()) + 12, 20)  # a retry must not run into the next round
            load.reach(50)
        cancelled = conflicts(impatient, database) - before
        say(f"{cancelled} conflicts with recovery: {load.summary()}")
        assert cancelled >= 5
        assert not load.bad(), load.summary()
    finally:
        impatient.close()


def conflicts(standby, database):
    """The number of queries that recovery has cancelled."""
    with standby.connect(database.name) as connection:
        return connection.execute("SELECT sum(confl_snapshot + confl_lock + confl_bufferpin)::int FROM pg_stat_database_conflicts "
                                  "WHERE datname = current_database()")[0][0]


# Rollups


def test_reports_on_a_standby_are_exact_during_folding(primary):
    database = create_rollups_database(primary, next(names))
    standby = Standby(primary, settings="-c max_standby_streaming_delay=500ms")
    try:
        with Run(database, writers=3) as run:
            exact = 0
            for number in range(20):
                run.reach(number * 50)
                # Recovery cancels queries, and ends connections, that need rows truncated or vacuumed on the primary.
                with contextlib.suppress(psycopg2.OperationalError), standby.connect(database.name, **database.reader) as reader:
                    is_exact, _, different = compare(reader)
                    assert different is None
                    exact += is_exact
        assert exact > 5
        with standby.connect(database.name) as connection, pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            connection.execute("SELECT * FROM coworking_analytics_keeper.maintain(true)")
        rebuild(database)  # the last operation may have set the rollups aside
        catch_up(database, standby)
        with standby.connect(database.name, **database.reader) as reader:
            for function in FUNCTIONS:
                query = f"SELECT a::text FROM coworking_analytics.{function}() AS a ORDER BY 1"
                assert reader.execute(query) == database.execute(query)
            assert compare(reader)[::2] == (True, None)
            assert reader.execute("SELECT * FROM coworking_analytics.check()") == []
    finally:
        standby.close()


# Failover


def receive_position(standby):
    """The position that a standby has received, as a number."""
    with standby.connect("postgres") as connection:
        return connection.execute("SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')")[0][0]


@pytest.mark.plain_only(reason="waits for a minute and more")
@pytest.mark.parametrize("end", ["fast", "immediate"])
def test_failover_under_load(programs, run, end, say):
    """A list with two standbys: the primary ends, one standby is promoted by hand, and the other follows it."""
    servers = [Postgres()]
    try:
        database = make_database(servers[0])
        servers += [Standby(servers[0]), Standby(servers[0])]
        for standby in servers[1:]:
            catch_up(database, standby)
        hosts = HostList(database, servers[1], servers[2], servers[0])
        service = run(hosts, PGTARGETSESSIONATTRS="prefer-standby")
        with Load(service) as load:
            load.reach(200)
            assert workers_on(servers[0], database) <= 1  # a logger's connection
            with Paced(database, {}, USE, pause=0.02):
                load.reach(len(load.outcomes) + 500)
            ended = time.monotonic()
            servers[0].stop(end)
            successor, other = sorted(servers[1:], key=receive_position, reverse=True)  # stable: the first of equals
            successor.promote()
            other.follow(successor)
            promoted = Database(successor, database.name)
            with Paced(promoted, {}, USE, pause=0.02):
                load.reach(500, since=time.monotonic())
                back = wait_until(lambda: workers_on(other, database) >= WORKERS and workers_on(successor, database) <= 1,
                                  BACK_SECONDS, "the workers on a standby")
            catch_up(promoted, other)
            wait_until(lambda: service.events("usage") and line_is_good(service.events("usage")[-1]), 40, "a good line")
        errors = service.events("usage", level="error")
        say(f"failover ({end}): {load.summary()}, back on a standby {back:.1f} s after "
            f"{time.monotonic() - ended:.1f} s, {len(errors)} lines of level error")
        assert not load.bad(), load.summary()
        assert len(errors) <= 1, errors
        status, line = run_logger(programs, hosts, service.port)
        assert status == 0, line
        assert promoted.execute("SELECT * FROM coworking_analytics.check()") == []
        for path in law.ANSWERS:
            assert service.get(path).body == law.answer(promoted, path)
    finally:
        for server in reversed(servers):
            with contextlib.suppress(FileNotFoundError):
                server.close()


def line_is_good(line):
    """Whether this line is of a successful run of the logger."""
    return line["level"] == "info"
