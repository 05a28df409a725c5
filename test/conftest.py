"""What all tests share: which build they run against, and the two lines that a run ends with."""

import os
import pathlib

import pytest
from target import IS_POD

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILDS = {"pod": ROOT / "build"} if IS_POD else {"plain": ROOT / "build", "sanitized": ROOT / "build/sanitized"}


@pytest.fixture(scope="session", params=list(BUILDS))
def programs(request):
    """The folder with the two programs: as they ship, and built with ASan and UBSan."""
    folder = BUILDS[request.param]
    assert (folder / "analytics-fcgi").exists(), f"build first: {folder} has no programs"
    return folder


def pytest_collection_modifyitems(items):
    """Leaves out what a sanitizer build cannot measure."""
    for item in items:
        marker = item.get_closest_marker("plain_only")
        if marker and "sanitized" in item.name:
            item.add_marker(pytest.mark.skip(reason=marker.kwargs["reason"]))


def pytest_unconfigure(config):
    """Ends the output with what was skipped and why, and the counts."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    count = {name: len(reporter.stats.get(name, [])) for name in ("passed", "failed", "error", "skipped")}
    reasons = {}
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        reasons[reason] = reasons.get(reason, 0) + 1
    listed = "; ".join(f"{number} x {reason}" for reason, number in reasons.items()) or "none"
    print(f"skipped: {listed}")
    print(f"{count['passed']} passed, {count['failed'] + count['error']} failed", flush=True)
