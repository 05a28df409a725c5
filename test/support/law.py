"""What the reports have to answer: the contract's plain queries, the two first ones rendered the way the Flask service
did it."""

import json

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

# What each function of schema analytics has to answer.
FUNCTIONS = {"daily_usage": DAILY_USAGE_QUERY, "user_visits": USER_VISITS_QUERY, "days": DAYS_QUERY,
             "hours": HOURS_QUERY, "user_tokens": USER_TOKENS_QUERY}


def differences(function):
    """A query for the rows that the function has too few of (positive) or too many (negative), in one snapshot."""
    return f"""
SELECT '{function}' AS function, line, sum(side) AS missing
FROM (SELECT l::text AS line, 1 AS side FROM ({FUNCTIONS[function]}) AS l
      UNION ALL SELECT a::text, -1 FROM analytics.{function}() AS a) AS both_sides
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
