"""A pooler in transaction mode: answers are right, and other clients of it never meet our settings."""

import itertools
import time

import law
import psycopg2
import pytest
from background import Background
from cluster import burn_transactions
from exactness import Paced, create_login
from load import Load
from pooler import MISSING, Pooler, find_program
from postgres import PASSWORD, ROOT, Database, Postgres, Standby, wait_until
from service import run_logger
from target import IS_POD

pytestmark = [pytest.mark.one_build("sanitized"), pytest.mark.skipif(IS_POD, reason="the pooler is on this machine"),
              pytest.mark.skipif(not find_program(), reason=MISSING)]

names = (f"pooled_{number}" for number in itertools.count(1))
POOLERS = {
    "PgBouncer's defaults": {},
    "no prepared statements": {"max_prepared_statements": 0},
    "options ignored": {"ignore_startup_parameters": "options"},
    "options ignored, no prepared statements": {"ignore_startup_parameters": "options", "max_prepared_statements": 0},
}
ROLES = ["shared", "own"]
OTHERS_INSERT = "INSERT INTO tokens (user_id, token) VALUES (3, 'x')"
# PgBouncer sets the parameters that it tracks for each client, which changes their source. PL/pgSQL's settings appear
# with the first call of a function in a session, by any client.
TRACKED = "('application_name', 'client_encoding', 'DateStyle', 'IntervalStyle', 'TimeZone', 'standard_conforming_strings')"
SETTINGS = f"""
SELECT name, setting, CASE WHEN name NOT IN {TRACKED} THEN source END FROM pg_settings
 WHERE name NOT LIKE 'plpgsql.%' ORDER BY name"""
LEFT_BEHIND = {
    "prepared statements": "SELECT name, statement FROM pg_prepared_statements WHERE name NOT LIKE 'PGBOUNCER\\_%'",
    "cursors": "SELECT name FROM pg_cursors WHERE name <> ''",
    "temporary tables": "SELECT relname FROM pg_class WHERE relpersistence = 't'",
    "locks": "SELECT locktype, objid FROM pg_locks WHERE locktype = 'advisory'",
    "channels": "SELECT * FROM pg_listening_channels()",
    "variables of ours": "SELECT current_setting('coworking_analytics.reader', true) WHERE "
                         "current_setting('coworking_analytics.reader', true) <> ''",
}


@pytest.fixture
def pool(server):
    """Starts poolers that end with the test."""
    started = []

    def start(users=None, **settings):
        started.append(Pooler(server, users, **settings))
        return started[-1]

    yield start
    for pooler in started:
        pooler.close()


class RolesDatabase(Database):
    """A database where workers and logger use the coworking service's role, or have roles of their own."""

    logger = None

    def environment(self):
        """DB_* and, for a migration, LOGGER_* if the logger has another role."""
        login = {"LOGGER_USERNAME": self.logger, "LOGGER_PASSWORD": self.logger} if self.logger else {}
        return {**super().environment(), **login}

    def logger_environment(self):
        """The variables of the logger."""
        return {"DB_USERNAME": self.logger, "DB_PASSWORD": self.logger} if self.logger else {}

    def users(self):
        """The roles that a pooler has to know, with their passwords."""
        return {self.user: self.password, **({self.logger: self.logger} if self.logger else {})}


def create_database(server, role):
    """A database with the contract's example rows; roles of our own have our prefix in their names."""
    name = next(names)
    server.create_database(name).run_file(ROOT / "test/service/example.sql")
    database = RolesDatabase(server, name)
    if role == "own":
        login = create_login(database, f"coworking_analytics_{name}")
        database.user, database.password = login["user"], login["password"]
        database.logger = create_login(database, f"coworking_analytics_{name}_logger")["user"]
    return database


def migrate(database):
    """Does what `make migrate` does, through the pooler if there is one."""
    migration = database.migrate(MIGRATE_USERNAME="postgres", MIGRATE_PASSWORD=PASSWORD)
    assert migration.returncode == 0, migration.stderr


class Neighbour(Background):
    """Another client of the pooler, with the coworking service's role, that writes and looks for traces of ours."""

    def __init__(self, pooler, database):
        super().__init__((self._work,))
        self.pooler, self.database = pooler, database
        self.before = self.settings()
        self.inserted, self.met = 0, []

    def settings(self):
        """All settings, as a new client sees them."""
        with self.pooler.connect(self.database.name) as connection:
            return connection.execute(SETTINGS)

    def left_behind(self):
        """What is left in the one server session that all clients share."""
        with self.pooler.connect(self.database.name) as connection:
            found = {what: connection.execute(query) for what, query in LEFT_BEHIND.items()}
        return {what: rows for what, rows in found.items() if rows}

    def _work(self):
        connection = self.pooler.connect(self.database.name)
        while not self.stopping.is_set():
            try:
                connection.execute(OTHERS_INSERT)
                self.inserted += 1
                seen = connection.execute(SETTINGS)
                if seen != self.before:
                    self.met.append(sorted(set(seen) ^ set(self.before)))
            except psycopg2.Error as error:
                self.met.append(str(error))
            time.sleep(0.002)
        connection.close()

    def check(self, inserted):
        """Fails when it has met anything of ours, or does now."""
        assert self.met == [], f"{len(self.met)} times, {self.inserted} inserts: {self.met[:3]}"
        assert self.inserted >= inserted
        assert self.settings() == self.before
        assert self.left_behind() == {}


# Other clients


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("settings", POOLERS.values(), ids=POOLERS)
def test_other_clients_never_meet_anything_of_ours(programs, run, server, pool, settings, role):
    """The migration, reports, the logger and the coworking service share one server session."""
    database = create_database(server, role)
    pooler = pool(database.users(), **settings)
    pooled = pooler.reach(database)
    with Neighbour(pooler, database) as neighbour:
        migrate(pooled)
        service = run(pooled)
        with Load(service, connections=4, paths=law.REPORTS) as load:
            load.reach(200)
            status, line = run_logger(programs, pooled, service.port, **pooled.logger_environment())
            assert status == 0, str(line)
            migrate(pooled)
            load.reach(len(load.outcomes) + 50)
    assert not load.bad(), load.summary()
    neighbour.check(inserted=50)
    for path, answer in law.ANSWERS.items():
        assert service.get(path).body == answer(database)


def test_an_aborted_request_leaves_nothing_behind(run, server, pool):
    """A report runs into its time limit, and the next client gets the session."""
    database = create_database(server, "shared")
    pooler = pool()
    migrate(database)
    service = run(pooler.reach(database), STATEMENT_TIMEOUT_MS="500", FCGI_WORKERS="1")
    neighbour = Neighbour(pooler, database)
    with database.connect() as holder:
        holder.execute("BEGIN; LOCK TABLE tokens, users")
        assert service.get(law.USER_VISITS).status in (503, 504)
        holder.execute("ROLLBACK")
    wait_until(lambda: service.get(law.USER_VISITS).status == 200, 10, "a report")
    with neighbour:
        wait_until(lambda: neighbour.inserted > 20 or neighbour.met, 10, "inserts")
    neighbour.check(inserted=20)


# A role of our own


@pytest.mark.parametrize("role", ROLES)
def test_the_migration_gives_settings_to_our_own_role_only(server, role):
    database = create_database(server, role)
    settings = """SELECT unnest(setconfig) FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole
                   WHERE r.rolname = %s"""
    before = database.execute(settings, (database.user,))
    migrate(database)
    given = dict(line.split("=", 1) for line, in database.execute(settings, (database.user,)))
    if role == "shared":
        assert database.execute(settings, (database.user,)) == before
    else:
        assert given["default_transaction_read_only"] == "on"
        assert {"search_path", "DateStyle", "TimeZone", "row_security"} <= set(given)
        again = database.migrate()
        assert again.returncode == 0 and "up to date" in again.stdout, again.stderr


@pytest.mark.parametrize("role", ROLES)
def test_a_worker_that_sends_settings_with_each_query_logs_it(run, server, pool, role):
    database = create_database(server, role)
    migrate(database)
    service = run(pool(database.users(), pool_size=2).reach(database))
    assert service.get(law.DAILY_USAGE).body == law.daily_usage(database)
    said = [line for line in service.log if "settings go with each query" in line]
    assert bool(said) == (role == "shared"), said


def test_a_role_without_the_owner_s_time_zone_answers_the_same(run, server, pool):
    """Settings of the coworking service's role do not change our answers when we share the role."""
    database = create_database(server, "shared")
    migrate(database)
    database.execute(f"""
        CREATE ROLE {database.name}_app LOGIN SUPERUSER PASSWORD 'app';
        ALTER ROLE {database.name}_app SET TimeZone = 'Asia/Kathmandu';
        ALTER ROLE {database.name}_app SET DateStyle = 'German, DMY';
        ALTER ROLE {database.name}_app SET search_path = pg_catalog""")
    database.user, database.password = f"{database.name}_app", "app"
    service = run(pool({database.user: "app"}).reach(database))
    for path, answer in law.ANSWERS.items():
        assert service.get(path).body == answer(database)
    for path in law.REPORTS:
        assert service.get(path + "?format=csv").body == law.answer(database, path, format="csv")


# Prepared statements


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("prepared", [0, 1, 200])
def test_workers_share_sessions_with_any_number_of_prepared_statements(run, server, pool, prepared, role):
    """Four workers and two sessions; the pooler keeps no, too few or enough prepared statements."""
    database = create_database(server, role)
    migrate(database)
    pooler = pool(database.users(), pool_size=2, max_prepared_statements=prepared)
    service = run(pooler.reach(database))
    expected = {path: law.answer(database, path) for path in law.REPORTS}
    with Paced(database, {}, OTHERS_INSERT.replace("tokens", "public.tokens") + " ON CONFLICT DO NOTHING"):
        with Load(service, connections=8, paths=law.REPORTS) as load:
            load.reach(400)
    assert not load.bad(), load.summary()
    database.execute("DELETE FROM tokens WHERE token = 'x'")
    assert {path: service.get(path).body for path in law.REPORTS} == expected
    assert not service.events("query_not_prepared")


# Another server behind an open connection


@pytest.mark.parametrize("role", ROLES)
def test_another_server_behind_an_open_connection(run, role):
    """A standby that lacks two tokens replaces the primary; two other tokens give its snapshot the same text."""
    primary = Postgres()
    standby = pooler = None
    try:
        database = create_database(primary, role)
        migrate(database)
        standby = Standby(primary)
        pooler = Pooler(primary, database.users(), pool_size=2)
        service = run(pooler.reach(database), FCGI_WORKERS="1")
        wait_until(lambda: service.get(law.DAILY_USAGE).status == 200, 10, "a report")
        standby.stop()
        insert = "INSERT INTO tokens (user_id, token, created_at, used_at) VALUES (%s, 'x', '2024-03-09', now())"
        for user in (3, 3):
            database.execute(insert, (user,))
        kept = {path: service.get(path) for path in law.REPORTS for _ in range(2)}
        snapshot = database.snapshot()
        primary.stop("immediate")
        standby.port = primary.port
        standby.start()
        standby.promote()
        successor = Database(standby, database.name)
        for user in (20, 7):
            successor.execute(insert.replace("'2024-03-09'", "'2024-03-10'"), (user,))
        burn_transactions(successor, snapshot)
        worker, = service.workers()
        for path, answer in kept.items():
            again = service.request(path, headers={"If-None-Match": answer.headers["ETag"]})
            assert again.status == 200 or again.status >= 500, path
            wait_until(lambda path=path: service.get(path).status == 200, 10, "a report")
            assert service.get(path).body == law.answer(successor, path)
        assert service.workers() == [worker]
    finally:
        for each in (pooler, standby, primary):
            if each:
                each.close()


def test_a_pooler_that_goes_and_comes_back(run, server):
    database = create_database(server, "own")
    migrate(database)
    pooler = Pooler(server, database.users())
    service = run(pooler.reach(database))
    assert service.get(law.DAILY_USAGE).status == 200
    pooler.stop()
    assert service.get(law.DAILY_USAGE).status == 503
    pooler.start()
    try:
        wait_until(service.is_ready, 20, "readiness")
        assert service.get(law.DAILY_USAGE).body == law.daily_usage(database)
    finally:
        pooler.close()
