"""A report's row that contradicts its SQL: the worker names it, at its start or at the first result."""

import json
import subprocess

import pytest
from postgres import ROOT

pytestmark = pytest.mark.one_build("sanitized")

WRONG = {  # what the row of new_users says instead
    "number of parameters": ("from_to_every,", "from_to,",
                             "query 'new_users' takes 3 parameters; the row has 2 before order and format"),
    "name of a column": ('COLUMN("joined",', 'COLUMN("gone",',
                         "column 2 is 'gone' in the row and 'joined' in the query's result"),
    "type of a column": ('COLUMN("active", INTEGER', 'COLUMN("active", DATE',
                         "column 'active' is of type date in the row and integer in the query's result"),
}


def make_worker(folder, old, new):
    """The worker with another reports.c, whose last report but one, new_users, is changed."""
    start, columns, rest = (ROOT / "fcgi/reports.c").read_text().partition("new_users_columns[] =")
    columns, row, rest = (columns + rest).partition('.name = "new_users"')
    assert old in columns or old in rest
    columns, rest = (columns.replace(old, new, 1), rest) if "COLUMN" in old else (columns, rest.replace(old, new, 1))
    (folder / "reports.c").write_text(start + columns + row + rest)
    worker = folder / "analytics-fcgi"
    # The linker takes reports.o of modules.a only where nobody else has its names.
    subprocess.run(["cc", "-std=c17", "-D_GNU_SOURCE", f"-I{ROOT}/fcgi", f"-I{ROOT}/build",
                    "-o", worker, folder / "reports.c", ROOT / "build/main.o", ROOT / "build/modules.a",
                    ROOT / "build/sql.a", "-lfcgi", "-lpq", "-ljson-c"], check=True)
    return worker


def run_worker(worker, database, *options):
    """One request as plain CGI: what came out, and the log."""
    request = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/reports/new_users"}
    ended = subprocess.run([worker, *options], env={**database.environment(), **request}, capture_output=True,
                           encoding="utf-8", timeout=30, check=False)
    return ended, [json.loads(line) for line in ended.stderr.splitlines()]


@pytest.mark.plain_only(reason="it links the plain build's modules")
@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_row_is_named(programs, database, tmp_path, kind):
    old, new, detail = WRONG[kind]
    worker = make_worker(tmp_path, old, new)
    check, log = run_worker(worker, database, "--check")
    if "parameter" in kind:
        assert check.returncode == 1
    else:  # the query's own columns are known with its first result
        assert check.returncode == 0
        answer, log = run_worker(worker, database)
        assert answer.stdout.startswith("Status: 500 ")
    line, = [line for line in log if line["event"] == "report_row"]
    assert (line["level"], line["report"], line["detail"]) == ("error", "new_users", detail)
