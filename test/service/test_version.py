"""One version everywhere: the newest release in CHANGELOG.md, and the commit behind it. test/pod/test_image.py checks
the image's label."""

import json
import re
import shutil
import subprocess

import pytest
from postgres import ROOT

# Semantic Versioning 2.0.0, without prereleases: there are none here.
SEMANTIC = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
BUILT = re.compile(rf"({SEMANTIC})(\+[0-9A-Za-z-]+)?")
HEADING = re.compile(rf"## \[({SEMANTIC})\] - (\d{{4}}-\d\d-\d\d)")
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}  # Keep a Changelog 1.1.0
needs_git = pytest.mark.skipif(not shutil.which("git"), reason="no git")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CHANGELOG = (ROOT / "CHANGELOG.md").read_text().splitlines()
RELEASES = [HEADING.fullmatch(line) for line in CHANGELOG if line.startswith("## ") and line != "## [Unreleased]"]


@pytest.fixture
def copy(tmp_path):
    """The project without git, as a release's archive is; only what the version is made of."""
    (tmp_path / "docker").mkdir()
    shutil.copy2(ROOT / "docker/version", tmp_path / "docker/version")
    shutil.copy2(ROOT / "CHANGELOG.md", tmp_path)
    return tmp_path


def version(folder=ROOT, *commit):
    """What docker/version prints."""
    return subprocess.check_output([folder / "docker/version", *commit], text=True).removesuffix("\n")


def test_releases_are_listed_newest_first():
    assert RELEASES and all(RELEASES)
    numbers = [tuple(map(int, match.group(2, 3, 4))) for match in RELEASES]
    assert numbers == sorted(set(numbers), reverse=True)
    dates = [match[5] for match in RELEASES]
    assert dates == sorted(dates, reverse=True)
    assert {line[4:] for line in CHANGELOG if line.startswith("### ")} <= KINDS


@needs_git
def test_every_tag_is_a_release():
    """Where there are tags: a clone for continuous integration has none."""
    listed = subprocess.run(["git", "tag"], cwd=ROOT, capture_output=True, text=True, check=False)
    tags = {tag for tag in listed.stdout.split() if re.fullmatch(SEMANTIC, tag)}
    assert tags <= {match[1] for match in RELEASES}


@pytest.mark.parametrize("program", ["analytics-fcgi", "usage-logger"])
def test_a_program_says_the_release_and_its_commit(programs, program):
    said = subprocess.check_output([programs / program, "--version"], text=True)
    assert BUILT.fullmatch(said.removesuffix("\n"))[1] == RELEASES[0][1]


def test_the_description_says_the_same(programs):
    said = subprocess.check_output([programs / "analytics-fcgi", "--version"], text=True).strip()
    cgi = subprocess.check_output([programs / "analytics-fcgi"], env={
        "REQUEST_METHOD": "GET", "PATH_INFO": "/openapi.json", "DB_USERNAME": "nobody", "DB_PASSWORD": "none"})
    assert json.loads(cgi.partition(b"\r\n\r\n")[2])["info"]["version"] == said


def test_a_commit_is_build_metadata(copy):
    assert version(copy, COMMIT) == f"{RELEASES[0][1]}+0123456"


def test_without_git_the_release_is_the_version(copy):
    assert version(copy) == RELEASES[0][1]


@needs_git
def test_changed_files_are_told(copy):
    """So that a build of them is not taken for the commit's."""
    git = ["git", "-C", copy, "-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "test"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True)
    assert version(copy) == f"{RELEASES[0][1]}+{commit[:7]}"
    with (copy / "CHANGELOG.md").open("a") as changelog:
        changelog.write("\n")
    assert version(copy) == f"{RELEASES[0][1]}+{commit[:7]}-dirty"


def test_unreleased_changes_are_no_version(copy):
    changelog = copy / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## [", "## [Unreleased]\n\n## [", 1))
    assert version(copy) == RELEASES[0][1]
    changelog.write_text("# Changelog\n\n## [Unreleased]\n")
    assert subprocess.run([copy / "docker/version"], capture_output=True, check=False).returncode == 1
