"""The pages for readers: their links lead somewhere, and their lists leave nothing out."""

import fnmatch
import json
import re
import subprocess

import pytest
import yaml
from postgres import ROOT

PAGES = [path for path in sorted(ROOT.glob("**/*.md")) if not {"build", "node_modules"} & set(path.relative_to(ROOT).parts)]
README = (ROOT / "README.md").read_text()
LINES_MAX = 160


def anchors(page):
    """The fragments that a page's headings make, as GitHub does it."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, fragment = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not fragment or fragment in anchors(linked), target


def test_the_first_page_stays_short():
    assert len(README.splitlines()) <= LINES_MAX


def test_the_first_page_lists_all_reports(programs):
    cgi = subprocess.check_output([programs / "analytics-fcgi"], env={
        "REQUEST_METHOD": "GET", "PATH_INFO": "/api/reports/", "DB_USERNAME": "nobody", "DB_PASSWORD": "none"})
    reports = json.loads(cgi.partition(b"\r\n\r\n")[2])
    listed = {path: parameters for path, parameters in re.findall(r"^\| `GET (/api/reports/\w+)` \|.*\| (.*) \|$", README, re.MULTILINE)}
    assert {report["path"]: set(report["parameters"].split(",")) - {"format"} for report in reports} == {
        path: set(re.findall(r"`(\w+)`", parameters)) for path, parameters in listed.items()}
    parameters = set().union(*(report["parameters"].split(",") for report in reports))
    described = re.search(r"\| parameter \|.*?\n\n", README, re.DOTALL)[0]
    assert set(re.findall(r"`(\w+)`", re.sub(r"(?m)^(\|[^|]*\|).*", r"\1", described))) == parameters


def test_the_first_page_lists_what_the_manifests_set():
    variables = set(re.findall(r"`([A-Z_]+)`", README[README.index("## Configure"):]))
    assert set(yaml.safe_load((ROOT / "manifests/configmap.yaml").read_text())["data"]) <= variables


def test_the_way_through_the_code_names_every_file():
    named = re.findall(r"`(\w+\*?)(?:\.[ch])?`", (ROOT / "fcgi/README.md").read_text())
    files = {path.stem for path in ROOT.glob("fcgi/*.[ch]")} - {"db_private"}  # what the files of db share
    assert files and not [file for file in files if not any(fnmatch.fnmatch(file, name) for name in named)]
