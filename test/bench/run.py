"""Measures every figure of cases.py, prints the table and writes it to results.md. Asserts nothing.

ONLY=part measures one part; QUICK=yes only shows that everything works. Neither writes the file.
"""

import contextlib
import datetime
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time
from importlib import metadata

import contenders
import environment
from cases import DATA, DATABASE, FILE, FLASK, GO, KEYS, PARTS, RATIOS, SERVICE, SESSIONS, WORKER, figures
from data import QUICK, Databases, writing
from measure_requests import get, output
from postgres import ROOT
from table import render

RESULTS = pathlib.Path(__file__).with_name("results.md")
SUBJECTS = {SERVICE: contenders.OurService, GO: contenders.Go, FLASK: contenders.Flask, FILE: contenders.File,
            KEYS: contenders.WithKeys, SESSIONS: contenders.WithSessions,
            WORKER: contenders.Subject, DATABASE: contenders.Subject}


def say(text):
    """Prints progress."""
    print(text, file=sys.stderr, flush=True)


def compare(subjects, wanted):
    """Fails unless all servers of a database answer the same bytes, which it also gives to the file server."""
    for data, contender, path in dict.fromkeys((key.data, key.contender, key.request) for key in wanted):
        subject = subjects[data, contender]
        if subject.port:
            body = get(subjects[data, SERVICE], path)
            subject.put(path, body)
            if get(subject, path) != body:
                raise RuntimeError(f"{contender} answers {path} with other bytes at {data}")


def take_in_turn(part, wanted, subjects):
    """Measures the figures in rounds, each in another order."""
    taken = {key: [] for key in wanted}
    for number in range(1 if QUICK else max(wanted.values())):
        say(f"{part}, round {number + 1}")
        keys = [key for key, rounds in wanted.items() if number < rounds]
        start = number * len(keys) // 3 % len(keys)
        keys = keys[start:] + keys[:start]
        for key in keys if number % 2 == 0 else reversed(keys):
            taken[key].append(key.measure.take(subjects[key.data, key.contender], key.request))
    return taken


def take_part(part, databases):
    """Starts the contenders of a part, measures its figures, and stops the contenders."""
    wanted = figures(part)
    with contextlib.ExitStack() as stack:
        subjects = {}
        for key in wanted:
            if (key.data, key.contender) not in subjects:
                subject = SUBJECTS[key.contender](key.contender, databases.get(DATA[key.data]))
                stack.callback(subject.stop)
                subjects[key.data, key.contender] = subject
        compare(subjects, wanted)
        for data in {key.data for key in wanted if DATA[key.data].written}:
            stack.enter_context(writing(databases.get(DATA[data]), DATA[data].written))
            time.sleep(1 if QUICK else 40)  # until the logger has run once, as in normal operation
        return take_in_turn(part, wanted, subjects)


def versions():
    """The versions of everything measured, and the machine."""
    told = {"model": ["lscpu"], "service": [ROOT / "build/analytics-fcgi", "--version"],
            "server": ["pg_config", "--version"], "nginx": ["nginx", "-v"],
            "go": ["go", "version", ROOT / "build/bench/contender"]}
    said = {name: output(*command, stderr=subprocess.STDOUT) for name, command in told.items()}
    model = next(line.split(":")[1].strip() for line in said["model"].splitlines() if line.startswith("Model name"))
    return (f"Version {said['service'].strip()} of the service, {datetime.date.today()}, on {os.cpu_count()} cores "
            f"({model}) that also run PostgreSQL and the load: Linux {platform.release()}, "
            f"{said['server'].strip()}, nginx {said['nginx'].split('/')[1].strip()}, "
            f"{said['go'].split()[-1]}, Python {platform.python_version()}, Flask {metadata.version('flask')}.")


def main():
    """Measures every part, or the one that ONLY names."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    parts = [os.environ["ONLY"]] if os.environ.get("ONLY") else PARTS
    if not set(parts) <= set(PARTS):
        sys.exit(f"ONLY is one of {', '.join(PARTS)}")
    environment.scrub()
    taken, databases = {}, Databases()
    try:
        for part in parts:
            started = time.monotonic()
            taken.update(take_part(part, databases))
            say(f"{part}: {time.monotonic() - started:.0f} s")
    finally:
        databases.close()
    warning = "QUICK: with a hundredth of the tokens, these figures mean nothing.\n\n" if QUICK else ""
    table = f"# Measured by `make bench`\n\n{warning}{versions()}\n\n{render(RATIOS, taken)}"
    print(table)
    if parts == PARTS and not QUICK:
        RESULTS.write_text(table, encoding="utf-8")


main()
