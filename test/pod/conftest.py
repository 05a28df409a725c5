"""Pods and databases for the tests of this folder, which are skipped where no pod can run."""

import pathlib

import pytest
# pylint: disable-next=unused-import
from fixtures import make_database, names, own_server, provider, run, run_for_module, server, service  # noqa: F401, F811
from pod import Network, missing
from target import Pods


@pytest.fixture(scope="session")
def network():
    """The network and the images, which are built if necessary. Everything that needs a pod uses this."""
    if reason := missing():
        pytest.skip(f"no pods here: {reason}")
    made = Network()
    yield made
    made.close()


@pytest.fixture(scope="session")
def target(network):
    """Pods, whatever TEST_TARGET says."""
    pods = Pods(network)
    yield pods
    pods.close()


@pytest.fixture(scope="module")
def database(server):  # noqa: F811
    """A database of the module's own, which the pod migrates itself."""
    return make_database(server, migrated=False)


@pytest.fixture(scope="session", params=["pod"])
def programs():
    """The name of the build, as in test/service."""
    return pathlib.Path("pod")
