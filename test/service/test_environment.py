"""The tests themselves: neither the developer's environment nor what runs on the machine changes what they say."""

import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest
from postgres import ROOT, Postgres

LOOK = """
import environment, json, os, signal, tempfile, time
environment.scrub()
mask = os.umask(0)
ignored = [number for number in signal.Signals if signal.getsignal(number) is signal.SIG_IGN]
print(json.dumps([dict(os.environ), mask, ignored, time.tzname, tempfile.gettempdir()]))"""
HOSTILE = {"PGHOST": "192.0.2.1", "PGSERVICE": "elsewhere", "PGOPTIONS": "-c search_path=none", "DB_HOST": "192.0.2.1",
           "DB_PASSWORD_FILE": "/nonexistent", "MIGRATE_USERNAME": "nobody", "FCGI_WORKERS": "0", "LOG_LEVEL": "none",
           "APP_PORT": "1", "http_proxy": "http://192.0.2.1:1", "HTTPS_PROXY": "http://192.0.2.1:1", "LANG": "tr_TR.UTF-8",
           "LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Kathmandu", "TMPDIR": "/proc", "HOME": "/root/nowhere", "MAKEFLAGS": "-n",
           "PYTHONPATH": "/nonexistent", "BASH_ENV": "/nonexistent", "DATA_DIRECTORY": "/proc"}


def spoil():
    """What nohup, a script's background and a careful administrator leave to a process."""
    os.umask(0o077)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})


def look(prepare=None, **variables):
    """What the tests find where they are started with these variables."""
    return json.loads(subprocess.check_output([sys.executable, "-c", LOOK], cwd=ROOT / "test/support", preexec_fn=prepare,
                                              env={"PATH": os.environ["PATH"], **variables}))


def test_what_the_tests_find_is_always_the_same():
    expected = look()
    assert look(spoil, **HOSTILE) == expected
    assert expected[1:4] == [0o022, [signal.SIGPIPE, signal.SIGXFSZ], ["UTC", "UTC"]]


@pytest.mark.parametrize("name", list(HOSTILE))
def test_no_variable_comes_through(name):
    """One at a time, since one could hide another."""
    assert look(**{name: HOSTILE[name]}) == look()


def is_taken(port):
    """Whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def postgres_on_5432():
    """What most developers' machines have; this one may have it already."""
    server = None if is_taken(5432) else Postgres(port=5432)
    yield
    if server:
        server.close()


@pytest.mark.usefixtures("postgres_on_5432")
def test_they_pass_on_a_machine_in_use():
    """Those that look at ports and signals, in a script's background, in an environment that leads elsewhere."""
    wanted = "test_the_private_database_is_private or test_a_signal_leaves_nothing_behind"
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "test/service/test_commands.py", "-k", f"({wanted}) and not sanitized"],
        cwd=ROOT, env={**HOSTILE, "PATH": os.environ["PATH"], "PYTHONPATH": ""}, preexec_fn=spoil,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
    assert finished.stdout.splitlines()[-1:] == ["4 passed, 0 failed"], finished.stdout + finished.stderr
    assert re.search(r"^skipped: none$", finished.stdout, re.MULTILINE)


TESTS = """
import os, pytest
def test_good(record_property):
    record_property("measured", "a figure that everyone sees")
def test_bad(): assert False
def test_skipped(): pytest.skip("not on this machine")
@pytest.mark.alone
def test_alone(): pass
"""
CRASH = "def test_crash(): os._exit(3)\n"
# Fails in every process of several, as a test may on a busy machine.
DISTURBED = "def test_disturbed(request): assert not hasattr(request.config, 'workerinput')\n"


@pytest.mark.parametrize("text, end, status", [
    (TESTS, ["skipped: 1 x not on this machine", "2 passed, 1 failed"], 1),
    (TESTS.replace("assert False", "pass"), ["skipped: 1 x not on this machine", "3 passed, 0 failed"], 0),
    (TESTS.replace("assert False", "pass") + CRASH, None, 1),
    (DISTURBED, ["failed, then passed alone: test_these.py::test_disturbed", "skipped: none", "1 passed, 0 failed"], 0),
    (TESTS + DISTURBED, ["skipped: 1 x not on this machine", "3 passed, 1 failed"], 1),
    ("import nonsense", ["skipped: none", "0 passed, 2 failed"], 1),
    ("", ["skipped: none", "0 passed, 0 failed"], 1),
], ids=["a failure", "none", "a crash", "a busy machine", "a failure on a busy machine", "an import that fails", "no tests"])
def test_the_end_of_a_run(tmp_path, text, end, status):
    """What was skipped and why, then the sums over both parts; a process that crashes is a failure, and so is nothing."""
    (tmp_path / "test_these.py").write_text(text)
    finished = subprocess.run([ROOT / "test/run", "-p", "conftest", "-c", ROOT / "test/pytest.ini", tmp_path], cwd=tmp_path,
                              env={**os.environ, "PYTHONPATH": f"{ROOT}/test:{ROOT}/test/support"},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    lines = finished.stdout.splitlines()
    assert finished.returncode == status, finished.stdout
    assert end is None or [re.sub(r": \S*/", ": ", line) for line in lines[-len(end):]] == end
    assert text != TESTS or any("a figure that everyone sees" in line for line in lines)
    assert re.fullmatch(r"\d+ passed, (0|[1-9]\d*) failed", lines[-1]) and lines[-1].endswith(" 0 failed") == (status == 0 or text == "")
