"""What the reports have to answer: the contract's plain queries, the two first ones rendered the way the Flask service
did it."""

import csv
import io
import json

from reports import REPORTS  # noqa: F401 # those who ask for the law of all find their names here

DAILY_USAGE = "/api/reports/daily_usage"
USER_VISITS = "/api/reports/user_visits"

DAILY_USAGE_QUERY = """
SELECT created_at::date AS date, count(*) AS visits
FROM public.tokens WHERE used_at IS NOT NULL
GROUP BY 1 ORDER BY 1"""

USER_VISITS_QUERY = """
SELECT t.user_id, u.joined_at, count(*) AS visits
FROM public.tokens t LEFT JOIN public.users u ON u.id = t.user_id
GROUP BY t.user_id, u.joined_at ORDER BY t.user_id"""

DAYS_QUERY = """
SELECT created_at::date AS date, count(*) AS requested, count(used_at) AS used,
       count(*) FILTER (WHERE used_at < created_at) AS used_before_request,
       count(*) FILTER (WHERE used_at BETWEEN created_at AND created_at + interval '5 minutes') AS within_5_minutes,
       count(*) FILTER (WHERE used_at BETWEEN created_at AND created_at + interval '15 minutes') AS within_15_minutes,
       count(*) FILTER (WHERE used_at BETWEEN created_at AND created_at + interval '60 minutes') AS within_60_minutes
FROM public.tokens
GROUP BY 1 ORDER BY 1"""

HOURS_QUERY = """
SELECT date_trunc('hour', created_at)::timestamp AS hour, count(*) AS visits
FROM public.tokens WHERE used_at IS NOT NULL
GROUP BY 1 ORDER BY 1"""

USER_TOKENS_QUERY = """
SELECT user_id, count(*) AS tokens
FROM public.tokens
GROUP BY 1 ORDER BY 1"""

# What each function of schema coworking_analytics has to answer.
FUNCTIONS = {"days": DAYS_QUERY, "hours": HOURS_QUERY, "user_tokens": USER_TOKENS_QUERY}


def differences(function):
    """A query for the rows that the function has too few of (positive) or too many (negative), in one snapshot."""
    return f"""
SELECT '{function}' AS function, line, sum(side) AS missing
FROM (SELECT l::text AS line, 1 AS side FROM ({FUNCTIONS[function]}) AS l
      UNION ALL SELECT a::text, -1 FROM coworking_analytics.{function}() AS a) AS both_sides
GROUP BY line HAVING sum(side) <> 0"""


def jsonify(document):
    """Flask's jsonify, as the old service was set up: no white space, keys in their order, one newline."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def daily_usage(connection):
    """The bytes of /api/reports/daily_usage, from anything with an execute method."""
    return jsonify({str(date): visits for date, visits in connection.execute(DAILY_USAGE_QUERY)})


def user_visits(connection):
    """The bytes of /api/reports/user_visits."""
    return jsonify({str(user): {"joined_at": str(joined), "visits": visits}
                    for user, joined, visits in connection.execute(USER_VISITS_QUERY)})


ANSWERS = {DAILY_USAGE: daily_usage, USER_VISITS: user_visits}


# All reports, with parameters. A side without a date is open.

BETWEEN = "BETWEEN coalesce(%(from)s::date, '-infinity') AND coalesce(%(to)s::date, 'infinity')"
BOTH_PERIODS = "BETWEEN %(from)s::date - (%(to)s::date - %(from)s::date + 1) AND"

# By the report's name; test_reports.py holds that each report has one.
QUERIES = {
    "daily_usage": f"""
SELECT date_trunc(%(every)s, created_at)::date AS date, count(*) AS visits
FROM public.tokens WHERE used_at IS NOT NULL AND created_at::date {BETWEEN}
GROUP BY 1 ORDER BY 1""",
    "user_visits": USER_VISITS_QUERY,
    "hourly_usage": f"""
SELECT extract(isodow FROM created_at)::int AS weekday, extract(hour FROM created_at)::int AS hour, count(*) AS visits
FROM public.tokens WHERE used_at IS NOT NULL AND created_at::date {BETWEEN}
GROUP BY 1, 2 ORDER BY 1, 2""",
    "busiest_days": f"""
SELECT created_at::date AS date, count(*) AS visits
FROM public.tokens WHERE used_at IS NOT NULL AND created_at::date {BETWEEN}
GROUP BY 1 ORDER BY 2 DESC, 1""",
    "token_redemption": f"""
SELECT created_at::date AS date, count(*) AS requested, count(used_at) AS used,
       count(*) FILTER (WHERE used_at < created_at) AS used_before_request,
       count(*) FILTER (WHERE used_at >= created_at AND used_at <= created_at + interval '5 minutes')  AS within_5_minutes,
       count(*) FILTER (WHERE used_at >= created_at AND used_at <= created_at + interval '15 minutes') AS within_15_minutes,
       count(*) FILTER (WHERE used_at >= created_at AND used_at <= created_at + interval '60 minutes') AS within_60_minutes
FROM public.tokens WHERE created_at::date {BETWEEN}
GROUP BY 1 ORDER BY 1""",
    "new_users": f"""
SELECT date_trunc(%(every)s, joined_at)::date AS date, count(*) AS joined, count(*) FILTER (WHERE is_active) AS active
FROM public.users WHERE joined_at::date {BETWEEN}
GROUP BY 1 ORDER BY 1""",
    "summary": f"""
SELECT %(from)s::date AS "from", %(to)s::date AS "to",
       count(*) FILTER (WHERE cur AND used_at IS NOT NULL) AS visits,
       count(*) FILTER (WHERE cur) AS requested,
       count(*) FILTER (WHERE NOT cur AND used_at IS NOT NULL) AS previous_visits,
       count(*) FILTER (WHERE NOT cur) AS previous_requested,
       (SELECT count(*) FROM public.users WHERE joined_at::date BETWEEN %(from)s::date AND %(to)s::date) AS new_users,
       (SELECT count(*) FROM public.users
         WHERE joined_at::date {BOTH_PERIODS} %(from)s::date - 1) AS previous_new_users
FROM (SELECT used_at, created_at::date BETWEEN %(from)s::date AND %(to)s::date AS cur FROM public.tokens
      WHERE created_at::date {BOTH_PERIODS} %(to)s::date) AS both_periods""",
}

# Without to: the last date that has a token; without from: 29 days before. None of it without tokens.
PERIOD_QUERY = """
SELECT coalesce(%(from)s::date, coalesce(%(to)s::date, last_date) - 29)::text, coalesce(%(to)s::date, last_date)::text
FROM (SELECT max(created_at::date) FILTER (WHERE isfinite(created_at)) AS last_date, count(*) FROM public.tokens) AS t
WHERE count > 0"""


def read_cell(name, text):
    """A column's text as JSON shows it; timestamps as Python's str() does."""
    if text is None or name in ("date", "from", "to"):
        return text
    if name != "joined_at":
        return int(text)
    whole, point, rest = text.partition(".")
    digits, blank, era = rest.partition(" ")
    return whole + point + digits.ljust(6, "0") * bool(point) + blank + era


def read(database, name, parameters):
    """A report's columns, and its rows as dicts in their order."""
    values = {"from": None, "to": None, "every": "day", **parameters}
    period = database.execute(PERIOD_QUERY, values)
    if name == "summary" and period:
        values["from"], values["to"] = period[0]
    with database.connect() as session:
        columns, lines = session.execute_as_text(QUERIES[name], values)
    rows = [{column: read_cell(column, text) for column, text in zip(columns, line)} for line in lines]
    if name == "summary" and not period:
        rows = []
    if name == "user_visits":
        rows = start_after(rows, parameters)
    return columns, rows[:int(parameters["limit"])] if "limit" in parameters else rows


def start_after(users, parameters):
    """The users of user_visits in some order, those behind the last one of a page."""
    after = [int(number) for number in parameters.get("after", "").split(",") if number]
    if parameters.get("order") == "visits":
        users = sorted(users, key=lambda user: (-user["visits"], user["user_id"]))
        users = [user for user in users if not after or (-user["visits"], user["user_id"]) > (-after[0], after[1])]
    else:
        users = [user for user in users if not after or user["user_id"] > after[0]]
    return users


def render_csv(columns, rows):
    """RFC 4180: a header, CRLF, quotes where they are needed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(row.values() for row in rows)
    return text.getvalue().encode()


def answer(database, path, **parameters):
    """The bytes of any report, with any parameters, in any format."""
    name, form = path.rsplit("/", 1)[1], parameters.get("format", "json")
    columns, rows = read(database, name, parameters)
    if form == "csv":
        return render_csv(columns, rows)
    if form == "json" and name == "daily_usage":
        return jsonify({row["date"]: row["visits"] for row in rows})
    if form == "json" and name == "user_visits":
        return jsonify({str(row["user_id"]): {"joined_at": row["joined_at"], "visits": row["visits"]} for row in rows})
    return jsonify(rows)
