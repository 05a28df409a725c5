"""The database servers and services that the tests of this folder use."""

import pytest
# pylint: disable-next=unused-import
from fixtures import database, make_database, names, own_server, provider, run, run_for_module, server, service  # noqa: F401
from machine import folder  # noqa: F401
from target import TARGET


@pytest.fixture(scope="session")
def target():
    """This machine, or pods."""
    yield TARGET
    TARGET.close()
