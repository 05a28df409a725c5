"""/openapi.json and /api/reports/ describe what the service does; checked item by item, and with schemathesis."""

import json
import os
import re
import subprocess

import law
import pytest
from fixtures import names
from packages import install
from postgres import ROOT
from reports import name_of, parameters_of
from target import start_service

pytestmark = pytest.mark.one_build("sanitized")

SCHEMATHESIS = "schemathesis==4.32.5"
SECONDS = 60  # a busy machine needs as long for what is wanted
METHODS = {"get"}
NAMES = list(map(name_of, law.REPORTS))


@pytest.fixture(scope="module")
def description(service):
    """The OpenAPI document."""
    answer = service.get("/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    return answer.json()


def test_the_list_names_every_report(service, description):
    answer = service.get("/api/reports/")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert [line["path"] for line in answer.json()] == law.REPORTS
    for line in answer.json():
        assert list(line) == ["name", "path", "description", "parameters"]
        operation = description["paths"][line["path"]]["get"]
        assert (line["name"], line["description"]) == (operation["operationId"], operation["summary"])
        assert line["parameters"].split(",") == [parameter["name"] for parameter in operation["parameters"]]


def test_every_path_is_described(description):
    assert description["openapi"] == "3.1.0"
    assert set(description["paths"]) == {*law.REPORTS, "/api/reports/", "/openapi.json", "/health_check",
                                         "/readiness_check"}
    assert {method for path in description["paths"].values() for method in path} == METHODS
    names = [path["get"]["operationId"] for path in description["paths"].values()]
    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere(description):
    references = re.findall(r'"\$ref": "#/([^"]*)"', json.dumps(description))
    used = set()
    for reference in references:
        found = description
        for step in reference.split("/"):
            found = found[step]
        used.add(reference)
    used |= {f"components/securitySchemes/{name}" for way in description["security"] for name in way}
    kept = {f"components/{kind}/{name}" for kind, members in description["components"].items() for name in members}
    assert used == kept


def test_a_key_is_described(description):
    """One of two ways, since `make run` may be open; the probes never want one."""
    scheme = description["components"]["securitySchemes"]["key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "basic") and description["security"] == [{"key": []}, {}]
    for path, methods in description["paths"].items():
        is_probe = path in ("/health_check", "/readiness_check")
        assert methods["get"].get("security") == ([] if is_probe else None), path
        assert ("401" in methods["get"]["responses"]) != is_probe, path


@pytest.mark.parametrize("path", law.REPORTS)
def test_columns_are_those_of_the_answer(service, database, description, path):
    name = path.rsplit("/", 1)[1]
    schema = description["components"]["schemas"][name]
    content = description["paths"][path]["get"]["responses"]["200"]["content"]
    header, line = content["text/csv"]["example"].splitlines()
    assert service.get(f"{path}?format=csv").body.decode().splitlines()[0] == header
    assert list(schema["properties"]) == schema["required"] == header.split(",") == law.read(database, name, {})[0]
    examples = content["application/json"]["examples"]
    record, = examples["records"]["value"]
    assert [str(value) for value in record.values()] == line.split(",")
    for row in service.get(f"{path}?format=records").json():
        assert {key: type(value) for key, value in row.items()} == {key: type(value) for key, value in record.items()}
    if "json" in examples:
        (key, value), = examples["json"]["value"].items()
        first, *others = record.values()
        assert key == str(first) and [*getattr(value, "values", lambda: [value])()] == others


def good_and_bad(parameter):
    """Values that a parameter's schema allows, and values that it does not."""
    schema = parameter["schema"]
    if "enum" in schema:
        return schema["enum"], [*(value.upper() for value in schema["enum"]), ""]
    if schema["type"] == "integer":
        return [schema["minimum"], schema["maximum"], parameter["example"]], [schema["minimum"] - 1, schema["maximum"] + 1, ""]
    if schema.get("format") == "date":
        return ["0001-01-01", "9999-12-31", parameter["example"]], ["0000-12-31", "10000-01-01", "2024-02-30", ""]
    assert re.fullmatch(schema["pattern"], parameter["example"])
    assert not re.fullmatch(schema["pattern"], "x")
    return [parameter["example"]], ["x", ""]


@pytest.mark.parametrize("path", law.REPORTS)
def test_described_parameters_are_the_accepted_ones(service, description, path):
    described = description["paths"][path]["get"]["parameters"]
    refusal = service.get(f"{path}?colour=red").json()["detail"]
    assert refusal.endswith("; allowed here: " + ", ".join(parameter["name"] for parameter in described))
    for parameter in described:
        good, bad = good_and_bad(parameter)
        assert parameter["in"] == "query" and parameter["description"]
        for value in good:
            assert service.get(f"{path}?{parameter['name']}={value}").status == 200, value
        for value in bad:
            assert service.get(f"{path}?{parameter['name']}={value}").status == 400, value
        if "default" in parameter["schema"]:
            default = parameter["schema"]["default"]
            assert service.get(f"{path}?{parameter['name']}={default}").body == service.get(path).body


def test_described_errors_are_the_answered_ones(service, description):
    described = description["components"]["responses"]["400"]["content"]["application/problem+json"]["example"]
    problem = service.get("/api/reports/user_visits?limit=0").json()
    assert {**problem, "instance": described["instance"]} == described


@pytest.mark.parametrize("path", [*law.REPORTS, "/api/reports/", "/openapi.json", "/health_check", "/readiness_check"])
def test_described_fields_and_media_types_are_sent(service, description, path):
    operation = description["paths"][path]["get"]
    described = operation["responses"]["200"]
    answer = service.get(path + ("?limit=1" if path in law.REPORTS and "limit" in parameters_of(path) else ""))
    assert answer.headers["Content-Type"].split(";")[0] == next(iter(described["content"]))
    for name in set(described["headers"]) - {"Content-Disposition"}:
        schema = description["components"]["headers"][name]["schema"]
        assert re.search(schema["pattern"], answer.headers[name]), name
    for name in ("ETag", "Link"):
        assert (name in described["headers"]) == (answer.headers[name] is not None)
    assert ("304" in operation["responses"]) == (answer.headers["ETag"] is not None)


def test_a_document_s_tag_is_that_of_its_text(service, run, database):
    tags = {path: service.get(path).headers["ETag"] for path in ("/openapi.json", "/api/reports/")}
    other = run(database)
    for path, tag in tags.items():
        assert other.get(path).headers["ETag"] == tag
    assert len(set(tags.values())) == 2


def test_documents_need_no_database(run):
    service = run(DB_HOST="127.0.0.1", DB_PORT="1", DB_USER="u", DB_PASSWORD="p")
    assert list(service.get("/openapi.json").json()["paths"])
    assert [line["name"] for line in service.get("/api/reports/").json()] == NAMES


@pytest.fixture(scope="session")
def schemathesis():
    """The schemathesis program, installed into build/ if it is missing."""
    return install(SCHEMATHESIS) / "bin/schemathesis"


def test_schemathesis_finds_nothing(schemathesis, programs, server, tmp_path):
    database = server.create_database(next(names))
    database.run_file(ROOT / "sql/coworking/sample.sql")
    service = start_service(programs, database.environment())  # starting a service migrates
    try:
        finished = subprocess.run(
            [schemathesis, "run", f"http://127.0.0.1:{service.port}/openapi.json", "--no-color",
             "--max-time", str(SECONDS), "--max-examples", "100", "--generation-database", "none"],
            cwd=tmp_path, capture_output=True, text=True, timeout=4 * SECONDS, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT / "test/support"), "SCHEMATHESIS_HOOKS": "schemathesis_hooks"})
    finally:
        service.stop()
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "No issues found" in finished.stdout
    assert int(re.search(r"(\d+) generated", finished.stdout)[1]) > 500
