"""The reports that there are, as the worker itself describes them: what holds for each is tested for each."""

import functools
import json
import subprocess

from postgres import ROOT

WORKER = ROOT / "build/analytics-fcgi"


@functools.cache
def describe():
    """/openapi.json, from the worker as a CGI program, which needs no database for it."""
    assert WORKER.exists(), f"build first: {WORKER} is missing"
    answer = subprocess.run([WORKER], check=True, capture_output=True, stdin=subprocess.DEVNULL, env={
        "REQUEST_METHOD": "GET", "PATH_INFO": "/openapi.json", "DB_HOST": "127.0.0.1", "DB_PORT": "1",
        "DB_USERNAME": "nobody", "DB_PASSWORD": "none"}).stdout
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def name_of(path):
    """What a report's files and its query are called."""
    return path.rpartition("/")[2]


REPORTS = [path for path in describe()["paths"] if path.startswith("/api/reports/") and name_of(path)]


def parameters_of(path):
    """The parameters that a report takes: the schema of each, by name."""
    return {parameter["name"]: parameter["schema"] for parameter in describe()["paths"][path]["get"]["parameters"]}


def reports_with(*names):
    """The reports that take all of these parameters."""
    return [path for path in REPORTS if parameters_of(path).keys() >= set(names)]
