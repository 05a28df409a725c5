"""A pod with a wrong configuration or database: the container that notices says so, and none keeps computing."""

import time

import pytest
from pod import CONTAINERS
from postgres import PASSWORD, wait_until
from processes import cpu_seconds


@pytest.fixture
def broken(run):
    """Starts a pod whose migration must fail; returns how it ended."""

    def start(database, **variables):
        pod = run(database, wait=False, **variables)
        for _ in range(50):
            state = pod.inspect("migrate")["State"]
            if state["Status"] == "exited":
                break
            time.sleep(0.2)
        return state["ExitCode"], pod.logs("migrate"), pod

    return start


@pytest.fixture(scope="module")
def empty(server):
    """A database without the coworking service's tables."""
    database = server.create_database("empty")
    database.execute("DROP TABLE tokens; DROP TABLE users")
    return database


@pytest.fixture(scope="module")
def unmigrated(server):
    """A database with the two tables, and a role that may only log in."""
    database = server.create_database("unmigrated")
    database.execute(f"CREATE ROLE nobody_special LOGIN PASSWORD '{PASSWORD}'")
    return database


CASES = {
    # variables: exit status, name in the line
    "no password": ({"DB_PASSWORD": ""}, 78, "DB_PASSWORD"),
    "no role": ({"DB_USERNAME": None, "DB_USER": None}, 78, "DB_USERNAME"),
    "a port that is none": ({"DB_PORT": "abc"}, 78, "DB_PORT"),
    "no workers": ({"FCGI_WORKERS": "0"}, 78, "FCGI_WORKERS"),
    "a wrong password": ({"DB_PASSWORD": "wrong"}, 2, "password authentication failed"),
    "a wrong host": ({"DB_HOST": "no-such-host"}, 2, 'could not translate host name "no-such-host"'),
    "a port where nothing listens": ({"DB_PORT": "5433"}, 2, "Connection refused"),
    "no such database": ({"DB_NAME": "no_such_database"}, 2, 'database "no_such_database" does not exist'),
}


@pytest.mark.parametrize("case", list(CASES))
def test_wrong_configuration(broken, server, case):
    variables, status, named = CASES[case]
    found, lines, pod = broken(server.sample(), **variables)
    assert found == status
    assert [line for line in lines if named in line], lines
    # psql adds a hint when a server does not answer.
    assert len([line for line in lines if not line.startswith("\t")]) == 1, lines
    assert PASSWORD not in "".join(lines)
    # As in a cluster, nothing else starts before the migration has succeeded.
    assert not any(pod.inspect(name)["State"]["Running"] for name in CONTAINERS)


def test_database_without_tables(broken, empty):
    status, lines, _ = broken(empty)
    assert (status, len(lines)) == (3, 1) and "public.users or public.tokens is missing" in lines[0]


def test_no_right_to_migrate(broken, unmigrated):
    status, lines, _ = broken(unmigrated, DB_USERNAME="nobody_special")
    assert (status, len(lines)) == (3, 1) and "permission denied" in lines[0]


@pytest.mark.parametrize("keys", ["# none yet\n", "powerbi:secret\n"])
def test_a_secret_without_keys(run, server, keys):
    pod = run(server.sample(), wait=False, keys=keys)
    wait_until(lambda: pod.inspect("server-names")["State"]["Status"] == "exited", 20, "the end of the check")
    assert pod.inspect("server-names")["State"]["ExitCode"] == 78
    [line] = pod.logs("server-names")
    assert "KEYS_FILE must be a file" in line and "make key NAME=" in line
    assert not any(pod.inspect(name)["State"]["Running"] for name in CONTAINERS)


def test_without_the_secret_of_keys_nothing_starts(run, server):
    pod = run(server.sample(), wait=False, keys=False)
    assert pod.play.returncode != 0 and "coworking-keys" in pod.play.stderr
    assert not pod.answers()


def test_a_role_that_may_only_read_serves_once_another_has_migrated(run, unmigrated):
    service = run(unmigrated, DB_USERNAME="nobody_special", MIGRATE_USERNAME="postgres", MIGRATE_PASSWORD=PASSWORD)
    first = service.get("/api/reports/daily_usage")
    assert first.body == b"{}\n", (first.body, service.log)
    # The next pod finds nothing to do, which takes no rights.
    assert run(unmigrated, DB_USERNAME="nobody_special").get("/api/reports/daily_usage").body == b"{}\n"
    # Only the migration gets the migrating role.
    for name in CONTAINERS:
        assert not [entry for entry in service.inspect(name)["Config"]["Env"] if entry.startswith("MIGRATE_")]


def test_a_lost_database_does_not_keep_a_processor_busy(run, own_server, say):
    service = run(own_server.sample())
    own_server.stop("immediate")
    try:
        time.sleep(1)
        pids = service.pids("")
        used, since = cpu_seconds(pids), time.monotonic()
        time.sleep(5)
        share = (cpu_seconds(pids) - used) / (time.monotonic() - since)
        restarts = service.states()
        say(f"{share:.3f} cores without a database")
        assert share < 0.05
        assert service.get("/api/reports/daily_usage").status == 503
        assert service.states() == restarts
    finally:
        own_server.start()
