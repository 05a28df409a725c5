"""The manifests as a pod under podman, with a database container beside it, and a client for both."""

import concurrent.futures
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time

import yaml
from environment import outward
from keys import key_of_tests
from postgres import PASSWORD, ROOT, Database, Postgres, free_port, is_alive, processes_below, wait_until
from service import Service

CONTAINERS = ("nginx", "reports", "probe", "logger")
BASE = re.search(r"^ARG BASE=(.*)$", (ROOT / "docker/Dockerfile").read_text(), re.MULTILINE)[1]


def podman(*arguments, check=True, timeout=600, **options):
    """Runs podman and returns the finished process."""
    done = subprocess.run(["podman", *map(str, arguments)], capture_output=True, text=True, check=False,
                          env=outward(), timeout=timeout, **options)
    assert not check or done.returncode == 0, f"podman {' '.join(map(str, arguments))}: {done.stderr}"
    return done


def complaint(*command):
    """Runs a command; the last line of what it complains of, or None when it succeeds."""
    try:
        done = subprocess.run(command, env=outward(), capture_output=True, text=True, check=False, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
    return f"{pathlib.Path(command[0]).name}: {lines[-1]}" if done.returncode else None


@contextlib.contextmanager
def one_at_a_time():
    """One process of a run installs or builds while the others wait; they then find its results."""
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build/pod.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def lay_podman():
    """On a machine without podman a set-up beside the project may bring one. Why it could not, or None."""
    setup = ROOT.parent / "shared/containers/setup"
    if shutil.which("podman") or not setup.exists():
        return None
    suite = re.search(r":(\w+)-slim$", BASE)[1]
    with one_at_a_time():
        reason = complaint(setup, suite) or complaint(ROOT / "docker/local/setup", "pod")
        if reason is None:
            folder = subprocess.check_output([setup, suite], env=outward(), text=True).strip()
            os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"
    return reason


def missing():
    """Why no pod can be run here, or None."""
    if reason := lay_podman():
        return reason
    for program in ("podman", "kubectl", "haproxy", "wrk", "docker-registry", "htpasswd"):
        if not shutil.which(program):
            return f"{program} is not installed"
    version = podman("version", "--format", "{{.Client.Version}}", check=False).stdout.strip()
    if not version.partition(".")[0].isdigit() or int(version.partition(".")[0]) < 5:
        return f"podman {version or 'without a version'} is older than 5"
    return complaint("podman", "run", "--rm", "--network", "none", "--memory", "64m", BASE, "true")


def copy_sources(copy):
    """Copies the project's files into a folder; returns that."""
    listed = subprocess.check_output(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT)
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


def manifest(name, kind):
    """The document of a kind in one of the manifests."""
    documents = yaml.safe_load_all((ROOT / "manifests" / name).read_text())
    return next(document for document in documents if document["kind"] == kind)


def liveness(name):
    """A container's liveness probe, as the manifests have it."""
    containers = manifest("coworking.yaml", "Deployment")["spec"]["template"]["spec"]["containers"]
    return next(container for container in containers if container["name"] == name)["livenessProbe"]


class Network:
    """A network of the tests' own, and the images that run in it."""

    def __init__(self):
        self.name = f"coworking-test-{os.getpid()}"
        self.database_image = "localhost/coworking-analytics-database"
        with one_at_a_time():
            self.image = self._build_image()
            podman("build", "-q", "-f", ROOT / "docker/Dockerfile", "--target", "database", "-t", self.database_image, ROOT)
        podman("network", "create", self.name)

    @staticmethod
    def _build_image():
        """As `make image` does it; the first word it prints is the image's name."""
        built = subprocess.run(["make", "-s", "image"], cwd=ROOT, env=outward(), capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
        return built.stdout.split(": ")[0].strip()

    def close(self):
        """Removes the network."""
        podman("network", "rm", "-f", self.name)


class PodPostgres(Postgres):
    """A server in a container: pods reach it by its name, the tests by a port of the loopback interface.

    It runs beside the container's first process, so that a restart of the server keeps its address, as a
    Service in a cluster does."""

    def __init__(self, network):  # pylint: disable=super-init-not-called
        self.port = free_port()
        self.name = f"{network.name}-database-{self.port}"
        self.frozen = False
        podman("run", "-d", "--name", self.name, "--network", network.name, "--init",
               "--publish", f"127.0.0.1:{self.port}:5432", network.database_image, "sleep", "infinity")
        self._sql_as_only_user(f"ALTER ROLE postgres PASSWORD '{PASSWORD}'")
        self.start()
        # pg_ctl asks a socket, and what is published may take a moment longer.
        wait_until(lambda: podman("exec", self.name, "pg_isready", "-h", "127.0.0.1", check=False).returncode == 0,
                   20, "the database")

    def _sql_as_only_user(self, sql):
        podman("exec", "-i", self.name, "bash", "-c",
               '/usr/lib/postgresql/*/bin/postgres --single -D /var/lib/postgresql/data postgres', input=sql + "\n")

    def _control(self, *arguments):
        command = " ".join(("/usr/lib/postgresql/*/bin/pg_ctl -w -D /var/lib/postgresql/data", *arguments))
        podman("exec", self.name, "bash", "-c", f"{command} >/dev/null")

    def start(self):
        self._control("-l /tmp/log -o '-c listen_addresses=* -c fsync=off'", "start")

    def stop(self, mode="fast"):
        self._control("-m", mode, "stop")

    def process(self, backend):
        """In the container's own count it has another."""
        first = json.loads(podman("inspect", self.name).stdout)[0]["State"]["Pid"]
        return next(pid for pid in processes_below(first)
                    if re.search(rf"^NSpid:.*\t{backend}$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))

    def freeze(self):
        podman("pause", self.name)
        self.frozen = True

    def thaw(self):
        if self.frozen:
            podman("unpause", self.name)
        self.frozen = False

    def close(self):
        self.thaw()
        podman("rm", "-f", "-v", "-t", "0", self.name)

    def create_database(self, name):
        return PodDatabase(self, super().create_database(name).name)

    def sample(self):
        """The database with the sample data, which the image brings."""
        return PodDatabase(self, "postgres")


class PodDatabase(Database):
    """A database as the tests see it and as a pod sees it."""

    def pod_environment(self):
        """What a pod's ConfigMap and Secret say."""
        return {"DB_HOST": self.server.name, "DB_PORT": "5432", "DB_NAME": self.name, "DB_USER": self.user,
                "DB_USERNAME": self.user, "DB_PASSWORD": self.password}


class Pod(Service):
    """The manifests' Deployment, changed only in image, names, ConfigMap and Secrets."""

    count = 0
    ended = False

    def __init__(self, network, environment, wait=True, image=None, port=None,  # pylint: disable=super-init-not-called
                 keys=None, certificate=None, **variables):
        """With a certificate, a folder with tls.crt and tls.key, it also has TLS at tls_port; with SIGN_IN, people sign in there."""
        Pod.count += 1
        self.port = port or free_port()
        self.tls_port = free_port() if certificate else None
        self.certificate = certificate
        self.sign_in = variables.pop("SIGN_IN", None) or environment.pop("SIGN_IN", None)
        self.network = network
        self.suffix = f"-test-{os.getpid()}-{Pod.count}"
        self.key = key_of_tests().field
        self.name = f"coworking{self.suffix}-pod"
        self.image = image or network.image
        self.told = None
        self.first = []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coworking-test-pod.", dir=ROOT / "build"))
        variables = {**environment, **variables}
        secrets = {"coworking": {key: variables.pop(key) for key in ("DB_PASSWORD",)},
                   "coworking-keys": {"keys": key_of_tests().line if keys is None else keys} if keys is not False else {},
                   "coworking-tls": {file.name: file.read_text() for file in certificate.iterdir()} if certificate else {},
                   "coworking-migrate": {key: variables.pop(key) for key in list(variables) if key.startswith("MIGRATE_")}}
        self._write(variables, {name: values for name, values in secrets.items() if values or name == "coworking"})
        self._play()
        if wait:
            try:
                assert self.play.returncode == 0, self.play.stderr + "".join(self.log)
                wait_until(self.is_up, 30, "the pod's start")
            except BaseException:
                self.kill()
                raise

    def _play(self):
        """Starts it; again where runc could not copy itself, which happens while another of its copies is being written."""
        play = ["kube", "play", "--network", self.network.name, "--publish", f"127.0.0.1:{self.port}:5153",
                *(["--publish", f"127.0.0.1:{self.tls_port}:5443"] if self.certificate else []), self.folder / "pod.yaml"]
        self.play = podman(*play, check=False)
        if "ensure we are a cloned binary" in self.play.stderr:
            self.play = podman(*play, "--replace", check=False)

    def _write(self, variables, secrets):
        # A value of None takes the key out.
        patch = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "coworking"}, "data": variables}
        reference = (ROOT / "manifests/coworking.yaml").read_text().split("image: &image ")[1].split("\n")[0]
        name, tag = self.image.rsplit(":", 1)
        (self.folder / "kustomization.yaml").write_text(json.dumps({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
            "resources": [os.path.relpath(ROOT / "manifests", self.folder)],
            "components": [os.path.relpath(ROOT / "manifests" / name, self.folder)
                           for name, wanted in (("sso", self.sign_in), ("tls", self.certificate)) if wanted],
            "nameSuffix": self.suffix,
            "images": [{"name": reference.rsplit(":", 1)[0], "newName": name, "newTag": tag}],
            "patches": [{"patch": json.dumps(patch)}],
            "secretGenerator": [{"name": secret, "literals": [f"{key}={value}" for key, value in values.items()]}
                                for secret, values in secrets.items()],
            "generatorOptions": {"disableNameSuffixHash": True}}))
        manifests = subprocess.run(["kubectl", "kustomize", self.folder], capture_output=True, text=True, check=False)
        assert manifests.returncode == 0, manifests.stderr
        # Without the Deployment of oauth2-proxy, which runs on this machine.
        objects = [text for text in manifests.stdout.split("\n---\n") if f"\n  name: coworking-sign-in{self.suffix}\n" not in text]
        text = "\n---\n".join(objects).replace("server    coworking-sign-in:4180;", f"server    {self.sign_in};")
        # podman shares an emptyDir among all pods that call it by the same name.
        (self.folder / "pod.yaml").write_text(re.sub(r"name: (run|tmp)$", rf"name: \1{self.suffix}", text, flags=re.MULTILINE))

    def write_keys(self, text):
        """Replaces the file of keys, as a cluster does some time after the Secret has changed."""
        (self.folder / "keys").write_text(text)
        with tarfile.open(self.folder / "keys.tar", "w") as archive:
            archive.add(self.folder / "keys", "keys")
        podman("volume", "import", self.volume("/app/access"), self.folder / "keys.tar")

    def volume(self, mount_path):
        """podman's name of the volume that nginx has there."""
        return next(mount["Name"] for mount in self.inspect("nginx")["Mounts"] if mount["Destination"] == mount_path)

    def container(self, name):
        """podman's name of a container of the manifests."""
        return f"{self.name}-{name}"

    def answers(self):
        """Whether nginx does."""
        try:
            return self.get("/health_check").status == 200
        except OSError:
            return False

    def is_up(self):
        """Whether nginx and both pools answer: what the manifests' startup and readiness probes ask, but for the database."""
        return self.answers() and self.get("/api/none").status == 404

    def inspect(self, name):
        """What podman knows of a container."""
        return json.loads(podman("inspect", self.container(name)).stdout)[0]

    def states(self):
        """Of each container when it was started, and its first process."""
        found = json.loads(podman("inspect", *map(self.container, CONTAINERS)).stdout)
        return {name: (one["State"]["StartedAt"], one["State"]["Pid"]) for name, one in zip(CONTAINERS, found)}

    def logs(self, name):
        """A container's lines, both streams."""
        done = podman("logs", self.container(name), check=False)
        return (done.stdout + done.stderr).splitlines(keepends=True)

    @property
    def log(self):
        """All lines of all containers."""
        return [line for name in CONTAINERS for line in self.logs(name)]

    @property
    def errors(self):
        """As Service has it; a container's two streams are one here."""
        return [line for line in self.log if not line.startswith("{")]

    def first_pids(self):
        """The first process of each container that runs. podman, which is slow, is asked when one has ended."""
        if len(self.first) < len(CONTAINERS) or not all(map(is_alive, self.first)):
            self.first = [pid for _, pid in self.states().values() if pid]
        return self.first

    def pids(self, word, without=None):
        found = []
        for pid in (process for first in self.first_pids() for process in [first, *processes_below(first)]):
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if word in words[0] and (without is None or without not in words):
                found.append(pid)
        return found

    def stop(self, number=signal.SIGTERM, seconds=10):
        """Sends all containers a signal at the same moment and waits for their end. The pod's port goes on
        refusing connections until kill() removes the pod."""
        # In a pod that is to end a cluster starts nothing again.
        with concurrent.futures.ThreadPoolExecutor(len(CONTAINERS)) as pool:
            list(pool.map(lambda name: podman("update", "--restart", "no", self.container(name)), CONTAINERS))
        first = self.first_pids()
        pids = [process for pid in first for process in [pid, *processes_below(pid)]]
        self.ended = True
        self.told = time.monotonic()
        for pid in first:
            os.kill(pid, number)
        while time.monotonic() < self.told + seconds and any(map(is_alive, pids)):
            time.sleep(0.02)
        left = [pid for pid in pids if is_alive(pid)]
        assert not left, f"after {seconds} s processes are left: {left}"

    @property
    def status(self):
        return max(self.inspect(name)["State"]["ExitCode"] for name in CONTAINERS)

    def kill(self):
        """Removes all that podman made for it."""
        self.ended = True
        if self.folder.exists():
            podman("pod", "rm", "-f", "-t", "0", self.name, check=False)
            podman("kube", "down", "--force", self.folder / "pod.yaml", check=False)
            shutil.rmtree(self.folder)
