#!/usr/bin/python3
"""Writes what each report has to answer to the example's rows and to the sample data: `make goldens`.

By the plain queries of law.py, not by the service, which the tests then hold to these files."""

import environment
import law
from postgres import ROOT, Postgres
from reports import REPORTS, name_of

SOURCES = {"": "test/service/example.sql", "sample_": "sql/coworking/sample.sql"}
GOLDEN = ROOT / "test/service/golden"


def write(server):
    """Replaces all files; those of reports that are gone go too."""
    answers = {}
    for prefix, source in SOURCES.items():
        database = server.create_database(f"golden_{prefix}")
        database.run_file(ROOT / source)
        answers |= {f"{prefix}{name_of(path)}.json": law.answer(database, path) for path in REPORTS}
    for file in GOLDEN.iterdir():
        file.unlink()
    for name, answer in answers.items():
        (GOLDEN / name).write_bytes(answer)


environment.scrub()
running = Postgres()
try:
    write(running)
finally:
    running.close()
