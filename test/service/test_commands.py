"""The commands as users run them: docker/local/run with its private database, wrong configurations, a database in
trouble, the logger and its schedule, and logs in which every line is JSON."""

import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import law
import pytest
from fixtures import make_database, names
from law import DAILY_USAGE, USER_VISITS
from machine import GOOD, clean_environment, shown, starting
from postgres import PASSWORD, ROOT, free_port, is_alive, processes_below, wait_until
from processes import cpu_seconds, listening_ports
from service import Service

REPORTS = [DAILY_USAGE, USER_VISITS]
RUN = ROOT / "docker/local/run"
GOLDEN = ROOT / "test/service/golden"
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class Command:
    """A command in a session of its own, with its output in two files."""

    def __init__(self, folder, *words, cwd=ROOT, **variables):
        self.folder = folder
        with open(folder / "out", "wb") as out, open(folder / "errors", "wb") as errors:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, cwd=cwd,
                                            env=clean_environment(**variables), start_new_session=True)

    @property
    def out(self):
        """Its standard output so far."""
        return (self.folder / "out").read_text()

    @property
    def errors(self):
        """Its standard error so far."""
        return (self.folder / "errors").read_text()

    def await_ready(self, seconds=40):
        """Waits until the service is ready; returns the pids of all its processes."""
        wait_until(lambda: '"event":"ready"' in self.out or self.process.poll() is not None, seconds, "a ready service")
        assert self.process.poll() is None, self.errors
        return [self.process.pid, *processes_below(self.process.pid)]

    def end(self):
        """Ends processes that a failed test may have left."""
        for pid in [self.process.pid, *processes_below(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def launch(folder):
    """Starts commands, which end with the test."""
    commands = []

    def start(*words, **variables):
        commands.append(Command(folder, *words, **variables))
        return commands[-1]

    yield start
    for command in commands:
        command.end()


def fetch(port, path):
    """Fetches a body with curl."""
    return subprocess.run(["curl", "-sS", f"http://127.0.0.1:{port}{path}"], capture_output=True, timeout=20).stdout


# The private database

HOSTILE = {
    "DB_HOST": "", "DB_PORT": "abc", "DB_NAME": "no_such_database", "DB_USERNAME": "no_such_role",
    "DB_USER": "no_such_role", "DB_PASSWORD": "hostile", "DB_PASSWORD_FILE": "/no/such/file",
    "MIGRATE_USERNAME": "no_such_role", "MIGRATE_PASSWORD": "hostile",
    "PGHOST": "127.0.0.1", "PGHOSTADDR": "127.0.0.1", "PGPORT": "1", "PGDATABASE": "no_such_database",
    "PGUSER": "no_such_role", "PGPASSWORD": "hostile", "PGPASSFILE": "/no/such/file", "PGSERVICE": "no_such_service",
    "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/no/such/file", "PGOPTIONS": "-c search_path=nowhere",
    "PGTARGETSESSIONATTRS": "standby", "PGREQUIREAUTH": "none", "PGDATA": "/no/such/folder", "PGTZ": "Asia/Tokyo",
    "PGDATESTYLE": "German", "PGCLIENTENCODING": "LATIN1", "PGCONNECT_TIMEOUT": "0", "PGGSSENCMODE": "require",
    "PGCHANNELBINDING": "require", "PGSYSCONFDIR": "/no/such/folder",
}


def test_the_environment_does_not_reach_the_private_database(run, folder):
    service = run(DATA_DIRECTORY=str(folder / "data"), **HOSTILE)
    for path in REPORTS:
        assert service.get(path).body == (GOLDEN / f"sample_{path.rsplit('/', 1)[1]}.json").read_bytes()
    assert service.get("/readiness_check").body == b"ok"
    assert "hostile" not in "".join(service.log + service.errors)


def test_the_private_database_is_kept(programs, folder):
    environment = {"DATA_DIRECTORY": str(folder / "data")}
    first = Service(programs, environment)
    try:
        subprocess.run(["psql", "-X", "-q", "-h", first.directory() / "run", "-U", "postgres", "-c",
                        "INSERT INTO tokens (user_id, token, created_at, used_at) VALUES (1, '1', '1999-12-31', now())"],
                       env=clean_environment(PGPASSWORD=(folder / "data/password").read_text().strip()), check=True)
        kept = first.get(DAILY_USAGE).body
        assert kept.startswith(b'{"1999-12-31":1,"2026-06-01":')
    finally:
        first.stop()
    started = time.monotonic()
    second = Service(programs, environment)
    seconds = time.monotonic() - started
    try:
        assert second.get(DAILY_USAGE).body == kept
        assert "making a private database" not in "".join(second.errors)
        assert seconds < 5
    finally:
        second.stop()


def test_the_private_database_is_private(run, folder):
    """No other user of this machine reaches it: it listens on no port, and its socket lies in the run's own folder."""
    service = run(DATA_DIRECTORY=str(folder / "data"), PGPORT=str(free_port()))
    assert service.pids("postgres")
    assert listening_ports(processes_below(service.process.pid)) == {service.port}
    assert (folder / "data/password").stat().st_mode & 0o077 == 0
    refused = subprocess.run(["psql", "-X", "-w", "-h", service.directory() / "run", "-U", "analytics", "-d", "postgres"],
                             env=clean_environment(), input="", capture_output=True, text=True)
    assert refused.returncode == 2 and "no password supplied" in refused.stderr


def test_a_start_recovers_from_an_interrupted_one(programs, launch, run, folder):
    launched = launch(RUN, PROGRAMS=programs, APP_PORT=free_port(), DATA_DIRECTORY=folder / "data",
                      TMPDIR=folder / "tmp")
    wait_until(lambda: list((folder / "data").glob("cluster-*/PG_VERSION")), 20, "the start of initdb")
    launched.end()
    wait_until(lambda: str((folder / "data").stat().st_ino) not in pathlib.Path("/proc/locks").read_text(), 10,
               "the end of what used the data")
    service = run(DATA_DIRECTORY=str(folder / "data"))
    assert service.get(DAILY_USAGE).body == (GOLDEN / "sample_daily_usage.json").read_bytes()


def test_the_url_and_examples_are_printed(run, folder):
    service = run(DATA_DIRECTORY=str(folder / "data"))
    url = f"http://127.0.0.1:{service.port}"
    wait_until(lambda: "user_visits" in "".join(service.errors), 20, "the examples")
    text = "".join(service.errors)
    assert f"{url}/" in text
    examples = re.findall(r"^\s*(curl .*)$", text, re.MULTILINE)
    assert len(examples) == 2 and all(url in example for example in examples)
    for example in examples:
        done = subprocess.run(["bash", "-o", "pipefail", "-c", example], capture_output=True, timeout=20)
        assert done.returncode == 0 and json.loads(done.stdout), example
    assert service.events("ready")[0]["url"] == f"{url}/"


# The end

ENDINGS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDINGS, ids=lambda number: number.name)
def test_a_signal_leaves_nothing_behind(programs, folder, number):
    service = Service(programs, {"DATA_DIRECTORY": str(folder / "data"), "TMPDIR": str(folder / "tmp")})
    assert service.directory().parent == folder / "tmp"
    assert service.get(DAILY_USAGE).status == 200
    service.stop(number)  # await_ready looks for processes and the run's folder
    assert service.process.returncode == 0
    assert list((folder / "tmp").iterdir()) == []
    assert not list((folder / "data").glob("cluster-*/postmaster.pid"))
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", service.port)) != 0
    locks = pathlib.Path("/proc/locks").read_text()
    assert f":{(folder / 'data').stat().st_ino} " not in locks


@pytest.mark.parametrize("delay", [0, 0.1, 0.3, 1, 2, 3])
def test_a_signal_during_the_start_leaves_nothing_behind(programs, launch, folder, delay):
    command = launch(RUN, PROGRAMS=programs, APP_PORT=free_port(), DATA_DIRECTORY=folder / "data",
                     TMPDIR=folder / "tmp")
    seen = set()
    deadline = time.monotonic() + delay
    while time.monotonic() < deadline:
        seen.update(processes_below(command.process.pid))
        time.sleep(0.02)  # the delay is the test's parameter
    seen.update(processes_below(command.process.pid))
    command.process.terminate()
    command.process.wait(10)
    wait_until(lambda: not any(is_alive(pid) for pid in seen), 20, "the end of all that was started")
    assert list((folder / "tmp").iterdir()) == []


def test_a_signal_while_the_database_is_away_leaves_nothing_behind(programs, folder):
    service = Service(programs, {"DB_HOST": "127.0.0.1", "DB_PORT": str(free_port()), "DB_USER": "u", "DB_PASSWORD": "p",
                                 "TMPDIR": str(folder / "tmp")})
    service.stop()
    assert list((folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("end", ["the group is sent INT, as Ctrl-C does", "make alone is sent TERM"])
def test_make_run_ends_with_its_user(launch, folder, end):
    port = free_port()
    command = launch("make", "run", APP_PORT=port, DATA_DIRECTORY=folder / "data", TMPDIR=folder / "tmp")
    pids = command.await_ready(120)
    assert fetch(port, DAILY_USAGE) == (GOLDEN / "sample_daily_usage.json").read_bytes()
    if end.startswith("the group"):
        os.killpg(command.process.pid, signal.SIGINT)
    else:
        command.process.terminate()
    command.process.wait(10)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), 10, "the end of all that was started")
    assert list((folder / "tmp").iterdir()) == []


def test_a_killed_run_ends_all_its_processes(programs, launch, folder):
    command = launch(RUN, PROGRAMS=programs, APP_PORT=free_port(), DATA_DIRECTORY=folder / "data",
                     TMPDIR=folder / "tmp")
    pids = command.await_ready()
    command.process.kill()
    command.process.wait(5)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), 20, "the end of all that was started")


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: all tests run as an ordinary user")
def test_an_ordinary_user_can_run_it(programs, launch, folder):
    for path in (folder / "home", folder / "data"):
        path.mkdir()
        shutil.chown(path, "nobody", "nogroup")
    port = free_port()
    command = launch("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", RUN, PROGRAMS=programs,
                     APP_PORT=port, DATA_DIRECTORY=folder / "data", TMPDIR=folder / "tmp", HOME=folder / "home",
                     PATH="/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games")  # Debian's, without sbin
    pids = command.await_ready()
    assert fetch(port, DAILY_USAGE) == (GOLDEN / "sample_daily_usage.json").read_bytes()
    command.process.terminate()
    command.process.wait(10)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), 20, "the end of all that was started")
    assert list((folder / "tmp").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: nothing to give up")
def test_a_run_as_root_gives_up_its_rights(run, database):
    service = run(database)
    owners = {os.stat(f"/proc/{pid}").st_uid for pid in processes_below(service.process.pid)}
    assert owners and 0 not in owners


# Copies and ports


def test_two_copies_side_by_side(run, folder):
    services = [run(wait=False, DATA_DIRECTORY=str(folder / f"data{number}")) for number in range(2)]
    for service in services:
        wait_until(lambda service=service: service.events("ready"), 60, "both copies' start")
    for service in services:
        assert service.get(DAILY_USAGE).body == (GOLDEN / "sample_daily_usage.json").read_bytes()
    services[0].stop()
    assert services[1].get(USER_VISITS).body == (GOLDEN / "sample_user_visits.json").read_bytes()


def test_a_private_database_has_one_user(run, folder):
    first = run(DATA_DIRECTORY=str(folder / "data"))
    second = run(DATA_DIRECTORY=str(folder / "data"), wait=False)
    assert second.process.wait(10) not in (0, 78)
    wait_until(lambda: "another copy uses the private database" in "".join(second.errors), 20, "the message")
    assert first.get(DAILY_USAGE).status == 200


@pytest.mark.alone
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port(programs, database, folder, address):
    with socket.socket() as other:
        other.bind((address, 0))
        other.listen()
        port = other.getsockname()[1]
        started = time.monotonic()
        finished = subprocess.run([RUN], env=clean_environment(PROGRAMS=programs, APP_PORT=port, TMPDIR=folder / "tmp",
                                                               **database.environment()),
                                  capture_output=True, text=True, timeout=20, check=False)
        assert time.monotonic() - started < starting(programs, 2)
    assert finished.returncode not in (0, 78)
    assert len(finished.stderr.splitlines()) == 1 and f"port {port} is taken" in finished.stderr
    assert finished.stdout == ""
    assert list((folder / "tmp").iterdir()) == []


# Configuration

WRONG = [
    ("DB_USERNAME", {"DB_USERNAME": None}),
    ("DB_USERNAME", {"DB_USERNAME": ""}),
    ("DB_PASSWORD", {"DB_PASSWORD": None}),
    ("DB_PASSWORD", {"DB_PASSWORD": ""}),
    ("DB_PASSWORD_FILE", {"DB_PASSWORD": None, "DB_PASSWORD_FILE": "/no/such/file"}),
    ("DB_PASSWORD_FILE", {"DB_PASSWORD": None, "DB_PASSWORD_FILE": "/dev/null"}),
    ("DB_PASSWORD_FILE", {"DB_PASSWORD": None, "DB_PASSWORD_FILE": "/"}),
    ("DB_PORT", {"DB_PORT": "abc"}),
    ("DB_PORT", {"DB_PORT": "0"}),
    ("DB_PORT", {"DB_PORT": "65536"}),
    ("DB_PORT", {"DB_PORT": "-1"}),
    ("DB_PORT", {"DB_PORT": "5432x"}),
    ("DB_PORT", {"DB_PORT": "54 32"}),
    ("DB_PORT", {"DB_PORT": "5432,abc"}),
    ("DB_PORT", {"DB_PORT": "99999999999999999999"}),
    ("APP_PORT", {"APP_PORT": "70000"}),
    ("APP_PORT", {"APP_PORT": "0"}),
    ("APP_PORT", {"APP_PORT": "http"}),
    ("APP_PORT", {"APP_PORT": "80 80"}),
    ("FCGI_WORKERS", {"FCGI_WORKERS": "0"}),
    ("FCGI_WORKERS", {"FCGI_WORKERS": "-4"}),
    ("FCGI_WORKERS", {"FCGI_WORKERS": "four"}),
    ("FCGI_WORKERS", {"FCGI_WORKERS": "1.5"}),
    ("FCGI_WORKERS", {"FCGI_WORKERS": "100000"}),
    ("STATEMENT_TIMEOUT_MS", {"STATEMENT_TIMEOUT_MS": "99"}),
    ("STATEMENT_TIMEOUT_MS", {"STATEMENT_TIMEOUT_MS": "60001"}),
    ("STATEMENT_TIMEOUT_MS", {"STATEMENT_TIMEOUT_MS": "5s"}),
    ("STATEMENT_TIMEOUT_MS", {"STATEMENT_TIMEOUT_MS": "1e3"}),
    ("LOG_LEVEL", {"LOG_LEVEL": "loud"}),
    ("LOG_LEVEL", {"LOG_LEVEL": "information"}),
    ("ROLLUPS", {"ROLLUPS": "no"}),
]


@pytest.mark.parametrize("program", ["analytics-fcgi", "analytics-fcgi --probe", "analytics-fcgi --check",
                                     "analytics-fcgi --migrate", "usage-logger", "run"])
@pytest.mark.parametrize("name, changes", WRONG)
def test_a_wrong_configuration(programs, folder, program, name, changes):
    words = [RUN] if program == "run" else [programs / program.split()[0], *program.split()[1:]]
    environment = clean_environment(PROGRAMS=programs, TMPDIR=folder / "tmp", **{**GOOD, **changes})
    started = time.monotonic()
    finished = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=20, check=False, cwd=ROOT)
    assert time.monotonic() - started < starting(programs, 2)
    assert finished.returncode == 78, finished.stderr
    [line] = (finished.stdout + finished.stderr).splitlines()
    assert re.match(rf"{name} must be \w+", json.loads(line)["detail"])
    assert "s3cret" not in line
    assert list((folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("name, changes", [
    ("APP_PORT", {"APP_PORT": "70000"}),
    ("FCGI_WORKERS", {"FCGI_WORKERS": "0"}),
    ("STATEMENT_TIMEOUT_MS", {"STATEMENT_TIMEOUT_MS": "99"}),
    ("LOG_LEVEL", {"LOG_LEVEL": "loud"}),
])
def test_a_wrong_configuration_with_the_private_database(programs, folder, name, changes):
    finished = subprocess.run([RUN], capture_output=True, text=True, timeout=20, check=False,
                              env=clean_environment(PROGRAMS=programs, DATA_DIRECTORY=folder / "data", **changes))
    assert finished.returncode == 78
    [line] = (finished.stdout + finished.stderr).splitlines()
    assert name in line
    assert not (folder / "data").exists()


@pytest.mark.parametrize("target", ["run", "migrate"])
def test_make_names_what_is_wrong(folder, target):
    finished = subprocess.run(["make", target], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
                              env=clean_environment(TMPDIR=folder / "tmp", **{**GOOD, "DB_PORT": "abc"}))
    assert finished.returncode != 0
    assert finished.stderr.count("DB_PORT must be") == 1


@pytest.mark.parametrize("changes", [
    {},
    {"DB_USERNAME": None, "DB_USER": "someone"},
    {"DB_PORT": "2"}, {"DB_PORT": "65535"}, {"DB_HOST": "127.0.0.2,127.0.0.3", "DB_PORT": "1,2"},
    {"DB_HOST": "/no/such/folder", "DB_PORT": ""},
    {"APP_PORT": "1"}, {"APP_PORT": "65535"},
    {"FCGI_WORKERS": "1"}, {"FCGI_WORKERS": "64"},
    {"STATEMENT_TIMEOUT_MS": "100"}, {"STATEMENT_TIMEOUT_MS": "60000"},
    {"LOG_LEVEL": "debug"}, {"LOG_LEVEL": "info"}, {"LOG_LEVEL": "warning"}, {"LOG_LEVEL": "error"},
    {"DB_PASSWORD": None, "DB_PASSWORD_FILE": __file__},
])
def test_a_good_configuration(programs, changes):
    finished = subprocess.run([programs / "analytics-fcgi", "--check"], capture_output=True, text=True, timeout=20,
                              env=clean_environment(**{**GOOD, **changes}), check=False)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def test_the_password_may_come_from_a_file(run, database, folder):
    (folder / "password").write_text(f"{PASSWORD}\nanother line\n")
    (folder / "password").chmod(0o644)
    service = run(database, DB_PASSWORD="", DB_PASSWORD_FILE=str(folder / "password"))
    assert service.get(DAILY_USAGE).status == 200
    assert service.is_ready()


def test_our_variables_take_precedence_over_libpq_s(run, database):
    service = run(database, PGHOST="no-such-host.invalid", PGHOSTADDR="192.0.2.1", PGPORT="1", PGUSER="nobody",
                  PGPASSWORD="wrong", PGDATABASE="nowhere")
    assert service.get(DAILY_USAGE).body == law.daily_usage(database)


def test_libpq_s_own_variables_pass_through(run, database):
    service = run(database, PGSSLMODE="require")  # TLS, which the tests' server does not support
    assert service.get(DAILY_USAGE).status == 503
    wait_until(lambda: any("SSL" in line["reason"] for line in service.events("database_unreachable")), 20, "the reason")


def test_a_list_of_hosts(run, database):
    service = run(database, DB_HOST="127.0.0.2,127.0.0.1", DB_PORT=f"1,{database.server.port}")
    assert service.get(DAILY_USAGE).status == 200
    assert service.is_ready()


# --help and --version


@pytest.mark.parametrize("program, words", [
    ("analytics-fcgi", ["usage: analytics-fcgi", "--probe", "--check", "--help", "--version"]),
    ("usage-logger", ["usage: usage-logger", "--help", "--version"]),
])
def test_help(programs, program, words):
    finished = subprocess.run([programs / program, "--help"], env={}, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert all(word in finished.stdout for word in words)


@pytest.mark.parametrize("program", ["analytics-fcgi", "usage-logger"])
def test_version(programs, program):
    finished = subprocess.run([programs / program, "--version"], env={}, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout == (programs / "version").read_text() and finished.stdout.strip()


@pytest.mark.parametrize("program", ["analytics-fcgi", "usage-logger"])
@pytest.mark.parametrize("words", [["--nonsense"], ["-x"], ["nonsense"], ["--check", "more"], [""]])
def test_an_unknown_option(programs, program, words):
    finished = subprocess.run([programs / program, *words], env=clean_environment(**GOOD), capture_output=True, text=True,
                              timeout=20, check=False, stdin=subprocess.DEVNULL)
    assert finished.returncode not in (0, 78)
    assert finished.stdout == "" and f"usage: {program}" in finished.stderr


# A database in trouble


def trouble(database, kind):
    """The variables that cause this kind of trouble."""
    if kind == "wrong password":
        return {"DB_PASSWORD": "wr0ng-one"}
    if kind == "unknown role":
        return {"DB_USERNAME": "no_such_role"}
    if kind == "unknown database":
        return {"DB_NAME": "no_such_database"}
    if kind == "nothing listens":
        return {"DB_PORT": "1"}
    empty = database.server.create_database(next(names))
    empty.execute("DROP TABLE tokens, users" if kind == "no tables" else "DROP TABLE tokens")
    return {"DB_NAME": empty.name}


@pytest.mark.parametrize("kind, words", [
    ("wrong password", "refused the user name"),
    ("unknown role", "refused the user name"),
    ("unknown database", "does not exist"),
    ("nothing listens", "refused"),
    ("no tables", "missing|does not exist"),
    ("one table", "missing|does not exist"),
])
def test_a_database_in_trouble(run, database, kind, words):
    service = run(database, **trouble(database, kind))

    def complaints():
        return [line for name in ("database_unreachable", "query_not_prepared") for line in service.events(name)]

    wait_until(lambda: any(re.search(words, line["reason"]) for line in complaints()), 20, "a line that says so")
    assert service.get("/health_check").body == b"ok"
    assert (service.get("/readiness_check").status, service.get("/readiness_check").body) == (503, b"failed")
    wait_until(lambda: service.events("not_ready"), 20, "a line that says that it is not ready")
    for path in REPORTS:
        assert service.get(path).status == 503

    def state():
        """Changes when workers start or end, use the processor or log something."""
        quiet = [line for line in service.log if '"event":"access"' not in line and '"event":"usage"' not in line]
        workers = [pid for pid in service.workers() if b"--migrate" not in shown(pid, "cmdline")]
        return sorted(workers), round(cpu_seconds(workers), 1), len(quiet)

    def is_at_rest():
        before, until = state(), time.monotonic() + 3
        wait_until(lambda: time.monotonic() > until, 5, "the end of the measurement")
        return state() == before and len(before[0]) == 4

    wait_until(is_at_rest, 12, "four idle workers that log nothing")
    assert "wr0ng-one" not in "".join(service.log + service.errors)


def test_a_database_in_trouble_does_not_keep_the_service_busy(run, database):
    service = run(database, DB_PASSWORD="wr0ng-one")
    everything = [service.process.pid, *processes_below(service.process.pid)]
    before = cpu_seconds(everything)
    until = time.monotonic() + 4
    wait_until(lambda: time.monotonic() > until, 5, "the end of the measurement")
    assert cpu_seconds(everything) - before < 1


def test_tables_that_come_later(run, server):
    database = server.create_database(next(names))
    database.execute("DROP TABLE tokens, users")
    service = run(database)
    assert service.get(DAILY_USAGE).status == 503 and not service.is_ready()
    database.run_file(ROOT / "sql/coworking/tables.sql")
    database.run_file(ROOT / "test/service/example.sql")
    assert database.migrate().returncode == 0
    for path in REPORTS:
        assert service.get(path).body == law.ANSWERS[path](database)
    wait_until(service.is_ready, 3, "readiness")


# The logger


def usage_logger(programs, database, port, **variables):
    """Runs the logger once; returns its status, its line, its standard error and its duration."""
    environment = clean_environment(**{**database.environment(), "APP_PORT": port, **variables})
    started = time.monotonic()
    finished = subprocess.run([programs / "usage-logger"], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=40, check=False)
    seconds = time.monotonic() - started
    [text] = finished.stdout.splitlines()
    line = json.loads(text)
    assert TIMESTAMP.fullmatch(line["ts"]) and line["event"] == "usage"
    written = datetime.datetime.fromisoformat(line["ts"])
    assert abs((datetime.datetime.now(datetime.timezone.utc) - written).total_seconds()) < 10
    assert line["level"] == ("error" if finished.returncode else "warning" if "role" in line else "info")
    return finished.returncode, line, finished.stderr, seconds


def test_a_run_of_the_logger(programs, service, database):
    status, line, errors, _ = usage_logger(programs, database, service.port, TZ="Asia/Tokyo")
    assert (status, errors) == (0, "")
    assert [line[name] for name in ("health", "readiness", "database")] == ["ok"] * 3
    for name in ("health_ms", "readiness_ms", "database_ms"):
        assert 0 < line[name] < 5000
    assert line["daily_usage"] == {"2024-03-01": 2, "2024-03-02": 1, "2024-03-04": 1}
    assert (line["total_visits"], line["total_days"]) == (4, 3)
    assert not [name for name in line if name.endswith("_error")]


def test_the_logger_shows_the_last_31_days_of_usage(programs, service, server):
    database = server.create_database(next(names))
    database.run_file(ROOT / "sql/coworking/sample.sql")
    assert database.migrate().returncode == 0
    days = json.loads(law.daily_usage(database))
    _, line, _, _ = usage_logger(programs, database, service.port)
    assert list(line["daily_usage"].items()) == list(days.items())[-31:]
    assert (line["total_visits"], line["total_days"]) == (sum(days.values()), len(days))


def test_the_logger_on_empty_tables(programs, service, server):
    database = server.create_database(next(names))
    assert database.migrate().returncode == 0
    status, line, errors, _ = usage_logger(programs, database, service.port)
    assert (status, errors, line["daily_usage"], line["total_visits"]) == (0, "", {}, 0)


def test_the_logger_keeps_the_rollups(programs, service, server):
    database = server.create_database(next(names))
    database.run_file(ROOT / "test/service/example.sql")
    assert database.migrate().returncode == 0

    def keep(statement):
        database.execute(statement)
        status, line, _, _ = usage_logger(programs, database, service.port)
        assert status == 0
        return {name: line[name] for name in ("rollups", "folded", "behind", "drift") if name in line}

    insert = "INSERT INTO tokens (user_id, token) SELECT 3, 'x' FROM generate_series(1, 5000)"
    at_rest = {"rollups": "on", "folded": 0, "behind": 0}
    assert keep("SELECT 1") == {**at_rest, "drift": 0}  # 0: the migration has compared them with tokens
    folded = [keep(statement)["folded"] for statement in (insert, "SELECT 1", "SELECT 1")]
    assert 4000 < sum(folded) < 4100  # all but the last 1,000; in a later call if others write meanwhile
    assert keep("UPDATE tokens SET used_at = now() WHERE id <= 6")["folded"] == 12
    assert keep("SET session_replication_role = replica; DELETE FROM tokens WHERE id = 7")["folded"] == 1
    keep("UPDATE coworking_analytics.daily_tokens SET used = used + 1 WHERE date = '2024-03-01';"
         "UPDATE coworking_analytics.inspections SET started_at = started_at - interval '25 hours'")
    assert keep("SELECT 1") == {**at_rest, "drift": 1}
    assert keep(f"TRUNCATE tokens; {insert}")["rollups"] == "rebuilding"  # the rebuild comes after the line
    assert keep("SELECT 1")["rollups"] == "on"
    assert keep("DROP TRIGGER coworking_analytics_change ON tokens")["rollups"] == "set aside"
    assert database.migrate(ROLLUPS="off").returncode == 0
    _, line, _, _ = usage_logger(programs, database, service.port)
    assert (line["rollups"], line["folded"]) == ("off", 0)


def test_the_logger_keeps_the_rollups_when_it_cannot_read_the_usage(programs, service, server):
    """For example when that takes too long because the rollups were set aside."""
    database = make_database(server)
    role = f"role_{database.name}"
    database.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
    database.user = database.password = role
    assert database.migrate(MIGRATE_USERNAME="postgres", MIGRATE_PASSWORD=PASSWORD).returncode == 0
    database.execute("REVOKE EXECUTE ON FUNCTION coworking_analytics.days() FROM coworking_analytics_reader; TRUNCATE tokens;"
                     "INSERT INTO tokens (user_id, token) SELECT 3, 'x' FROM generate_series(1, 5000)")
    seen = []
    for _ in range(6):
        status, line, _, _ = usage_logger(programs, database, service.port)
        assert (status, line["database"], "rollups_error" in line) == (1, "failed", False)
        seen.append(line["rollups"])
    assert seen[0] == "rebuilding" and seen[-1] == "on"


@pytest.mark.parametrize("failing, variables, words", [
    ({"health", "readiness"}, {"APP_PORT": "1"}, "listens"),
    ({"database"}, {"DB_PORT": "1"}, "refused"),
    ({"database"}, {"DB_PASSWORD": "wr0ng-one"}, "password"),
    ({"database"}, {"DB_NAME": "no_such_database"}, "does not exist"),
    ({"database"}, {"DB_NAME": "template1"}, "does not exist"),
    ({"health", "readiness", "database"}, {"APP_PORT": "1", "DB_PORT": "1"}, "listens|refused"),
])
def test_the_logger_names_the_check_that_failed(programs, service, database, failing, variables, words):
    status, line, errors, _ = usage_logger(programs, database, service.port, **variables)
    assert (status, errors) == (1, "")
    assert {name for name in ("health", "readiness", "database") if line[name] != "ok"} == failing
    for name in failing:
        assert line[name] == "failed" and re.search(words, line[f"{name}_error"])
    assert {name for name in line if name.endswith("_error")} == {f"{name}_error" for name in failing}
    assert "wr0ng-one" not in json.dumps(line)


def test_the_logger_names_missing_tables(run, programs, server):
    database = make_database(server)
    service = run(database)
    database.execute("ALTER TABLE tokens RENAME TO t")
    wait_until(lambda: not service.is_ready(), 20, "a failing readiness")
    status, line, _, _ = usage_logger(programs, database, service.port)
    assert (status, line["health"], line["readiness"], line["database"]) == (1, "ok", "failed", "failed")
    assert "tokens" in line["database_error"]


def test_the_logger_gives_up_waiting_soon(programs, database):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        status, line, _, seconds = usage_logger(programs, database, port, DB_PORT=port)
    assert (status, line["health"], line["readiness"], line["database"]) == (1, "failed", "failed", "failed")
    assert seconds < 28


@pytest.mark.plain_only(reason="the schedule is the packaged scheduler's, not the programs'")
def test_the_logger_starts_at_00_and_30_seconds(service):
    wait_until(lambda: len(service.events("usage")) >= 2, 70, "two runs of the logger")
    moments = [datetime.datetime.fromisoformat(line["ts"]) for line in service.events("usage")]
    for moment in moments:
        assert moment.second % 30 < 2, moments
    for earlier, later in zip(moments, moments[1:]):
        assert 28 < (later - earlier).total_seconds() < 32, moments
    assert {line["health"] for line in service.events("usage")} == {"ok"}


def loggers(service):
    """The pids of running loggers."""
    found = []
    for pid in processes_below(service.process.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "usage-logger":
                found.append(pid)
    return found


@pytest.mark.plain_only(reason="the schedule is the packaged scheduler's, not the programs'")
def test_the_logger_never_overlaps_itself(programs, run, folder):
    """A run takes 35 s, so it is still running when the next one is due."""
    for name in ("analytics-fcgi", "usage-logger"):
        shutil.copy(programs / name, folder / name)
    slow = folder / "slow.c"
    slow.write_text('#include <stdio.h>\n#include <time.h>\n#include <unistd.h>\nint main(void) {'
                    ' printf("{\\"event\\":\\"slow\\",\\"start\\":%ld}\\n", time(0)); fflush(stdout); sleep(35); }\n')
    subprocess.run(["gcc", "-o", folder / "usage-logger", slow], check=True)
    service = Service(folder, {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_USER": "u", "DB_PASSWORD": "p"})
    try:
        seen = set()

        def has_run_twice():
            seen.add(len(loggers(service)))
            return len(service.events("slow")) == 2

        wait_until(has_run_twice, 105, "two runs of a slow logger")
        assert seen == {0, 1}
        starts = [line["start"] for line in service.events("slow")]
        assert all(start % 30 in (0, 1) for start in starts) and starts[1] - starts[0] in (59, 60, 61)
    finally:
        service.stop()


def test_a_killed_logger_disturbs_nothing(run, database):
    service = run(database)
    [supervisor] = [pid for pid in service.pids("multiwatch") if b"snooze" in b" ".join(shown(pid, "cmdline"))]
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not is_alive(supervisor), 20, "the end of the logger's supervisor")
    until = time.monotonic() + 3
    while time.monotonic() < until:
        assert service.get(DAILY_USAGE).status == 200
    assert service.process.poll() is None


# Logs

ACCESS = {"ts", "level", "event", "request_id", "method", "path", "status", "bytes", "request_time", "upstream_time",
          "client", "user", "proof"}


def check_log(lines):
    """Every line is one object with time, level and event."""
    for text in lines:
        assert text.endswith("\n") and text.count("\n") == 1
        line = json.loads(text)
        assert TIMESTAMP.fullmatch(line["ts"]), text
        moment = datetime.datetime.fromisoformat(line["ts"])
        assert abs((datetime.datetime.now(datetime.timezone.utc) - moment).total_seconds()) < 600, text
        assert line["level"] in ("debug", "info", "warning", "error")
        assert isinstance(line["event"], str) and line["event"]


REQUESTS = [
    b"GET /health_check HTTP/1.1", b"GET /readiness_check HTTP/1.0", b"GET /api/reports/daily_usage HTTP/1.1",
    b"HEAD /api/reports/user_visits HTTP/1.1", b"GET /api/reports/nope HTTP/1.1", b"POST /nope HTTP/1.1", b"GARBAGE",
    b"GET /\"quoted\"\\back\\slash HTTP/1.1", b"GET /api/\"quoted\"\\back\\slash HTTP/1.1", b"GET /caf\xc3\xa9 HTTP/1.1",
    b"GET /api/\xff\xfe\x80 HTTP/1.1", b"GET /api/%ff%fe%00 HTTP/1.1", b"GET /api/%01%02%0a%22 HTTP/1.1",
    b"GET /api/reports/daily_usage?\xff\"\\ HTTP/1.1", b"B\"AD / HTTP/1.1", b"BREW /api/reports/daily_usage HTTP/1.1",
    b"\x00\x01\x02", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/7.7", b"GET /" + b"x" * 9000 + b" HTTP/1.1",
    b"OPTIONS * HTTP/1.1", b"GET http://other.example/api/reports/daily_usage HTTP/1.1", b"CONNECT a:1 HTTP/1.1",
    b"GET /\x7f\x1b[31m HTTP/1.1",
]


def test_every_line_of_the_log_is_an_object(run, database, folder):
    service = run(database, LOG_LEVEL="debug")
    for request in REQUESTS:
        with contextlib.suppress(ConnectionResetError):
            service.raw(request + b"\r\nHost: a\r\nUser-Agent: \"\\\xff\r\nX-Request-Id: \"\\\xff\r\n"
                        b"Connection: close\r\n\r\n")
    wait_until(lambda: len(service.events("access")) >= len(REQUESTS), 10, "the access log")
    service.stop()
    check_log(service.log)
    for line in service.events("access"):
        assert set(line) == ACCESS
        assert isinstance(line["status"], int) and isinstance(line["bytes"], int) and line["client"] == "127.0.0.1"
        assert isinstance(line["request_time"], float | int)
        assert isinstance(line["upstream_time"], float | int | None)
    (folder / "log").write_text("".join(service.log))
    counted = subprocess.run(["jq", "-s", "map(select(.ts and .level and .event)) | length", folder / "log"],
                             capture_output=True, text=True, check=True)
    assert int(counted.stdout) == len(service.log)


def test_an_access_line_tells_what_happened(service, database):
    service.get(f"{DAILY_USAGE}?secret=1", X_Request_Id="bad")
    service.get(DAILY_USAGE, X_Request_Id="good")
    service.get("/nope", X_Request_Id="nowhere")
    wait_until(lambda: all(service.events("access", request_id=name) for name in ("bad", "good", "nowhere")), 5,
               "the lines")
    [bad], [good], [nowhere] = [service.events("access", request_id=name) for name in ("bad", "good", "nowhere")]
    assert (bad["method"], bad["path"], bad["status"], bad["level"]) == ("GET", DAILY_USAGE, 400, "info")
    assert (good["status"], good["bytes"]) == (200, len(law.daily_usage(database)))
    assert 0 <= good["upstream_time"] <= good["request_time"] + 0.01
    assert (nowhere["path"], nowhere["status"], nowhere["upstream_time"]) == ("/nope", 404, None)


def test_a_log_in_a_file_is_whole(programs, database, launch):
    port = free_port()
    command = launch(RUN, PROGRAMS=programs, APP_PORT=port, **database.environment())
    command.await_ready()
    readers = [subprocess.Popen(["curl", "-sS", "-o", "/dev/null", f"http://127.0.0.1:{port}{USER_VISITS}?[1-200]"])
               for _ in range(8)]
    assert [reader.wait(60) for reader in readers] == [0] * 8
    command.process.terminate()
    command.process.wait(10)
    lines = command.out.splitlines(keepends=True)
    check_log(lines)
    events = [json.loads(line)["event"] for line in lines]
    assert events.count("access") >= 1600 and events.count("request") == 1600


@pytest.mark.parametrize("level, events", [
    ("debug", {"request"}), ("info", {"request"}), ("warning", set()), ("error", set()),
])
def test_log_levels(run, database, level, events):
    service = run(database, LOG_LEVEL=level)
    assert service.get(DAILY_USAGE).status == 200
    wait_until(lambda: service.events("access", path=DAILY_USAGE), 20, "the access log's line")
    service.stop()
    assert {line["event"] for line in service.events("request")} == events
    levels = ["debug", "info", "warning", "error"]
    own = [json.loads(line) for line in service.log if '"event":"access"' not in line and '"event":"usage"' not in line]
    assert all(levels.index(line["level"]) >= levels.index(level) for line in own if line["event"] != "ready")
