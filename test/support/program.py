"""A process with a folder of its own."""

import pathlib
import shutil
import subprocess
import tempfile


class Program:
    """A process with a folder of its own, which ends with it."""

    def __init__(self, prefix):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"coworking-test-{prefix}."))
        self.process = None

    def start(self, command, **options):
        """Starts it; its error output goes to a file."""
        with (self.folder / "errors").open("ab") as errors:
            self.process = subprocess.Popen(command, cwd=self.folder, stderr=errors, **options)

    def output(self):
        """What it has written."""
        return (self.folder / "errors").read_text()

    def stop(self):
        """Ends it."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def close(self):
        """Ends it and removes its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
