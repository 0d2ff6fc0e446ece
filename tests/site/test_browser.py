"""What a reader sees: every page in a real browser."""

import gzip
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response

from helpers import (
    CELL,
    CHAPTERS,
    EXECUTED,
    PAGES,
    Build,
    Visit,
    shown,
    source,
)

ALL_PAGES = [*PAGES, "genindex", "search"]
# What a reader can see, but for code and what formulas keep for programs.
TEXT = """() => {
  const body = document.body.cloneNode(true);
  for (const e of body.querySelectorAll("pre, code, annotation, script"))
    e.remove();
  return body.textContent;
}"""
UNSEEN_IMAGES = """() => [...document.images]
  .filter(image => !(image.complete && image.naturalWidth))
  .map(image => image.src)"""
# Scrolling sideways is for blocks of code and wide formulas alone.
WIDER = "document.documentElement.scrollWidth - window.innerWidth"


@pytest.fixture(
    scope="module",
    params=[(name, width) for name in ALL_PAGES for width in (1280, 390)],
    ids=lambda param: f"{param[0]}-{param[1]}",
)
def visit(
    request: pytest.FixtureRequest, browser: Browser, site: str
) -> Iterator[Visit]:
    """Open a page, once for all that is looked at."""
    name, width = request.param
    page = browser.new_page(viewport={"width": width, "height": 900})
    visit = Visit(page, site)
    visit.open(f"{name}.html")
    yield visit
    page.close()


def test_the_tests_know_all_pages(book: Build) -> None:
    assert {path.stem for path in book.html.glob("*.html")} == {*ALL_PAGES}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_read_it(visit: Visit, scheme: Any) -> None:
    # Colours change at once, not by and by.
    visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    visit.page.wait_for_function(
        f"document.documentElement.dataset.theme == '{scheme}'"
    )
    options = {"resultTypes": ["violations"], "preload": False}
    found = Axe().run(visit.page, options=options)
    assert not found.violations_count, found.generate_report()


def load_images(page: Page) -> None:
    """Ask for images far below, too, as a reader does who comes near them."""
    page.evaluate("for (const i of document.images) i.loading = 'eager'")
    page.wait_for_function("[...document.images].every(i => i.complete)")


def test_nothing_is_missing(visit: Visit) -> None:
    load_images(visit.page)
    assert visit.page.evaluate(UNSEEN_IMAGES) == []
    assert visit.complaints == []


def test_no_formula_is_left_as_tex(visit: Visit) -> None:
    text = visit.page.evaluate(TEXT)
    assert re.findall(r"\\[a-zA-Z]+|\$[^$\n]+\$|\\\(|\{\w+\}`", text) == []


def test_it_is_no_wider_than_the_window(visit: Visit) -> None:
    assert visit.page.evaluate(WIDER) <= 0


def test_every_icon_is_drawn(visit: Visit) -> None:
    assert visit.page.locator("i[class*='fa-']").count() == 0
    icons = "[...document.querySelectorAll('svg.svg-inline--fa')]"
    drawn = f"{icons}.map(i => i.querySelector('path')?.getAttribute('d'))"
    found = visit.page.evaluate(drawn)
    assert len(found) >= 5
    assert all(found)
    # One that the script does not know is drawn as a question in a circle.
    assert visit.page.locator("svg.svg-inline--fa circle").count() == 0


def test_links_lead_somewhere(visit: Visit, book: Build) -> None:
    links = visit.page.evaluate(
        "[...document.querySelectorAll('a[href]')].map(a => a.href)"
    )
    for link in {link for link in links if link.startswith(visit.home)}:
        path, _, anchor = link.removeprefix(visit.home).partition("#")
        target = book.html / path.partition("?")[0]
        assert target.is_file(), link
        if anchor and target.suffix == ".html":
            assert f'id="{anchor}"' in target.read_text("utf-8"), link


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapters_are_light(browser: Browser, site: str, name: str) -> None:
    """All that a first visit asks for, as a server sends it, but figures."""
    page = browser.new_page()
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))
    page.goto(f"{site}{name}.html", wait_until="networkidle")
    sent: dict[str, int] = {}
    for response in responses:  # not while they come: some would be missed
        if "_images" not in response.url:
            body = response.body()
            packed = response.url.endswith(".woff2")
            sent[response.url] = len(body if packed else gzip.compress(body))
    assert len(sent) > 10
    assert sum(sent.values()) < 350_000, sent
    page.close()


# What a practitioner does

UNFOLD = "document.querySelectorAll('details').forEach(d => d.open = true)"


@pytest.fixture(scope="session")
def copied(browser: Browser, site: str) -> dict[str, list[str]]:
    """Press every copy button, from the top of each page to its end."""
    context = browser.new_context()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    found: dict[str, list[str]] = {}
    for name in EXECUTED:
        page.goto(f"{site}{name}.html")
        page.wait_for_selector("button.copybtn", state="attached")
        page.evaluate(UNFOLD)
        found[name] = []
        for button in page.locator("button.copybtn").all():
            page.evaluate("navigator.clipboard.writeText('nothing')")
            button.click()
            found[name].append(page.evaluate("navigator.clipboard.readText()"))
    context.close()
    return found


@pytest.mark.parametrize("name", EXECUTED)
def test_buttons_copy_the_cells(
    copied: dict[str, list[str]], book: Build, name: str
) -> None:
    expected = shown(name)
    if name in CHAPTERS:
        expected.append(book.listing(name))
    if name == "laboratory":  # its Python is a cell of the page
        expected.insert(
            0, next(c for c in expected if "depth, width, seed" in c)
        )
    assert copied[name] == expected


def prose(name: str) -> str:
    """Return a page without its cells, formulas and names."""
    return re.sub(r"\$[^$]*\$|`[^`]*`", "", CELL.sub("", source(name)))


def word_of(name: str) -> str:
    """Return the word that a page uses most, of those no other page has."""
    words = {
        page: Counter(re.findall(r"\b[a-z]{5,}\b", prose(page)))
        for page in CHAPTERS
    }
    others = {word for p in CHAPTERS if p != name for word in words[p]}
    own: dict[str, int] = {
        w: n for w, n in words[name].items() if w not in others
    }
    return min(own, key=lambda word: (-own[word], word))


@pytest.mark.parametrize("name", CHAPTERS)
def test_search_finds_a_word_of_each_chapter(
    browser: Browser, site: str, name: str
) -> None:
    page = browser.new_page()
    page.goto(f"{site}index.html")
    page.locator(".bd-sidebar button.search-button-field").click()
    page.locator("#pst-search-dialog input").fill(word_of(name))
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")
    page.wait_for_selector("#search-results p.context")
    found = page.locator(f"#search-results li:has(a[href*='{name}.html'])")
    # It shows a sentence of the page with the word in it, not its furniture.
    context = " ".join(found.first.locator(".context").inner_text().split())
    assert word_of(name) in context.lower()
    assert not re.search("Contents|Light|Dark|import ", context)
    page.close()


def test_search_shows_sentences_and_not_the_furniture(
    browser: Browser, site: str
) -> None:
    page = browser.new_page()
    page.goto(f"{site}search.html?q=gelu")
    found = page.locator("#search-results li:has(a[href*='gelu.html'])")
    context = found.first.locator("p.context").inner_text()
    # The word is in the title, which the theme's menus and contents surround.
    assert not re.search("Contents|Light|Dark|import ", context)
    assert "tables differ from the fifth or sixth digit on" in context
    page.close()


@pytest.mark.parametrize("name", EXECUTED)
def test_pages_read_well_from_the_disk(
    browser: Browser, book: Build, name: str
) -> None:
    page = browser.new_page()
    visit = Visit(page, book.html.as_uri() + "/")
    visit.open(f"{name}.html")
    load_images(page)
    assert page.evaluate(UNSEEN_IMAGES) == []
    fonts = "[...document.fonts].map(f => [f.family, f.status])"
    loaded = ["loaded", "unloaded"]["<math" not in book.page(name)]
    assert page.evaluate(fonts)[-1] == ["STIX Two Math", loaded]
    colour = "getComputedStyle(document.querySelector('pre span.kn')).color"
    assert page.evaluate(colour) != page.evaluate(
        "getComputedStyle(document.querySelector('pre')).color"
    )
    assert visit.complaints == []
    page.close()
