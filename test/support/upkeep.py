"""What tests of the surroundings ask of the rollups' upkeep, by the names that the SQL has for it."""

from exactness import compare, create_coworking_database, migrate  # noqa: F401
from postgres import wait_until
from random_writes import COLUMNS, USERS

TOKENS = f"""
{USERS};
INSERT INTO tokens ({COLUMNS})
SELECT n % 30 + 1, 'x', at, at + n * interval '6 s'
  FROM (SELECT n, timestamp '2024-02-28' + n * interval '7 min' FROM generate_series(1, 2400) AS n) AS t (n, at);
SELECT setval('tokens_id_seq', 3000), setval('users_id_seq', 1000)"""


def prepare(database, **environment):
    """Migrates a database, and has its upkeep done."""
    migrate(database, **environment)
    maintain(database)
    return database


def maintain(database, seconds=30):
    """What the logger does, until nothing is left to do."""
    with database.connect() as connection:
        step = "SELECT rollups, behind, next FROM coworking_analytics_keeper.maintain(true)"
        wait_until(lambda: connection.execute(step) == [("on", 0, "nothing")], seconds, "the end of the upkeep")


def state(database):
    """Whether reports read the rollups, and what reports and law differ by at this moment: None when nothing does."""
    with database.connect(options="-c jit=off") as connection:  # as the service's own sessions
        return compare(connection)[::2]


def differences_found(database):
    """What the self-check finds."""
    return database.execute("SELECT * FROM coworking_analytics.check()")


def check_upkeep(database):
    """Reports are right before upkeep and after it, when they read the rollups."""
    assert state(database)[1] is None
    maintain(database)
    assert state(database) == (True, None)
    assert differences_found(database) == []
