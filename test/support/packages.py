"""Programs from Python packages, each installed into a folder of its own in build/."""

import fcntl
import subprocess
import sys

import pytest
from environment import outward
from postgres import ROOT


def install(requirement):
    """The folder of a package, pinned as name==version. Where it cannot be installed, the test is skipped."""
    name = requirement.partition("==")[0]
    folder = ROOT / "build" / name
    done = folder / requirement
    with open(ROOT / f"build/{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes of one run may want it
        for command in ([sys.executable, "-m", "venv", folder], [folder / "bin/pip", "install", "-q", requirement]):
            if done.exists():
                break
            installed = subprocess.run(command, env=outward(), capture_output=True, text=True, check=False)
            if installed.returncode:
                said = (installed.stderr or installed.stdout).strip().splitlines() or [f"status {installed.returncode}"]
                pytest.skip(f"{name} cannot be installed: {said[-1]}")
        done.touch()
    return folder
