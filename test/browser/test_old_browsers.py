"""The page in the oldest browsers that build.mjs names, and in older ones."""

import re

from postgres import ROOT

FLOOR = {"chrome": 111, "firefox": 113, "safari": 16.4}
# What came to one of these browsers later than that, as the page might come to use it.
LATER = """
  AbortSignal.any Array.fromAsync Array.prototype.toSorted Array.prototype.toReversed Array.prototype.toSpliced Array.prototype.with
  Atomics.waitAsync Blob.prototype.bytes Document.prototype.startViewTransition Document.prototype.caretPositionFromPoint
  Element.prototype.checkVisibility Element.prototype.setHTML Element.prototype.setHTMLUnsafe Error.isError Intl.DurationFormat
  Iterator.from Iterator.prototype.map Iterator.prototype.filter Iterator.prototype.toArray Map.groupBy Math.sumPrecise
  HTMLElement.prototype.showPopover HTMLElement.prototype.togglePopover HTMLElement.prototype.hidePopover Node.prototype.moveBefore
  Object.groupBy Promise.try Promise.withResolvers ReadableStream.from ReadableStream.prototype.values RegExp.escape Response.json
  Set.prototype.union Set.prototype.intersection Set.prototype.difference Set.prototype.isSubsetOf String.prototype.isWellFormed
  String.prototype.toWellFormed URL.canParse URL.parse URLSearchParams.prototype.size Uint8Array.fromBase64 requestIdleCallback scheduler
  navigation trustedTypes cookieStore documentPictureInPicture showOpenFilePicker
""".split()
TAKE_AWAY = """names => {
  for (const name of names) {
    const parts = name.split('.');
    const last = parts.pop();
    const owner = parts.reduce((object, part) => object?.[part], globalThis);
    if (owner) delete owner[last];
  }
}"""


def test_without_what_came_later(sample, read):
    reader = read(sample)
    reader.page.add_init_script(f"({TAKE_AWAY})({LATER})")
    reader.open()
    assert reader.page.evaluate("typeof AbortSignal.any") == "undefined"
    for view in ("#range-7", "#range-all", "#range-30"):
        reader.click(view)
        assert not reader.page.is_visible("#banner"), reader.text("#banner")
    assert reader.table("#usage")
    assert not reader.page.is_visible(".old-browser")


def test_an_older_browser_is_told(sample, read):
    """Chromium knows color-mix; a browser that does not takes no rule with it."""
    reader = read(sample)
    reader.page.route("**/style.css", lambda route: route.fulfill(
        content_type="text/css", body=route.fetch().text().replace("color-mix(", "color-unknown(")))
    reader.page.goto(f"http://127.0.0.1:{sample.port}/")
    sentence = reader.text(".old-browser")
    assert not reader.page.is_visible(".grid") and not reader.page.is_visible(".controls")
    assert all(re.search(rf"{name}\b.*? {version}\b", sentence.lower()) for name, version in FLOOR.items()), sentence


def test_the_floor_is_that_of_the_build():
    targets = re.search(r"target: \[(.*?)\]", (ROOT / "nginx/www/build.mjs").read_text())[1]
    assert {name: float(version) for name, version in re.findall(r"'([a-z]+)([\d.]+)'", targets)} == FLOOR


def test_a_fault_of_the_page_is_not_blamed_on_the_network(sample, read):
    reader = read(sample)
    reader.page.add_init_script("delete AbortSignal.prototype.throwIfAborted")
    reader.page.goto(f"http://127.0.0.1:{sample.port}/")
    reader.page.wait_for_selector("#banner:not([hidden])")
    assert "Error in this page" in reader.text("#banner")
    reader.faults.clear()  # it is reported, as it should be


def test_refusals_of_a_busy_address_are_asked_again(sample, read):
    reader, refused = read(sample), []

    def refuse_once(route):
        if route.request.url in refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(status=429, content_type="application/problem+json", body='{"title":"Too Many Requests"}')

    reader.page.route("**/api/**", refuse_once)
    reader.open()
    assert len(refused) > 5 and not reader.page.is_visible("#banner")
