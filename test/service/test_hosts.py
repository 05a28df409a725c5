"""DB_HOST as a list: silent hosts, the return to the preferred host, and programs that need a primary."""

import itertools
import re
import subprocess
import time

import law
import pytest
from cluster import WORKERS, DroppingHost, HostList, catch_up, frozen, pause_until, workers_on
from fixtures import make_database
from load import Load
from postgres import PASSWORD, Postgres, Standby, wait_until
from service import run_logger
from target import IS_POD

pytestmark = pytest.mark.skipif(IS_POD, reason="the servers are on this machine's loopback interface")

names = (f"listed_{number}" for number in itertools.count(1))
LIMIT_MS = 2000  # STATEMENT_TIMEOUT_MS, of which each host gets a share
BACK_SECONDS = 90  # within which workers return to the preferred host
ALL = WORKERS + 1  # with the probe worker
SILENT_ADDRESS, SECOND_ADDRESS = "127.0.0.9", "127.0.0.10"


@pytest.fixture(scope="module")
def primary():
    """The primary."""
    postgres = Postgres(f"-c listen_addresses=127.0.0.1,{SECOND_ADDRESS}")
    yield postgres
    postgres.close()


@pytest.fixture(scope="module")
def database(primary):
    """A migrated database."""
    return make_database(primary)


@pytest.fixture(scope="module")
def standby(primary, database):
    """A standby of the primary."""
    replica = Standby(primary)
    catch_up(database, replica)
    yield replica
    replica.close()


class Refusing:
    """A port at which nothing listens."""
    port = 1

    def close(self):
        """Does nothing."""


@pytest.fixture(params=["frozen", "dropping", "refusing"])
def silent(request, primary):
    """A host that cannot be used: each parameter is another reason."""
    if request.param == "frozen":
        host = Standby(primary)
        host.freeze()
    else:
        host = {"dropping": DroppingHost, "refusing": Refusing}[request.param]()
    yield host
    host.close()


# Silent hosts


@pytest.mark.alone
def test_a_silent_first_host_costs_nobody_a_report(programs, run, database, silent):
    """From the start: reports, readiness and the logger reach the second host."""
    hosts = HostList(database, silent, database.server)
    service = run(hosts, STATEMENT_TIMEOUT_MS=str(LIMIT_MS))
    for path in law.REPORTS:
        assert service.get(path).body == law.answer(database, path)
    wait_until(service.is_ready, 5, "readiness")
    with Load(service) as load:
        began = time.monotonic()
        while time.monotonic() < began + 12:  # a silent host is avoided for 10 s, then tried again
            assert service.is_ready()
            pause_until(time.monotonic() + 0.5)
        load.reach(500)
    assert not load.bad(), load.summary()
    assert max(outcome.seconds for outcome in load.outcomes) < LIMIT_MS / 1000
    status, line = run_logger(programs, hosts, service.port)
    assert status == 0 and line["database"] == "ok", line


def test_a_migration_skips_a_silent_host(database, silent):
    migration = HostList(database, silent, database.server).migrate()
    assert migration.returncode == 0 and "up to date" in migration.stdout, migration.stderr


@pytest.mark.alone
def test_a_host_that_falls_silent_fails_only_reports_under_way(programs, run, database, standby):
    hosts = HostList(database, standby, database.server)
    service = run(hosts, STATEMENT_TIMEOUT_MS=str(LIMIT_MS))
    with Load(service) as load:
        load.reach(200)
        wait_until(lambda: workers_on(standby, database) >= WORKERS, 10, "all workers on the first host")
        with frozen(standby):
            since = time.monotonic()
            load.reach(500, since=since + LIMIT_MS / 1000)
            wait_until(service.is_ready, LIMIT_MS / 1000 + 2, "readiness")  # a check under way may use up its limit
            status, line = run_logger(programs, hosts, service.port)
            assert status == 0, line
        hurt = [outcome for outcome in load.outcomes if not outcome.good]
    assert len(hurt) <= WORKERS, hurt  # those whose rows were being read
    assert not [outcome for outcome in load.since(since + LIMIT_MS / 1000) if not outcome.good]
    assert max(outcome.seconds for outcome in load.outcomes) < LIMIT_MS / 1000 + 1


def test_only_silent_hosts_are_an_error_within_the_limit(run, database):
    silent = DroppingHost()
    try:
        service = run(HostList(database, silent, silent), STATEMENT_TIMEOUT_MS=str(LIMIT_MS))
        began = time.monotonic()
        answer = service.get(law.DAILY_USAGE)
        assert answer.status in (503, 504) and time.monotonic() - began < LIMIT_MS / 1000 + 1
        assert not service.is_ready()
    finally:
        silent.close()


def own_hosts(folder, text):
    """The beginning of a command that runs the rest with its own /etc/hosts."""
    (folder / "hosts").write_text(text)
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {folder}/hosts /etc/hosts && exec "$0"']


def test_a_name_with_a_silent_first_address(programs, run, database, tmp_path):
    """One name has the addresses of several servers."""
    prefix = own_hosts(tmp_path, f"{SILENT_ADDRESS} twins\n{SECOND_ADDRESS} twins\n")
    if subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("needs root, for names of its own")
    service = run(database)
    silent = DroppingHost(SILENT_ADDRESS, database.server.port)
    try:
        status, line = run_logger(programs, database, service.port, prefix=prefix, DB_HOST="twins")
        assert (status, line["database"], line["rollups"]) == (0, "ok", "on"), line
    finally:
        silent.close()


# The return to the preferred host


@pytest.mark.plain_only(reason="waits for a minute; test_a_host_that_falls_silent runs the same code")
def test_workers_come_back_to_the_preferred_host(run, database, standby):
    service = run(HostList(database, standby, database.server))
    with Load(service, connections=4) as load:
        load.reach(100)
        wait_until(lambda: workers_on(standby, database) == ALL, 10, "the workers on the standby")
        standby.stop()
        since = time.monotonic()
        load.reach(100, since=since)
        assert workers_on(database.server, database) >= WORKERS
        standby.start()
        catch_up(database, standby)
        back = wait_until(lambda: workers_on(standby, database) >= WORKERS, BACK_SECONDS, "the workers' return")
        wait_until(lambda: workers_on(database.server, database) == 0, 30, "the last of them")
        load.reach(len(load.outcomes) + 100)
    print(f"back after {back:.1f} s; {load.summary()}")
    assert not load.bad(), load.summary()


@pytest.mark.plain_only(reason="waits for a minute")
def test_workers_of_one_host_keep_their_connections(run, database):
    service = run(database)
    service.get(law.DAILY_USAGE)
    who = """SELECT pid FROM pg_stat_activity
              WHERE application_name = 'coworking-analytics' AND datname = current_database() ORDER BY 1"""
    with Load(service) as load:
        load.reach(100)
        before = database.execute(who)
        pause_until(time.monotonic() + 75)
    assert database.execute(who) == before
    assert not load.bad(), load.summary()


# Programs that need a primary


def test_the_logger_and_a_migration_find_the_primary(programs, run, database, standby):
    hosts = HostList(database, standby, database.server)
    service = run(hosts)
    database.execute("INSERT INTO tokens (user_id, token) SELECT 3, 'x' FROM generate_series(1, 3000)")
    folded = 0
    for _ in range(4):
        status, line = run_logger(programs, hosts, service.port)
        assert (status, line["rollups"]) == (0, "on"), line
        folded += line["folded"]
    assert folded >= 2000 and line["behind"] == 0
    assert hosts.migrate(ROLLUPS="off").returncode == 0
    migration = hosts.migrate(MIGRATE_USERNAME="postgres", MIGRATE_PASSWORD=PASSWORD)
    assert migration.returncode == 0, migration.stderr
    assert "brought up to date" in migration.stdout


@pytest.mark.parametrize("times", [1, 2], ids=["one standby", "a list of standbys"])
def test_without_a_primary_logger_and_migration_say_so(programs, run, database, standby, times):
    hosts = HostList(database, *[standby] * times)
    service = run(hosts)
    assert service.get(law.DAILY_USAGE).status == 200
    status, line = run_logger(programs, hosts, service.port)
    assert (status, line["level"]) == (1, "error"), line
    assert line["rollups_error"] == "no server of DB_HOST can be written to", line
    migration = hosts.migrate()
    assert migration.returncode != 0 and migration.stdout == ""
    assert re.search("hot standby mode|written to", migration.stderr), migration.stderr
