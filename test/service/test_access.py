"""Who is let in: with a file of keys nobody but the probes gets an answer without one; who asked stands in the log once proved."""

import contextlib
import itertools
import socket
import time

import law
import pytest
from access import CLOSED, FILES, METHODS, NOTHING, PROBES, is_refused
from keys import Key, basic, key_of_tests, sign
from load import Load
from postgres import wait_until
from target import IS_POD

pytestmark = pytest.mark.one_build("sanitized")

names = (f"key-{number}" for number in itertools.count(1))
KEY = key_of_tests()


@pytest.fixture(scope="module")
def closed(run_for_module, database):
    """A service that wants keys, and a client without one."""
    service = run_for_module(database, keys="# programs\n\n" + KEY.line)
    service.key = {}
    return service


# Without a key

@pytest.mark.parametrize("path", CLOSED)
def test_everything_is_closed(closed, path):
    for method in METHODS:
        assert is_refused(closed.request(path, method), method), method


@pytest.mark.parametrize("path", PROBES)
def test_probes_are_open(closed, path):
    assert (closed.get(path).status, closed.get(path).body) == (200, b"ok")
    assert closed.request(path, headers=basic("tests", "wrong")).status == 200
    assert closed.request(path, headers=basic("a\nb", "wrong")).status == 200


def test_a_described_path_is_closed_unless_it_is_a_probe(closed):
    paths = closed.request("/openapi.json", headers=KEY.field).json()["paths"]
    assert len(paths) > 8
    opened = [path for path in paths if closed.get("/" + path.lstrip("/")).status != 401]
    assert sorted(opened) == ["/health_check", "/readiness_check"]


WRONG = [basic("tests", "wrong"), basic("tests", ""), basic("", ""), basic("nobody", "x"), basic("GRAFANA", "x"), basic("#", "x"),
         basic("tests", "x" * 4000), {"Authorization": "Basic"}, {"Authorization": "Basic !!!"}, {"Authorization": "Basic Z3JhZmFuYQ=="},
         {"Authorization": "Bearer x"}, {"Authorization": "basic"}, {"X-Auth-Request-User": "tests"}, {"X-Forwarded-User": "tests"},
         {"X-Forwarded-For": "127.0.0.1"}, {"Cookie": "__Host-session=x"}]


@pytest.mark.parametrize("headers", WRONG, ids=lambda headers: str(headers)[:40])
@pytest.mark.parametrize("path", [law.DAILY_USAGE, "/", "/nope"])
def test_a_wrong_key(closed, path, headers):
    assert is_refused(closed.request(path, headers=headers))


def test_the_hash_is_no_key(closed):
    assert is_refused(closed.request(law.DAILY_USAGE, headers=basic("tests", KEY.line.strip().partition(":")[2])))


@pytest.mark.parametrize("name", ["\n", "a\nb", "a\x1b[2Jb", "x" * 65, "a b", "\x85", 'a"b', "é", "{SSHA}"])
def test_a_name_does_not_get_into_a_log(closed, name):
    identity = next(names)
    answer = closed.request(law.DAILY_USAGE, headers={"X-Request-Id": identity, **basic(f"{name}zzyzx", "wrong")})
    assert is_refused(answer)
    wait_until(lambda: closed.events("access", request_id=identity), 20, "the access log's line")
    assert not [line for line in [*closed.log, *closed.errors] if "zzyzx" in line]


def test_a_name_may_not_end_with_a_new_line(closed):
    closed.request("/zzyzx", headers=basic("zzyzx\n", "wrong"))
    closed.request("/last", headers=basic("last", "wrong"))
    wait_until(lambda: any('"last"' in line for line in closed.errors), 20, "nginx's error log")
    assert not any("zzyzx" in line for line in closed.errors)


@pytest.mark.parametrize("path", ["/problem", "/%70roblem", "/api/reports/../../problem", law.DAILY_USAGE])
@pytest.mark.parametrize("headers", [{"Referer": "\xffzzyzx"}, {"Referer": "\x1bzzyzx", **basic("tests", "wrong")}],
                         ids=["no key", "a wrong one"])
def test_bytes_that_may_not_be_logged(closed, path, headers):
    assert closed.request(path, headers=headers).status == 400
    assert not [line for line in closed.errors if "zzyzx" in line]


@pytest.mark.skipif(IS_POD, reason="a pod sees one address")
@pytest.mark.parametrize("path", [f"{law.DAILY_USAGE}?from=2024-01-01", law.USER_VISITS])
def test_who_is_refused_takes_nobody_s_place(closed, path):
    """nginx waits for the rest of a request that it has refused; such requests do not count for the limits of a client."""
    def connect():
        connection = socket.create_connection(("127.0.0.1", closed.port), timeout=15, source_address=("127.0.0.5", 0))
        stack.callback(connection.close)
        return connection

    with contextlib.ExitStack() as stack:
        for _ in range(64):
            connection = connect()
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 16000\r\n\r\nx".encode())
            assert connection.recv(65536).startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 429 "))
        connection = connect()
        connection.sendall(sign(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode(), KEY.field))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("mode", ["cors", "no-cors", "same-origin"])
def test_a_script_is_not_asked_for_a_password(closed, mode):
    for path in (law.DAILY_USAGE, "/app.js", "/nope"):
        assert is_refused(closed.request(path, headers={"Sec-Fetch-Mode": mode}), challenge="Key")
    assert is_refused(closed.request("/", headers={"Sec-Fetch-Mode": "navigate"}))


def test_wrong_keys_are_limited(closed):
    """Many wrong keys from one address get 429, and disturb nobody who has the right one."""
    with Load(closed, 16, headers=basic("tests", "wrong")) as wrong, Load(closed, 2, headers=KEY.field) as right:
        right.reach(50)
        wait_until(lambda: len(wrong.outcomes) >= 1000, 60, "1,000 wrong keys")
        asked = time.monotonic()
        assert closed.is_ready() and closed.get("/health_check").status == 200
        assert time.monotonic() - asked < 1
        right.reach(100)
    assert not right.bad(), right.summary()
    statuses = [outcome.status for outcome in wrong.outcomes]
    assert set(statuses) == {401, 429}
    seconds = max(outcome.ended for outcome in wrong.outcomes) - min(outcome.started for outcome in wrong.outcomes)
    assert statuses.count(401) <= 201 + 50 * seconds + 16
    refused = next(answer for answer in (closed.request("/", headers=basic("tests", "wrong")) for _ in range(1000)) if answer.status == 429)
    assert refused.headers["Retry-After"] and refused.headers["Content-Type"] == "application/problem+json"
    assert (refused.json()["status"], refused.json()["title"]) == (429, "Too Many Requests")
    assert "wrong keys" in refused.json()["detail"] and "50" in refused.json()["detail"]


# With a key

@pytest.mark.parametrize("path", [*FILES, *law.ANSWERS, "/api/reports/", "/openapi.json"])
def test_the_right_key_gets_what_is_there(closed, database, path):
    answer = closed.request(path, headers=KEY.field)
    assert answer.status == 200 and "WWW-Authenticate" not in answer.headers
    if path in law.ANSWERS:
        assert answer.body == law.answer(database, path)
    options = closed.request(path, "OPTIONS", headers=KEY.field)
    assert (options.status, options.headers["Allow"], options.body) == (204, "GET, HEAD, OPTIONS", b"")


@pytest.mark.parametrize("path", NOTHING)
def test_the_right_key_gets_404(closed, path):
    if path not in ("/api/",):
        assert closed.request(path, headers=KEY.field).status == 404


def test_a_script_with_a_key(closed):
    assert closed.request(law.DAILY_USAGE, headers={**KEY.field, "Sec-Fetch-Mode": "cors"}).status == 200


@pytest.mark.parametrize("path, method, status", [
    (law.DAILY_USAGE, "GET", 200), (law.DAILY_USAGE, "POST", 405), (f"{law.DAILY_USAGE}?a=b", "GET", 400), ("/", "GET", 200),
    ("/app.js", "OPTIONS", 204), ("/nope", "GET", 404), ("/problem", "GET", 404), ("/api/nope", "GET", 404)])
def test_who_asked_is_in_the_log(closed, path, method, status):
    identity = next(names)
    assert closed.request(path, method, headers={**KEY.field, "X-Request-Id": identity}).status == status
    wait_until(lambda: closed.events("access", request_id=identity), 20, "the access log's line")
    [line] = closed.events("access", request_id=identity)
    assert (line["user"], line["proof"], line["status"]) == ("tests", "key", status)


@pytest.mark.parametrize("path, changes, status", [
    (law.DAILY_USAGE, {"Authorization": basic("tests", "wrong")["Authorization"]}, 401),
    ("/health_check", {}, 200), ("/nginx_check", {}, 200), (law.DAILY_USAGE, {"Referer": "\xff"}, 400)])
def test_who_only_claims_a_name_is_not_in_the_log(closed, path, changes, status):
    identity = next(names)
    assert closed.request(path, headers={**KEY.field, **changes, "X-Request-Id": identity}).status == status
    wait_until(lambda: closed.events("access", request_id=identity), 20, "the access log's line")
    [line] = closed.events("access", request_id=identity)
    assert (line["user"], line["proof"]) == ("", "")


@pytest.mark.skipif(IS_POD, reason="a pod always wants keys")
def test_the_open_service_ignores_names(service):
    identity = next(names)
    assert service.request(law.DAILY_USAGE, headers={**basic("a\nb", "c"), "X-Request-Id": identity}).status == 200
    wait_until(lambda: service.events("access", request_id=identity), 20, "the access log's line")
    [line] = service.events("access", request_id=identity)
    assert (line["user"], line["proof"]) == ("", "")


def test_keys_come_and_go_without_a_restart(run, database):
    first, second = Key("first"), Key("second")
    service = run(database, keys=KEY.line + first.line)

    def status(key):
        return service.request(law.DAILY_USAGE, headers=key.field).status

    assert (status(first), status(second)) == (200, 401)
    service.write_keys(first.line + second.line)
    wait_until(lambda: status(second) == 200, 5, "the second key")
    service.write_keys(second.line)
    wait_until(lambda: status(first) == 401, 5, "the first key's end")
    service.write_keys("")
    wait_until(lambda: status(second) == 401, 5, "the end of all keys")
    assert service.get("/health_check").status == 200 and service.is_ready()
