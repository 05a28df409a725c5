"""SERVER_NAMES: hosts that are served, 421 for all others, and what is answered whatever the Host."""

import shutil
import subprocess

import pytest
from law import DAILY_USAGE
from postgres import ROOT
from target import IS_POD
from test_http import TITLES, check_problem, exchange

pytestmark = pytest.mark.one_build("sanitized")

TITLES[421] = "Misdirected Request"
PATHS = ["/", "/app.js", DAILY_USAGE, f"{DAILY_USAGE}?every=week", "/openapi.json", "/api/reports/", "/nope", "/api/nope",
         "/x:a1", "/x:1a/health_check"]
CHECKS = ["/nginx_check", "/health_check", "/readiness_check"]
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
NAMES = "Reports.example.org, *.example.com\n[2001:db8::1] 192.0.2.7"


@pytest.fixture(scope="module")
def bound(run_for_module, database):
    """A service of some names."""
    return run_for_module(database, SERVER_NAMES=NAMES)


def status_of(service, target, host, version="1.1"):
    """The answer to a request with such a Host; None leaves it out."""
    field = "" if host is None else f"Host: {host}\r\n"
    return exchange(service, f"GET {target} HTTP/{version}\r\n{field}Connection: close\r\n\r\n".encode())


@pytest.mark.parametrize("host", [
    "reports.example.org", "REPORTS.Example.ORG", "reports.example.org:5153", "reports.example.org.", "a.example.com",
    "a.b.example.com", "[2001:db8::1]", "[2001:db8::1]:5153", "192.0.2.7", "192.0.2.7:80",
])
def test_names_that_are_served(bound, host):
    for path in ("/", DAILY_USAGE):
        assert status_of(bound, path, host)[0] == 200


@pytest.mark.parametrize("host", [
    "evil.example", "127.0.0.1", "localhost", "[::1]", "example.com", "reports.example.org.evil.example", "other", "default",
    "xreports.example.org", "192.0.2.70",
])
def test_others_are_misdirected(bound, host):
    for path in PATHS:
        check_problem(status_of(bound, path, host), 421, detail=True)
    for path in CHECKS:
        assert status_of(bound, path, host)[::2] == (200, b"ok")


def test_without_a_host(bound):
    check_problem(status_of(bound, "/", None, "1.0"), 421, detail=True)
    assert status_of(bound, "/health_check", None, "1.0")[0] == 200


def test_the_target_s_own_host_counts(bound):
    assert status_of(bound, f"http://reports.example.org{DAILY_USAGE}", "evil.example")[0] == 200
    check_problem(status_of(bound, f"http://evil.example{DAILY_USAGE}", "reports.example.org"), 421, detail=True)


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "BREW"])
def test_whatever_the_method(bound, method):
    request = f"{method} / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert exchange(bound, request.encode())[0] == 421


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", None])
def test_without_names_any_is_served(service, host):
    assert status_of(service, "/", host, "1.1" if host else "1.0")[0] == 200


@pytest.mark.skipif(IS_POD, reason="a pod's init container says it")
@pytest.mark.parametrize("names, valid", [
    ("a", True), ("a.example.org,b", True), (" a \n b ", True), ("*.example.org", True), ("[::1]", True), ("a_b.example", True),
    ("a.example A.example", True), ("[::1],[::1]", True), ("default hostnames include volatile", True), ("tab null", True),
    ("x" * 63 + ".example", True), (".".join(["x" * 62] * 4), True),
    ("http://a", False), ("a:80", False), ("a;", False), ("a 1; b", False), ("*", False), ("a.*", False), ("a..b", False), ("a.", False),
    (".a", False), ("a/", False), ("{", False), ("$host", False), ("~a", False), ("x" * 254, False), ("[a", False), ("ä", False),
])
def test_names_are_checked_at_once(programs, tmp_path, names, valid):
    (tmp_path / "run").mkdir()
    environment = {"DB_USERNAME": "u", "DB_PASSWORD": "p", "SERVER_NAMES": names, "PATH": "/usr/bin"}
    for option in ("--check", "--server-names"):
        done = subprocess.run([programs / "analytics-fcgi", option], cwd=tmp_path, env=environment, capture_output=True,
                              text=True, check=False)
        assert done.returncode == (0 if valid else 78)
        assert ("SERVER_NAMES must be" in done.stderr) != valid
    file = tmp_path / "run/server_names.conf"
    assert file.exists() == valid
    if valid:
        for path in set(ROOT.glob("nginx/*.conf")) - {ROOT / "nginx/connections.conf"}:
            (tmp_path / path.name).write_text(path.read_text().replace("../run/", f"{tmp_path}/run/"))
        (tmp_path / "listen.conf").write_text("listen 127.0.0.1:1;")
        (tmp_path / "access.conf").write_text("include open.conf;")
        (tmp_path / "tmp").mkdir()
        subprocess.run([NGINX, "-t", "-q", "-p", f"{tmp_path}/", "-c", "nginx.conf", "-e", "stderr"], cwd=tmp_path, check=True)
        subprocess.run([programs / "analytics-fcgi", "--server-names"], cwd=tmp_path, env={**environment, "SERVER_NAMES": ""}, check=True)
        assert not file.exists()
