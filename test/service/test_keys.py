"""`make key`, the file of keys, and the addresses that `make run` listens on."""

import base64
import hashlib
import os
import subprocess

import pytest
from keys import Key
from law import DAILY_USAGE
from machine import GOOD, check, clean_environment, give_away
from namespaces import beside, inside
from postgres import ROOT
from service import Service
from target import IS_POD

pytestmark = [pytest.mark.one_build("sanitized"), pytest.mark.skipif(IS_POD, reason="make run's own")]


# make key

@pytest.mark.plain_only(reason="the builds differ in nothing here")
def test_a_key_and_its_line(programs):  # pylint: disable=unused-argument
    key = Key("grafana")
    name, _, hashed = key.line.strip().partition(":")
    data = base64.b64decode(hashed.removeprefix("{SSHA}"))
    assert name == "grafana" and hashed.startswith("{SSHA}") and key.line.endswith("\n") and key.line.count("\n") == 1
    assert len(base64.urlsafe_b64decode(key.secret)) == 32
    assert hashlib.sha1(key.secret.encode() + data[20:]).digest() == data[:20] and len(data) > 30
    assert Key("grafana").secret != key.secret


@pytest.mark.plain_only(reason="the builds differ in nothing here")
def test_make_key(programs):  # pylint: disable=unused-argument
    done = subprocess.run(["make", "-s", "key", "NAME=grafana"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("grafana:{SSHA}") and done.stdout.count("\n") == 1
    assert "shown only now" in done.stderr and done.stderr.split()[-1] not in done.stdout


@pytest.mark.plain_only(reason="the builds differ in nothing here")
@pytest.mark.parametrize("name", ["", "a:b", "a b", "x" * 65, "ä", "a\nb", "$(id)", "'"])
def test_a_name_that_no_key_can_have(programs, name):  # pylint: disable=unused-argument
    done = subprocess.run([ROOT / "docker/local/key"], capture_output=True, text=True, check=False,
                          env=clean_environment(NAME=name))
    assert done.returncode == 64 and done.stdout == "" and "NAME must be 1 to 64 letters" in done.stderr


@pytest.mark.plain_only(reason="the builds differ in nothing here")
@pytest.mark.parametrize("name", ["a", "Power.BI@example-1_x", "x" * 64])
def test_a_name_that_a_key_can_have(programs, name):  # pylint: disable=unused-argument
    assert Key(name).line.startswith(f"{name}:")


# The configuration

@pytest.mark.parametrize("text", [None, "", "# none\n", "grafana\n", "grafana:secret\n", "grafana:$2y$05$abcdefghijklmnopqrstuv\n",
                                  "gra fana:{SSHA}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n", ":{SSHA}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n",
                                  "grafana:{SSHA}AAAA\n", "grafana:{PLAIN}" + "A" * 40 + "\n", "x" * 300,
                                  "a:{SSHA}" + "A" * 40 + "\nb\n"])
def test_a_file_that_holds_no_keys(programs, folder, text):
    file = folder / "keys"
    if text is not None:
        file.write_text(text)
        give_away(file)
    status, lines = check(programs, **{**GOOD, "KEYS_FILE": str(file)})
    [line] = [line for line in lines if line["level"] == "error"]
    assert status == 78 and line["detail"].startswith("KEYS_FILE must be a file") and "make key" in line["detail"]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1"])
def test_other_machines_need_keys(programs, folder, address):
    done = subprocess.run([ROOT / "docker/local/run"], capture_output=True, text=True, timeout=20, check=False,
                          env=clean_environment(PROGRAMS=programs, TMPDIR=folder / "tmp", APP_HOST=address, **GOOD))
    assert done.returncode == 78 and done.stdout == ""
    [line] = done.stderr.splitlines()
    assert "KEYS_FILE must be set to a file of keys" in line and "make -s key NAME=" in line


@pytest.mark.parametrize("address", ["localhost", "0.0.0.0:80", "[::]", "fe80::1%lo", "*", "1.2.3"])
def test_an_address_that_is_none(programs, address):
    status, lines = check(programs, **{**GOOD, "APP_HOST": address})
    assert status == 78 and lines[0]["detail"].startswith("APP_HOST must be an IP address")


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":4180", "http://localhost:4180", "localhost:4180/", "a b:4180", "x:0",
                                     "x:65536", "x;y:1", "[::1]:4180", "a" * 254 + ":80"])
def test_a_sign_in_that_is_none(programs, address):
    status, lines = check(programs, **{**GOOD, "SIGN_IN": address})
    assert status == 78 and lines[0]["detail"].startswith("SIGN_IN must be the host and port")


def test_sign_in_needs_keys(programs):
    status, lines = check(programs, **{**GOOD, "SIGN_IN": "localhost:4180"})
    assert status == 78 and "KEYS_FILE must be set to a file of keys, since SIGN_IN" in lines[0]["detail"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a network of its own")
@pytest.mark.parametrize("address, kind, hosts", [
    ("0.0.0.0", "both", ["127.0.0.1", "127.0.0.9", "[::1]"]), ("::", "both", ["127.0.0.1", "[::1]"]),
    ("127.0.0.9", "both", ["127.0.0.1", "127.0.0.9", "[::1]"]), ("127.0.0.1", "IPv4 alone", ["127.0.0.1"])])
def test_app_host_is_listened_on(programs, database, server, address, kind, hosts):
    keys = None if address.startswith("127.") else Key("somebody").line
    service = Service(programs, {**database.environment(), "DB_HOST": str(server.folder), "APP_HOST": address},
                      prefix=inside(kind), keys=keys)
    try:
        for host in ("127.0.0.1", "127.0.0.9", "[::1]"):
            done = subprocess.run([*beside(service.process.pid), "curl", "-sg", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*",
                                   f"http://{host}:{service.port}{DAILY_USAGE}"], capture_output=True, text=True, check=False)
            assert done.stdout == ("000" if host not in hosts else "401" if keys else "200"), host
    finally:
        service.stop()
