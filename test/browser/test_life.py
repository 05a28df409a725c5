"""The page over time: new data, no data, a database that is lost and comes back, a lot of data."""

import contextlib
import datetime
import email.utils
import http.server
import threading
import time
import types

import pytest
from reader import PANELS, numbers, records

INSERT = """INSERT INTO tokens (user_id, token, created_at, used_at)
SELECT min(id), '123456', %s, %s FROM users"""
LOG_SECONDS = 1.5  # nginx buffers log lines for a second


def pass_time(reader, seconds):
    """Advances the page's clock; the real service answers the requests that follow."""
    reader.page.clock.run_for(seconds * 1000)
    reader.page.wait_for_timeout(50)
    return reader.settle()


def open_with_clock(read, service, search=""):
    """A window whose clock the test controls."""
    reader = read(service)
    reader.page.clock.install()
    return reader.open(search)


def requests_of(reader):
    """Collects the reports that the page requests from now on."""
    asked = []
    reader.page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
    return asked


def test_new_data_appears_by_itself(server, run, read):
    service = run(server, "test/service/example.sql")
    reader = open_with_clock(read, service)
    before = numbers(reader.text("#summary .visits .value"))[0]
    service.database.execute(INSERT, ("2024-03-04 13:00", "2024-03-04 13:01"))
    pass_time(reader, 20)
    assert numbers(reader.text("#summary .visits .value")) == [before]
    pass_time(reader, 12)
    assert numbers(reader.text("#summary .visits .value")) == [before + 1]
    assert numbers(reader.table("#usage")[-1][1]) == [2]
    # A new day moves the view.
    service.database.execute(INSERT, ("2024-03-09 13:00", "2024-03-09 13:01"))
    pass_time(reader, 32)
    assert reader.text("#newest") == "9 Mar 2024"
    assert reader.period()[1] == "2024-03-09"


def test_polling_is_cheap_while_nothing_changes(sample, read):
    seen = sample.database.snapshot()
    reader = open_with_clock(read, sample)
    drawn = reader.page.evaluate("document.querySelector('#usage canvas').id = 'drawn'")
    asked = requests_of(reader)
    reader.page.locator("#usage .chart").press("Home")
    for _ in range(5):  # a run of the logger, or autovacuum, may come in between
        time.sleep(LOG_SECONDS)
        unchanged = len(sample.events("access", status=304))
        asked.clear()
        pass_time(reader, 32)
        time.sleep(LOG_SECONDS)
        before, seen = seen, sample.database.snapshot()
        if seen == before:
            break
    assert seen == before, "something keeps writing"
    assert 5 < len(asked) < 12
    assert len(sample.events("access", status=304)) - unchanged == len(asked)
    assert reader.page.locator(f"#{drawn}").count() == 1  # nothing was redrawn
    assert reader.page.is_visible("#usage .tip")


def test_answers_in_another_order_redraw_nothing(sample, read):
    def delay(part):
        reader.page.unroute_all()
        reader.page.route(f"**/daily_usage?*{part}", lambda route: (time.sleep(0.3), route.continue_()))

    reader = read(sample)
    reader.page.clock.install()
    delay("every=day&format=records")
    reader.open()
    drawn = reader.page.evaluate("document.querySelector('#usage canvas').id = 'drawn'")
    delay("to=2026-07-31&format=records")
    asked = requests_of(reader)
    pass_time(reader, 32)
    assert len([url for url in asked if "/daily_usage" in url]) > 1
    assert reader.page.locator(f"#{drawn}").count() == 1


def test_a_hidden_page_requests_nothing(sample, read):
    reader = open_with_clock(read, sample)
    hide = """(is) => {
      Object.defineProperty(document, 'hidden', { value: is, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }"""
    asked = requests_of(reader)
    reader.page.evaluate(hide, True)
    pass_time(reader, 600)
    assert asked == []
    reader.page.evaluate(hide, False)
    pass_time(reader, 1)
    assert len(asked) > 5


def test_a_database_that_is_lost_and_comes_back(own_server, run, read):
    service = run(own_server, "sql/coworking/sample.sql")
    reader = open_with_clock(read, service)
    figures = {panel: reader.text(f"#{panel}") for panel in PANELS}
    seen = reader.text("#updated")
    own_server.stop("immediate")
    pass_time(reader, 32)
    banner = reader.text("#banner")
    assert banner.startswith("Not up to date.") and f"You see the data of {seen}." in banner
    identity = reader.text("#banner code")
    assert identity and service.get("/").status == 200
    for panel in PANELS:
        assert reader.text(f"#{panel}") == figures[panel]
    assert reader.axe_findings() == []
    # Retries become less frequent while there is no answer.
    asked = requests_of(reader)
    for _ in range(40):
        pass_time(reader, 15)
    assert 2 <= len(asked) <= 6
    # For a view without an answer the page keeps showing the last one, and says so.
    reader.click("#range-90")
    assert reader.text("#summary .visits .value") in figures["summary"]
    assert "Not up to date." in reader.text("#banner")
    own_server.start()
    reader.click("#banner button")
    assert not reader.page.is_visible("#banner")
    assert reader.search() == "days=90"
    [row] = records(service, "summary", from_=reader.period()[0], to=reader.period()[1])
    assert numbers(reader.text("#summary .visits .value")) == [row["visits"]]


def test_a_database_that_comes_later(own_server, run, read):
    service = run(own_server, "test/service/example.sql")
    own_server.stop("immediate")
    reader = open_with_clock(read, service)
    assert reader.text("#banner").startswith("No data.") and "There is nothing to show yet." in reader.text("#banner")
    assert reader.text("#updated") == "–"
    assert reader.axe_findings() == []
    own_server.start()
    pass_time(reader, 35)
    assert not reader.page.is_visible("#banner")
    assert numbers(reader.text("#summary .visits .value")) == [4]


@contextlib.contextmanager
def behind(service):
    """A proxy that changes Data-As-Of and Date, so that data seems old or the clock wrong."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):  # pylint: disable=invalid-name
            """Passes a request on, and the answer back with other times."""
            answer = service.get(self.path, **self.headers)
            headers = {**answer.headers, "Date": email.utils.format_datetime(PROXY_TIME, usegmt=True)}
            if "/api/" in self.path and proxy.seconds is not None:
                as_of = PROXY_TIME - datetime.timedelta(seconds=proxy.seconds)
                headers["Data-As-Of"] = as_of.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
            if answer.status != 304:
                headers["Content-Length"] = len(answer.body)
            proxy.statuses.add(answer.status)
            self.send_response_only(answer.status)
            for name, value in headers.items():
                if name not in ("Transfer-Encoding", "Connection"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_):  # pylint: disable=arguments-differ
            """Logs nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy = types.SimpleNamespace(port=server.server_port, seconds=None, statuses=set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()


PROXY_TIME = datetime.datetime(2020, 3, 1, 14, 9, 7, tzinfo=datetime.timezone.utc)
SENTENCE = "The data is {} old, as of {}."


@pytest.mark.parametrize("options", [{}, {"viewport": {"width": 390, "height": 844}}], ids=["wide", "phone"])
def test_a_standby_that_is_behind(sample, read, options):
    with behind(sample) as proxy:
        reader = read(proxy, timezone_id="UTC", **options)
        reader.page.clock.install(time=PROXY_TIME - datetime.timedelta(minutes=5))  # a clock that is wrong
        reader.open()
        figures = reader.text("main")
        places = "[...document.querySelectorAll('header > :not(#behind), main *')].map(one => one.getBoundingClientRect().y)"
        before = reader.page.evaluate(places)
        for seconds, said in [
                (None, ""), (0, ""), (-3, ""), (59.9, ""), (60, SENTENCE.format("1 minute", "14:08")),
                (245.5, SENTENCE.format("4 minutes", "14:05")), (7200, SENTENCE.format("2 hours", "12:09")), (1, ""),
                (86400, SENTENCE.format("1 day", "29 Feb, 14:09"))]:
            proxy.seconds = seconds
            pass_time(reader, 32)
            assert reader.text("#behind") == said
            assert reader.page.evaluate(places) == before
            assert reader.text("main") == figures
        assert reader.axe_findings() == []
        assert 304 in proxy.statuses  # the browser then keeps the body and takes the new header


def test_an_error_is_shown_with_its_request_id(sample, read):
    reader = read(sample, "?from=2026-08-31&to=2026-08-01")
    banner = reader.text("#banner")
    assert "Bad Request" in banner and "from" in banner
    assert reader.text("#banner code")
    reader.click("#range-7")
    assert not reader.page.is_visible("#banner")


def test_one_report_without_an_answer(sample, read):
    reader = read(sample)
    reader.page.route("**/hourly_usage?*", lambda route: route.abort())
    reader.open("")
    assert "The service cannot be reached" in reader.text("#hours .problem")
    for panel in PANELS:
        assert reader.page.is_visible(f"#{panel} .problem") == (panel == "hours")
    assert reader.axe_findings() == []
    reader.page.unroute_all()
    reader.click("#banner button")
    assert not reader.page.is_visible("#hours .problem") and not reader.page.is_visible("#banner")


def test_no_network(sample, read):
    reader = open_with_clock(read, sample)
    reader.context.set_offline(True)
    pass_time(reader, 32)
    assert "The service cannot be reached" in reader.text("#banner")
    reader.context.set_offline(False)
    pass_time(reader, 1)
    assert not reader.page.is_visible("#banner")


def test_an_empty_database_fills(server, run, read):
    service = run(server)
    reader = open_with_clock(read, service)
    assert "No tokens yet." in reader.text("main")
    assert not reader.page.is_visible("#usage") and not reader.page.is_visible(".controls")
    assert reader.axe_findings() == []
    service.database.execute("INSERT INTO users (first_name, last_name, joined_at) VALUES ('A', 'B', '2025-05-01')")
    service.database.execute(INSERT, ("2025-05-05 13:00", "2025-05-05 13:01"))
    pass_time(reader, 32)
    assert "No tokens yet." not in reader.text("main")
    assert numbers(reader.text("#summary .visits .value")) == [1]
    service.database.clear()
    pass_time(reader, 32)
    assert "No tokens yet." in reader.text("main")


@pytest.mark.parametrize("view", ["?from=0001-01-01&to=9999-12-31", "?from=0001-01-01&to=9999-12-31&every=day",
                                  "?from=1900-01-01&to=2026-08-30&every=week", "?from=2026-08-30&to=2026-08-30",
                                  "?days=nonsense&every=&compare=&after=", "?from=2026-02-30&to=2026-03-01",
                                  "?from=&to=",
                                  "?from=%3Cb%3E&to=%22", "?after=nonsense", "?days=7&days=90", "?%ff"])
def test_invalid_addresses(sample, read, view):
    reader = read(sample, view)
    assert reader.page.is_visible("#usage")
    reader.click("#range-30")
    assert numbers(reader.text("#summary .visits .value"))[0] > 0


@pytest.mark.alone
def test_the_first_chart_is_drawn_within_a_second(sample, read, say):
    seconds = []
    for _ in range(5):
        reader = read(sample, "")  # a new context with an empty cache
        seconds.append(reader.page.evaluate("performance.getEntriesByName('drawn:usage')[0].startTime") / 1000)
    say(f"first chart after {', '.join(f'{value:.2f}' for value in sorted(seconds))} s")
    assert min(seconds) < 1  # the others show how busy this machine is


@pytest.mark.alone
def test_a_hundred_thousand_users(server, run, read, say):
    service = run(server)
    service.database.execute("""
      INSERT INTO users (first_name, last_name, joined_at)
      SELECT 'A', 'B', timestamp '2023-01-01' + n * interval '15 minutes' FROM generate_series(1, 100000) AS n;
      INSERT INTO tokens (user_id, token, created_at, used_at)
      SELECT 1 + n * 7919::bigint % 100000, '123456', created_at, created_at + n % 90 * interval '1 minute'
        FROM generate_series(1, 300000) AS n,
             LATERAL (SELECT timestamp '2023-01-01' + n * interval '5 minutes') AS t (created_at);
      ANALYZE users, tokens""")
    service.database.migrate()  # folds what the logger would have folded by then
    started = time.monotonic()
    reader = read(service, "?days=all")
    taken = time.monotonic() - started
    assert numbers(reader.text("#newcomers .joined")) == [100000]
    assert numbers(reader.text("#summary .visits .value")) == [300000]
    users = []
    for _ in range(3):
        users += reader.page.eval_on_selector_all(
            "#users tbody th", "cells => cells.map(cell => Number(cell.textContent))")
        reader.click("#users .next")
    expected = service.database.execute("SELECT user_id FROM tokens GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 30")
    assert users == [user for user, in expected]
    say(f"all of 100,000 users and 300,000 tokens: {taken:.2f} s")
