"""The pods and databases that the tests of this folder use. Where no pod can be run they are skipped."""

import itertools
import pathlib

import pytest
from pod import Network, Pod, PodPostgres, missing
from postgres import ROOT

names = (f"pod_{number}" for number in itertools.count(1))


@pytest.fixture(scope="session")
def network():
    """The network, and the images, which are built if need be. All that needs a pod rests on it."""
    if reason := missing():
        pytest.skip(f"no pods here: {reason}")
    made = Network()
    yield made
    made.close()


@pytest.fixture(scope="session")
def server(network):
    """One database server for all tests that leave it running."""
    postgres = PodPostgres(network)
    yield postgres
    postgres.close()


@pytest.fixture(scope="module")
def own_server(network):
    """A database server that a module may stop, freeze and break."""
    postgres = PodPostgres(network)
    yield postgres
    postgres.close()


def make_database(postgres):
    """A database with the contract's example rows; the pod itself migrates it."""
    database = postgres.create_database(next(names))
    database.run_file(ROOT / "test/service/example.sql")
    return database


@pytest.fixture
def run(network):
    """Starts pods that end with the test."""
    pods = []

    def start(database=None, **variables):
        pods.append(Pod(network, database.pod_environment() if database else {}, **variables))
        return pods[-1]

    yield start
    for pod in pods:
        pod.kill()


@pytest.fixture(scope="module")
def database(server):
    """A database of the module's own."""
    return make_database(server)


@pytest.fixture(scope="module")
def service(network, database):
    """A pod of the module's own, on the module's database."""
    running = Pod(network, database.pod_environment())
    yield running
    try:
        running.stop()
    finally:
        running.kill()


@pytest.fixture(scope="session", params=["pod"])
def programs():
    """What test/service names its figures by."""
    return pathlib.Path("pod")


@pytest.fixture
def say(capsys, request):
    """Prints what a test measured, where everyone sees it."""

    def print_line(text):
        with capsys.disabled():
            print(f"\n  {request.node.name}: {text}")

    return print_line
