"""Behind a proxy that strips a path prefix: what an answer leads to can be followed."""

import http.client
import json
import re
import urllib.parse

import law
import pytest
from proxies import PREFIXES, PrefixProxy
from target import IS_POD
from test_http import DOCUMENTS, PROBES

pytestmark = [pytest.mark.one_build("sanitized"),
              pytest.mark.skipif(IS_POD, reason="the proxy stands before a port of this machine either way")]


@pytest.fixture(scope="module")
def proxy(service):
    """A proxy before the module's service."""
    running = PrefixProxy(service)
    yield running
    running.close()


def get(url):
    """Status, fields and body of a URL, without following redirects."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request("GET", urllib.parse.urlunsplit(("", "", parts.path, parts.query, "")))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("parameters", ["limit=1", "limit=2&order=visits", "limit=1&format=records"])
def test_links_can_be_followed(proxy, database, prefix, parameters):
    url, seen = f"http://127.0.0.1:{proxy.port}{prefix}api/reports/user_visits?{parameters}", []
    while url:
        status, fields, body = get(url)
        assert status == 200, url
        rows = json.loads(body)
        seen += [str(row["user_id"]) for row in rows] if isinstance(rows, list) else rows
        link = re.match(r'<([^>]*)>; *rel="?next', fields["Link"] or "")
        url = link and urllib.parse.urljoin(url, link[1])
        assert not url or url.startswith(f"http://127.0.0.1:{proxy.port}{prefix}")
    assert sorted(seen) == sorted(json.loads(law.user_visits(database)))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_nothing_leads_out_of_the_prefix(proxy, prefix):
    top = f"http://127.0.0.1:{proxy.port}{prefix}"
    for path in ["/", "/app.js", "/api", "/api/reports", "/index.html", *DOCUMENTS, *PROBES, *law.REPORTS]:
        _, fields, _ = get(top.rstrip("/") + path)
        for name in ("Location", "Content-Location", "Refresh"):
            assert urllib.parse.urljoin(top, fields[name] or "").startswith(top)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_servers_of_the_description(proxy, prefix):
    url = f"http://127.0.0.1:{proxy.port}{prefix}openapi.json"
    server, = json.loads(get(url)[2])["servers"]
    found = urllib.parse.urljoin(url, server["url"]).rstrip("/")
    assert get(f"{found}{law.DAILY_USAGE}")[0] == 200


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_the_page_names_is_below_the_prefix(proxy, prefix):
    url = f"http://127.0.0.1:{proxy.port}{prefix}"
    names = re.findall(r'(?:src|href)="([^"#][^"]*)"', get(url)[2].decode())
    assert names
    for name in set(names) - {"oauth2/sign_out"}:  # which is there for people who have signed in
        assert get(urllib.parse.urljoin(url, name))[0] == 200, name
