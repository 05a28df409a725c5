"""Other people's machines: where the run's folder can be, what a umask does, which variables are left out, what processes
show of passwords, and a database server whose files are gone."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest
import yaml
from fixtures import make_database
from law import DAILY_USAGE
from machine import IS_ROOT, clean_environment, shown
from postgres import PASSWORD, ROOT, free_port, is_alive, processes_below, wait_until

GOLDEN = ROOT / "test/service/golden/sample_daily_usage.json"
needs_root = pytest.mark.skipif(not IS_ROOT, reason="not root: mounts nothing and gives up nothing")


@pytest.fixture
def launch(programs, folder):
    """Starts docker/local/run behind other words, with the private database, and waits until it is ready."""
    started = []

    def start(*prefix, script=ROOT / "docker/local/run", **variables):
        variables = {"TMPDIR": folder / "tmp", "DATA_DIRECTORY": folder / "data", **variables}
        port = free_port()
        with open(folder / "out", "wb") as out, open(folder / "errors", "wb") as errors:
            process = subprocess.Popen([*prefix, script], stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                                       env=clean_environment(PROGRAMS=programs, APP_PORT=port, **variables))
        started.append(process)
        wait_until(lambda: '"event":"ready"' in (folder / "out").read_text() or process.poll() is not None, 40, "a ready service")
        assert process.poll() is None, (folder / "errors").read_text()
        body = subprocess.run(["curl", "-sS", f"http://127.0.0.1:{port}{DAILY_USAGE}"], capture_output=True, timeout=20, check=True)
        assert body.stdout == GOLDEN.read_bytes()
        return process

    yield start
    for process in started:
        left = [process.pid, *processes_below(process.pid)]
        process.terminate()
        process.wait(15)
        wait_until(lambda left=left: not any(map(is_alive, left)), 10, "the end of all that was started")
    assert list((folder / "tmp").iterdir()) == []


# Folders


@needs_root
def test_a_folder_where_no_program_may_run(launch, folder):
    """TMPDIR is mounted without leave to run programs, as hardened machines have /tmp."""
    launch("unshare", "--mount", "bash", "-c", f'mount -t tmpfs -o noexec,mode=1777 none {folder}/tmp && exec "$0"')


@pytest.mark.parametrize("path", ["with a space", "with, a comma", "x" * 120, "no such folder", "closed"])
def test_a_folder_of_any_kind(launch, folder, path):
    if path != "no such folder":
        (folder / "tmp" / path).mkdir(mode=0o700 if path == "closed" else 0o777)
    if path == "with a space":
        (folder / "tmp" / path).chmod(0o1777)
    process = launch(TMPDIR=folder / "tmp" / path)
    used = pathlib.Path(os.readlink(f"/proc/{process.pid}/cwd"))
    assert (used.parent == folder / "tmp" / path) == (path == "with a space" or (path == "closed" and not IS_ROOT))
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    shutil.rmtree(folder / "tmp" / path, ignore_errors=True)


@pytest.mark.parametrize("variables", [{"TMPDIR": None}, {"HOME": None}, {"TMPDIR": ""}], ids=str)
def test_a_variable_that_is_not_set(launch, variables):
    launch(**variables)


def test_a_umask_that_closes_everything(launch, folder):
    launch("bash", "-c", 'umask 077; exec "$0"', DATA_DIRECTORY=folder / "new" / "data")


@needs_root
def test_a_checkout_that_cannot_be_written_to(launch, folder):
    """Nor entered by the user that the service runs as, and whose path has a space."""
    checkout = folder / "check out"
    checkout.mkdir()
    launch("unshare", "--mount", "bash", "-c",
           f'mount --bind {ROOT} "{checkout}" && mount -o remount,bind,ro "{checkout}" && exec "{checkout}/docker/local/run"')


def test_data_in_a_closed_folder_is_named(programs, folder):
    closed = folder / "closed"
    closed.mkdir()
    closed.chmod(0o700 if IS_ROOT else 0o500)
    finished = subprocess.run([ROOT / "docker/local/run"], capture_output=True, text=True, timeout=20, check=False,
                              env=clean_environment(PROGRAMS=programs, APP_PORT=free_port(), DATA_DIRECTORY=closed / "data",
                                                    TMPDIR=folder / "tmp"))
    assert finished.returncode not in (0, 78) and finished.stdout == ""
    assert "DATA_DIRECTORY must be a folder that" in finished.stderr.splitlines()[-1]


# Variables that are left out

OPTIONAL = ["DB_HOST", "DB_PORT", "DB_NAME", "FCGI_WORKERS", "STATEMENT_TIMEOUT_MS", "MAX_REPLICA_LAG_MS", "LOG_LEVEL", "ROLLUPS"]


def container_commands():
    """What the manifests start in the pod."""
    documents = yaml.safe_load_all((ROOT / "manifests/coworking.yaml").read_text())
    pod = next(document for document in documents if document["kind"] == "Deployment")["spec"]["template"]["spec"]
    return {container["name"]: container["command"] for container in [*pod["initContainers"], *pod["containers"]]}


def test_commands_of_the_pod_depend_on_no_variable():
    """A cluster leaves $(NAME) as it stands where the variable is not set."""
    assert [word for command in container_commands().values() for word in command if "$" in word] == []


def pool_of(programs, name, folder, **variables):
    """Starts a container's pool as the manifests do."""
    program, *words = container_commands()[name]
    (folder / "run").mkdir(exist_ok=True)
    return subprocess.Popen([programs / pathlib.Path(program).name, *words], cwd=folder, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, env=clean_environment(DB_USERNAME="u", DB_PASSWORD="p", **variables))


def stop_pool(process):
    """Ends it; no worker may be left."""
    workers = processes_below(process.pid)
    process.terminate()
    process.wait(10)
    wait_until(lambda: not any(map(is_alive, workers)), 20, "the workers' end")


@pytest.mark.parametrize("name", OPTIONAL)
@pytest.mark.parametrize("value", [None, ""], ids=["left out", "empty"])
def test_a_pool_has_its_default(programs, folder, name, value):
    configured = {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_NAME": "postgres", "FCGI_WORKERS": "2", "STATEMENT_TIMEOUT_MS": "5000",
                  "MAX_REPLICA_LAG_MS": "10000", "LOG_LEVEL": "info", "ROLLUPS": "on"}
    process = pool_of(programs, "reports", folder, **{**configured, name: value})
    expected = 4 if name == "FCGI_WORKERS" else 2
    wait_until(lambda: len(processes_below(process.pid)) == expected or process.poll() is not None, 10, f"{expected} workers")
    assert (folder / "run/reports.sock").is_socket()
    stop_pool(process)


def test_the_pool_for_the_probes(programs, folder):
    process = pool_of(programs, "probe", folder, DB_PORT="1")
    wait_until(lambda: [b"--probe" in shown(pid, "cmdline") for pid in processes_below(process.pid)] == [True], 10, "the worker")
    assert (folder / "run/probe.sock").is_socket()
    stop_pool(process)


def test_a_pool_that_is_killed_takes_its_workers_along(programs, folder):
    process = pool_of(programs, "reports", folder, DB_PORT="1")
    wait_until(lambda: len(processes_below(process.pid)) == 4, 10, "the workers")
    workers = processes_below(process.pid)
    process.kill()
    process.wait(5)
    wait_until(lambda: not any(map(is_alive, workers)), 20, "the workers' end")


def test_a_pool_with_a_wrong_configuration(programs, folder):
    process = pool_of(programs, "reports", folder, FCGI_WORKERS="none")
    assert process.wait(5) == 78


# Passwords


@pytest.fixture(scope="module")
def roles(database):
    """A role each for the workers, the logger and the migration."""
    for name in ("worker", "logger"):
        database.execute(f"CREATE ROLE machine_{name} LOGIN PASSWORD 's3cret-of-the-{name}'")
    yield database
    database.execute("DROP OWNED BY machine_worker, machine_logger; DROP ROLE machine_worker, machine_logger")


def check_secrets(service, secrets, allowed):
    """No process shows a password, but for those that were given it by whoever started them."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        for pid in processes_below(service.process.pid):
            for what in ("cmdline", "environ"):
                found = [word for word in shown(pid, what) if any(secret.encode() in word for secret in secrets)]
                assert not found or allowed(pid), (shown(pid, "cmdline"), what, found)


def test_no_process_shows_a_password(run, roles):
    login = {"DB_USERNAME": "machine_worker", "DB_PASSWORD": "s3cret-of-the-worker", "LOGGER_USERNAME": "machine_logger",
             "LOGGER_PASSWORD": "s3cret-of-the-logger", "MIGRATE_USERNAME": "postgres", "MIGRATE_PASSWORD": PASSWORD}
    service = run(roles, **login)
    assert service.get(DAILY_USAGE).status == 200
    check_secrets(service, ["s3cret"], lambda pid: False)
    for pid in processes_below(service.process.pid):
        named = {word.partition(b"=")[0] for word in shown(pid, "environ")}
        program = shown(pid, "cmdline")
        if any(b"nginx" in word for word in program[:1]):
            assert not {name for name in named if name.startswith((b"DB_", b"MIGRATE_", b"LOGGER_", b"PG"))}
        elif program and b"serve" not in b" ".join(program):
            assert not {name for name in named if name.startswith((b"MIGRATE_", b"LOGGER_"))}, program
    assert "s3cret" not in "".join(service.log + service.errors)


def test_the_private_database_s_password_is_shown_nowhere(run, folder):
    service = run(DATA_DIRECTORY=str(folder / "data"), PGPASSWORD="s3cret-of-somebody")
    password = (folder / "data/password").read_text().strip()
    check_secrets(service, [password, "s3cret-of-somebody"], lambda pid: False)
    assert password not in "".join(service.log + service.errors)


STARTS = ["with the private database", "with another one"]


@pytest.mark.parametrize("start", STARTS)
def test_no_statement_has_a_password(run, roles, folder, start):
    """Neither the private database's log nor another server's, which may log all statements."""
    roles.execute("ALTER SYSTEM SET log_statement = 'all'")
    roles.execute("SELECT pg_reload_conf()")
    before = 0
    try:
        if start == STARTS[0]:
            run(DATA_DIRECTORY=str(folder / "data"))
            log = folder / "data/postgresql.log"
            password = (folder / "data/password").read_text().strip()
        else:
            log, password = roles.server.folder / "log", PASSWORD
            before = log.stat().st_size
            run(roles)
        assert password not in log.read_text(errors="replace")[before:]
    finally:
        roles.execute("ALTER SYSTEM RESET log_statement")
        roles.execute("SELECT pg_reload_conf()")


def arguments_of(path):
    """Lines of a script that hand a password over as an argument."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    options = ("-v password", "--from-literal", "-e POSTGRES_PASSWORD", "--env POSTGRES_PASSWORD")
    return [line for line in lines if not line.lstrip().startswith("#") and any(option in line for option in options)]


@pytest.mark.parametrize("path", sorted([*(ROOT / "docker").rglob("*")]), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_script_hands_over_a_password_as_an_argument(path):
    assert path.is_dir() or arguments_of(path) == []


# A server whose files are gone


def test_a_database_whose_file_is_gone(run, own_server):
    """As when packages are upgraded under a running server: new server processes find no file. 503, and the log says why."""
    database = make_database(own_server)
    service = run(database, FCGI_WORKERS="1")
    assert service.get(DAILY_USAGE).status == 200
    [[path]] = database.execute("SELECT pg_relation_filepath('coworking_analytics.user_tokens')")
    file = own_server.folder / "data" / path
    moved = file.with_name(file.name + ".moved")
    file.rename(moved)
    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'coworking-analytics'")
    answer = service.get("/api/reports/user_visits")
    assert answer.status == 503 and answer.headers["Retry-After"], answer.body
    assert json.loads(answer.body)["status"] == 503
    wait_until(lambda: [line for line in service.events("request") if "58P01" in line.get("reason", "")], 20, "the reason")
    [line] = [line for line in service.events("request") if "58P01" in line.get("reason", "")]
    assert line["reason"] == "58P01 a file of the database is missing or cannot be read"
    moved.rename(file)
    assert service.get("/api/reports/user_visits").status == 200
