"""The reports, byte for byte, with any data, role settings and client protocol; and while others write, each answer
is of one snapshot."""

import datetime
import gzip
import json
import os
import subprocess
import threading

import law
import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pytest
from background import Background
from fixtures import make_database
from law import DAILY_USAGE, USER_VISITS
from postgres import ROOT, wait_until
from reports import name_of

pytestmark = pytest.mark.one_build("sanitized")

GOLDEN = ROOT / "test/service/golden"
REPORTS = [DAILY_USAGE, USER_VISITS]


def golden(path, prefix=""):
    """The golden file with a report's bytes."""
    file = GOLDEN / f"{prefix}{name_of(path)}.json"
    if not file.exists():
        pytest.fail(f"{file.relative_to(ROOT)} is missing: `make goldens` writes it; check what it says before you commit it")
    return file.read_bytes()


@pytest.mark.parametrize("path", law.REPORTS)
def test_every_report_has_its_plain_query(path):
    assert name_of(path) in law.QUERIES, f"QUERIES in test/support/law.py lacks the plain query that {path} has to equal"


def test_goldens_are_those_of_the_reports():
    """Each report has one for the example's rows and one for the sample data, and there are no others."""
    wanted = {f"{prefix}{name_of(path)}.json" for path in law.REPORTS for prefix in ("", "sample_")}
    hint = "run `make goldens`, and check what it has changed before you commit it"
    assert {file.name for file in GOLDEN.iterdir()} == wanted, hint


@pytest.mark.parametrize("path", law.REPORTS)
def test_goldens_are_what_the_plain_queries_say(database, path):
    assert golden(path) == law.answer(database, path), "run `make goldens`, and check what it has changed"


@pytest.fixture(scope="module")
def scratch(server):
    """A migrated database whose rows each test replaces."""
    return make_database(server)


@pytest.fixture(scope="module")
def scratch_service(run_for_module, scratch):
    """A service on that database."""
    return run_for_module(scratch)


def fill(database, *visits):
    """Replaces all rows by these: (user id, joined_at, created_at) each; every token is used."""
    with database.connect() as connection:
        connection.execute("TRUNCATE users, tokens RESTART IDENTITY")
        for user, joined_at, created_at in visits:
            connection.execute("INSERT INTO users (id, first_name, last_name, joined_at) VALUES (%s, 'A', 'B', %s)"
                               " ON CONFLICT DO NOTHING", (user, joined_at))
            connection.execute("INSERT INTO tokens (user_id, token, created_at, used_at)"
                               " VALUES (%s, '123456', %s, '2024-01-01')", (user, created_at))


@pytest.mark.parametrize("path", law.REPORTS)
def test_example_is_byte_identical(service, path):
    answer = service.get(path)
    assert (answer.status, answer.body) == (200, golden(path))
    assert answer.headers["Content-Type"] == "application/json"
    assert service.get(f"{path}?format=json").body == golden(path)


@pytest.mark.parametrize("path", law.REPORTS)
def test_example_over_plain_cgi(programs, database, path):
    head, body = run_cgi(programs, database, PATH_INFO=path)
    assert head["Status"] == "200 OK"
    assert head["Content-Type"] == "application/json"
    assert (int(head["Content-Length"]), body) == (len(golden(path)), golden(path))


def run_cgi(programs, database, status=0, **variables):
    """Runs the worker as a plain CGI program for one request; returns header and body."""
    finished = subprocess.run([programs / "analytics-fcgi"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20,
                              env={**os.environ, **database.environment(), "REQUEST_METHOD": "GET", **variables})
    assert finished.returncode == status, finished.stderr
    for line in finished.stderr.splitlines():
        assert json.loads(line)["event"], line
    head, body = finished.stdout.split(b"\r\n\r\n", 1)
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")), body


def test_cgi_takes_script_name_and_request_uri(programs, database):
    expected = golden(DAILY_USAGE)
    assert run_cgi(programs, database, SCRIPT_NAME="/api", PATH_INFO="/reports/daily_usage")[1] == expected
    assert run_cgi(programs, database, REQUEST_URI=f"{DAILY_USAGE}?")[1] == expected


@pytest.mark.parametrize("variables, code", [
    ({"PATH_INFO": "/no/such/path"}, 404),
    ({"PATH_INFO": DAILY_USAGE, "REQUEST_METHOD": "POST"}, 405),
    ({"PATH_INFO": DAILY_USAGE, "QUERY_STRING": "colour=red"}, 400),
    ({"PATH_INFO": DAILY_USAGE, "DB_NAME": "no_such_database"}, 503),
    ({"PATH_INFO": DAILY_USAGE, "DB_PORT": "1"}, 503),
])
def test_cgi_errors_are_problem_documents(programs, database, variables, code):
    head, body = run_cgi(programs, database, HTTP_X_REQUEST_ID="from-a-test", **variables)
    assert head["Status"].startswith(f"{code} ")
    assert head["Content-Type"] == "application/problem+json"
    problem = json.loads(body)
    assert (problem["status"], problem["instance"]) == (code, "urn:request:from-a-test")


def test_cgi_head_has_the_length_and_no_body(programs, database):
    head, body = run_cgi(programs, database, PATH_INFO=USER_VISITS, REQUEST_METHOD="HEAD")
    assert (int(head["Content-Length"]), body) == (len(golden(USER_VISITS)), b"")


@pytest.mark.parametrize("path", REPORTS)
def test_empty_database(scratch, scratch_service, path):
    scratch.clear()
    answer = scratch_service.get(path)
    assert (answer.status, answer.body) == (200, b"{}\n")


@pytest.mark.parametrize("stored, shown", [
    ("2024-01-05 08:00:00", "2024-01-05 08:00:00"),
    ("2024-01-05 08:00:00.000000", "2024-01-05 08:00:00"),
    ("2024-01-05 08:00:00.5", "2024-01-05 08:00:00.500000"),
    ("2024-01-05 08:00:00.25", "2024-01-05 08:00:00.250000"),
    ("2024-01-05 08:00:00.125", "2024-01-05 08:00:00.125000"),
    ("2024-01-05 08:00:00.0625", "2024-01-05 08:00:00.062500"),
    ("2024-01-05 08:00:00.75781", "2024-01-05 08:00:00.757810"),
    ("2024-01-05 08:00:00.123456", "2024-01-05 08:00:00.123456"),
    ("2024-01-05 08:00:00.000001", "2024-01-05 08:00:00.000001"),
    ("2024-01-05 08:00:00.100000", "2024-01-05 08:00:00.100000"),
    ("2024-01-05 23:59:59.999999", "2024-01-05 23:59:59.999999"),
    ("2024-01-05 23:59:59.9999999", "2024-01-06 00:00:00"),
    ("2024-02-29 00:00:00", "2024-02-29 00:00:00"),
    ("0001-01-01 00:00:00", "0001-01-01 00:00:00"),
    ("0001-12-31 23:59:59.999999", "0001-12-31 23:59:59.999999"),
    ("0099-06-15 12:00:00.5", "0099-06-15 12:00:00.500000"),
    ("0999-12-31 01:02:03", "0999-12-31 01:02:03"),
    ("1582-10-10 10:10:10.1", "1582-10-10 10:10:10.100000"),
    ("1969-12-31 23:59:59.9", "1969-12-31 23:59:59.900000"),
    ("9999-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999"),
])
def test_timestamps(scratch, scratch_service, stored, shown):
    fill(scratch, (1, stored, stored))
    assert scratch_service.get(USER_VISITS).body == b'{"1":{"joined_at":"%s","visits":1}}\n' % shown.encode()
    assert scratch_service.get(DAILY_USAGE).body == b'{"%s":1}\n' % shown[:10].encode()
    assert str(datetime.datetime.fromisoformat(shown)) == shown  # as the Flask service printed them


def test_dates_of_the_first_and_last_years_are_in_order(scratch, scratch_service):
    years = [9999, 1, 10, 2024, 999, 1000, 100, 1970]
    fill(scratch, *((1, "2024-01-01", f"{year:04}-07-01 12:00:00") for year in years))
    expected = law.jsonify({f"{year:04}-07-01": 1 for year in sorted(years)})
    assert scratch_service.get(DAILY_USAGE).body == expected


def test_user_ids_are_in_numerical_order(scratch, scratch_service):
    users = [2147483647, 10, 9, 100, 2147483646, 1, 99, 1000000000, 2]
    fill(scratch, *((user, "2024-01-01", "2024-01-02") for user in users))
    pairs = json.loads(scratch_service.get(USER_VISITS).body, object_pairs_hook=list)
    assert [int(key) for key, _ in pairs] == sorted(users)
    assert scratch_service.get(USER_VISITS).body == law.user_visits(scratch)


def test_users_without_tokens_are_left_out_and_unused_tokens_count_only_in_user_visits(scratch, scratch_service):
    fill(scratch, (1, "2024-01-01", "2024-01-02"))
    scratch.execute("INSERT INTO users (id, first_name, last_name, joined_at) VALUES (2, 'A', 'B', '2024-01-01'),"
                    " (3, 'A', 'B', '2024-01-03')")
    scratch.execute("INSERT INTO tokens (user_id, token, created_at) VALUES (3, '1', '2024-01-09')")
    assert scratch_service.get(USER_VISITS).body == (b'{"1":{"joined_at":"2024-01-01 00:00:00","visits":1},'
                                                     b'"3":{"joined_at":"2024-01-03 00:00:00","visits":1}}\n')
    assert scratch_service.get(DAILY_USAGE).body == b'{"2024-01-02":1}\n'


def test_many_visits_of_one_day_and_user(scratch, scratch_service):
    fill(scratch, (1, "2024-01-01", "2024-01-02"))
    scratch.execute("INSERT INTO tokens (user_id, token, created_at, used_at)"
                    " SELECT 1, '1', '2024-01-02', '2024-01-02' FROM generate_series(1, 123455)")
    assert scratch_service.get(DAILY_USAGE).body == b'{"2024-01-02":123456}\n'
    assert scratch_service.get(USER_VISITS).body == b'{"1":{"joined_at":"2024-01-01 00:00:00","visits":123456}}\n'


def test_sample_data(run, server):
    database = server.create_database(f"sample_{os.urandom(4).hex()}")
    database.run_file(ROOT / "sql/coworking/sample.sql")
    assert database.execute("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM tokens),"
                            " count(DISTINCT created_at::date) >= 60 FROM tokens") == [(1000, 2500, True)]
    service = run(database)  # starting a service migrates
    for path in law.REPORTS:
        body = service.get(path).body
        assert body == law.answer(database, path)
        assert body == golden(path, "sample_")


@pytest.mark.parametrize("setting", [
    "DateStyle = 'SQL, DMY'",
    "DateStyle = 'German'",
    "DateStyle = 'Postgres, MDY'",
    "TimeZone = 'Pacific/Kiritimati'",
    "TimeZone = 'America/St_Johns'",
    "search_path = 'impostor'",
    "search_path = impostor, pg_catalog, public",
    "default_transaction_isolation = 'serializable'",
    "default_transaction_isolation = 'repeatable read'",
    "default_transaction_read_only = 'on'",
    "default_transaction_deferrable = 'on'",
    "client_encoding = 'LATIN1'",
    "IntervalStyle = 'sql_standard'",
    "standard_conforming_strings = 'off'",
    "extra_float_digits = '-15'",
    "plan_cache_mode = 'force_custom_plan'",
    "plan_cache_mode = 'force_generic_plan'",
    "enable_hashagg = 'off'",
    "enable_sort = 'off'",
])
def test_output_is_independent_of_the_role_s_settings(programs, impostor, setting):
    role = impostor.user
    name = setting.split(" = ")[0]
    impostor.execute(f"ALTER ROLE {role} SET {setting}")
    try:
        for path in law.REPORTS:
            head, body = run_cgi(programs, impostor, PATH_INFO=path)
            assert (head["Status"], body) == ("200 OK", golden(path))
    finally:
        impostor.execute(f"ALTER ROLE {role} RESET {name}")


@pytest.mark.parametrize("variables", [
    {"PGDATESTYLE": "German"},
    {"PGTZ": "Pacific/Kiritimati"},
    {"PGCLIENTENCODING": "LATIN1"},
    {"PGOPTIONS": "-c search_path=impostor -c DateStyle=SQL -c TimeZone=Asia/Tokyo"},
    {"PGAPPNAME": "reports"},
    {"TZ": "Asia/Tokyo"},
    {"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"},
])
def test_output_is_independent_of_the_environment(programs, impostor, variables):
    for path in law.REPORTS:
        assert run_cgi(programs, impostor, PATH_INFO=path, **variables)[1] == golden(path)


@pytest.fixture(scope="module")
def impostor(server):
    """The example and a plain reader. Another schema has tables and functions with the same names."""
    database = make_database(server)
    database.execute("""
        CREATE ROLE settings_reader LOGIN PASSWORD 'settings reader' IN ROLE coworking_analytics_reader;
        CREATE SCHEMA impostor;
        CREATE TABLE impostor.users (id integer, joined_at timestamp);
        CREATE TABLE impostor.tokens (user_id integer, created_at timestamp, used_at timestamp);
        INSERT INTO impostor.tokens VALUES (1, '1999-01-01', '1999-01-01');
        CREATE FUNCTION impostor.count() RETURNS bigint LANGUAGE sql AS 'SELECT 666::bigint';
        CREATE FUNCTION impostor.concat_ws(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS $$SELECT 'impostor'$$;
        GRANT USAGE ON SCHEMA impostor TO PUBLIC;
        GRANT SELECT ON ALL TABLES IN SCHEMA impostor TO PUBLIC""")
    database.user, database.password = "settings_reader", "settings reader"
    yield database
    database.execute("DROP OWNED BY settings_reader; DROP ROLE settings_reader")


def test_an_idle_connection_that_the_server_ended_fails_no_request(run, server):
    database = make_database(server)
    database.execute(f"ALTER DATABASE {database.name} SET idle_session_timeout = '150ms'")
    service = run(database)
    for path in REPORTS * 3:
        wait_until(lambda: database.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'coworking-analytics'",
            (database.name,)) == [(0,)], 5, "the end of the workers' sessions")
        answer = service.get(path)
        assert (answer.status, answer.body) == (200, golden(path))


# One snapshot

DAYS, USERS, TOKENS = 40, 50, 2000


class Writers(Background):
    """Writers that move visits between dates and users; the totals are the same in every snapshot."""

    REFILL = f"""
        INSERT INTO tokens (user_id, token, created_at, used_at)
        SELECT 1 + floor(random() * {USERS}), '1', date '2024-01-01' + floor(random() * {DAYS})::integer, '2024-06-01'
          FROM generate_series(1, {TOKENS})"""
    MOVE = """
        WITH gone AS (DELETE FROM tokens WHERE id IN (
            SELECT id FROM tokens ORDER BY random() LIMIT 25 FOR UPDATE SKIP LOCKED) RETURNING id)
        SELECT count(*) FROM gone"""
    ARRIVE = f"""
        INSERT INTO tokens (user_id, token, created_at, used_at)
        SELECT 1 + floor(random() * {USERS}), '1', date '2024-01-01' + floor(random() * {DAYS})::integer, '2024-06-01'
          FROM generate_series(1, %s)"""
    TURN = f"""
        UPDATE tokens SET created_at = date '2024-01-01' + ({DAYS - 1} - (created_at::date - date '2024-01-01')),
                          user_id = {USERS + 1} - user_id
         WHERE id %% 3 = %s"""

    def __init__(self, database):
        super().__init__(*((self._write, kind) for kind in ("move", "move", "turn", "truncate")))
        self.database = database
        self.transactions = dict.fromkeys(("move", "turn", "truncate"), 0)
        self.problems = []

    def __enter__(self):
        self.database.execute("TRUNCATE users, tokens RESTART IDENTITY")
        self.database.execute("INSERT INTO users (id, first_name, last_name, joined_at)"
                              f" SELECT n, 'A', 'B', '2024-01-01' FROM generate_series(1, {USERS}) AS n")
        self.database.execute(self.REFILL)
        return super().__enter__()

    def _write(self, kind):
        connection = self.database.connect()
        connection.raw.autocommit = False
        cursor = connection.raw.cursor()
        while not self.stopping.is_set():
            try:
                getattr(self, f"_{kind}")(cursor)
                connection.raw.commit()
                self.transactions[kind] += 1
            except psycopg2.errors.DeadlockDetected:  # between these writers
                connection.raw.rollback()
            except psycopg2.Error as error:
                self.problems.append(str(error))
                connection.raw.rollback()
            self.stopping.wait(0.3 if kind == "truncate" else 0.005)
        connection.close()

    def _move(self, cursor):
        cursor.execute(self.MOVE)
        cursor.execute(self.ARRIVE, cursor.fetchone())

    def _turn(self, cursor):
        cursor.execute(self.TURN, (self.transactions["turn"] % 3,))

    def _truncate(self, cursor):
        cursor.execute("TRUNCATE tokens")
        cursor.execute(self.REFILL)


def read_totals(service, path, reads, totals):
    """Keeps reading a report over one connection, and collects the totals."""
    connection = service.connect()
    for _ in range(reads):
        connection.request("GET", path)
        response = connection.getresponse()
        document = json.loads(response.read())
        visits = document.values() if path == DAILY_USAGE else [user["visits"] for user in document.values()]
        totals.append(sum(visits) if response.status == 200 else f"status {response.status}")
    connection.close()


def test_every_answer_is_of_one_snapshot(scratch, scratch_service):
    totals = {path: [] for path in REPORTS}
    with Writers(scratch) as writers:
        readers = [threading.Thread(target=read_totals, args=(scratch_service, path, 300, totals[path]), daemon=True)
                   for path in REPORTS * 2]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(120)
        wait_until(lambda: all(count >= 3 for count in writers.transactions.values()), 30, "some of each transaction")
    assert writers.problems == []
    assert [len(totals[path]) for path in REPORTS] == [600, 600]
    assert {path: set(seen) for path, seen in totals.items()} == {path: {TOKENS} for path in REPORTS}


def test_a_torn_read_would_be_noticed(scratch, scratch_service):
    """A control for the test above: the same writers, and a reader that uses two statements."""
    torn = f"SELECT count(*) FROM tokens WHERE used_at IS NOT NULL AND created_at %s date '2024-01-01' + {DAYS // 2}"
    with Writers(scratch), scratch.connect() as reader:
        def is_torn():
            read_totals(scratch_service, DAILY_USAGE, 1, [])
            return sum(reader.execute(torn.replace("%s", side))[0][0] for side in ("<", ">=")) != TOKENS

        wait_until(is_torn, 30, "a torn read")


def test_answers_equal_the_law_after_each_of_many_writes(scratch, scratch_service):
    fill(scratch, (1, "2024-01-01", "2024-01-02"))
    connection = scratch_service.connect()
    statements = [
        "INSERT INTO users (id, first_name, last_name, joined_at) VALUES (2, 'A', 'B', '2024-01-01 00:00:00.5')",
        "INSERT INTO tokens (user_id, token, created_at) VALUES (2, '1', '2024-01-03')",
        "UPDATE tokens SET used_at = now() WHERE used_at IS NULL",
        "UPDATE tokens SET used_at = NULL WHERE user_id = 1",
        "UPDATE tokens SET created_at = created_at + interval '1 year'",
        "UPDATE users SET joined_at = joined_at - interval '1 microsecond'",
        "UPDATE tokens SET user_id = 1",
        "DELETE FROM tokens WHERE used_at IS NULL",
        "BEGIN; DELETE FROM tokens; ROLLBACK",
        "BEGIN; SAVEPOINT a; DELETE FROM tokens; ROLLBACK TO a; UPDATE tokens SET used_at = now(); COMMIT",
        "COPY tokens (user_id, token) FROM PROGRAM 'printf \"1\\t1\\n2\\t2\\n\"'",
        "TRUNCATE tokens",
        "SET session_replication_role = replica; INSERT INTO tokens (user_id, token, used_at) VALUES (1, '1', now())",
    ]
    for statement in statements * 3:
        if "users (id" in statement:
            scratch.execute("DELETE FROM tokens WHERE user_id = 2; DELETE FROM users WHERE id = 2")
        scratch.execute(statement)
        for path in law.REPORTS:
            connection.request("GET", path)
            assert connection.getresponse().read() == law.answer(scratch, path), statement
    connection.close()


@pytest.fixture(scope="module")
def accounts(server):
    """Two tokens that share no index page, so that serializable writers of them do not conflict."""
    database = make_database(server)
    database.execute(f"""
        ALTER DATABASE {database.name} SET default_transaction_isolation = 'serializable';
        ALTER DATABASE {database.name} SET enable_seqscan = 'off';
        DELETE FROM tokens;
        INSERT INTO tokens (id, user_id, token, used_at) SELECT n, 3, '1', now() FROM generate_series(1, 5000) AS n;
        ANALYZE tokens""")
    return database


def withdraw(database, read_report):
    """The case in which a serializable reader makes a serializable writer fail (Fekete and others, 2004)."""
    with database.connect() as first, database.connect() as second:
        for connection in (first, second):
            connection.raw.autocommit = False
        first.execute("SELECT * FROM tokens WHERE id IN (1, 5000)")
        second.execute("UPDATE tokens SET used_at = now() WHERE id = 5000")
        second.raw.commit()
        read_report()
        first.execute("UPDATE tokens SET used_at = now() WHERE id = 1")
        first.raw.commit()


def test_a_report_does_not_make_a_serializable_writer_fail(run, accounts):
    def read_serializable():
        with accounts.connect() as reader:
            reader.execute(law.USER_VISITS_QUERY)

    withdraw(accounts, lambda: None)
    with pytest.raises(psycopg2.errors.SerializationFailure):
        withdraw(accounts, read_serializable)
    service = run(accounts)
    for path in REPORTS:
        withdraw(accounts, lambda path=path: service.get(path).json())


# Large answers

MANY = 120000


@pytest.fixture(scope="module")
def many_users(server):
    """A database whose user_visits has several megabytes."""
    database = make_database(server)
    database.clear()
    database.execute(f"""
        INSERT INTO users (id, first_name, last_name, joined_at)
        SELECT n, 'A', 'B', timestamp '2024-01-01' + n * interval '1.25 seconds' FROM generate_series(1, {MANY}) AS n;
        INSERT INTO tokens (user_id, token, created_at, used_at)
        SELECT n, '1', '2024-01-01', '2024-01-01' FROM generate_series(1, {MANY}) AS n;
        ANALYZE""")
    return database


@pytest.fixture(scope="module")
def many_service(run_for_module, many_users):
    """A service on that database."""
    return run_for_module(many_users, STATEMENT_TIMEOUT_MS="20000")


@pytest.fixture(scope="module")
def many_expected(many_users):
    """The bytes that it has to answer."""
    body = law.user_visits(many_users)
    assert len(json.loads(body)) == MANY
    return body


def test_a_large_answer_streams_in_chunks(many_service, many_expected):
    answer = many_service.get(USER_VISITS)
    assert answer.status == 200
    assert (answer.headers["Transfer-Encoding"], answer.headers["Content-Length"]) == ("chunked", None)
    assert answer.body == many_expected


def test_a_large_answer_in_gzip(many_service, many_expected):
    answer = many_service.get(USER_VISITS, Accept_Encoding="gzip")
    assert (answer.status, answer.headers["Content-Encoding"]) == (200, "gzip")
    assert gzip.decompress(answer.body) == many_expected


def test_a_large_answer_over_http_1_0_has_a_length(many_service, many_expected):
    head, body = many_service.raw(b"GET %s HTTP/1.0\r\n\r\n" % USER_VISITS.encode(), timeout=30).split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nContent-Length: %d\r\n" % len(many_expected) in head + b"\r\n"
    assert b"transfer-encoding" not in head.lower()
    assert body == many_expected


def test_a_cut_in_a_large_gzip_answer_over_http_1_0_is_noticed(many_service, many_expected):
    request = b"GET %s HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n" % USER_VISITS.encode()
    head, body = many_service.raw(request, timeout=30).split(b"\r\n\r\n", 1)
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head + b"\r\n"
    assert (gzip.decompress(body) if b"Content-Encoding: gzip" in head else body) == many_expected


def test_a_large_answer_s_head(many_service, many_expected):
    answer = many_service.request(USER_VISITS, method="HEAD")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", None)  # like GET
    wait_until(lambda: many_service.request(USER_VISITS, method="HEAD").headers["ETag"] ==
               many_service.get(USER_VISITS).headers["ETag"], 10, "the same tag, while nothing is written")
    head = many_service.raw(b"HEAD %s HTTP/1.0\r\n\r\n" % USER_VISITS.encode(), timeout=30)
    assert head.endswith(b"\r\n\r\n") and b"\r\nContent-Length: %d\r\n" % len(many_expected) in head


def test_a_large_answer_s_keep_alive_connection_serves_the_next_request(many_service, many_expected):
    connection = many_service.connect()
    for _ in range(3):
        connection.request("GET", USER_VISITS)
        assert connection.getresponse().read() == many_expected
    connection.close()


def test_a_large_answer_over_plain_cgi(programs, many_users, many_expected):
    assert run_cgi(programs, many_users, PATH_INFO=USER_VISITS)[1] == many_expected


# Rights


@pytest.fixture(scope="module")
def reader(server):
    """The example's database for a login role that is only a member of coworking_analytics_reader."""
    database = make_database(server)
    database.execute("CREATE ROLE only_reader LOGIN PASSWORD 'only reads' IN ROLE coworking_analytics_reader")
    database.user, database.password = "only_reader", "only reads"
    yield database
    database.execute("DROP OWNED BY only_reader; DROP ROLE only_reader")


def test_the_reader_s_role_serves_everything(run, reader):
    service = run(reader)  # starting it finds nothing to migrate
    for path in law.REPORTS:
        assert service.get(path).body == golden(path)
    assert service.get("/health_check").body == b"ok"
    assert service.get("/readiness_check").body == b"ok"


@pytest.mark.parametrize("statement", [
    "SELECT first_name FROM users",
    "SELECT last_name FROM users",
    "SELECT token FROM tokens",
    "SELECT * FROM users",
    "SELECT * FROM tokens",
    "SELECT users FROM users",
    "INSERT INTO users (first_name, last_name, joined_at) VALUES ('A', 'B', now())",
    "INSERT INTO tokens (user_id, token) VALUES (3, '1')",
    "UPDATE users SET joined_at = now()",
    "UPDATE tokens SET used_at = NULL",
    "DELETE FROM users",
    "DELETE FROM tokens",
    "TRUNCATE tokens",
    "SELECT user_id FROM tokens FOR UPDATE",
    "BEGIN; LOCK TABLE tokens IN SHARE MODE",
    "INSERT INTO coworking_analytics.inspections DEFAULT VALUES",
    "DELETE FROM coworking_analytics.rollup_state",
    "CREATE TABLE coworking_analytics.mine ()",
    "CREATE OR REPLACE FUNCTION coworking_analytics.members() RETURNS TABLE (user_id bigint, joined_at timestamp)"
    " LANGUAGE sql AS 'SELECT 1::bigint, NULL::timestamp'",
    "SELECT nextval('users_id_seq')",
])
def test_the_reader_s_role_can_do_nothing_else(server, reader, statement):
    with reader.connect(user=reader.user, password=reader.password) as connection:
        connection.execute("SELECT id, joined_at, is_active FROM users; SELECT user_id, created_at, used_at FROM tokens")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            connection.execute(statement)
