"""Takes the screenshots of the page for README.md: `make screenshots`. Not a test: pytest runs it only by name."""

import datetime
import subprocess

import pytest
from postgres import ROOT

FOLDER = ROOT / "nginx/www/screenshots"
MOST_BYTES = 150_000
PICTURES = [("wide", 1280, None, "?days=30"), ("phone", 390, 1400, "?days=30")]


@pytest.mark.parametrize("name, width, height, view", PICTURES, ids=[picture[0] for picture in PICTURES])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_take(sample, read, scheme, name, width, height, view):
    reader = read(sample, viewport={"width": width, "height": height or 900}, color_scheme=scheme)
    reader.page.clock.set_fixed_time(datetime.datetime(2026, 8, 31, 9, 0))
    reader.open(view).page.wait_for_timeout(500)
    FOLDER.mkdir(exist_ok=True)
    picture = FOLDER / f"{name}-{scheme}.png"
    reader.page.screenshot(path=picture, full_page=height is None, animations="disabled")
    subprocess.run(["pngquant", "--force", "--skip-if-larger", "--strip", "--output", picture, picture], check=True)
    assert picture.stat().st_size <= MOST_BYTES
