"""What tests ask of the rollups' upkeep, by the names that the SQL has for it."""

from exactness import compare, migrate
from random_writes import COLUMNS, USERS

TOKENS = f"""
{USERS};
INSERT INTO tokens ({COLUMNS})
SELECT n % 30 + 1, 'x', at, at + n * interval '6 s'
  FROM (SELECT n, timestamp '2024-02-28' + n * interval '7 min' FROM generate_series(1, 400) AS n) AS t (n, at);
SELECT setval('tokens_id_seq', 1000), setval('users_id_seq', 1000)"""
RUNS = 10  # of maintain(), after which all that may be folded is folded


def maintain(database, runs=RUNS):
    """What the logger does, until nothing is left to do."""
    with database.connect() as connection:
        for _ in range(runs):
            connection.execute("SELECT * FROM coworking_analytics_keeper.maintain()")


def uses_rollups(database):
    """Whether reports read the rollups."""
    return database.execute("SELECT coworking_analytics.uses_rollups()")[0][0]


def unfolded(database):
    """How many noted changes wait to be folded."""
    return database.execute("SELECT count(*) FROM coworking_analytics.token_changes")[0][0]


def difference(database):
    """What reports and law differ by at this moment, None when nothing does."""
    with database.connect() as connection:
        return compare(connection)[2]


def check_upkeep(database):
    """After upkeep: reports read the rollups and equal the law, and the self-check finds nothing."""
    maintain(database)
    assert difference(database) is None
    assert uses_rollups(database)
    assert database.execute("SELECT * FROM coworking_analytics.check()") == []


def prepare(database, **environment):
    """Migrates a database and brings its upkeep to rest."""
    migrate(database, **environment)
    maintain(database)
    return database
