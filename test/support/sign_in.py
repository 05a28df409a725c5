"""Sign-in for people: the real oauth2-proxy with the settings of the manifests, an identity provider, and HTTPS before a service."""

import base64
import http.cookiejar
import json
import os
import secrets
import ssl
import subprocess
import urllib.request

import yaml
from keys import key_of_tests
from postgres import ROOT, free_port, wait_until
from program import Program
from proxies import Front

PROGRAMS = ROOT / "build/sign-in"
MISSING = "no Go that is new enough: docker/local/setup-sign-in builds oauth2-proxy"
COOKIE = "__Host-coworking"
CLIENT = ("reports", "the-client-s-secret")


def is_there():
    """Whether the programs have been built."""
    return (PROGRAMS / "built").exists()


def settings():
    """The variables that the manifests give to oauth2-proxy."""
    *_, deployment = yaml.safe_load_all((ROOT / "manifests/sso/deployment.yaml").read_text())
    container, = deployment["spec"]["template"]["spec"]["containers"]
    return {**yaml.safe_load((ROOT / "manifests/sso/configmap.yaml").read_text())["data"],
            **{variable["name"]: variable["value"] for variable in container["env"]}}


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

    def resume(self):
        """Starts it, again if it has been stopped."""
        variables = {**settings(), "OAUTH2_PROXY_HTTP_ADDRESS": self.address,
                     "OAUTH2_PROXY_CLIENT_SECRET_FILE": str(self.folder / "client-secret"),
                     "OAUTH2_PROXY_COOKIE_SECRET_FILE": str(self.folder / "cookie-secret"),
                     "OAUTH2_PROXY_OIDC_ISSUER_URL": self.provider.issuer, "OAUTH2_PROXY_CLIENT_ID": CLIENT[0],
                     "OAUTH2_PROXY_REDIRECT_URL": f"https://localhost:{self.front_port}/oauth2/callback", **self.changes}
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
