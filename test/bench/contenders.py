"""The contenders: our service as `make run` starts it, and others, each on a database."""

import pathlib
import shutil
import socket
import subprocess
import tempfile

from data import login
from keys import key_of_tests
from postgres import ROOT, UNPRIVILEGED, free_port, wait_until
from service import Service
from sign_in import Browser, House, Provider

HERE = pathlib.Path(__file__).parent / "contenders"


class Subject:
    """A contender without a server: only its database."""

    port = None
    headers = {}  # that each request has to have

    def __init__(self, name, database):
        self.name = name
        self.database = database

    def put(self, path, body):
        """Gives it a body for a path; only the file server uses it."""

    def stop(self):
        """Ends it."""


class OurService(Subject):
    """Our service: nginx, workers and logger. Its log is discarded."""

    def __init__(self, name, database, **variables):
        super().__init__(name, database)
        self.service = Service(ROOT / "build", database.environment(), output=subprocess.DEVNULL,
                               STATEMENT_TIMEOUT_MS="60000", **variables)
        self.port = self.service.port
        self.workers = self.service.workers

    def stop(self):
        self.service.stop()


class WithKeys(OurService):
    """The same for programs with a key."""

    def __init__(self, name, database):
        super().__init__(name, database, keys=key_of_tests().line)
        self.headers = key_of_tests().field


class WithSessions(OurService):
    """The same for people who have signed in."""

    def __init__(self, name, database):
        self.provider = Provider()

        def start(**variables):
            super(WithSessions, self).__init__(name, database, **variables)
            return self.service

        self.house = House(start, self.provider)
        person = Browser(self.house.front)
        person.open()
        self.headers = person.session()

    def stop(self):
        super().stop()
        self.house.close()
        self.provider.close()


class Server(Subject):
    """Another server: a process that listens on a free port."""

    command = ()

    def __init__(self, name, database):
        super().__init__(name, database)
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coworking-bench."))
        self.prepare()
        words = [str(word).format(port=self.port, folder=self.folder) for word in self.command]
        self.process = subprocess.Popen(words, cwd=HERE, env={**login(database), "PORT": str(self.port)},
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.listens, 10, f"{name}'s start")

    def prepare(self):
        """Prepares its start."""

    def listens(self):
        """Whether it accepts connections."""
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder)


class Go(Server):
    """net/http and pgx."""

    command = (ROOT / "build/bench/contender",)


class Flask(Server):
    """Flask and psycopg2 under gunicorn, with as many workers as our service has."""

    command = ("gunicorn", "--workers=4", "--bind=127.0.0.1:{port}", "--worker-tmp-dir=/dev/shm", "flask_server:app")


class File(Server):
    """nginx with the reports as files, the upper bound."""

    command = (*UNPRIVILEGED, "nginx", "-p", "{folder}/", "-c", "nginx.conf", "-e", "stderr")

    def prepare(self):
        shutil.copy(HERE / "nginx.conf", self.folder)
        (self.folder / "listen.conf").write_text(f"listen 127.0.0.1:{self.port};\n")
        (self.folder / "files").mkdir()
        if UNPRIVILEGED:
            shutil.chown(self.folder, "www-data", "www-data")

    def put(self, path, body):
        file = self.folder / "files" / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
