"""A rolling update and a rollback under load: two pods behind a load balancer that relies on /readiness_check and
retries nothing."""

import csv
import socket
import subprocess
import threading
import time

import pytest
from keys import key_of_tests
from load import Load
from pod import Pod, manifest, podman
from postgres import free_port, wait_until
from service import Service

ENOUGH = 20_000

HAPROXY = """\
global
    stats socket {folder}/haproxy.sock level admin
defaults
    mode http
    retries 0
    no option redispatch
    option httpclose
    http-reuse never
    timeout connect 5s
    timeout client  30s
    timeout server  30s
frontend service
    bind 127.0.0.1:{port}
    default_backend pods
backend pods
    balance roundrobin
    option httpchk GET /readiness_check
    http-check expect status 200
    default-server inter 2s fall 2 rise 2
    server blue  127.0.0.1:{blue} check
    server green 127.0.0.1:{green} check
    # While no target is healthy, a network load balancer sends to all of them.
    option allbackups
    server blue-unhealthy  127.0.0.1:{blue} backup
    server green-unhealthy 127.0.0.1:{green} backup
"""


class LoadBalancer(Service):
    """haproxy in front of two ports, and a client for it."""

    def __init__(self, folder, ports):  # pylint: disable=super-init-not-called
        self.port = free_port()
        self.key = key_of_tests().field
        self.folder = folder
        configuration = folder / "haproxy.cfg"
        configuration.write_text(HAPROXY.format(folder=folder, port=self.port, **ports))
        self.process = subprocess.Popen(["haproxy", "-db", "-f", configuration], stderr=subprocess.DEVNULL)
        wait_until((folder / "haproxy.sock").exists, 10, "the load balancer")

    def targets(self):
        """The pods that it sends requests to."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.folder / "haproxy.sock"))
            connection.sendall(b"show stat\n")
            table = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        rows = csv.DictReader(table.removeprefix("# ").splitlines())
        return {row["svname"] for row in rows if row["pxname"] == "pods" and row["status"] == "UP"} & {"blue", "green"}

    def close(self):
        """Ends it."""
        self.process.terminate()
        self.process.wait(10)


def terminate(pod):
    """Ends a pod as a cluster does: all containers start their preStop at once, which sleeps or does nothing, and then
    get their stop signals. podman has no preStop.sleep."""
    specification = manifest("coworking.yaml", "Deployment")["spec"]["template"]["spec"]
    grace = specification["terminationGracePeriodSeconds"]
    started, complaints = time.monotonic(), []

    def end(container):
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        time.sleep(pause)
        done = podman("stop", "-t", grace - pause, pod.container(container["name"]), check=False)
        complaints.extend([done.stderr] if done.returncode or "SIGKILL" in done.stderr else [])

    threads = [threading.Thread(target=end, args=(container,)) for container in specification["containers"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - started
    pod.kill()
    assert not complaints, complaints  # a container that outlived the time of grace; podman's own time does not count
    return took


@pytest.fixture
def next_version(network):
    """The same image under another name: a rollout replaces the containers."""
    image = f"{network.image}-next"
    podman("tag", network.image, image)
    yield image
    podman("rmi", image)


def test_rolling_update_and_rollback_drop_no_request(network, server, next_version, tmp_path, say):
    ports = {"blue": free_port(), "green": free_port()}
    environment = server.sample().pod_environment()
    pods = {name: Pod(network, environment, port=port) for name, port in ports.items()}
    balancer = LoadBalancer(tmp_path, ports)
    ends = []
    try:
        wait_until(lambda: balancer.targets() == set(ports), 10, "the load balancer")
        with Load(balancer, 8, headers={"Connection": "close"}) as load:
            load.reach(500)
            for image in (next_version, network.image):
                for name, port in ports.items():
                    ends.append(terminate(pods[name]))
                    pods[name] = Pod(network, environment, image=image, port=port)
                    # maxUnavailable is 0: a cluster waits for the new pod before it ends the next old one.
                    wait_until(lambda: balancer.targets() == set(ports), 20, "the new pod as a target")
            load.reach(ENOUGH, 300)
        say(f"{len(load.outcomes)} requests, {len(load.outcomes) - len(load.good())} failed; each pod ended within "
            f"{max(ends):.1f} s")
        assert all(outcome.good for outcome in load.outcomes), load.summary()
    finally:
        balancer.close()
        for pod in pods.values():
            pod.kill()
