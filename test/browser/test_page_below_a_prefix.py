"""The page behind a proxy that strips a path prefix."""

import urllib.parse

import pytest
from proxies import PREFIXES, PrefixProxy
from reader import PANELS


@pytest.fixture(scope="module")
def proxy(sample):
    """A proxy before the sample's service."""
    running = PrefixProxy(sample)
    yield running
    running.close()


@pytest.mark.parametrize("prefix", PREFIXES)
def test_all_of_it_works(proxy, read, prefix):
    reader = read(proxy)
    answers = []
    reader.page.on("response", lambda answer: answers.append((urllib.parse.urlsplit(answer.url).path, answer.status)))
    reader.open(prefix.removeprefix("/"))
    reader.click("#range-7")
    reader.click("#range-all")
    reader.page.go_back()
    reader.settle()
    assert urllib.parse.urlsplit(reader.page.url)[2:4] == (prefix, "days=7")
    reader.click("#users a.next")
    assert "after=" in reader.search()
    reader.page.reload()
    reader.settle()
    assert not reader.page.is_visible("#banner")
    assert len(answers) > 10 and all(path.startswith(prefix) and status in (200, 304) for path, status in answers), answers
    for panel in PANELS:
        for link in reader.page.eval_on_selector_all(f"#{panel} a[href*='api/']", "all => all.map(link => link.href)"):
            answer = reader.page.request.get(link)
            assert link.startswith(f"http://127.0.0.1:{proxy.port}{prefix}") and answer.status == 200, link
