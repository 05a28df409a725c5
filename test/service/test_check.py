"""--check: finds all that can be found before the first request, says it once, and repeats no value."""

import re
import socket
import subprocess
import time

import pytest
from machine import GOOD, IS_ROOT, check, clean_environment, open_folder, starting
from postgres import PASSWORD, ROOT, free_port

pytestmark = pytest.mark.one_build("sanitized")

HOSTS = r"a host name, an (IP )?address or a socket's folder, or a list"


@pytest.fixture
def folder():
    """A folder that any user may enter."""
    with open_folder() as path:
        yield path


ERRORS = [  # what is set, the variable, and what the line says that it must be
    ({"DB_HOST": "a b"}, "DB_HOST", HOSTS),
    ({"DB_HOST": "db.example.org:5432"}, "DB_HOST", "DB_PORT"),
    ({"DB_HOST": "postgres://db.example.org/"}, "DB_HOST", HOSTS),
    ({"DB_HOST": "db..example.org"}, "DB_HOST", HOSTS),
    ({"DB_HOST": ".example.org"}, "DB_HOST", HOSTS),
    ({"DB_HOST": "127.0.0.256"}, "DB_HOST", HOSTS),
    ({"DB_HOST": "fe80:::1"}, "DB_HOST", HOSTS),
    ({"DB_HOST": '"db.example.org"'}, "DB_HOST", HOSTS),
    ({"DB_HOST": "a" * 64 + ".example.org"}, "DB_HOST", HOSTS),
    ({"DB_HOST": "a" * 300}, "DB_HOST", HOSTS),
    ({"DB_HOST": "a,,b"}, "DB_HOST", HOSTS),
    ({"DB_HOST": "a,b,"}, "DB_HOST", HOSTS),
    ({"DB_HOST": ",a"}, "DB_HOST", HOSTS),
    ({"DB_HOST": "a, ,b"}, "DB_HOST", HOSTS),
    ({"DB_HOST": ",".join(["a"] * 17)}, "DB_HOST", "up to 16"),
    ({"DB_PORT": "5432,"}, "DB_PORT", "a port from 1 to 65535"),
    ({"DB_PORT": "54 32"}, "DB_PORT", "a port from 1 to 65535"),
    ({"DB_HOST": None, "PGHOST": "a b"}, "PGHOST", HOSTS),
    ({"DB_HOST": None, "PGHOSTADDR": "db.example.org"}, "PGHOSTADDR", "an IP address"),
    ({"DB_PORT": None, "PGPORT": "http"}, "PGPORT", "a port from 1 to 65535"),
    ({"PGSSLMODE": "on"}, "PGSSLMODE", "verify-full"),
    ({"PGTARGETSESSIONATTRS": "replica"}, "PGTARGETSESSIONATTRS", "prefer-standby"),
    ({"PGCHANNELBINDING": "yes"}, "PGCHANNELBINDING", "require"),
    ({"PGGSSENCMODE": "on"}, "PGGSSENCMODE", "disable"),
    ({"PGLOADBALANCEHOSTS": "yes"}, "PGLOADBALANCEHOSTS", "random"),
    ({"PGSSLROOTCERT": "/no/such/file"}, "PGSSLROOTCERT", "can read"),
    ({"PGSSLROOTCERT": "/"}, "PGSSLROOTCERT", "can read"),
    ({"PGSSLMODE": "verify-full", "HOME": "/nowhere"}, "PGSSLROOTCERT", "set to a file"),
    ({"PGSSLMODE": "verify-ca", "HOME": "/nowhere"}, "PGSSLROOTCERT", "set to a file"),
    ({"PGSSLCERT": "/no/such/file"}, "PGSSLCERT", "can read"),
    ({"PGSSLKEY": "/no/such/file"}, "PGSSLKEY", "can read"),
    ({"PGSSLKEY": __file__}, "PGSSLKEY", "others cannot"),
    ({"PGSSLCRL": "/no/such/file"}, "PGSSLCRL", "can read"),
    ({"PGSSLCRLDIR": "/no/such/folder"}, "PGSSLCRLDIR", "can read"),
    ({"PGSERVICE": "mine", "PGSERVICEFILE": "/no/such/file"}, "PGSERVICEFILE", "can read"),
    ({"MIGRATE_PASSWORD_FILE": "/no/such/file"}, "MIGRATE_PASSWORD_FILE", "can read"),
    ({"LOGGER_PASSWORD_FILE": "/no/such/file"}, "LOGGER_PASSWORD_FILE", "can read"),
]


@pytest.mark.parametrize("changes, name, wanted", ERRORS)
def test_an_error(programs, changes, name, wanted):
    status, lines = check(programs, **{**GOOD, **changes})
    assert status == 78
    [line] = [line for line in lines if line["level"] == "error"]
    assert line["event"] == "configuration"
    assert re.match(rf"{name} must be .*{wanted}", line["detail"]), line
    assert not [value for value in changes.values() if value and len(value) > 6 and value in line["detail"]]


def test_all_errors_at_once(programs):
    status, lines = check(programs, **{**GOOD, "DB_USERNAME": None, "DB_HOST": "a b", "FCGI_WORKERS": "none",
                                       "STATEMENT_TIMEOUT_MS": "5s", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/no/such/file",
                                       "PGSSLCERT": "/no/such/file"})
    assert status == 78
    assert [line["detail"].split()[0] for line in lines] == [
        "DB_USERNAME", "DB_HOST", "FCGI_WORKERS", "STATEMENT_TIMEOUT_MS", "PGSSLROOTCERT", "PGSSLCERT"]


GOOD_VALUES = [
    {"DB_HOST": "db"}, {"DB_HOST": "db.example.org."}, {"DB_HOST": "my_db-1.example"}, {"DB_HOST": "::1"}, {"DB_HOST": "fe80::1%lo"},
    {"DB_HOST": "127.1"}, {"DB_HOST": "/no/such folder"}, {"DB_HOST": "a,127.0.0.1,/tmp"}, {"DB_HOST": ",".join(["a"] * 16)},
    {"PGHOSTADDR": "127.0.0.1,,::1"}, {"PGPORT": "5432,,5433"}, {"PGSERVICEFILE": "/no/such/file"}, {"PGSSLROOTCERT": "system"},
    {"PGSSLKEY": "engine:key"}, {"PGSSLROOTCERT": __file__, "PGSSLMODE": "verify-full"},
    {"PGSERVICE": "mine", "PGSERVICEFILE": __file__, "PGSSLMODE": "verify-full", "HOME": "/nowhere"},
]


@pytest.mark.parametrize("changes", GOOD_VALUES)
def test_no_error(programs, changes):
    status, lines = check(programs, **{**GOOD, "PGCONNECT_TIMEOUT": "1", **changes})
    assert status == 0
    assert not [line for line in lines if line["event"] == "configuration"]


SPACE = [  # what is set, and the variable that has the white space
    ({"DB_HOST": "127.0.0.1\n"}, "DB_HOST"), ({"DB_HOST": "127.0.0.1, 127.0.0.2"}, "DB_HOST"), ({"DB_PORT": " 1\t"}, "DB_PORT"),
    ({"DB_USERNAME": "someone "}, "DB_USERNAME"), ({"DB_USERNAME": None, "DB_USER": " someone"}, "DB_USER"),
    ({"DB_NAME": "postgres\r\n"}, "DB_NAME"), ({"FCGI_WORKERS": "4 "}, "FCGI_WORKERS"), ({"LOG_LEVEL": " info"}, "LOG_LEVEL"),
    ({"DB_PASSWORD": None, "DB_PASSWORD_FILE": f"{__file__}\n"}, "DB_PASSWORD_FILE"), ({"PGSSLMODE": "prefer\n"}, "PGSSLMODE"),
    ({"PGSSLROOTCERT": f"{__file__} "}, "PGSSLROOTCERT"), ({"DB_HOST": None, "PGHOST": "127.0.0.1 ,127.0.0.2"}, "PGHOST"),
]


@pytest.mark.parametrize("changes, name", SPACE)
def test_white_space_is_left_out_and_said(programs, changes, name):
    status, lines = check(programs, **{**GOOD, **changes})
    assert status == 0
    [line] = lines
    assert (line["level"], line["event"]) == ("warning", "configuration")
    assert line["detail"].startswith(f"{name} has white space ")


def test_white_space_in_a_password_is_kept_and_said(programs):
    status, [line] = check(programs, **{**GOOD, "DB_PASSWORD": "s3cret-of-someone\n"})
    assert status == 0 and line["level"] == "warning" and line["detail"].startswith("DB_PASSWORD begins or ends with white space")
    assert "s3cret" not in line["detail"]


def test_a_list_with_white_space_is_used_without_it(run, database):
    port = database.server.port
    service = run(database, DB_HOST="127.0.0.2 , 127.0.0.1\n", DB_PORT=f" 1, {port} ", FCGI_WORKERS=" 2\n")
    assert service.get("/api/reports/daily_usage").status == 200
    assert len(service.workers()) == 2
    for name in ("DB_HOST", "DB_PORT", "FCGI_WORKERS"):
        assert "".join(service.errors).count(f"{name} has white space") == 1


# Files, as the user who will read them

needs_root = pytest.mark.skipif(not IS_ROOT, reason="not root: all tests run as an ordinary user")


@needs_root
@pytest.mark.alone
@pytest.mark.parametrize("name", ["DB_PASSWORD_FILE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCRL"])
def test_a_file_that_only_root_can_read(programs, folder, name):
    """make run gives up root before it checks: it ends at once, with one line, before it says that it is ready."""
    secret = folder / "file"
    secret.write_text("s3cret-of-a-file\n")
    secret.chmod(0o600)
    (folder / "tmp").mkdir()
    started = time.monotonic()
    finished = subprocess.run([ROOT / "docker/local/run"], capture_output=True, text=True, timeout=20, check=False,
                              env=clean_environment(PROGRAMS=programs, APP_PORT=free_port(), TMPDIR=folder / "tmp", **{
                                  **GOOD, **({"DB_PASSWORD": None} if name == "DB_PASSWORD_FILE" else {}), name: secret}))
    assert time.monotonic() - started < starting(programs, 3)
    assert (finished.returncode, finished.stdout) == (78, "")
    [line] = finished.stderr.splitlines()
    assert f"{name} must be a file" in line and str(secret) not in line and "s3cret" not in line
    assert list((folder / "tmp").iterdir()) == []


def test_a_file_by_its_relative_path(programs, database, folder):
    """The programs run in another folder than the one that the user is in."""
    (folder / "password").write_text(f"{PASSWORD}\n")
    variables = {**database.environment(), "DB_PASSWORD": None, "DB_PASSWORD_FILE": "password"}
    process = subprocess.Popen([ROOT / "docker/local/run"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               env=clean_environment(PROGRAMS=programs, APP_PORT=free_port(), **variables))
    try:
        assert any('"event":"ready"' in line for line in process.stdout)
    finally:
        process.terminate()
        process.communicate(timeout=15)


def test_a_file_of_passwords_that_is_not_used(programs):
    status, [line] = check(programs, **GOOD, PGPASSFILE="/no/such/file")
    assert status == 0 and line["level"] == "warning" and line["detail"].startswith("PGPASSFILE ")


# The database


@pytest.fixture(scope="module")
def roles(database):
    """A role that owns the tables by membership, and one that owns nothing."""
    database.execute(f"""
        CREATE ROLE check_owners;
        CREATE ROLE check_owner LOGIN PASSWORD '{PASSWORD}' IN ROLE check_owners;
        CREATE ROLE check_plain LOGIN PASSWORD '{PASSWORD}';
        ALTER TABLE tokens OWNER TO check_owners""")
    yield database
    database.execute("ALTER TABLE tokens OWNER TO postgres; DROP ROLE check_owner, check_owners, check_plain")


ROLES = {
    "postgres": ["DB_USERNAME is a superuser: reports need only a role that owns nothing"],
    "check_owner": ["DB_USERNAME has the rights of the owner of public.tokens: reports need only a role that owns nothing"],
    "check_plain": [],
}


@pytest.mark.parametrize("role", list(ROLES))
def test_a_role_with_more_rights_than_it_needs(programs, roles, role):
    status, lines = check(programs, **{**roles.environment(), "DB_USERNAME": role})
    assert (status, [line["detail"] for line in lines]) == (0, ROLES[role])
    assert {line["level"] for line in lines} <= {"warning"}


REFUSED = [({"DB_PASSWORD": "wrong"}, "28P01"), ({"DB_NAME": "no_such_database"}, "3D000"), ({"PGSSLMODE": "require"}, "TLS"),
           ({"DB_HOST": "no-such-host.invalid"}, "resolved")]


@pytest.mark.parametrize("changes, reason", REFUSED)
def test_a_database_that_refuses(programs, database, changes, reason):
    status, [line] = check(programs, **{**database.environment(), **changes})
    assert (status, line["level"]) == (0, "warning")
    assert reason in line["reason"] and "no-such-host" not in line["reason"] and "wrong" not in line["reason"]


def test_a_database_that_is_away_is_no_finding(programs):
    assert check(programs, **{**GOOD, "DB_PORT": str(free_port())}) == (0, [])
    assert check(programs, **{**GOOD, "DB_HOST": "/no/such/folder"}) == (0, [])


@pytest.mark.alone
def test_a_database_that_says_nothing_does_not_hold_it_up(programs):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        status, [line] = check(programs, **{**GOOD, "DB_PORT": str(silent.getsockname()[1])})
        assert time.monotonic() - started < starting(programs, 2.5)
    assert (status, line["level"]) == (0, "warning") and "did not answer" in line["reason"]
