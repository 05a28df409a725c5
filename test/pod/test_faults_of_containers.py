"""A process that dies or hangs affects its own container only, and that container's liveness probe notices."""

import json
import os
import signal
import subprocess
import time

import pytest
from load import Load
from pod import CONTAINERS, liveness, podman
from postgres import processes_below, wait_until

ENOUGH = 1000


def first_of(service, name):
    """The first process of a container: nginx's master, or a supervisor."""
    return service.states()[name][1]


def snooze(service):
    """The logger's scheduler, which a supervisor restarts."""
    pid, = service.pids("snooze")
    return pid


def nginx_master(service):
    """nginx's master, a child of the init process that translates its signals."""
    init = first_of(service, "nginx")
    return processes_below(init)[0]


VICTIMS = {
    "nginx": ("nginx", nginx_master),
    "nginx's init": ("nginx", lambda service: first_of(service, "nginx")),
    "reports' supervisor": ("reports", lambda service: first_of(service, "reports")),
    "probe's supervisor": ("probe", lambda service: first_of(service, "probe")),
    "logger's supervisor": ("logger", lambda service: first_of(service, "logger")),
    "scheduler": (None, snooze),
}


def all_answer(service):
    """Whether every part of the pod works."""
    paths = ("/api/reports/daily_usage", "/health_check", "/readiness_check")
    try:
        return all(service.get(path).status == 200 for path in paths) and service.pids("snooze")
    except OSError:
        return False


@pytest.mark.parametrize("victim", list(VICTIMS))
def test_only_the_killed_process_s_container_restarts(service, say, victim):
    name, find = VICTIMS[victim]
    wait_until(lambda: all_answer(service), 10, "the pod")
    before = service.states()
    pid = find(service)
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    wait_until(lambda: pid not in service.pids("") and (name is None or service.states()[name] != before[name])
               and all_answer(service), 10, "the pod's answers")
    took = time.monotonic() - killed
    say(f"{victim}: all answer after {took:.2f} s")
    after = service.states()
    assert {other for other in CONTAINERS if before[other] != after[other]} == ({name} if name else set())
    assert service.inspect(name or "logger")["State"]["Running"]


def healthy(service, name):
    """Runs the container's liveness probe, which podman neither runs by itself nor limits in time."""
    probe = liveness(name)
    try:
        done = podman("exec", service.container(name), *probe["exec"]["command"], check=False, timeout=probe["timeoutSeconds"])
        return done.returncode == 0
    except subprocess.TimeoutExpired:
        return False


@pytest.mark.parametrize("name, other, without", [("reports", "probe", "--probe"), ("probe", "reports", None)])
def test_a_pool_that_hangs_fails_only_its_own_probe(service, name, other, without):
    workers = [pid for pid in service.pids("analytics-fcgi", without) if name == "reports" or pid not in service.workers()]
    wait_until(lambda: healthy(service, name) and healthy(service, other), 10, "healthy pools")
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert not healthy(service, name)
        assert healthy(service, other)
        assert service.get("/nginx_check").status == 200
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: healthy(service, name), 10, "a healthy pool")


def test_liveness_asks_no_database(run, own_server, own_database):
    service = run(own_database)
    own_server.stop("immediate")
    try:
        wait_until(lambda: service.get("/readiness_check").status == 503, 5, "readiness to fail")
        assert healthy(service, "reports") and healthy(service, "probe")
        assert service.get("/nginx_check").status == 200
    finally:
        own_server.start()


@pytest.fixture
def own_database(own_server):
    """A database with the sample data, for a test that stops its server."""
    return own_server.sample()


@pytest.mark.parametrize("headers", [None, {"Connection": "close"}], ids=["kept", "a connection each"])
def test_all_containers_told_to_end_under_load(run, server, say, headers):
    """Earlier requests get whole answers. Later ones may be refused, but every answer is whole. Several times, since
    microseconds decide."""
    for _ in range(3):
        service = run(server.sample())
        with Load(service, 32, headers=headers) as load:
            load.reach(ENOUGH)
            service.stop()
        before = [o for o in load.outcomes if o.sent is not None and o.sent < service.told]
        later = [o for o in load.outcomes if o.sent is None or o.sent >= service.told]
        turned_away = [o for o in later if o.status is None]
        # When nginx closes its port, connections that it has not accepted are reset.
        queued = [o for o in before if headers and o.status is None and o.error.startswith("ConnectionResetError")]
        say(f"{len(before)} sent before, {len(queued)} of them not accepted, the others answered;"
            f" {len(later)} after, {len(turned_away)} of them turned away")
        assert all(o.good for o in before if o not in queued), [o for o in before if not o.good]
        # Every request that nginx accepted was answered.
        accepted = [json.loads(line) for line in service.logs("nginx") if '"event":"access"' in line]
        reports = [line["status"] for line in accepted if line["path"].startswith("/api/reports/")]
        assert reports == [200] * sum(o.status is not None for o in load.outcomes)
        assert all(o.good for o in later if o.status is not None), [o for o in later if not o.good]
        closed = ("ConnectionRefusedError", "ConnectionResetError", "RemoteDisconnected", "BrokenPipeError")
        assert all(o.error.startswith(closed) for o in turned_away), turned_away
