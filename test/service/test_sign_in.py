"""People sign in with the company's account: who is let in, for how long, and what everybody else gets."""

import itertools
import socket
import time
import urllib.parse
from functools import partial

import law
import pytest
from access import CLOSED, METHODS, PROBES, is_refused
from keys import basic, key_of_tests
from postgres import wait_until
from sign_in import COOKIE, MISSING, Browser, House, is_there
from target import IS_POD

pytestmark = [pytest.mark.one_build("sanitized"), pytest.mark.skipif(IS_POD, reason="oauth2-proxy is on this machine"),
              pytest.mark.skipif(not is_there(), reason=MISSING)]
KEY = key_of_tests()
MEMBER = "jane.doe@example.com"
VIEW = "/?from=2026-05-01&to=2026-06-30&every=week&compare=no"
names = (f"session-{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def house(run_for_module, database, provider):
    """One for the tests that leave it running."""
    made = House(partial(run_for_module, database), provider)
    yield made
    made.close()


@pytest.fixture
def build(run, database, provider):
    """Makes others, which end with the test."""
    houses = []

    def make(**changes):
        houses.append(House(partial(run, database), provider, **changes))
        return houses[-1]

    yield make
    for made in houses:
        made.close()


@pytest.fixture(scope="module")
def session(house):
    """The header field with the session of someone who has signed in."""
    browser = Browser(house.front)
    assert browser.open().status == 200
    return browser.session()


# Who has no session

@pytest.mark.parametrize("path", CLOSED)
def test_everything_is_closed_to_programs(house, path):
    for method in METHODS:
        assert is_refused(house.service.request(path, method), method), method
        assert is_refused(house.service.request(path, method, headers={"Sec-Fetch-Mode": "cors"}), method, challenge="Key"), method


@pytest.mark.parametrize("path", PROBES)
def test_probes_are_open(house, path):
    assert house.service.request(path).status == 200


@pytest.mark.parametrize("path", [VIEW, "/nope", law.DAILY_USAGE, "/session", "/oauth2/auth", "/oauth2/sign_in", "/oauth2/nope", "/ping"])
@pytest.mark.parametrize("headers", [{"Sec-Fetch-Mode": "navigate"}, {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}],
                         ids=["navigates", "an older browser"])
def test_a_browser_is_sent_to_the_provider(house, provider, path, headers):
    answer = house.service.request(path, headers=headers)
    while answer.status == 429:  # other tests signed in
        time.sleep(0.5)
        answer = house.service.request(path, headers=headers)
    assert answer.status == 302 and answer.headers["Location"].startswith(f"{provider.issuer}/authorize?")
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.headers["Location"]).query)
    assert asked["redirect_uri"] == [f"{house.front.url}/oauth2/callback"]
    assert asked["code_challenge_method"] == ["S256"] and urllib.parse.unquote(asked["state"][0]).endswith(path)
    for cookie in answer.headers.get_all("Set-Cookie"):
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert cookie.startswith("__Host-") and {"secure", "httponly", "path=/", "samesite=lax"} <= parts
        assert not any(part.startswith("domain") for part in parts)
    assert answer.headers["Strict-Transport-Security"]


def forgeries(session):
    """Sessions that are none."""
    value = session["Cookie"].split("=", 1)[1]
    content, when, signature = value.split("|")
    yield "of another name", f"{COOKIE}x={value}"
    yield "empty", f"{COOKIE}="
    yield "nonsense", f"{COOKIE}=nonsense"
    yield "unsigned", f"{COOKIE}={content}|{when}|"
    yield "cut", f"{COOKIE}={value[:-4]}"
    yield "changed", f"{COOKIE}=A{content[1:]}|{when}|{signature}"
    yield "made younger", f"{COOKIE}={content}|{int(when) + 1000}|{signature}"
    yield "in parts", f"{COOKIE}_0={value[:100]}; {COOKIE}_1={value[150:]}"
    yield "huge", f"{COOKIE}={'x' * 7000}"
    yield "with a control character", f"{COOKIE}={content}|{when}|{signature}\x1b"
    yield "many parts", "; ".join(f"{COOKIE}_{number}=a" for number in range(200))


def test_a_forged_session(house, session):
    for name, cookie in forgeries(session):
        for path in (law.DAILY_USAGE, "/", "/app.js", "/nope"):
            assert is_refused(house.service.request(path, headers={"Cookie": cookie})), name
    for header in ("X-Auth-Request-Email", "X-Auth-Request-User", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Access-Token",
                   "X-Forwarded-Uri", "X-Original-URI", "Authorization"):
        assert is_refused(house.service.request(law.DAILY_USAGE, headers={header: MEMBER})), header


def test_a_session_of_another_secret(house, build, session):
    other = build()
    assert is_refused(other.service.request(law.DAILY_USAGE, headers=session))
    assert house.service.request(law.DAILY_USAGE, headers=session).status == 200


def test_an_expired_session(build):
    made = build(OAUTH2_PROXY_COOKIE_EXPIRE="3s")
    browser = Browser(made.front)
    assert browser.open().status == 200
    copied = browser.session()
    assert made.service.request(law.DAILY_USAGE, headers=copied).status == 200
    wait_until(lambda: made.service.request(law.DAILY_USAGE, headers=copied).status == 401, 20, "the end of the session")
    assert is_refused(made.service.request(law.DAILY_USAGE, headers={**copied, "Sec-Fetch-Mode": "cors"}), challenge="Key")


# Who has one

def test_signing_in_keeps_the_view(house):
    browser = Browser(house.front)
    answer = browser.open(VIEW)
    assert answer.status == 200 and answer.url == house.front.url + VIEW
    assert b"<title>Coworking analytics</title>" in answer.read()
    [cookie] = [cookie for cookie in browser.cookies if cookie.name == COOKIE]
    assert cookie.secure and cookie.path == "/" and not cookie.domain_specified
    assert 8 * 3600 - 120 < cookie.expires - time.time() <= 8 * 3600 and len(cookie.value) < 2000


@pytest.mark.parametrize("path", ["/", "/app.js", *law.ANSWERS, "/api/reports/", "/openapi.json"])
def test_a_session_gets_what_is_there(house, session, database, path):
    identity = next(names)
    answer = house.service.request(path, headers={**session, "X-Request-Id": identity})
    assert answer.status == 200 and "WWW-Authenticate" not in answer.headers and "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"].startswith(("private", "no-store"))
    if path in law.ANSWERS:
        assert answer.body == law.answer(database, path)
        assert answer.headers["Signed-In-As"] == MEMBER
    assert answer.headers["Strict-Transport-Security"]
    assert house.line(identity) == (MEMBER, "session")


@pytest.mark.parametrize("path, method, status", [("/nope", "GET", 404), (law.DAILY_USAGE, "POST", 405),
                                                  (f"{law.DAILY_USAGE}?a=b", "GET", 400),
                                                  ("/session", "GET", 404), ("/oauth2/auth", "GET", 404), ("/oauth2/sign_in", "GET", 404)])
def test_a_session_gets_the_errors_there_are(house, session, path, method, status):
    identity = next(names)
    assert house.service.request(path, method, headers={**session, "X-Request-Id": identity}).status == status
    assert house.line(identity) == (MEMBER, "session")


@pytest.mark.parametrize("headers, line", [
    (KEY.field, ("tests", "key")),
    ({**KEY.field, "Cookie": f"{COOKIE}=nonsense"}, ("tests", "key")),
    ({**basic("tests", "wrong"), "Cookie": "SESSION"}, (MEMBER, "session")),
    ({**basic("a\nb", "wrong"), "Cookie": "SESSION"}, (MEMBER, "session")),
    ({**KEY.field, "Cookie": "SESSION"}, ("tests", "key"))],
    ids=["a key", "a key and a wrong session", "a wrong key and a session", "a bad name and a session", "both"])
def test_either_is_enough(house, session, headers, line):
    identity = next(names)
    sent = {**headers, "X-Request-Id": identity}
    if sent.get("Cookie") == "SESSION":
        sent["Cookie"] = session["Cookie"]
    assert house.service.request(law.DAILY_USAGE, headers=sent).status == 200
    assert house.line(identity) == line


@pytest.mark.parametrize("name", ["a", f"{COOKIE}_"])  # the second is that of a session in parts, which oauth2-proxy clears
def test_other_cookies_do_no_harm(house, session, name):
    cookies = "; ".join([f"{name}{number}=b" for number in range(200)] + [session["Cookie"]])
    assert house.service.request(law.DAILY_USAGE, headers={"Cookie": cookies}).status == 200


@pytest.mark.parametrize("email", ["mallory@example.org", "mallory@example.com.evil.example", "mallory@notexample.com"])
def test_whom_the_provider_knows_and_we_do_not_let_in(house, provider, email):
    provider.next_person(email)
    browser = Browser(house.front)
    assert browser.open(VIEW).status == 403
    assert is_refused(house.service.request(law.DAILY_USAGE, headers=browser.session()))


def test_only_members_of_a_group(build, provider):
    made = build(OAUTH2_PROXY_ALLOWED_GROUPS="analysts", OAUTH2_PROXY_EMAIL_DOMAINS="*")
    provider.next_person("stranger@example.org", groups=["cooks"])
    assert Browser(made.front).open().status == 403
    provider.next_person("analyst@example.org", groups=["analysts", "cooks"])
    assert Browser(made.front).open().status == 200


def test_signing_out(house):
    browser = Browser(house.front)
    assert browser.open().status == 200
    answer = browser.open("/oauth2/sign_out?rd=https://evil.example/")
    assert answer.status == 200 and answer.url == f"{house.front.url}/signed_out"
    assert b"signed out" in answer.read() and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert not browser.session()["Cookie"]


def test_other_sites_sign_nobody_out(house, session):
    answer = house.service.request("/oauth2/sign_out", headers={**session, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert answer.status == 403 and "Set-Cookie" not in answer.headers
    assert answer.json()["detail"] == "other sites may not sign people out" and answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("spoilt", [{"Host": "a@b"}, {"Host": 'a">'}, {"Cookie": "x=\x1b"}, {"Cookie": f"{COOKIE}=\x1b"}], ids=str)
def test_nobody_makes_it_look_as_if_sign_in_were_down(house, session, spoilt):
    for headers in (spoilt, {**spoilt, **basic("tests", "wrong")}):
        assert house.service.request(law.DAILY_USAGE, headers=headers).status in (400, 401)
    assert house.service.request(law.DAILY_USAGE, headers={**session, "Host": "other.example"}).status == 200
    assert house.service.raw(b"GET /api/reports/ HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 401 ")


def test_wrong_keys_are_limited_while_sign_in_is_down(build):
    made = build()
    browser = Browser(made.front)
    assert browser.open().status == 200
    made.sign_in.stop()
    wrong = {**browser.session(), **basic("tests", "wrong")}
    assert is_refused(made.service.request(law.DAILY_USAGE, headers=wrong))
    statuses = {made.service.request(law.DAILY_USAGE, headers=wrong).status for _ in range(600)}
    assert statuses == {401, 429}


def test_unfinished_sign_ins_do_not_lock_a_browser_out(build):
    """Each leaves a cookie; nginx refuses more than 8 kB of them."""
    made = build()
    browser = Browser(made.front, follow=False)
    for _ in range(20):
        assert browser.open().status == 302
    assert sum(len(cookie.name) + len(cookie.value) for cookie in browser.cookies) < 4000


def test_the_pages_of_oauth2_proxy_are_confined(house):
    answer = house.service.request("/oauth2/callback?error=access_denied")
    assert answer.status == 403 and "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Strict-Transport-Security"]
    assert house.service.request("/oauth2/static/css/bulma.min.css").headers["Content-Type"].startswith("text/css")


def test_nobody_is_sent_elsewhere(house):
    """An open redirect would lend our name to others."""
    for path in ("//evil.example/", "/\\evil.example", "/?rd=https://evil.example/", "/oauth2/sign_out?rd=//evil.example"):
        answer = Browser(house.front).open(path)
        assert answer.url.startswith(house.front.url), path


CONDITIONS = [{"Range": "bytes=9999-"}, {"If-Match": '"x"'}, {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}]
OPEN = ["/signed_out", "/oauth2/sign_out", "/oauth2/static/css/bulma.min.css", "/oauth2/callback?code=a&state=b",
        "/oauth2/callback?error=access_denied", "/oauth2/callback?code=a&state=b%3Ac", "/nginx_check", "/health_check",
        "/api/reports/user_visits/../../../signed_out"]


def test_nobody_is_named_who_has_proved_nothing(build):
    made = build()
    claims = [(claimed, "GET", {}) for claimed in ("powerbi", "ceo@example.com", KEY.name, "x" * 300, "\x01" * 100, "ceo\n")]
    claims += [("powerbi", method, condition) for method in ("GET", "HEAD", "OPTIONS", "POST") for condition in CONDITIONS]
    for path in OPEN:
        identities = [next(names) for _ in claims]
        for identity, (claimed, method, condition) in zip(identities, claims):
            made.service.request(path, method, headers={"X-Request-Id": identity, **basic(claimed, "wrong"), **condition})
        assert {made.line(identity) for identity in identities} == {("", "")}, path


@pytest.mark.parametrize("query", ["error=x%0aFORGED", "error=x%1bFORGED", "error=x%C2%85FORGED", "error=FORGED", "code=x%0AFORGED&state=a",
                                   "code=x&state=a%0dFORGED", "code=x&rd=//y%0aFORGED", "code=x&rd=/FORGED", "FORGED"])
def test_no_client_writes_into_oauth2_proxy_s_log(house, query):
    assert house.service.request(f"/oauth2/callback?{query}").status == 400
    assert house.service.request(f"/oauth2/static/?rd=//%0a{query}").status == 401
    assert "FORGED" not in house.sign_in.output()


@pytest.mark.parametrize("path", ["/oauth2/%73tatic/css/x", "/oauth2/static%2fcss%2fx", "/oauth2/ping/%2e%2e/static/css/x"])
def test_oauth2_proxy_gets_the_paths_that_nginx_has_understood(house, path):
    """It takes one that it does not know for the beginning of a sign-in."""
    assert house.service.request(path).status == 404


@pytest.mark.parametrize("path", ["/oauth2/static/", "/oauth2/static/css/", "/oauth2/static", "/oauth2/callback/",
                                  "/oauth2/start", "/oauth2/auth", "/oauth2/userinfo", "/oauth2/sign_in", "/ping", "/metrics"])
def test_the_rest_of_oauth2_proxy_is_closed(house, path):
    assert is_refused(house.service.request(path))


@pytest.mark.parametrize("query", ["", "#x", "?code=x", "?code=x&state=", "?code=x&state=b", "?state=b%3Ac", "?error=",
                                   "?code=a%2&state=b%3Ac"])
def test_a_callback_without_an_answer(house, query):
    answer = house.service.request(f"/oauth2/callback{query}")
    assert answer.status == 400 and "identity provider" in answer.json()["detail"]


def test_a_long_answer_of_the_provider(build):
    """It reaches oauth2-proxy, which misses its cookie."""
    made = build()
    for length in (1, 1000, 1100, 4000, 7000):
        assert made.service.request(f"/oauth2/callback?code={'A' * length}&state=b%3A%2F").status == 403
        assert made.service.request(f"/oauth2/callback?code=a&state=b%3A{'%252C' * (length // 5)}%2F").status == 403
    assert not [line for line in made.service.errors if "alert" in line]


def test_signing_in_from_a_long_address(build):
    made = build()
    for view in ("/?x=" + "a" * 590, "/?" + "," * 590, "/?" + "%2C" * 195, "/?" + "%22" * 1000, "/?" + "a" * 5000):
        answer = Browser(made.front).open(view)
        assert answer.status == 200 and answer.url == made.front.url + (view if len(view) <= 600 else "/")


def test_another_site_s_pictures_use_up_no_sign_ins(house):
    picture = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "cross-site"}
    for _ in range(60):
        assert house.service.request("/oauth2/callback?error=x", headers=picture).status == 400


def test_many_cookies_do_not_keep_anybody_from_signing_out(house, session):
    many = "; ".join(f"{COOKIE}_{number}=a" for number in range(100))
    answer = house.service.request("/oauth2/sign_out", headers={"Cookie": f"{many}; {session['Cookie']}"})
    assert answer.status == 302 and COOKIE in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("fields", ["Content-Length: 16000", "Transfer-Encoding: chunked", "Content-Length: 5\r\nExpect: 100-continue"])
def test_no_sign_in_waits_for_a_body(house, fields):
    with socket.create_connection(("127.0.0.1", house.service.port), timeout=20) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n{fields}\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_another_site_s_frames_start_no_sign_in(house):
    frame = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}
    assert is_refused(house.service.request("/", headers=frame))
    assert house.service.request("/", headers={**frame, "Sec-Fetch-Dest": "document"}).status == 302


@pytest.mark.parametrize("path", ["/api/reports/" + "%22" * 2600, "/?" + "%22" * 2600, "/%C3%A9" * 600])
def test_an_address_that_is_too_long_to_come_back_to(house, path):
    answer = house.service.request(path, headers={"Accept": "text/html"})
    assert answer.status == 302


# When it fails

def test_oauth2_proxy_is_down(build):
    made = build()
    browser = Browser(made.front)
    assert browser.open().status == 200
    made.sign_in.stop()
    assert is_refused(made.service.request(law.DAILY_USAGE))
    for headers in ({"Sec-Fetch-Mode": "navigate"}, browser.session()):
        answer = made.service.request(law.DAILY_USAGE, headers=headers)
        assert answer.status == 503 and answer.headers["Retry-After"], headers
        assert "signing in" in answer.json()["detail"] and "Keys" in answer.json()["detail"]
    assert made.service.request(law.DAILY_USAGE, headers=KEY.field).status == 200
    assert all(made.service.request(path).status == 200 for path in PROBES)
    made.sign_in.resume()
    wait_until(lambda: made.service.request(law.DAILY_USAGE, headers=browser.session()).status == 200, 10, "the session")


def test_sign_ins_are_limited(build):
    made = build()
    began = time.monotonic()
    answers = [made.service.request("/", headers={"Sec-Fetch-Mode": "navigate"}) for _ in range(200)]
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {302, 429}
    assert statuses.count(302) <= 22 + 2 * (time.monotonic() - began)
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.headers["Retry-After"] and "sign-ins" in refused.json()["detail"]
    assert made.service.request(law.DAILY_USAGE, headers=KEY.field).status == 200
