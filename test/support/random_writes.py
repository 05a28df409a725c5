"""Whatever a coworking service may write to its tables, at random: scripts of statements that a seed determines."""

import datetime
import random

FIRST = datetime.datetime(2024, 2, 27)
# Borders of hours and days are what a report's groups turn on; microseconds, what their edges turn on.
PLACES = [datetime.timedelta(microseconds=number) for number in (0, 1, -1, 1_800_000_000, 59_999_999, 123_456_789)]
DELAYS = [datetime.timedelta(minutes=minutes, microseconds=microseconds)
          for minutes in (-1440, -1, 0, 3, 5, 15, 60, 90) for microseconds in (-1, 0, 1)]
EDGES = ["infinity", "-infinity", "4714-11-24 00:00 BC", "0044-03-15 12:59:59.999999 BC", "0001-01-01 BC", "0001-01-01",
         "1969-12-31 23:59:59.999999", "2000-01-01", "2024-02-29 23:59:59.999999", "294275-12-31 22:59:59.999999"]
COLUMNS = "user_id, token, created_at, used_at"
USERS = "INSERT INTO users (id, first_name, last_name, joined_at) SELECT n, 'A', 'B', timestamp '2024-01-01'" \
        " + n * interval '1.25 s' FROM generate_series(1, 30) AS n ON CONFLICT DO NOTHING"
ISOLATION_LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]

# What a session may be set to, and what must make no difference to what it leaves behind.
SETTINGS = ["TimeZone = 'Asia/Kathmandu'", "TimeZone = 'America/St_Johns'", "DateStyle = 'German, DMY'",
            "DateStyle = 'SQL, MDY'", "IntervalStyle = 'sql_standard'", "search_path = public, pg_catalog",
            "default_transaction_isolation = 'serializable'", "plan_cache_mode = force_generic_plan",
            "work_mem = '64kB'", "enable_hashagg = off", "row_security = off",
            "default_transaction_deferrable = on", "bytea_output = escape", "extra_float_digits = 0", "jit = off"]

# Each operation: how often, and how. A {v.name} is a new random value each time.
OPERATIONS = {
    "insert one": (16, f"INSERT INTO tokens ({COLUMNS}) VALUES {{v.row}}"),
    "insert the defaults": (4, "INSERT INTO tokens (user_id, token) VALUES ({v.user}, 'x')"),
    "insert many": (8, f"INSERT INTO tokens ({COLUMNS}) VALUES {{v.rows}}"),
    "insert copies": (3, f"INSERT INTO tokens ({COLUMNS}) SELECT {{v.user}}, token, created_at, used_at FROM tokens"
                         " WHERE {v.some} LIMIT 20"),
    "insert none": (1, f"INSERT INTO tokens ({COLUMNS}) SELECT {COLUMNS} FROM tokens WHERE false"),
    "copy": (8, f"COPY tokens ({COLUMNS}) FROM STDIN\n{{v.lines}}"),
    "copy none": (1, f"COPY tokens ({COLUMNS}) FROM STDIN\n"),
    "conflict: update": (5, f"INSERT INTO tokens (id, {COLUMNS}) VALUES {{v.numbered}} ON CONFLICT (id)"
                            " DO UPDATE SET used_at = EXCLUDED.used_at, created_at = EXCLUDED.created_at"),
    "conflict: update some": (3, f"INSERT INTO tokens (id, {COLUMNS}) VALUES {{v.numbered}} ON CONFLICT (id)"
                                 " DO UPDATE SET user_id = EXCLUDED.user_id WHERE tokens.used_at IS NULL"),
    "conflict: nothing": (3, f"INSERT INTO tokens (id, {COLUMNS}) VALUES {{v.numbered}} ON CONFLICT DO NOTHING"),
    "merge": (6, f"MERGE INTO tokens AS t USING (VALUES {{v.numbered}}) AS n (id, {COLUMNS}) ON t.id = n.id"
                 " WHEN MATCHED AND t.used_at IS NULL THEN DELETE"
                 " WHEN MATCHED THEN UPDATE SET used_at = n.used_at, user_id = n.user_id"
                 f" WHEN NOT MATCHED THEN INSERT (id, {COLUMNS})"
                 " VALUES (n.id, n.user_id, n.token, n.created_at, n.used_at)"),
    "merge, nothing": (1, "MERGE INTO tokens AS t USING users AS u ON t.user_id = u.id WHEN MATCHED THEN DO NOTHING"),
    "use": (10, "UPDATE tokens SET used_at = {v.moment} WHERE id = {v.id}"),
    "use the last": (4, "UPDATE tokens SET used_at = created_at + interval '5 minutes'"
                        " WHERE id = (SELECT max(id) FROM tokens)"),
    "use many": (3, "UPDATE tokens SET used_at = {v.moment} WHERE user_id = {v.user} AND used_at IS NULL"),
    "unuse": (4, "UPDATE tokens SET used_at = NULL WHERE {v.some}"),
    "move used_at": (3, "UPDATE tokens SET used_at = used_at + interval '{v.delay}' WHERE {v.some}"),
    "move created_at": (3, "UPDATE tokens SET created_at = created_at - interval '{v.delay}' WHERE {v.some}"),
    "swap used_at and created_at": (1, "UPDATE tokens SET used_at = created_at, created_at = used_at"
                                       " WHERE {v.some} AND used_at IS NOT NULL"),
    "set created_at": (3, "UPDATE tokens SET created_at = {v.moment} WHERE id = {v.id}"),
    "set user_id": (4, "UPDATE tokens SET user_id = {v.user} WHERE {v.some}"),
    "set all three": (3, "UPDATE tokens SET (user_id, created_at, used_at) = ({v.user}, {v.moment}, {v.moment})"
                         " WHERE {v.some}"),
    "set token": (3, "UPDATE tokens SET token = 'other' WHERE {v.some}"),
    "set id": (1, "UPDATE tokens SET id = -id WHERE id = {v.id}"),
    "set what is there": (3, "UPDATE tokens SET user_id = user_id, created_at = created_at, used_at = used_at"
                             " WHERE {v.some}"),
    "update none": (2, "UPDATE tokens SET used_at = now() WHERE false"),
    "update from others": (1, "UPDATE tokens AS t SET created_at = o.created_at FROM tokens AS o WHERE o.id = t.id + 1"
                              " AND t.user_id = {v.user}"),
    "delete one": (5, "DELETE FROM tokens WHERE id = {v.id}"),
    "delete some": (4, "DELETE FROM tokens WHERE {v.some}"),
    "delete none": (1, "DELETE FROM tokens WHERE false"),
    "all at once": (2, f"WITH gone AS (DELETE FROM tokens WHERE {{v.some}} RETURNING {COLUMNS}), changed AS"
                       " (UPDATE tokens SET used_at = NULL WHERE id = {v.id})"
                       f" INSERT INTO tokens ({COLUMNS}) SELECT {{v.user}}, token, created_at, used_at FROM gone"),
    "delete a user": (2, "DELETE FROM users WHERE id = {v.user}"),
    "renumber a user": (1, "UPDATE users SET id = {v.user} WHERE id = {v.user}"),
    "insert users": (3, USERS),
    "move joined_at": (1, "UPDATE users SET joined_at = {v.moment} WHERE id = {v.user}"),
    "truncate": (0.1, "TRUNCATE tokens"),
    "truncate both": (0.1, f"TRUNCATE users, tokens; {USERS}"),
    "truncate, cascade": (0.1, f"TRUNCATE users CASCADE; {USERS}"),
    "truncate and insert twice": (0.1, f"TRUNCATE tokens; INSERT INTO tokens ({COLUMNS}) VALUES {{v.rows}};"
                                       f" TRUNCATE tokens; INSERT INTO tokens ({COLUMNS}) VALUES {{v.rows}}"),
}
WEIGHTS = {kind: weight for kind, (weight, _) in OPERATIONS.items()}
# Those that change rows of tokens and nothing else.
CHANGES_OF_TOKENS = {kind: weight for kind, (weight, sql) in OPERATIONS.items()
                     if sql.startswith(("INSERT INTO tokens", "UPDATE tokens", "DELETE FROM tokens"))}
# Transactions that try out TRUNCATE before, after and beside other writes.
TRUNCATING = {"truncate": 4, "truncate both": 2, "truncate, cascade": 2, "truncate and insert twice": 2,
              "insert many": 4, "copy": 4, "use many": 2, "delete some": 2}


class Values:
    """Random parts of statements, as SQL."""

    def __init__(self, source):
        self.source = source

    def moments(self):
        """created_at and used_at as text; used_at may be None."""
        if self.source.random() < 0.1:
            return self.source.choice(EDGES), self.source.choice([*EDGES, None])
        created = FIRST + datetime.timedelta(hours=self.source.randrange(96)) + self.source.choice(PLACES)
        used = self.source.choice([None, *DELAYS])
        return str(created), None if used is None else str(created + used)

    def _row(self, *before):
        created, used = (f"timestamp '{moment}'" if moment else "NULL::timestamp" for moment in self.moments())
        return f"({', '.join(map(str, [*before, self.user, repr('x'), created, used]))})"

    @property
    def row(self):
        """One row of COLUMNS."""
        return self._row()

    @property
    def rows(self):
        """Up to 20 of them."""
        return ", ".join(self._row() for _ in range(self.source.randint(2, 20)))

    @property
    def numbered(self):
        """Up to 8 rows with an id before."""
        return ", ".join(self._row(number) for number in self.source.sample(range(1, 500), self.source.randint(1, 8)))

    @property
    def lines(self):
        """Up to 40 rows as COPY reads them."""
        rows = [(self.user, "x", *self.moments()) for _ in range(self.source.randint(1, 40))]
        return "".join("\t".join(r"\N" if value is None else str(value) for value in row) + "\n" for row in rows)

    @property
    def user(self):
        """A user's id; a few of them are of nobody."""
        return self.source.randint(1, 31)

    @property
    def id(self):
        """The id of a token that may be there."""
        return self.source.randint(1, 500)

    @property
    def moment(self):
        """A timestamp."""
        return f"timestamp '{self.moments()[0]}'"

    @property
    def delay(self):
        """An interval."""
        return f"{self.source.choice(DELAYS).total_seconds():.6f} s"

    @property
    def some(self):
        """A condition that up to a few dozen tokens meet."""
        return self.source.choice([f"id % 40 = {self.source.randrange(40)}", f"user_id = {self.user}",
                                   f"id = {self.id}", f"created_at = {self.moment}",
                                   f"used_at = {self.moment} AND user_id < {self.user}"])


def operation(source, weights):
    """A random operation: its kind and its SQL."""
    kind, = source.choices(list(weights), list(weights.values()))
    return kind, OPERATIONS[kind][1].format(v=Values(source))


def transaction(source, weights):
    """A random transaction: operations between savepoints, some undone. What is no operation has no kind."""
    statements = [(None, f"BEGIN ISOLATION LEVEL {source.choice(ISOLATION_LEVELS)}")]
    savepoints = 0
    for _ in range(source.randint(1, 8)):
        statements.append(operation(source, weights))
        step = source.random()
        if step < 0.3:
            statements.append((None, "SAVEPOINT s"))
            savepoints += 1
        elif step < 0.5 and savepoints:
            statements.append((None, "ROLLBACK TO s"))
        elif step < 0.6 and savepoints:
            statements.append((None, "RELEASE s"))
            savepoints -= 1
        elif step > 0.97:
            statements.append((None, "SELECT pg_sleep(0.05)"))
    return [*statements, (None, "ROLLBACK" if source.random() < 0.2 else "COMMIT")]


def scripts(seed, weights):
    """Endless scripts, each a list of (kind, SQL): the same ones for the same seed."""
    source = random.Random(seed)
    while True:
        if source.random() < 0.01:
            yield [(None, f"SET {source.choice(SETTINGS)}")]
        if source.random() < 0.02 and "truncate" in weights:
            yield transaction(source, TRUNCATING)
        yield [operation(source, weights)] if source.random() < 0.4 else transaction(source, weights)
