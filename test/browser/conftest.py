"""Chromium, driven by Playwright, and services for it."""

import itertools
import shutil
import sys

import pytest
from fixtures import provider  # noqa: F401 # pylint: disable=unused-import
from packages import install
from postgres import ROOT, Postgres
from reader import Reader
from target import IS_POD, start_service

PLAYWRIGHT = "playwright==1.65.2"
# Without these, Chromium makes requests to its vendor's servers.
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
         "--no-first-run", "--disable-gpu"]
names = (f"browser_{number}" for number in itertools.count(1))


def import_playwright():
    """Playwright's synchronous API, installed into build/ if it is missing."""
    folder = install(PLAYWRIGHT)
    sys.path += [str(path) for path in folder.glob("lib/python*/site-packages")]
    from playwright import sync_api
    return sync_api


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests, each of which opens its own windows."""
    program = shutil.which("chromium")
    if IS_POD:
        pytest.skip("the page in Chromium is tested on the programs of this machine")
    if not program:
        pytest.skip("Chromium is not there")
    with import_playwright().sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(chromium):  # pylint: disable=unused-argument # without Chromium no server is needed
    """One PostgreSQL server for all tests that leave it running."""
    postgres = Postgres()
    yield postgres
    postgres.close()


@pytest.fixture
def own_server(chromium):  # pylint: disable=unused-argument
    """A PostgreSQL server that a test may stop."""
    postgres = Postgres()
    yield postgres
    postgres.close()


def start(postgres, *files, **variables):
    """A service on a new database with these files' rows."""
    database = postgres.create_database(next(names))
    for file in files:
        database.run_file(ROOT / file)
    migration = database.migrate()
    assert migration.returncode == 0, migration.stderr
    service = start_service(ROOT / "build", database.environment(), **variables)
    service.database = database
    return service


@pytest.fixture(scope="session")
def sample(server):
    """A service on the sample data, which no test changes."""
    service = start(server, "sql/coworking/sample.sql")
    yield service
    service.stop()


@pytest.fixture(scope="session")
def example(server):
    """A service on the contract's example, which no test changes."""
    service = start(server, "test/service/example.sql")
    yield service
    service.stop()


@pytest.fixture(params=["example", "sample"])
def known(request):
    """Both of these services in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def run():
    """Starts services that end with the test."""
    services = []

    def begin(postgres, *files, **variables):
        services.append(start(postgres, *files, **variables))
        return services[-1]

    yield begin
    for service in services:
        service.stop()


@pytest.fixture
def read(chromium):
    """Opens windows that close with the test."""
    readers = []

    def open_window(service, search=None, **options):
        readers.append(Reader(chromium, service, **options))
        return readers[-1] if search is None else readers[-1].open(search)

    yield open_window
    for reader in readers:
        reader.close()
