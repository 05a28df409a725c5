"""The plain queries of both reports in Flask, for gunicorn. Connects by libpq's own variables."""

from flask import Flask, jsonify
from psycopg2.pool import ThreadedConnectionPool

DAILY_USAGE = """
    SELECT created_at::date AS date, count(*) AS visits
      FROM tokens
     WHERE used_at IS NOT NULL
     GROUP BY 1
     ORDER BY 1"""

USER_VISITS = """
    SELECT t.user_id, u.joined_at, count(*) AS visits
      FROM tokens t
      LEFT JOIN users u ON u.id = t.user_id
     GROUP BY t.user_id, u.joined_at
     ORDER BY t.user_id"""

app = Flask(__name__)
app.json.sort_keys = False
app.json.compact = True
pool = ThreadedConnectionPool(1, 1, "")


def select(query):
    """All rows of a query."""
    connection = pool.getconn()
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()
    finally:
        pool.putconn(connection)


@app.get("/api/reports/daily_usage")
def daily_usage():
    """Used tokens per date of creation."""
    return jsonify({str(date): visits for date, visits in select(DAILY_USAGE)})


@app.get("/api/reports/user_visits")
def user_visits():
    """Tokens per user, used or not."""
    return jsonify({str(user): {"joined_at": str(joined), "visits": visits}
                    for user, joined, visits in select(USER_VISITS)})
