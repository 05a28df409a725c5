"""Rollups are exact at every moment, whatever writers do, and after a crash; and they do not disturb writers."""

import itertools
import random
import threading
import time

import psycopg2
import pytest
from fixtures import names
from exactness import REBUILD, Run, check_exact, compare, create_rollups_database, fold_all, known_weights, migrate, rebuild
from law import DAILY_USAGE_QUERY, FUNCTIONS, differences
from postgres import Postgres
from random_writes import CHANGES_OF_TOKENS, COLUMNS, USERS, operation

# Deleting a user deletes its tokens; a new id of a user is passed on to them.
CASCADE = """
ALTER TABLE tokens DROP CONSTRAINT tokens_user_id_fkey;
ALTER TABLE tokens ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE"""

NO_RIGHTS = """
REVOKE ALL ON SCHEMA coworking_analytics FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA coworking_analytics FROM PUBLIC;
GRANT USAGE ON SCHEMA coworking_analytics TO coworking_analytics_reader"""

EVENTS = ["INSERT", "UPDATE", "DELETE"]


@pytest.fixture(scope="module")
def database(server):
    """A database whose rollups no test spoils."""
    return create_rollups_database(server, next(names))


# Random writes


def test_reports_equal_the_law_whatever_is_written_while_postgresql_is_killed():
    server = Postgres()
    try:
        database = create_rollups_database(server, next(names))
        database.execute(CASCADE + ";" + NO_RIGHTS)
        with Run(database) as run:
            for number, happens in enumerate([kill_backend, rebuild, kill_postmaster, rebuild, kill_backend], start=1):
                run.reach(number * 20_000 / 6)
                with run.unsettled(2):
                    happens(database)
            run.reach(20_500)
        rebuild(database)
        assert run.difference is None
        print(f"{run.comparisons} comparisons, {run.folded} folded, {run.rebuilt} rebuilt, done {run.done}, refused {run.refused}")
        assert run.comparisons >= 100 and len(run.sizes) >= 20 and run.folded >= 1000
        assert set(run.done) == set(known_weights(database)), "a kind of operation never succeeded"
        check_exact(database)
        with database.connect(**database.keeper) as connection:
            fold_all(connection)
        check_exact(database)
        assert database.execute("SELECT count(*) FROM coworking_analytics.token_changes") == [(0,)]
    finally:
        server.close()


def kill_backend(database):
    """kill -9 of a writer's server process: PostgreSQL ends all others and recovers."""
    active = f"SELECT pid FROM pg_stat_activity WHERE usename = '{database.writer['user']}' ORDER BY state LIMIT 1"
    database.server.crash_process(database.execute(active)[0][0])


def kill_postmaster(database):
    """kill -9 of the server's first process."""
    database.server.crash()


def test_without_the_trigger_the_run_fails_and_reports_read_tokens(server):
    database = create_rollups_database(server, next(names))
    check_exact(database)
    database.execute("DROP TRIGGER coworking_analytics_change ON tokens")
    with Run(database, writers=2) as run:
        assert "the rollups do not serve" in run.find()
    with database.connect(**database.reader) as connection:
        is_exact, _, different = compare(connection)
        assert (is_exact, different) == (False, None)
    migrate(database)
    check_exact(database)


@pytest.mark.parametrize("event", EVENTS)
def test_a_trigger_that_ignores_an_event_makes_the_run_fail(server, event):
    database = create_rollups_database(server, next(names))
    definition = "SELECT pg_get_functiondef('coworking_analytics_keeper.note_change'::regproc)"
    head, begin, body = database.execute(definition)[0][0].partition("\nBEGIN\n")
    assert begin
    database.execute(f"{head} BEGIN IF TG_OP = '{event}' THEN RETURN NULL; END IF; {body}")
    with Run(database, writers=2) as run:
        assert run.find()


# Nobody reads half a transaction: each of these leaves all answers as they were, so no reader may see a change.

SAME_ROWS = f"INSERT INTO tokens ({COLUMNS}) SELECT {COLUMNS} FROM kept"
STEADY = [
    f"BEGIN; TRUNCATE tokens; {SAME_ROWS}; COMMIT",
    f"BEGIN; TRUNCATE users, tokens; {USERS}; {SAME_ROWS}; COMMIT",
    f"BEGIN ISOLATION LEVEL REPEATABLE READ; {SAME_ROWS}; TRUNCATE tokens; {SAME_ROWS}; COMMIT",
    "BEGIN; TRUNCATE tokens; ROLLBACK",
    f"BEGIN; DELETE FROM tokens; {SAME_ROWS}; COMMIT",
    f"BEGIN; {SAME_ROWS}; {SAME_ROWS}; ROLLBACK",
    "BEGIN; UPDATE tokens SET created_at = created_at + interval '1 day';"
    " UPDATE tokens SET created_at = created_at - interval '1 day'; COMMIT",
    "UPDATE tokens SET user_id = user_id, used_at = used_at, created_at = created_at",
    f"BEGIN; SAVEPOINT s; DELETE FROM tokens; ROLLBACK TO s; {SAME_ROWS}; ROLLBACK TO s; COMMIT",
]


def test_a_report_on_its_own_never_shows_half_a_transaction(server):
    database = create_rollups_database(server, next(names))
    database.execute(f"CREATE TABLE kept AS SELECT {COLUMNS} FROM tokens; GRANT SELECT ON kept TO PUBLIC")
    stopping, wrong = threading.Event(), []
    reads = dict.fromkeys(FUNCTIONS, 0)

    def read(function, statement, expected):
        with database.connect(**database.reader) as connection:
            while not stopping.is_set():
                answer = connection.execute(statement)
                reads[function] += 1
                if answer != expected:
                    wrong.append((function, answer))
                    stopping.set()

    def fold():
        with database.connect(**database.keeper) as connection:
            while not stopping.wait(0.005):
                connection.execute("SELECT coworking_analytics_keeper.fold(1000, 0)")

    threads = [threading.Thread(target=fold, daemon=True)]
    for function in FUNCTIONS:
        statement = f"SELECT * FROM coworking_analytics.{function}() ORDER BY 1"
        expected = database.execute(statement)
        assert len(expected) > 1
        threads.append(threading.Thread(target=read, args=(function, statement, expected), daemon=True))
    deadline = time.monotonic() + 5
    with database.connect(**database.writer) as connection:
        for thread in threads:
            thread.start()
        statements = itertools.cycle(STEADY)
        while not wrong and time.monotonic() < deadline:
            connection.execute(next(statements))
    stopping.set()
    for thread in threads:
        thread.join(30)
    assert wrong == [] and min(reads.values()) > 50
    rebuild(database)
    check_exact(database)


# Rights of writers, and waiting


def test_a_writer_s_search_path_does_not_matter(database):
    """The writer has tables, functions and operators with the names that we use first in its search_path."""
    name = database.writer["user"]
    tables = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'coworking_analytics'")
    database.execute(f"GRANT CREATE, TEMPORARY ON DATABASE {database.name} TO {name}")
    with database.connect(**database.writer) as connection:
        connection.execute(f"CREATE SCHEMA {name}; SET search_path = {name}, pg_temp, public, pg_catalog")
        for table, in tables:
            connection.execute(f"CREATE TEMPORARY TABLE {table} (wrong text)")
        connection.execute("""
            CREATE FUNCTION date_trunc(text, timestamp) RETURNS timestamp LANGUAGE sql AS 'SELECT NULL::timestamp';
            CREATE FUNCTION date(timestamp) RETURNS date LANGUAGE sql AS 'SELECT NULL::date';
            CREATE FUNCTION never(timestamp, timestamp) RETURNS boolean LANGUAGE sql AS 'SELECT false';
            CREATE DOMAIN date AS text; CREATE DOMAIN bigint AS text;
            CREATE DOMAIN pg_temp.int8 AS text; CREATE DOMAIN pg_temp.tid AS text; CREATE DOMAIN pg_temp.regtype AS text;
            CREATE DOMAIN pg_temp.timestamp AS text""")
        for operator in ("<", "<=", ">=", "="):
            connection.execute(f"CREATE OPERATOR {operator}"
                               " (LEFTARG = timestamp, RIGHTARG = timestamp, FUNCTION = never)")
        insert = f"INSERT INTO public.tokens ({COLUMNS}) VALUES (1, 'x', '2024-02-28 10:00', '2024-02-28 10:01')"
        connection.execute(f"{insert}; UPDATE public.tokens SET used_at = created_at;"
                           "DELETE FROM public.tokens WHERE id > 300")
        check_exact(database)
        connection.execute(f"TRUNCATE public.tokens; {insert}")
        rebuild(database)
        check_exact(database)


def test_the_trigger_runs_no_operator_of_a_writer_s(database):
    """The trigger's function runs with the keeper's rights and the writer's search_path."""
    database.execute(f"GRANT CREATE ON DATABASE {database.name} TO {database.writer['user']}")
    with database.connect(**database.writer) as connection:
        connection.execute("""
            CREATE SCHEMA planted;
            GRANT USAGE ON SCHEMA planted TO PUBLIC;
            CREATE TABLE planted.ran (operator text, who name);
            GRANT INSERT ON planted.ran TO PUBLIC;
            SET search_path = planted, pg_catalog;
            DO $do$
            DECLARE
              operator record;
            BEGIN
              FOR operator IN
                SELECT o.oprname AS name, o.oprleft::regtype AS l, o.oprright::regtype AS r, o.oprresult::regtype AS result
                  FROM pg_operator AS o
                 WHERE o.oprname IN ('=', '<>', '<', '<=', '>', '>=', '+', '-', '||')
                   AND o.oprleft::regtype::text || o.oprright::regtype::text !~ 'any|record|unknown'
                   AND o.oprleft <> 0 AND o.oprnamespace = 'pg_catalog'::regnamespace
                   AND o.oprresult IN ('bool'::regtype, 'text'::regtype, 'int8'::regtype)
              LOOP
                EXECUTE format($f$
                  CREATE FUNCTION planted.%4$I(%1$s, %2$s) RETURNS %3$s LANGUAGE plpgsql AS $body$
                  BEGIN
                    INSERT INTO planted.ran VALUES (%4$L, current_user);
                    RETURN NULL;
                  END
                  $body$;
                  CREATE OPERATOR planted.%4$s (LEFTARG = %1$s, RIGHTARG = %2$s, FUNCTION = planted.%4$I)
                $f$, operator.l, operator.r, operator.result, operator.name);
              END LOOP;
            END
            $do$;
            SELECT 1 = 2, 'x'::name <> 'y'""")
        ran = connection.execute("SELECT operator FROM ran ORDER BY 1")
        assert ran == [("<>",), ("=",)]
        connection.execute("DELETE FROM ran WHERE operator OPERATOR(pg_catalog.<>) ''")
        connection.execute(f"""
            INSERT INTO public.tokens ({COLUMNS}) VALUES (1, 'x', '2024-02-28 10:00', '2024-02-28 10:01');
            UPDATE public.tokens SET used_at = created_at;
            DELETE FROM public.tokens WHERE id OPERATOR(pg_catalog.>) 300""")
        assert connection.execute("SELECT operator, who FROM ran ORDER BY 1, 2") == []
        check_exact(database)
        database.execute("ALTER TABLE tokens ALTER COLUMN id TYPE bigint")  # so that the function has to EXECUTE
        connection.execute("UPDATE public.tokens SET used_at = created_at WHERE id OPERATOR(pg_catalog.<) 9")
        assert connection.execute("SELECT operator, who FROM ran ORDER BY 1, 2") == []
    rebuild(database)
    check_exact(database)


# {n} makes each statement write a token of its own, with the same user, day and hour.
SIDE_BY_SIDE = [
    f"INSERT INTO tokens ({COLUMNS}) VALUES (3, 'x', '2024-02-28 10:0{{n}}', '2024-02-28 10:10')",
    "UPDATE tokens SET created_at = '2024-02-28 10:0{n}', used_at = '2024-02-28 10:10' WHERE id = 900{n}",
    "DELETE FROM tokens WHERE id = 900{n}",
]


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
@pytest.mark.parametrize("first", range(3))
@pytest.mark.parametrize("second", range(3))
def test_writers_do_not_wait_for_each_other(database, first, second, isolation):
    database.execute(f"DELETE FROM tokens WHERE user_id = 3; INSERT INTO tokens (id, {COLUMNS}) VALUES"
                     " (9001, 3, 'x', '2024-02-28 10:30', NULL), (9002, 3, 'x', '2024-02-28 10:31', NULL)")
    with database.connect(**database.writer) as one, database.connect(**database.writer) as two:
        one.execute(f"BEGIN ISOLATION LEVEL {isolation}")
        one.execute(SIDE_BY_SIDE[first].format(n=1))
        two.execute(f"SET lock_timeout = '500ms'; BEGIN ISOLATION LEVEL {isolation}")
        two.execute(SIDE_BY_SIDE[second].format(n=2))
        check_exact(database)
        two.execute("COMMIT")
        one.execute("COMMIT")
    check_exact(database)


@pytest.mark.parametrize("statement", SIDE_BY_SIDE)
def test_writers_and_folders_do_not_wait_for_each_other(database, statement):
    with database.connect(**database.writer) as writer, database.connect(**database.keeper) as folder:
        writer.execute("INSERT INTO tokens (user_id, token, created_at) SELECT 3, 'x', timestamp '2024-02-28'"
                       " + n * interval '1 h' FROM generate_series(1, 100) AS n")
        fold_all(folder)
        writer.execute("UPDATE tokens SET used_at = created_at WHERE user_id = 3")
        for connection in (writer, folder):
            connection.execute("SET lock_timeout = '500ms'")
        folder.execute("BEGIN")
        assert folder.execute("SELECT coworking_analytics_keeper.fold(10, 0)") == [(10,)]
        writer.execute("BEGIN; " + statement.format(n=1))
        folder.execute("COMMIT")
        assert folder.execute("SELECT coworking_analytics_keeper.fold(10, 0)") == [(10,)]
        check_exact(database)
        writer.execute("COMMIT")
    check_exact(database)


@pytest.mark.parametrize("statement", ["TRUNCATE tokens", "LOCK TABLE tokens"])
def test_a_fold_does_not_wait_for_an_exclusive_lock(database, statement):
    with database.connect(**database.writer) as writer, database.connect(**database.keeper) as folder:
        writer.execute("DELETE FROM tokens WHERE user_id = 3")
        writer.execute("BEGIN; " + statement)
        began = time.monotonic()
        assert folder.execute("SELECT coworking_analytics_keeper.fold(10, 0)") == [(0,)]
        assert time.monotonic() - began < 2
        writer.execute("COMMIT")
    if "TRUNCATE" in statement:
        rebuild(database)
    check_exact(database)


def fold_state(database):
    """The ids up to which tokens are folded, and up to which writers note what they change."""
    return database.execute("SELECT folded_to, last_value FROM coworking_analytics.rollup_state, coworking_analytics.noted_to")[0]


HUNDRED = "INSERT INTO tokens (user_id, token) SELECT 5, 'x' FROM generate_series(1, 100)"


@pytest.mark.parametrize("statement", [HUNDRED, "UPDATE tokens SET used_at = now() WHERE user_id = 5",
                                       "DELETE FROM tokens WHERE user_id = 5"])
@pytest.mark.parametrize("begin", ["BEGIN; COMMIT", "BEGIN; SELECT pg_current_xact_id()"])
def test_a_fold_does_not_pass_a_transaction_that_wrote_before_it(server, begin, statement):
    """Also when the fold runs in a transaction that is even older."""
    database = create_rollups_database(server, next(names))
    with database.connect(**database.writer) as writer, database.connect(**database.keeper) as folder:
        folder.execute(begin)
        for committed in (HUNDRED, HUNDRED, f"BEGIN; {statement}"):
            writer.execute(committed)
        database.execute(HUNDRED)
        before = fold_state(database)
        for _ in range(5):
            assert folder.execute("SELECT coworking_analytics_keeper.fold(10000, 0)")[0][0] <= 200
            check_exact(database)
        assert fold_state(database)[0] == before[0] and fold_state(database)[1] > before[1]
        database.execute(statement if statement == HUNDRED else HUNDRED)
        check_exact(database)
        folder.execute("COMMIT")
        writer.execute("COMMIT")
        check_exact(database)
        fold_all(folder)
        assert fold_state(database)[0] != before[0]
    check_exact(database)


@pytest.mark.parametrize("statement", [HUNDRED, "UPDATE tokens SET used_at = now() WHERE user_id = 5",
                                       "DELETE FROM tokens WHERE user_id = 5", "UPDATE tokens SET id = -id WHERE user_id = 5"])
def test_reports_are_exact_when_a_rebuild_ends_at_a_lower_id(server, statement):
    """The newest tokens were deleted. Before and after the rebuild commits, writers note every change."""
    database = create_rollups_database(server, next(names))
    with database.connect(**database.writer) as writer, database.connect(**database.keeper) as keeper:
        for _ in range(20):
            writer.execute(HUNDRED)
        fold_all(keeper)
        database.execute("DELETE FROM tokens WHERE id > 1200; SELECT setval('tokens_id_seq', 1200)")
        before = fold_state(database)
        for end in ("ROLLBACK", "COMMIT"):
            keeper.execute("BEGIN; " + REBUILD)
            for _ in range(3):
                keeper.execute("SELECT coworking_analytics_keeper.fold(0)")
            writer.execute(statement)
            check_exact(database)
            assert fold_state(database) == before
            keeper.execute(end)
            check_exact(database)
        assert fold_state(database)[0] < before[0]
        for _ in range(3):
            keeper.execute("SELECT coworking_analytics_keeper.fold(0)")
        assert fold_state(database)[1] < before[1]
        writer.execute(HUNDRED)
        check_exact(database)


def test_reports_are_exact_after_two_folds_that_are_rolled_back(server):
    """The second one sets the sequence back to its value before the first, and a transaction wrote in between."""
    database = create_rollups_database(server, next(names))
    with database.connect(**database.writer) as writer, database.connect(**database.keeper) as folder:
        folder.execute("SELECT coworking_analytics_keeper.fold(0, 0)")
        for _ in range(4):
            writer.execute(HUNDRED)
        for _ in range(2):
            folder.execute("SELECT coworking_analytics_keeper.fold(0, 0)")  # raises noted_to, then stores noted_since
        for kept_back in (400, 0):
            folder.execute("BEGIN")
            folder.execute("SELECT coworking_analytics_keeper.fold(0, %s)", (kept_back,))
            folder.execute("ROLLBACK")
            writer.execute("BEGIN; UPDATE tokens SET user_id = 7 WHERE id > 1000" if kept_back else "SELECT 1")
        folder.execute("SELECT coworking_analytics_keeper.fold(1000, 0)")
        writer.execute("COMMIT")
        check_exact(database)
        fold_all(folder)
    check_exact(database)


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("statement", ["SELECT coworking_analytics_keeper.fold(0, 100)",
                                       "SELECT coworking_analytics_keeper.start_rebuild()"])
def test_upkeep_needs_read_committed(database, statement, isolation):
    """An older snapshot could set the sequence back, which a rollback does not undo."""
    with database.connect() as connection:
        connection.execute(f"BEGIN ISOLATION LEVEL {isolation}")
        with pytest.raises(psycopg2.errors.RaiseException, match="READ COMMITTED"):
            connection.execute(statement)


@pytest.mark.parametrize("column, plain", [("id", "bigint"), ("user_id", "bigint"), ("created_at", "timestamp"),
                                           ("used_at", "timestamp")])
def test_a_column_s_type_runs_no_code_with_our_rights(server, column, plain):
    """The owner of tokens may create types and casts. Their code never runs with our rights."""
    database = create_rollups_database(server, next(names))
    name = database.writer["user"]
    database.execute(f"GRANT CREATE ON SCHEMA public TO {name}; ALTER TABLE tokens OWNER TO {name};"
                     "CREATE TABLE ran_as (role name); GRANT ALL ON ran_as TO PUBLIC")
    with database.connect(**database.writer) as owner:
        owner.execute(f"""
            CREATE TYPE wrapped AS (inside {plain});
            CREATE FUNCTION unwrap(wrapped) RETURNS {plain} LANGUAGE plpgsql AS
              'BEGIN INSERT INTO public.ran_as VALUES (current_user); RETURN ($1).inside; END';
            CREATE CAST (wrapped AS {plain}) WITH FUNCTION unwrap(wrapped) AS IMPLICIT;
            ALTER TABLE tokens DROP CONSTRAINT tokens_user_id_fkey, DROP CONSTRAINT tokens_pkey;
            DROP INDEX tokens_user_id_token_used_at_idx;
            ALTER TABLE tokens ALTER {column} DROP DEFAULT, ALTER {column} TYPE wrapped USING ROW({column})""")
    with database.connect(**database.writer) as writer:  # a session without cached plans
        writer.execute("UPDATE tokens SET token = 'y'; DELETE FROM tokens WHERE token = 'y'")
    assert database.execute("SELECT DISTINCT role FROM ran_as WHERE role <> %s", (name,)) == []


@pytest.mark.parametrize("kept_back", [0, 100])
def test_reports_are_exact_after_a_fold_that_is_rolled_back(server, kept_back):
    """A rollback does not undo what it did to the sequence."""
    database = create_rollups_database(server, next(names))
    with database.connect(**database.writer) as writer, database.connect(**database.keeper) as folder:
        writer.execute(f"{HUNDRED}; {HUNDRED}; {HUNDRED}; {HUNDRED}")
        if kept_back:  # clears noted_since, so that the next fold may lower the sequence
            for number in (0, 0, 0, kept_back):
                folder.execute("SELECT coworking_analytics_keeper.fold(0, %s)", (number,))
        folder.execute("BEGIN")
        folder.execute("SELECT coworking_analytics_keeper.fold(0, %s)", (kept_back,))
        folder.execute("ROLLBACK")
        table, sequence = database.execute("SELECT s.noted_to, n.last_value"
                                           "  FROM coworking_analytics.rollup_state AS s, coworking_analytics.noted_to AS n")[0]
        assert table > sequence if kept_back else table < sequence
        writer.execute(f"{HUNDRED}; {HUNDRED}; {HUNDRED}; {HUNDRED}; BEGIN; UPDATE tokens SET used_at = now()")
        for _ in range(5):
            folder.execute("SELECT coworking_analytics_keeper.fold(10000, 0)")
            check_exact(database)
        writer.execute("COMMIT")
        check_exact(database)
        fold_all(folder)
        check_exact(database)
        writer.execute("UPDATE tokens SET used_at = NULL")
    check_exact(database)


def outcomes(database, seed, rollups):
    """How 80 pairs of serializable transactions end. The statements of each pair are interleaved the same way."""
    source, found = random.Random(seed), []
    with database.connect(**database.writer) as one, database.connect(**database.writer) as two, \
            database.connect(**database.keeper) as folder:
        for connection in (one, two):
            connection.execute("SET enable_seqscan = off; SET lock_timeout = '50ms'")
        for _ in range(80):
            statements = [operation(source, CHANGES_OF_TOKENS)[1] for _ in range(4)]
            statements = ["BEGIN ISOLATION LEVEL SERIALIZABLE"] * 2 + statements + ["COMMIT"] * 2
            for connection, statement in zip([one, two] * 4, statements):
                try:
                    connection.execute(statement)
                    found.append("ok")
                except psycopg2.Error as error:
                    found.append(error.pgcode)
                # Reading an index marks entries of dead rows, which changes the pages that serializable transactions
                # lock. So a session also reads the index when there are no rollups.
                folder.execute("SELECT coworking_analytics_keeper.fold(5, 0)" if rollups == "on" else
                               "SELECT id FROM tokens ORDER BY id DESC LIMIT 1")
    return found


def test_serializable_transactions_that_commit_without_us_commit_with_us(server):
    databases = {rollups: create_rollups_database(server, next(names)) for rollups in ("off", "on")}
    for rollups, database in databases.items():
        migrate(database, ROLLUPS=rollups)
        database.execute(f"""
            ALTER TABLE tokens SET (autovacuum_enabled = false);
            INSERT INTO tokens ({COLUMNS}) SELECT n % 30 + 1, 'x', timestamp '2020-01-01' + n * interval '1 h', NULL
              FROM generate_series(1, 4000) AS n; ANALYZE tokens""")
    found = {rollups: outcomes(database, 4, rollups) for rollups, database in databases.items()}
    assert found["on"] == found["off"]
    assert found["off"][6::8].count("ok") > 30 and "40001" in found["off"]
    check_exact(databases["on"])


EXTREMES = ["294276-12-31 23:59:59.999999", "4714-11-24 00:00:00 BC", "infinity", "-infinity"]


@pytest.mark.parametrize("created_at", EXTREMES)
@pytest.mark.parametrize("used_at", [None, *EXTREMES])
def test_no_timestamp_makes_a_write_fail(database, created_at, used_at):
    """A report may fail where the plain query does, as for 60 minutes after the last timestamp."""
    with database.connect(**database.writer) as writer, database.connect(**database.reader) as reader:
        writer.execute(f"INSERT INTO tokens ({COLUMNS}) VALUES (1, 'x', %s, %s)", (created_at, used_at))
        writer.execute("UPDATE tokens SET user_id = 2, used_at = used_at WHERE created_at = %s", (created_at,))
        for function in ("hours", "user_tokens"):
            assert reader.execute(differences(function)) == []
        used = "SELECT date::text, used FROM coworking_analytics.days() WHERE used > 0 ORDER BY days.date"
        assert reader.execute(used) == reader.execute(f"SELECT date::text, visits FROM ({DAILY_USAGE_QUERY}) AS law")
        writer.execute("DELETE FROM tokens WHERE created_at = %s", (created_at,))
    check_exact(database)
