"""The login roles of workers and logger, which the migration creates and whose passwords it sets."""

import itertools
import json
import os
import subprocess

import law
import psycopg2
import pytest
from fixtures import make_database
from load import Load
from machine import clean_environment
from postgres import PASSWORD, ROOT, Postgres, wait_until
from service import run_logger
from target import IS_POD

pytestmark = pytest.mark.skipif(IS_POD, reason="test/pod has its own")

numbers = itertools.count(1)


class Logins:
    """Names and passwords as `make logins` prints them; the names are unique on the server."""

    def __init__(self):
        printed = subprocess.run([ROOT / "docker/local/logins"], capture_output=True, text=True, check=True).stdout
        values = dict(line.split("=", 1) for line in printed.splitlines())
        number = next(numbers)
        self.worker, self.logger = (f"{values[name]}_{os.getpid()}_{number}" for name in ("WORKER_USERNAME", "LOGGER_USERNAME"))
        self.passwords = {self.worker: values["WORKER_PASSWORD"], self.logger: values["LOGGER_PASSWORD"]}

    def environment(self):
        """For a migration and for `make run`."""
        return {"WORKER_USERNAME": self.worker, "WORKER_PASSWORD": self.passwords[self.worker],
                "LOGGER_USERNAME": self.logger, "LOGGER_PASSWORD": self.passwords[self.logger]}

    def changed(self):
        """The same roles with other passwords."""
        changed = Logins()
        changed.worker, changed.logger = self.worker, self.logger
        changed.passwords = {self.worker: "new-of-the-worker", self.logger: "new-of-the-logger"}
        return changed


@pytest.fixture
def logins():
    """Roles that do not exist yet."""
    return Logins()


def migrate(database, logins, **variables):
    """The output of a migration that succeeds."""
    done = database.migrate(**logins.environment(), **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def lets_in(database, role, password):
    """Whether the server does."""
    try:
        database.connect(user=role, password=password).close()
        return True
    except psycopg2.OperationalError as error:
        assert "password authentication failed" in str(error)
        return False


def attributes(database, role):
    """What the role may do by itself."""
    return database.execute("SELECT rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolconnlimit "
                            "FROM pg_roles WHERE rolname = %s", [role])


def verifiers(database, logins):
    """What the server keeps of the passwords."""
    return database.execute("SELECT rolpassword FROM pg_authid WHERE rolname = ANY (%s) ORDER BY 1", [list(logins.passwords)])


def test_make_logins():
    printed = [subprocess.run(["make", "-s", "logins"], cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert printed[0] != printed[1]
    names, passwords = zip(*(line.split("=", 1) for line in printed[0].splitlines()))
    assert names == ("WORKER_USERNAME", "WORKER_PASSWORD", "LOGGER_USERNAME", "LOGGER_PASSWORD")
    assert passwords[0] == "coworking_analytics_worker" and passwords[2] == "coworking_analytics_upkeep"
    assert all(len(password) == 43 for password in passwords[1::2])


def test_roles_are_created(server, logins):
    database = make_database(server, migrated=False)
    migrate(database, logins)
    assert attributes(database, logins.worker) == [(True, False, False, False, False, False, 30)]
    assert attributes(database, logins.logger) == [(True, False, False, False, False, False, 6)]
    for role, password in logins.passwords.items():
        assert lets_in(database, role, password) and not lets_in(database, role, "wrong")
    with database.connect(user=logins.worker, password=logins.passwords[logins.worker]) as connection:
        assert connection.execute("SELECT count(*) FROM coworking_analytics.days()")[0][0] > 0
        assert connection.execute("SHOW default_transaction_read_only")[0][0] == "on"
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM coworking_analytics_keeper.maintain()")
    with database.connect(user=logins.logger, password=logins.passwords[logins.logger]) as connection:
        assert connection.execute("SELECT rollups FROM coworking_analytics_keeper.maintain()") == [("on",)]


def test_a_second_migration_needs_no_rights(server, logins):
    database = make_database(server, migrated=False)
    migrate(database, logins)
    kept = verifiers(database, logins)
    said = migrate(database, logins, MIGRATE_USERNAME=logins.worker, MIGRATE_PASSWORD=logins.passwords[logins.worker])
    assert "up to date" in said
    assert kept == verifiers(database, logins)
    assert all(verifier.startswith("SCRAM-SHA-256$") for verifier, in kept)


def test_a_changed_password(server, logins):
    database = make_database(server, migrated=False)
    migrate(database, logins)
    database.execute(f"ALTER ROLE {logins.worker} CONNECTION LIMIT 7")  # somebody's choice, which stays
    changed = logins.changed()
    migrate(database, changed)
    for role in logins.passwords:
        assert lets_in(database, role, changed.passwords[role]) and not lets_in(database, role, logins.passwords[role])
    assert attributes(database, logins.worker)[0][-1] == 7


def test_a_changed_password_costs_no_request(run, server, logins, programs):
    """While the old service is still there."""
    database = make_database(server, migrated=False)
    service = run(database, **logins.environment())
    changed = logins.changed()
    with Load(service) as load:
        load.reach(200)
        migrate(database, changed)
        load.reach(len(load.outcomes) + 500)
        other = run(database, **changed.environment())
        assert other.get(law.DAILY_USAGE).body == law.answer(database, law.DAILY_USAGE)
        load.reach(len(load.outcomes) + 200)
    assert not load.bad(), load.summary()
    login = {"DB_USERNAME": changed.logger, "DB_PASSWORD": changed.passwords[changed.logger]}
    status, line = run_logger(programs, database, other.port, **login)
    assert status == 0 and line["rollups"] == "on", line
    used = {role for role, in database.execute("SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = current_database() "
                                               "AND application_name = 'coworking-analytics'")}
    assert used <= {logins.worker, logins.logger} and logins.worker in used


@pytest.mark.parametrize("role, said", [
    ("coworking_analytics_keeper", "sets no password of role coworking_analytics_keeper"),
    ("coworking_analytics_superuser", "sets no password of role coworking_analytics_superuser"),
    ("somebody_else", None)])
def test_a_role_that_is_not_ours_keeps_its_password(server, role, said):
    database = make_database(server)
    kept = "SELECT rolpassword, rolcanlogin FROM pg_authid WHERE rolname = %s"
    if role != "coworking_analytics_keeper":
        database.execute(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD 'own'")
    if "superuser" in role:
        database.execute(f"ALTER ROLE {role} SUPERUSER")
    before = database.execute(kept, [role])
    done = database.migrate(WORKER_USERNAME=role, WORKER_PASSWORD="other")
    assert database.execute(kept, [role]) == before
    if said:
        assert done.returncode == 3 and said in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_no_log_of_the_server_holds_a_password(logins):
    server = Postgres("-c log_statement=all -c log_min_error_statement=debug5")
    try:
        database = make_database(server, migrated=False)
        migrate(database, logins)
        assert not lets_in(database, logins.worker, "wrong")
        log = (server.folder / "log").read_text()
        assert "ALTER ROLE" in log and logins.worker in log
        assert not [password for password in [*logins.passwords.values(), PASSWORD] if password in log]
    finally:
        server.close()


def test_a_wrong_role_is_named(programs, server):
    database = make_database(server, migrated=False)
    done = subprocess.run([programs / "analytics-fcgi", "--migrate"], capture_output=True, text=True, check=False, cwd=ROOT,
                          env=clean_environment(**{**database.environment(), "WORKER_PASSWORD_FILE": "/no/such/file"}))
    assert done.returncode == 78 and "WORKER_PASSWORD_FILE must be a file" in done.stderr


def test_workers_have_only_their_own_login(run, server, logins):
    database = make_database(server, migrated=False)
    service = run(database, **logins.environment())
    wait_until(service.is_ready, 10, "readiness")
    users = database.execute("SELECT usename, count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
                             "pg_backend_pid() AND usename = 'postgres' GROUP BY 1")
    assert users == []


@pytest.mark.plain_only(reason="sanitizers do not start beside another preloaded library")
@pytest.mark.parametrize("moment, role, warns", [
    ("2026-01-01 00:00:05", "superuser", True), ("2026-01-01 00:00:35", "superuser", False), ("2026-01-01 12:00:05", "superuser", False),
    ("2026-01-01 00:00:05", "own", False)])
def test_the_logger_warns_of_a_superuser_once_a_day(programs, run, server, logins, moment, role, warns):
    database = make_database(server, migrated=False)
    service = run(database, **logins.environment())
    wait_until(service.is_ready, 20, "readiness")
    login = {"DB_USERNAME": logins.logger, "DB_PASSWORD": logins.passwords[logins.logger]} if role == "own" else {}
    done = subprocess.run(["faketime", "-f", f"@{moment}", programs / "usage-logger"], capture_output=True, text=True, check=False,
                          env=clean_environment(**{**database.environment(), **login, "APP_PORT": service.port, "TZ": "UTC",
                                                   "FAKETIME_DONT_FAKE_MONOTONIC": "1"}))
    [line] = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 0 and line["ts"].startswith(moment[:10])
    assert (line["level"], line.get("role")) == (("warning", "DB_USERNAME is a superuser: reports need only a role that owns nothing")
                                                 if warns else ("info", None))
