"""Runs buildspec.yml phase by phase, as CodeBuild does, against a real registry on the loopback interface.

Stand-ins: `aws`, which prints the registry's password; and `docker`, which is podman with the account's registry on
this machine. It runs only a few of the tests in the image, since all of them run beside this one."""

import json
import os
import re
import subprocess
import urllib.request

import pytest
import yaml
from pod import Pod, copy_sources, podman
from postgres import ROOT, free_port, wait_until

ACCOUNT, REGION, REPOSITORY = "111122223333", "eu-central-1", "coworking"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
PASSWORD = "the-registry-s-password"

AWS = f"""#!/bin/sh
[ "$*" = "ecr get-login-password" ] || exit 64
[ "$AWS_FAILS" ] && {{ echo 'Unable to locate credentials' >&2; exit 253; }}
echo "${{AWS_ANSWERS:-{PASSWORD}}}"
"""
DOCKER = f"""#!/bin/bash
arguments=("${{@//{HOST}/$REGISTRY}}")
case $1 in
  login | pull | push) arguments+=(--tls-verify=false) ;;
  build) arguments=(build --build-arg PYTEST_ADDOPTS="$FEW_TESTS" "${{arguments[@]:1}}") ;;
esac
exec podman "${{arguments[@]}}"
"""


class Registry:
    """Debian's docker-registry, with a password."""

    def __init__(self, folder):
        self.folder = folder
        self.log = folder / "registry.log"
        self.process = None
        subprocess.run(["htpasswd", "-cbB", folder / "htpasswd", "AWS", PASSWORD], check=True, capture_output=True)
        self.start()

    def start(self, read_only=False):
        """Starts or restarts it."""
        self.stop()
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        configuration = self.folder / "registry.yml"
        configuration.write_text(json.dumps({
            "version": 0.1,
            "log": {"accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "registry")},
                        "maintenance": {"readonly": {"enabled": read_only}}},
            "http": {"addr": self.address},
            "auth": {"htpasswd": {"realm": "tests", "path": str(self.folder / "htpasswd")}}}))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", configuration], stdout=log, stderr=log)
        wait_until(lambda: self.answers() or self.process.poll() is not None, 20, "the registry")
        assert self.process.poll() is None, self.log.read_text()

    def stop(self):
        """Ends it, and keeps its contents."""
        if self.process:
            self.process.terminate()
            self.process.wait(10)
        self.process = None

    def get(self, path, accept="application/json"):
        """A document of the registry and its digest, or None."""
        manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        manager.add_password(None, f"http://{self.address}/", "AWS", PASSWORD)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPBasicAuthHandler(manager))
        request = urllib.request.Request(f"http://{self.address}{path}", headers={"Accept": accept})
        try:
            with opener.open(request, timeout=10) as response:
                return json.load(response), response.headers.get("Docker-Content-Digest")
        except urllib.error.HTTPError as error:
            assert error.code == 404, error
            return None, None

    def answers(self):
        """Whether it accepts connections."""
        try:
            self.get("/v2/")
        except (OSError, AssertionError):
            return False
        return True

    def tags(self):
        """The repository's tags and what they point to."""
        listing, _ = self.get(f"/v2/{REPOSITORY}/tags/list")
        kinds = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
        return {tag: self.get(f"/v2/{REPOSITORY}/manifests/{tag}", kinds)[1]
                for tag in (listing or {}).get("tags") or []}

    def writes_of(self, tag):
        """The number of writes of a tag."""
        return len(re.findall(rf'"PUT /v2/{REPOSITORY}/manifests/{tag} ', self.log.read_text()))


@pytest.fixture
def registry(tmp_path):
    """An empty registry."""
    running = Registry(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def source(tmp_path):
    """A copy of the project's files, which a test may break."""
    return copy_sources(tmp_path / "source")


@pytest.fixture
def build(registry, source, tmp_path, network):
    """Runs the phases of buildspec.yml; returns whether all succeeded, and the output. The network fixture skips this
    where there is no podman."""
    stand_ins = tmp_path / "bin"
    stand_ins.mkdir()
    for name, text in {"aws": AWS, "docker": DOCKER}.items():
        (stand_ins / name).write_text(text)
        (stand_ins / name).chmod(0o755)
    runner = tmp_path / "runner"

    def run(number, commit, heedless=False, **variables):
        phases = yaml.safe_load((source / "buildspec.yml").read_text())["phases"]
        runner.write_text(as_script(phases, heedless))
        done = subprocess.run(["sh", runner], cwd=source, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=900, check=False, env={
            "SSL_CERT_FILE": os.environ.get("SSL_CERT_FILE", "/dev/null"), "PATH": f"{stand_ins}:{os.environ['PATH']}",
            "HOME": str(tmp_path), "REGISTRY": registry.address,
            "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"), "FEW_TESTS": "-k byte_identical",
            "AWS_ACCOUNT_ID": ACCOUNT, "AWS_DEFAULT_REGION": REGION, "IMAGE_REPO_NAME": REPOSITORY,
            "CODEBUILD_BUILD_NUMBER": str(number), "CODEBUILD_RESOLVED_SOURCE_VERSION": commit,
            "CODEBUILD_SOURCE_REPO_URL": "https://example.com/coworking-analytics.git", **variables})
        return done.returncode == 0, done.stdout

    yield run
    images = [line.split() for line in podman("images", "--format", "{{.ID}} {{.Repository}}").stdout.splitlines()]
    left = {image for image, name in images if name.startswith(registry.address)}
    if left:
        podman("rmi", "-f", *left)


def as_script(phases, heedless):
    """The phases as CodeBuild runs them: one shell for all commands; a phase ends with its first failing command;
    a failed pre_build ends the build, and a failed build phase does if on-failure is ABORT. Heedless: as a builder
    that ignores on-failure."""
    lines = ["CODEBUILD_BUILD_SUCCEEDING=1; export CODEBUILD_BUILD_SUCCEEDING; failed=0"]
    for name in ("install", "pre_build", "build", "post_build"):
        if name not in phases:
            continue
        goes_on = name == "build" and (heedless or phases[name].get("on-failure") != "ABORT")
        lines += [f"{name}() {{"]
        for command in phases[name]["commands"]:
            quoted = command.replace("'", "'\\''")
            lines += [f"echo '+ {quoted}'", f"eval '{quoted}' || return 1"]
        lines += ["}", f"{name} || {{ CODEBUILD_BUILD_SUCCEEDING=0; failed=1; echo '{name} failed'; "
                  + ("}" if goes_on else "exit 1; }")]
    return "\n".join([*lines, "exit $failed", ""])


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def version(commit):
    """What a build of that commit says of itself."""
    return subprocess.check_output([ROOT / "docker/version", commit], text=True)


def test_three_tags_arrive_and_the_image_runs(build, registry, source, network, server, say):
    ok, output = build(7, COMMIT)
    assert ok, output
    tags = registry.tags()
    assert set(tags) == {"1.0.7", COMMIT, "latest"} and len(set(tags.values())) == 1
    report = (source / "build/reports/tests.xml").read_text()
    assert 'failures="0"' in report and 'tests="0"' not in report
    assert int(re.search(r' tests="(\d+)"', report)[1]) < 100, "more than the few tests ran"

    # A second build of the commit: a repository with immutable tags would refuse to overwrite its tag.
    ok, output = build(8, COMMIT)
    assert ok, output
    later = registry.tags()
    assert set(later) == {"1.0.7", "1.0.8", COMMIT, "latest"}
    assert later[COMMIT] == later["1.0.7"] == tags[COMMIT] and later["latest"] == later["1.0.8"]
    assert [registry.writes_of(tag) for tag in ("1.0.7", "1.0.8", COMMIT, "latest")] == [1, 1, 1, 2]

    pulled = f"{registry.address}/{REPOSITORY}@{tags['1.0.7']}"
    login = ["--tls-verify=false", "--creds", f"AWS:{PASSWORD}"]
    image = "localhost/coworking-analytics:1.0.7"
    podman("rmi", "-f", *(f"{registry.address}/{REPOSITORY}:{tag}" for tag in later))
    podman("pull", *login, pulled)
    podman("tag", pulled, image)
    try:
        assert podman("run", "--rm", image, "/usr/bin/analytics-fcgi", "--version").stdout == version(COMMIT)
        pod = Pod(network, server.sample().pod_environment(), image=image)
        try:
            assert pod.get("/api/reports/daily_usage").status == 200
        finally:
            pod.kill()
    finally:
        podman("rmi", "-f", image)
    say(f"tags {sorted(tags)} at {tags['latest'][:19]}")


@pytest.mark.parametrize("heedless", [False, True], ids=["abort", "heedless"])
def test_a_failing_test_stops_the_build(build, registry, source, heedless):
    golden = source / "test/service/golden/daily_usage.json"
    golden.write_text(golden.read_text().replace("2", "3", 1))
    ok, output = build(9, COMMIT, heedless=heedless)
    assert not ok and registry.tags() == {}, output
    assert ("+ docker push" not in output) and ("+ test " in output) == heedless
    assert 'failures="0"' not in (source / "build/reports/tests.xml").read_text(), "the report shows no failure"


@pytest.mark.parametrize("variables", [{"AWS_FAILS": "yes"}, {"AWS_ANSWERS": "wrong"}], ids=["no password", "a wrong one"])
def test_a_failing_login_stops_the_build(build, registry, variables):
    ok, output = build(10, COMMIT, **variables)
    assert not ok and registry.tags() == {}
    assert "docker build" not in output


def test_a_failing_push_stops_the_build(build, registry):
    registry.start(read_only=True)
    ok, output = build(11, COMMIT)
    assert not ok, output
    assert "+ docker push" in output and "latest" not in output.split("+ docker push", 1)[1]
    registry.start()
    assert registry.tags() == {}
