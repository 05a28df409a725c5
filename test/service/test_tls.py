"""TLS to the database: it is used where the server offers it, verified where that is asked for, and named in the log
where it is what failed."""

import os
import re
import signal
import subprocess

import pytest
from fixtures import make_database
from law import DAILY_USAGE
from machine import IS_ROOT, check, give_away, open_folder
from postgres import Postgres, wait_until

pytestmark = pytest.mark.one_build("sanitized")

HBA = {  # what pg_hba.conf lets in
    "only TLS": "local all all scram-sha-256\nhostssl all all all scram-sha-256\n",
    "with and without": "local all all scram-sha-256\nhost all all all scram-sha-256\n",
    "no TLS": "local all all scram-sha-256\nhostnossl all all all scram-sha-256\n",
}


def openssl(folder, *words):
    """Runs openssl in a folder."""
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def make_certificates(folder):
    """An authority with a server's certificate for 127.0.0.1, and an authority that signed nothing."""
    for name in ("ca", "other"):
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=coworking",
            "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    openssl(folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", "server.crt")
    for path in folder.iterdir():
        path.chmod(0o600 if path.suffix == ".key" else 0o644)
        give_away(path)


@pytest.fixture(scope="module")
def certificates():
    """A folder with them."""
    with open_folder() as path:
        make_certificates(path)
        yield path


@pytest.fixture(scope="module")
def tls_server(certificates):
    """A PostgreSQL server with TLS."""
    hba = certificates / "pg_hba.conf"
    hba.write_text(HBA["with and without"])
    hba.chmod(0o644)
    postgres = Postgres(f"-c ssl=on -c ssl_cert_file={certificates}/server.crt -c ssl_key_file={certificates}/server.key "
                        f"-c hba_file={hba}")
    yield postgres
    postgres.close()


@pytest.fixture(scope="module")
def database(tls_server):
    """The module's database, with the contract's example rows."""
    return make_database(tls_server)


@pytest.fixture
def let_in(certificates, database):
    """Has the server let in one kind of connection."""

    def let(kind):
        (certificates / "pg_hba.conf").write_text(HBA["with and without"])
        with database.connect() as connection:
            (certificates / "pg_hba.conf").write_text(HBA[kind])
            connection.execute("SELECT pg_reload_conf()")
            wait_until(lambda: connection.execute("SELECT count(*) FROM pg_hba_file_rules")[0][0] == 2, 20, "the new rules")

    yield let
    (certificates / "pg_hba.conf").write_text(HBA["with and without"])
    os.kill(database.server.pids()[0], signal.SIGHUP)


@pytest.fixture
def closed_home():
    """A home that nobody else can enter, as root's."""
    with open_folder() as path:
        path.chmod(0o700)
        yield path


def are_encrypted(database):
    """Whether each connection of a worker or the logger is, one of each."""
    return {row[0] for row in database.execute(
        "SELECT s.ssl FROM pg_stat_ssl AS s JOIN pg_stat_activity AS a USING (pid) "
        "WHERE a.application_name = 'coworking-analytics' AND a.backend_type = 'client backend'")}


VERIFIED = [{}, {"PGSSLMODE": "require"}, {"PGSSLMODE": "verify-ca", "PGSSLROOTCERT": "ca.crt"},
            {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "ca.crt"}]


@pytest.mark.parametrize("kind", ["only TLS", "with and without"])
@pytest.mark.parametrize("changes", VERIFIED, ids=lambda changes: changes.get("PGSSLMODE", "as libpq has it"))
def test_tls_is_used(run, closed_home, database, certificates, let_in, kind, changes):
    """Whoever started the service: root's home is closed to the user that it runs as."""
    let_in(kind)
    service = run(database, HOME=str(closed_home), FCGI_WORKERS="2", **{
        key: str(certificates / value) if key == "PGSSLROOTCERT" else value for key, value in changes.items()})
    assert service.get(DAILY_USAGE).status == 200
    assert service.is_ready()
    assert are_encrypted(database) == {True}
    assert service.events("database_connected") and all(
        line["detail"].startswith("with TLS") for line in service.events("database_connected"))


@pytest.mark.skipif(not IS_ROOT, reason="not root: the home is the user's own")
@pytest.mark.parametrize("authority, status", [("ca.crt", 200), ("other.crt", 503)])
def test_certificates_in_root_s_home_count(run, closed_home, database, certificates, authority, status):
    """www-data cannot enter root's home, and yet finds the authority that libpq takes from there."""
    (closed_home / ".postgresql").mkdir()
    (closed_home / ".postgresql/root.crt").write_bytes((certificates / authority).read_bytes())
    service = run(database, HOME=str(closed_home), PGSSLMODE="verify-full")
    assert service.get(DAILY_USAGE).status == status


REFUSED = "28000 the database refused: pg_hba.conf .* TLS"
VERIFY_OTHER = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "other.crt"}
OTHER_NAME = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "ca.crt", "DB_HOST": "localhost"}
FAILURES = [  # what pg_hba.conf lets in, what is set, and what the reason says
    ("with and without", VERIFY_OTHER, "TLS failed: SSL error: certificate verify failed"),
    ("with and without", OTHER_NAME, "TLS failed: server certificate"),
    ("with and without", {"PGSSLROOTCERT": "server.csr", "PGSSLMODE": "verify-ca"}, "TLS failed: could not read root certificate"),
    ("only TLS", {"PGSSLMODE": "disable"}, REFUSED),
    ("only TLS", {"PGSSLROOTCERT": "other.crt", "PGSSLMODE": "prefer"}, "28000 .*; before that, TLS failed: SSL error: certificate"),
    ("only TLS", {"DB_PASSWORD": "wrong"}, "28P01"),
    ("only TLS", {"DB_PASSWORD": "wrong", "PGSSLMODE": "allow"}, "28P01"),
    ("no TLS", {"PGSSLMODE": "require"}, REFUSED),
]


@pytest.mark.parametrize("kind, changes, reason", FAILURES)
def test_the_reason_names_tls(run, programs, database, certificates, let_in, kind, changes, reason):
    let_in(kind)
    changes = {key: str(certificates / value) if key == "PGSSLROOTCERT" else value for key, value in changes.items()}
    status, lines = check(programs, **{**database.environment(), **changes})
    assert status == 0
    assert [line for line in lines if re.match(reason, line.get("reason", ""))], lines
    service = run(database, **changes)
    assert service.get(DAILY_USAGE).status == 503
    wait_until(lambda: [line for line in service.events("database_unreachable") if re.match(reason, line["reason"])],
               5, f"the reason, in {service.events('database_unreachable')}")
    for line in service.log:
        assert str(certificates) not in line and "127.0.0" not in line.replace('"client":"127.0.0.1"', "").replace("http://127.0.0.1", "")
