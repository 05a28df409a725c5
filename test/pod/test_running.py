"""A running pod of the manifests: its answers, its logs, and its limits."""

import datetime
import pathlib
import re
import subprocess
import time

import pytest
from law import ANSWERS
from load import Load
from pod import CONTAINERS
from postgres import wait_until

MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def database(server):
    """The sample data."""
    return server.sample()


class Memory:
    """A container's memory cgroup, version 1 or 2."""

    def __init__(self, pid):
        lines = [line.split(":", 2) for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
        old = [path for _, controllers, path in lines if "memory" in controllers.split(",")]
        path = old[0] if old else next(path for number, _, path in lines if number == "0")
        self.folder = pathlib.Path("/sys/fs/cgroup/memory" if old else "/sys/fs/cgroup") / path.lstrip("/")
        self.old = bool(old)

    def _number(self, name):
        return int((self.folder / name).read_text())

    def _table(self, name):
        return dict(line.split() for line in (self.folder / name).read_text().splitlines())

    def used(self):
        """Bytes in use, including the page cache."""
        return self._number("memory.usage_in_bytes" if self.old else "memory.current")

    def most(self):
        """The peak of the bytes in use."""
        return self._number("memory.max_usage_in_bytes" if self.old else "memory.peak")

    def anonymous(self):
        """Bytes that the kernel cannot reclaim, as it can the cached pages of nginx's temporary files."""
        return int(self._table("memory.stat")["total_rss" if self.old else "anon"])

    def limit(self):
        """The limit in bytes, beyond which the kernel kills."""
        return self._number("memory.limit_in_bytes" if self.old else "memory.max")

    def kills(self):
        """The number of processes that the kernel has killed for exceeding it."""
        return int(self._table("memory.oom_control" if self.old else "memory.events")["oom_kill"])


@pytest.fixture
def memories(service):
    """The memory cgroup of each container."""
    return {name: Memory(pid) for name, (_, pid) in service.states().items()}


def in_mebibytes(sizes):
    """Formats bytes as MiB."""
    return f"{sum(sizes.values()) / MEBIBYTE:.1f} MiB (" + ", ".join(
        f"{name} {size / MEBIBYTE:.1f}" for name, size in sizes.items()) + ")"


@pytest.mark.parametrize("path", list(ANSWERS))
def test_reports_equal_the_plain_queries(service, database, path):
    with database.connect() as connection:
        assert service.get(path).body == ANSWERS[path](connection)


def test_limits_add_up_and_are_in_force(service, memories):
    limits = {"memory": 0, "cpu": 0}
    for name in CONTAINERS:
        host = service.inspect(name)["HostConfig"]
        limits["memory"] += host["Memory"]
        limits["cpu"] += host["NanoCpus"]
        assert memories[name].limit() == host["Memory"]
    assert limits == {"memory": 256 * MEBIBYTE, "cpu": 500_000_000}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_are_confined(service, name):
    container = service.inspect(name)
    assert container["HostConfig"]["ReadonlyRootfs"]
    assert not container["EffectiveCaps"]
    status = pathlib.Path(f"/proc/{container['State']['Pid']}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2" and int(fields["CapEff"], 16) == 0
    assert set(fields["Uid"].split()) == {"65532"}


def test_idle_memory(service, memories, say):
    wait_until(lambda: service.events("usage"), 35, "the logger's first line")
    time.sleep(2)
    used = {name: memory.used() for name, memory in memories.items()}
    say(in_mebibytes(used))
    assert sum(used.values()) <= 40 * MEBIBYTE


def test_the_logger_runs_at_00_and_30_seconds(service, database, say):
    wait_until(lambda: len(service.events("usage")) >= 2, 65, "two of the logger's lines")
    lines = service.events("usage")
    moments = [datetime.datetime.fromisoformat(line["ts"].replace("Z", "+00:00")) for line in lines]
    say(", ".join(f"{moment:%M:%S.%f}" for moment in moments))
    assert all(moment.second % 30 <= 2 for moment in moments)
    assert {round((later - earlier).total_seconds() / 30) for earlier, later in zip(moments, moments[1:])} == {1}
    total, = database.execute("SELECT count(*) FROM tokens WHERE used_at IS NOT NULL")[0]
    for line in lines:
        assert (line["health"], line["readiness"], line["database"]) == ("ok", "ok", "ok")
        assert line["total_visits"] == total


@pytest.mark.alone  # others would take the time that makes the load full
def test_memory_under_full_load(service, memories, say):
    """64 connections for 30 s, half of them with gzip, for which nginx needs most memory."""
    before, sums = service.states(), []
    url = f"http://127.0.0.1:{service.port}/api/reports/user_visits"
    headers = [word for name, value in service.key.items() for word in ("-H", f"{name}: {value}")]
    with Load(service, 32) as load:
        packed = subprocess.Popen(["wrk", "-t1", "-c32", "-d30s", "-H", "Accept-Encoding: gzip", *headers, url],
                                  stdout=subprocess.PIPE, text=True)
        while packed.poll() is None:
            time.sleep(0.1)
            sums.append({name: memory.used() for name, memory in memories.items()})
    report = packed.communicate()[0]
    peak = max(sums, key=lambda sizes: sum(sizes.values()))
    number = len(load.outcomes) + int(re.search(r"(\d+) requests in", report)[1])
    say(f"{number} requests, at most {in_mebibytes(peak)}")
    assert all(outcome.good for outcome in load.outcomes), load.summary()
    assert packed.returncode == 0 and "Non-2xx" not in report and "Socket errors" not in report, report
    assert number >= 500
    assert sum(memory.most() for memory in memories.values()) <= 256 * MEBIBYTE
    assert all(memory.kills() == 0 for memory in memories.values())
    assert service.states() == before


def test_all_lines_except_stock_programs_are_json(service):
    """multiwatch writes lines of its own, and nginx does when a probe arrives before the pool is up."""
    service.get("/api/reports/daily_usage")
    others = {line for name in CONTAINERS for line in service.logs(name) if not line.startswith("{")}
    early = {line for line in others if re.search(r"\[crit\] .* connect\(\) to unix:run/probe\.sock failed \(2: ", line)}
    assert others - early <= {"Child[0] died, respawn\n"}
