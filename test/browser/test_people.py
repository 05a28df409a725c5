"""The page for people who sign in: in Chromium, with the real oauth2-proxy and HTTPS."""

from functools import partial

import pytest
from postgres import wait_until
from reader import numbers
from sign_in import MISSING, House, is_there

pytestmark = pytest.mark.skipif(not is_there(), reason=MISSING)
VIEW = "?from=2026-05-01&to=2026-06-30&every=week"


@pytest.fixture
def enter(server, run, read, provider):
    """Makes a service with sign-in, and a window that has signed in to it."""
    houses = []

    def begin(search="", **changes):
        houses.append(House(partial(run, server, "sql/coworking/sample.sql"), provider, **changes))
        reader = read(houses[-1].service, ignore_https_errors=True)
        reader.url = houses[-1].front.url
        return houses[-1], reader.open(search)

    yield begin
    for house in houses:
        house.close()


def test_a_person_signs_in_and_out(enter):
    house, reader = enter(VIEW)
    page = reader.page
    assert page.url == f"{house.front.url}/{VIEW}"
    assert reader.period() == ("2026-05-01", "2026-06-30") and numbers(reader.text("#summary .visits .value"))[0] > 0
    assert reader.text("#account") == "jane.doe@example.com Sign out"
    with page.expect_download() as download:
        page.click("#usage a.csv")
    assert download.value.path().read_text().startswith("date,visits\n")
    page.click("#account a")
    assert page.url == f"{house.front.url}/signed_out" and "signed out" in page.inner_text("h1")
    assert not [cookie for cookie in reader.context.cookies() if cookie["value"]]
    page.click("text=Sign in again")
    reader.settle()
    assert page.url == f"{house.front.url}/" and reader.text("#account").startswith("jane.doe")
    assert not reader.faults


def test_the_session_ends_while_the_page_is_open(enter):
    _, reader = enter(VIEW, OAUTH2_PROXY_COOKIE_EXPIRE="10s")
    page, before = reader.page, reader.text("#usage")
    assert reader.text("#account").startswith("jane.doe")
    wait_until(lambda: reader.context.request.get(f"{reader.url}/openapi.json").status == 401, 30, "the end of the session")
    page.click("#every-day")
    page.wait_for_selector("#banner a")
    assert reader.text("#banner p").startswith("Your session has ended. Sign in to go on. You see the data of ")
    assert reader.text("#usage") == before
    page.click("#banner a")
    reader.settle()
    assert page.is_hidden("#banner") and reader.text("#account").startswith("jane.doe")
    assert page.get_attribute("#every-day", "aria-current") == "true" and reader.period() == ("2026-05-01", "2026-06-30")
    assert not reader.faults


def test_another_tab_signs_in(enter):
    """The first one goes on by itself."""
    house, reader = enter()
    page = reader.page
    reader.context.clear_cookies()
    page.click("#range-90")
    page.wait_for_selector("#banner a")
    other = reader.context.new_page()
    other.goto(f"{house.front.url}/")
    other.wait_for_selector("body:not(.is-reading)")
    other.close()
    page.bring_to_front()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_selector("#banner", state="hidden")
    assert reader.text("#account").startswith("jane.doe") and not reader.faults


def test_signing_in_does_not_work(enter, provider):
    """People read why; programs go on."""
    house, reader = enter()
    house.sign_in.stop()
    reader.page.click("#range-90")
    reader.page.wait_for_selector("#banner:visible")
    assert "signing in does not work at the moment" in reader.text("#banner p")
    house.sign_in.resume()
    reader.click("#banner button")
    wait_until(lambda: reader.page.is_hidden("#banner"), 10, "the page")
    provider.stop()
    assert numbers(reader.click("#range-30").text("#summary .visits .value"))
    provider.resume()


def test_someone_else_is_told(enter, provider, read):
    house, _ = enter()
    provider.next_person("mallory@example.org")
    other = read(house.service, ignore_https_errors=True)
    answer = other.page.goto(house.front.url)
    assert answer.status == 403 and "Forbidden" in other.page.inner_text("body")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_line_about_the_session_fits(enter, width):
    _, reader = enter()
    reader.page.set_viewport_size({"width": width, "height": 800})
    assert reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not reader.axe_findings()
