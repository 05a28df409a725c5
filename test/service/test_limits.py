"""Slow, malicious and broken clients, and the service's use of memory.

In tests where others have to be served meanwhile, eight connections keep reading reports.
"""

import concurrent.futures
import itertools
import json
import random
import selectors
import socket
import struct
import subprocess
import threading
import time

import fastcgi
import pytest
from fixtures import make_crowd, make_database
from load import REPORTS, Load
from postgres import ROOT, wait_until
from processes import open_file_sizes, private_kilobytes

ENOUGH = 1000  # requests of others that have to be answered meanwhile
MILLION = 1_000_000
WORKER_FLAT_KB = 128  # growth allowed to a process: a worker has one request at a
NGINX_FLAT_KB = 2048  # time; nginx's allocator keeps what its connections needed
plain_only = pytest.mark.plain_only
pytestmark = pytest.mark.alone
names = (f"limits_{number}" for number in itertools.count(1))


@pytest.fixture(scope="session")
def small(server):
    """A database with the contract's example rows."""
    return make_database(server)


@pytest.fixture(scope="session")
def crowd(server):
    """100,000 users, whose visits are more than socket buffers hold."""
    return make_crowd(server, 100_000)


@pytest.fixture(scope="session")
def million(server):
    """1,000,000 users, whose visits are about 60 MB."""
    return make_crowd(server, MILLION)


class Memory:
    """The memory of each process of a service, to compare with later."""

    def __init__(self, service, programs):
        self.before = {pid: private_kilobytes(pid) for pid in self._pids(service)}
        self.service = service
        self.sanitized = programs.name == "sanitized"

    @staticmethod
    def _pids(service):
        return service.pids("analytics-fcgi") + service.pids("nginx")

    def grown(self):
        """The largest growth, in kilobytes, of a worker and of an nginx process. Fails when a process has ended."""
        now = {pid: private_kilobytes(pid) for pid in self._pids(self.service)}
        assert set(now) == set(self.before), "processes ended"
        nginx = self.service.pids("nginx")
        grown = {pid: now[pid] - self.before[pid] for pid in now}
        return (max(size for pid, size in grown.items() if pid not in nginx),
                max(size for pid, size in grown.items() if pid in nginx))

    def assert_flat(self):
        """Fails when a process has grown. Workers of a sanitizer build, which keeps freed memory, are exempt."""
        workers, nginx = self.grown()
        assert nginx <= NGINX_FLAT_KB
        assert workers <= WORKER_FLAT_KB or self.sanitized
        return workers, nginx


def warm(service, requests=200):
    """Has every process do everything once, so that it has allocated what it needs."""
    with Load(service) as load:
        load.reach(requests)


def problem(answer):
    """Returns status, header fields and document of a raw answer that must be a problem document."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
    assert fields[b"content-type"] == b"application/problem+json", answer[:300]
    document = json.loads(body)
    status = int(lines[0].split()[1])
    assert document["status"] == status and len(body) == int(fields[b"content-length"])
    assert document["instance"] == "urn:request:" + fields[b"x-request-id"].decode()
    return status, document


def send_against(service, data):
    """Sends bytes, which the server may refuse half-way, and returns its answer."""
    received = b""
    with socket.create_connection(("127.0.0.1", service.port), timeout=15) as connection:
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
    return received


# Bad requests


HEAD = b"GET /api/reports/daily_usage HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
OVERSIZED = {
    "URI of 100 kB": (b"GET /" + 100_000 * b"a" + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    "query of 100 kB": (b"GET /api/reports/daily_usage?" + 100_000 * b"a" + b" HTTP/1.1\r\nHost: l\r\n\r\n", 414),
    "header line of 1 MB": (HEAD + b"X-Large: " + 1_000_000 * b"a" + b"\r\n\r\n", 431),
    "1,000 header lines of 1 kB": (HEAD + 1000 * (b"X-Many: " + 990 * b"a" + b"\r\n") + b"\r\n", 431),
    "header lines of 30 kB that fit one by one": (HEAD + 5 * (b"X-Some: " + 6000 * b"a" + b"\r\n") + b"\r\n", 431),
    "body of 1 MB": (HEAD + b"Content-Length: 1000000\r\n\r\n" + 1_000_000 * b"a", 413),
}
GARBAGE = {
    "zeros": bytes(10_000),
    "TLS": bytes.fromhex("160301020001000001fc0303") + bytes(range(256)) * 2,
    "line ends": b"\r\n" * 5000,
    "a FastCGI request": fastcgi.get("/health_check"),
    "no version": b"GET /\r\n\r\n" * 10,
    "half a request": HEAD,
    **{f"random bytes {seed}": random.Random(seed).randbytes(50_000) + b"\r\n\r\n" for seed in range(10)},
}


def test_bad_requests_get_clear_errors(run, small, state, programs):
    service = run(small)
    for data, _ in OVERSIZED.values():
        send_against(service, data)
    warm(service)
    memory = Memory(service, programs)
    with Load(service) as load:
        for _ in range(20):
            for name, (data, expected) in OVERSIZED.items():
                assert problem(send_against(service, data))[0] == expected, name
        for query, named in (("unknown=1", "unknown"), ("from=2024-13-01", "from"), ("a=1&a=1", "a"), ("%zz", "%zz"),
                             ("x" * 2000, "x" * 40), ("=1", ""), ("&".join(f"p{n}=1" for n in range(200)), "p0")):
            answer = service.get(f"/api/reports/daily_usage?{query}")
            assert answer.status == 400, query
            assert f"'{named}'" in answer.json()["detail"] and "allowed" in answer.json()["detail"]
            assert service.get(f"/health_check?{query}").status == 200
        load.reach(ENOUGH)
    grown = memory.assert_flat()
    state("bad requests", others=load.summary(), slowest=max(o.seconds for o in load.outcomes), grown_kb=grown)
    assert not load.bad() and max(o.seconds for o in load.outcomes) <= 1


@plain_only(reason="measures nginx, which is the same in both builds")
def test_garbage_on_the_port(run, small, state, programs):
    service = run(small)
    warm(service)
    memory = Memory(service, programs)
    answered = {}

    def send(name):
        answer = send_against(service, GARBAGE[name])
        # An empty line, half a request and a request of HTTP/0.9 get no answer.
        answered[name] = problem(answer)[0] if answer.startswith(b"HTTP/1.") else len(answer)

    with Load(service) as load, concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(send, name) for name in GARBAGE]:
            done.result()
        load.reach(ENOUGH)
    grown = memory.assert_flat()
    state("garbage", others=load.summary(), answers=answered, slowest=max(o.seconds for o in load.outcomes), grown_kb=grown)
    assert all(answered[name] == 400 for name in GARBAGE if name.startswith(("random", "TLS", "zeros", "a Fast")))
    assert not load.bad() and max(o.seconds for o in load.outcomes) <= 1


# Malformed FastCGI on the workers' own socket


NAMES_OF_2_GB = struct.pack(">II", 0xFFFFFFFF, 0xFFFFFFFF)
MALFORMED = {
    "nothing, then silence": b"",
    "half a header": fastcgi.begin()[:4],
    "a header without its content": fastcgi.record(fastcgi.BEGIN, length=8),
    "a length of 65,535 and little behind it": fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, b"short", length=65535),
    "BEGIN, then silence": fastcgi.begin(),
    "half the parameters": fastcgi.get("/api/reports/daily_usage")[:60],
    "HTTP": b"GET /api/reports/daily_usage HTTP/1.0\r\n\r\n",
    "version 2": fastcgi.record(fastcgi.BEGIN, bytes(8), version=2),
    "version 0": bytes(64),
    "an empty BEGIN": fastcgi.record(fastcgi.BEGIN),
    "a BEGIN of 60 kB": fastcgi.record(fastcgi.BEGIN, bytes(60_000)),
    "unknown role": fastcgi.begin(role=99) + fastcgi.params(A="b"),
    "authorizer": fastcgi.begin(role=2) + fastcgi.params(A="b"),
    "no BEGIN": fastcgi.params(REQUEST_METHOD="GET"),
    "two requests at once": fastcgi.begin() + fastcgi.begin(request=2) + fastcgi.record(fastcgi.PARAMS, request=2),
    "ABORT": fastcgi.begin() + fastcgi.record(fastcgi.ABORT),
    "ABORT alone": fastcgi.record(fastcgi.ABORT),
    "ABORT among the parameters": fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, fastcgi.pair(b"A", b"b"))
                                  + fastcgi.record(fastcgi.ABORT),
    "1,000 unknown types": fastcgi.begin() + 1000 * fastcgi.record(99, b"x"),
    "1,000 unknown management records": 1000 * fastcgi.record(99, b"x", request=0),
    "END from the wrong side": fastcgi.begin() + fastcgi.record(fastcgi.END, bytes(8)),
    "lengths of 2 GB": fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, NAMES_OF_2_GB),
    "lengths of 2 GB with an end": fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, NAMES_OF_2_GB) + fastcgi.params(),
    "a name longer than its record": fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, b"\x7f\x01abc") + fastcgi.record(4),
    "garbage as parameters": fastcgi.begin() + fastcgi.record(4, random.Random(1).randbytes(5000)) + fastcgi.record(4),
    **{f"random bytes {seed}": b"\1" + random.Random(seed).randbytes(3000) for seed in range(5)},
}
ODD_BUT_VALID = {
    "GET_VALUES first": fastcgi.record(fastcgi.GET_VALUES, fastcgi.pair(b"FCGI_MAX_CONNS", b""), request=0)
                        + fastcgi.get("/api/reports/daily_usage"),
    "one byte a record": fastcgi.begin() + b"".join(
        fastcgi.record(fastcgi.PARAMS, bytes([byte])) for byte in
        fastcgi.pair(b"REQUEST_METHOD", b"GET") + fastcgi.pair(b"PATH_INFO", b"/api/reports/daily_usage"))
        + fastcgi.record(fastcgi.PARAMS) + fastcgi.record(fastcgi.STDIN),
    "8 MB of parameters": fastcgi.begin() + 128 * fastcgi.record(
        fastcgi.PARAMS, fastcgi.pair(b"X" * 20, b"y" * 65_000)) + fastcgi.get("/api/reports/daily_usage")[16:],
}


def test_malformed_fastcgi(run, small, state, programs):
    service = run(small)
    for data in 8 * list(ODD_BUT_VALID.values()):  # twice for each worker, since they take turns
        fastcgi.exchange(service, data)
    warm(service)
    workers = sorted(service.workers())
    memory = Memory(service, programs)
    times = {}

    def send(name):
        started = time.monotonic()
        answer = fastcgi.exchange(service, MALFORMED[name])
        times[name] = time.monotonic() - started
        assert b"200 OK" not in answer, name

    # Three at a time, so that one of the four workers is always free.
    with Load(service) as load, concurrent.futures.ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(send, name) for name in MALFORMED]:
            done.result()
        for name, data in ODD_BUT_VALID.items():
            text, ended = fastcgi.output(fastcgi.exchange(service, data))
            assert text.startswith(b"Status: 200 OK") and text.endswith(b"}\n") and ended, name
        load.reach(ENOUGH)
    grown = memory.assert_flat()
    worst = max(times, key=times.get)
    state("malformed FastCGI", others=load.summary(), slowest=max(o.seconds for o in load.outcomes), kinds=len(times),
          longest=f"{worst} {times[worst]:.2f} s", grown_kb=grown, logged=len(service.events("malformed_request")))
    assert sorted(service.workers()) == workers, "a worker died of it"
    assert not {name: seconds for name, seconds in times.items() if seconds > 3}
    assert not load.bad() and max(o.seconds for o in load.outcomes) <= 1


# Slow clients


@plain_only(reason="measures nginx, which is the same in both builds")
def test_two_hundred_clients_that_send_one_byte_a_second(run, small, state, programs):
    service = run(small)
    warm(service)
    clients = 200
    memory = Memory(service, programs)
    started = time.monotonic()
    open_ones = selectors.DefaultSelector()
    for _ in range(clients):
        open_ones.register(socket.create_connection(("127.0.0.1", service.port)), selectors.EVENT_READ)
    with Load(service) as load:
        for second in range(14):
            for key in list(open_ones.get_map().values()):
                try:
                    key.fileobj.send(HEAD[second:second + 1])
                except (BrokenPipeError, ConnectionResetError):
                    pass
            while (left := started + second + 1 - time.monotonic()) > 0:
                for key, _ in open_ones.select(left):
                    open_ones.unregister(key.fileobj)
                    key.fileobj.close()
                if not open_ones.get_map():
                    break
            if second == 5:
                assert len(open_ones.get_map()) == clients, "slow clients were closed too early"
                during = memory.grown()
            if not open_ones.get_map():
                break
        ended = time.monotonic() - started
        load.reach(ENOUGH)
    grown = memory.assert_flat()
    state("200 slow senders", others=load.summary(), slowest=max(o.seconds for o in load.outcomes), given_up_after=ended,
          grown_meanwhile_kb=during, grown_kb=grown)
    assert not open_ones.get_map(), "some slow clients are never closed"
    assert during[1] <= NGINX_FLAT_KB and (during[0] <= WORKER_FLAT_KB or memory.sanitized)
    assert not load.bad() and max(o.seconds for o in load.outcomes) <= 1


class SlowReader(threading.Thread):
    """A client that reads an answer at 10 kB/s."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.connection = socket.socket()
        # Set before connecting: the kernel would otherwise buffer half a megabyte.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.connection.settimeout(30)
        self.connection.connect(("127.0.0.1", service.port))
        self.connection.sendall(b"GET /api/reports/user_visits HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.started = time.monotonic()
        self.received = 0
        self.cut = None  # what ended the answer, and when
        self.stopping = threading.Event()

    def run(self):
        try:
            while not self.stopping.wait(0.1):
                chunk = self.connection.recv(1000)
                self.received += len(chunk)
                if not chunk:
                    raise ConnectionError("closed")
        except OSError as error:
            self.cut = f"{error} after {time.monotonic() - self.started:.1f} s and {self.received} bytes"
        self.connection.close()


@plain_only(reason="measures nginx, which is the same in both builds")
def test_eight_clients_that_read_a_large_answer_slowly(run, server, million, state, programs):
    with server.connect("postgres") as administrator:
        name = next(names)
        administrator.execute(f'CREATE DATABASE "{name}" TEMPLATE "{million.name}"')
    database = type(million)(server, name)
    service = run(database, STATEMENT_TIMEOUT_MS="60000")
    warm_up = [service.get("/api/reports/daily_usage").status for _ in range(8)]
    assert set(warm_up) == {200}
    memory = Memory(service, programs)
    nginx = service.pids("nginx")
    readers = [SlowReader(service) for _ in range(8)]
    started = time.monotonic()
    for reader in readers:
        reader.start()
    while len(service.events("request", path="/api/reports/user_visits", status=200)) < 8:
        assert time.monotonic() - started < 60, "the workers cannot hand over their answers"
        assert service.get("/health_check").status == 200 and service.is_ready()
    taken = time.monotonic() - started
    # All workers are free again while nginx holds their answers. Others read small reports.
    database.execute("TRUNCATE users, tokens")
    database.run_file(ROOT / "test/service/example.sql")
    before = [reader.received for reader in readers]
    with Load(service) as load:
        load.reach(ENOUGH)
        files = [size for size in open_file_sizes(nginx, service.directory() / "tmp") if size > 0]
        held = memory.grown()
    # nginx's limit of half a minute must not end clients that do read.
    wait_until(lambda: time.monotonic() - started >= taken + 33 or any(reader.cut for reader in readers), 35, "the clock")
    rates = [(reader.received - earlier) / (time.monotonic() - started - taken) / 1000
             for reader, earlier in zip(readers, before)]
    for reader in readers:
        reader.stopping.set()
    for reader in readers:
        reader.join(31)
    wait_until(lambda: not open_file_sizes(nginx, service.directory() / "tmp"), 35, "the temporary files' end")
    state("8 slow readers", others=load.summary(), slowest=max(o.seconds for o in load.outcomes), workers_free_after=taken,
          kilobytes_a_second=[round(rate, 1) for rate in rates], files_mb=[round(size / 1e6, 1) for size in files],
          grown_kb=held, cut=[reader.cut for reader in readers if reader.cut])
    assert not any(reader.cut for reader in readers), "a slow reader was cut off"
    assert len(files) == 8 and max(files) < 128_000_000 and min(files) > 10_000_000
    # nginx holds 8 times its fastcgi_buffers and output_buffers, about 200 kB.
    assert held[0] <= WORKER_FLAT_KB and held[1] <= 8 * 200 + NGINX_FLAT_KB // 2
    assert not load.bad() and max(o.seconds for o in load.outcomes) <= 1


@plain_only(reason="waits for half a minute for a limit of the kernel")
def test_an_answer_that_nobody_reads_is_given_up(run, crowd, state):
    service = run(crowd)
    workers = sorted(service.workers())
    with fastcgi.connect(service) as connection, Load(service, paths=REPORTS[:1]) as load:
        connection.sendall(fastcgi.get("/api/reports/user_visits"))
        started = time.monotonic()
        wait_until(lambda: service.events("request", path="/api/reports/user_visits"), 40, "the answer's end")
        given_up = time.monotonic() - started
        load.reach(ENOUGH)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    line, = service.events("request", path="/api/reports/user_visits")
    text, ended = fastcgi.output(received)
    state("nothing takes the answer", others=load.summary(), given_up_after=given_up, received=len(text), line=line)
    assert 29 <= given_up <= 33
    assert not ended and len(text) > 10_000, "an answer that was given up looks whole"
    assert line["status"] == 499
    assert not load.bad() and sorted(service.workers()) == workers


# Small


@plain_only(reason="memory of a sanitizer build says nothing")
def test_worker_is_small_and_does_not_grow(run, small, state):
    service = run(small)
    workers = service.workers()
    at_rest = [private_kilobytes(pid) for pid in workers]
    read_many(service, 4_000)
    warm_ones = [private_kilobytes(pid) for pid in workers]
    started = time.monotonic()
    answered = read_many(service, 100_000)
    seconds = time.monotonic() - started
    afterwards = [private_kilobytes(pid) for pid in workers]
    grown = [after - before for after, before in zip(afterwards, warm_ones)]
    state("100,000 requests", answered=answered, seconds=seconds, at_rest_kb=at_rest, warm_kb=warm_ones,
          afterwards_kb=afterwards, grown_kb=grown)
    assert answered == 100_000 and service.workers() == workers
    assert max(at_rest) <= 4096 and max(afterwards) <= 4096
    assert max(grown) <= 32


def read_many(service, requests, connections=8):
    """Reads this many reports with curl, which counts up the URL's fragment and does not send it; returns how
    many answers had status 200."""
    urls = [f"http://127.0.0.1:{service.port}{path}#[1-{requests // connections}]" for path in REPORTS]
    clients = [subprocess.Popen(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}\n", urls[number % 2]],
                                stdout=subprocess.PIPE) for number in range(connections)]
    return sum(client.communicate(timeout=240)[0].count(b"200\n") for client in clients)


@plain_only(reason="memory of a sanitizer build says nothing")
def test_million_users_stream_through_a_worker(run, million, state):
    service = run(million, STATEMENT_TIMEOUT_MS="60000", FCGI_WORKERS="1")
    worker, = service.workers()
    for path in REPORTS:
        service.request(path, "HEAD")
    before, samples = private_kilobytes(worker), []
    with open(f"/proc/{worker}/clear_refs", "w", encoding="ascii") as reset:
        reset.write("5")  # resets the peak of the resident memory
    resident = status_kilobytes(worker, "VmRSS")
    result = {}

    def read():
        connection = service.connect(90)
        started = time.monotonic()
        connection.request("GET", REPORTS[1])
        response = connection.getresponse()
        body = bytearray(response.read(1))
        result["first"] = time.monotonic() - started
        result["lines"] = len(service.events("request"))
        body += response.read()
        result["whole"] = time.monotonic() - started
        result["body"] = bytes(body)
        connection.close()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    while reader.is_alive():
        samples.append(private_kilobytes(worker))
        reader.join(0.02)
    peak = status_kilobytes(worker, "VmHWM")
    document = json.loads(result["body"])
    state("1,000,000 users", bytes=len(result["body"]), first_byte=result["first"], whole=result["whole"],
          private_before_kb=before, private_most_kb=max(samples), samples=len(samples), resident_before_kb=resident,
          resident_peak_kb=peak)
    assert max(samples) - before <= 2048 and len(samples) > 20
    assert peak - resident <= 2048
    assert len(document) == MILLION and result["body"].endswith(b"}\n")
    assert document["1"] == {"joined_at": "2020-01-01 00:00:01.000001", "visits": 1}
    assert document[str(MILLION)]["visits"] == 1
    # The client reads while the worker is still writing: the worker logs a request when all of it is sent.
    assert result["lines"] == 2 and result["first"] < 0.8 * result["whole"]


def status_kilobytes(pid, field):
    """A number in /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(f"{field}:"))
