"""Room is kept for all that comes late, and nothing moves."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser

from helpers import CHAPTERS, Build, each_page, first_of

WIDTHS = [1440, 1024, 390]
MOVED = """() => {
  const seen = new PerformanceObserver(() => {});
  seen.observe({ type: "layout-shift", buffered: true });
  return seen.takeRecords().reduce((sum, { value }) => sum + value, 0);
}"""
UNDO = """() => {
  document.querySelector("#lab > .live").style.display = "none";
  document.querySelector("#lab").classList.remove("alive");
}"""  # as it was before the script came
HEIGHT = "document.getElementById('lab').getBoundingClientRect().height"
# What an icon needs comes later, and moves nothing.
LATE = """performance.getEntriesByType("resource").map(({ name }) => name)
  .filter(name => /\\/fonts\\/.*woff2/.test(name))"""
LOOK = """[...document.querySelectorAll("html, .argument a")].map(e =>
  [getComputedStyle(e).colorScheme, getComputedStyle(e).borderTopWidth])"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "name", first_of(["laboratory", CHAPTERS[0], "index", *CHAPTERS[1:]], 3)
)
def test_nothing_moves_as_a_page_comes(
    browser: Browser, site: str, name: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(f"{site}{name}.html", wait_until="networkidle")
    assert page.evaluate(MOVED) < 0.02
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_laboratory_has_its_place(
    browser: Browser, site: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(f"{site}laboratory.html")
    page.wait_for_selector("#lab.alive")
    height = page.evaluate(HEIGHT)
    page.evaluate(UNDO)
    assert page.evaluate(HEIGHT) == height
    page.close()


@each_page
def test_drawings_say_how_large_they_are(book: Build, name: str) -> None:
    for image in book.soup(name).select(".cell_output img"):
        drawing = (book.html / str(image["src"])).read_text(encoding="utf-8")
        size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)
        assert size
        said = [int(str(image[side])) for side in ("width", "height")]
        drawn = [float(points) * 4 / 3 for points in size.groups()]
        assert said == pytest.approx(drawn, abs=0.5)


def test_fonts_come_with_the_style(browser: Browser, site: str) -> None:
    page = browser.new_page()
    page.goto(f"{site}index.html", wait_until="networkidle")
    assert page.evaluate(LATE) == []
    # What is seen first has them.
    page.wait_for_function("document.documentElement.style.visibility == ''")
    fonts = "[...document.fonts].filter(f => f.status == 'loaded').length"
    assert page.evaluate(fonts) >= 5
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_look_is_known_before_the_last_script(
    browser: Browser, site: str, scheme: Any
) -> None:
    page = browser.new_page(color_scheme=scheme)
    url = f"{site}{CHAPTERS[0]}.html"
    page.goto(url)
    look = page.evaluate(LOOK)
    assert {border for _, border in look[1:]} == {"2px"}
    page.evaluate("localStorage.clear()")
    page.route("**/pydata-sphinx-theme.js*", lambda route: route.abort())
    page.goto(url)
    assert page.evaluate(LOOK) == look
    page.close()


def test_without_scripts_a_page_has_colours(
    browser: Browser, site: str
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}{CHAPTERS[0]}.html")
    link = page.locator(".argument a").first
    assert "2px" in link.evaluate("e => getComputedStyle(e).border")
    context.close()
