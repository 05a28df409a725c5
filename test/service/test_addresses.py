"""IPv4, IPv6, both, and a kernel without IPv6: `make run` and the image's own configuration serve what there is."""

import os
import platform
import shutil
import subprocess
import time

import pytest
from machine import open_folder
from namespaces import KINDS, beside, inside
from postgres import ROOT, UNPRIVILEGED
from service import Service, run_logger
from target import IS_POD

pytestmark = [
    pytest.mark.one_build("sanitized"),
    pytest.mark.skipif(IS_POD, reason="needs network namespaces of this machine"),
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="needs root and iproute2"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="refuses system calls by x86_64's numbers"),
]
LOOPBACK = {"both": ["127.0.0.1", "[::1]"], "IPv4 alone": ["127.0.0.1"], "IPv6 alone": ["[::1]"],
            "no IPv6 in the kernel": ["127.0.0.1"]}


def fetch(pid, url):
    """The body of a URL, asked for in a process's network; None where nothing listens."""
    done = subprocess.run([*beside(pid), "curl", "-sg", "--max-time", "10", "--noproxy", "*", url], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


@pytest.fixture
def run_inside(programs, database, server):
    """Starts `make run` in a namespace of a kind, on a database that it reaches by a socket of the file system."""
    running = []

    def start(kind):
        environment = {**database.environment(), "DB_HOST": str(server.folder)}
        running.append(Service(programs, environment, prefix=inside(kind)))
        return running[-1]

    yield start
    for service in running:
        service.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_make_run_listens_on_the_loopback_addresses_there_are(run_inside, programs, database, server, kind):
    service = run_inside(kind)
    answering = [host for host in ("127.0.0.1", "[::1]")
                 if fetch(service.process.pid, f"http://{host}:{service.port}/readiness_check") == b"ok"]
    assert answering == LOOPBACK[kind]
    assert [line["url"] for line in service.events("ready") if "url" in line] == [f"http://{LOOPBACK[kind][0]}:{service.port}/"]
    status, line = run_logger(programs, database, service.port, beside(service.process.pid), DB_HOST=str(server.folder))
    assert (status, line["health"], line["readiness"]) == (0, "ok", "ok"), line


@pytest.fixture
def image_folder():
    """The image's /app, elsewhere, with the image's ports for the http block, to which it passes connections on by 127.0.0.1."""
    with open_folder() as folder:
        for name in ("run", "tmp", "nginx"):
            (folder / name).mkdir()
        # nginx 1.22 of Debian 12 cannot pass connections on.
        for path in set(ROOT.glob("nginx/*.conf")) - {ROOT / "nginx/connections.conf"}:
            (folder / "nginx" / path.name).write_text(path.read_text().replace("/app/", f"{folder}/"))
        for name, source in (("access", "open"), ("listen", "ports")):
            shutil.copy(folder / f"nginx/{source}.conf", folder / f"nginx/{name}.conf")
        if UNPRIVILEGED:
            subprocess.run(["chown", "-R", "www-data:www-data", folder], check=True)
        yield folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.plain_only(reason="nginx is the same in both builds")
def test_the_image_listens_on_all_addresses(programs, image_folder, kind):  # pylint: disable=unused-argument
    with subprocess.Popen([*inside(kind), *UNPRIVILEGED, shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-p", f"{image_folder}/",
                           "-c", "nginx/nginx.conf", "-e", "stderr"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as nginx:
        try:
            deadline = time.monotonic() + 10
            while (answering := [host for host in ("127.0.0.1", "[::1]")
                                 if fetch(nginx.pid, f"http://{host}:5153/nginx_check") == b"ok"]) != LOOPBACK[kind]:
                assert nginx.poll() is None, nginx.stderr.read().decode()
                assert time.monotonic() < deadline, f"nginx listens on {answering} alone"
                time.sleep(0.05)
        finally:
            nginx.terminate()
