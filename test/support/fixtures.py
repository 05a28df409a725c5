"""Servers, databases and services, which the folders of tests share: a conftest.py says what its `target` is."""

import itertools

import pytest
from postgres import ROOT
from sign_in import Provider

names = (f"coworking_{number}" for number in itertools.count(1))


def migrate(database, **environment):
    """The database, after `make migrate`."""
    migration = database.migrate(**environment)
    assert migration.returncode == 0, migration.stderr
    return database


def make_database(postgres, migrated=True, **environment):
    """A database with the contract's example rows."""
    database = postgres.create_database(next(names))
    database.run_file(ROOT / "test/service/example.sql")
    return migrate(database, **environment) if migrated else database


def make_crowd(postgres, users, migrated=True):
    """A database of so many users with one used token each, on 700 days."""
    database = postgres.create_database(next(names))
    # Without the foreign key's check of each row, which takes longer than all the rest.
    database.execute(f"""
        SET session_replication_role = replica;
        INSERT INTO users (first_name, last_name, joined_at)
        SELECT 'A', 'B', timestamp '2020-01-01' + n * interval '1.000001 s' FROM generate_series(1, {users}) AS n;
        INSERT INTO tokens (user_id, token, created_at, used_at)
        SELECT n, '000000', timestamp '2024-03-01' + n % 700 * interval '1 day', '2026-01-01' FROM generate_series(1, {users}) AS n;
        ANALYZE users, tokens""")
    return migrate(database) if migrated else database


@pytest.fixture(scope="session")
def server(target):
    """One PostgreSQL server for all tests that leave it running."""
    postgres = target.start_server()
    yield postgres
    postgres.close()


@pytest.fixture(scope="module")
def own_server(target):
    """A PostgreSQL server that a module may stop, freeze and break."""
    postgres = target.start_server()
    yield postgres
    postgres.close()


@pytest.fixture(scope="session")
def provider():
    """An identity provider, for tests of sign-in."""
    running = Provider()
    yield running
    running.close()


def start_services(target, programs):
    """A function that starts services, which end when the fixture does."""
    services = []

    def start(database=None, **variables):
        services.append(target.start_service(programs, database.environment() if database else None, **variables))
        return services[-1]

    yield start
    for service in services:
        target.end(service)


# For one test, and for the tests of a module.
run = pytest.fixture(name="run")(start_services)
run_for_module = pytest.fixture(name="run_for_module", scope="module")(start_services)


@pytest.fixture(scope="module")
def database(server):
    """A database of the module's own."""
    return make_database(server)


@pytest.fixture(scope="module")
def service(run_for_module, database):
    """A service of the module's own, on the module's database."""
    return run_for_module(database)
