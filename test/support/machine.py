"""What a test of other people's machines needs: a clean environment, a folder that anybody may enter, and what
processes show of themselves."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest
from postgres import UNPRIVILEGED

IS_ROOT = os.geteuid() == 0
GOOD = {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_USERNAME": "someone", "DB_PASSWORD": "s3cret-of-someone"}


def clean_environment(**variables):
    """What a command finds when nothing of ours is set, and these; None takes a variable out."""
    return {key: str(value) for key, value in {**os.environ, **variables}.items() if value is not None}


def starting(programs, seconds):
    """A deadline that includes the start of programs, which takes some seconds with sanitizers."""
    return seconds if programs.name == "build" else seconds + 5


@contextlib.contextmanager
def open_folder(parent=None):
    """A folder that any user may enter."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="coworking-test-machine.", dir=parent))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def folder():
    """A folder that any user may enter, and in it a place for the run's folder."""
    with open_folder() as path:
        (path / "tmp").mkdir()
        (path / "tmp").chmod(0o1777)
        yield path


def check(programs, prefix=(), **variables):
    """One run of --check: its status, and the lines that it wrote, as objects."""
    finished = subprocess.run([*prefix, programs / "analytics-fcgi", "--check"], env=clean_environment(**variables), timeout=20,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert finished.stdout == ""
    return finished.returncode, [json.loads(line) for line in finished.stderr.splitlines()]


def give_away(path):
    """Makes the user that the service runs as the owner of a file or folder."""
    if UNPRIVILEGED:
        shutil.chown(path, "www-data", "www-data")


def shown(pid, what):
    """A process's cmdline or environ, as the kernel shows it; nothing where it has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/{what}").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []
