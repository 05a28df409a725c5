"""Whatever bytes a client sends: no control characters and no long lines in any log of nginx, worker and logger."""

import concurrent.futures
import itertools
import json
import re
import unicodedata

import pytest
from law import DAILY_USAGE
from postgres import wait_until
from test_limits import send_against

pytestmark = pytest.mark.one_build("sanitized")

LONGEST = 8192
names = (f"lines-{number}" for number in itertools.count(1))
TEXTS = {
    "escape": b"\x1b[31m", "bell": b"\a", "tab": b"\t", "delete": b"\x7f", "C1 in UTF-8": b"\xc2\x85\xc2\x9b", "C1 alone": b"\x85\x9b",
    "line separator": b"\xe2\x80\xa8", "paragraph separator": b"\xe2\x80\xa9", "cut UTF-8": b"\xe2\x80", "no UTF-8": b"\xff\xfe",
    "byte order": b"\xef\xbb\xbf", "right to left": b"\xe2\x80\xae", "quotes": b"\"\\\"",
}


def escaped(text):
    """In percent signs, as nginx decodes it."""
    return b"".join(b"%%%02X" % byte for byte in text)


def requests(text):
    """A request with these bytes in each of its places, and each of the ways in which nginx answers by itself."""
    get = b"GET %s HTTP/1.1\r\nHost: a\r\nX-Request-Id: %s\r\nConnection: close\r\n%s\r\n"
    large = b"Content-Length: 100000\r\n"
    for end in (b"", large):
        for path in (b"/", b"/api/reports/daily_usage"):
            yield get % (path + text, b"x", end)
            yield get % (path + b"?" + text, b"x", end)
            yield get % (path + escaped(text), b"x", end)
            yield get % (path + b"?a=" + escaped(text), b"x", end)
            yield get % (path, text, end)
            for field in (b"Referer", b"User-Agent", b"Accept", b"If-None-Match", b"Cookie", b"X-Forwarded-For"):
                yield get % (path, b"x", field + b": " + text + b"\r\n" + end)
            yield get % (path, b"x", b"X-" + text + b": x\r\n" + end)
            yield (b"GET %s HTTP/1.1\r\nHost: a%s\r\nConnection: close\r\n%s\r\n") % (path, text, end)
            yield (b"GET http://a%s%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n") % (text, path, end)
            yield (b"G%sT %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n") % (text, path, end)
            yield (b"GET %s HTTP/1.1%s\r\nHost: a\r\nConnection: close\r\n%s\r\n") % (path, text, end)
    yield get % (b"/" + 9000 * b"a" + text, b"x", b"")
    yield get % (b"/", b"x", b"Referer: " + text + 9000 * b"a" + b"\r\n")
    yield text + b"\r\n\r\n"


LONG = {
    "path of quotes": b"/" + 8000 * b"\"",
    "path of backslashes": b"/api/" + 8000 * b"\\",
    "path of escaped bells": b"/api/" + 2600 * b"%07",
    "path of escaped C1": b"/api/" + 1300 * b"%c2%85",
    "path cut within UTF-8": b"/api/" + b"a" * 249 + 100 * b"%e2%80%a8",
    "query": b"/api/reports/daily_usage?" + 7900 * b"\"",
}


def send_all(service, texts):
    """Side by side: nginx waits a second for the end of what it has refused."""
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda data: send_against(service, data), (data for text in texts for data in requests(text))))


def check_lines(service):
    """All lines of all logs so far."""
    assert service.log
    for line in [*service.log, *service.errors]:
        text = line.removesuffix("\n")
        assert len(text.encode()) <= LONGEST, f"{len(text)} characters: {text[:300]}"
        bad = [character for character in text if unicodedata.category(character) in ("Cc", "Zl", "Zp")]
        assert not bad and "\\x" not in text, repr(text)
    for line in service.log:
        json.loads(line)


def wait_for_access_lines(service):
    """nginx writes up to a second later."""
    name = next(names)
    service.get("/nginx_check", X_Request_Id=name)
    wait_until(lambda: service.events("access", request_id=name), 20, "the last line")


@pytest.fixture(scope="module")
def busy(run_for_module, database):
    """A service of these tests' own, whose logs are read to the end."""
    return run_for_module(database, LOG_LEVEL="debug")


@pytest.mark.parametrize("name", TEXTS)
def test_control_characters(busy, name):
    send_all(busy, [TEXTS[name]])
    wait_for_access_lines(busy)
    check_lines(busy)


@pytest.mark.parametrize("name", LONG)
def test_long_lines(busy, name):
    answer = send_against(busy, b"GET %s HTTP/1.1\r\nHost: a\r\nReferer: %s\r\nConnection: close\r\n\r\n"
                          % (LONG[name], b"\"" * 7000))
    assert re.match(rb"HTTP/1.1 4(00|04|14|31) ", answer), answer[:200]
    wait_for_access_lines(busy)
    check_lines(busy)


def test_where_the_workers_are_gone(run, database):
    """What nginx then says of upstream repeats the request."""
    service = run(database)
    for _ in range(10):
        service.get(DAILY_USAGE)
    (service.directory() / "run/reports.sock").unlink()
    send_all(service, list(TEXTS.values())[:6])
    wait_for_access_lines(service)
    assert any("run/reports.sock failed" in line for line in service.errors)
    check_lines(service)
