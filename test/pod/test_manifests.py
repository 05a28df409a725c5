"""The manifests as files: valid for several Kubernetes versions, consistent, and confined."""

import re
import shutil
import subprocess

import pytest
import yaml
from packages import install
from pod import manifest
from postgres import ROOT

MANIFESTS = ROOT / "manifests"
# Files for eksctl, helm, kustomize and CloudFormation are not Kubernetes objects.
OTHERS = ("cluster.yaml", "kustomization.yaml", "postgresql-values.yaml")
FILES = sorted(path for path in MANIFESTS.glob("*.yaml") if path.name not in OTHERS)
# The version of our cluster, and the newest one with schemas.
VERSIONS = (yaml.safe_load((MANIFESTS / "cluster.yaml").read_text())["metadata"]["version"], "1.36", "1.37")
TEMPLATES = sorted((MANIFESTS / "cloudwatch").glob("*.yaml"))
README = MANIFESTS / "README.md"
UNITS = {"Mi": 1024**2, "Gi": 1024**3}

# Some of the annotations that the AWS Load Balancer Controller documents for Services
# (docs/guide/service/annotations.md, 00681b8).
ANNOTATIONS = {f"service.beta.kubernetes.io/aws-load-balancer-{name}" for name in (
    "type", "nlb-target-type", "scheme", "subnets", "attributes", "target-group-attributes", "security-groups",
    "healthcheck-protocol", "healthcheck-port", "healthcheck-path", "healthcheck-success-codes",
    "healthcheck-interval", "healthcheck-timeout", "healthcheck-healthy-threshold",
    "healthcheck-unhealthy-threshold", "ssl-cert", "ssl-ports", "ssl-negotiation-policy", "backend-protocol")}
# The values of bitnami/postgresql 17.1.0 that we use. helm accepts unknown names silently.
CHART_VALUES = {
    "global.security.allowInsecureImages", "image.repository", "image.tag", "auth.username", "auth.database",
    "primary.nodeAffinityPreset.type", "primary.nodeAffinityPreset.key", "primary.nodeAffinityPreset.values",
    "primary.persistence.storageClass", "primary.persistence.size", "primary.extendedConfiguration",
    "primary.resources.requests.cpu", "primary.resources.requests.memory", "primary.resources.limits.memory"}


@pytest.fixture(scope="session")
def validator():
    """kubernetes-validate, which includes Kubernetes' schemas."""
    return install("kubernetes-validate==1.37.0") / "bin/kubernetes-validate"


@pytest.fixture(scope="session")
def template_linter():
    """cfn-lint, which includes CloudFormation's schemas."""
    return install("cfn-lint==1.51.0") / "bin/cfn-lint"


def validate(validator, version, *paths):
    """Validates files, with unknown fields as errors; returns the finished process."""
    return subprocess.run([validator, "--strict", "-k", version, *paths], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas(validator, version):
    done = validate(validator, version, *FILES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("INFO ") >= len(FILES), done.stdout


COMPONENTS = ["https", "tls", "database-tls", "sso"]


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Builds the manifests with components; returns the objects by kind and name."""
    copy = tmp_path_factory.mktemp("manifests") / "manifests"
    shutil.copytree(MANIFESTS, copy)
    (copy / "database-tls/ca.crt").write_text("a certificate")
    base = (copy / "kustomization.yaml").read_text()

    def run(*components):
        (copy / "kustomization.yaml").write_text(f"{base}components: [{', '.join(components)}]\n")
        done = subprocess.run(["kubectl", "kustomize", copy], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (copy / "built.yaml").write_text(done.stdout)
        return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout)}, copy / "built.yaml"

    return run


@pytest.mark.parametrize("components", [*([one] for one in COMPONENTS), COMPONENTS], ids="+".join)
def test_components(validator, build, components):
    objects, path = build(*components)
    done = validate(validator, VERSIONS[0], path)
    assert done.returncode == 0, done.stdout + done.stderr
    pod = objects["Deployment", "coworking"]["spec"]["template"]["spec"]
    mounted = {container["name"]: {mount["mountPath"] for mount in container.get("volumeMounts", [])}
               for container in [*pod["initContainers"], *pod["containers"]]}
    service, policy = objects["Service", "coworking"], objects["NetworkPolicy", "coworking"]
    assert ("/app/sign_in" in mounted["nginx"]) == ("sso" in components)
    assert ("/app/tls" in mounted["nginx"]) == ("tls" in components)
    assert ("/app/https" in mounted["nginx"]) == ("https" in components)
    assert {name for name, paths in mounted.items() if "/app/database-ca" in paths} == (
        set(mounted) - {"nginx"} if "database-tls" in components else set())
    assert (objects["ConfigMap", "coworking"]["data"].get("PGSSLMODE") == "verify-full") == ("database-tls" in components)
    port, = service["spec"]["ports"]
    assert port["port"] == (443 if "https" in components else 5153)
    assert port["targetPort"] == policy["spec"]["ingress"][0]["ports"][0]["port"] == ("https" if "tls" in components else "http")


def test_sign_in_is_confined(build):
    objects, _ = build("sso")
    pod = objects["Deployment", "coworking-sign-in"]["spec"]["template"]["spec"]
    container, = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                            "capabilities": {"drop": ["ALL"]}}
    assert container["image"].rsplit(":", 1)[1] == "v" + re.search(
        r"oauth2-proxy/v7 v(\S+)", (ROOT / "test/support/provider/go.mod").read_text())[1], "the tests have another version"
    source, = objects["NetworkPolicy", "coworking-sign-in"]["spec"]["ingress"]
    assert source["from"] == [{"podSelector": {"matchLabels": {"service": "coworking"}}}]
    assert not [variable for variable in container["env"] if "SECRET" in variable["name"] and not variable["name"].endswith("_FILE")]


def test_the_schemas_reject_an_unknown_field(validator, tmp_path):
    spoilt = tmp_path / "coworking.yaml"
    text = (MANIFESTS / "coworking.yaml").read_text()
    spoilt.write_text(text.replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    assert spoilt.read_text() != text
    assert validate(validator, VERSIONS[0], spoilt).returncode != 0


def lint(template_linter, path):
    """Lints a template, with warnings as errors; returns the finished process."""
    return subprocess.run([template_linter, "--non-zero-exit-code", "warning", "--", path], capture_output=True,
                          text=True, check=False)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_cloudformation(template_linter, path):
    done = lint(template_linter, path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_cfn_lint_rejects_an_unknown_property(template_linter, tmp_path):
    spoilt = tmp_path / "metrics.yaml"
    text = (MANIFESTS / "cloudwatch/metrics.yaml").read_text()
    spoilt.write_text(text.replace("TreatMissingData", "TreatMissing", 1))
    assert spoilt.read_text() != text
    assert "TreatMissing" in lint(template_linter, spoilt).stdout


@pytest.mark.parametrize("path", [*TEMPLATES, README], ids=lambda path: path.name)
def test_cloudwatch_reads_what_the_programs_log(path):
    sources = "".join(source.read_text() for source in [*ROOT.glob("fcgi/*.c"), ROOT / "nginx/nginx.conf"])
    fields = set(re.findall(r"log_processed\.(\w+)", path.read_text()))
    assert fields
    # The logger builds NAME_ms from NAME.
    assert {field for field in fields if f'"{field.removesuffix("_ms")}"' not in sources} == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_cloudwatch_counts_only_lines_of_the_container_that_writes_them(path):
    writers = {"access": "nginx", "usage": "logger"}
    text = re.sub(r"\s+", " ", path.read_text())
    conditions = re.findall(r'(\S+ \S+ \S+ \S+) \S*log_processed\.event = "(\w+)"', text)
    assert len(conditions) == text.count("log_processed.event") > 0
    for before, event in conditions:
        assert f'kubernetes.container_name = "{writers[event]}"' in before


def test_the_alarm_covers_all_failures_of_rollups():
    pattern = re.findall(r'log_processed\.rollups = "([^"]+)"', (MANIFESTS / "cloudwatch/metrics.yaml").read_text())
    assert pattern == ["set aside", "failed"]
    assert "'set aside'" in (ROOT / "sql/functions/80_upkeep.sql").read_text()
    assert '"failed"' in (ROOT / "fcgi/usage_logger.c").read_text()


ANNOTATED = [MANIFESTS / "coworking.yaml", MANIFESTS / "https/kustomization.yaml", MANIFESTS / "tls/kustomization.yaml"]


@pytest.mark.parametrize("path", ANNOTATED, ids=lambda path: path.parent.name)
def test_the_annotations_are_documented_ones(path):
    used = set(re.findall(r"[\w.]+\.kubernetes\.io/[\w-]*load-balancer[\w-]*", path.read_text().replace("~1", "/")))
    assert used
    assert used <= ANNOTATIONS


def leaves(values, path=""):
    """The dotted names of all values that are not mappings."""
    if not isinstance(values, dict):
        return {path}
    return {name for key, value in values.items() for name in leaves(value, f"{path}.{key}" if path else key)}


def test_the_chart_has_the_values():
    assert leaves(yaml.safe_load((MANIFESTS / "postgresql-values.yaml").read_text())) <= CHART_VALUES


@pytest.fixture(scope="module")
def pod_template():
    """The Deployment's pod."""
    return manifest("coworking.yaml", "Deployment")["spec"]["template"]["spec"]


def millicores(text):
    """Reads "250m" or "1"."""
    return int(text[:-1]) if text.endswith("m") else int(text) * 1000


def size(text):
    """Reads "64Mi" as bytes."""
    return int(text[:-2]) * UNITS[text[-2:]]


def test_requests_and_limits_add_up(pod_template):
    for kind, memory, cpu in (("requests", 128 * UNITS["Mi"], 250), ("limits", 256 * UNITS["Mi"], 500)):
        resources = [container["resources"][kind] for container in pod_template["containers"]]
        assert sum(size(one["memory"]) for one in resources) == memory
        assert sum(millicores(one["cpu"]) for one in resources) == cpu


def test_whatever_is_short_scales():
    """Gzip for browsers keeps nginx busy, and queries the workers; the other containers do not see clients' load."""
    metrics = manifest("hpa.yaml", "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert {metric["containerResource"]["container"] for metric in metrics} == {"nginx", "reports"}


def test_connections_fit_the_database():
    """And the documented sum is right."""
    workers = int(manifest("configmap.yaml", "ConfigMap")["data"]["FCGI_WORKERS"])
    replicas = manifest("hpa.yaml", "HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    connections = (workers + 1 + 1) * (2 * replicas) + 1
    values = (MANIFESTS / "postgresql-values.yaml").read_text()
    assert connections < int(re.search(r"max_connections = (\d+)", values)[1]) - 3  # reserved for superusers
    said = f"= ({workers} + 1 + 1) x (2 x {replicas}) + 1 = {connections}"
    assert said in (MANIFESTS / "configmap.yaml").read_text()
    assert f"+ migration = {connections} here" in README.read_text()


def test_time_limits_are_consistent(pod_template):
    containers = {container["name"]: container for container in pod_template["containers"]}
    configured = int(manifest("configmap.yaml", "ConfigMap")["data"]["STATEMENT_TIMEOUT_MS"])
    default = int(re.search(r'"STATEMENT_TIMEOUT_MS",.*?"(\d+)"', (ROOT / "fcgi/config.c").read_text())[1])
    report = max(configured, default) / 1000
    # The probe waits behind reports, each of which may take up to its limit.
    assert containers["reports"]["livenessProbe"]["timeoutSeconds"] > report
    # First load balancers stop sending, then nginx finishes accepted requests, then the report workers end.
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
    assert all(set(volume) <= {"name", "emptyDir", "secret"} for volume in pod_template["volumes"])


def test_the_image_s_tag_is_written_once():
    assert len(re.findall(r"image: [^*]", (MANIFESTS / "coworking.yaml").read_text())) == 1


def test_no_secret_is_applied_by_kustomize():
    assert "secret.yaml" not in yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]


def test_the_example_values_are_obviously_examples():
    for document in yaml.safe_load_all((MANIFESTS / "secret.yaml").read_text()):
        assert all("EXAMPLE-replace-this-" in value for name, value in document["stringData"].items() if "USERNAME" not in name)


def test_only_the_migration_has_the_administrator_s_password(pod_template):
    """In Kubernetes, `env` takes precedence over `envFrom` (API reference, Container); podman has it the other way round."""
    own = {"server-names": "WORKER", "reports": "WORKER", "probe": "WORKER", "logger": "LOGGER"}
    for container in pod_template["initContainers"] + pod_template["containers"]:
        given = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container.get("env", []) if "valueFrom" in one}
        if prefix := own.get(container["name"]):
            assert given == {f"DB_{what}": {"name": "coworking-logins", "key": f"{prefix}_{what}", "optional": True}
                             for what in ("USERNAME", "PASSWORD")}
        else:
            assert not given and (container["name"] == "nginx") == ("envFrom" not in container)


def test_nobody_is_let_in_without_a_key(pod_template):
    """The volume of keys is not optional, and nginx has it."""
    [access] = [volume for volume in pod_template["volumes"] if "secret" in volume]
    assert access == {"name": "access", "secret": {"secretName": "coworking-keys"}}
    users = {container["name"] for container in pod_template["initContainers"] + pod_template["containers"]
             if {"name": "access", "mountPath": "/app/access", "readOnly": True} in container.get("volumeMounts", [])}
    assert users == {"server-names", "nginx"}
