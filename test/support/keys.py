"""Keys of programs, as `make key` makes them, and the one that tests send."""

import base64
import functools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from postgres import ROOT, UNPRIVILEGED


def basic(name, key):
    """The header field that sends a name and a key (RFC 7617)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{key}".encode("latin-1")).decode()}


class Key:
    """A new key: the line of its hash, and the header field that sends it."""

    def __init__(self, name):
        done = subprocess.run([ROOT / "docker/local/key"], env={"NAME": name, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
                              check=True)
        self.name = name
        self.secret = done.stderr.split()[-1]
        self.line = done.stdout
        self.field = basic(name, self.secret)


@functools.cache
def key_of_tests():
    """The key that tests send to services which want one."""
    return Key("tests")


class KeysFile:
    """A file of keys that the user of the service can read."""

    def __init__(self, text):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coworking-test-keys."))
        self.folder.chmod(0o755)
        self.path = self.folder / "keys"
        self.write(text)

    def write(self, text):
        """Replaces the file at once."""
        new = self.folder / "new"
        new.write_text(text)
        if UNPRIVILEGED:
            shutil.chown(new, "www-data", "www-data")
        os.replace(new, self.path)

    def close(self):
        """Removes it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def sign(data, field):
    """A request as bytes, with a header field added behind Host."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in field.items()).encode()
    return re.sub(rb"\A([^\r]*\r\nHost: \w+\r\n)", lambda found: found[1] + lines, data)
