"""Keeps comparing each report with the law while others write, fold, rebuild and break things."""

import contextlib
import io
import os
import random
import threading
import time
from collections import Counter

import psycopg2
import psycopg2.errors
from background import Background
from law import FUNCTIONS, differences
from postgres import PASSWORD, wait_until
from random_writes import COLUMNS, USERS, WEIGHTS, scripts

SEED = os.environ.get("TEST_SEED") or str(random.randrange(10**9))

# One statement, hence one snapshot for both sides of all reports. Naming the table itself takes its lock before the
# snapshot, without which even a plain query sees an empty table where another transaction has just truncated it.
COMPARISON = f"""
SELECT coworking_analytics.uses_rollups(),
       (SELECT count(*) FROM public.tokens),
       (SELECT string_agg(concat_ws(' ', function, line, missing), '; ' ORDER BY function, line)
          FROM ({" UNION ALL ".join(map(differences, FUNCTIONS))}) AS d)"""

# What transactions that meet may do to each other with or without us; and what random values make impossible.
ORDINARY = {"40001", "40P01", "23505", "23503", "22008", "25P02", "3B001"}
SET_ASIDE_SECONDS = 5  # how long reports may read tokens after a TRUNCATE, until somebody has rebuilt
CONNECTION_LOST = {None, "57P01", "57P02", "57P03", "08006", "08001", "08003"}


def create_login(database, name, rights=""):
    """A login role of the name, which is also its password."""
    database.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'; {rights}")
    return {"user": name, "password": name}


def create_coworking_database(server, name):
    """A database with the coworking service's roles, and nothing of ours; a writer has rights on the two tables alone."""
    database = server.create_database(name)
    database.reader = create_login(database, f"{name}_reader", f"ALTER ROLE {name}_reader SET jit = off")  # as our sessions
    database.user, database.password = database.reader["user"], database.reader["password"]
    database.writer = create_login(database, f"{name}_writer", f"""
        GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON users, tokens TO {name}_writer;
        GRANT USAGE ON SEQUENCE users_id_seq, tokens_id_seq TO {name}_writer;
        ALTER ROLE {name}_writer SET deadlock_timeout = '20ms'""")
    # Who keeps the rollups; no login role has this one's rights, so a superuser takes them on.
    database.keeper = {"options": "-c role=coworking_analytics_keeper"}
    return database


def create_rollups_database(server, name):
    """The same with users and a few tokens, prepared for a reader, and all folded."""
    database = create_coworking_database(server, name)
    database.execute(f"""
        {USERS};
        INSERT INTO tokens ({COLUMNS})
        SELECT n % 30 + 1, 'x', at, at + n * interval '6 s'
          FROM (SELECT n, timestamp '2024-02-28' + n * interval '7 min' FROM generate_series(1, 400) AS n) AS t (n, at);
        SELECT setval('tokens_id_seq', 1000)""")
    migrate(database)
    with database.connect(**database.keeper) as connection:
        fold_all(connection)  # what the logger does not do for so few
    return database


def migrate(database, **environment):
    """Does what `make migrate` does, as a role that may."""
    migration = database.migrate(MIGRATE_USERNAME="postgres", MIGRATE_PASSWORD=PASSWORD, **environment)
    assert migration.returncode == 0, migration.stderr


def known_weights(database):
    """The operations that the server knows: MERGE came with PostgreSQL 15."""
    with database.connect() as connection:
        version = connection.raw.server_version
    return {kind: weight for kind, weight in WEIGHTS.items() if version >= 150000 or not kind.startswith("merge")}


def load_tokens(database, count, users=1000):
    """So many tokens over 1,000 days, half of them used, written past all triggers."""
    database.execute(f"""
        SET session_replication_role = replica;
        INSERT INTO users (id, first_name, last_name, joined_at)
        SELECT n, 'A', 'B', timestamp '2023-01-01' + n * interval '1.5 s' FROM generate_series(100, 99 + {users}) AS n;
        INSERT INTO tokens (user_id, token, created_at, used_at)
        SELECT 100 + n % {users}, 'x', at, CASE WHEN n % 2 = 0 THEN at + n % 100 * interval '1 min' END
          FROM (SELECT n, timestamp '2021-01-01' + n * interval '1000 days' / {count}
                  FROM generate_series(1, {count}) AS n) AS t (n, at)""")


def compare(connection):
    """Whether the rollups serve, how many tokens there are, and what differs (None when nothing does)."""
    return connection.execute(COMPARISON)[0]


def check_exact(database):
    """Now: reports equal the law, from rollups, and the self-check finds nothing."""
    with database.connect(**database.reader) as connection:
        is_exact, _, different = compare(connection)
        assert (different, is_exact) == (None, True)
        assert connection.execute("SELECT * FROM coworking_analytics.check()") == []


# What maintain() does, in one transaction: fails where another session keeps the rollups.
REBUILD = """LOCK TABLE coworking_analytics.rollup_state IN SHARE UPDATE EXCLUSIVE MODE;
             SELECT coworking_analytics_keeper.start_rebuild();
             SELECT coworking_analytics_keeper.go_on_rebuilding(1000000000)"""


def rebuild(database):
    """What the logger does when a TRUNCATE has set the rollups aside."""
    with database.connect(**database.keeper) as connection:
        connection.execute(REBUILD)


def fold_some(connection, most):
    """Folds at most that many; None where a lock stood in the way, as that of an autovacuum that truncates a table."""
    try:
        return connection.execute("SELECT coworking_analytics_keeper.fold(%s, 0)", (most,))[0][0]
    except psycopg2.errors.LockNotAvailable:
        return None


def fold_all(connection, most=10_000):
    """Folds until nothing is left to fold; returns how many changes and tokens that were. Tries again, as loggers do."""
    folded = idle = 0
    deadline = time.monotonic() + 120
    while idle < 3:  # one that looks how far it may go, one that learns who does not know yet, one that finds nothing
        count = fold_some(connection, most)
        if count is None:
            assert time.monotonic() < deadline, "a lock stays in the way of folding"
            continue
        assert 0 <= count <= most
        idle = 0 if count else idle + 1
        folded += count
    return folded


class Paced(Background):
    """Runs a statement every few milliseconds from `with` to its end, and keeps how long each one took, in seconds."""

    def __init__(self, database, login, statement, pause=0.005):
        super().__init__((self._repeat,), patience=60)
        self.connection = database.connect(**login)
        self.statement = statement
        self.pause = pause
        self.seconds, self.errors = [], []

    def __enter__(self):
        super().__enter__()
        wait_until(lambda: self.seconds or self.errors, 30, "a first statement")
        return self

    def __exit__(self, *_):
        super().__exit__()
        self.connection.close()

    def _repeat(self):
        while not self.stopping.wait(self.pause):
            began = time.monotonic()
            try:
                self.connection.execute(self.statement)
            except psycopg2.Error as error:
                self.errors.append(str(error))
                self.stopping.set()
            self.seconds.append(time.monotonic() - began)

    def check(self, seconds):
        """Fails when one failed or took longer than so many seconds; says what the longest took."""
        print(f"{len(self.seconds)} x {self.statement[:40]}…: longest {max(self.seconds):.3f} s")
        assert self.errors == []
        assert max(self.seconds) < seconds


class Run(Background):
    """Random writers, comparers and folders on one database, from `with` to its end; `difference` is the first thing
    that went wrong, None when nothing did."""

    def __init__(self, database, writers=8, folders=2, comparers=2, weights=None, seed=SEED):
        self.database = database
        self.seed = seed
        self.difference = None
        self.done, self.refused = Counter(), Counter()  # operations by kind; errors by SQLSTATE
        self.comparisons, self.folded, self.rebuilt = 0, 0, 0
        self.exact_at = time.monotonic()
        self.sizes = set()  # numbers of tokens that were met
        self.unsettled_until = 0  # when reports may come from the plain query, and connections may be lost
        self.lock = threading.Lock()
        plans = [scripts(f"{seed}/{number}", weights or known_weights(database)) for number in range(writers)]
        steps = [(self._writer(plan), database.writer) for plan in plans]
        steps += [(self._fold, database.keeper)] * folders + [(self._compare, database.reader)] * comparers
        super().__init__(*((self._repeat, *step) for step in steps))
        print(f"TEST_SEED={seed}")

    @property
    def operations(self):
        """How many operations have succeeded."""
        return sum(self.done.values())

    def reach(self, operations, seconds=120):
        """Waits until so many operations have succeeded; fails when something is wrong by then."""
        wait_until(lambda: self.difference or self.operations >= operations, seconds, f"{operations} operations")
        assert self.difference is None, self.difference

    def find(self, seconds=60):
        """Waits until something is wrong, and returns it; fails when nothing is by then."""
        wait_until(lambda: self.difference, seconds, "a difference")
        return self.difference

    def fail(self, what):
        """Notes what went wrong, unless something did before."""
        with self.lock:
            self.difference = self.difference or f"TEST_SEED={self.seed}, after {self.operations} operations: {what}"
        self.stopping.set()

    @contextlib.contextmanager
    def unsettled(self, seconds):
        """Reports may come from the plain query, and connections may be lost, until so many seconds after the block."""
        self.unsettled_until = float("inf")
        yield
        self.unsettled_until = time.monotonic() + seconds

    def _repeat(self, step, login):
        """Does a step again and again, on a new connection where one is lost for a reason."""
        connection = None
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                connection = connection or self.database.connect(**login)
                step(connection)
            except psycopg2.Error as error:
                connection = None
                if error.pgcode not in CONNECTION_LOST or began > self.unsettled_until:
                    self.fail(f"{error.pgcode} {error}")
                time.sleep(0.02)
            except Exception as error:  # pylint: disable=broad-exception-caught
                self.fail(repr(error))
                raise
        if connection:
            connection.close()

    def _writer(self, plan):
        """A step that writes what the next script says."""
        def write(connection):
            for kind, statement in next(plan):
                if self._succeeds(connection, statement) and kind:
                    with self.lock:
                        self.done[kind] += 1
        return write

    def _succeeds(self, connection, statement):
        try:
            if statement.startswith("COPY "):
                head, _, lines = statement.partition("\n")
                with connection.raw.cursor() as cursor:
                    cursor.copy_expert(head, io.StringIO(lines))
            else:
                connection.execute(statement)
            return True
        except psycopg2.Error as error:
            if error.pgcode not in ORDINARY or error.diag.schema_name not in (None, "public"):
                raise
            self.refused[error.pgcode] += 1
            return False

    def _fold(self, connection):
        """What the logger does, but all the time: folds, and rebuilds what a TRUNCATE set aside."""
        if not connection.execute("SELECT coworking_analytics.uses_rollups()")[0][0]:
            with contextlib.suppress(psycopg2.errors.RaiseException, psycopg2.errors.DeadlockDetected):
                connection.execute(REBUILD)
                self.rebuilt += 1
        most = random.choice([1, 7, 100, 1000])
        kept_back = random.choice([0, 0, 1, 3])
        folded = connection.execute("SELECT coworking_analytics_keeper.fold(%s, %s)", (most, kept_back))[0][0]
        if not 0 <= folded <= most:
            self.fail(f"fold({most}) folded {folded}")
        self.folded += folded
        time.sleep(random.choice([0, 0.002, 0.02]))

    def _compare(self, connection):
        began = time.monotonic()
        try:
            is_exact, size, different = compare(connection)
        except psycopg2.errors.DeadlockDetected:
            return  # it locks both tables, and so does a TRUNCATE of both, in another order
        if different:
            self.fail(f"report and law differ: {different[:1000]}")
        if is_exact or began < self.unsettled_until:
            self.exact_at = began
        elif began - self.exact_at > SET_ASIDE_SECONDS:
            self.fail("the rollups do not serve")
        drift = connection.execute("SELECT * FROM coworking_analytics.check() WHERE coworking_analytics.uses_rollups()")
        if drift and began > self.unsettled_until:
            self.fail(f"check() says: {drift[:5]}")
        self.comparisons += is_exact
        self.sizes.add(size)
        time.sleep(0.01)
