"""nginx.conf says of each status what the one table of statuses, in fcgi/status.c, says."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
NGINX = (ROOT / "nginx/nginx.conf").read_text(encoding="utf-8")
STATUSES = {int(code): (title, temporary == "true") for code, temporary, title in
            re.findall(r'\{(\d+), (true|false), "([^"]+)"\},', (ROOT / "fcgi/status.c").read_text(encoding="utf-8"))}
CLIENT_GONE = 499  # nobody is there to read a document
HEADER_TOO_LARGE = 431  # nginx has a code of its own for it, 494
ON_THE_WAY = {401: "@refusal", 500: "@no_verdict"}  # limited first
ERRORS = {code: title for code, (title, _) in STATUSES.items() if code >= 400 and code != CLIENT_GONE}


def read_map(variable):
    """The rows of nginx's map from $status to that variable, but for the default."""
    body = re.search(rf"map \$status \${variable} {{(.*?)}}", NGINX, re.DOTALL)[1]
    return {int(code): value for code, value in re.findall(r'(\d+)\s+"([^"]*)";', body)}


def test_titles():
    assert read_map("title") == ERRORS


def test_retry_after():
    assert set(read_map("retry_after")) == {code for code, (_, temporary) in STATUSES.items() if temporary}


def test_every_error_has_a_document():
    by_name, by_other_code = re.findall(r"^        error_page ([\d\s=]+?)\s+/problem;", NGINX, re.MULTILINE)
    assert {int(code) for code in by_name.split()} == set(ERRORS) - {HEADER_TOO_LARGE, *ON_THE_WAY}
    assert all(f"error_page {code} = {location};" in NGINX for code, location in ON_THE_WAY.items())
    assert by_other_code == f"494 ={HEADER_TOO_LARGE}"
