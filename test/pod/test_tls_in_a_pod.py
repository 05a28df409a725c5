"""TLS to the pod: the component of manifests/tls, and a certificate that is replaced."""

import http.client
import socket
import ssl
import subprocess
import time

import law
import pytest
from environment import outward
from load import Load
from pod import Pod
from postgres import wait_until
from proxies import make_certificate


class TlsConnection(http.client.HTTPSConnection):
    """A connection whose requests carry the pod's key."""

    def __init__(self, tls, timeout):
        super().__init__("127.0.0.1", tls.port, timeout=timeout, context=tls.context)
        self.key = tls.key

    def request(self, method, url, body=None, headers=None, *, encode_chunked=False):
        super().request(method, url, body, {**self.key, **(headers or {})}, encode_chunked=encode_chunked)


class Tls:
    """What a load balancer sees of a pod: its port with TLS, where it accepts any certificate, as those do."""

    def __init__(self, pod):
        self.port, self.key = pod.tls_port, pod.key
        self.context = ssl._create_unverified_context()  # pylint: disable=protected-access

    def connect(self, timeout=30):
        """A connection."""
        return TlsConnection(self, timeout)

    def certificate(self):
        """The one that is served."""
        return ssl.get_server_certificate(("127.0.0.1", self.port))

    def get(self, path, **headers):
        """GET."""
        connection = self.connect()
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()


def make_folder(tmp_path, name):
    """A folder with a new certificate."""
    folder = tmp_path / name
    folder.mkdir()
    make_certificate(folder, "tls.crt", "tls.key")
    return folder


@pytest.fixture(scope="module")
def pod(network, server, tmp_path_factory):
    """A pod with TLS."""
    started = Pod(network, server.sample().pod_environment(), certificate=make_folder(tmp_path_factory.mktemp("tls"), "first"))
    yield started
    started.kill()


# Replaces a mounted Secret as a kubelet does: all its files at once, by renaming a link to their folder.
LAY = """
cd /tls && mkdir ..$1 && tar -xC ..$1 && chmod -R a+rX ..$1 && ln -s ..$1 ..next && mv -T ..next ..data
for file in tls.crt tls.key; do ln -s ..data/$file link && mv -T link $file; done
"""


def lay(pod, content):
    """Gives the pod another certificate, from a container that may write to its volume."""
    volume = pod.volume("/app/tls")
    packed = subprocess.run(["tar", "-cC", content, "tls.crt", "tls.key"], capture_output=True, check=True).stdout
    subprocess.run(["podman", "run", "--rm", "-i", "--user", "0", "--network", "none", "-v", f"{volume}:/tls", pod.network.database_image,
                    "bash", "-ec", LAY, "lay", content.name], input=packed, env=outward(), check=True)


def test_a_report_and_its_door(pod):
    tls = Tls(pod)
    response, body = tls.get(law.DAILY_USAGE)
    assert response.status == 200 and body.startswith(b"{")
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert tls.get("/health_check")[1] == b"ok"
    tls.key = {}
    assert tls.get(law.DAILY_USAGE)[0].status == 401
    answer = pod.get(law.DAILY_USAGE)  # the port without TLS, which the network policy closes
    assert answer.status == 200 and "Strict-Transport-Security" not in answer.headers


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(pod, version):
    tls = Tls(pod)
    tls.context.minimum_version = tls.context.maximum_version = version
    assert tls.get(law.DAILY_USAGE)[0].status == 200


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_older_versions_are_refused(pod):
    tls = Tls(pod)
    tls.context.minimum_version = ssl.TLSVersion.TLSv1
    tls.context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        tls.get(law.DAILY_USAGE)


def test_a_client_s_address_is_that_of_its_connection(pod):
    tls = Tls(pod)
    identity = f"tls-{time.time_ns()}"
    assert tls.get("/api/reports/", **{"X-Request-Id": identity})[0].status == 200
    wait_until(lambda: pod.events("access", request_id=identity), 20, "the access log's line")
    [line] = pod.events("access", request_id=identity)
    assert line["client"] not in ("127.0.0.1", "::1") and line["user"] == "tests"


def test_a_new_certificate_is_served_without_a_restart(pod, tmp_path, say):
    tls, before = Tls(pod), pod.states()
    old, new = make_folder(tmp_path, "old"), make_folder(tmp_path, "new")
    lay(pod, old)
    assert tls.certificate() == (old / "tls.crt").read_text()
    with Load(tls, 4, headers={"Connection": "close"}) as load:
        load.reach(100)
        lay(pod, new)
        replaced = time.monotonic()
        while tls.certificate() != (new / "tls.crt").read_text():
            assert time.monotonic() - replaced < 60
        seconds = time.monotonic() - replaced
        load.reach(100, since=time.monotonic())
    assert not load.bad(), load.summary()
    assert pod.states() == before
    say(f"the new certificate after {seconds:.2f} s; {len(load.outcomes)} requests, none failed")


def test_many_connections_that_never_speak_are_limited(pod):
    """As without TLS: one address gets at most 512."""
    tls, opened = Tls(pod), []
    try:
        for _ in range(600):
            opened.append(socket.create_connection(("127.0.0.1", tls.port), timeout=5))
        wait_until(lambda: sum(is_closed(connection) for connection in opened) >= 600 - 512, 20, "the end of those over the limit")
    finally:
        for connection in opened:
            connection.close()
    assert tls.get("/health_check")[0].status == 200


def is_closed(connection):
    """Whether the other side has closed it."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
