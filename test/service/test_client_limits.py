"""What one client may have under way, and that others are served meanwhile.

Clients differ by their address: the greedy one is 127.0.0.2, for which nginx has the limits of any stranger. Requests from
127.0.0.1 are this machine's own and have none."""

import concurrent.futures
import contextlib
import http.client
import json
import selectors
import socket
import threading
import time

import pytest
from fixtures import make_crowd
from load import Load
from processes import private_kilobytes
from target import IS_POD

pytestmark = [pytest.mark.alone, pytest.mark.plain_only(reason="measures nginx, which is the same in both builds"),
              pytest.mark.skipif(IS_POD, reason="test/pod has these with the pod's own limits")]
GREEDY, NEIGHBOURS = ("127.0.0.2", 0), ("127.0.0.3", 0)
WITH_PARAMETERS, LONG_ANSWERS = 64, 2  # the second is half of the workers
CONTAINER_KB = 72 * 1024
TARGET = "/api/reports/user_visits"
USERS = 100_000


@pytest.fixture(scope="module")
def crowded(run_for_module, server):
    """A service on 100,000 users, whose visits are 6 MB: more than sockets hold."""
    return run_for_module(make_crowd(server, USERS))


def assert_others_were_served(load, seconds=1.0):
    """All of their answers whole and quick."""
    assert not load.bad(), load.summary()
    assert max(outcome.seconds for outcome in load.outcomes) < seconds


def check_refusal(fields, body):
    """The problem document of 429."""
    problem = json.loads(body)
    assert (problem["title"], problem["status"]) == ("Too Many Requests", 429)
    assert fields["Retry-After"] == "1" and fields["Content-Type"] == "application/problem+json"
    assert str(WITH_PARAMETERS) in problem["detail"]


class Asker(threading.Thread):
    """One connection that asks for something new each time, as often as it can."""

    def __init__(self, service, number, stopping):
        super().__init__(daemon=True)
        self.service, self.number, self.stopping = service, number, stopping
        self.statuses, self.refusals = [], []

    def run(self):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=30, source_address=GREEDY)) as line:
            for count in range(1_000_000):
                if self.stopping.is_set():
                    return
                start = f"2024-{count % 12 + 1:02}-{self.number % 28 + 1:02}"
                line.request("GET", f"/api/reports/daily_usage?from={start}&to=20{25 + count % 70}-01-01")
                answer = line.getresponse()
                body = answer.read()
                self.statuses.append(answer.status)
                if answer.status == 429:
                    self.refusals.append((answer.headers, body))
                    time.sleep(0.2)


def test_two_hundred_connections_with_ever_new_questions(crowded):
    stopping = threading.Event()
    askers = [Asker(crowded, number, stopping) for number in range(200)]
    paths = ("/api/reports/daily_usage", "/api/reports/daily_usage?every=month", "/api/reports/user_visits?limit=10")
    with Load(crowded, 3, paths=paths) as load:
        for asker in askers:
            asker.start()
        load.reach(100, since=time.monotonic() + 1)
    stopping.set()
    for asker in askers:
        asker.join(30)
    statuses = {status for asker in askers for status in asker.statuses}
    assert statuses == {200, 429}
    for asker in askers:
        for refusal in asker.refusals:
            check_refusal(*refusal)
    assert_others_were_served(load)


def test_sixty_four_readers_behind_one_address(crowded):
    """No more than a browser's one request each at a time: none is refused."""
    def read(number):
        line = http.client.HTTPConnection("127.0.0.1", crowded.port, timeout=60, source_address=NEIGHBOURS)
        statuses = []
        for report in ("summary", "daily_usage", "hourly_usage", "token_redemption", "new_users") * 2:
            line.request("GET", f"/api/reports/{report}?format=records&from=2024-03-{number % 28 + 1:02}&to=2024-03-31")
            answer = line.getresponse()
            answer.read()
            statuses.append(answer.status)
        line.close()
        return statuses

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        assert {status for statuses in pool.map(read, range(64)) for status in statuses} == {200}


def connect(service, data, source=GREEDY, buffer=8192):
    """A connection that has sent something and reads nothing."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    line.bind(source)
    line.connect(("127.0.0.1", service.port))
    line.sendall(data)
    return line


def nginx_kilobytes(service):
    """What nginx's processes hold together."""
    return sum(private_kilobytes(pid) for pid in service.pids("nginx"))


def start_reading(service, number):
    """Asks for long answers at once and reads no more than their first bytes, which it returns with the connections."""
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(connect(service, b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % TARGET.encode())) for _ in range(number)]
        for reader in readers:
            reader.settimeout(60)
        return [reader.recv(2000) for reader in readers], stack.pop_all()


def test_twenty_slow_readers_of_all_users(crowded):
    """Others never wait for the greedy client's answers. It gets a few, and is refused the rest."""
    with Load(crowded, 3, paths=("/api/reports/daily_usage", TARGET + "?limit=10")) as load:
        load.reach(10)
        starts, readers = start_reading(crowded, 20)
        with readers:
            statuses = [int(start.split()[1]) for start in starts]
            assert set(statuses) == {200, 429} and statuses.count(200) >= LONG_ANSWERS
            refused = next(start for start in starts if start.split()[1] == b"429")
            assert b"\r\nRetry-After: 1\r\n" in refused and b"answers over 1 MB" in refused
            assert {line["reason"] for line in crowded.events("request", status=429)} == {
                "the client has all of its turns for long answers"}
            load.reach(100)
            with contextlib.closing(crowded.connect()) as other:
                other.request("GET", TARGET)
                assert other.getresponse().status == 200
            assert nginx_kilobytes(crowded) < CONTAINER_KB
    assert_others_were_served(load)


def test_a_part_of_an_answer_says_nothing_of_its_length(crowded):
    """A greedy client cannot make long answers pass for short ones by asking for a few rows in between."""
    for path in (TARGET, f"{TARGET}?after={USERS - 1}"):
        assert crowded.get(path).status == 200
    starts, readers = start_reading(crowded, 20)
    with readers:
        assert {start.split()[1] for start in starts} == {b"200", b"429"}


def test_short_answers_take_no_turn(service):
    """However many a client asks for at a time."""
    def read(_):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=60, source_address=GREEDY)) as line:
            statuses = set()
            for _ in range(50):
                line.request("GET", TARGET)
                answer = line.getresponse()
                answer.read()
                statuses.add(answer.status)
            return statuses

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        assert set().union(*pool.map(read, range(64))) == {200}


def test_unfinished_headers(crowded):
    """29 kB each and never an end: refused as too large, and gone."""
    data = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: %s\r\n" % (n, 1000 * b"a") for n in range(29))
    most = 0
    waiting = selectors.DefaultSelector()
    with Load(crowded, 3, paths=("/api/reports/daily_usage",)) as load:
        for number in range(1000):
            line = connect(crowded, data, buffer=65536)
            line.setblocking(False)
            waiting.register(line, selectors.EVENT_READ)
            most = max(most, nginx_kilobytes(crowded)) if number % 100 == 0 else most
        answers = set()
        deadline = time.monotonic() + 20
        while waiting.get_map():
            assert time.monotonic() < deadline, f"{len(waiting.get_map())} connections are kept"
            most = max(most, nginx_kilobytes(crowded))
            for key, _ in waiting.select(0.5):
                try:
                    chunk = key.fileobj.recv(65536)
                except ConnectionError:
                    chunk = b""
                if chunk:
                    answers.add(chunk.partition(b"\r\n")[0])
                else:
                    waiting.unregister(key.fileobj)
                    key.fileobj.close()
        load.reach(20, since=time.monotonic())
    assert answers and all(b" 431 " in answer + b" " for answer in answers)
    assert most < CONTAINER_KB
    assert_others_were_served(load)
