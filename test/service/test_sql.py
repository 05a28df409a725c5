"""Migrations, and the coworking service's changes of its own tables: they succeed as they would without us, in any
role; reports are then right or 503, never wrong, and right again after `make migrate`."""

import concurrent.futures
import os
import subprocess
import time

import law
import psycopg2
import psycopg2.errors
import pytest
from background import Background
from fixtures import make_database, names
from law import DAILY_USAGE, USER_VISITS
from load import Load
from postgres import BINARIES, PASSWORD, ROOT, Postgres, wait_until
from service import Service

pytestmark = pytest.mark.one_build("sanitized")

REPORTS = [DAILY_USAGE, USER_VISITS]

# All that a migration could change: each row with the transaction that wrote it.
CATALOG = """
SELECT 'schema', oid::text, xmin::text, nspacl::text FROM pg_namespace WHERE nspname ~ '^(coworking_analytics|public)'
UNION ALL SELECT 'function', p.oid::text, p.xmin::text, proacl::text
  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace WHERE nspname ~ '^coworking_analytics'
UNION ALL SELECT 'relation', c.oid::text, c.xmin::text, relacl::text
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname ~ '^(coworking_analytics|public)'
UNION ALL SELECT 'column', attrelid || '.' || attnum, a.xmin::text, attacl::text
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = attrelid JOIN pg_namespace AS n ON n.oid = relnamespace
 WHERE nspname ~ '^(coworking_analytics|public)'
UNION ALL SELECT 'role', oid::text, xmin::text, '' FROM pg_authid
UNION ALL SELECT 'member', roleid || ' ' || member, xmin::text, '' FROM pg_auth_members
UNION ALL SELECT 'setting', setrole::text, xmin::text, setconfig::text FROM pg_db_role_setting
UNION ALL SELECT 'trigger', oid::text, xmin::text, '' FROM pg_trigger
UNION ALL SELECT 'comment', objoid::text, xmin::text, description FROM pg_description WHERE classoid = 'pg_namespace'::regclass
UNION ALL SELECT 'state', '', xmin::text, s::text FROM coworking_analytics.rollup_state AS s
ORDER BY 1, 2"""

APPLIED = """
SELECT split_part(obj_description('coworking_analytics'::regnamespace, 'pg_namespace'), E'\\n', 2)::jsonb -> 'migrations'"""
MIGRATIONS = [path.stem for path in sorted(ROOT.glob("sql/migrations/*.sql"))]

# What could block a change of the coworking service's tables: objects that depend on them, except those that are
# dropped along with them (deptype a), such as our trigger.
IN_THE_WAY = """
SELECT classid::regclass::text, objid::text, refobjid::text, refobjsubid::text FROM pg_depend
 WHERE refclassid = 'pg_class'::regclass AND refobjid IN ('public.users'::regclass, 'public.tokens'::regclass)
   AND NOT (classid = 'pg_trigger'::regclass AND deptype = 'a' AND refobjsubid = 0)
UNION ALL SELECT 'trigger', oid::text, tgrelid::text, tgname FROM pg_trigger WHERE tgname NOT LIKE 'coworking_analytics%'
   AND tgrelid IN ('public.users'::regclass, 'public.tokens'::regclass)
ORDER BY 1, 2, 3, 4"""


def create_role(server, rights=""):
    """Creates a login role; returns its name, which is also its password."""
    role = f"role_{next(names)}"
    with server.connect("postgres") as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}' {rights}")
    return role


def check_reports(service, database):
    """Both reports equal the law."""
    for path in REPORTS:
        answer = service.get(path)
        assert (answer.status, answer.body) == (200, law.ANSWERS[path](database))


# Migrations


def test_a_migration_creates_what_the_reports_need(server):
    database = server.create_database(next(names))
    migration = database.migrate()
    assert (migration.returncode, migration.stderr) == (0, "")
    assert len(migration.stdout.splitlines()) == 1
    assert database.execute("SELECT * FROM coworking_analytics.days()") == []
    assert database.execute("SELECT * FROM coworking_analytics.user_visits_after(0)") == []


def test_a_second_migration_changes_nothing(server):
    database = make_database(server)
    before = database.execute(CATALOG)
    for _ in range(2):
        migration = database.migrate()
        assert (migration.returncode, migration.stderr) == (0, "")
        assert len(migration.stdout.splitlines()) == 1
    assert database.execute(CATALOG) == before
    assert len(before) > 20


def test_concurrent_migrations_of_two_databases_on_a_new_server():
    server = Postgres()
    try:
        databases = [server.create_database(next(names)) for _ in range(2)]
        for database in databases:
            database.user = database.password = create_role(server)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            migrations = list(pool.map(lambda database: database.migrate(MIGRATE_USERNAME="postgres",
                                                                         MIGRATE_PASSWORD=PASSWORD), databases * 4))
        assert [(migration.returncode, migration.stderr) for migration in migrations] == [(0, "")] * 8
        for database in databases:
            assert list(database.execute(APPLIED)[0][0]) == MIGRATIONS
            with database.connect(user=database.user, password=database.password) as reader:
                assert reader.execute("SELECT * FROM coworking_analytics.days()") == []
    finally:
        server.close()


@pytest.mark.parametrize("round_number", range(3))
def test_eight_concurrent_migrations(server, round_number):
    database = server.create_database(f"{next(names)}_{round_number}")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        migrations = list(pool.map(lambda _: database.migrate(), range(8)))
    assert [(migration.returncode, migration.stderr) for migration in migrations] == [(0, "")] * 8
    assert list(database.execute(APPLIED)[0][0]) == MIGRATIONS


@pytest.mark.parametrize("hardening", [
    "SELECT 1",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    "REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC",
    "ALTER ROLE {role} SET default_transaction_read_only = on",
    "ALTER ROLE {role} SET search_path = nowhere",
])
def test_an_up_to_date_migration_needs_no_rights(server, hardening):
    database = make_database(server)
    role = create_role(server)
    database.execute(hardening.format(database=database.name, role=role))
    before = database.execute(CATALOG)
    migration = database.migrate(MIGRATE_USERNAME=role, MIGRATE_PASSWORD=role)
    assert (migration.returncode, migration.stderr) == (0, "")
    assert database.execute(CATALOG) == before


@pytest.mark.parametrize("statement", ["DROP TABLE tokens, users", "DROP TABLE tokens", "ALTER TABLE users RENAME TO u"])
def test_a_database_without_the_tables_is_an_error_of_one_line(server, statement):
    database = server.create_database(next(names))
    database.execute(statement)
    migration = database.migrate()
    assert migration.returncode not in (0, 2)
    assert len(migration.stderr.splitlines()) == 1
    assert "public.users or public.tokens is missing" in migration.stderr
    assert PASSWORD not in migration.stderr + migration.stdout
    assert database.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'coworking_analytics'") == [(0,)]


def test_a_migrator_without_rights_fails_and_leaves_nothing(server):
    database = server.create_database(next(names))
    role = create_role(server)
    migration = database.migrate(MIGRATE_USERNAME=role, MIGRATE_PASSWORD=role)
    assert migration.returncode not in (0, 2)
    assert "permission denied" in migration.stderr and role not in migration.stdout
    assert database.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'coworking_analytics'") == [(0,)]


def test_a_wrong_password_is_named_and_not_shown(server):
    database = make_database(server)
    migration = database.migrate(MIGRATE_PASSWORD="n0t-the-one")
    assert migration.returncode != 0
    assert "password authentication failed" in migration.stderr
    assert "n0t-the-one" not in migration.stderr + migration.stdout


@pytest.mark.parametrize("reader", ["plain_reader", "Reader With Spaces", 'quo"ted', "o'clock", "DB", "röle"])
def test_a_migrator_makes_another_role_a_reader(server, reader):
    database = server.create_database(next(names))
    quoted = reader.replace('"', '""')
    database.execute(f"CREATE ROLE \"{quoted}\" LOGIN PASSWORD 'reads'")
    try:
        database.user, database.password = reader, "reads"
        for _ in range(2):
            migration = database.migrate(MIGRATE_USERNAME="postgres", MIGRATE_PASSWORD=PASSWORD)
            assert (migration.returncode, migration.stderr) == (0, "")
        with database.connect(user=reader, password="reads") as connection:
            assert connection.execute("SELECT * FROM coworking_analytics.user_visits_after(0)") == []
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                connection.execute("SELECT first_name FROM users")
    finally:
        database.execute(f'DROP OWNED BY "{quoted}"; DROP ROLE "{quoted}"')


def owned_database(server, attributes=""):
    """A database and the role that owns it, which migrates it for another role, the reader."""
    make_database(server)  # creates our roles, which all databases share
    database = server.create_database(next(names))
    owner = create_role(server, attributes)
    database.execute(f"ALTER TABLE users OWNER TO {owner}; ALTER TABLE tokens OWNER TO {owner};"
                     f"ALTER DATABASE {database.name} OWNER TO {owner}")
    database.user = database.password = create_role(server)
    return database, owner


def assert_reads(database):
    """The workers' role can read a report."""
    with database.connect(user=database.user, password=database.password) as connection:
        assert connection.execute("SELECT * FROM coworking_analytics.user_visits_after(0)") == []


def test_the_tables_owner_can_migrate(server):
    database, owner = owned_database(server, "CREATEROLE")
    # Since PostgreSQL 16 the role that creates another gets this option. Here another test created it.
    database.execute("GRANT coworking_analytics_reader, coworking_analytics_logger, coworking_analytics_keeper"
                     f" TO {owner} WITH ADMIN OPTION")
    migration = database.migrate(MIGRATE_USERNAME=owner, MIGRATE_PASSWORD=owner)
    assert migration.returncode == 0, migration.stderr
    assert_reads(database)


def test_an_owner_who_may_grant_no_role_is_told_what_to_run(server):
    database, owner = owned_database(server)
    migration = database.migrate(MIGRATE_USERNAME=owner, MIGRATE_PASSWORD=owner)
    assert migration.returncode not in (0, 2)
    assert len(migration.stderr.splitlines()) == 1
    grants = migration.stderr.strip().partition("have a superuser run ")[2]
    assert f"GRANT coworking_analytics_reader TO {database.user}" in grants
    database.execute(grants)
    migration = database.migrate(MIGRATE_USERNAME=owner, MIGRATE_PASSWORD=owner)
    assert (migration.returncode, migration.stderr) == (0, "")
    assert_reads(database)


def test_the_password_may_come_from_a_file(server, tmp_path):
    database = make_database(server)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    migration = database.migrate(DB_PASSWORD="", DB_PASSWORD_FILE=str(tmp_path / "password"))
    assert (migration.returncode, migration.stderr) == (0, "")


def test_nothing_of_ours_depends_on_the_tables(server):
    database = server.create_database(next(names))
    before = database.execute(IN_THE_WAY)
    assert database.migrate().returncode == 0
    assert database.execute(IN_THE_WAY) == before
    assert len(before) > 5


@pytest.mark.parametrize("function", ["days", "user_tokens"])
def test_other_roles_may_not_run_the_functions(server, function):
    database = make_database(server)
    role = create_role(server)
    with database.connect(user=role, password=role) as connection:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            connection.execute(f"SELECT * FROM coworking_analytics.{function}()")


# Changes that the coworking service makes to its own tables


@pytest.fixture(scope="module")
def coworking(server):
    """A database whose tables change while one service stays connected."""
    database = server.create_database(next(names))
    database.owner = create_role(server)
    database.user = database.password = create_role(server)  # the workers' role
    return database


@pytest.fixture(scope="module")
def coworking_service(programs, coworking):
    """That service. Nothing restarts it."""
    reset(coworking, "tables owner")
    running = Service(programs, coworking.environment(), FCGI_WORKERS="2")
    pid = running.process.pid
    yield running
    assert (running.process.pid, running.process.poll()) == (pid, None)
    running.stop()


def migrate(database):
    """Migrates as a superuser."""
    migration = database.migrate(MIGRATE_USERNAME="postgres", MIGRATE_PASSWORD=PASSWORD)
    assert migration.returncode == 0, migration.stderr


# The owner of the tables may change them; the owner of the database may also change schema public.
ROLES = ["superuser", "database owner", "tables owner"]

RESET = """
DROP SCHEMA IF EXISTS coworking_analytics, coworking_analytics_keeper CASCADE;
CREATE SCHEMA IF NOT EXISTS public;
ALTER SCHEMA public OWNER TO pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
DO $body$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT 'public.' || quote_ident(relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
  LOOP
    EXECUTE 'DROP TABLE IF EXISTS ' || name || ' CASCADE';
  END LOOP;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'coworking_analytics_reader') THEN
    REVOKE ALL ON SCHEMA public FROM coworking_analytics_reader;
  END IF;
END
$body$;
REVOKE CREATE ON SCHEMA public FROM {owner};
ALTER DATABASE {database} OWNER TO postgres"""


def reset(database, role, migrated=True):
    """Recreates the tables with the example, owned by a superuser or a plain role, with or without our schema."""
    owner = database.owner
    database.execute(RESET.format(owner=owner, database=database.name))
    database.run_file(ROOT / "sql/coworking/tables.sql")
    database.run_file(ROOT / "test/service/example.sql")
    if role != "superuser":
        database.execute(f"ALTER TABLE users OWNER TO {owner}; ALTER TABLE tokens OWNER TO {owner}")
    if role == "tables owner":
        database.execute(f"GRANT CREATE ON SCHEMA public TO {owner}")
    if role == "database owner":
        database.execute(f"ALTER DATABASE {database.name} OWNER TO {owner}")
    if migrated:
        migrate(database)


def login(database, role):
    """Arguments to connect as the coworking service."""
    return {} if role == "superuser" else {"user": database.owner, "password": database.owner}


def lawful(database, path):
    """What a report has to answer now; None when the plain query fails."""
    try:
        return law.ANSWERS[path](database)
    except psycopg2.errors.ProgrammingError:
        return None


class Readers(Background):
    """Keeps reading both reports, and remembers every body."""

    def __init__(self, service):
        super().__init__(*((self._read, path) for path in REPORTS))
        self.service = service
        self.seen = {path: [] for path in REPORTS}

    def __enter__(self):
        super().__enter__()
        self.wait_for_more()
        return self

    def wait_for_more(self):
        """Waits until each report has been read once more."""
        counts = {path: len(seen) for path, seen in self.seen.items()}
        deadline = time.monotonic() + 30
        while any(len(self.seen[path]) < counts[path] + 2 for path in REPORTS):
            assert time.monotonic() < deadline, "no more answers"
            time.sleep(0.005)

    def _read(self, path):
        connection = self.service.connect()
        while not self.stopping.is_set():
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            if response.status == 503:
                body = 503 if response.headers["Retry-After"] and b'"status":503' in body else f"a bad 503: {body}"
            elif response.status != 200:
                body = f"status {response.status}: {body}"
            self.seen[path].append(body)
        connection.close()


def check_after(service, database, seen, allowed):
    """Reports are right or 503 before the migration and right after it; meanwhile, only allowed bodies were seen."""
    for path in REPORTS:
        answer = service.get(path)
        assert answer.status == 503 and answer.headers["Retry-After"] or answer.body == lawful(database, path)
    migrate(database)
    for path in REPORTS:
        answer = service.get(path)
        if lawful(database, path) is None:
            assert answer.status == 503 and answer.headers["Retry-After"]
        else:
            assert (answer.status, answer.body) == (200, lawful(database, path))
    for path in REPORTS:
        assert set(seen[path]) <= allowed[path], service.events("request", status=500)


TABLES = (ROOT / "sql/coworking/tables.sql").read_text()
USERS, TOKENS = TABLES.split("\n\n")
ROWS = """
INSERT INTO users (id, first_name, last_name, joined_at) VALUES (8, 'New', 'User', '2025-01-01 00:00:00.125');
INSERT INTO tokens (user_id, token, created_at, used_at) VALUES (8, '1', '2025-01-02', '2025-01-02')"""

CHANGES = {
    "drop and create": ["DROP TABLE tokens", "DROP TABLE users", USERS, TOKENS, ROWS],
    "drop and create in one transaction": [f"BEGIN; DROP TABLE tokens, users; {TABLES}; {ROWS}; COMMIT"],
    "drop tokens, create it anew": [f"BEGIN; DROP TABLE tokens; {TOKENS}; COMMIT"],
    "drop cascade": [f"BEGIN; DROP TABLE users CASCADE; {USERS}; DELETE FROM tokens; {ROWS}; COMMIT"],
    "drop for good": ["DROP TABLE tokens", "DROP TABLE users", TABLES],
    "rename and create": [f"BEGIN; ALTER TABLE tokens RENAME TO tokens_old; ALTER INDEX tokens_user_id_token_used_at_idx"
                          f" RENAME TO old_idx; {TOKENS}; COMMIT"],
    "rename and back": ["ALTER TABLE tokens RENAME TO t", "ALTER TABLE t RENAME TO tokens"],
    "swap with a copy": ["BEGIN; CREATE TABLE copy (LIKE tokens); INSERT INTO copy SELECT * FROM tokens WHERE user_id <> 3;"
                         " DROP TABLE tokens; ALTER TABLE copy RENAME TO tokens; COMMIT"],
    "a view in its place": ["BEGIN; ALTER TABLE tokens RENAME TO tokens_all; CREATE VIEW tokens AS SELECT * FROM tokens_all"
                            " WHERE user_id <> 20; COMMIT"],
    "partitions": ["BEGIN; DROP TABLE tokens; CREATE TABLE tokens (id serial, user_id integer NOT NULL REFERENCES users,"
                   " token varchar(6) NOT NULL, created_at timestamp DEFAULT now() NOT NULL, used_at timestamp)"
                   " PARTITION BY RANGE (created_at); CREATE TABLE tokens_1 PARTITION OF tokens DEFAULT;"
                   " INSERT INTO tokens (user_id, token, created_at, used_at) VALUES (7, '1', '2025-01-02', now()); COMMIT"],
    "created_at to timestamptz": ["ALTER TABLE tokens ALTER created_at TYPE timestamptz USING created_at AT TIME ZONE 'UTC'"],
    "used_at to timestamptz": ["ALTER TABLE tokens ALTER used_at TYPE timestamptz USING used_at AT TIME ZONE 'UTC'"],
    "created_at to date": ["ALTER TABLE tokens ALTER created_at TYPE date"],
    "joined_at to whole seconds": ["ALTER TABLE users ALTER joined_at TYPE timestamp(0)"],
    "ids to bigint": ["ALTER TABLE users ALTER id TYPE bigint", "ALTER TABLE tokens ALTER user_id TYPE bigint",
                      "ALTER TABLE tokens ALTER id TYPE bigint"],
    "token to text": ["ALTER TABLE tokens ALTER token TYPE text"],
    "drop column used_at": ["ALTER TABLE tokens DROP COLUMN used_at"],
    "drop column joined_at": ["ALTER TABLE users DROP COLUMN joined_at"],
    "drop column is_active": ["ALTER TABLE users DROP COLUMN is_active"],
    "used_at anew": ["ALTER TABLE tokens DROP COLUMN used_at", "ALTER TABLE tokens ADD COLUMN used_at timestamp",
                     "UPDATE tokens SET used_at = created_at WHERE user_id = 3"],
    "created_at anew": ["BEGIN; ALTER TABLE tokens DROP COLUMN created_at; ALTER TABLE tokens"
                        " ADD COLUMN created_at timestamp DEFAULT '2025-05-05' NOT NULL; COMMIT"],
    "joined_at anew": ["BEGIN; ALTER TABLE users DROP COLUMN joined_at; ALTER TABLE users"
                       " ADD COLUMN joined_at timestamp DEFAULT '2025-05-05' NOT NULL; COMMIT"],
    "used_at renamed and replaced": ["BEGIN; ALTER TABLE tokens RENAME used_at TO redeemed_at; ALTER TABLE tokens"
                                     " ADD COLUMN used_at timestamp; COMMIT"],
    "columns in another order": ["BEGIN; ALTER TABLE tokens ADD COLUMN c timestamp; UPDATE tokens SET c = created_at;"
                                 " ALTER TABLE tokens DROP COLUMN created_at; ALTER TABLE tokens RENAME c TO created_at;"
                                 " COMMIT"],
    "more columns and indexes": ["ALTER TABLE tokens ADD COLUMN visits bigint DEFAULT 7",
                                 "ALTER TABLE users ADD COLUMN user_id integer DEFAULT 7",
                                 "ALTER TABLE users ADD COLUMN created_at timestamp DEFAULT now()",
                                 "CREATE INDEX ON tokens (created_at)", "DROP INDEX users_is_active_idx"],
    "truncate": ["TRUNCATE tokens", "TRUNCATE users CASCADE"],
    "vacuum full, cluster": ["VACUUM FULL tokens", "CLUSTER users USING users_pkey", "REINDEX TABLE tokens"],
    "revoke": ["REVOKE ALL ON users, tokens FROM coworking_analytics_reader",
               "REVOKE ALL (user_id, created_at, used_at) ON tokens FROM coworking_analytics_reader"],
    "row security": ["ALTER TABLE tokens ENABLE ROW LEVEL SECURITY", "ALTER TABLE tokens DISABLE ROW LEVEL SECURITY"],
}


@pytest.mark.parametrize("role", ["superuser", "tables owner"])
@pytest.mark.parametrize("change", CHANGES)
def test_the_coworking_service_changes_its_tables(coworking, coworking_service, role, change):
    reset(coworking, role)
    check_reports(coworking_service, coworking)
    allowed = {path: {503, lawful(coworking, path)} for path in REPORTS}
    with coworking.connect(**login(coworking, role)) as connection, Readers(coworking_service) as readers:
        for statement in CHANGES[change]:
            connection.execute(statement)
            for path in REPORTS:
                allowed[path].add(lawful(coworking, path))
            readers.wait_for_more()
    check_after(coworking_service, coworking, readers.seen, allowed)


@pytest.mark.parametrize("statements", [
    ["ALTER TABLE users ALTER id TYPE bigint", "ALTER TABLE users ALTER id TYPE integer"],
    [f"BEGIN; DROP TABLE users CASCADE; {USERS}; TRUNCATE tokens; ALTER TABLE tokens ADD FOREIGN KEY (user_id)"
     " REFERENCES users; GRANT SELECT ON users, tokens TO coworking_analytics_reader; COMMIT"],
    [f"BEGIN; DROP TABLE tokens, users; {TABLES}; GRANT SELECT ON users, tokens TO coworking_analytics_reader; COMMIT"],
    [f"BEGIN; DROP TABLE tokens; {TOKENS}; GRANT SELECT ON tokens TO coworking_analytics_reader; COMMIT"],
    ["BEGIN; LOCK TABLE users, tokens; COMMIT", "BEGIN; LOCK TABLE tokens, users; COMMIT"],
    ["TRUNCATE users CASCADE", "TRUNCATE tokens, users"],
], ids=["alter users", "drop users", "drop both", "drop tokens", "lock", "truncate"])
def test_no_change_of_the_tables_ends_in_a_deadlock_with_a_report(coworking, coworking_service, statements):
    reset(coworking, "superuser")
    known = len(coworking_service.events("request"))
    failures = []
    with coworking.connect() as connection, Load(coworking_service, connections=8) as load:
        load.reach(100)
        for number in range(60):
            try:
                connection.execute(statements[number % len(statements)])
            except psycopg2.errors.DeadlockDetected as error:
                failures.append(str(error).splitlines()[0])
                connection.execute("ROLLBACK")
            answered = len(load.answered())
            wait_until(lambda answered=answered: len(load.answered()) > answered + 8, 30, "more answers")
    reasons = {line["reason"] for line in coworking_service.events("request")[known:] if line["status"] >= 500}
    assert (failures, set(load.summary()) - {200, 503}) == ([], set()), reasons


@pytest.mark.parametrize("path", REPORTS)
@pytest.mark.parametrize("first, second", [("users", "tokens"), ("tokens", "users")])
def test_a_change_of_both_tables_in_one_transaction(coworking, coworking_service, path, first, second):
    """A report that waits for one table must not hold a lock on the other that the same transaction needs: of the two,
    PostgreSQL would cancel the one that started to wait last, after deadlock_timeout (1 s)."""
    reset(coworking, "tables owner")
    waiting = """SELECT count(*) > 0 FROM pg_locks JOIN pg_stat_activity USING (pid)
                  WHERE waitstart < clock_timestamp() - interval '1.5 s' AND usename = %s AND datname = %s"""
    with concurrent.futures.ThreadPoolExecutor(1) as pool, coworking.connect(**login(coworking, "owner")) as connection:
        connection.raw.autocommit = False
        connection.execute(f"ALTER TABLE {first} ADD COLUMN more integer")
        report = pool.submit(coworking_service.get, path)
        wait_until(lambda: coworking.execute(waiting, (coworking.user, coworking.name)) == [(True,)] or report.done(), 10,
                   "the report's long wait for the table, or its end")
        connection.execute(f"ALTER TABLE {second} ADD COLUMN more integer")
        connection.raw.commit()
        answer = report.result(20)
    assert answer.status in (503, 504) or answer.body == lawful(coworking, path)


@pytest.mark.parametrize("role", ["superuser", "tables owner"])
def test_row_security_never_shortens_a_report(coworking, coworking_service, role):
    reset(coworking, role)
    with coworking.connect(**login(coworking, role)) as connection:
        connection.execute("ALTER TABLE tokens ENABLE ROW LEVEL SECURITY")
    for path in REPORTS:
        answer = coworking_service.get(path)
        assert answer.status == 503 or answer.body == law.ANSWERS[path](coworking)


def archive(database, program, role, *arguments):
    """Runs pg_dump or pg_restore as the coworking service would."""
    user, password = ("postgres", PASSWORD) if role == "superuser" else (database.owner, database.owner)
    return subprocess.run([BINARIES / program, "-h", "127.0.0.1", "-p", str(database.server.port), "-U", user,
                           "-d", database.name, *map(str, arguments)],
                          env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True, check=False)


DUMPS = {"its tables": ["-t", "public.users", "-t", "public.tokens"], "its schema": ["-n", "public"],
         "the whole database": []}


@pytest.mark.parametrize("options", [[], ["--if-exists"], ["--single-transaction"], ["--no-privileges", "--no-owner"]],
                         ids=" ".join)
# A role that may not create a schema cannot restore one, so only its owner restores the whole database.
@pytest.mark.parametrize("dumped, role", [(dumped, role) for dumped in DUMPS for role in ROLES
                                          if (dumped, role) != ("the whole database", "tables owner")])
def test_the_coworking_service_restores_a_dump_with_clean(coworking, coworking_service, tmp_path, role, dumped, options):
    def restore():
        file = tmp_path / "dump"
        dump = archive(coworking, "pg_dump", role, "-Fc", "-f", file, *DUMPS[dumped])
        assert dump.returncode == 0 and not dump.stderr, dump.stderr
        with coworking.connect(**login(coworking, role)) as connection:
            connection.execute(ROWS)
        for path in REPORTS:
            allowed[path].add(lawful(coworking, path))
        return archive(coworking, "pg_restore", role, "--clean", *options, file)

    allowed = {path: {503, b"{}\n", None} for path in REPORTS}  # empty: between pg_restore's own transactions
    reset(coworking, role, migrated=False)
    expected = restore()
    reset(coworking, role)
    check_reports(coworking_service, coworking)
    for path in REPORTS:
        allowed[path].add(lawful(coworking, path))
    with Readers(coworking_service) as readers:
        restored = restore()
        readers.wait_for_more()
    assert (restored.stderr, restored.returncode) == (expected.stderr, expected.returncode)
    seen = {path: [body for body in seen if "--single-transaction" not in options or body != b"{}\n"]
            for path, seen in readers.seen.items()}
    check_after(coworking_service, coworking, seen, allowed)


def test_the_owner_dumps_the_whole_database(coworking, tmp_path):
    reset(coworking, "tables owner")
    dump = archive(coworking, "pg_dump", "tables owner", "-f", tmp_path / "dump.sql")
    assert (dump.returncode, dump.stderr) == (0, "")
    text = (tmp_path / "dump.sql").read_text()
    assert "COPY public.tokens" in text and "coworking_analytics.days" in text


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
@pytest.mark.parametrize("statement", [
    "INSERT INTO users (id, first_name, last_name, joined_at) VALUES (9, 'A', 'B', now())",
    "INSERT INTO tokens (user_id, token) VALUES (3, '1')",
    "UPDATE tokens SET used_at = now() WHERE used_at IS NULL",
    "UPDATE tokens SET created_at = created_at - interval '1 day', user_id = 7",
    "INSERT INTO tokens (id, user_id, token) VALUES (1, 3, '1') ON CONFLICT (id) DO UPDATE SET used_at = now()",
    "DELETE FROM tokens",
    "TRUNCATE tokens, users",
    "ANALYZE tokens",
    "LOCK TABLE tokens",
])
def test_the_owner_s_writes_need_no_right_of_ours(coworking, statement, isolation):
    reset(coworking, "tables owner")
    coworking.execute("REVOKE ALL ON SCHEMA coworking_analytics FROM PUBLIC")
    with coworking.connect(user=coworking.owner, password=coworking.owner) as connection:
        connection.execute(f"BEGIN ISOLATION LEVEL {isolation}; {statement}; COMMIT")


def test_copy_needs_no_right_of_ours(coworking, tmp_path):
    reset(coworking, "tables owner")
    (tmp_path / "rows").write_text("3\t000009\n7\t000010\n")
    with coworking.connect(user=coworking.owner, password=coworking.owner) as connection:
        with open(tmp_path / "rows", encoding="utf-8") as rows, connection.raw.cursor() as cursor:
            cursor.copy_from(rows, "tokens", columns=("user_id", "token"))
        assert connection.execute("SELECT count(*) FROM tokens") == [(8,)]
