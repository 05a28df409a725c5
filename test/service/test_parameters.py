"""All reports with all their parameters, in every format: each answer equals the law, with rollups and without."""

import csv
import functools
import gzip
import io
import itertools
import json
import operator
import random
import re
import urllib.parse

import law
import pytest
from fixtures import make_database
from law import DAILY_USAGE, USER_VISITS
from reports import name_of, parameters_of, reports_with

pytestmark = pytest.mark.one_build("sanitized")

FORMATS = ["json", "records", "csv"]
TYPES = {"json": "application/json", "records": "application/json", "csv": "text/csv; charset=utf-8; header=present"}

# Tokens and users of two years and of distant days. Tokens are used at once, late, never, before they were requested,
# and at the very end of each span; at the first and last microsecond of days, weeks, months and years.
FILL = """
SELECT setseed(0.5);
DELETE FROM tokens;
DELETE FROM users;
ALTER SEQUENCE users_id_seq RESTART;
INSERT INTO users (first_name, last_name, joined_at, is_active)
SELECT 'A', 'B', timestamp '2023-01-01' + random() * interval '2 years', random() < 0.8 FROM generate_series(1, 150);
INSERT INTO users (first_name, last_name, joined_at) VALUES
  ('A', 'B', '0001-01-01'), ('A', 'B', '9999-12-31 23:59:59.999999'), ('A', 'B', '2024-02-29 00:00:00'),
  ('A', 'B', '2023-12-31 23:59:59.999999'), ('A', 'B', '2024-01-01');
INSERT INTO tokens (user_id, token, created_at, used_at)
SELECT 1 + floor(random() * random() * 120), '1', t, CASE WHEN random() < 0.8 THEN t + (random() - 0.1) * interval '90 minutes' END
  FROM (SELECT timestamp '2023-06-01' + random() * interval '1 year' AS t FROM generate_series(1, 900)) AS times;
INSERT INTO tokens (user_id, token, created_at, used_at)
SELECT 7, '1', t, t + s * interval '1 microsecond'
  FROM unnest(ARRAY['0001-01-01', '9999-12-31 23:59:59.999999', '2023-12-31 23:59:59.999999', '2024-01-01',
                    '2024-02-29 12:00', '2024-03-03 23:59:59.999999', '2024-03-04']::timestamp[]) AS t,
       unnest(ARRAY[-1, 0, 300000000, 300000001, 900000000, 900000001, 3600000000, 3600000001]) AS s"""

DATES = ["0001-01-01", "0001-01-02", "2023-05-31", "2023-06-01", "2023-12-31", "2024-01-01", "2024-02-29", "2024-03-03",
         "2024-03-04", "2024-12-31", "9999-12-30", "9999-12-31"]
PERIODS = [{}, *({"from": day} for day in DATES), *({"to": day} for day in DATES),
           *({"from": first, "to": last} for first, last in itertools.combinations_with_replacement(DATES, 2))]
VALUES = {"limit": ["1", "7", "500"]}  # of parameters whose values are no list of words
AFTER = {"id": ["0", "-5", "1", "7", "999999999999999999"], "visits": ["3,7", "56,7", "2,0", "0,0", "-1,5", "1,999999"]}
REQUESTS_MAX = 60  # per report, chosen at random after the first few


def values_of(path, name):
    """Good values of a parameter."""
    values = parameters_of(path)[name].get("enum") or VALUES.get(name)
    assert values, f"VALUES names none for the parameter {name} of {path}"
    return values


def requests_of(path):
    """Every way to ask for a report that its parameters allow, each with some of its values; in any format."""
    names = set(parameters_of(path)) - {"format"}
    choices = [PERIODS] if {"from", "to"} <= names else []
    choices += [[{}, *({name: value} for value in values_of(path, name))] for name in sorted(names - {"from", "to", "after"})]
    found = [functools.reduce(operator.or_, chosen, {}) for chosen in itertools.product(*choices)]
    if "after" in names:
        found += [{**asked, "after": after} for asked in found for after in AFTER[asked.get("order", "id")]]
    if name_of(path) == "summary":  # its plain query fails before PostgreSQL's earliest date
        found = [asked for asked in found if asked.get("to", "9")[0] != "9" or asked.get("from", "9")[0] == "9"]
    return found


@pytest.fixture(scope="module", params=["on", "off"])
def data(server, request):
    """The rows above, with or without rollups. Half of them are folded, and some have changed since."""
    database = make_database(server, ROLLUPS=request.param)
    database.rollups = request.param
    database.execute(FILL)
    if request.param == "on":
        for most in (0, 0, 700):
            database.execute("SELECT coworking_analytics_keeper.fold(%s, 0)", (most,))
        database.execute("UPDATE tokens SET used_at = used_at WHERE id % 5 = 0")
        kept = "SELECT sum(tokens) = 700, coworking_analytics.uses_rollups() FROM coworking_analytics.user_tokens"
        assert database.execute(kept) == [(True, True)]
        assert database.execute("SELECT count(*) > 100 FROM coworking_analytics.token_changes") == [(True,)]
    return database


@pytest.fixture(scope="module")
def data_service(run_for_module, data):
    """A service on that database."""
    return run_for_module(data, ROLLUPS=data.rollups)


def ask(service, path, headers=None, **parameters):
    """Sends GET with parameters."""
    return service.request(f"{path}?{urllib.parse.urlencode(parameters)}", headers=headers)


@pytest.mark.parametrize("path", law.REPORTS)
def test_every_answer_equals_the_law(data_service, data, path):
    all_requests = requests_of(path)
    requests = all_requests[:4] + random.Random(path).sample(all_requests, min(REQUESTS_MAX, len(all_requests)))
    for number, parameters in enumerate(requests):
        form = FORMATS[number % 3]
        answer = ask(data_service, path, **parameters, format=form)
        assert (answer.status, answer.body) == (200, law.answer(data, path, **parameters, format=form)), parameters
        assert answer.headers["Content-Type"] == TYPES[form]


# test_reports.py has the requests without parameters, and the goldens' data.


@pytest.mark.parametrize("path", law.REPORTS)
@pytest.mark.parametrize("form", FORMATS)
def test_formats(service, database, path, form):
    answer = ask(service, path, format=form)
    assert (answer.status, answer.body) == (200, law.answer(database, path, format=form))
    assert answer.headers["Content-Type"] == TYPES[form]
    assert answer.headers["Content-Disposition"] == (f'attachment; filename="{name_of(path)}.csv"' if form == "csv" else None)
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize("path", law.REPORTS)
def test_records_and_csv_have_the_same_rows(service, path):
    records = ask(service, path, format="records").json()
    lines = list(csv.DictReader(io.StringIO(ask(service, path, format="csv").body.decode(), newline="")))
    assert lines == [{name: str(value) for name, value in record.items()} for record in records] != []


@pytest.mark.parametrize("path", law.REPORTS)
@pytest.mark.parametrize("form", FORMATS)
def test_no_rows(run, server, path, form):
    database = make_database(server)
    database.clear()
    answer = ask(run(database), path, format=form)
    assert (answer.status, answer.body) == (200, law.answer(database, path, format=form))
    assert answer.body in (b"{}\n", b"[]\n") or answer.body.count(b"\r\n") == 1


@pytest.mark.parametrize("accept, parameters, form", [
    ("text/csv", {}, "csv"),
    ("text/csv, */*;q=0.1", {}, "csv"),
    ("text/*", {}, "csv"),
    ("application/json", {}, "json"),
    ("*/*", {}, "json"),
    ("text/csv;q=0.1, application/json", {}, "json"),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", {}, "json"),
    ("image/png", {}, "json"),
    ("text/csv;q=0", {}, "json"),
    ("", {}, "json"),
    ("text/csv", {"format": "json"}, "json"),
    ("text/csv", {"format": "records"}, "records"),
    ("application/json", {"format": "csv"}, "csv"),
])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_accept(service, database, accept, parameters, form, method):
    expected = law.answer(database, DAILY_USAGE, format=form)
    answer = service.request(f"{DAILY_USAGE}?{urllib.parse.urlencode(parameters)}", method, headers={"Accept": accept})
    assert (answer.status, answer.headers["Content-Type"]) == (200, TYPES[form])
    assert answer.body == (expected if method == "GET" else b"")
    assert answer.headers["Content-Length"] == str(len(expected))


def test_csv_in_gzip(service, database):
    answer = ask(service, USER_VISITS, {"Accept": "text/csv", "Accept-Encoding": "gzip"})
    assert (answer.status, answer.headers["Content-Encoding"]) == (200, "gzip")
    assert gzip.decompress(answer.body) == law.answer(database, USER_VISITS, format="csv")


def test_each_format_and_each_period_has_a_tag_of_its_own(service, database):
    asked = [({}, {}), ({"format": "records"}, {}), ({"format": "csv"}, {}), ({"from": "2024-03-02"}, {}),
             ({"to": "2024-03-02"}, {}), ({"every": "week"}, {}), ({"every": "month"}, {}), ({}, {"Accept": "text/csv"})]

    def look():
        tags = [ask(service, DAILY_USAGE, headers, **parameters).headers["ETag"] for parameters, headers in asked]
        others = [", ".join(tag for tag in tags if tag != left_out) for left_out in tags]
        return tags, [ask(service, DAILY_USAGE, {"If-None-Match": named}).status for named in others]

    tags, statuses = database.while_nothing_is_written(look)
    assert len(set(tags)) == len(tags)
    assert statuses == [200] + [304] * (len(asked) - 1)


def test_a_kept_answer_has_the_requested_format(run, own_server):
    """One worker, and no write in between: it finds kept answers by format and parameters."""
    database = make_database(own_server)
    service = run(database, FCGI_WORKERS="1")
    asked = [({}, {}), ({"format": "csv"}, {}), ({"format": "records"}, {}), ({}, {"Accept": "text/csv"}),
             ({"limit": "2"}, {}), ({"limit": "2"}, {"Accept": "text/csv"}), ({"limit": "2", "order": "visits"}, {})]

    def look(headers, parameters):
        answer = ask(service, USER_VISITS, headers, **parameters)
        return answer, ask(service, USER_VISITS, {**headers, "If-None-Match": answer.headers["ETag"]}, **parameters)

    for _ in range(3):
        for parameters, headers in asked:
            answer, again = database.while_nothing_is_written(functools.partial(look, headers, parameters))
            form = "csv" if headers else parameters.get("format", "json")
            assert answer.body == law.answer(database, USER_VISITS, **{**parameters, "format": form})
            assert (answer.headers["Link"] is not None) == ("limit" in parameters)
            assert (answer.headers["Content-Disposition"] is not None) == (form == "csv")
            assert again.status == 304


# Pages


def next_page(answer):
    """The target of the Link header, or None."""
    link = answer.headers["Link"]
    return urllib.parse.urljoin(USER_VISITS, re.fullmatch(r'<([^/>]*)>; rel="next"', link)[1]) if link else None


@pytest.mark.parametrize("limit", [1, 2, 13, 100, 119, 120, 121, 500])
@pytest.mark.parametrize("order", ["id", "visits"])
@pytest.mark.parametrize("form", FORMATS)
def test_all_pages_together_are_the_whole_report(data_service, data, limit, order, form):
    expected = law.read(data, "user_visits", {"order": order})[1]
    address, found, pages = f"{USER_VISITS}?format={form}&limit={limit}&order={order}", [], 0
    while address:
        answer = data_service.get(address)
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
        assert (query["limit"], query["order"], query["format"]) == ([str(limit)], [order], [form])
        rows = read_rows(answer, form)
        assert 0 < len(rows) <= limit
        found, pages, address = found + rows, pages + 1, next_page(answer)
    assert found == expected
    assert pages == -(-len(expected) // limit)


def read_rows(answer, form):
    """The rows of a page of user_visits as records, whatever the format."""
    if form == "csv":
        lines = csv.DictReader(io.StringIO(answer.body.decode(), newline=""))
        return [{"user_id": int(line["user_id"]), "joined_at": line["joined_at"], "visits": int(line["visits"])}
                for line in lines]
    if form == "records":
        return answer.json()
    return [{"user_id": int(user), **members} for user, members in json.loads(answer.body, object_pairs_hook=dict).items()]


@pytest.mark.parametrize("method, start", [("GET", b"HTTP/1.1"), ("HEAD", b"HTTP/1.1"), ("GET", b"HTTP/1.0")])
def test_the_next_page_is_named_under_every_method_and_version(service, method, start):
    request = f"{method} {USER_VISITS}?limit=2 {start.decode()}\r\nHost: a\r\nConnection: close\r\n\r\n"
    head = service.raw(request.encode()).split(b"\r\n\r\n")[0]
    assert b'\r\nLink: <user_visits?limit=2&after=7>; rel="next"\r\n' in head + b"\r\n"


def test_the_widest_page_has_a_length_and_a_link(run, server):
    database = make_database(server)
    database.execute("""
        TRUNCATE users, tokens;
        INSERT INTO users (id, first_name, last_name, joined_at)
        SELECT 2147483647 - n, 'A', 'B', '294276-12-31 23:59:59.999999' FROM generate_series(1, 501) AS n;
        INSERT INTO tokens (user_id, token, created_at) SELECT id, '1', '2024-01-01' FROM users""")
    service = run(database)
    for form in FORMATS:
        answer = ask(service, USER_VISITS, limit=500, format=form)
        assert answer.body == law.answer(database, USER_VISITS, limit="500", format=form)
        assert answer.headers["Content-Length"] == str(len(answer.body))
        assert f"&after={2147483647 - 2}&" in next_page(answer) + "&"


# Invalid parameters


@pytest.mark.parametrize("path, query, detail", [
    (DAILY_USAGE, "from=2024-02-30", "'from' is '2024-02-30'; allowed: a day of the calendar as YYYY-MM-DD"),
    (DAILY_USAGE, "from=0000-12-31", "'from' is '0000-12-31'; allowed: a day"),
    (DAILY_USAGE, "to=10000-01-01", "'to' is '10000-01-01'; allowed: a day"),
    (DAILY_USAGE, "to=", "'to' is ''; allowed: a day"),
    (DAILY_USAGE, "to", "'to' is ''; allowed: a day"),
    (DAILY_USAGE, "from=2024-03-02&to=2024-03-01", "'from' is '2024-03-02'; allowed: no day after 'to'"),
    (DAILY_USAGE, "from=2024-03-01&from=2024-03-01", "'from' is given twice; allowed here: from, to, every, format"),
    (DAILY_USAGE, "every=year", "'every' is 'year'; allowed: day, week, month"),
    (DAILY_USAGE, "every=Day", "'every' is 'Day'; allowed: day, week, month"),
    (DAILY_USAGE, "format=xml", "'format' is 'xml'; allowed: json, records, csv"),
    (DAILY_USAGE, "limit=1", "'limit' is unknown; allowed here: from, to, every, format"),
    (USER_VISITS, "limit=0", "'limit' is '0'; allowed: a whole number from 1 to 500"),
    (USER_VISITS, "limit=501", "'limit' is '501'; allowed: a whole number from 1 to 500"),
    (USER_VISITS, "limit=1.5", "'limit' is '1.5'; allowed: a whole number from 1 to 500"),
    (USER_VISITS, "after=x", "'after' is 'x'; allowed: at most 2 whole numbers"),
    (USER_VISITS, "after=1,2", "'after' is '1,2'; allowed: user_id with order=id"),
    (USER_VISITS, "after=1&order=visits", "'after' is '1'; allowed: visits,user_id with order=visits"),
    (USER_VISITS, "after=1;DROP", "'after' is '1;DROP'; allowed: at most 2 whole numbers"),
    (USER_VISITS, "order=name", "'order' is 'name'; allowed: id, visits"),
    (USER_VISITS, "from=2024-03-01", "'from' is unknown; allowed here: limit, after, order, format"),
    ("/api/reports/hourly_usage", "every=day", "'every' is unknown; allowed here: from, to, format"),
    ("/api/reports/token_redemption", "every=day", "'every' is unknown; allowed here: from, to, format"),
    ("/api/reports/new_users", "to=2024-13-01", "'to' is '2024-13-01'; allowed: a day"),
    ("/api/reports/summary", "from=2024-03-02&to=2024-03-01", "'from' is '2024-03-02'; allowed: no day after 'to'"),
])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_refused(service, path, query, detail, method):
    answer = service.request(f"{path}?{query}", method)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert answer.headers["ETag"] is None and answer.headers["Link"] is None
    if method == "GET":
        assert answer.json()["detail"].startswith("query parameter " + detail)


# Dates at the edges. TRUNCATE is not used, since it would set the rollups aside.


@pytest.mark.parametrize("tokens, parameters, expected", [
    ([], {}, []),
    ([], {"from": "2024-01-01", "to": "2024-01-31"}, []),
    (["infinity"], {}, []),
    (["-infinity", "infinity"], {"to": "2024-01-31"}, [("2024-01-02", "2024-01-31", 0, 0)]),
    (["2024-03-04", "infinity"], {}, [("2024-02-04", "2024-03-04", 1, 0)]),
    (["2024-03-04", "2024-02-03"], {}, [("2024-02-04", "2024-03-04", 1, 1)]),
    (["2024-03-04"], {"from": "2024-03-04"}, [("2024-03-04", "2024-03-04", 1, 0)]),
    (["2024-03-04"], {"from": "2024-03-05"}, [("2024-03-05", "2024-03-04", 0, 0)]),
    (["0001-01-01"], {"to": "0001-01-01"}, [("0001-12-03 BC", "0001-01-01", 1, 0)]),
    (["0001-12-02 BC"], {"to": "0001-01-01"}, [("0001-12-03 BC", "0001-01-01", 0, 1)]),
    (["9999-12-31", "-infinity"], {"from": "0001-01-01", "to": "9999-12-31"}, [("0001-01-01", "9999-12-31", 1, 0)]),
])
def test_summary_s_period(data_service, data, tokens, parameters, expected):
    """tokens: their dates. expected: first and last day, requested and previous_requested."""
    data.execute("DELETE FROM tokens; DELETE FROM users")
    data.execute("INSERT INTO users (id, first_name, last_name, joined_at) VALUES (1, 'A', 'B', '2024-01-01')")
    for created_at in tokens:
        data.execute("INSERT INTO tokens (user_id, token, created_at) VALUES (1, '1', %s)", (created_at,))
    found = ask(data_service, "/api/reports/summary", **parameters).json()
    assert [(row["from"], row["to"], row["requested"], row["previous_requested"]) for row in found] == expected


@pytest.mark.parametrize("path", [path for path in law.REPORTS if name_of(path) != "summary"])
def test_days_beyond_the_calendar(data_service, data, path):
    data.execute("""
        DELETE FROM tokens;
        DELETE FROM users;
        INSERT INTO users (id, first_name, last_name, joined_at) VALUES (1, 'A', 'B', 'infinity'), (2, 'A', 'B', '-infinity'),
          (3, 'A', 'B', '0044-03-15 12:00:00.5 BC'), (4, 'A', 'B', '294276-12-31 23:59:59.999999');
        INSERT INTO tokens (user_id, token, created_at, used_at)
        SELECT n, '1', t, '2024-01-01' FROM generate_series(1, 4) AS n,
               unnest(ARRAY['infinity', '-infinity', '0044-03-15 12:00 BC', '2024-03-01']::timestamp[]) AS t""")
    for form in FORMATS:
        for asked in ({}, {"from": "2024-01-01"}, {"to": "2024-12-31"}, {"every": "month"}):
            if path not in reports_with(*asked):
                continue
            answer = ask(data_service, path, **asked, format=form)
            assert (answer.status, answer.body) == (200, law.answer(data, path, **asked, format=form)), asked


def put_lone_row(database, moment, user=1):
    """Leaves one user, who joined, requested a token and used it at one time; the token has the user's id."""
    database.execute("""
        DELETE FROM tokens;
        DELETE FROM users;
        INSERT INTO users (id, first_name, last_name, joined_at) VALUES (%(user)s, 'A', 'B', %(moment)s);
        INSERT INTO tokens (id, user_id, token, created_at, used_at)
        VALUES (%(user)s, %(user)s, '1', %(moment)s, %(moment)s)""", {"user": user, "moment": moment})


@pytest.mark.parametrize("moment, every, first_day", [
    ("4714-11-24 BC", "day", "4714-11-24 BC"),
    ("4714-11-24 BC", "week", "4714-11-24 BC"),
    ("4714-11-24 BC", "month", "4714-11-24 BC"),
    ("4714-11-30 23:59:59.999999 BC", "week", "4714-11-24 BC"),
    ("4714-11-30 23:59:59.999999 BC", "month", "4714-11-24 BC"),
    ("4714-12-02 BC", "week", "4714-12-01 BC"),
    ("4714-12-31 BC", "month", "4714-12-01 BC"),
    ("-infinity", "week", "-infinity"),
    ("-infinity", "month", "-infinity"),
    ("infinity", "week", "infinity"),
    ("infinity", "month", "infinity"),
    ("294276-12-31 23:59:59.999999", "week", "294276-12-25"),
    ("294276-12-31 23:59:59.999999", "month", "294276-12-01"),
])
@pytest.mark.parametrize("path", reports_with("every"))
def test_steps_at_the_ends_of_time(data_service, data, path, moment, every, first_day):
    put_lone_row(data, moment)
    assert [row["date"] for row in ask(data_service, path, every=every, format="records").json()] == [first_day]


@pytest.mark.parametrize("moment, first, last", [
    ("4714-11-24 BC", "4714-11-24 BC", "4714-11-24 BC"),
    ("4714-12-22 BC", "4714-11-24 BC", "4714-12-22 BC"),
    ("4714-12-24 BC", "4714-11-25 BC", "4714-12-24 BC"),
    ("294276-12-31", "294276-12-02", "294276-12-31"),
])
def test_summary_at_the_ends_of_time(data_service, data, moment, first, last):
    put_lone_row(data, moment)
    [row] = ask(data_service, "/api/reports/summary").json()
    assert (row["from"], row["to"], row["visits"], row["previous_visits"], row["new_users"]) == (first, last, 1, 0, 1)


ODD_PERIODS = ["", "from=0001-01-01", "to=0001-01-01", "from=9999-12-31", "from=0001-01-01&to=9999-12-31"]
ODD_PAGES = ["", "after=-999999999999999999", "after=999999999999999999&limit=500", "order=visits&limit=1",
             "order=visits&after=999999999999999999,-999999999999999999"]


@pytest.mark.parametrize("moment", ["-infinity", "4714-11-24 BC", "4714-12-22 BC", "0001-12-31 BC", "9999-12-31",
                                    "294276-12-31 23:59:59.999999", "infinity"])
@pytest.mark.parametrize("user", [-2147483648, 0, 2147483647])
def test_a_lone_row_is_not_an_error(data_service, data, moment, user):
    put_lone_row(data, moment, user)
    for path in law.REPORTS:
        for query in ODD_PAGES if "after" in parameters_of(path) else ODD_PERIODS:
            assert data_service.get(f"{path}?{query}").status == 200, (path, query)
