"""What the two reports have to answer: the contract's plain queries, rendered the way the Flask service did it."""

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
