"""Each part of the page shows the numbers of its report: in texts, tables and the heights of bars."""

import datetime

import pytest
from reader import numbers, records

VIEWS = ["?days=30", "?days=7", "?days=90", "?days=365", "?days=all", "?days=90&every=week", "?days=365&every=month",
         "?days=7&every=month", "?days=90&every=day&compare=no", "?from=2026-02-28&to=2026-07-01&compare=no",
         "?from=2024-02-29&to=2024-03-02", "?from=2024-03-01&to=2024-03-01"]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MOST_STEPS = 60  # users, in pages that a test goes through one by one


class Period:
    """The dates of a view, and the step of its charts."""

    def __init__(self, reader):
        self.first, self.last = (datetime.date.fromisoformat(date) for date in reader.period())
        self.every = reader.page.get_attribute(".choice a[id^=every][aria-current]", "id").removeprefix("every-")
        self.parameters = {"from_": str(self.first), "to": str(self.last)}
        self.length = self.last - self.first + datetime.timedelta(1)

    def floor(self, date):
        """The first day of a date's week or month."""
        if self.every == "week":
            return date - datetime.timedelta(date.weekday())
        return date.replace(day=1) if self.every == "month" else date

    def dates(self, earlier=datetime.timedelta()):
        """All days of the period, or of an earlier one."""
        return [self.first - earlier + datetime.timedelta(n) for n in range(self.length.days)]

    def starts(self):
        """The first days of its days, weeks or months, as the reports write them."""
        return list(dict.fromkeys(str(self.floor(date)) for date in self.dates()))


def cells(reader, rows):
    """The texts in the cells of a table, by row."""
    return reader.page.eval_on_selector_all(
        rows, "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))")


def is_drawn(reader, panel, variable, values):
    """Whether the bars' heights are proportional to their numbers."""
    expected = [value / max(values) for value in values]
    return reader.heights(panel, variable) == pytest.approx(expected, abs=0.02)


def check_summary(service, reader, period):
    [row] = records(service, "summary", **period.parameters)
    for name, now, then in [("visits", "visits", "previous_visits"), ("requested", "requested", "previous_requested"),
                            ("new-users", "new_users", "previous_new_users")]:
        now, then = row[now], row[then]
        assert numbers(reader.text(f"#summary .{name} .value")) == [now]
        change = reader.text(f"#summary .{name} .change")
        if "days=all" in reader.search():
            assert change == ""
        elif now == then:
            assert change == "As before"
        else:
            word = change.split()[0].replace(",", "")
            percent = 100 * (now - then) / then if then else None
            assert word == "New" if percent is None else float(word.rstrip("%")) == pytest.approx(percent, abs=0.051)
            assert change.endswith(f" from {then:,}")
    if "days=all" not in reader.search():
        oldest = records(service, "daily_usage")[0]["date"]
        is_young = row["previous_visits"] > 0 and oldest > str(period.first - period.length)
        assert reader.text("#summary .compared").endswith(", when the first visits were") == is_young


def check_visits(service, reader, period):
    rows = records(service, "daily_usage", **period.parameters, every=period.every)
    report = {row["date"]: row["visits"] for row in rows}
    expected = [report.get(start, 0) for start in period.starts()]
    assert sum(expected) == sum(report.values())
    is_compared = "compare=no" not in reader.search() and "days=all" not in reader.search()
    if not rows and not is_compared:
        assert reader.text("#usage .empty").startswith("No visits from ")
        return
    table = reader.table("#usage")
    assert [numbers(row[1]) for row in table] == [[value] for value in expected]
    if is_compared:
        check_comparison(service, period, table)
    if len(expected) <= MOST_STEPS:
        said = [said.split("; ") for said in reader.steps("#usage")]
        assert [numbers(parts[1]) for parts in said] == [[value] for value in expected]
        if is_compared:
            assert [parts[2].removeprefix("Period before ") for parts in said] == [row[3] for row in table]
    if not is_compared and len(expected) <= 200:
        assert is_drawn(reader, "#usage", "--accent", expected)


def check_comparison(service, period, table):
    """The previous period's days are in the same places as the period's: as many in each step."""
    dates = period.dates(earlier=period.length)
    before = {row["date"]: row["visits"] for row in records(service, "daily_usage", from_=dates[0], to=dates[-1])}
    expected = dict.fromkeys(period.starts(), 0)
    for date in dates:
        expected[str(period.floor(date + period.length))] += before.get(str(date), 0)
    assert [numbers(row[3]) for row in table] == [[value] for value in expected.values()]
    [summary] = records(service, "summary", **period.parameters)
    assert sum(expected.values()) == summary["previous_visits"]


def check_hours(service, reader, period):
    rows = records(service, "hourly_usage", **period.parameters)
    report = {(row["weekday"], row["hour"]): row["visits"] for row in rows}
    shown = reader.page.eval_on_selector_all(
        "#hours tbody tr", "rows => rows.map(row => [...row.cells].slice(1).map("
        "cell => [cell.textContent, cell.title, getComputedStyle(cell).backgroundColor]))")
    assert [len(row) for row in shown] == [24] * 7
    colours = {}
    for weekday, row in enumerate(shown, 1):
        for hour, (text, title, colour) in enumerate(row):
            visits = report.pop((weekday, hour), 0)
            assert numbers(text) == ([visits] if visits else [])
            assert title == f"{WEEKDAYS[weekday - 1]}, {hour:02}:00–{(hour + 1) % 24:02}:00: {visits:,}"
            assert colours.setdefault(visits, colour) == colour
    assert not report
    assert len(set(colours.values())) == len(colours)


def check_redemption(service, reader, period):
    rows = records(service, "token_redemption", **period.parameters)
    names = ["requested", "used", "within_60_minutes", "within_15_minutes", "within_5_minutes"]
    if not rows:
        assert reader.text("#redemption .empty").startswith("No tokens were asked for from ")
        return
    sums = [sum(row[name] for row in rows) for name in names]
    shown = cells(reader, "#redemption .steps tbody tr")
    assert [numbers(row[2]) for row in shown] == [[value] for value in sums]
    shares = [value / sums[0] for value in sums]
    assert [float(row[3].rstrip("%")) / 100 for row in shown] == pytest.approx(shares, abs=0.00051)
    bars = reader.page.eval_on_selector_all("#redemption .steps .bar",
                                            "bars => bars.map(bar => bar.getBoundingClientRect().width)")
    assert bars == pytest.approx([bars[0] * share for share in shares], abs=1.1)
    of_step = {start: dict.fromkeys(names, 0) for start in period.starts()}
    for row in rows:
        for name in names:
            of_step[str(period.floor(datetime.date.fromisoformat(row["date"])))][name] += row[name]
    assert [[numbers(cell)[0] for cell in row[1:]] for row in reader.table("#redemption")] == [
        list(step.values()) for step in of_step.values()]
    if len(of_step) <= MOST_STEPS:
        said = [said.split("; ") for said in reader.steps("#redemption")]
        assert [(numbers(parts[1])[0], numbers(parts[2])[0]) for parts in said] == [
            (step["requested"], step["used"]) for step in of_step.values()]
        if sums[1]:
            assert is_drawn(reader, "#redemption", "--accent", [step["used"] for step in of_step.values()])


def check_new_users(service, reader, period):
    rows = records(service, "new_users", **period.parameters, every=period.every)
    assert numbers(reader.text("#newcomers .joined")) == [sum(row["joined"] for row in rows)]
    assert numbers(reader.text("#newcomers .active")) == [sum(row["active"] for row in rows)]
    if not rows:
        assert reader.text("#newcomers .empty").startswith("Nobody joined from ")
        return
    report = {row["date"]: (row["joined"], row["active"]) for row in rows}
    expected = [report.get(start, (0, 0)) for start in period.starts()]
    assert sum(joined for joined, _ in expected) == sum(row["joined"] for row in rows)
    assert [tuple(numbers(cell)[0] for cell in row[1:]) for row in reader.table("#newcomers")] == expected
    if len(expected) <= MOST_STEPS:
        said = [said.split("; ") for said in reader.steps("#newcomers")]
        assert [(numbers(parts[1])[0], numbers(parts[2])[0]) for parts in said] == expected
        if any(active for _, active in expected):
            assert is_drawn(reader, "#newcomers", "--accent", [active for _, active in expected])


@pytest.mark.parametrize("view", VIEWS)
def test_each_part_shows_its_report(known, read, view):
    reader = read(known, view)
    period = Period(reader)
    for check in (check_summary, check_visits, check_hours, check_redemption, check_new_users):
        check(known, reader, period)


def test_the_default_is_the_summary_without_parameters(known, read):
    [row] = records(known, "summary")
    assert read(known, "").period() == (row["from"], row["to"])


def test_users_page_by_page(known, read):
    everyone = sorted(records(known, "user_visits"), key=lambda row: (-row["visits"], row["user_id"]))
    reader = read(known, "")
    pages = -(-len(everyone) // 10)
    shown = []
    for number in range(min(pages, 4)):
        shown += cells(reader, "#users tbody tr")
        assert (reader.page.get_attribute("#users .first", "href") is None) == (number == 0)
        assert (reader.page.get_attribute("#users .next", "href") is None) == (number == pages - 1)
        if number < min(pages, 4) - 1:
            reader.click("#users .next")
    assert [(int(user), numbers(visits)) for user, _, _, visits in shown] == [
        (row["user_id"], [row["visits"]]) for row in everyone[:40]]
    for (_, joined, _, _), row in zip(shown, everyone):
        date = datetime.date.fromisoformat(row["joined_at"][:10])
        assert numbers(joined) == [date.day, date.year]
