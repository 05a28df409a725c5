"""Someone who looks at the page in Chromium, and what they compare it with."""

import re
import urllib.parse

from postgres import ROOT

AXE = ROOT / "nginx/www/node_modules/axe-core/axe.min.js"
PANELS = ["summary", "usage", "hours", "users", "redemption", "newcomers"]

# Looks from above through the middle of each step for the first pixel of a colour.
HEIGHTS = """([selector, variable]) => {
  const chart = document.querySelector(selector);
  const canvas = chart.querySelector('canvas');
  const over = chart.querySelector('.u-over');
  const scale = canvas.width / canvas.clientWidth;
  const sample = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  sample.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(variable);
  sample.fillRect(0, 0, 1, 1);
  const wanted = sample.getImageData(0, 0, 1, 1).data;
  const count = Number(chart.getAttribute('aria-valuemax'));
  const [top, height] = [Math.round(over.offsetTop * scale), Math.round(over.offsetHeight * scale)];
  const { data } = canvas.getContext('2d').getImageData(0, top, canvas.width, height);
  const tops = [...Array(count).keys()].map((index) => {
    const x = Math.round((over.offsetLeft + over.offsetWidth * (index + 0.5) / count) * scale);
    for (let y = 0; y < height; y++) {
      const at = 4 * (y * canvas.width + x);
      const isWanted = [0, 1, 2].every((part) => Math.abs(data[at + part] - wanted[part]) < 6);
      if (isWanted && data[at + 3] > 250) return height - y;
    }
    return 0;
  });
  const most = Math.max(...tops);
  return tops.map((value) => value / most);
}"""


def numbers(text):
    """The whole numbers in a text that has been written for English readers."""
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


def records(service, report, **parameters):
    """A report's rows; from_ stands for from."""
    named = {name.rstrip("_"): value for name, value in parameters.items()}
    query = urllib.parse.urlencode({**named, "format": "records"})
    answer = service.get(f"/api/reports/{report}?{query}")
    assert answer.status == 200, answer.body
    return answer.json()


class Reader:
    """Someone who looks at a service's page, in a window of their own."""

    def __init__(self, browser, service, **options):
        self.service = service
        self.url = f"http://127.0.0.1:{service.port}"
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **options})
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.faults = []  # what must never happen: exceptions, and what the policy forbids
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda line: self.faults.append(line.text)
                     if line.type in ("error", "warning") and "Failed to load resource" not in line.text else None)

    def open(self, search=""):
        """Opens a view, and waits until it is there."""
        self.page.goto(f"{self.url}/{search}")
        return self.settle()

    def settle(self):
        """Waits until the page has all that it asked for."""
        self.page.wait_for_selector("body:not(.is-reading)")
        return self

    def click(self, selector):
        """Clicks, and waits for what follows."""
        self.page.click(selector)
        return self.settle()

    def text(self, selector):
        """The text that can be seen."""
        return self.page.inner_text(selector)

    def period(self):
        """The dates in the two inputs."""
        return self.page.input_value("#from"), self.page.input_value("#to")

    def table(self, panel):
        """The rows of a panel's table, as texts."""
        if self.page.get_attribute(f"{panel} details", "open") is None:
            self.page.click(f"{panel} summary")
            self.page.wait_for_selector(f"{panel} details tbody tr")
        return self.page.eval_on_selector_all(
            f"{panel} details tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))")

    def steps(self, panel):
        """What a chart says, step by step, to someone who goes through it with the arrow keys."""
        chart = self.page.locator(f"{panel} .chart")
        count = int(chart.get_attribute("aria-valuemax"))
        chart.press("Home")
        said = []
        for _ in range(count):
            said.append(chart.get_attribute("aria-valuetext"))
            chart.press("ArrowRight")
        assert chart.get_attribute("aria-valuenow") == str(count)
        chart.press("Escape")
        return said

    def heights(self, panel, variable):
        """How high a chart's bars of one colour are, as shares of the highest, measured in its pixels."""
        return self.page.evaluate(HEIGHTS, [f"{panel} .chart", variable])

    def axe_findings(self):
        """What axe finds wrong with the page as it stands."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        assert found["testEngine"]["name"] == "axe-core"
        return [(rule["id"], [node["html"][:100] for node in rule["nodes"]]) for rule in found["violations"]]

    def search(self):
        """The query in the address bar."""
        return urllib.parse.urlsplit(self.page.url).query

    def close(self):
        """Closes the window; nothing may have gone wrong in it."""
        self.context.close()
        assert not self.faults, self.faults
