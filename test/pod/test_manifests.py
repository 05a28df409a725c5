"""The manifests as text: valid for several Kubernetes versions, within the database's connections, confined."""

import re
import subprocess
import sys

import pytest
import yaml
from pod import manifest
from postgres import ROOT

MANIFESTS = ROOT / "manifests"
# Those for eksctl, helm, kustomize and CloudFormation are no Kubernetes objects.
OTHERS = ("cluster.yaml", "kustomization.yaml", "postgresql-values.yaml")
FILES = sorted(path for path in MANIFESTS.glob("*.yaml") if path.name not in OTHERS)
VERSIONS = ("1.36", "1.37")
UNITS = {"Mi": 1024**2, "Gi": 1024**3}


@pytest.fixture(scope="session")
def validator():
    """kubernetes-validate, which brings Kubernetes' schemas along, in an environment of its own."""
    folder = ROOT / "build/kubernetes-validate"
    program = folder / "bin/kubernetes-validate"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        installed = subprocess.run([folder / "bin/pip", "install", "-q", "kubernetes-validate==1.37.0"],
                                   capture_output=True, text=True, check=False)
        if installed.returncode:
            pytest.skip(f"kubernetes-validate cannot be installed: {installed.stderr.splitlines()[-1]}")
    return program


def validate(validator, version, path):
    """The finished process; unknown fields are errors."""
    return subprocess.run([validator, "--strict", "-k", version, path], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_schemas(validator, version, path):
    done = validate(validator, version, path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_schemas_know_an_unknown_field(validator, tmp_path):
    spoilt = tmp_path / "coworking.yaml"
    text = (MANIFESTS / "coworking.yaml").read_text()
    spoilt.write_text(text.replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    assert spoilt.read_text() != text
    assert validate(validator, VERSIONS[0], spoilt).returncode != 0


@pytest.fixture(scope="module")
def pod_template():
    """The Deployment's pod."""
    return manifest("coworking.yaml", "Deployment")["spec"]["template"]["spec"]


def millicores(text):
    """"250m" or "1"."""
    return int(text[:-1]) if text.endswith("m") else int(text) * 1000


def size(text):
    """"64Mi" in bytes."""
    return int(text[:-2]) * UNITS[text[-2:]]


def test_requests_and_limits_add_up(pod_template):
    for kind, memory, cpu in (("requests", 128 * UNITS["Mi"], 250), ("limits", 256 * UNITS["Mi"], 500)):
        resources = [container["resources"][kind] for container in pod_template["containers"]]
        assert sum(size(one["memory"]) for one in resources) == memory
        assert sum(millicores(one["cpu"]) for one in resources) == cpu


def test_connections_fit_the_database():
    """And the sum is right where it is said."""
    workers = int(manifest("configmap.yaml", "ConfigMap")["data"]["FCGI_WORKERS"])
    replicas = manifest("hpa.yaml", "HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    assert manifest("coworking.yaml", "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    connections = (workers + 1 + 1) * (2 * replicas) + 1
    values = (MANIFESTS / "postgresql-values.yaml").read_text()
    assert connections < int(re.search(r"max_connections = (\d+)", values)[1]) - 3  # kept for superusers
    said = f"= ({workers} + 1 + 1) x (2 x {replicas}) + 1 = {connections}"
    assert said in (MANIFESTS / "configmap.yaml").read_text()
    assert f", {connections} as it is" in (ROOT / "README.md").read_text()


def test_every_container_is_confined(pod_template):
    """Pod Security's level "restricted"."""
    assert pod_template["securityContext"]["runAsNonRoot"] is True
    assert pod_template["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod_template["initContainers"] + pod_template["containers"]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                "capabilities": {"drop": ["ALL"]}}
    assert all(set(volume) <= {"name", "emptyDir"} for volume in pod_template["volumes"])


def test_the_tag_stands_once():
    assert len(re.findall(r"image: [^*]", (MANIFESTS / "coworking.yaml").read_text())) == 1


def test_no_secret_is_applied_by_kustomize():
    assert "secret.yaml" not in yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]


def test_the_example_password_cannot_be_taken_for_a_real_one():
    assert manifest("secret.yaml", "Secret")["stringData"]["DB_PASSWORD"].startswith("EXAMPLE-")
