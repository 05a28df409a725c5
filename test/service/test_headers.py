"""Every method on every kind of path under every condition: no header twice, and nothing in nginx's error log
but the size of bodies."""

import concurrent.futures
import itertools
import re

import pytest
from law import DAILY_USAGE, USER_VISITS
from test_http import METHODS, exchange
from test_limits import send_against

pytestmark = pytest.mark.one_build("sanitized")

PATHS = ["/", "/index.html", "/app.js", "/style.css", "/icon.svg", "/nginx_check", "/health_check", "/readiness_check", "/api",
         "/api/reports/", DAILY_USAGE, f"{USER_VISITS}?limit=1", f"{DAILY_USAGE}?colour=red", "/openapi.json", "/problem", "/nope",
         "/api/nope"]
PAGE = PATHS[:5]
CONDITIONS = {
    "none": "",
    "gzip": "Accept-Encoding: gzip\r\n",
    "unchanged": "If-None-Match: *\r\n",
    "not since": "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
    "another tag": "If-Match: \"x\"\r\n",
    "since": "If-Unmodified-Since: Fri, 01 Jan 1999 00:00:00 GMT\r\n",
    "range": "Range: bytes=0-3\r\n",
    "two ranges": "Range: bytes=0-1,3-4\r\n",
    "range beyond": "Range: bytes=99999999-\r\n",
    "range of another": "Range: bytes=0-3\r\nIf-Range: \"x\"\r\n",
    "body": "Content-Length: 5\r\n\r\nhello",
    "large body": "Content-Length: 20000\r\n",
    "expectation": "Expect: 100-continue\r\n",
    "id": "X-Request-Id: headers\r\n",
}
MAY_REPEAT = {"vary"}
OF_413 = "client intended to send too large body"
STARTING = "run/probe.sock failed (2: "  # the pool has not opened it yet


def head_of(service, method, path, condition):
    """Status and fields, of which each name is once unless it is a list."""
    data = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{condition}".encode()
    received = send_against(service, data if b"\r\n\r\n" in data else data + b"\r\n")
    while received.startswith(b"HTTP/1.1 100 "):
        received = received.partition(b"\r\n\r\n")[2]
    status, *lines = received.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    names = [line.partition(":")[0].lower() for line in lines]
    twice = {name for name in names if names.count(name) > 1} - MAY_REPEAT
    assert not twice, (method, path, condition, lines)
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines if not line.endswith(":"))


@pytest.mark.parametrize("path", PATHS)
def test_no_header_is_there_twice(service, path):
    def check(method, name):
        status, fields = head_of(service, method, path, CONDITIONS[name])
        assert status < 500 and status != 416, (method, path, name)
        assert fields["X-Request-Id"] and fields["X-Content-Type-Options"] == "nosniff"
        assert all(fields.values()), fields
        if status >= 400:
            assert fields["Content-Type"] == "application/problem+json" and fields["Cache-Control"] == "no-store"

    methods = [*METHODS, "POST", "PUT", "DELETE", "TRACE", "CONNECT", "PROPFIND"]
    # Side by side: nginx waits a second for the body of a 413.
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda pair: check(*pair), itertools.product(methods, CONDITIONS)))
    assert not [line for line in service.errors if re.search(r"\[\w+\] \d+#", line) and OF_413 not in line and STARTING not in line]


@pytest.mark.parametrize("path", PAGE)
def test_options_of_the_page_have_the_page_s_policy(service, path):
    status, fields = head_of(service, "OPTIONS", path, "")
    _, of_get = head_of(service, "GET", path, "")
    assert status == 204 and set(fields["Allow"].split(", ")) == METHODS
    assert fields["Content-Security-Policy"] == of_get["Content-Security-Policy"]


@pytest.mark.parametrize("path", PAGE)
def test_a_range_of_the_page_is_all_of_it(service, path):
    whole = service.get(path)
    part = service.get(path, Range="bytes=99999999-")
    assert (part.status, part.body) == (200, whole.body)
    assert "Accept-Ranges" not in whole.headers


def test_a_refusal_says_why(service):
    status, _, body = exchange(service, b"GET / HTTP/1.1\r\nHost: a\r\nReferer: \x1b\r\nConnection: close\r\n\r\n")
    assert status == 400 and b"Referer must be printable ASCII" in body
