"""The contents of the image: the programs, their libraries, a short list of files, and nothing else."""

import gzip
import hashlib
import io
import json
import re
import subprocess
import tarfile

import pytest
from environment import outward
from pod import copy_sources, podman
from postgres import ROOT

UID = 65532
MOUNTS = ("app/run", "app/tmp")
LOADER = "/lib64/ld-linux-x86-64.so.2"


def layers_of(image):
    """The image's layers as tar archives, from `podman save`."""
    saved = subprocess.run(["podman", "save", image], env=outward(), capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]
        return [archive.extractfile(name).read() for name in manifest["Layers"]]


def read(layers):
    """All entries of the layers by path, with the digests of their contents."""
    entries = {}
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            for member in archive:
                content = archive.extractfile(member).read() if member.isfile() else b""
                entries[member.name.strip("/")] = (member, hashlib.sha256(content).hexdigest())
    return {name: entry for name, entry in entries.items() if name}


@pytest.fixture(scope="module")
def layers(network):
    """The image's layers."""
    return layers_of(network.image)


@pytest.fixture(scope="module")
def entries(layers):
    """The entries of these layers."""
    return read(layers)


@pytest.fixture(scope="module")
def listed():
    """The paths in docker/image-files."""
    lines = (ROOT / "docker/image-files").read_text().splitlines()
    return [line.split()[0].strip("/") for line in lines if line.strip() and not line.startswith("#")]


def test_size(layers, say):
    size = sum(len(gzip.compress(layer, 6)) for layer in layers)
    say(f"{size / 1e6:.2f} MB compressed, {sum(map(len, layers)) / 1e6:.1f} MB unpacked")
    assert size <= 12_000_000


def test_every_file_is_listed_or_a_library_of_a_program(network, entries, listed):
    files = {name for name, (member, _) in entries.items() if not member.isdir()}
    expected = {name for name in files if any(name == entry or name.startswith(f"{entry}/") for entry in listed)}
    programs = [name for name in expected if entries[name][0].mode & 0o111]
    # The image's own loader lists what it loads.
    for program in programs:
        listing = podman("run", "--rm", "--network", "none", "--entrypoint", LOADER, network.image,
                         "--list", f"/{program}").stdout
        assert "not found" not in listing, listing
        expected |= {path.strip("/") for path in re.findall(r"(?:^|[\s>])(/\S+)", listing)}
    assert len(programs) == 9
    assert files == expected
    assert all(entry in entries for entry in listed)


def test_no_shell_and_nothing_writable_or_setuid(entries):
    names = {name.rsplit("/", 1)[-1] for name in entries}
    assert not names & {"sh", "bash", "dash", "busybox", "apt", "apt-get", "dpkg", "perl", "python3", "curl", "wget"}
    executable = {name for name, (member, _) in entries.items() if member.isfile() and member.mode & 0o111}
    assert all(name.startswith(("usr/bin/", "usr/sbin/", "lib64/ld-")) for name in executable)
    for name, (member, _) in entries.items():
        assert not member.mode & 0o6000, f"{name} is setuid or setgid"
        assert member.isdir() or member.isfile(), f"{name} is neither file nor folder"
        if name not in MOUNTS:
            assert (member.uid, member.gid) == (0, 0) and not member.mode & 0o022, f"{name} is writable"


def test_labels_and_settings(network):
    config = json.loads(podman("inspect", network.image).stdout)[0]["Config"]
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert labels["version"] == subprocess.check_output([ROOT / "docker/version"], text=True).strip()
    assert labels["version"].replace("+", "_") == network.image.rsplit(":", 1)[1]
    assert labels["revision"] == commit
    assert labels["source"] and "@" not in labels["source"]
    assert config["User"] == f"{UID}:{UID}"
    assert "StopSignal" not in config  # unset means TERM, which a cluster sends
    assert podman("run", "--rm", network.image, "/usr/bin/analytics-fcgi", "--version").stdout.strip() == labels["version"]


def test_the_same_sources_make_the_same_layers(network, entries, tmp_path):
    """Apart from time stamps, and with the same packages of the distribution, which come from podman's cache."""
    again = f"{network.image}-again"
    version = subprocess.check_output([ROOT / "docker/version"], text=True).strip()
    source = copy_sources(tmp_path / "source")
    with open(source / "CHANGELOG.md", "a", encoding="utf-8") as changelog:
        changelog.write("\n")  # so that what comes after the packages is built anew
    podman("build", "-q", "-f", source / "docker/Dockerfile", "-t", again,
           "--secret", f"id=certificates,src={ROOT}/build/certificates.pem", "--build-arg", f"VERSION={version}", source)
    try:
        twin = read(layers_of(again))
    finally:
        podman("rmi", again)

    def essence(all_entries):
        return {name: (member.mode, member.uid, member.gid, member.size, digest)
                for name, (member, digest) in all_entries.items()}

    assert essence(twin) == essence(entries)
