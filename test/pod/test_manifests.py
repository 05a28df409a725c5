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
# The cluster's own, and the newest that the schemas know.
VERSIONS = (yaml.safe_load((MANIFESTS / "cluster.yaml").read_text())["metadata"]["version"], "1.36", "1.37")
TEMPLATES = sorted((MANIFESTS / "cloudwatch").glob("*.yaml"))
# None while an image is built, which takes no README.
README = [path for path in [ROOT / "README.md"] if path.exists()]
UNITS = {"Mi": 1024**2, "Gi": 1024**3}

# Of those that the AWS Load Balancer Controller documents for Services (docs/guide/service/annotations.md, 00681b8).
ANNOTATIONS = {f"service.beta.kubernetes.io/aws-load-balancer-{name}" for name in (
    "type", "nlb-target-type", "scheme", "subnets", "attributes", "target-group-attributes", "security-groups",
    "healthcheck-protocol", "healthcheck-port", "healthcheck-path", "healthcheck-success-codes",
    "healthcheck-interval", "healthcheck-timeout", "healthcheck-healthy-threshold",
    "healthcheck-unhealthy-threshold")}
# Of those that values.yaml of bitnami/postgresql 17.1.0 has, the ones in use. helm takes any name without a word.
CHART_VALUES = {
    "global.security.allowInsecureImages", "image.repository", "image.tag", "auth.username", "auth.database",
    "primary.nodeAffinityPreset.type", "primary.nodeAffinityPreset.key", "primary.nodeAffinityPreset.values",
    "primary.persistence.storageClass", "primary.persistence.size", "primary.extendedConfiguration",
    "primary.resources.requests.cpu", "primary.resources.requests.memory", "primary.resources.limits.memory"}


def install(requirement):
    """A program of that name from PyPI, in an environment of its own. Skips the test where it cannot be had."""
    name = requirement.partition("==")[0]
    folder = ROOT / "build" / name
    program = folder / "bin" / name
    if not program.exists():
        for command in ([sys.executable, "-m", "venv", folder], [folder / "bin/pip", "install", "-q", requirement]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
                pytest.skip(f"{name} cannot be installed: {reason[-1]}")
    return program


@pytest.fixture(scope="session")
def validator():
    """kubernetes-validate, which brings Kubernetes' schemas along."""
    return install("kubernetes-validate==1.37.0")


@pytest.fixture(scope="session")
def template_linter():
    """cfn-lint, which brings CloudFormation's schemas along."""
    return install("cfn-lint==1.51.0")


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


def lint(template_linter, path):
    """The finished process; warnings count."""
    return subprocess.run([template_linter, "--non-zero-exit-code", "warning", "--", path], capture_output=True,
                          text=True, check=False)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_cloudformation(template_linter, path):
    done = lint(template_linter, path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_cloudformation_knows_an_unknown_property(template_linter, tmp_path):
    spoilt = tmp_path / "metrics.yaml"
    text = (MANIFESTS / "cloudwatch/metrics.yaml").read_text()
    spoilt.write_text(text.replace("TreatMissingData", "TreatMissing", 1))
    assert spoilt.read_text() != text
    assert "TreatMissing" in lint(template_linter, spoilt).stdout


@pytest.mark.parametrize("path", [*TEMPLATES, *README], ids=lambda path: path.name)
def test_cloudwatch_reads_what_the_programs_log(path):
    sources = "".join(source.read_text() for source in [*ROOT.glob("fcgi/*.c"), ROOT / "nginx/nginx.conf"])
    fields = set(re.findall(r"log_processed\.(\w+)", path.read_text()))
    assert fields
    # The logger makes NAME_ms of NAME.
    assert {field for field in fields if f'"{field.removesuffix("_ms")}"' not in sources} == set()


def test_the_alarm_knows_how_rollups_fail():
    pattern = re.findall(r'log_processed\.rollups = "([^"]+)"', (MANIFESTS / "cloudwatch/metrics.yaml").read_text())
    assert pattern == ["set aside", "failed"]
    assert "'set aside'" in (ROOT / "sql/functions/80_upkeep.sql").read_text()
    assert '"failed"' in (ROOT / "fcgi/usage_logger.c").read_text()


@pytest.mark.parametrize("path", [MANIFESTS / "coworking.yaml", *README], ids=lambda path: path.name)
def test_the_load_balancer_controller_knows_the_annotations(path):
    used = set(re.findall(r"[\w.]+\.kubernetes\.io/[\w-]*load-balancer[\w-]*", path.read_text()))
    assert used
    assert used <= ANNOTATIONS


def leaves(values, path=""):
    """The dotted names of all values that are no mappings."""
    if not isinstance(values, dict):
        return {path}
    return {name for key, value in values.items() for name in leaves(value, f"{path}.{key}" if path else key)}


def test_the_chart_knows_the_values():
    assert leaves(yaml.safe_load((MANIFESTS / "postgresql-values.yaml").read_text())) <= CHART_VALUES


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
    connections = (workers + 1 + 1) * (2 * replicas) + 1
    values = (MANIFESTS / "postgresql-values.yaml").read_text()
    assert connections < int(re.search(r"max_connections = (\d+)", values)[1]) - 3  # kept for superusers
    said = f"= ({workers} + 1 + 1) x (2 x {replicas}) + 1 = {connections}"
    assert said in (MANIFESTS / "configmap.yaml").read_text()
    assert all(f", {connections} as it is" in path.read_text() for path in README)


def test_times_fit_each_other(pod_template):
    containers = {container["name"]: container for container in pod_template["containers"]}
    configured = int(manifest("configmap.yaml", "ConfigMap")["data"]["STATEMENT_TIMEOUT_MS"])
    default = int(re.search(r'"STATEMENT_TIMEOUT_MS",.*?"(\d+)"', (ROOT / "fcgi/config.c").read_text())[1])
    report = max(configured, default) / 1000
    # The probe queues behind reports that may take as long as they are allowed to.
    assert containers["reports"]["livenessProbe"]["timeoutSeconds"] > report
    # Load balancers turn away, then nginx finishes what it has accepted, then the reports end.
    nginx, reports = (containers[name]["lifecycle"]["preStop"]["sleep"]["seconds"] for name in ("nginx", "reports"))
    shutdown = int(re.search(r"worker_shutdown_timeout (\d+)s", (ROOT / "nginx/nginx.conf").read_text())[1])
    assert shutdown > report
    assert nginx + shutdown < reports
    assert reports + report < pod_template["terminationGracePeriodSeconds"]


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
