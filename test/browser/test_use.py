"""The use of the page: ranges, address bar, paging, downloads, keyboard, phones, dark theme, other languages."""

import csv
import datetime
import io
import urllib.parse

import pytest
from reader import PANELS, numbers, records

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}


def type_date(reader, selector, date):
    """Fills in one of the two dates, and waits until the page uses it."""
    reader.page.fill(selector, str(date))
    reader.page.wait_for_timeout(700)
    return reader.settle()


# The view and the address bar


@pytest.mark.parametrize("preset, days", [("7", 7), ("30", 30), ("90", 90), ("365", 365)])
def test_presets_end_on_the_newest_day(sample, read, preset, days):
    reader = read(sample, "?days=all").click(f"#range-{preset}")
    newest = datetime.date(2026, 8, 30)
    assert reader.period() == (str(newest - datetime.timedelta(days - 1)), str(newest))
    assert reader.page.locator(".choice a[aria-current]").all_inner_texts()[0] == reader.text(f"#range-{preset}")


def test_the_preset_all_begins_with_the_oldest_row(sample, read):
    [[oldest]] = sample.database.execute("SELECT least((SELECT min(created_at) FROM tokens),"
                                         " (SELECT min(joined_at) FROM users))::date")
    assert read(sample, "?days=all").period() == (str(oldest), "2026-08-30")


def test_two_dates_make_a_view(sample, read):
    reader = read(sample, "")
    type_date(reader, "#from", "2026-06-10")
    type_date(reader, "#to", "2026-06-20")
    assert reader.search() == "from=2026-06-10&to=2026-06-20"
    visits = sum(row["visits"] for row in records(sample, "daily_usage", from_="2026-06-10", to="2026-06-20"))
    assert numbers(reader.text("#summary .visits .value")) == [visits]
    assert reader.page.locator("[id^=range][aria-current]").count() == 0


def test_dates_in_the_wrong_order_are_not_requested(sample, read):
    reader = read(sample, "?from=2026-06-10&to=2026-06-20")
    type_date(reader, "#from", "2026-06-21")
    assert reader.text("#dates-problem") == "The first day is after the last."
    assert reader.search() == "from=2026-06-10&to=2026-06-20"
    type_date(reader, "#to", "2026-06-22")
    assert reader.text("#dates-problem") == ""
    assert reader.search() == "from=2026-06-21&to=2026-06-22"


def test_a_half_typed_year_changes_no_view(sample, read):
    reader = read(sample, "")
    type_date(reader, "#from", "0202-06-01")
    assert reader.search() == ""


def test_the_back_button_returns_to_the_view_before(sample, read):
    reader = read(sample, "")
    views = ["", "days=90", "days=90&every=week", "days=90&every=week&compare=no"]
    reader.click("#range-90").click("#every-week").click("#compare")
    seen = [reader.search()]
    figures = [reader.text("#summary")]
    for _ in range(3):
        reader.page.go_back(wait_until="commit")
        reader.settle()
        seen.append(reader.search())
        figures.append(reader.text("#summary"))
    assert seen == views[::-1]
    assert figures[0] == figures[2] != figures[3]
    reader.page.go_forward(wait_until="commit")
    assert reader.settle().search() == views[1]
    assert reader.text("#summary") == figures[2]


def test_a_colleague_sees_the_view_that_was_sent(sample, read):
    mine = read(sample, "").click("#range-90").click("#every-week").click("#users .next")
    yours = read(sample, f"?{mine.search()}")
    for selector in [f"#{panel}" for panel in PANELS]:
        assert yours.text(selector) == mine.text(selector)
    assert yours.period() == mine.period()
    assert yours.page.title() == mine.page.title() != ""


def test_part_of_the_chart_is_marked_with_the_mouse(sample, read):
    reader = read(sample, "?from=2026-08-01&to=2026-08-30")
    box = reader.page.locator("#usage .u-over").bounding_box()
    middle = box["y"] + box["height"] / 2
    reader.page.mouse.move(box["x"] + box["width"] * 9.5 / 30, middle)  # 10 August
    reader.page.mouse.down()
    reader.page.mouse.move(box["x"] + box["width"] * 15.5 / 30, middle, steps=5)
    reader.page.mouse.up()
    assert reader.settle().search() == "from=2026-08-10&to=2026-08-16"
    assert reader.period() == ("2026-08-10", "2026-08-16")


def test_the_mouse_shows_a_days_numbers(sample, read):
    reader = read(sample, "?from=2026-08-01&to=2026-08-30&compare=no")
    box = reader.page.locator("#usage .u-over").bounding_box()
    reader.page.mouse.move(box["x"] + box["width"] * 9.4 / 30, box["y"] + 50)
    [row] = records(sample, "daily_usage", from_="2026-08-10", to="2026-08-10")
    assert reader.text("#usage .tip").split("\n") == ["Mon, 10 Aug 2026", f"Visits {row['visits']}"]
    reader.page.mouse.move(2, 2)
    assert not reader.page.is_visible("#usage .tip")
    reader.page.hover("#hours tbody tr:nth-child(3) td:nth-child(11)")
    assert reader.text("#hours .busiest").startswith("Wednesday, 09:00–10:00: ")


def test_tables_stay_open_and_chosen_parts_stay_chosen(sample, read):
    reader = read(sample, "")
    assert len(reader.table("#usage")) == 30
    reader.click("#range-7")
    assert len(reader.table("#usage")) == 7
    assert reader.page.get_attribute("#usage details", "open") is not None


# Downloads


@pytest.mark.parametrize("view", ["", "?days=90&every=week&after=20,12", "?from=2026-07-01&to=2026-07-31&every=month"])
@pytest.mark.parametrize("panel", PANELS)
def test_downloads_and_requests_match_what_is_shown(sample, read, view, panel):
    reader = read(sample, view)
    with reader.page.expect_download() as download:
        reader.page.click(f"#{panel} a.csv")
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert download.value.suggested_filename.endswith(".csv")
    answer = sample.get(urllib.parse.urljoin("/", reader.page.get_attribute(f"#{panel} a.request", "href")))
    shown = answer.json()
    assert [{name: "" if value is None else str(value) for name, value in row.items()} for row in shown] == rows != []
    parameters = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(download.value.url).query))
    if panel == "users":
        assert parameters["order"] == "visits" and len(rows) == 10
        users = reader.page.eval_on_selector_all("#users tbody th", "cells => cells.map(cell => cell.textContent)")
        assert [row["user_id"] for row in rows] == users
    else:
        assert (parameters["from"], parameters["to"]) == reader.period()
    sums = {"usage": "visits", "hours": "visits"}
    if panel in sums:
        assert sum(int(row["visits"]) for row in rows) == numbers(reader.text("#summary .visits .value"))[0]
    if panel == "redemption":
        assert sum(int(row["requested"]) for row in rows) == numbers(reader.text("#summary .requested .value"))[0]
    if panel == "newcomers":
        assert sum(int(row["joined"]) for row in rows) == numbers(reader.text("#newcomers .joined"))[0]


def test_the_previous_period_can_be_downloaded_too(sample, read):
    reader = read(sample, "")
    with reader.page.expect_download() as download:
        reader.page.click("#usage a.csv-before")
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    [summary] = records(sample, "summary")
    assert sum(int(row["visits"]) for row in rows) == summary["previous_visits"]
    reader.click("#compare")
    assert not reader.page.is_visible("#usage a.csv-before")


# Accessibility and devices


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{}, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("view", ["", "?days=365&every=day&after=20,12", "?from=2020-01-01&to=2020-01-31",
                                  "?from=2026-08-30&to=2026-08-01"])
def test_axe_finds_no_violation(sample, read, scheme, size, view):
    reader = read(sample, view, color_scheme=scheme, **size)
    for summary in reader.page.locator("details > summary").all():
        if summary.is_visible():
            summary.click()
    if reader.page.locator("#usage .chart canvas").count() and reader.page.locator("#usage .chart").is_visible():
        reader.page.locator("#usage .chart").press("Home")
    reader.page.wait_for_timeout(300)
    assert reader.axe_findings() == []


def test_axe_finds_a_violation(sample, read):
    reader = read(sample, "")
    reader.page.evaluate("document.querySelector('#from').removeAttribute('aria-label')")
    assert "label" in [rule for rule, _ in reader.axe_findings()]


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 2560])
def test_nothing_overflows_the_window(sample, read, width):
    reader = read(sample, "?days=90", viewport={"width": width, "height": 844})
    for panel in ("#usage", "#redemption", "#newcomers"):
        reader.table(panel)
    assert reader.page.evaluate("document.documentElement.scrollWidth") == width
    cut = reader.page.evaluate("""[...document.querySelectorAll('section, section .body *, .controls *')]
      .filter((part) => !part.closest('.hidden, .scroll, .u-wrap'))
      .filter((part) => part.getBoundingClientRect().right > innerWidth || part.getBoundingClientRect().left < 0)
      .map((part) => part.outerHTML.slice(0, 100))""")
    assert cut == []


def test_a_phone_that_is_turned(sample, read):
    reader = read(sample, "", **PHONE)
    narrow = reader.page.locator("#usage canvas").bounding_box()["width"]
    reader.page.set_viewport_size({"width": 844, "height": 390})
    reader.page.wait_for_timeout(300)
    assert reader.page.locator("#usage canvas").bounding_box()["width"] > narrow + 300
    assert reader.page.evaluate("document.documentElement.scrollWidth") == 844


def test_the_dark_theme_is_dark(sample, read):
    reader = read(sample, "", color_scheme="light")

    def brightness(selector):
        colour = reader.page.eval_on_selector(selector, "element => getComputedStyle(element).backgroundColor")
        return sum(numbers(colour)[:3]) / 3

    light = reader.heights("#redemption", "--accent")
    assert brightness("body") > 200 and brightness("#usage") > 200
    reader.page.emulate_media(color_scheme="dark")
    reader.page.wait_for_timeout(100)
    assert brightness("body") < 50 and brightness("#usage") < 50
    assert reader.heights("#redemption", "--accent") == light  # redrawn in the dark theme's colours


def test_without_a_mouse(sample, read):
    reader = read(sample, "")
    page = reader.page
    reached = []
    for _ in range(80):
        page.keyboard.press("Tab")
        name, outline = page.evaluate("""(() => {
          const at = document.activeElement;
          const style = getComputedStyle(at);
          const name = at.id || `${at.closest('section')?.id ?? ''} ${at.className || at.tagName}`;
          return [name, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1];
        })()""")
        if name.strip() == "BODY":  # one more than there are
            break
        assert outline, f"{name} does not show that it has the focus"
        reached.append(name)
    for wanted in ["range-7", "range-all", "from", "to", "every-month", "compare", "usage chart", "usage SUMMARY",
                   "usage csv", "usage request", "redemption chart", "newcomers chart", "hours csv", "users csv",
                   "summary csv"]:
        assert wanted in reached, reached
    page.focus("#range-90")
    page.keyboard.press("Enter")
    assert reader.settle().search() == "days=90"
    assert page.evaluate("document.activeElement.id") == "range-90"
    page.focus("#users .next")
    page.keyboard.press("Enter")
    assert "after=" in reader.settle().search()
    page.focus("#compare")
    page.keyboard.press("Space")
    assert "compare=no" in reader.settle().search()


def test_keys_in_a_chart(sample, read):
    reader = read(sample, "?from=2026-08-01&to=2026-08-30")
    chart = reader.page.locator("#usage .chart")

    def date_after(key):
        chart.press(key)
        assert reader.text("#usage .tip").split("\n")[0] == chart.get_attribute("aria-valuetext").split("; ")[0]
        return int(reader.text("#usage .tip").split()[1])

    keys = ["Home", "ArrowRight", "PageUp", "PageDown", "ArrowLeft", "ArrowLeft", "End", "ArrowLeft"]
    assert [date_after(key) for key in keys] == [1, 2, 9, 2, 1, 1, 30, 29]
    chart.press("Escape")
    assert not reader.page.is_visible("#usage .tip")


LOCALES = [
    ("de-DE", "2.152", "30. Aug. 2026", "09:00"),
    ("en-US", "2,152", "Aug 30, 2026", "9:00"),
    ("fr-FR", "2\u202f152", "30 août 2026", "09:00"),
    ("ar-EG", "٢٬١٥٢", "٢٠٢٦", "٩:٠٠"),
    ("ja-JP", "2,152", "2026年8月30日", "9:00"),
]


@pytest.mark.parametrize("locale, number, date, hour", LOCALES, ids=[case[0] for case in LOCALES])
def test_the_readers_own_numbers_and_dates(sample, read, locale, number, date, hour):
    reader = read(sample, "?days=90", locale=locale)
    assert number in reader.text("#summary .visits .value")
    assert date in reader.text("#newest")
    assert hour in reader.page.get_attribute("#hours tbody tr:first-child td:nth-child(11)", "title").replace("٠٩", "٩")


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York"])
def test_no_time_zone_shifts_a_date(sample, read, zone):
    here, there = read(sample, "", timezone_id="UTC"), read(sample, "", timezone_id=zone)
    for selector in [f"#{panel}" for panel in PANELS] + ["#newest"]:
        assert there.text(selector) == here.text(selector)
    assert there.period() == here.period()
    assert there.table("#usage") == here.table("#usage")
    assert there.steps("#usage") == here.steps("#usage")
