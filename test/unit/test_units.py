"""The unit tests, with each cmocka case as a test; the fuzz target; and the worker under valgrind."""

import functools
import os
import pathlib
import re
import socket
import subprocess
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
PROGRAMS = sorted(path.stem for path in pathlib.Path(__file__).parent.glob("test_*.c"))
FUZZ_RUNS_MIN = 10_000
VALGRIND = ("/usr/bin/valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full",
            "--errors-for-leak-kinds=definite")


def run_quietly(command, seconds, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
                          errors="replace", timeout=seconds, check=False, **options)


@functools.cache
def run_program(name):
    """Runs a program of unit tests; returns its cases, from its TAP output (testanything.org), and how it ended."""
    try:
        ended = run_quietly([BUILD / "unit" / name], 60, cwd=ROOT,
                            env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP"})
    except (OSError, subprocess.TimeoutExpired) as error:
        return types.SimpleNamespace(cases=[], planned=None, status=None, errors=str(error))
    cases, planned = [], None
    for line in ended.stdout.splitlines():
        if plan := re.fullmatch(r"1\.\.(\d+)", line):
            planned = int(plan[1])
        elif result := re.fullmatch(r"(not )?ok \d+ - (.*)", line):
            cases.append(types.SimpleNamespace(name=result[2], passed=not result[1], remarks=[]))
        elif cases and line.startswith("#"):
            cases[-1].remarks.append(line)
    return types.SimpleNamespace(cases=cases, planned=planned, status=ended.returncode,
                                 errors=ended.stderr)


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        found = [(name, case) for name in PROGRAMS for case in run_program(name).cases]
        metafunc.parametrize("case", [case for _, case in found],
                             ids=[f"{name}: {case.name}" for name, case in found])


def test_case(case):
    passed, remarks = case.passed, "\n".join(case.remarks)
    assert passed, remarks


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_ran_to_its_end(name):
    """Every case ran under a unique name, and no sanitizer reported anything."""
    program = run_program(name)
    names = {case.name for case in program.cases}
    failed = sum(not case.passed for case in program.cases)
    ended = (len(program.cases), len(names), program.status)
    assert ended == (program.planned, program.planned, failed), program.errors


def test_fuzz():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    ended = run_quietly(["make", "-s", "fuzz"], 120, cwd=ROOT, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert int(re.search(r"number_of_executed_units: *(\d+)", ended.stdout)[1]) >= FUZZ_RUNS_MIN


@pytest.fixture(scope="module")
def closed_port():
    """A port that refuses connections: it is bound, and nothing listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield str(holder.getsockname()[1])


def get(path, **settings):
    return {"REQUEST_METHOD": "GET", "PATH_INFO": path, **settings}


REPORT = "/api/reports/daily_usage"
VALGRIND_CASES = [  # name, options, environment, exit status, how the output starts
    ("help", ["--help"], {}, 0, "usage: analytics-fcgi"),
    ("version", ["--version"], {}, 0, ""),
    ("unknown option", ["--nonsense"], {}, 64, ""),
    ("neither FastCGI nor CGI", [], {}, 1, ""),
    ("check", ["--check"], {}, 0, ""),
    ("check of a wrong value", ["--check"], {"FCGI_WORKERS": "0"}, 78, ""),
    ("check of a missing password", ["--check"], {"DB_PASSWORD": ""}, 78, ""),
    ("health", [], get("/health_check"), 0, "Status: 200"),
    ("health, HEAD", [], get("/health_check", REQUEST_METHOD="HEAD"), 0, "Status: 200"),
    ("health, of the probe worker", ["--probe"], get("/health_check"), 0, "Status: 200"),
    ("readiness", [], get("/readiness_check"), 0, "Status: 503"),
    ("unknown path", [], get("/nowhere"), 0, "Status: 404"),
    ("very long path", [], get("/" + "x" * 5000), 0, "Status: 404"),
    ("OPTIONS", [], get(REPORT, REQUEST_METHOD="OPTIONS"), 0, "Status: 204"),
    ("other method", [], get(REPORT, REQUEST_METHOD="POST"), 0, "Status: 405"),
    ("unknown parameter", [], get(REPORT, QUERY_STRING="nonsense=1"), 0, "Status: 400"),
    ("very long parameter", [], get(REPORT, QUERY_STRING="x" * 5000), 0, "Status: 400"),
    ("wrong parameter", [], get(REPORT, QUERY_STRING="from=2024-02-30"), 0, "Status: 400"),
    ("list", [], get("/api/reports/"), 0, "Status: 200"),
    ("description", [], get("/openapi.json", HTTP_ACCEPT="text/csv"), 0, "Status: 200"),
    ("no database", [], get(REPORT), 0, "Status: 503"),
    ("no database, CSV", [], get(REPORT, HTTP_ACCEPT="text/csv;q=0.5, */*;q=0.1"), 0, "Status: 503"),
    ("no database, HEAD", [], get(REPORT, REQUEST_METHOD="HEAD"), 0, "Status: 503"),
    ("no database, HTTP/1.0", [], get(REPORT, SERVER_PROTOCOL="HTTP/1.0"), 0, "Status: 503"),
]


@pytest.mark.parametrize(("options", "settings", "status", "start"),
                         [case[1:] for case in VALGRIND_CASES],
                         ids=[case[0] for case in VALGRIND_CASES])
def test_valgrind(options, settings, status, start, closed_port):
    """No memory error, and nothing definitely lost."""
    environment = {"DB_USERNAME": "reader", "DB_PASSWORD": "swordfish", "DB_HOST": "127.0.0.1",
                   "DB_PORT": closed_port, **settings}
    ended = run_quietly([*VALGRIND, BUILD / "analytics-fcgi", *options], 60, env=environment)
    assert (ended.returncode, ended.stdout[:len(start)]) == (status, start), ended.stderr
