"""Measurements over HTTP. Each function measures one round of a subject (contenders.py)."""

import http.client
import pathlib
import socket
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from data import SECONDS
from processes import private_kilobytes

CONNECTIONS = 16
SLOW = 0.2  # seconds per request above which a round waits for its last requests
WRITE = "UPDATE tokens SET used_at = CASE WHEN used_at IS NULL THEN created_at END WHERE id = 2"  # toggles
SCRIPT = pathlib.Path(__file__).with_name("wrk.lua")


def get(subject, path):
    """Fetches a body."""
    connection = http.client.HTTPConnection("127.0.0.1", subject.port, timeout=120)
    try:
        connection.request("GET", path, headers=subject.headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise RuntimeError(f"{path}: {response.status} {body[:200]}")
    return body


def timed(action, *arguments):
    """The duration of a call, in seconds."""
    started = time.monotonic()
    action(*arguments)
    return time.monotonic() - started


def output(*command, **options):
    """A program's output."""
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def wrk(subject, path, connections, *options):
    """Requests per second, and their median duration in seconds."""
    fields = [word for name, value in subject.headers.items() for word in ("--header", f"{name}: {value}")]
    lines = output("wrk", *fields, "--threads", min(connections, 2), "--connections", connections, "--duration", SECONDS,
                   "--timeout", 60, "--script", SCRIPT, *options, f"http://127.0.0.1:{subject.port}{path}")
    requests, microseconds, median, failures = map(int, lines.splitlines()[-1].split())
    if failures or not requests:
        raise RuntimeError(f"{subject.name}, {path}: {failures} of {requests} failed")
    return requests / microseconds * 1e6, median / 1e6


def rate(subject, path):
    """Requests per second. A round waits for slow requests, since its end would cut off most of them."""
    if timed(get, subject, path) < SLOW:
        return wrk(subject, path, CONNECTIONS)[0]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return CONNECTIONS / timed(list, pool.map(get, [subject] * CONNECTIONS, [path] * CONNECTIONS))


def rate_unchanged(subject, path):
    """Requests per second of clients that already have the answer (304)."""
    connection = http.client.HTTPConnection("127.0.0.1", subject.port)
    connection.request("HEAD", path)
    tag = connection.getresponse().headers["ETag"]
    connection.close()
    return wrk(subject, path, CONNECTIONS, "--header", f"If-None-Match: {tag}")[0]


def latency(subject, path):
    """Milliseconds of a request with no others at the time: the median of a round."""
    seconds = timed(get, subject, path)
    return 1e3 * (seconds if seconds > SLOW else wrk(subject, path, 1)[1])


def latency_after_write(subject, path):
    """Milliseconds of the first request after a write: the median of 100."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    found = []
    with socket.create_connection(("127.0.0.1", subject.port)) as client, subject.database.connect() as writer:
        for _ in range(100):
            writer.execute(WRITE)
            found.append(timed(exchange, client, request))
    return 1e3 * statistics.median(found)


def exchange(client, request):
    """One request on a persistent connection; its answer has a Content-Length."""
    client.sendall(request)
    received = bytearray()
    while b"\r\n\r\n" not in received:
        received += client.recv(1 << 16)
    head, _, body = received.partition(b"\r\n\r\n")
    missing = int(head.lower().partition(b"content-length:")[2].split()[0]) - len(body)
    while missing:
        missing -= len(client.recv(1 << 16))


def curl(subject, path):
    """Milliseconds to the first byte and to the last."""
    times = output("curl", "-s", "-f", "-o", "/dev/null", "-w", "%{time_starttransfer} %{time_total}",
                   f"http://127.0.0.1:{subject.port}{path}")
    return [1e3 * float(seconds) for seconds in times.split()]


def transfer(subject, path):
    """Milliseconds of a whole answer."""
    return curl(subject, path)[1]


def transfer_after_write(subject, path):
    """The same right after a write, when no kept answer is current."""
    with subject.database.connect() as writer:
        writer.execute(WRITE)
    return transfer(subject, path)


def first_part(subject, path):
    """The share of that time before the first byte."""
    first, last = curl(subject, path)
    return first / last


def memory(subject, path):
    """The memory in kilobytes of the largest worker, after all of them have answered."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: get(subject, path), range(16)))
    return max(map(private_kilobytes, subject.workers()))
