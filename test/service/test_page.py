"""The page's files as nginx sends them: types, compression, validators and security headers."""

import gzip
import re

import pytest
from test_http import METHODS, check_problem, fields_of

pytestmark = pytest.mark.one_build("sanitized")

FILES = {
    "/": "text/html; charset=utf-8",
    "/app.js": "text/javascript; charset=utf-8",
    "/style.css": "text/css; charset=utf-8",
    "/icon.svg": "image/svg+xml; charset=utf-8",
}
MOST_BYTES = 100_000


@pytest.mark.parametrize("path", FILES)
def test_a_file_of_the_page(service, path):
    answer = service.get(path, X_Request_Id="page")
    assert (answer.status, answer.headers["Content-Type"]) == (200, FILES[path])
    assert answer.headers["X-Request-Id"] == "page"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    policy = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert {"base-uri", "form-action", "frame-ancestors"} <= policy.keys()


@pytest.mark.parametrize("path", FILES)
def test_a_compressed_file_has_the_same_content(service, path):
    plain, packed = service.get(path), service.get(path, Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert "Accept-Encoding" in packed.headers["Vary"]


def test_the_whole_page_is_small(service, say):
    sizes = {path: len(service.get(path, Accept_Encoding="gzip").body) for path in FILES}
    say(f"the page: {sum(sizes.values())} bytes compressed: {sizes}")
    assert sum(sizes.values()) <= MOST_BYTES


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_an_unchanged_file_gets_304(service, path, encoding):
    tag = service.get(path, Accept_Encoding=encoding).headers["ETag"]
    again = service.get(path, Accept_Encoding=encoding, If_None_Match=tag)
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", FILES)
def test_methods(service, path):
    head, options = service.request(path, "HEAD"), service.request(path, "OPTIONS")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(service.get(path).body)
    assert (options.status, options.body) == (204, b"")
    assert set(options.headers["Allow"].split(", ")) == METHODS
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        refused = fields_of(service.request(path, method))
        check_problem(refused, 405, refused[1]["X-Request-Id"])
        assert set(refused[1]["Allow"].split(", ")) == METHODS


@pytest.mark.parametrize("path", ["/app.js.gz", "/app", "/www/app.js", "/src/main.ts", "/package.json", "/favicon.ico"])
def test_no_other_file_is_served(service, path):
    answer = fields_of(service.get(path))
    check_problem(answer, 404, answer[1]["X-Request-Id"])


def test_the_html_has_no_inline_script_or_style(service):
    html = service.get("/").body.decode()
    assert re.findall(r"<script[^>]*>", html) == ['<script type="module" src="app.js">']
    assert "<style" not in html and not re.search(r"\s(style|on\w+)=", html)
    assert not re.search(r"(src|href)=\"(https?:)?//", html)
