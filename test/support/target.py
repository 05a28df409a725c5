"""What test/service runs against: the programs on this machine or, with TEST_TARGET=pod, pods of the manifests."""

import os

from postgres import Postgres
from service import Service

IS_POD = os.environ.get("TEST_TARGET") == "pod"
_pods = {"network": None, "servers": {}, "pods": []}


def start_server():
    """A database server for services of this target."""
    if not IS_POD:
        return Postgres()
    from pod import Network, PodPostgres  # needs podman, which nothing else here does
    _pods["network"] = _pods["network"] or Network()
    server = PodPostgres(_pods["network"])
    _pods["servers"][str(server.port)] = server
    return server


def start_service(programs, environment=None, **variables):
    """The whole service; the environment names databases as they are reached from here."""
    if not IS_POD:
        return Service(programs, environment, **variables)
    from pod import Pod
    environment = {**(environment or {}), **{key: value for key, value in variables.items() if key != "wait"}}
    server = _pods["servers"].get(environment.get("DB_PORT"))
    if server:
        environment.update(DB_HOST=server.name, DB_PORT="5432")
    remove_ended_pods()
    _pods["pods"].append(Pod(_pods["network"], environment, wait=variables.get("wait", True)))
    return _pods["pods"][-1]


def remove_ended_pods():
    """What has ended goes on refusing connections, as a port without a service does, until it is removed."""
    for pod in _pods["pods"]:
        if pod.ended:
            pod.kill()


def close():
    """Removes what the pods had in common."""
    remove_ended_pods()
    if _pods["network"]:
        _pods["network"].close()
