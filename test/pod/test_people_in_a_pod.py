"""Sign-in with the image's nginx and the manifests' component: who is let in, as test/service has it at length."""

import json

import law
import pytest
from access import CLOSED, PROBES, is_refused
from keys import key_of_tests
from pod import Pod, podman
from sign_in import COOKIE, MISSING, Browser, House, is_there

pytestmark = pytest.mark.skipif(not is_there(), reason=MISSING)


@pytest.fixture(scope="module")
def house(network, server, provider):
    """A pod with sign-in, and HTTPS before it. oauth2-proxy listens on the pods' network, which the tests made."""
    gateway = json.loads(podman("network", "inspect", network.name).stdout)[0]["subnets"][0]["gateway"]
    pods = []

    def start(**variables):
        pods.append(Pod(network, server.sample().pod_environment(), **variables))
        return pods[-1]

    made = House(start, provider, host=gateway)
    yield made
    made.close()
    pods[0].kill()


@pytest.fixture(scope="module")
def session(house):
    """The header field with the session of someone who has signed in."""
    browser = Browser(house.front)
    assert browser.open("/?every=week&compare=no").url == f"{house.front.url}/?every=week&compare=no"
    return browser.session()


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.usefixtures("session")  # before these attempts, which are limited
def test_everything_is_closed(house, path):
    for headers in ({}, {"Cookie": f"{COOKIE}=nonsense"}, {"X-Auth-Request-Email": "jane.doe@example.com"}):
        assert is_refused(house.service.request(path, headers=headers))
    navigated = house.service.request(path, headers={"Sec-Fetch-Mode": "navigate"})
    assert navigated.status in (302, 429) and b"2026" not in navigated.body


def test_a_session_and_a_key_open_it(house, session):
    for headers, proof in ((session, "session"), (key_of_tests().field, "key")):
        answer = house.service.request(law.DAILY_USAGE, headers={**headers, "X-Request-Id": f"pod-{proof}"})
        assert answer.status == 200 and answer.headers["Strict-Transport-Security"]
        assert house.line(f"pod-{proof}")[1] == proof


def test_without_oauth2_proxy_keys_still_work(house, session):
    house.sign_in.stop()
    assert house.service.request(law.DAILY_USAGE, headers=session).status == 503
    assert house.service.request(law.DAILY_USAGE, headers=key_of_tests().field).status == 200
    assert all(house.service.request(path).status == 200 for path in PROBES)
    house.sign_in.resume()
    assert house.service.request(law.DAILY_USAGE, headers=session).status == 200
