"""Upkeep of the rollups: folding, the comparison with tokens and its repair, and the migration of large tables."""

import concurrent.futures
import os
import signal
import subprocess
import threading
import time

import psycopg2
import pytest
from fixtures import names
from exactness import (REBUILD, Paced, Run, check_exact, compare, create_rollups_database, fold_all, load_tokens, migrate,
                       rebuild)
from law import FUNCTIONS
from postgres import PASSWORD, ROOT, wait_until
from random_writes import CHANGES_OF_TOKENS

ROWS = int(os.environ.get("TEST_ROLLUP_ROWS") or 1_000_000)
INSERT = "INSERT INTO tokens (user_id, token, used_at) VALUES (1, 'x', now())"
UPDATE = "UPDATE tokens SET used_at = now() WHERE id = (SELECT max(id) FROM tokens)"
RECENT_DAYS = "SELECT date, used FROM coworking_analytics.days() ORDER BY 1 DESC LIMIT 31"


@pytest.fixture(scope="module")
def database(server):
    """A database with a few tokens."""
    return create_rollups_database(server, next(names))


# Folding


def test_a_fold_keeps_to_its_limit(database):
    with database.connect(**database.keeper) as connection:
        fold_all(connection)
        for _ in range(25):
            database.execute(INSERT)
        assert connection.execute("SELECT coworking_analytics_keeper.fold(0, 0)") == [(0,)]
        folded = [connection.execute("SELECT coworking_analytics_keeper.fold(10, 0)")[0][0] for _ in range(10)]
        assert [count for count in folded if count] == [10, 10, 5]  # 0 in the calls that set noted_to and noted_since
    check_exact(database)


def test_a_second_fold_at_the_same_time_does_nothing(database):
    with database.connect(**database.keeper) as one, database.connect(**database.keeper) as two:
        database.execute("DELETE FROM tokens WHERE user_id = 2")
        two.execute("SET lock_timeout = '500ms'")
        one.execute("BEGIN")
        assert one.execute("SELECT coworking_analytics_keeper.fold(1, 0) > 0") == [(True,)]
        assert two.execute("SELECT coworking_analytics_keeper.fold(1, 0)") == [(0,)]
        check_exact(database)
        one.execute("ROLLBACK")
        check_exact(database)
        assert two.execute("SELECT coworking_analytics_keeper.fold(1, 0) > 0") == [(True,)]
    check_exact(database)


HOURS = """
INSERT INTO tokens (user_id, token, created_at, used_at)
SELECT {}, 'x', at, at + interval '7 min' FROM generate_series(timestamp '2021-01-01', '2023-11-10', interval '1 h') AS at"""
BACKLOGS = {
    "tokens": [HOURS.format(user) for user in range(1, 41)],
    "changes": [*(HOURS.format(user) for user in range(1, 21)), REBUILD,
                *(f"UPDATE tokens SET used_at = NULL WHERE user_id = {user}" for user in range(1, 21))],
}


@pytest.mark.parametrize("backlog", BACKLOGS)
def test_folding_a_backlog_of_a_million_delays_nobody(server, backlog):
    database = create_rollups_database(server, next(names))
    database.execute("ALTER TABLE tokens DROP CONSTRAINT tokens_user_id_fkey")  # checking it a million times is slow
    with database.connect(**database.keeper) as folder:
        for statement in BACKLOGS[backlog]:
            database.execute(statement)
            if statement == REBUILD:
                fold_all(folder, 1_000_000)
    comparisons, ended = [], threading.Event()

    def keep_comparing():
        with database.connect(**database.reader) as connection:
            while not ended.is_set():
                comparisons.append(compare(connection)[::2])

    with (Paced(database, database.writer, INSERT) as writer,
          Paced(database, database.reader, RECENT_DAYS) as reader,
          database.connect(**database.keeper) as folder, concurrent.futures.ThreadPoolExecutor(1) as pool):
        comparer = pool.submit(keep_comparing)
        began = time.monotonic()
        folded = number = 0
        while folded < 990_000 and number < 1_000:
            count = folder.execute("SELECT coworking_analytics_keeper.fold(10000)")[0][0]
            assert 0 <= count <= 10_000
            folded, number = folded + count, number + 1
        seconds = time.monotonic() - began
        ended.set()
        comparer.result(60)
    print(f"{folded} {backlog} in {number} folds, {seconds:.1f} s; {len(comparisons)} comparisons")
    assert folded >= 990_000 and set(comparisons) == {(True, None)}
    writer.check(seconds=1)
    reader.check(seconds=5)
    check_exact(database)


def test_a_dump_with_higher_transaction_ids_can_be_folded(server):
    database = create_rollups_database(server, next(names))
    database.execute("UPDATE coworking_analytics.rollup_state SET noted_since = '1000000000000'")
    rebuild(database)
    before = database.execute("SELECT folded_to FROM coworking_analytics.rollup_state")
    database.execute("INSERT INTO tokens (user_id, token) SELECT 5, 'x' FROM generate_series(1, 1000)")
    with database.connect(**database.keeper) as connection:
        assert fold_all(connection) >= 1000
    assert database.execute("SELECT folded_to FROM coworking_analytics.rollup_state") != before
    check_exact(database)


def test_a_dump_without_our_rows(server):
    """Without a value in the sequence writers note everything, and a rebuild restores the rows."""
    database = create_rollups_database(server, next(names))
    database.execute("""
        INSERT INTO tokens (user_id, token) SELECT 9, 'x' FROM generate_series(1, 2000);
        TRUNCATE coworking_analytics.rollup_state, coworking_analytics.token_changes, coworking_analytics.daily_tokens,
                 coworking_analytics.hourly_visits, coworking_analytics.user_tokens;
        ALTER SEQUENCE coworking_analytics.noted_to RESTART""")
    with database.connect(**database.writer) as writer, database.connect(**database.keeper) as keeper:
        writer.execute("BEGIN; DELETE FROM tokens WHERE user_id = 5")
        rebuild(database)
        writer.execute("INSERT INTO tokens (user_id, token) SELECT 5, 'x' FROM generate_series(1, 1000)")
        check_exact(database)
        writer.execute("COMMIT; DELETE FROM tokens WHERE user_id = 6")
        check_exact(database)
        fold_all(keeper)
        writer.execute("DELETE FROM tokens WHERE user_id = 7")
        check_exact(database)


# The comparison and its repair

LOAD = "COPY tokens (id, user_id, token, created_at, used_at) FROM PROGRAM 'seq -f \"-%g\t5\tx\t2024-02-28\t2024-02-29\" 1 30'"
AS_A_REPLICA = {
    "load": LOAD,
    "delete": "DELETE FROM tokens WHERE user_id = 7",
    "update of used_at": "UPDATE tokens SET used_at = NULL WHERE user_id IN (3, 4)",
    "update of user_id": "UPDATE tokens SET user_id = 9 WHERE user_id IN (3, 4)",
}
PAST_THE_TRIGGER = {
    "triggers off and on": ["DISABLE TRIGGER USER", "ENABLE TRIGGER USER"],
    "the trigger off and on": ["DISABLE TRIGGER coworking_analytics_change", "ENABLE ALWAYS TRIGGER coworking_analytics_change"],
    "all triggers off and on": ["DISABLE TRIGGER ALL", "ENABLE TRIGGER ALL"],
    "the trigger not for replicas": ["ENABLE TRIGGER coworking_analytics_change", "ENABLE TRIGGER coworking_analytics_change"],
}


@pytest.mark.parametrize("write", AS_A_REPLICA)
def test_writes_as_a_replica_count_at_once(server, write):
    database = create_rollups_database(server, next(names))
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(AS_A_REPLICA[write])
    check_exact(database)


@pytest.mark.parametrize("bypass", PAST_THE_TRIGGER)
def test_reports_read_tokens_after_the_trigger_was_off(server, bypass):
    """Until a rebuild. Where the trigger is no longer enabled ALWAYS, that takes a migration."""
    database = create_rollups_database(server, next(names))
    off, on = PAST_THE_TRIGGER[bypass]
    for statement in (f"ALTER TABLE tokens {off}", LOAD, f"ALTER TABLE tokens {on}"):
        database.execute(statement)
    with database.connect(**database.reader) as connection:
        assert compare(connection)[::2] == (False, None)
        connection.execute("SELECT * FROM coworking_analytics_keeper.maintain(true)")
        assert compare(connection)[2] is None
    migrate(database)
    check_exact(database)


def maintain(connection, calls=10):
    """Calls maintain() until nothing is left to do; returns rollups and drift of each call."""
    answers = []
    while not answers or answers[-1][2] != "nothing" and len(answers) < calls:
        answers += connection.execute("SELECT rollups, drift, next FROM coworking_analytics_keeper.maintain(true)")
    return [answer[:2] for answer in answers]


WRONG = ["UPDATE coworking_analytics.daily_tokens SET used = used + 1", "DELETE FROM coworking_analytics.user_tokens",
         "INSERT INTO coworking_analytics.hourly_visits VALUES ('2020-01-01', 3)",
         "UPDATE coworking_analytics.rollup_state SET folded_to = folded_to - 10",
         "DELETE FROM coworking_analytics.token_changes"]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_difference_is_found_by_the_daily_comparison_and_repaired_beside_writers(server, wrong):
    database = create_rollups_database(server, next(names))
    with database.connect(**database.keeper) as keeper:
        for _ in range(5):
            keeper.execute("SELECT coworking_analytics_keeper.fold(1000, 0)")
    database.execute("UPDATE tokens SET used_at = NULL WHERE user_id = 3")
    database.execute(wrong)
    database.execute("UPDATE coworking_analytics.inspections SET started_at = started_at - interval '25 hours'")
    with database.connect(**database.reader) as logger:
        assert len(logger.execute("SELECT * FROM coworking_analytics.check()")) > 0
        with (Run(database, weights=CHANGES_OF_TOKENS, writers=3, folders=0, comparers=0) as run,
              Paced(database, database.writer, INSERT) as writer):
            run.reach(200)
            found = maintain(logger)
            run.reach(run.operations + 200)
        assert run.difference is None and ("rebuilding" in found[-2][0] or found[-1][1] > 0)
        assert maintain(logger)[-1][0] == "on"
    writer.check(seconds=1)
    check_exact(database)


def test_one_of_many_callers_rebuilds_and_the_others_say_so(big):
    """They do not wait for each other."""
    big.execute("VACUUM FULL tokens")
    with big.connect(**big.reader) as other, big.connect(**big.reader) as logger, concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert maintain(other, calls=1)[0][0] == "rebuilding"
        rebuild_step = pool.submit(maintain, logger, calls=1000)
        seen = []
        while not rebuild_step.done():
            began = time.monotonic()
            seen.append(other.execute("SELECT rollups, folded FROM coworking_analytics_keeper.maintain()")[0])
            assert time.monotonic() - began < 2
            time.sleep(0.05)
        assert rebuild_step.result()[-1][0] == "on"
    assert ("rebuilding", 0) in seen
    check_exact(big)


def test_token_changes_gives_its_space_back(server):
    """After many changes of old tokens, without delaying writers."""
    database = create_rollups_database(server, next(names))
    load_tokens(database, 300_000)
    with database.connect(**database.keeper) as keeper:
        fold_all(keeper, 1_000_000)
        with Paced(database, database.writer, INSERT) as writer:
            database.execute("UPDATE tokens SET used_at = created_at WHERE user_id > 100")
            size = "SELECT pg_relation_size('coworking_analytics.token_changes')"
            grown = database.execute(size)[0][0]
            fold_all(keeper, 1_000_000)
            wait_until(lambda: database.execute(size)[0][0] < grown / 10, 180, "the space of token_changes")
        writer.check(seconds=1)
    check_exact(database)


def test_a_rebuild_of_a_large_table_delays_nobody(big):
    big.execute("SET session_replication_role = replica; UPDATE tokens SET used_at = created_at WHERE user_id = 100")
    with (Paced(big, big.writer, INSERT) as writer,
          Paced(big, big.reader, RECENT_DAYS) as reader):
        rebuild(big)
        big.execute("SELECT * FROM coworking_analytics.check()")
    writer.check(seconds=1)
    reader.check(seconds=5)
    check_exact(big)


# The migration of a large table

ALL_ROWS = """
SELECT (SELECT md5(string_agg(md5(t::text), '' ORDER BY id)) FROM tokens AS t),
       (SELECT md5(string_agg(md5(u::text), '' ORDER BY id)) FROM users AS u),
       (SELECT array_agg(c.relname || c.oid || c.relfilenode ORDER BY c.relname) FROM pg_class AS c
         WHERE c.relnamespace = 'public'::regnamespace)"""
TRIGGERS = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'tokens'::regclass AND NOT tgisinternal ORDER BY 1"


@pytest.fixture(scope="module", name="big")
def create_big(server):
    """A database with many tokens, with rollups."""
    database = create_rollups_database(server, next(names))
    migrate(database, ROLLUPS="off")
    load_tokens(database, ROWS)
    migrate(database)
    return database


@pytest.fixture(scope="module")
def fragile(own_server):
    """A database with fewer tokens, on a server that tests may crash, and how long its migration takes."""
    database = create_rollups_database(own_server, next(names))
    migrate(database, ROLLUPS="off")
    load_tokens(database, ROWS // 5)
    began = time.monotonic()
    migrate(database)
    database.migration_seconds = time.monotonic() - began
    return database


def answers(database):
    """The rows of all functions."""
    with database.connect(**database.reader) as connection:
        return {function: connection.execute(f"SELECT a::text FROM coworking_analytics.{function}() AS a ORDER BY 1")
                for function in FUNCTIONS}


def test_without_rollups_nothing_of_ours_is_on_the_tables(fragile):
    check_exact(fragile)
    before, rows = answers(fragile), fragile.execute(ALL_ROWS)
    assert len(fragile.execute(TRIGGERS)) == 1
    for _ in range(2):
        migrate(fragile, ROLLUPS="off")
        assert fragile.execute(TRIGGERS) == []
        for table in ("rollup_state", "token_changes", "daily_tokens", "hourly_visits", "user_tokens"):
            assert fragile.execute(f"SELECT * FROM coworking_analytics.{table}") == []
        assert fragile.execute(ALL_ROWS) == rows
        assert answers(fragile) == before
        assert fragile.execute("SELECT coworking_analytics.uses_rollups()") == [(False,)]
    for _ in range(2):
        migrate(fragile, ROLLUPS="on")
        assert fragile.execute(ALL_ROWS) == rows
        check_exact(fragile)


def test_the_migration_delays_no_writer(big):
    """Also while it waits for a transaction that has written to the table for two seconds."""
    migrate(big, ROLLUPS="off")
    with (Paced(big, big.writer, INSERT) as inserts, concurrent.futures.ThreadPoolExecutor(1) as pool,
          Paced(big, big.writer, UPDATE) as updates,
          big.connect(**big.writer) as holder):
        holder.execute("BEGIN; " + INSERT)
        began = time.monotonic()
        migration = pool.submit(migrate, big)
        time.sleep(2)
        holder.execute("COMMIT")
        migration.result(120)
        print(f"migration of {ROWS} rows, behind a transaction of 2 s: {time.monotonic() - began:.1f} s")
    inserts.check(seconds=1)
    updates.check(seconds=1)
    check_exact(big)
    with Paced(big, big.writer, INSERT) as inserts, big.connect(**big.writer) as holder:
        holder.execute("BEGIN; " + INSERT)
        migration = concurrent.futures.ThreadPoolExecutor(1).submit(migrate, big, ROLLUPS="off")
        time.sleep(2)
        holder.execute("COMMIT")
        migration.result(120)
    inserts.check(seconds=1)
    migrate(big)
    check_exact(big)


def start_migration(database, **environment):
    """Starts a migration."""
    variables = {**os.environ} | database.environment() | {"MIGRATE_USERNAME": "postgres", "MIGRATE_PASSWORD": PASSWORD} | environment
    return subprocess.Popen([ROOT / "build/analytics-fcgi", "--migrate"], cwd=ROOT, env=variables,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_client(_, migration):
    """Kills the client with kill -9."""
    migration.kill()


def interrupt(_, migration):
    """Sends SIGINT, as Ctrl-C does."""
    migration.send_signal(signal.SIGINT)


OF_PSQL = "FROM pg_stat_activity WHERE application_name = 'psql' AND datname = current_database()"


def cancel(database, _):
    """Cancels its statement."""
    database.execute(f"SELECT pg_cancel_backend(pid) {OF_PSQL}")


def terminate(database, _):
    """Terminates its connection."""
    database.execute(f"SELECT pg_terminate_backend(pid) {OF_PSQL}")


def crash(database, _):
    """Kills the server, which recovers."""
    database.server.crash()


@pytest.mark.parametrize("moment", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("interruption", [kill_client, interrupt, cancel, terminate, crash])
def test_a_migration_that_is_interrupted_runs_again(fragile, interruption, moment):
    migrate(fragile, ROLLUPS="off")
    migration = start_migration(fragile)
    time.sleep(moment * fragile.migration_seconds)
    interruption(fragile, migration)
    migration.wait(60)
    with fragile.connect(**fragile.writer) as writer:
        writer.execute(INSERT + ";" + INSERT)
        writer.execute("DELETE FROM tokens WHERE id = (SELECT max(id) FROM tokens)")
    with fragile.connect(**fragile.reader) as connection:
        try:
            assert compare(connection)[2] is None
        except psycopg2.errors.UndefinedFunction:
            pass  # the functions had not been created yet
    migrate(fragile)
    check_exact(fragile)
