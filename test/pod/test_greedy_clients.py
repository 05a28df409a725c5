"""One greedy client against a pod with the manifests' own limits: others are served within a second, and no container
is killed. The greedy one reaches the pod from an address of its own, the others through the published port."""

import contextlib
import http.client
import json
import resource
import socket
import subprocess
import threading
import time

import pytest
from fixtures import make_crowd
from keys import sign
from load import Load
from pod import podman
from test_running import Memory, in_mebibytes

pytestmark = pytest.mark.alone  # others may take the machine's time, not the greedy client's doing
USERS = 1_000_000  # whose visits are 60 MB
UNFINISHED = 10_000
PATHS = ("/api/reports/daily_usage", "/api/reports/daily_usage?every=month", "/api/reports/user_visits?limit=10")
HEADERS = {
    "29 kB": b"".join(b"X-%d: %s\r\n" % (number, 1000 * b"a") for number in range(29)),
    "15 kB": b"".join(b"X-%d: %s\r\n" % (number, 1000 * b"a") for number in range(15)),
    "20 bytes": b"X-1: aaaaaaaaa\r\n",
}


@pytest.fixture(scope="module")
def database(server):
    """A million users with a visit each."""
    return make_crowd(server, USERS, migrated=False)  # the pod migrates it


@pytest.fixture(scope="module")
def greedy(network, service):
    """The greedy client's address and the pod's."""
    subnet = json.loads(podman("network", "inspect", network.name).stdout)[0]
    bridge = subnet["network_interface"]
    own = subnet["subnets"][0]["subnet"].rpartition(".")[0] + ".250"
    subprocess.run(["ip", "address", "add", f"{own}/24", "dev", bridge], check=True)
    infra = json.loads(podman("pod", "inspect", service.name).stdout)
    infra = (infra[0] if isinstance(infra, list) else infra)["InfraContainerID"]
    pod = json.loads(podman("inspect", infra).stdout)[0]["NetworkSettings"]["Networks"][network.name]["IPAddress"]
    yield own, pod
    subprocess.run(["ip", "address", "delete", f"{own}/24", "dev", bridge], check=True)


@pytest.fixture
def memories(service):
    """The memory cgroup of each container."""
    return {name: Memory(pid) for name, (_, pid) in service.states().items()}


def connect(greedy, data, buffer=8192):
    """A connection that has sent something; None where it was refused."""
    own, pod = greedy
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    line.settimeout(10)
    try:
        line.bind((own, 0))
        line.connect((pod, 5153))
        line.sendall(data)
    except OSError:
        line.close()
        return None
    return line


def check(say, service, memories, load, before):
    """What must hold whatever the greedy client does."""
    say(f"others: {load.summary()}, slowest {max(outcome.seconds for outcome in load.outcomes):.3f} s; at most "
        + in_mebibytes({name: memory.most() for name, memory in memories.items()}))
    assert not load.bad()
    assert max(outcome.seconds for outcome in load.outcomes) < 1
    assert all(memory.kills() == 0 and memory.anonymous() < memory.limit() for memory in memories.values())
    assert service.states() == before


@pytest.mark.parametrize("size", HEADERS)
def test_unfinished_headers(service, greedy, memories, say, size):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    before = service.states()
    data = b"GET / HTTP/1.1\r\nHost: a\r\n" + HEADERS[size]
    with Load(service, 3, paths=PATHS) as load, contextlib.ExitStack() as stack:
        load.reach(10)
        for _ in range(UNFINISHED):
            if line := connect(greedy, data):
                stack.enter_context(line)
        load.reach(20, since=time.monotonic())
    check(say, service, memories, load, before)


def test_two_hundred_connections_with_ever_new_questions(service, greedy, memories, say):
    before, stopping = service.states(), threading.Event()

    def ask(number):
        own, pod = greedy
        line = http.client.HTTPConnection(pod, 5153, timeout=60, source_address=(own, 0))
        count = 0
        while not stopping.is_set():
            count += 1
            line.request("GET", f"/api/reports/daily_usage?from=2024-{count % 12 + 1:02}-{number % 28 + 1:02}&to=20{25 + count % 70}-01-01",
                         headers=service.key)
            answer = line.getresponse()
            answer.read()
            if answer.status == 429:
                time.sleep(0.2)
        line.close()

    askers = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(200)]
    with Load(service, 3, paths=PATHS) as load:
        load.reach(10)
        for asker in askers:
            asker.start()
        load.reach(100, since=time.monotonic() + 1)
    stopping.set()
    for asker in askers:
        asker.join(60)
    check(say, service, memories, load, before)


def test_twenty_slow_readers_of_sixty_megabytes(service, greedy, memories, say):
    before = service.states()
    with Load(service, 3, paths=PATHS) as load, contextlib.ExitStack() as stack:
        load.reach(10)
        readers = [stack.enter_context(connect(greedy, sign(b"GET /api/reports/user_visits HTTP/1.1\r\nHost: a\r\n\r\n", service.key)))
                   for _ in range(20)]
        starts = []
        for reader in readers:
            reader.settimeout(60)
            starts.append(reader.recv(600))
        assert {start.split()[1] for start in starts} == {b"200", b"429"}
        load.reach(100, since=time.monotonic())
    check(say, service, memories, load, before)
