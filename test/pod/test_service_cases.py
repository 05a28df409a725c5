"""The cases of test/service that a pod can be put through, in a pytest run of their own against pods."""

import os
import subprocess
import sys

import pytest
from postgres import ROOT

# Left out: what starts or spoils processes of this machine, which a pod does not have; what starts without
# a database, or with another first, for which a pod's migration waits (test_misconfiguration.py); and 2,000
# clients at once, for whom half a processor is too little to answer health checks as quickly.
CASES = {
    "test_http.py": "not pool_that_is_gone and not nothing_leaks and not unreachable and not services_of_one_machine "
                    "and not readiness_failed_is_no_problem and not rows_of_another_server",
    "test_faults.py": "not not_there_at_start and not of_no_use and not however_many_wait",
}


@pytest.mark.parametrize("file", list(CASES))
def test_cases(network, say, file):  # pylint: disable=unused-argument
    done = subprocess.run([sys.executable, "-m", "pytest", ROOT / "test/service" / file, "-k", CASES[file]],
                          cwd=ROOT / "test", env={**os.environ, "TEST_TARGET": "pod"}, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800)
    say(done.stdout.rstrip().splitlines()[-1])
    assert done.returncode == 0, done.stdout[-8000:]
