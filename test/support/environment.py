"""What the tests take over from the developer's environment, and what they do not."""

import os
import pathlib
import signal
import sys
import tempfile
import time

HOME = pathlib.Path(__file__).resolve().parents[2] / "build/home"  # empty: no .pgpass, no .postgresql, no .npmrc
ORIGINAL = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "TEST_"))}
# Without PYTEST_ADDOPTS the processes of xdist, which read it themselves, would run all tests where it chooses a few.
KEPT = {"PATH", "PYTEST_ADDOPTS", "USER", "LOGNAME", "SHELL", "TERM", "SSL_CERT_FILE", "XDG_RUNTIME_DIR"}
KEPT_PREFIX = "TEST_"
FIXED = {"HOME": str(HOME), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def scrub():
    """Gives the tests, and all that they start, the same environment everywhere.

    PG* and DB_* would lead to other databases, http_proxy to a proxy, MAKEFLAGS into make; a job in the background
    of a script ignores SIGINT, and one under nohup SIGHUP, as does all that it starts.
    """
    for name in set(os.environ) - KEPT:
        if not name.startswith(KEPT_PREFIX):
            del os.environ[name]
    os.environ.update(FIXED)
    time.tzset()
    tempfile.tempdir = None  # chosen again, without TMPDIR
    os.umask(0o022)
    HOME.mkdir(parents=True, exist_ok=True)
    sys.dont_write_bytecode = True
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def outward():
    """The developer's own environment, for what installs packages or builds images: it names proxies and mirrors."""
    return {**ORIGINAL, "PATH": os.environ["PATH"]}
