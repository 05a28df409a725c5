"""Logical replication: publications of all tables, and reports on a subscriber."""

import contextlib
import itertools

import psycopg2
import pytest
from background import Background
from exactness import Run, migrate
from postgres import PASSWORD, Postgres, wait_until
from random_writes import CHANGES_OF_TOKENS
from target import IS_POD
from upkeep import TOKENS, check_upkeep, create_coworking_database, maintain, prepare, state

pytestmark = pytest.mark.skipif(IS_POD, reason="needs no service")

names = (f"published_{number}" for number in itertools.count(1))
ALL_TABLES = "CREATE PUBLICATION p FOR ALL TABLES"
IN_SCHEMAS = "CREATE PUBLICATION p FOR TABLES IN SCHEMA coworking_analytics, public"
SLOT = "SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"
CHANGES = [
    "UPDATE tokens SET used_at = now() WHERE id % 7 = 0",
    "UPDATE tokens SET created_at = created_at - interval '9 h', user_id = user_id % 30 + 1"
    " WHERE id % 11 = 0 AND created_at > '2000-01-01'",  # the first dates that PostgreSQL has cannot move back
    "DELETE FROM tokens WHERE id % 13 = 0",
    "INSERT INTO tokens (user_id, token, used_at) SELECT n % 30 + 1, 'x', now() FROM generate_series(1, 1500) AS n",
    "UPDATE tokens SET used_at = NULL WHERE id > 3000",
    "TRUNCATE tokens",
    "INSERT INTO tokens (user_id, token, used_at) SELECT n % 30 + 1, 'x', now() FROM generate_series(1, 1500) AS n",
    "UPDATE tokens SET used_at = NULL WHERE user_id = 3",
]


@pytest.fixture(scope="module")
def publisher():
    """A server that can publish."""
    postgres = Postgres("-c wal_level=logical")
    yield postgres
    postgres.close()


@pytest.fixture(scope="module")
def subscriber():
    """A server that can subscribe."""
    postgres = Postgres("-c wal_level=logical -c max_sync_workers_per_subscription=4")
    yield postgres
    postgres.close()


def create_database(server):
    """A database with tokens, not migrated."""
    database = create_coworking_database(server, next(names))
    database.execute(TOKENS)
    return database


# Publications of all tables


def publish(database, statement, has_slot):
    """Does what a tool for change data capture does first."""
    database.execute(statement)
    if has_slot:
        database.execute(SLOT.format(name=database.name))


@pytest.fixture
def own(publisher):
    """A database that is not migrated; its replication slot is dropped after the test."""
    database = create_database(publisher)
    yield database
    database.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()")


def assert_up_to_date(database):
    """A second migration has nothing to do."""
    again = database.migrate()
    assert again.returncode == 0 and "up to date" in again.stdout, again.stdout + again.stderr


def change_all(database):
    """Makes every kind of change, and runs upkeep after each."""
    for statement in CHANGES:
        with database.connect(**database.writer) as writer:
            writer.execute(statement)
        check_upkeep(database)


@pytest.mark.parametrize("has_slot", [False, True], ids=["no slot", "slot"])
def test_a_publication_of_all_tables_before_the_migration(own, has_slot):
    publish(own, ALL_TABLES, has_slot)
    prepare(own)
    change_all(own)
    assert_up_to_date(own)


@pytest.mark.parametrize("publication", [ALL_TABLES, IN_SCHEMAS], ids=["all tables", "in schemas"])
@pytest.mark.parametrize("has_slot", [False, True], ids=["no slot", "slot"])
def test_a_publication_after_the_migration(own, publication, has_slot):
    prepare(own)
    publish(own, publication, has_slot)
    change_all(own)
    assert_up_to_date(own)
    migrate(own, ROLLUPS="off")
    prepare(own)
    check_upkeep(own)


def test_a_publication_beside_folding_and_writers(own):
    """A tool that starts publishing during writes and folds."""
    prepare(own)
    with Run(own, writers=3, folders=1, comparers=1, weights=CHANGES_OF_TOKENS) as run:
        run.reach(200)
        publish(own, ALL_TABLES, has_slot=True)
        run.reach(run.operations + 500)
    assert run.difference is None
    check_upkeep(own)


def test_every_table_of_ours_can_be_published(own):
    """A published table without a primary key refuses updates and deletes."""
    prepare(own)
    without = own.execute("""
        SELECT c.relname FROM pg_class AS c
         WHERE c.relnamespace::regnamespace::text LIKE 'coworking_analytics%' AND c.relkind IN ('r', 'p')
           AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary)""")
    assert without == []


# Subscribers


def subscribe(publishing, subscribing, publication, options=""):
    """Subscribes one database to another, and waits for the initial copy of the two tables."""
    publishing.execute(f"CREATE PUBLICATION {publishing.name} {publication}")
    publishing.execute(SLOT.format(name=subscribing.name))
    subscribing.execute(f"""
        CREATE SUBSCRIPTION {subscribing.name}
        CONNECTION 'host=127.0.0.1 port={publishing.server.port} dbname={publishing.name} user=postgres password={PASSWORD}'
        PUBLICATION {publishing.name} WITH (create_slot = false, slot_name = '{subscribing.name}', synchronous_commit = 'on'{options})""")
    ready = """SELECT count(*) = 2 FROM pg_subscription_rel
                WHERE srrelid IN ('public.users'::regclass, 'public.tokens'::regclass) AND srsubstate = 'r'"""
    wait_until(lambda: subscribing.execute(ready)[0][0], 30, "the copy of the two tables")


def catch_up(publishing, subscribing):
    """Waits until all that was published has arrived."""
    position, = publishing.execute("SELECT pg_current_wal_lsn()")
    arrived = "SELECT confirmed_flush_lsn >= %s FROM pg_replication_slots WHERE slot_name = %s"
    wait_until(lambda: publishing.execute(arrived, (*position, subscribing.name))[0][0], 30, "the subscriber")


class Comparing(Background):
    """Keeps comparing reports with the law, and remembers the first difference."""

    def __init__(self, database):
        super().__init__((self._compare,))
        self.database = database
        self.comparisons, self.different = 0, None

    def _compare(self):
        while not self.stopping.is_set() and not self.different:
            with contextlib.suppress(psycopg2.errors.DeadlockDetected):
                self.different = state(self.database)[1]
                self.comparisons += 1

    def check(self, number):
        """Fails when something differed, or after fewer comparisons than this."""
        assert self.different is None, f"after {self.comparisons}: {self.different}"
        assert self.comparisons >= number


@pytest.fixture
def pair(publisher, subscriber):
    """A database, and an empty one with the same tables on another server; drops the subscription after the test."""
    publishing = create_database(publisher)
    subscribing = create_coworking_database(subscriber, next(names))
    yield publishing, subscribing
    for name, in subscribing.execute("SELECT subname FROM pg_subscription WHERE subname = current_database()"):
        subscribing.execute(f"ALTER SUBSCRIPTION {name} DISABLE")
        subscribing.execute(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")
        subscribing.execute(f"DROP SUBSCRIPTION {name}")
    wait_until(lambda: not publishing.execute("SELECT FROM pg_replication_slots WHERE database = current_database() AND active"),
               10, "the end of the subscription")
    publishing.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()")


@pytest.mark.parametrize("is_prepared", [True, False], ids=["migrated before", "migrated after"])
def test_reports_on_a_subscriber_equal_the_law(pair, is_prepared):
    """Tokens are used, moved, deleted and truncated on the publisher, which is not migrated."""
    publishing, subscribing = pair
    if is_prepared:
        prepare(subscribing)
    subscribe(publishing, subscribing, "FOR TABLE users, tokens")
    if not is_prepared:
        prepare(subscribing)
    maintain(subscribing)
    for statement in CHANGES:
        publishing.execute(statement)
        catch_up(publishing, subscribing)
        check_upkeep(subscribing)
    counted = "SELECT count(*), count(used_at) FROM tokens"
    assert subscribing.execute(counted) == publishing.execute(counted)


def test_a_subscriber_s_reports_are_exact_at_every_moment(pair):
    publishing, subscribing = pair
    prepare(subscribing)
    subscribe(publishing, subscribing, "FOR TABLE users, tokens")
    maintain(subscribing)
    with (Run(publishing, writers=3, folders=0, comparers=0, weights=CHANGES_OF_TOKENS) as writers,
          Run(subscribing, writers=0, folders=1, comparers=0) as folder, Comparing(subscribing) as comparing):
        while comparing.comparisons < 20 and not comparing.different:
            writers.reach(writers.operations + 200)
        catch_up(publishing, subscribing)
    assert (writers.difference, folder.difference) == (None, None)
    comparing.check(20)
    assert folder.folded > 0
    check_upkeep(subscribing)


def test_writes_as_a_replica_are_noted_at_once(publisher):
    """Some tools copy rows with session_replication_role = replica."""
    database = prepare(create_database(publisher))
    database.execute(f"ALTER ROLE {database.writer['user']} SET session_replication_role = replica")
    with database.connect(**database.writer) as writer:
        assert writer.execute("SHOW session_replication_role") == [("replica",)]
    with Run(database, writers=3, folders=1, comparers=1, weights=CHANGES_OF_TOKENS) as run:
        run.reach(1000)
    assert run.difference is None
    change_all(database)


@pytest.mark.parametrize("copy", ["true", "false"], ids=["with a copy", "without a copy"])
def test_a_subscriber_that_gets_our_tables_too_keeps_its_own_rollups(pair, copy):
    """A publication of all tables, ours included, to a database that is already migrated."""
    publishing, subscribing = pair
    prepare(publishing)
    prepare(subscribing)
    if copy == "false":
        subscribing.execute(TOKENS)
        maintain(subscribing)
    subscribe(publishing, subscribing, "FOR ALL TABLES", f", copy_data = {copy}")
    check_upkeep(subscribing)
    with Comparing(subscribing) as comparing:
        for statement in CHANGES:
            publishing.execute(statement)
            maintain(publishing)  # writes to our tables on the publisher
            catch_up(publishing, subscribing)
            check_upkeep(subscribing)
    comparing.check(10)
    rollups = "SELECT sum(requested), sum(used) FROM coworking_analytics.daily_tokens"
    assert subscribing.execute(rollups) == publishing.execute(rollups)


def test_a_subscriber_that_is_migrated_after_it_got_our_tables(pair):
    """Our schema came from a dump without rows, and its rows come through the subscription."""
    publishing, subscribing = pair
    prepare(publishing)
    subscribe(publishing, subscribing, "FOR TABLE users, tokens")
    prepare(subscribing)
    subscribing.execute(f"ALTER SUBSCRIPTION {subscribing.name} DISABLE")
    publishing.execute(f"ALTER PUBLICATION {publishing.name} ADD TABLES IN SCHEMA coworking_analytics")
    subscribing.execute(f"ALTER SUBSCRIPTION {subscribing.name} ENABLE")
    subscribing.execute(f"ALTER SUBSCRIPTION {subscribing.name} REFRESH PUBLICATION")
    publishing.execute(CHANGES[0])
    maintain(publishing)
    catch_up(publishing, subscribing)
    check_upkeep(subscribing)
