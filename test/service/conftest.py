"""The database servers and services that the tests of this folder use."""

import itertools

import pytest
from postgres import ROOT
from target import close, start_server, start_service

names = (f"coworking_{number}" for number in itertools.count(1))


@pytest.fixture(scope="session")
def server():
    """One PostgreSQL server for all tests that leave it running."""
    postgres = start_server()
    yield postgres
    postgres.close()
    close()


@pytest.fixture(scope="module")
def own_server():
    """A PostgreSQL server that a module may stop, freeze and break."""
    postgres = start_server()
    yield postgres
    postgres.close()


def make_database(postgres, **environment):
    """A database with the contract's example rows, migrated."""
    database = postgres.create_database(next(names))
    database.run_file(ROOT / "test/service/example.sql")
    migration = database.migrate(**environment)
    assert migration.returncode == 0, migration.stderr
    return database


@pytest.fixture
def run(programs):
    """Starts services that end with the test."""
    services = []

    def start(database=None, **variables):
        services.append(start_service(programs, database.environment() if database else None, **variables))
        return services[-1]

    yield start
    for service in services:
        if not service.ended:
            service.stop()


@pytest.fixture(scope="module")
def database(server):
    """A database of the module's own."""
    return make_database(server)


@pytest.fixture(scope="module")
def service(programs, database):
    """A service of the module's own, on the module's database."""
    running = start_service(programs, database.environment())
    yield running
    running.stop()
