"""The coworking service changes tables that have rollups: each statement ends as it would without them, each
report is then right or an error, and after `make migrate` reports are exact again."""

import psycopg2
import pytest
from fixtures import names
from exactness import create_rollups_database, fold_all, migrate, rebuild
from law import FUNCTIONS
from postgres import ROOT, Database
from random_writes import COLUMNS

USERS, TOKENS = (ROOT / "sql/coworking/tables.sql").read_text().split("\n\n")
WITHOUT_KEY = "ALTER TABLE tokens DROP CONSTRAINT tokens_user_id_fkey"

# Writes after a change: they must not fail, and must be in the reports.
INSERT = f"INSERT INTO tokens ({COLUMNS}) VALUES (3, 'w', '2024-02-28 10:00', '2024-02-28 10:07')"
UPDATE = "UPDATE tokens SET used_at = '2024-02-28 11:00' WHERE id IN (7, 8)"
DELETE = "DELETE FROM tokens WHERE id IN (9, 10)"
TRUNCATE = "TRUNCATE tokens"
SHORT_INSERT = "INSERT INTO tokens (user_id, token) VALUES (3, 'w')"
ONE_USER = "INSERT INTO users VALUES (3, 'A', 'B', now())"
WRITES = [INSERT, UPDATE, DELETE]

OUR_TRIGGERS = """
SELECT tgname FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
 WHERE tgrelid = 'tokens'::regclass AND proname = 'note_change' ORDER BY 1"""


def renamed(column):
    """Renames a column, writes, and renames it back."""
    user, created, used = ("other" if name == column else name for name in ("user_id", "created_at", "used_at"))
    return [f"ALTER TABLE tokens RENAME {column} TO other",
            f"INSERT INTO tokens ({user}, token, {created}, {used}) VALUES (3, 'w', now(), now())",
            f"UPDATE tokens SET {used} = NULL, {user} = 4 WHERE id < 20", "DELETE FROM tokens WHERE id > 390",
            f"ALTER TABLE tokens RENAME other TO {column}", *WRITES]


def retyped(column, kind):
    """Gives a column another type, with a USING that may change values."""
    return f"ALTER TABLE tokens ALTER {column} TYPE {kind}"


def function(name, body):
    """Creates a trigger function of the coworking service."""
    return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"


def keyed(actions):
    """Replaces the foreign key of tokens."""
    return f"{WITHOUT_KEY}; ALTER TABLE tokens ADD FOREIGN KEY (user_id) REFERENCES users {actions}"


# After these changes reports keep reading tokens: rollups do not support a column's type, or that it may be NULL.
BEYOND_ROLLUPS = {"used_at to a date", "used_at to a domain", "used_at and created_at swapped", "id dropped",
                  "id to text", "id may be null"}

CHANGES = {
    # Values that change without firing a trigger
    "created_at moved": [retyped("created_at", "timestamp USING created_at + interval '1 day'"), *WRITES],
    "used_at emptied": [retyped("used_at", "timestamp USING NULL"), *WRITES],
    "used_at filled": [retyped("used_at", "timestamp USING created_at"), *WRITES],
    "user_id moved": [WITHOUT_KEY, retyped("user_id", "integer USING user_id % 5"), *WRITES],
    "user_id to bigint": [retyped("user_id", "bigint"), *WRITES],
    "id to bigint": [*WRITES, retyped("id", "bigint"), *WRITES],
    "id moved": [retyped("id", "integer USING 1000 - id"), *WRITES],
    "id to text": [retyped("id", "text"), SHORT_INSERT, "UPDATE tokens SET used_at = NULL WHERE id = '12'",
                   "DELETE FROM tokens WHERE id = '13'"],
    "id dropped": ["ALTER TABLE tokens DROP COLUMN id", SHORT_INSERT, "UPDATE tokens SET used_at = NULL WHERE user_id = 4",
                   "DELETE FROM tokens WHERE user_id = 5"],
    "id made anew": ["ALTER TABLE tokens DROP COLUMN id", SHORT_INSERT, "ALTER TABLE tokens ADD id serial PRIMARY KEY", *WRITES],
    "id may be null": ["ALTER TABLE tokens DROP CONSTRAINT tokens_pkey", "ALTER TABLE tokens ALTER id DROP NOT NULL",
                       "INSERT INTO tokens (id, user_id, token) VALUES (NULL, 3, 'w')", "UPDATE tokens SET id = NULL WHERE id = 12",
                       "UPDATE tokens SET id = 12, used_at = NULL WHERE id IS NULL", *WRITES],
    "ids that stand twice": ["ALTER TABLE tokens DROP CONSTRAINT tokens_pkey", "UPDATE tokens SET id = id % 20", *WRITES],
    "ids that begin again": ["DELETE FROM tokens", "ALTER SEQUENCE tokens_id_seq RESTART", *[SHORT_INSERT] * 5, UPDATE, DELETE],
    "created_at to whole seconds": [retyped("created_at", "timestamp(0)"), *WRITES],
    "used_at to a date": [retyped("used_at", "date"), *WRITES],
    "used_at to a domain": ["CREATE DOMAIN moment AS timestamp", retyped("used_at", "moment"), *WRITES],
    # Columns
    "id renamed for a while": [
        "ALTER TABLE tokens RENAME id TO other", SHORT_INSERT, "UPDATE tokens SET used_at = NULL WHERE other < 20",
        "DELETE FROM tokens WHERE other > 390", "ALTER TABLE tokens RENAME other TO id", *WRITES],
    "used_at renamed for a while": renamed("used_at"),
    "created_at renamed for a while": renamed("created_at"),
    "user_id renamed for a while": renamed("user_id"),
    "used_at and created_at swapped": [
        "ALTER TABLE tokens RENAME used_at TO other", "ALTER TABLE tokens RENAME created_at TO used_at",
        "UPDATE tokens SET other = used_at WHERE other IS NULL", "ALTER TABLE tokens RENAME other TO created_at",
        *WRITES],
    "used_at dropped for a while": [
        "ALTER TABLE tokens DROP COLUMN used_at", SHORT_INSERT, "DELETE FROM tokens WHERE id < 20",
        "ALTER TABLE tokens ADD COLUMN used_at timestamp", *WRITES],
    "created_at dropped and added": [
        "ALTER TABLE tokens DROP COLUMN created_at", SHORT_INSERT,
        "ALTER TABLE tokens ADD COLUMN created_at timestamp DEFAULT '2024-02-28' NOT NULL", *WRITES],
    "user_id dropped and added": [
        "ALTER TABLE tokens DROP COLUMN user_id", "INSERT INTO tokens (token) VALUES ('w')",
        "ALTER TABLE tokens ADD COLUMN user_id integer DEFAULT 4 NOT NULL", *WRITES],
    "used_at generated": [
        "ALTER TABLE tokens DROP COLUMN used_at",
        "ALTER TABLE tokens ADD COLUMN used_at timestamp GENERATED ALWAYS AS (created_at + interval '1 min') STORED",
        SHORT_INSERT, DELETE],
    "another column": ["ALTER TABLE tokens ADD COLUMN used_by integer DEFAULT 5", *WRITES,
                       "ALTER TABLE tokens DROP COLUMN token", UPDATE, DELETE, TRUNCATE],
    "columns before and after": [
        *WRITES, "ALTER TABLE tokens ADD COLUMN more json DEFAULT '\"\\\\u0000\"'", *WRITES,
        "SET standard_conforming_strings = off; SET DateStyle = 'SQL, DMY'", *WRITES,
        "ALTER TABLE tokens DROP COLUMN token", UPDATE, DELETE],
    "another column, rewritten": ["ALTER TABLE tokens ADD COLUMN more float DEFAULT random()", *WRITES],
    # Tables
    "tokens made anew": ["DROP TABLE tokens", TOKENS, *WRITES],
    "tokens made anew at once": [
        f"BEGIN; CREATE TABLE copy AS SELECT * FROM tokens; DROP TABLE tokens; {TOKENS}; INSERT INTO tokens"
        " SELECT id + 1000, user_id, token, created_at, used_at FROM copy WHERE id % 2 = 0; COMMIT", *WRITES],
    "both made anew": ["DROP TABLE tokens, users", USERS, TOKENS, ONE_USER, *WRITES],
    "tokens renamed for a while": [
        "ALTER TABLE tokens RENAME TO other", "INSERT INTO other (user_id, token) VALUES (3, 'w')",
        "UPDATE other SET used_at = now() WHERE id < 20", "DELETE FROM other WHERE id > 390",
        "ALTER TABLE other RENAME TO tokens", *WRITES],
    "tokens replaced for a while": [
        "ALTER TABLE tokens RENAME TO other", "CREATE TABLE tokens (LIKE other INCLUDING DEFAULTS)", *WRITES,
        "UPDATE other SET user_id = 4", TRUNCATE, "INSERT INTO other (user_id, token) VALUES (3, 'w')",
        "DROP TABLE tokens", "ALTER TABLE other RENAME TO tokens", *WRITES],
    "tokens replaced for good": [
        "BEGIN; ALTER TABLE tokens RENAME TO other; CREATE TABLE tokens (LIKE other INCLUDING ALL);"
        " INSERT INTO tokens SELECT * FROM other WHERE id > 100; COMMIT", *WRITES, "DELETE FROM other", TRUNCATE],
    "tokens in another schema for a while": [
        "CREATE SCHEMA aside", "ALTER TABLE tokens SET SCHEMA aside",
        "INSERT INTO aside.tokens (user_id, token) VALUES (3, 'w')", "TRUNCATE aside.tokens",
        "ALTER TABLE aside.tokens SET SCHEMA public", *WRITES],
    "vacuum full": ["VACUUM FULL tokens", *WRITES, "VACUUM FULL ANALYZE tokens", TRUNCATE, *WRITES],
    "cluster": ["CLUSTER tokens USING tokens_pkey", *WRITES, "CLUSTER tokens", "REINDEX TABLE tokens", *WRITES],
    "unlogged for a while": ["ALTER TABLE tokens SET UNLOGGED", *WRITES, "ALTER TABLE tokens SET LOGGED", *WRITES],
    "truncated and refilled": [
        "BEGIN; TRUNCATE tokens; INSERT INTO tokens (user_id, token) SELECT 4, 'w' FROM users; COMMIT", *WRITES],
    "rewritten and rolled back": [
        f"BEGIN; {retyped('used_at', 'timestamp USING NULL')}; {INSERT}; ROLLBACK", *WRITES,
        f"BEGIN; SAVEPOINT s; TRUNCATE tokens; {INSERT}; ROLLBACK TO s; {DELETE}; COMMIT", *WRITES],
    # Row security, triggers, rules and foreign keys
    "row security": [
        "ALTER TABLE tokens ENABLE ROW LEVEL SECURITY", *WRITES, "ALTER TABLE tokens FORCE ROW LEVEL SECURITY", *WRITES,
        "CREATE POLICY some ON tokens USING (user_id = 3)", *WRITES, "ALTER TABLE tokens NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE tokens DISABLE ROW LEVEL SECURITY", *WRITES],
    "a trigger that changes rows": [
        function("meddle", "IF NEW.user_id = 4 THEN RETURN NULL; END IF; NEW.created_at := '2024-01-01'; RETURN NEW;"),
        "CREATE TRIGGER a BEFORE INSERT OR UPDATE ON tokens FOR EACH ROW EXECUTE FUNCTION meddle()", *WRITES,
        "UPDATE tokens SET user_id = 4 WHERE user_id < 9"],
    "a trigger that writes": [
        function("more", "IF pg_trigger_depth() = 1 THEN INSERT INTO tokens (user_id, token, used_at)"
                         " SELECT 5, 'm', now(); DELETE FROM tokens WHERE id = 33; END IF; RETURN NULL;"),
        "CREATE TRIGGER z AFTER INSERT OR UPDATE OR DELETE ON tokens EXECUTE FUNCTION more()", *WRITES],
    "rules": [
        "CREATE RULE keep AS ON DELETE TO tokens DO INSTEAD UPDATE tokens SET used_at = NULL WHERE id = OLD.id",
        *WRITES, "CREATE RULE refuse AS ON INSERT TO tokens DO INSTEAD NOTHING", *WRITES],
    "cascade": [
        keyed("ON DELETE CASCADE ON UPDATE CASCADE"), *WRITES, "DELETE FROM users WHERE id = 4",
        "UPDATE users SET id = 40 WHERE id = 5", "TRUNCATE users CASCADE", ONE_USER],
    "set default": [
        "ALTER TABLE tokens ALTER user_id SET DEFAULT 3", keyed("ON DELETE SET DEFAULT ON UPDATE SET DEFAULT DEFERRABLE"
                                                                " INITIALLY DEFERRED"), *WRITES,
        "DELETE FROM users WHERE id = 4", "UPDATE users SET id = 40 WHERE id = 5"],
}

# Changes that rollups need not support: writes succeed, and reports are right or an error.
ODD_CHANGES = {
    "created_at to timestamptz": [
        retyped("created_at", "timestamptz USING created_at AT TIME ZONE 'UTC'"), "SET TimeZone = 'Asia/Tokyo'",
        *WRITES, "UPDATE tokens SET created_at = '2024-02-29 00:30'", "RESET TimeZone", *WRITES],
    "used_at to timestamptz": [retyped("used_at", "timestamptz"), "SET TimeZone = 'Asia/Tokyo'", *WRITES],
    "user_id to text": [f"{WITHOUT_KEY}; {retyped('user_id', 'text')}",
                        "INSERT INTO tokens (user_id, token) VALUES ('who', 'w')", UPDATE, DELETE],
    "created_at to text": [retyped("created_at", "text"),
                           "INSERT INTO tokens (user_id, token, created_at) VALUES (3, 'w', 'once')", UPDATE, DELETE,
                           TRUNCATE],
    "used_at to boolean": [retyped("used_at", "boolean USING used_at IS NOT NULL"),
                           "INSERT INTO tokens (user_id, token, used_at) VALUES (3, 'w', true)", DELETE],
    "user_id may be null": ["ALTER TABLE tokens ALTER user_id DROP NOT NULL", "INSERT INTO tokens (token) VALUES ('w')",
                            *WRITES, "UPDATE tokens SET user_id = NULL WHERE id < 20", *WRITES],
    "created_at may be null": ["ALTER TABLE tokens ALTER created_at DROP NOT NULL", *WRITES,
                               "UPDATE tokens SET created_at = NULL WHERE id < 20", *WRITES,
                               "UPDATE tokens SET used_at = NULL WHERE id < 9", *WRITES],
    "set null": ["ALTER TABLE tokens ALTER user_id DROP NOT NULL", keyed("ON DELETE SET NULL"),
                 "DELETE FROM users WHERE id = 4", *WRITES],
    "a table that inherits": [
        "CREATE TABLE tokens_2 () INHERITS (tokens)", *WRITES, "INSERT INTO tokens_2 SELECT * FROM tokens",
        "UPDATE tokens SET used_at = NULL WHERE id < 50", "DELETE FROM tokens_2 WHERE id < 50", "TRUNCATE tokens_2",
        "ALTER TABLE tokens_2 NO INHERIT tokens", *WRITES],
    "partitions": [
        "BEGIN; ALTER TABLE tokens RENAME TO other; CREATE TABLE tokens (LIKE other INCLUDING DEFAULTS)"
        " PARTITION BY LIST (user_id); CREATE TABLE tokens_3 PARTITION OF tokens FOR VALUES IN (3);"
        " CREATE TABLE tokens_n PARTITION OF tokens DEFAULT; INSERT INTO tokens SELECT * FROM other; DROP TABLE other;"
        " COMMIT", *WRITES,
        "INSERT INTO tokens_3 (user_id, token, created_at, used_at) VALUES (3, 'w', now(), now())",
        "UPDATE tokens SET user_id = 3 WHERE user_id = 4", "TRUNCATE tokens_3",
        "CREATE TABLE loose AS SELECT 1000 + id AS id, 77 AS user_id, token, created_at, used_at FROM tokens;"
        " ALTER TABLE loose ALTER id SET NOT NULL, ALTER user_id SET NOT NULL, ALTER token SET NOT NULL,"
        " ALTER created_at SET NOT NULL", "ALTER TABLE tokens ATTACH PARTITION loose FOR VALUES IN (77)", *WRITES,
        "ALTER TABLE tokens DETACH PARTITION loose"],
    "a partition of something new": [
        "BEGIN; ALTER TABLE tokens RENAME TO old; CREATE TABLE tokens (LIKE old INCLUDING DEFAULTS) PARTITION BY LIST"
        " (user_id); ALTER TABLE tokens ATTACH PARTITION old DEFAULT; COMMIT", *WRITES,
        "INSERT INTO old (user_id, token, used_at) VALUES (3, 'w', now())", "TRUNCATE old"],
}


@pytest.fixture(scope="module")
def templates(server):
    """Databases with and without rollups, to copy; a role without other rights owns the tables."""
    found = {}
    for rollups in ("off", "on"):
        found[rollups] = create_rollups_database(server, next(names))
        owner = found[rollups].writer["user"]
        found[rollups].execute(f"ALTER TABLE users OWNER TO {owner}; ALTER TABLE tokens OWNER TO {owner};"
                               f"GRANT CREATE ON SCHEMA public TO {owner}")
        migrate(found[rollups], ROLLUPS=rollups)
    with found["on"].connect(**found["on"].keeper) as connection:
        fold_all(connection)
    return found


def copy(template):
    """Copies the template; the roles are the same."""
    database = Database(template.server, next(names))
    with template.server.connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {database.name} TEMPLATE {template.name}")
        connection.execute(f"GRANT CREATE ON DATABASE {database.name} TO {template.writer['user']}")
    database.reader, database.writer, database.keeper = template.reader, template.writer, template.keeper
    database.user, database.password = template.user, template.password
    return database


def ask(connection, query):
    """The rows as sorted text; None when the query fails."""
    try:
        return sorted(line for line, in connection.execute(f"SELECT row::text FROM ({query}) AS row"))
    except psycopg2.Error:
        return None


class Pair:
    """Two copies of a database, with and without rollups, that get the same statements."""

    def __init__(self, templates):
        self.databases = {rollups: copy(template) for rollups, template in templates.items()}
        self.owners = {rollups: database.connect(**database.writer) for rollups, database in self.databases.items()}
        self.database = self.databases["on"]
        self.reader = self.database.connect(**self.database.reader)
        self.reader.execute("SET row_security = off; SET TimeZone = 'UTC'")  # as the workers do
        self.law = self.database.connect()

    def close(self):
        """Drops both."""
        for connection in (*self.owners.values(), self.reader, self.law):
            connection.close()
        with self.database.server.connect("postgres") as connection:
            for database in self.databases.values():
                connection.execute(f"DROP DATABASE {database.name} WITH (FORCE)")

    def do(self, statement, may_fail=True):
        """Runs a statement: it ends the same way in both, and each report is then right, or an error if it may fail."""
        outcomes = {}
        for rollups, owner in self.owners.items():
            try:
                owner.execute(statement)
                outcomes[rollups] = "succeeds"
            except psycopg2.Error as error:
                outcomes[rollups] = str(error)
        assert outcomes["on"] == outcomes["off"], statement
        self.check(statement, may_fail)

    def check(self, after, may_fail):
        """Each report is right, or an error if it may fail or the plain query fails."""
        for function, query in FUNCTIONS.items():
            answer, expected = ask(self.reader, f"SELECT * FROM coworking_analytics.{function}()"), ask(self.law, query)
            assert answer == expected or may_fail and answer is None, f"{function} after {after}"


@pytest.fixture(name="pair")
def create_pair(templates):
    """A pair for one test."""
    pair = Pair(templates)
    assert pair.law.execute("SELECT coworking_analytics.uses_rollups()") == [(True,)]
    yield pair
    pair.close()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_tables(pair, change):
    for statement in CHANGES[change]:
        pair.do(statement)
    migrate(pair.database)
    pair.check("the migration", may_fail=False)
    is_exact = [(change not in BEYOND_ROLLUPS,)]
    assert pair.reader.execute("SELECT coworking_analytics.uses_rollups()") == is_exact
    for statement in WRITES:
        pair.do(statement, may_fail=False)
    assert pair.reader.execute("SELECT coworking_analytics.uses_rollups()") == is_exact
    assert pair.reader.execute("SELECT * FROM coworking_analytics.check() WHERE coworking_analytics.uses_rollups()") == []


def test_writes_to_a_replaced_table_do_not_count(pair):
    """The old table still has our trigger."""
    for statement in ["BEGIN; ALTER TABLE tokens RENAME TO other; CREATE TABLE tokens (LIKE other INCLUDING ALL);"
                      " INSERT INTO tokens SELECT * FROM other; COMMIT", *WRITES]:
        pair.do(statement)
    migrate(pair.database)
    for statement in ["DELETE FROM other WHERE id < 100", *WRITES, "UPDATE other SET user_id = 4, id = -id",
                      "ALTER TABLE other ALTER created_at DROP NOT NULL", "UPDATE other SET created_at = NULL"]:
        pair.do(statement, may_fail=False)
    assert pair.reader.execute("SELECT coworking_analytics.uses_rollups()") == [(True,)]
    with pair.database.connect() as connection:
        fold_all(connection)
    pair.check("folding", may_fail=False)
    migrate(pair.database, ROLLUPS="off")
    pair.do("DELETE FROM other")


def test_a_second_trigger_counts_no_change_twice(pair):
    """The owner of tokens may add triggers that call our function. They note nothing, and a migration drops them."""
    for name in ("before_ours", "zz"):  # PostgreSQL fires triggers in the order of their names
        pair.do(f"CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON tokens"
                " FOR EACH ROW EXECUTE FUNCTION coworking_analytics_keeper.note_change()")
        pair.do(f"ALTER TABLE tokens ENABLE ALWAYS TRIGGER {name}")
        for statement in WRITES:
            pair.do(statement, may_fail=False)
    pair.do("DROP TRIGGER before_ours ON tokens")
    pair.do("UPDATE tokens SET user_id = 7 WHERE id = 11", may_fail=False)
    assert pair.reader.execute("SELECT coworking_analytics.uses_rollups()") == [(True,)]
    migrate(pair.database)
    assert pair.reader.execute(OUR_TRIGGERS) == [("coworking_analytics_change",)]
    assert pair.reader.execute("SELECT * FROM coworking_analytics.check()") == []


def test_a_renamed_trigger_sets_the_rollups_aside(pair):
    with pair.database.connect() as connection:
        connection.execute("ALTER TRIGGER coworking_analytics_change ON tokens RENAME TO zz")
    for statement in WRITES:
        pair.do(statement, may_fail=False)
    assert pair.reader.execute("SELECT coworking_analytics.uses_rollups()") == [(False,)]
    migrate(pair.database)
    assert pair.reader.execute(OUR_TRIGGERS) == [("coworking_analytics_change",)]
    pair.do("UPDATE tokens SET user_id = 8 WHERE id = 12", may_fail=False)
    assert pair.reader.execute("SELECT coworking_analytics.uses_rollups()") == [(True,)]
    assert pair.reader.execute("SELECT * FROM coworking_analytics.check()") == []


def test_a_session_that_has_written_before_a_column_s_type_changes(pair):
    """Its cached PL/pgSQL plans fail from then on."""
    for statement in [*WRITES, retyped("user_id", "bigint")]:
        pair.do(statement)
    rebuild(pair.database)
    for statement in ["UPDATE tokens SET user_id = 4, used_at = now() WHERE id = 11", "DELETE FROM tokens WHERE id = 12"]:
        pair.do(statement, may_fail=False)
    assert pair.database.execute("SELECT count(*) > 1 FROM coworking_analytics.token_changes") == [(True,)]
    assert pair.reader.execute("SELECT coworking_analytics.uses_rollups()") == [(True,)]
    assert pair.reader.execute("SELECT * FROM coworking_analytics.check()") == []


@pytest.mark.parametrize("change", ODD_CHANGES)
def test_an_odd_change_of_the_tables(pair, change):
    for statement in ODD_CHANGES[change]:
        pair.do(statement)
    migrate(pair.database)
    pair.check("the migration", may_fail=True)
    for statement in ODD_CHANGES[change][1:]:
        pair.do(statement)


def test_an_unlogged_table_is_empty_after_a_crash(own_server):
    database = create_rollups_database(own_server, next(names))
    database.execute("ALTER TABLE tokens SET UNLOGGED")
    migrate(database)
    database.execute(INSERT)
    own_server.crash()
    assert database.execute("SELECT count(*) FROM tokens") == [(0,)]
    for function in FUNCTIONS:
        assert database.execute(f"SELECT * FROM coworking_analytics.{function}()") == []
