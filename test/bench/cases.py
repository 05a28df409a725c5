"""All measurements, and the ratios that must hold, in a line each. The other files carry them out."""

from collections import namedtuple
from itertools import product

from data import Data
from measure_database import (copy, select_rate, switch_rollups, switch_rollups_beside_writers, write_rate,
                              write_rate_asynchronous)
from measure_requests import (first_part, latency, latency_after_write, memory, rate, rate_unchanged, transfer,
                              transfer_after_write)
from measure_worker import instructions_fresh, instructions_kept

DAILY_USAGE, USER_VISITS = "/api/reports/daily_usage", "/api/reports/user_visits"
HEALTH, READINESS = "/health_check", "/readiness_check"

# The page's requests: when it opens, with the last 30 days of the data, and with all dates.
DAYS, BEFORE = "from=2025-08-28&to=2025-09-26", "from=2025-07-29&to=2025-08-27"
ALL = "from=2020-01-01&to=2025-09-26"
PAGE = tuple(f"/api/reports/{query}{'&' if '?' in query else '?'}format=records" for query in (
    "summary", f"summary?{DAYS}", f"daily_usage?{DAYS}&every=day", f"daily_usage?{BEFORE}",
    "daily_usage?to=2025-08-28&every=month", f"hourly_usage?{DAYS}", f"token_redemption?{DAYS}",
    f"new_users?{DAYS}&every=day", "user_visits?order=visits&limit=10",
    f"summary?{ALL}", f"daily_usage?{ALL}&every=month", f"hourly_usage?{ALL}", f"token_redemption?{ALL}",
    "token_redemption", f"new_users?{ALL}&every=month", "new_users",
    "user_visits?order=visits&limit=10&after=100,50000"))

# The data.
SMALL, MIDDLE, LARGE = "2,500 tokens", "1 million tokens", "10 million tokens"
BUSY, CROWD = "10 million tokens, 200 more a second", "1 million users"
WITH, WITHOUT = "1 million tokens with rollups", "1 million tokens without"
DATA = {
    SMALL: Data("small", 500, 2_500),
    MIDDLE: Data("middle", 100_000, 1_000_000),
    LARGE: Data("large", 100_000, 10_000_000),
    BUSY: Data("large", 100_000, 10_000_000, written=200),
    CROWD: Data("crowd", 1_000_000, 2_000_000),
    WITH: Data("with", 100_000, 1_000_000),
    WITHOUT: Data("without", 100_000, 1_000_000, rollups="ROLLUPS=off"),
}
SIZES = (SMALL, MIDDLE, LARGE)

# The contenders: a server, a part of our service, or PostgreSQL itself.
SERVICE, GO, FLASK, FILE, WORKER, DATABASE = "the service", "Go", "Flask", "nginx, a file", "a worker", "PostgreSQL"
KEYS, SESSIONS = "the service, with a key", "the service, with a session"

# The measures: a name, the function that takes one, and which of two figures is better.
Measure = namedtuple("Measure", "text take better")
RATE = Measure("requests/s, 16 connections", rate, max)
UNCHANGED = Measure("304s/s, 16 connections", rate_unchanged, max)
ONE = Measure("ms, 1 connection", latency, min)
FRESH = Measure("ms, right after a write", latency_after_write, min)
SELECT = Measure("SELECT 1/s, 16 connections", select_rate, max)
WHOLE = Measure("ms, to the last byte", transfer, min)
FRESH_WHOLE = Measure("ms, to the last byte right after a write", transfer_after_write, min)
FIRST = Measure("of that, before the first byte", first_part, min)
COPY = Measure("ms, COPY of its rows", copy, min)
MEMORY = Measure("kB of a worker's own, afterwards", memory, min)
TOKENS = Measure("tokens/s, inserted and updated", write_rate, max)
ASYNCHRONOUS = Measure("tokens/s, no commit waits", write_rate_asynchronous, max)
KEPT_COUNT = Measure("instructions, nothing changed", instructions_kept, min)
FRESH_COUNT = Measure("instructions, after a write", instructions_fresh, min)
SWITCH = Measure("s", switch_rollups, min)
PAUSE = Measure("ms, a writer's longest wait", switch_rollups_beside_writers, min)

# Part, rounds, measure, data, requests, contenders: every combination is a figure. The figures of a part take turns.
CASES = (
    ("load", 5, RATE, [SMALL], [DAILY_USAGE, USER_VISITS], [SERVICE, GO, FLASK, FILE]),
    ("load", 5, RATE, [MIDDLE], [DAILY_USAGE], [SERVICE, GO]),
    ("load", 5, RATE, [LARGE], [DAILY_USAGE], [SERVICE]),
    ("load", 3, RATE, [LARGE], [DAILY_USAGE], [GO, FLASK]),
    ("load", 5, ONE, [SMALL], [DAILY_USAGE, USER_VISITS], [SERVICE, GO, FLASK]),
    ("load", 5, ONE, [MIDDLE], [DAILY_USAGE], [SERVICE, GO]),
    ("load", 5, ONE, [LARGE], [DAILY_USAGE], [SERVICE, GO]),
    ("load", 3, ONE, [LARGE], [DAILY_USAGE], [FLASK]),
    ("load", 5, FRESH, SIZES, [DAILY_USAGE], [SERVICE]),
    ("load", 5, FRESH, [SMALL], [USER_VISITS], [SERVICE]),
    ("load", 5, UNCHANGED, [SMALL], [USER_VISITS], [SERVICE]),
    ("load", 5, SELECT, [SMALL], ["SELECT 1"], [DATABASE]),
    ("written", 7, RATE, [BUSY], [DAILY_USAGE], [SERVICE]),
    ("written", 3, RATE, [BUSY], [DAILY_USAGE], [GO]),
    ("written", 7, ONE, [BUSY], [DAILY_USAGE], [SERVICE, GO]),
    ("users", 7, WHOLE, [LARGE, CROWD], [USER_VISITS], [SERVICE]),
    ("users", 7, FIRST, [LARGE, CROWD], [USER_VISITS], [SERVICE]),
    ("users", 7, COPY, [LARGE, CROWD], [USER_VISITS], [DATABASE]),
    ("users", 3, WHOLE, [LARGE, CROWD], [USER_VISITS], [GO]),
    ("users", 1, MEMORY, [LARGE, CROWD], [USER_VISITS], [SERVICE]),
    ("page", 7, FRESH_WHOLE, [LARGE], PAGE, [SERVICE]),
    ("probes", 5, RATE, SIZES, [HEALTH, READINESS], [SERVICE]),
    ("access", 7, RATE, [SMALL], [DAILY_USAGE], [SERVICE, KEYS, SESSIONS]),
    ("access", 7, ONE, [SMALL], [DAILY_USAGE], [SERVICE, KEYS, SESSIONS]),
    ("writers", 7, TOKENS, [WITH, WITHOUT], ["1 client"], [DATABASE]),
    ("writers", 7, TOKENS, [WITH, WITHOUT], ["4 clients"], [DATABASE]),
    ("writers", 7, TOKENS, [WITH, WITHOUT], ["8 clients"], [DATABASE]),
    ("writers", 7, ASYNCHRONOUS, [WITH, WITHOUT], ["1 client"], [DATABASE]),
    ("writers", 7, ASYNCHRONOUS, [WITH, WITHOUT], ["4 clients"], [DATABASE]),
    ("writers", 7, ASYNCHRONOUS, [WITH, WITHOUT], ["8 clients"], [DATABASE]),
    ("instructions", 1, KEPT_COUNT, [SMALL], [DAILY_USAGE, USER_VISITS], [WORKER]),
    ("instructions", 1, FRESH_COUNT, [SMALL], [DAILY_USAGE, USER_VISITS], [WORKER]),
    # Last and in this order, which leaves the database as it was.
    ("migration", 1, PAUSE, [LARGE], ["ROLLUPS=off"], [DATABASE]),
    ("migration", 1, SWITCH, [LARGE], ["ROLLUPS=on"], [DATABASE]),
    ("migration", 1, SWITCH, [LARGE], ["ROLLUPS=off"], [DATABASE]),
    ("migration", 1, PAUSE, [LARGE], ["ROLLUPS=on"], [DATABASE]),
)
PARTS = tuple(dict.fromkeys(case[0] for case in CASES))

Figure = namedtuple("Figure", "measure data request contender")


def figures(part):
    """The figures of a part, each with its number of rounds."""
    return {Figure(measured, *combination): rounds for name, rounds, measured, *choices in CASES if name == part
            for combination in product(*choices)}


def plain(measured, data, request):
    """The figures of the contenders with the plain query; the better one counts."""
    return [Figure(measured, data, request, contender) for contender in (GO, FLASK)]


def ours(measured, data, request, contender=SERVICE):
    """One figure."""
    return [Figure(measured, data, request, contender)]


# A text, the wanted bound, and two figures: the first is divided by the second, if there is one.
Ratio = namedtuple("Ratio", "text data sign wanted above below")
RATIOS = (
    Ratio("daily_usage: times the best plain query's requests", SMALL, "≥", 3,
          ours(RATE, SMALL, DAILY_USAGE), plain(RATE, SMALL, DAILY_USAGE)),
    Ratio("user_visits: times the best plain query's requests", SMALL, "≥", 8,
          ours(RATE, SMALL, USER_VISITS), plain(RATE, SMALL, USER_VISITS)),
    Ratio("daily_usage: part of nginx's requests for a file", SMALL, None, None,
          ours(RATE, SMALL, DAILY_USAGE), ours(RATE, SMALL, DAILY_USAGE, FILE)),
    Ratio("user_visits: part of nginx's requests for a file", SMALL, None, None,
          ours(RATE, SMALL, USER_VISITS), ours(RATE, SMALL, USER_VISITS, FILE)),
    Ratio("daily_usage: part of PostgreSQL's SELECT 1", SMALL, None, None,
          ours(RATE, SMALL, DAILY_USAGE), ours(SELECT, SMALL, "SELECT 1", DATABASE)),
    Ratio("daily_usage under load: times its cost at 2,500", LARGE, "≤", 1.3,
          ours(RATE, SMALL, DAILY_USAGE), ours(RATE, LARGE, DAILY_USAGE)),
    Ratio("daily_usage after a write: times its cost at 2,500", LARGE, "≤", 1.3,
          ours(FRESH, LARGE, DAILY_USAGE), ours(FRESH, SMALL, DAILY_USAGE)),
    Ratio("daily_usage under load: times faster than the plain query", LARGE, "≥", 200,
          ours(RATE, LARGE, DAILY_USAGE), plain(RATE, LARGE, DAILY_USAGE)),
    Ratio("daily_usage, one at a time: times faster than the plain query", LARGE, "≥", 200,
          plain(ONE, LARGE, DAILY_USAGE), ours(ONE, LARGE, DAILY_USAGE)),
    Ratio("daily_usage after a write: times faster than the plain query", LARGE, "≥", 200,
          plain(ONE, LARGE, DAILY_USAGE), ours(FRESH, LARGE, DAILY_USAGE)),
    Ratio("daily_usage under load: times faster than the plain query", BUSY, "≥", 100,
          ours(RATE, BUSY, DAILY_USAGE), plain(RATE, BUSY, DAILY_USAGE)),
    Ratio("daily_usage, one at a time: times faster than the plain query", BUSY, "≥", 100,
          plain(ONE, BUSY, DAILY_USAGE), ours(ONE, BUSY, DAILY_USAGE)),
    Ratio("user_visits of 100,000 users: times COPY", LARGE, "≤", 2,
          ours(WHOLE, LARGE, USER_VISITS), ours(COPY, LARGE, USER_VISITS, DATABASE)),
    Ratio("user_visits of 1,000,000 users: times COPY", CROWD, "≤", 2,
          ours(WHOLE, CROWD, USER_VISITS), ours(COPY, CROWD, USER_VISITS, DATABASE)),
    Ratio("user_visits of 100,000 users: the first byte's part of the time", LARGE, "≤", 0.1,
          ours(FIRST, LARGE, USER_VISITS), []),
    Ratio("user_visits of 1,000,000 users: the first byte's part of the time", CROWD, "≤", 0.1,
          ours(FIRST, CROWD, USER_VISITS), []),
    Ratio("user_visits of 1,000,000 users: kB of a worker's own, afterwards", CROWD, "≤", 4096,
          ours(MEMORY, CROWD, USER_VISITS), []),
    *(Ratio(f"{request.rpartition('/')[2]}: ms right after a write", LARGE, "≤", 100,
            ours(FRESH_WHOLE, LARGE, request), []) for request in PAGE),
    Ratio("health: times its cost at 2,500", LARGE, "≤", 1.1,
          ours(RATE, SMALL, HEALTH), ours(RATE, LARGE, HEALTH)),
    Ratio("readiness: times its cost at 2,500", LARGE, "≤", 1.1,
          ours(RATE, SMALL, READINESS), ours(RATE, LARGE, READINESS)),
    Ratio("daily_usage with a key: part of the requests without", SMALL, "≥", 0.97,
          ours(RATE, SMALL, DAILY_USAGE, KEYS), ours(RATE, SMALL, DAILY_USAGE)),
    Ratio("daily_usage with a session: part of the requests without", SMALL, "≥", 0.4,
          ours(RATE, SMALL, DAILY_USAGE, SESSIONS), ours(RATE, SMALL, DAILY_USAGE)),
    *(Ratio(f"{clients}: part of the {measured.text} without rollups", WITH, *wanted,
            ours(measured, WITH, clients, DATABASE), ours(measured, WITHOUT, clients, DATABASE))
      for measured, wanted in ((TOKENS, ("≥", 0.9)), (ASYNCHRONOUS, (None, None)))
      for clients in ("1 client", "4 clients", "8 clients")),
    Ratio("rollups added: ms of a writer's longest wait", LARGE, "≤", 1000,
          ours(PAUSE, LARGE, "ROLLUPS=on", DATABASE), []),
    Ratio("rollups removed: ms of a writer's longest wait", LARGE, "≤", 1000,
          ours(PAUSE, LARGE, "ROLLUPS=off", DATABASE), []),
)
