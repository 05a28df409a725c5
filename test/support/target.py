"""What test/service runs against: the programs on this machine or, with TEST_TARGET=pod, pods of the manifests."""

import os

from postgres import Postgres
from service import Service

IS_POD = os.environ.get("TEST_TARGET") == "pod"
_pods = {"network": None, "servers": {}}


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
    return Pod(_pods["network"], environment, wait=variables.get("wait", True))


def close():
    """Removes what the pods had in common."""
    if _pods["network"]:
        _pods["network"].close()
