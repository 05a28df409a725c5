"""Migrations in a database that others use: what they may meet there, and what they leave behind."""

import concurrent.futures
import os
import shutil
import subprocess
import time

import psycopg2
import pytest
from fixtures import make_database, names
from exactness import Paced, check_exact, create_rollups_database, load_tokens
from postgres import PASSWORD, ROOT, wait_until

STRANGER = "stranger_{}"
INSERT = "INSERT INTO tokens (user_id, token, used_at) VALUES (1, 'x', now())"

# All objects and rights of schemas that are not PostgreSQL's own.
EVERYTHING = """
SELECT kind, name, owner, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(acl) AS a)
  FROM (SELECT 'schema' AS kind, nspname::text AS name, nspowner::regrole::text AS owner, nspacl AS acl
          FROM pg_namespace WHERE nspname !~ '^pg_'
         UNION ALL
        SELECT 'relation', c.oid::regclass::text, relowner::regrole::text, relacl
          FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname !~ '^(pg_|information_schema)'
         UNION ALL
        SELECT 'function', p.oid::regprocedure::text, proowner::regrole::text, proacl
          FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace WHERE nspname !~ '^(pg_|information_schema)'
         UNION ALL
        SELECT 'trigger', tgname || ' ' || tgenabled::text, tgrelid::regclass::text, NULL FROM pg_trigger WHERE NOT tgisinternal) AS e
 ORDER BY 1, 2, 3"""


def migrate(database, **environment):
    """Migrates, and expects success with nothing on standard error."""
    migration = database.migrate(MIGRATE_USERNAME="postgres", MIGRATE_PASSWORD=PASSWORD, **environment)
    assert (migration.returncode, migration.stderr) == (0, "")
    return migration.stdout


def create_stranger(database):
    """Creates a role that has nothing to do with us; returns it and its connection."""
    role = STRANGER.format(next(names))
    database.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}'; GRANT CREATE ON DATABASE {database.name} TO {role}")
    return role, database.connect(user=role, password=role)


# Schemas of others


@pytest.mark.parametrize("schema", ["coworking_analytics", "coworking_analytics_keeper"])
@pytest.mark.parametrize("content", ["", "CREATE TABLE {schema}.revenue (a int)", "CREATE TABLE {schema}.user_tokens (b int)",
                                     "CREATE FUNCTION {schema}.days() RETURNS int LANGUAGE sql AS 'SELECT 1'"])
def test_a_schema_of_our_name_that_is_not_ours_stays_as_it_is(server, schema, content):
    database = server.create_database(next(names))
    role, stranger = create_stranger(database)
    stranger.execute(f"CREATE SCHEMA {schema}; COMMENT ON SCHEMA {schema} IS 'Finance';" + content.format(schema=schema))
    before = database.execute(EVERYTHING)
    migration = database.migrate()
    assert migration.returncode == 3 and len(migration.stderr.splitlines()) == 1
    assert schema in migration.stderr and "is not ours" in migration.stderr
    assert database.execute(EVERYTHING) == before
    stranger.close()


@pytest.mark.parametrize("content", ["CREATE TABLE analytics.revenue (a int)", "CREATE TABLE analytics.user_tokens (b int)",
                                     "CREATE FUNCTION analytics.days() RETURNS int LANGUAGE sql AS 'SELECT 1'"])
def test_somebody_else_s_schema_analytics_stays_as_it_is(server, content):
    database = server.create_database(next(names))
    _, stranger = create_stranger(database)
    stranger.execute(f"CREATE SCHEMA analytics; {content}")
    theirs = [row for row in database.execute(EVERYTHING) if "analytics" in row[1]]
    for rollups in ("on", "off", "on"):
        migrate(database, ROLLUPS=rollups)
        assert set(theirs) <= set(database.execute(EVERYTHING))
    stranger.execute("CREATE TABLE analytics.more (a int); DROP SCHEMA analytics CASCADE")
    stranger.close()


@pytest.mark.parametrize("before", ["", "CREATE TABLE analytics.revenue (a int); CREATE FUNCTION analytics.f() RETURNS int"
                                        " LANGUAGE sql AS 'SELECT 1'"])
def test_a_database_from_before_the_first_release_is_upgraded(server, before):
    database = create_rollups_database(server, next(names))
    database.execute("DROP SCHEMA coworking_analytics, coworking_analytics_keeper CASCADE")
    database.run_file(ROOT / "test/service/earlier_schema.sql")
    database.execute(f"SELECT 1; {before}")
    with Paced(database, database.writer, INSERT) as writer:
        assert "brought up to date" in migrate(database)
    writer.check(seconds=1)
    check_exact(database)
    left = database.execute("SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
                            " WHERE n.nspname = 'analytics' ORDER BY 1")
    assert left == ([("revenue",)] if before else [])
    assert database.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'analytics'") == [(1 if before else 0,)]
    assert database.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = 'tokens'::regclass AND NOT tgisinternal") \
        == [("coworking_analytics_change",)]
    assert "is up to date" in migrate(database)


# Incomplete and new migrations

HALVES = {
    "the trigger is missing": "DROP TRIGGER coworking_analytics_change ON tokens",
    "the trigger does not always fire": "ALTER TABLE tokens ENABLE TRIGGER coworking_analytics_change",
    "the trigger is off": "ALTER TABLE tokens DISABLE TRIGGER coworking_analytics_change",
    "a function is missing": "DROP FUNCTION coworking_analytics.members()",
    "a function is another": "CREATE OR REPLACE FUNCTION coworking_analytics.uses_rollups() RETURNS boolean LANGUAGE sql STABLE"
                             " AS 'SELECT false'",
    "a right is missing": "REVOKE SELECT ON coworking_analytics.daily_tokens FROM coworking_analytics_reader",
    "a right to run is missing": "REVOKE EXECUTE ON FUNCTION coworking_analytics.days() FROM coworking_analytics_reader",
    "the schema is closed": "REVOKE USAGE ON SCHEMA coworking_analytics FROM coworking_analytics_reader",
    "a right on a column is missing": "REVOKE SELECT (used_at) ON tokens FROM coworking_analytics_reader",
    "the keeper's right on a column is missing": "REVOKE SELECT (user_id) ON tokens FROM coworking_analytics_keeper",
    "the keeper's functions are another's": "ALTER FUNCTION coworking_analytics_keeper.note_change() OWNER TO pg_database_owner;"
                                            "ALTER SCHEMA coworking_analytics_keeper OWNER TO pg_database_owner",
    "the keeper's schema is gone": "DROP SCHEMA coworking_analytics_keeper CASCADE",
}


@pytest.mark.parametrize("half", HALVES)
def test_an_incomplete_migration_is_completed(server, half):
    database = create_rollups_database(server, next(names))
    whole = database.execute(EVERYTHING)
    database.execute(HALVES[half])
    assert "brought up to date" in migrate(database)
    assert database.execute(EVERYTHING) == whole
    check_exact(database)
    assert "is up to date" in migrate(database)


@pytest.mark.parametrize("first, second", [("on", "off"), ("off", "on"), ("off", "off"), ("on", "on")])
def test_rollups_on_and_off(server, first, second):
    """Each migration leaves what ROLLUPS says, whatever it found."""
    database = create_rollups_database(server, next(names))
    for rollups in (first, second):
        migrate(database, ROLLUPS=rollups)
        triggers = database.execute("SELECT count(*) FROM pg_trigger WHERE tgname = 'coworking_analytics_change'")
        assert triggers == [(1 if rollups == "on" else 0,)]
        assert database.execute("SELECT coworking_analytics.uses_rollups()") == [(rollups == "on",)]
        assert "is up to date" in migrate(database, ROLLUPS=rollups)


@pytest.fixture(scope="module", name="copy")
def copy_of_the_sources(tmp_path_factory):
    """A copy of the sources, for tests to change and build."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("fcgi", "sql"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "test").mkdir()
    for path in [ROOT / "Makefile", *ROOT.glob("test/*.mk")]:
        shutil.copy(path, folder / path.relative_to(ROOT))
    return folder


def build_and_migrate(copy, database):
    """Builds the copy as a release, and migrates with it."""
    subprocess.run(["make", "-s", "build/analytics-fcgi", "VERSION=copy"], cwd=copy, check=True, capture_output=True)
    return subprocess.run([copy / "build/analytics-fcgi", "--migrate"], env={**os.environ, **database.environment()},
                          capture_output=True, text=True, check=False)


def test_a_new_migration_and_an_edited_function_arrive(server, copy):
    """They reach an existing database, once each, and need nothing but the files."""
    database = make_database(server)
    (copy / "sql/migrations/0002_more.sql").write_text("CREATE TABLE coworking_analytics.more (a integer PRIMARY KEY);\n")
    functions = copy / "sql/functions/90_reports.sql"
    functions.write_text(functions.read_text().replace("'Users, and when they joined'", "'People'")
                         + "CREATE OR REPLACE FUNCTION coworking_analytics.more() RETURNS integer "
                           "LANGUAGE sql AS $body$ SELECT 7 $body$;\n")
    for said in ("brought up to date", "is up to date"):
        migration = build_and_migrate(copy, database)
        assert (migration.returncode, migration.stderr) == (0, "") and said in migration.stdout
    with database.connect(options="-c role=coworking_analytics_reader") as reader:
        assert reader.execute("SELECT * FROM coworking_analytics.more") == []
        assert reader.execute("SELECT coworking_analytics.more()") == [(7,)]
    assert database.execute("SELECT obj_description('coworking_analytics.members'::regproc)") == [("People",)]
    assert database.execute("SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'coworking_analytics.more'::regclass") \
        == [("leave_out_replicated_row", "R")]


def test_an_earlier_release_leaves_a_later_one_s_schema_alone(server, copy):
    """Its pods also migrate, after a rollback and during a rollout."""
    database = make_database(server)
    (copy / "sql/migrations/0003_later.sql").write_text("CREATE TABLE coworking_analytics.later (a integer PRIMARY KEY);\n")
    assert build_and_migrate(copy, database).returncode == 0
    assert "is up to date" in migrate(database)
    database.execute("DROP TRIGGER coworking_analytics_change ON tokens")
    assert "was brought up to date" in migrate(database)
    migration = build_and_migrate(copy, database)
    assert (migration.returncode, migration.stderr) == (0, "") and "is up to date" in migration.stdout


def test_a_migration_that_was_edited_after_it_was_applied_is_refused(server, copy):
    database = make_database(server)
    first = copy / "sql/migrations/0001_rollups.sql"
    original = first.read_text()
    first.write_text(original.replace("fillfactor = 50", "fillfactor = 60"))
    migration = build_and_migrate(copy, database)
    first.write_text(original)
    assert migration.returncode == 3 and "0001_rollups has been edited" in migration.stderr


# Locks


def test_an_autovacuum_of_tokens_gives_way(server):
    """An autovacuum that is slow, as on a large table."""
    database = create_rollups_database(server, next(names))
    migrate(database, ROLLUPS="off")
    load_tokens(database, 200_000)
    database.execute("ALTER TABLE tokens SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,"
                     " autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0);"
                     "UPDATE tokens SET token = 'y'")
    under_way = "SELECT count(*) > 0 FROM pg_stat_progress_vacuum WHERE relid = 'tokens'::regclass"
    wait_until(lambda: database.execute(under_way)[0][0], 150, "an autovacuum of tokens")
    with Paced(database, database.writer, INSERT) as writer:
        began = time.monotonic()
        migrate(database)
        seconds = time.monotonic() - began
    writer.check(seconds=1)
    assert seconds < 30
    check_exact(database)


def test_an_error_names_who_holds_the_table_s_lock(server):
    database = create_rollups_database(server, next(names))
    migrate(database, ROLLUPS="off")
    with database.connect() as holder:
        holder.execute("SET application_name = 'a long report'; BEGIN; LOCK TABLE tokens IN SHARE MODE")
        pid, = holder.execute("SELECT pg_backend_pid()")[0]
        migration = database.migrate(MIGRATE_USERNAME="postgres", MIGRATE_PASSWORD=PASSWORD)
    assert migration.returncode == 3 and len(migration.stderr.splitlines()) == 1
    assert f"process {pid} (a long report)" in migration.stderr and "tokens" in migration.stderr
    migrate(database)


@pytest.mark.parametrize("rollups", ["on", "off"])
def test_a_migration_waits_for_a_slow_reader(server, rollups):
    database = create_rollups_database(server, next(names))
    if rollups == "on":
        migrate(database, ROLLUPS="off")
    with database.connect() as reader, concurrent.futures.ThreadPoolExecutor(1) as pool:
        reader.execute("BEGIN; SELECT count(*) FROM tokens")
        migration = pool.submit(migrate, database, ROLLUPS=rollups)
        time.sleep(2)
        reader.execute("COMMIT")
        migration.result(60)


def test_a_stranger_s_advisory_locks_do_not_block_us(server):
    database = server.create_database(next(names))
    _, stranger = create_stranger(database)
    for key in ("coworking_analytics", "coworking_analytics.fold", "coworking_analytics.inspection"):
        stranger.execute(f"SELECT pg_advisory_lock(hashtext('{key}'))")
    migrate(database)
    database.execute("INSERT INTO users VALUES (1, 'A', 'B', now());"
                     "INSERT INTO tokens (user_id, token) SELECT 1, 'x' FROM generate_series(1, 3000)")
    folded = [database.execute("SELECT folded FROM coworking_analytics_keeper.maintain()")[0][0] for _ in range(6)]
    assert sum(folded) == 2000
    stranger.close()


def test_an_error_names_who_holds_our_own_lock(server, copy):
    database = make_database(server)
    database.execute("DROP FUNCTION coworking_analytics.members()")
    with database.connect() as holder:
        holder.execute("SET application_name = 'a backup'; BEGIN; LOCK TABLE coworking_analytics.rollup_state")
        (copy / "sql/migrate.sql").write_text((ROOT / "sql/migrate.sql").read_text().replace("'60s'", "'2s'"))
        migration = build_and_migrate(copy, database)
    assert migration.returncode == 3 and "(a backup)" in migration.stderr


# Rights that others could misuse

# An index expression runs this in the session of everyone who reads tokens. It tries to gain its owner more rights.
ATTACK = """
CREATE TABLE {owner}.ran_as (who name, program text);
GRANT ALL ON {owner}.ran_as TO PUBLIC;
CREATE FUNCTION {owner}.attack() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  statement text;
BEGIN
  INSERT INTO {owner}.ran_as VALUES (current_user, current_setting('application_name'));
  FOREACH statement IN ARRAY ARRAY[
    'RESET ROLE', 'RESET SESSION AUTHORIZATION', 'ALTER ROLE {owner} SUPERUSER',
    'CREATE OR REPLACE FUNCTION coworking_analytics.uses_rollups() RETURNS boolean LANGUAGE sql AS ''SELECT {owner}.attack()''',
    'CREATE FUNCTION coworking_analytics.planted() RETURNS int LANGUAGE sql AS ''SELECT 1''',
    'CREATE TABLE coworking_analytics.planted (a int)',
    'GRANT CREATE ON SCHEMA coworking_analytics TO {owner}', 'ALTER ROLE {owner} SUPERUSER'] LOOP
    BEGIN
      EXECUTE statement;
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  RETURN true;
END $$;
CREATE FUNCTION {owner}.f(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN {owner}.attack(); END $$;
GRANT USAGE ON SCHEMA {owner} TO PUBLIC"""
PLANTED = """
SELECT count(*) FROM pg_proc WHERE proname = 'planted'
UNION ALL SELECT count(*) FROM pg_class WHERE relname = 'planted'
UNION ALL SELECT count(*) FROM pg_roles WHERE rolsuper AND rolname LIKE 'role_%'"""


def owned_by(database, owns_database=False):
    """A role without other rights that owns tokens, or also the database."""
    owner = f"role_{next(names)}"
    database.execute(f"CREATE ROLE {owner} LOGIN PASSWORD '{owner}'; CREATE SCHEMA {owner} AUTHORIZATION {owner};"
                     f"ALTER TABLE users OWNER TO {owner}; ALTER TABLE tokens OWNER TO {owner}; GRANT CREATE ON SCHEMA public TO {owner}")
    if owns_database:
        database.execute(f"ALTER DATABASE {database.name} OWNER TO {owner}")
    return owner


def test_the_tables_owner_s_code_in_an_index_gains_no_rights(server):
    """An index condition calls a function, which runs in each session that plans a query on the table."""
    database = create_rollups_database(server, next(names))
    owner = owned_by(database)
    with database.connect(user=owner, password=owner) as tables_owner:
        tables_owner.execute(ATTACK.format(owner=owner))
        tables_owner.execute(f"CREATE INDEX ON public.tokens (id) WHERE {owner}.f(1); TRUNCATE public.tokens;"
                             "INSERT INTO public.tokens (user_id, token) SELECT 1, 'x' FROM generate_series(1, 3000)")
    for rollups in ("on", "off", "on"):
        migrate(database, ROLLUPS=rollups)  # by a superuser
    for _ in range(6):
        database.execute("SELECT * FROM coworking_analytics_keeper.maintain(true)")  # a logger that is one
    ran_as = {who for who, in database.execute(f"SELECT DISTINCT who FROM {owner}.ran_as")} - {owner}
    assert ran_as == {"coworking_analytics_keeper"}
    assert database.execute(PLANTED) == [(0,), (0,), (0,)]
    assert "is up to date" in migrate(database)


def test_a_superuser_s_migration_runs_no_code_of_the_database_s_owner(server):
    database = create_rollups_database(server, next(names))
    owner = owned_by(database, owns_database=True)
    migrate(database)
    with database.connect(user=owner, password=owner) as everything:
        everything.execute(ATTACK.format(owner=owner))
        for name, in everything.execute("SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE pronargs = 0"
                                        " AND pronamespace = 'coworking_analytics'::regnamespace AND NOT proretset"):
            everything.execute(f"CREATE OR REPLACE FUNCTION {name} RETURNS boolean LANGUAGE sql AS 'SELECT {owner}.attack()'")
        for table, in everything.execute("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
                                         " AND relnamespace = 'coworking_analytics'::regnamespace"):
            everything.execute(f"CREATE INDEX ON {table} ((1)) WHERE {owner}.f(1)")
            everything.execute(f"CREATE FUNCTION {owner}.t_{table.rpartition('.')[2]}() RETURNS trigger LANGUAGE plpgsql AS"
                               f" $$ BEGIN PERFORM {owner}.attack(); RETURN NEW; END $$;"
                               f"CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON {table}"
                               f" FOR EACH ROW EXECUTE FUNCTION {owner}.t_{table.rpartition('.')[2]}()")
        everything.execute(f"DELETE FROM {owner}.ran_as")
    database.user = database.password = database.reader["user"]
    for rollups in ("on", "off", "on", "on"):
        database.migrate(MIGRATE_USERNAME="postgres", MIGRATE_PASSWORD=PASSWORD, ROLLUPS=rollups)
    programs = {program for program, in database.execute(f"SELECT DISTINCT program FROM {owner}.ran_as")}
    assert "psql" not in programs
    assert database.execute(PLANTED)[2] == (0,)


def test_only_the_keeper_s_functions_have_more_rights_than_their_caller(server):
    """The keeper cannot log in, owns only those functions and their schema, and creates nothing where workers read."""
    database = make_database(server)
    assert database.execute("""
        SELECT p.oid::regprocedure::text, p.proowner::regrole::text FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
         WHERE prosecdef AND nspname ~ '^coworking' ORDER BY 1""") == [
             ("coworking_analytics_keeper.maintain(boolean)", "coworking_analytics_keeper"),
             ("coworking_analytics_keeper.note_change()", "coworking_analytics_keeper")]
    assert database.execute("""
        SELECT rolcanlogin, rolsuper, rolcreaterole, has_schema_privilege(oid, 'coworking_analytics', 'CREATE'),
               has_schema_privilege(oid, 'public', 'CREATE'), has_database_privilege(oid, current_database(), 'CREATE')
          FROM pg_roles WHERE rolname = 'coworking_analytics_keeper'""") == [(False,) * 6]
    assert database.execute("""
        SELECT DISTINCT classid::regclass::text FROM pg_shdepend
         WHERE deptype = 'o' AND refobjid = 'coworking_analytics_keeper'::regrole
           AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1""") == [
               ("pg_namespace",), ("pg_proc",)]


@pytest.mark.parametrize("statement", [
    "SELECT * FROM coworking_analytics_keeper.maintain()", "SELECT coworking_analytics_keeper.fold(1)",
    "SELECT coworking_analytics_keeper.inspect()", "SELECT coworking_analytics_keeper.start_rebuild()",
    "SELECT coworking_analytics_keeper.lock_rollups()", "LOCK TABLE coworking_analytics.rollup_state IN ROW SHARE MODE",
    "SELECT * FROM coworking_analytics.rollup_state FOR UPDATE", "DELETE FROM coworking_analytics.daily_tokens",
    "INSERT INTO coworking_analytics.inspections DEFAULT VALUES", "SELECT nextval('coworking_analytics.noted_to')",
    "SELECT setval('coworking_analytics.noted_to', 1)", "SELECT first_name FROM users", "SELECT token FROM tokens",
    "CREATE TABLE coworking_analytics.mine (a int)"])
def test_a_worker_s_role_can_only_read(server, statement):
    """When the logger has a role of its own."""
    database = server.create_database(next(names))
    for role in (worker := f"worker_{database.name}", logger := f"logger_{database.name}"):
        database.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
    database.user = database.password = worker
    migrate(database, LOGGER_USERNAME=logger, LOGGER_PASSWORD=logger)
    with database.connect(user=worker, password=worker) as connection:
        assert connection.execute("SELECT * FROM coworking_analytics.days()") == []
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            connection.execute("BEGIN; " + statement)
    with database.connect(user=logger, password=logger) as connection:
        assert connection.execute("SELECT rollups FROM coworking_analytics_keeper.maintain()") == [("on",)]
