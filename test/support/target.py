"""What tests run against: the programs on this machine, or pods of the manifests.

Those of test/service use this machine or, with TEST_TARGET=pod, pods; those of test/pod always use pods."""

import os

from postgres import Postgres
from service import Service

IS_POD = os.environ.get("TEST_TARGET") == "pod"


class Machine:
    """The programs on this machine."""

    @staticmethod
    def start_server():
        """A database server for the services."""
        return Postgres()

    @staticmethod
    def start_service(programs, environment=None, **variables):
        """The whole service; the environment names databases as they are reached from here."""
        return Service(programs, environment, **variables)

    @staticmethod
    def end(service):
        """Stops what a test has started, unless it has ended."""
        if not service.ended:
            service.stop()

    def close(self):
        """Removes what the services had in common: nothing."""


class Pods:
    """Pods of the manifests in one network, which is made when the first one needs it."""

    def __init__(self, network=None):
        self.network = network
        self.owns_network = network is None
        self.servers, self.pods = {}, []

    def start_server(self):
        """A database server in a container."""
        from pod import Network, PodPostgres  # needs podman, which nothing else here does
        self.network = self.network or Network()
        server = PodPostgres(self.network)
        self.servers[str(server.port)] = server
        return server

    def start_service(self, _programs, environment=None, wait=True, keys=None, **variables):
        """See Machine.start_service."""
        from pod import Pod
        environment = dict(environment or {})
        server = self.servers.get(environment.get("DB_PORT"))
        if server:
            environment.update(DB_HOST=server.name, DB_PORT="5432")
        self._remove_ended()
        self.pods.append(Pod(self.network, {**environment, **variables}, wait=wait, keys=keys))
        self.pods[-1].was_up = wait
        return self.pods[-1]

    @staticmethod
    def end(pod):
        """Stops a pod that came up; one that did not has nothing to end in order."""
        try:
            if pod.was_up and not pod.ended:
                pod.stop()
        finally:
            pod.kill()

    def _remove_ended(self):
        """What has ended goes on refusing connections, as a port without a service does, until it is removed."""
        for pod in self.pods:
            if pod.ended:
                pod.kill()

    def close(self):
        """Removes what the pods had in common."""
        self._remove_ended()
        if self.network and self.owns_network:
            self.network.close()


TARGET = Pods() if IS_POD else Machine()
start_service = TARGET.start_service
