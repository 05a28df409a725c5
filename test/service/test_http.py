"""The contract's HTTP section, line by line: methods, errors of nginx and of workers, parameters, request ids, ETags,
compression; and that answers and logs show nothing of the database."""

import contextlib
import gzip
import itertools
import json
import re
import socket
import threading
import time

import law
import pytest
from fixtures import make_database
from keys import sign
from law import DAILY_USAGE, USER_VISITS
from postgres import PASSWORD, ROOT, free_port, processes_below, wait_until

pytestmark = pytest.mark.one_build("sanitized")

REPORTS = [DAILY_USAGE, USER_VISITS]
PROBES = ["/health_check", "/readiness_check"]
DOCUMENTS = ["/api/reports/", "/openapi.json"]
LOG_SECONDS = 20  # within which a line is in a log, on a busy machine too
METHODS = {"GET", "HEAD", "OPTIONS"}
TITLES = {400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 413: "Content Too Large",
          414: "URI Too Long", 431: "Request Header Fields Too Large", 501: "Not Implemented", 502: "Bad Gateway",
          503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported"}
names = (f"test-{number}" for number in itertools.count(1))


def is_whole(data, received):
    """Whether the answer is complete, if the length of its body is known; others end with the connection."""
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: (\d+)", head)
    return bool(end and length) and not data.startswith(b"HEAD") and len(body) >= int(length[1])


def exchange(service, data, timeout=20):
    """Sends bytes; returns status, header fields and body of the answer."""
    received = b""
    with socket.create_connection(("127.0.0.1", service.port), timeout=timeout) as connection:
        def send():
            try:
                connection.sendall(sign(data, service.key))
            except OSError:
                pass  # the server answered before everything was sent

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        while not is_whole(data, received) and (chunk := connection.recv(65536)):
            received += chunk
    head, body = received.split(b"\r\n\r\n", 1)
    status, *fields = head.decode().split("\r\n")
    return int(status.split()[1]), dict(field.split(": ", 1) for field in fields), body


def fields_of(answer):
    """Converts an Answer to the result of exchange()."""
    return answer.status, dict(answer.headers.items()), answer.body


def check_problem(answer, status, identity=None, detail=None):
    """Checks a problem document and returns it. detail: whether it has one, or None for either."""
    code, fields, body = answer
    assert code == status, body
    assert fields["Content-Type"] == "application/problem+json"
    assert fields["Cache-Control"] == "no-store"
    problem = json.loads(body)
    assert [name for name in problem if name != "detail"] == ["type", "title", "status", "instance"]
    assert detail in (None, "detail" in problem)
    assert problem["type"] == "about:blank"
    assert (problem["title"], problem["status"]) == (TITLES[status], status)
    assert problem["instance"] == f"urn:request:{fields['X-Request-Id']}"
    assert identity is None or fields["X-Request-Id"] == identity
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", fields["X-Request-Id"])
    assert ("Allow" in fields) == (status == 405)
    assert ("Retry-After" in fields) == (status >= 502 and status != 505)
    return problem


# The table of requests


def test_health_check(service):
    answer = service.get("/health_check")
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Cache-Control"] == "no-store"


def test_readiness_check(service):
    answer = service.get("/readiness_check")
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.headers["Cache-Control"] == "no-store"


def test_readiness_failed_is_not_a_problem_document(run):
    answer = run(DB_HOST="127.0.0.1", DB_PORT="1", DB_USER="u", DB_PASSWORD="p").get("/readiness_check")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (503, b"failed", "text/plain")
    assert answer.headers["X-Request-Id"] and answer.headers["Retry-After"]


@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("query", ["", "x=1", "x=1&x=2", "%zz", "%00", "q=" + "x" * 4000])
def test_probes_ignore_query_strings(service, path, query):
    answer = service.get(f"{path}?{query}")
    assert (answer.status, answer.body) == (200, b"ok")


@pytest.mark.parametrize("path", PROBES + DOCUMENTS + law.REPORTS + ["/nope", "/api/nope", f"{DAILY_USAGE}?colour=red"])
def test_head_is_get_without_the_body(service, path):
    request = "%s %s HTTP/1.1\r\nHost: a\r\nX-Request-Id: head\r\nConnection: close\r\n\r\n"
    status, fields, body = exchange(service, (request % ("GET", path)).encode())
    head_status, head_fields, head_body = exchange(service, (request % ("HEAD", path)).encode())
    assert int(fields["Content-Length"]) == len(body) > 0
    assert (head_status, head_body) == (status, b"")
    for changing in ("Date", "ETag", "Data-As-Of"):
        assert (changing in fields) == (changing in head_fields)
        fields.pop(changing, None)
        head_fields.pop(changing, None)
    assert head_fields == fields


@pytest.mark.parametrize("path", PROBES + DOCUMENTS + law.REPORTS)
def test_options(service, path):
    answer = service.request(path, method="OPTIONS")
    assert (answer.status, answer.body) == (204, b"")
    assert set(answer.headers["Allow"].split(", ")) == METHODS
    assert answer.headers["Content-Length"] is None  # RFC 9110, 8.6
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize("path", PROBES + DOCUMENTS + REPORTS)
@pytest.mark.parametrize("method", [
    "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW", "PROPFIND", "M-SEARCH", "A" * 33,
])
def test_other_methods(service, path, method):
    request = f"{method} {path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: other\r\nConnection: close\r\n\r\n"
    answer = exchange(service, request.encode())
    check_problem(answer, 405, "other")
    assert set(answer[1]["Allow"].split(", ")) == METHODS


@pytest.mark.parametrize("fields", [
    "Content-Length: 0\r\n\r\n",
    "Content-Length: 5\r\n\r\nhello",
    "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b",
    "Content-Length: 16384\r\n\r\n" + "x" * 16384,
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
])
def test_a_body_does_not_save_a_post(service, fields):
    answer = exchange(service, f"POST {DAILY_USAGE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}".encode())
    while answer[0] == 100:
        status, _, rest = answer[2].partition(b"\r\n")
        head, body = rest.split(b"\r\n\r\n", 1)
        answer = int(status.split()[1]), dict(line.split(": ", 1) for line in head.decode().split("\r\n")), body
    check_problem(answer, 405, detail=True)


@pytest.mark.parametrize("path", [DAILY_USAGE, USER_VISITS, "/openapi.json", "/health_check", "/readiness_check", "/api/nope"])
@pytest.mark.parametrize("fields", ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"])
def test_a_get_may_have_no_body(service, path, fields):
    problem = check_problem(exchange(service, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}".encode()), 413)
    assert problem["detail"] == "requests must not have a body"
    assert exchange(service, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())[0] != 413


@pytest.mark.parametrize("path", [DAILY_USAGE, "/health_check", "/", "/nope"])
def test_nobody_waits_for_a_body(service, path):
    """A client that sends one byte at a time would otherwise keep its connection for hours."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=15) as connection:
        connection.sendall(sign(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 8192\r\n\r\n".encode(), service.key))
        received, deadline = b"", time.monotonic() + 14  # lingering_time and some
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < deadline:
                connection.sendall(b"x")
                connection.settimeout(0.3)
                with contextlib.suppress(TimeoutError):
                    chunk = connection.recv(65536)
                    received += chunk
                    if not chunk:
                        break
        assert received.startswith((b"HTTP/1.1 405 ", b"HTTP/1.1 404 "))
        assert time.monotonic() < deadline, "the connection stays open"


@pytest.mark.parametrize("path", [
    "/nope", "/health_check/", "/health_checks", "/HEALTH_CHECK", "/problem", "/api", "/api/", "/api/reports",
    "/api/reports/nope", "/openapi", "/openapi.json/", "/openapi.yaml",
    DAILY_USAGE + "/", DAILY_USAGE.upper(), DAILY_USAGE + "%20", "/nginx.conf",
    "/api/" + "x" * 3000, "/api/%C3%A9", "/api/%ff%fe", "/api/%22%5C", "/nope?x=1", "/api/nope?x=%zz", "/run/nginx.pid",
    "/api/reports/daily_usage;x",
])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_unknown_paths(service, path, method):
    name = next(names)
    check_problem(fields_of(service.request(path, method=method, headers={"X-Request-Id": name})), 404, name)


# Query parameters

ALLOWED = {DAILY_USAGE: "from, to, every, format", USER_VISITS: "limit, after, order, format",
           "/api/reports/": "no parameters", "/openapi.json": "no parameters"}
NOT_ALLOWED = [
    ("colour=red", "colour"),
    ("colour", "colour"),
    ("colour=", "colour"),
    ("&&colour=red&&", "colour"),
    ("colour=1&colour=2", "colour"),
    ("c%6Flour=1", "colour"),
    ("two+words=1", "two?words"),
    ("Date=1", "Date"),
    ("=1", "''"),
    ("%", "%"),
    ("%zz=1", "%zz"),
    ("%4", "%4"),
    ("colour%=1", "colour%"),
    ("colour=%zz", "colour"),
    ("%00=1", "%00"),
    ("colour%00=1", "colour%00"),
    ("x" * 3000, "x" * 30),
    ("colour=" + "x" * 3000, "colour"),
    ("colour=1" + "&more=2" * 500, "colour"),
    ("%ff%fe=1", "??"),
    ("%c3%a9=1", "??"),
    ("%22%0a%5c=1", "??"),
    ("%3Cscript%3E=1", "script"),
    ("$(reboot)=1", "$(reboot)"),
    ("';DROP TABLE tokens--".replace(" ", "+"), "DROP?TABLE"),
]


@pytest.mark.parametrize("query, shown", NOT_ALLOWED)
@pytest.mark.parametrize("path", ALLOWED)
def test_a_parameter_that_is_not_allowed_is_named(service, path, query, shown):
    name = next(names)
    problem = check_problem(fields_of(service.get(f"{path}?{query}", X_Request_Id=name)), 400, name, detail=True)
    assert shown in problem["detail"]
    assert "allowed here: " + ALLOWED[path] in problem["detail"]
    assert len(problem["detail"]) < 250 and problem["detail"].isprintable()


@pytest.mark.parametrize("query", [b"\xff\xfe=1", b"caf\xc3\xa9", b"a\x80\x81=2", b"a\"b\\c=1"])
def test_binary_in_the_query(service, query):
    request = b"GET %s?%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % (DAILY_USAGE.encode(), query)
    answer = exchange(service, request)
    says = "allowed here" if query.isascii() else "must be printable ASCII"
    assert says in check_problem(answer, 400, detail=True)["detail"]


@pytest.mark.parametrize("query", ["", "&", "&&&"])
def test_an_empty_query_is_none(service, query):
    assert service.get(f"{DAILY_USAGE}?{query}").status == 200


# Errors of nginx while it reads a request


@pytest.mark.parametrize("request_bytes, status", [
    (b"\x00\x01\x02\xff\xfe\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 200 + b"\r\n\r\n", 400),  # TLS on the HTTP port
    (b"GARBAGE\r\n\r\n", 400),
    (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400),
    (b"GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400),
    (b"GET /api/../../etc/passwd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),  # no Host
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"GET / HTTQ/1.1\r\nHost: a\r\n\r\n", 400),
    (b"TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405),
    (b"POST /api/reports/daily_usage HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 16385\r\n\r\n", 413),
    (b"POST /health_check HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100000000000\r\n\r\n", 413),
    (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 414),
    (b"GET /api/reports/daily_usage?" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 1_000_000 + b"\r\nConnection: close\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-Many: x\r\n" * 100_000 + b"Connection: close\r\n\r\n", 431),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
    (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505),
])
def test_errors_of_parsing_are_problem_documents(service, request_bytes, status):
    check_problem(exchange(service, request_bytes), status)
    assert service.get("/health_check").status == 200


def test_a_body_that_never_comes_gets_a_problem_document(service):
    request = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab" % DAILY_USAGE.encode()
    try:
        received = service.raw(request, timeout=14)
    except ConnectionResetError:
        received = b""
    assert received == b"" or b"application/problem+json" in received


def test_a_pool_that_is_gone_is_a_502(run, database):
    service = run(database)
    (service.directory() / "run/reports.sock").unlink()
    for path in REPORTS:
        name = next(names)
        check_problem(fields_of(service.get(path, X_Request_Id=name)), 502, name)
    assert service.get("/health_check").body == b"ok"


def test_an_unreachable_database_is_a_503(run):
    service = run(DB_HOST="127.0.0.1", DB_PORT="1", DB_USER="u", DB_PASSWORD="p")
    for path in REPORTS:
        name = next(names)
        check_problem(fields_of(service.get(path, X_Request_Id=name)), 503, name)
        wait_until(lambda name=name: service.events("request", request_id=name, status=503), LOG_SECONDS, "the worker's line")
        assert service.events("request", request_id=name)[0]["reason"]
    head = service.request(DAILY_USAGE, method="HEAD")
    assert (head.status, head.body) == (503, b"")
    assert service.get("/health_check").body == b"ok"


def test_a_query_over_the_limit_is_a_504(run, server):
    database = make_database(server)
    service = run(database, STATEMENT_TIMEOUT_MS="300")
    with database.connect() as owner:
        owner.execute("BEGIN; LOCK TABLE tokens")
        for path in REPORTS:
            name = next(names)
            check_problem(fields_of(service.get(path, X_Request_Id=name)), 504, name)
            wait_until(lambda: service.events("request", request_id=name, status=504), LOG_SECONDS, "the worker's line")
        assert service.get("/readiness_check").body == b"ok"
    assert service.get(DAILY_USAGE).status == 200


def test_an_error_s_if_none_match_and_range_change_nothing(service):
    for fields in ({"If-None-Match": "*"}, {"Range": "bytes=0-3"}, {"If-Match": '"x"'}):
        check_problem(fields_of(service.request("/nope", headers=fields)), 404)
        check_problem(fields_of(service.request("/api/nope", headers=fields)), 404)
        check_problem(fields_of(service.request(f"{DAILY_USAGE}?a=b", headers=fields)), 400, detail=True)


@pytest.mark.parametrize("path, status", [("/nope", 404), ("/api/nope", 404)])
def test_a_problem_in_gzip(service, path, status):
    code, fields, body = fields_of(service.get(path, Accept_Encoding="gzip"))
    if fields.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    check_problem((code, fields, body), status)


def test_a_range_of_a_report_is_never_a_wrong_part(service, database):
    answer = service.get(DAILY_USAGE, Range="bytes=0-3")
    whole = law.daily_usage(database)
    assert (answer.status, answer.body) in [(200, whole), (206, whole[:4])]


# Request ids


@pytest.mark.parametrize("identity", [
    "a", "-", ".", "_", "0", "A-b_c.9", "x" * 64, "550e8400-e29b-41d4-a716-446655440000", "..", "--help", "null",
])
@pytest.mark.parametrize("path", [DAILY_USAGE, "/nope"])
def test_a_valid_request_id_is_echoed(service, path, identity):
    assert service.get(path, X_Request_Id=identity).headers["X-Request-Id"] == identity


@pytest.mark.parametrize("identity", [
    b"", b"x" * 65, b"x" * 1000, b"a b", b"a/b", b"a:b", b"a,b", b"a\"b", b"a\\b", b"a\tb", b"caf\xc3\xa9", b"\xff",
    b"a$b", b"<a>", b"a\x01b", b"%41", b"a;b", b"{a}",
])
@pytest.mark.parametrize("path", [DAILY_USAGE, "/nope"])
def test_an_invalid_request_id_is_replaced(service, path, identity):
    request = b"GET %s HTTP/1.1\r\nHost: a\r\nX-Request-Id: %s\r\nConnection: close\r\n\r\n" % (path.encode(), identity)
    given = exchange(service, request)[1]["X-Request-Id"]
    assert given.encode() != identity
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given)


def test_generated_ids_differ(service):
    assert len({service.get(path).headers["X-Request-Id"] for path in REPORTS + PROBES for _ in range(5)}) == 20


@pytest.mark.parametrize("path, method, status", [
    (DAILY_USAGE, "GET", 200),
    (USER_VISITS, "GET", 200),
    (DAILY_USAGE, "HEAD", 200),
    (DAILY_USAGE, "OPTIONS", 204),
    (DAILY_USAGE, "POST", 405),
    (f"{DAILY_USAGE}?colour=red", "GET", 400),
    ("/api/nope", "GET", 404),
])
def test_the_id_is_in_both_logs(service, path, method, status):
    name = next(names)
    assert service.request(path, method=method, headers={"X-Request-Id": name}).status == status
    expected = {"request_id": name, "method": method, "path": path.split("?")[0], "status": status}
    wait_until(lambda: service.events("access", **expected), LOG_SECONDS, "the access log's line")
    wait_until(lambda: service.events("request", **expected), LOG_SECONDS, "the worker's line")
    own = service.get(path).headers["X-Request-Id"]
    wait_until(lambda: service.events("access", request_id=own), LOG_SECONDS, "the access log's line")
    wait_until(lambda: service.events("request", request_id=own), LOG_SECONDS, "the worker's line")


def test_a_probe_s_id_is_in_both_logs_at_debug(run, database):
    service = run(database, LOG_LEVEL="debug")
    for path in PROBES:
        name = next(names)
        service.get(path, X_Request_Id=name)
        wait_until(lambda: service.events("access", request_id=name), LOG_SECONDS, "the access log's line")
        wait_until(lambda: service.events("request", request_id=name), LOG_SECONDS, "the worker's line")


@pytest.mark.parametrize("request_bytes", [
    b"GARBAGE\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
])
def test_the_id_of_what_nginx_refused_is_in_the_access_log(service, request_bytes):
    name = exchange(service, request_bytes)[1]["X-Request-Id"]
    wait_until(lambda: service.events("access", request_id=name), LOG_SECONDS, "the access log's line")


# ETag


def revalidate(service, database, path, method="GET", written="%s", asked=None, **headers):
    """Gets a report's tag with these headers, then requests the report with If-None-Match, for which "written" is
    the pattern, and the headers "asked". Nothing is written to the server in between. Returns tag and answer."""
    def look():
        tag = service.get(path, **headers).headers["ETag"]
        value = written.replace("%s", tag).replace("STRONG", tag.removeprefix("W/")).replace("NAKED", tag.strip('"'))
        return tag, service.request(path, method, headers={"If-None-Match": value, **(asked or {})})

    return database.while_nothing_is_written(look)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", law.REPORTS + DOCUMENTS)
def test_a_tag_revalidates(service, database, path, method):
    tag, answer = revalidate(service, database, path, method)
    assert re.fullmatch(r'"[\x21\x23-\x7e]+"', tag)
    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["X-Request-Id"]
    assert answer.headers["Content-Type"] is None
    assert service.request(path, method, headers={"If-None-Match": '"other"'}).status == 200


@pytest.mark.parametrize("written, status", [
    ("%s", 304),
    ("W/%s", 304),
    ("*", 304),
    ('"other", %s', 304),
    ('%s,"other"', 304),
    ('"a","b" , W/%s ,"c"', 304),
    ('"with, comma", %s', 304),
    ('"other"', 200),
    ('W/"other"', 200),
    ('"a", "b"', 200),
    ("", 200),
    ("*, x", 200),
    ("NAKED", 200),
    ('"NAKED', 200),
    ('"xNAKED"', 200),
    ('"NAKEDx"', 200),
])
def test_if_none_match(service, database, written, status):
    _, answer = revalidate(service, database, DAILY_USAGE, written=written)
    assert answer.status == status
    assert (answer.body == b"") == (status == 304)


def test_each_report_has_a_tag_of_its_own(service, database):
    tags = database.while_nothing_is_written(
        lambda: {path: service.get(path).headers["ETag"] for path in law.REPORTS})
    assert len(set(tags.values())) == len(tags)
    assert service.get(USER_VISITS, If_None_Match=tags[DAILY_USAGE]).status == 200


@pytest.mark.parametrize("asked", [{}, {"Accept-Encoding": "gzip"}])
@pytest.mark.parametrize("written", ["%s", "STRONG"])
def test_a_tag_from_a_gzip_answer_revalidates(service, database, asked, written):
    tag, answer = revalidate(service, database, USER_VISITS, written=written, asked=asked, Accept_Encoding="gzip")
    assert tag.startswith('W/"')
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["ETag"].removeprefix("W/") == tag.removeprefix("W/")


def test_any_write_changes_the_tag(service, database):
    with database.connect() as connection:
        for number, path in zip(range(200), itertools.cycle(REPORTS)):
            before = service.get(path)
            connection.execute("INSERT INTO tokens (user_id, token, created_at, used_at)"
                               " VALUES (41, '1', '2025-01-01', '2025-01-01')")
            encoding = {"Accept_Encoding": "gzip"} if number % 3 == 0 else {}
            answer = service.get(path, If_None_Match=before.headers["ETag"], **encoding)
            body = gzip.decompress(answer.body) if encoding else answer.body
            assert (answer.status, body) == (200, law.ANSWERS[path](database))
            assert answer.headers["ETag"].removeprefix("W/") != before.headers["ETag"]
        connection.execute("DELETE FROM tokens WHERE user_id = 41")
    for path in REPORTS:
        assert service.get(path).body == law.ANSWERS[path](database)


def test_a_tag_holds_every_transaction_under_way(run, own_server):
    """46 transactions with long ids, as in an older database: a tag that was cut off would lack the last one."""
    database = make_database(own_server)
    service = run(database, FCGI_WORKERS="1")
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(database.connect()) for _ in range(46)]
        writers[0].execute("DO 'BEGIN FOR i IN 1..1000000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END'")
        for writer in writers:
            writer.execute("BEGIN; INSERT INTO tokens (user_id, token, created_at, used_at)"
                           " VALUES (3, '1', '2025-01-01', '2025-01-01')")
        database.execute("SELECT pg_current_xact_id()")
        before = service.get(DAILY_USAGE)
        assert b"2025-01-01" not in before.body
        writers.pop().execute("COMMIT")
        after = service.get(DAILY_USAGE, If_None_Match=before.headers["ETag"] or '"none"')
        assert (after.status, after.body) == (200, law.ANSWERS[DAILY_USAGE](database))
        for writer in writers:
            writer.execute("ROLLBACK")


# Kept bodies


@pytest.fixture(scope="module")
def alone(own_server):
    """A database on a server where nothing else writes, neither autovacuum nor the logger."""
    with own_server.connect("postgres") as connection:
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("SELECT pg_reload_conf()")
    database = make_database(own_server)
    for _ in range(6):  # so that the logger finds nothing to do
        database.execute("SELECT FROM coworking_analytics_keeper.maintain(true)")
    return database


@pytest.fixture(scope="module")
def lone_worker(run_for_module, alone):
    """A service with one worker, which keeps its answers."""
    return run_for_module(alone, FCGI_WORKERS="1")


@contextlib.contextmanager
def out_of_reach(database):
    """Locks the tables, and changes nothing in them."""
    with database.connect() as someone:
        someone.execute("BEGIN; LOCK TABLE users, tokens IN ACCESS EXCLUSIVE MODE")
        yield someone


@pytest.mark.parametrize("path", law.REPORTS)
@pytest.mark.parametrize("first", ["GET", "HEAD"])
def test_an_unchanged_answer_is_sent_without_reading_the_tables(lone_worker, alone, path, first):
    expected, tag = law.answer(alone, path), lone_worker.get(path).headers["ETag"]
    alone.execute("SELECT pg_current_xact_id()")  # makes answers kept so far outdated
    lone_worker.request(path, method=first)
    with out_of_reach(alone):
        answer = lone_worker.get(path)
        assert (answer.status, answer.body) == (200, expected)
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Content-Length"] == str(len(expected))
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert answer.headers["ETag"] not in (None, tag)
        head = lone_worker.request(path, method="HEAD")
        assert (head.status, head.body) == (200, b"")
        for name in ("Content-Type", "Content-Length", "Cache-Control", "ETag"):
            assert head.headers[name] == answer.headers[name]
        packed = lone_worker.get(path, Accept_Encoding="gzip")
        body = gzip.decompress(packed.body) if packed.headers["Content-Encoding"] else packed.body
        assert (packed.status, body) == (200, expected)
        old = lone_worker.raw(b"GET %s HTTP/1.0\r\nHost: a\r\n\r\n" % path.encode())
        assert old.startswith(b"HTTP/1.1 200 ") and old.endswith(b"\r\n\r\n" + expected)
        assert lone_worker.get(path, If_None_Match=answer.headers["ETag"]).status == 304
    logged = lone_worker.events("request", path=path, method="GET", status=200, bytes=len(expected))
    assert logged


@pytest.mark.parametrize("change", [
    "INSERT INTO tokens (user_id, token, created_at, used_at) VALUES (41, '1', '2025-01-01', '2025-01-01')",
    "UPDATE tokens SET created_at = created_at + interval '1 day' WHERE user_id = 41",
    "UPDATE users SET joined_at = joined_at + interval '1 day' WHERE id = 3",
    "DELETE FROM tokens WHERE user_id = 41",
    "BEGIN; DELETE FROM tokens; ROLLBACK; INSERT INTO tokens (user_id, token, used_at) VALUES (3, '1', now())",
    "TRUNCATE tokens",
])
def test_any_write_makes_kept_answers_outdated(lone_worker, alone, change):
    for path in law.REPORTS:
        assert lone_worker.get(path).body == law.answer(alone, path)
    with out_of_reach(alone) as someone:
        someone.execute(f"{change}; COMMIT")
    for path in law.REPORTS:
        assert lone_worker.get(path).body == law.answer(alone, path)


def test_a_restart_makes_kept_answers_outdated(lone_worker, own_server, alone):
    before = lone_worker.get(DAILY_USAGE)
    own_server.stop("immediate")
    own_server.start()
    answer = lone_worker.get(DAILY_USAGE)
    assert (answer.status, answer.body) == (200, before.body)
    assert answer.headers["ETag"] != before.headers["ETag"]
    with out_of_reach(alone):
        assert lone_worker.get(DAILY_USAGE).headers["ETag"] == answer.headers["ETag"]


@pytest.mark.plain_only(reason="the builds differ in nothing here")
def test_rows_of_another_server_have_its_tag(run, server, own_server):
    """The connection breaks after the tag was read, in mid-query, and the next server on the list answers."""
    first = make_database(own_server)
    second = server.create_database(first.name)
    second.run_file(ROOT / "test/service/example.sql")
    assert second.migrate().returncode == 0
    second.execute("DELETE FROM tokens WHERE user_id = 20")
    service = run(first, DB_HOST="127.0.0.1,127.0.0.1", DB_PORT=f"{own_server.port},{server.port}",
                  PGTARGETSESSIONATTRS="read-write", FCGI_WORKERS="1")
    before = service.get(DAILY_USAGE)
    assert before.body == law.ANSWERS[DAILY_USAGE](first)
    answers = []
    reader = threading.Thread(target=lambda: answers.append(service.get(DAILY_USAGE)))
    with out_of_reach(first), own_server.connect("postgres") as watcher:
        watcher.execute(f"ALTER DATABASE {first.name} SET default_transaction_read_only = on")
        reader.start()
        wait_until(lambda: watcher.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted"), 5,
                   "the report's wait")
        reader.join(10)
    expected = law.ANSWERS[DAILY_USAGE](second)
    answer, = answers
    assert (answer.status, answer.body) == (200, expected)
    assert answer.headers["ETag"] not in (None, before.headers["ETag"])
    again = second.while_nothing_is_written(lambda: [service.get(DAILY_USAGE) for _ in range(2)])
    assert {(other.status, other.body) for other in again} == {(200, expected)}
    assert again[0].headers["ETag"] == again[1].headers["ETag"] is not None


def test_other_answers_have_no_tag(service):
    for path in PROBES + ["/nope", "/api/nope", f"{DAILY_USAGE}?a=b"]:
        assert service.get(path).headers["ETag"] is None
        assert service.get(path, If_None_Match="*").status != 304


# Compression and caching


@pytest.mark.parametrize("accepted, encoding", [
    (None, None), ("", None), ("identity", None), ("br", None), ("gzip;q=0", None), ("gzip", "gzip"),
    ("gzip, deflate, br", "gzip"), ("br;q=1.0, gzip;q=0.8", "gzip"), ("deflate", None),
])
@pytest.mark.parametrize("path", REPORTS)
def test_gzip_when_asked_for(service, database, path, accepted, encoding):
    connection = service.connect()
    connection.putrequest("GET", path, skip_accept_encoding=True)
    if accepted is not None:
        connection.putheader("Accept-Encoding", accepted)
    for name, value in service.key.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    status, fields, body = response.status, response.headers, response.read()
    connection.close()
    assert (status, fields.get("Content-Encoding")) == (200, encoding)
    assert fields["Vary"] == "Accept, Accept-Encoding"
    assert (gzip.decompress(body) if encoding else body) == law.ANSWERS[path](database)
    assert ("Content-Length" in fields) == (encoding is None)


@pytest.mark.parametrize("path", REPORTS)
def test_caches_must_revalidate(service, path):
    headers = service.get(path).headers
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Expires"] is None and headers["Last-Modified"] is None


@pytest.mark.parametrize("path", REPORTS + PROBES + ["/nope", "/api/nope"])
def test_answers_do_not_name_the_server_s_software(service, path):
    headers = service.get(path).headers
    assert headers["Server"] in (None, "nginx") and headers["X-Powered-By"] is None
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_one_connection_serves_many_requests_of_all_kinds(service):
    connection = service.connect()
    connection.connect()
    socket_before = connection.sock
    for method, path, status in [("GET", DAILY_USAGE, 200), ("HEAD", DAILY_USAGE, 200), ("POST", DAILY_USAGE, 405),
                                 ("OPTIONS", DAILY_USAGE, 204), ("GET", "/nope", 404), ("GET", USER_VISITS, 200)] * 3:
        connection.request(method, path)
        response = connection.getresponse()
        response.read()
        assert (response.status, connection.sock) == (status, socket_before)
    connection.close()


# Nothing leaks

HOST, ROLE, SECRET, NAME = "127.0.0.77", "role_of_leaks", "p4ssword-of-leaks", "database_of_leaks"
NEVER_LOGGED = ["SELECT ", "FROM public", "GROUP BY", "pg_current_snapshot", HOST, SECRET, PASSWORD]
NEVER_ANSWERED = [*NEVER_LOGGED, "analytics.", "tokens", "relation", "column", "schema", "42P01", "127.0.0.1",
                  ROLE, NAME]


@pytest.fixture(scope="module")
def leaks(server):
    """A database and a role for it, with names and a password that are easy to find."""
    database = make_database(server)
    database.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{SECRET}' IN ROLE coworking_analytics_reader")
    database.user, database.password = ROLE, SECRET
    yield database
    database.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


TROUBLE = {
    "rights": ("REVOKE SELECT (user_id, created_at) ON tokens FROM coworking_analytics_reader",
               "GRANT SELECT (user_id, created_at) ON tokens TO coworking_analytics_reader"),
    "table": ("ALTER TABLE tokens RENAME TO tokens_gone", "ALTER TABLE tokens_gone RENAME TO tokens"),
    "columns": ("ALTER TABLE tokens RENAME used_at TO gone; ALTER TABLE tokens RENAME user_id TO gone_too",
                "ALTER TABLE tokens RENAME gone TO used_at; ALTER TABLE tokens RENAME gone_too TO user_id"),
    "functions": ("ALTER SCHEMA coworking_analytics RENAME TO gone", "ALTER SCHEMA gone RENAME TO coworking_analytics"),
}
REFUSALS = {
    "password": (f"ALTER ROLE {ROLE} PASSWORD 'another'", f"ALTER ROLE {ROLE} PASSWORD '{SECRET}'"),
    "login": (f"ALTER ROLE {ROLE} NOLOGIN", f"ALTER ROLE {ROLE} LOGIN"),
    "limit": ("ALTER DATABASE %s CONNECTION LIMIT 0", "ALTER DATABASE %s CONNECTION LIMIT -1"),
    "closed": ("ALTER DATABASE %s ALLOW_CONNECTIONS false", "ALTER DATABASE %s ALLOW_CONNECTIONS true"),
}


def end_sessions(owner):
    """Makes the workers reconnect."""
    owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (ROLE,))
    wait_until(lambda: owner.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", (ROLE,)) == [(0,)],
               10, "the end of the workers' sessions")


def test_nothing_leaks(run, leaks):
    service = run(leaks, STATEMENT_TIMEOUT_MS="300", LOG_LEVEL="debug", DB_HOST=f"{HOST},127.0.0.1",
                  DB_PORT=f"1,{leaks.server.port}")
    bodies = []

    def read(path, status):
        answer = service.get(path)
        assert answer.status == status, (answer.body, service.log[-12:])
        bodies.append(answer.body.decode())
        if status >= 500:
            check_problem(fields_of(answer), status)

    for path in REPORTS:
        read(path, 200)
    for what, (begin, end) in {**TROUBLE, **REFUSALS}.items():
        with leaks.server.connect("postgres" if what in REFUSALS else leaks.name) as owner:
            owner.execute(begin.replace("%s", leaks.name))
            try:
                if what in REFUSALS:
                    end_sessions(owner)
                for path in REPORTS:
                    read(path, 503)
            finally:
                owner.execute(end.replace("%s", leaks.name))
        for path in REPORTS:
            read(path, 200)
    with leaks.connect() as owner:
        owner.execute("BEGIN; LOCK TABLE tokens")
        for path in REPORTS:
            read(path, 504)
    for path in ["/nope", "/api/nope", f"{DAILY_USAGE}?x=1"]:
        bodies.append(service.get(path).body.decode())

    for pid in processes_below(service.process.pid):
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8") as words:
                line = words.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        assert SECRET not in line and PASSWORD not in line
    service.stop()
    assert len(bodies) > 20
    for body in bodies:
        assert not any(word in body for word in [*NEVER_ANSWERED, leaks.name]), body
    for line in service.log:
        assert not any(word in line for word in NEVER_LOGGED), line
    assert SECRET not in "".join(service.errors) and PASSWORD not in "".join(service.errors)


def test_an_unreachable_host_s_name_does_not_show(run):
    host, port = "no-such-host.invalid", free_port()
    service = run(DB_HOST=host, DB_PORT=str(port), DB_USER=ROLE, DB_PASSWORD=SECRET, DB_NAME=NAME, LOG_LEVEL="debug")
    for path in REPORTS * 2:
        answer = service.get(path)
        check_problem(fields_of(answer), 503)
        assert not any(word in answer.body.decode() for word in (host, str(port), ROLE, SECRET, NAME))
    assert service.get("/readiness_check").body == b"failed"
    wait_until(lambda: service.events("database_unreachable"), LOG_SECONDS, "the worker's line")
    service.stop()
    for line in service.log:
        assert not any(word in line for word in (host, ROLE, SECRET, NAME)), line
    assert SECRET not in "".join(service.errors)


def test_the_module_s_logs_show_nothing_either(service):
    """Comes last, and checks what the service has logged during all tests above."""
    assert service.get(DAILY_USAGE).status == 200
    wait_until(lambda: service.events("request"), 20, "a line of the log")
    for line in service.log:
        assert not any(word in line for word in NEVER_LOGGED), line
    assert PASSWORD not in "".join(service.errors)
