"""Runs the tests of test/service that can run against a pod, in a pytest of their own."""

import subprocess
import sys

import pytest
from environment import outward
from postgres import ROOT

# Left out: tests that start or break processes of this machine; tests that start without a usable database, for
# which a pod's migration waits (test_misconfiguration.py); and 2,000 clients at once, with which half a processor
# cannot answer health checks in time.
CASES = {
    "test_access.py": "test_",
    "test_http.py": "not pool_that_is_gone and not nothing_leaks and not unreachable "
                    "and not readiness_failed_is_not_a_problem and not rows_of_another_server",
    "test_faults.py": "not not_there_at_start and not of_no_use and not however_many_wait",
}
ALONE = ["test_faults.py"]  # asserts deadlines, which half a processor keeps only if nobody else takes it


@pytest.mark.parametrize("file", [pytest.param(file, marks=[pytest.mark.alone] if file in ALONE else []) for file in CASES])
def test_cases(network, say, file):  # pylint: disable=unused-argument
    done = subprocess.run([sys.executable, "-m", "pytest", ROOT / "test/service" / file, "-k", CASES[file]],
                          cwd=ROOT / "test", env={**outward(), "TEST_TARGET": "pod"}, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800)
    say(done.stdout.rstrip().splitlines()[-1])
    assert done.returncode == 0, done.stdout[-8000:]
