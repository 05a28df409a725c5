"""Sign-in for people: the real oauth2-proxy with the settings of the manifests, an identity provider, and HTTPS before a service."""

import base64
import http.cookiejar
import json
import os
import pathlib
import secrets
import shutil
import ssl
import subprocess
import tempfile
import urllib.request

import yaml
from keys import key_of_tests
from postgres import ROOT, free_port, wait_until

PROGRAMS = ROOT / "build/sign-in"
MISSING = "no Go that is new enough: docker/local/setup-sign-in builds oauth2-proxy"
COOKIE = "__Host-coworking"
CLIENT = ("reports", "the-client-s-secret")
FRONT = """
daemon off; pid front.pid; error_log stderr crit;
events {{ }}
http {{
    access_log off;
    client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate cert.pem; ssl_certificate_key key.pem;
        proxy_buffer_size 32k; proxy_busy_buffers_size 64k; proxy_buffers 4 32k;
        location / {{ proxy_pass http://127.0.0.1:{service}; proxy_set_header Host $http_host; }}
    }}
}}
"""


def is_there():
    """Whether the programs have been built."""
    return (PROGRAMS / "built").exists()


def settings():
    """The variables that the manifests give to oauth2-proxy."""
    *_, deployment = yaml.safe_load_all((ROOT / "manifests/sso/deployment.yaml").read_text())
    container, = deployment["spec"]["template"]["spec"]["containers"]
    return {**yaml.safe_load((ROOT / "manifests/sso/configmap.yaml").read_text())["data"],
            **{variable["name"]: variable["value"] for variable in container["env"]}}


def make_certificate(folder, certificate="cert.pem", key="key.pem"):
    """A certificate for localhost that it signs itself, and its key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / key,
                    "-out", folder / certificate], check=True, capture_output=True)


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


class Provider(Program):
    """An identity provider, which everybody is signed in to."""

    def __init__(self):
        super().__init__("provider")
        self.port = free_port()
        self.resume()

    def resume(self):
        """Starts it, again if it has been stopped."""
        self.start([PROGRAMS / "provider", str(self.port), *CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.issuer = self.process.stdout.readline().decode().strip()
        assert self.issuer, self.output()

    def next_person(self, email, groups=()):
        """Who signs in next; otherwise it is jane.doe@example.com."""
        person = {"Subject": email, "Email": email, "EmailVerified": True, "Groups": list(groups)}
        self.process.stdin.write(json.dumps(person).encode() + b"\n")
        self.process.stdin.flush()


class SignIn(Program):
    """oauth2-proxy, for a service that is reached at an HTTPS port of localhost."""

    def __init__(self, provider, front_port, host="127.0.0.1", **changes):
        super().__init__("sign-in")
        self.provider, self.front_port, self.changes = provider, front_port, changes
        self.address = f"{host}:{free_port()}"
        (self.folder / "client-secret").write_text(CLIENT[1])
        (self.folder / "cookie-secret").write_text(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
        self.resume()

    def resume(self, **changes):
        """Starts it, again if it has been stopped."""
        variables = {**settings(), "OAUTH2_PROXY_HTTP_ADDRESS": self.address,
                     "OAUTH2_PROXY_CLIENT_SECRET_FILE": str(self.folder / "client-secret"),
                     "OAUTH2_PROXY_COOKIE_SECRET_FILE": str(self.folder / "cookie-secret"),
                     "OAUTH2_PROXY_OIDC_ISSUER_URL": self.provider.issuer, "OAUTH2_PROXY_CLIENT_ID": CLIENT[0],
                     "OAUTH2_PROXY_REDIRECT_URL": f"https://localhost:{self.front_port}/oauth2/callback", **self.changes, **changes}
        self.start([PROGRAMS / "oauth2-proxy"], env={"PATH": os.environ["PATH"], **variables}, stdout=subprocess.DEVNULL)
        wait_until(lambda: self.answers() or self.process.poll() is not None, 30, "oauth2-proxy")
        assert self.process.poll() is None, self.output()

    def answers(self):
        """Whether it accepts requests."""
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{self.address}/ping", timeout=5) as response:
                return response.status == 200
        except OSError:
            return False


class Front(Program):
    """HTTPS before a service, as a load balancer ends it."""

    def __init__(self, service_port, port):
        super().__init__("front")
        self.port = port
        make_certificate(self.folder)
        (self.folder / "front.conf").write_text(FRONT.format(port=port, service=service_port))
        self.start([shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-p", f"{self.folder}/", "-c", "front.conf", "-e", "stderr", "-g",
                    "worker_processes 1;"])
        wait_until(lambda: (self.folder / "front.pid").exists() or self.process.poll() is not None, 10, "the HTTPS server")
        assert self.process.poll() is None, self.output()
        self.url = f"https://localhost:{port}"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Shows redirects instead of following them."""

    def redirect_request(self, *_, **__):
        return None


class Browser:
    """Cookies and redirects of a browser, without the rest."""

    def __init__(self, front, follow=True):
        self.front = front
        self.cookies = http.cookiejar.CookieJar()
        context = ssl.create_default_context(cafile=front.folder / "cert.pem")
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPCookieProcessor(self.cookies), *([] if follow else [NoRedirect()]))

    def open(self, path="/", **headers):
        """Navigates; returns the response, whatever its status."""
        fields = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html", **{name.replace("_", "-"): value for name, value in headers.items()}}
        try:
            return self.opener.open(urllib.request.Request(self.front.url + path, headers=fields), timeout=30)
        except urllib.error.HTTPError as error:
            return error

    def session(self):
        """The header field with its session."""
        return {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies if cookie.name.startswith(COOKIE))}


class House:
    """A service that wants keys or sessions, and HTTPS before it. `start` starts the service, `host` is where it finds oauth2-proxy."""

    def __init__(self, start, provider, host="127.0.0.1", **changes):
        port = free_port()
        self.sign_in = SignIn(provider, port, host, **changes)
        self.service = start(keys=key_of_tests().line, SIGN_IN=self.sign_in.address)
        self.service.key = {}
        self.front = Front(self.service.port, port)

    def line(self, identity):
        """Who made a request, and how that was proved, as the access log has it."""
        wait_until(lambda: self.service.events("access", request_id=identity), 20, "the access log's line")
        [line] = self.service.events("access", request_id=identity)
        return line["user"], line["proof"]

    def close(self):
        """Ends what it started; the service ends with the fixture that made it."""
        self.front.close()
        self.sign_in.close()
