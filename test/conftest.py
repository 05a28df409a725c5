"""What all tests share: the build they run against, how they are spread over processes, and the report of a run."""

import json
import os
import pathlib

import environment
import pytest
from service import Service
from target import IS_POD

TALLY = os.environ.pop("TEST_TALLY", None)  # where test/run wants the counts; not for a run that a test starts
ONLY = set(json.loads(os.environ.pop("TEST_ONLY", "[]")))  # the tests that test/run runs again; empty for all
os.environ.pop("TEST_REPORTS", None)  # test/run's own: what a test runs would write over its files
environment.scrub()

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILDS = {"pod": ROOT / "build"} if IS_POD else {"plain": ROOT / "build", "sanitized": ROOT / "build/sanitized"}
if (chosen := os.environ.get("TEST_BUILD")) and not IS_POD:
    BUILDS = {chosen: BUILDS[chosen]}

# Files whose tests take longest. Processes begin with these, so that none is left with a long one at the end.
LONGEST = ["test_service_cases", "test_pipeline", "test_faults_of_containers", "test_faults", "test_commands", "test_hosts",
           "test_standby", "test_rollups_upkeep", "test_rollups_changes", "test_rollups", "test_migrations", "test_sql",
           "test_pooler", "test_http"]


@pytest.fixture(scope="session", params=list(BUILDS))
def programs(request):
    """The folder with the two programs: as they ship, and built with ASan and UBSan."""
    folder = BUILDS[request.param]
    assert (folder / "analytics-fcgi").exists(), f"build first: {folder} has no programs"
    return folder


@pytest.fixture
def say(record_property):
    """Prints what a test measured, where everyone sees it."""
    return lambda text: record_property("measured", text)


@pytest.fixture
def state(say, programs):
    """Prints figures that a test measured, and on which build."""

    def say_figures(what, load=None, **figures):
        requests = f"{len(load.answered())} requests answered: {load.summary()}; " if load else ""
        measured = ", ".join(f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}"
                             for name, value in figures.items())
        say(f"{what} ({programs.name}): {requests}{measured}")

    return say_figures


def build_of(item):
    """The build that a test runs on; empty if it uses none."""
    return item.callspec.params.get("programs", "") if hasattr(item, "callspec") else ""


def is_needless(item):
    """Whether the same test on the other build is enough."""
    marker = item.get_closest_marker("one_build")
    if not marker or len(BUILDS) == 1 or item.get_closest_marker("plain_only") or item.get_closest_marker("alone"):
        return False
    return build_of(item) not in ("", *marker.args)


def group_of(item):
    """Tests of one group run in one process: a file's, on one build, which share servers. Most of test/pod share all."""
    if "pod" in item.path.parts:
        if item.path.stem == "test_service_cases":
            return f"pods-{item.callspec.id}"
        return "pods-pipeline" if item.path.stem == "test_pipeline" else "pods"
    return f"{item.path.stem}-{build_of(item)}".rstrip("-")


def rank(item):
    """Where a test's group stands in the order."""
    return LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)


def pytest_collection_modifyitems(config, items):
    """Leaves out what one build need not or cannot show; with several processes, forms groups, the longest first."""
    items[:] = [item for item in items if not is_needless(item) and (not ONLY or item.nodeid in ONLY)]
    for item in items:
        marker = item.get_closest_marker("plain_only")
        if marker and "sanitized" in item.name:
            item.add_marker(pytest.mark.skip(reason=marker.kwargs["reason"]))
    if hasattr(config, "workerinput"):
        for item in items:
            item.add_marker(pytest.mark.xdist_group(group_of(item)))
        items.sort(key=rank)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):  # pylint: disable=unused-argument
    """Adds to a failure what the running services have written."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        report.sections += [(f"service at port {service.port}", service.last_lines()) for service in Service.running]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    """Tells what a test measured as soon as it has ended."""
    if report.when == "teardown" and Summary.reporter:
        for _, text in report.user_properties:
            Summary.reporter.ensure_newline()
            Summary.reporter.write_line(f"  {report.nodeid.split('::')[-1]}: {text}")


class Summary:
    """The report of this run; None in the processes of a run that has several."""

    reporter = None


def pytest_sessionstart(session):
    """Remembers the reporter, unless this is one of several processes."""
    if not hasattr(session.config, "workerinput"):
        Summary.reporter = session.config.pluginmanager.get_plugin("terminalreporter")


def pytest_unconfigure():
    """Ends the output with what was skipped and why, and the counts; for test/run, which adds them up, in a file."""
    if Summary.reporter is None:
        return
    stats = Summary.reporter.stats
    count = {name: len(stats.get(name, [])) for name in ("passed", "failed", "error")}
    reasons = {}
    for report in stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        reasons[reason] = reasons.get(reason, 0) + 1
    tally = {"passed": count["passed"], "failed": count["failed"] + count["error"], "reasons": reasons}
    if TALLY:
        failures = [report.nodeid.rsplit("@", 1)[0] for name in ("failed", "error") for report in stats.get(name, [])]
        pathlib.Path(TALLY).write_text(json.dumps({**tally, "failures": failures}))
    else:
        print_tally(**tally)


def print_tally(passed, failed, reasons):
    """The two last lines."""
    listed = "; ".join(f"{number} x {reason}" for reason, number in reasons.items()) or "none"
    print(f"skipped: {listed}")
    print(f"{passed} passed, {failed} failed", flush=True)
