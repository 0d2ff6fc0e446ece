"""Every page in a real browser, opened once, as a reader uses it."""

import gzip
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ViewportSize
from sphinx.search.en import SearchEnglish

from helpers import (
    CHAPTERS,
    EXECUTED,
    PAGES,
    Build,
    Visit,
    first_of,
    parts,
    shown,
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
UNFOLD = "document.querySelectorAll('details').forEach(d => d.open = true)"
DESK = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=390, height=900)


@pytest.fixture(scope="module", params=ALL_PAGES)
def visit(request: Any, browser: Browser, site: str) -> Iterator[Visit]:
    """Open a page, once for all that is looked at."""
    page = browser.new_page(viewport=DESK)
    visit = Visit(page, site)
    visit.open(f"{request.param}.html")
    yield visit
    page.close()


def test_the_tests_know_all_pages(book: Build) -> None:
    assert {path.stem for path in book.html.glob("*.html")} == {*ALL_PAGES}


def test_a_first_visit_is_light(visit: Visit) -> None:
    """All that it asks for, as a server sends it, but figures."""
    sent: dict[str, int] = {}
    for response in visit.responses:
        if "_images" not in response.url:
            body = response.body()
            packed = response.url.endswith(".woff2")
            sent[response.url] = len(body if packed else gzip.compress(body))
    assert len(sent) > 10
    assert sum(sent.values()) < 350_000, sent


def test_nothing_is_missing(visit: Visit) -> None:
    visit.load_images()
    assert visit.page.evaluate(UNSEEN_IMAGES) == []
    assert visit.complaints == []


def test_no_formula_is_left_as_tex(visit: Visit) -> None:
    text = visit.page.evaluate(TEXT)
    assert re.findall(r"\\[a-zA-Z]+|\$[^$\n]+\$|\\\(|\{\w+\}`", text) == []


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
            assert f'id="{anchor}"' in book.page(target.stem), link


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_it_is_no_wider_than_the_window(visit: Visit, size: Any) -> None:
    visit.page.set_viewport_size(size)
    assert visit.page.evaluate(WIDER) <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_read_it(visit: Visit, scheme: Any) -> None:
    assert visit.axe(scheme) == ""


@pytest.mark.check
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_read_all_that_is_folded(
    visit: Visit, scheme: Any
) -> None:
    visit.page.evaluate(UNFOLD)
    assert visit.axe(scheme) == ""


@pytest.mark.check
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_read_it_on_a_phone(visit: Visit, scheme: Any) -> None:
    visit.page.set_viewport_size(PHONE)
    # The theme looks for what scrolls, to let keys reach it, as a page comes.
    visit.page.reload(wait_until="networkidle")
    assert visit.axe(scheme) == ""


def test_what_nobody_can_read_would_be_seen(
    browser: Browser, site: str
) -> None:
    page = browser.new_page(viewport=DESK)
    visit = Visit(page, site)
    visit.open("bibliography.html")
    faint = "html[data-theme=dark] div:nth-child(9) > p { color: #333 }"
    page.add_style_tag(content=faint)
    assert visit.axe("light") == ""
    assert "color-contrast - " in visit.axe("dark")
    name = "document.querySelector('.search-button-field').ariaLabel"
    page.evaluate(f"{name} = 'Find'")
    said = visit.axe("light")
    assert "label-content-name-mismatch - " in said
    page.close()


# What a practitioner does


@pytest.mark.parametrize("name", first_of(EXECUTED))
def test_buttons_copy_the_cells(
    browser: Browser, site: str, book: Build, name: str
) -> None:
    context = browser.new_context()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{site}{name}.html")
    page.wait_for_selector("button.copybtn", state="attached")
    page.evaluate(UNFOLD)
    copied = []
    for button in page.locator("button.copybtn").all():
        page.evaluate("navigator.clipboard.writeText('nothing')")
        button.click()
        copied.append(page.evaluate("navigator.clipboard.readText()"))
    context.close()
    expected = shown(name)
    if name in CHAPTERS:
        expected.append(book.listing(name))
    if name == "laboratory":  # its Python is a cell of the page
        expected.insert(
            0, next(c for c in expected if "depth, width, seed" in c)
        )
    assert copied == expected


def prose(name: str) -> str:
    """Return a page without its cells, formulas and names."""
    words = "\n".join(cell.source for cell in parts(name, "markdown"))
    return re.sub(r"\$[^$]*\$|`[^`]*`", "", words)


def word_of(name: str) -> str:
    """Return the word that a page uses most, of those no other page has.

    The search shows where the stem of a word stands: *eighti* stands nowhere.
    """
    words = {
        page: Counter(re.findall(r"\b[a-z]{5,}\b", prose(page)))
        for page in CHAPTERS
    }
    others = {word for p in CHAPTERS if p != name for word in words[p]}
    own: dict[str, int] = {
        word: n
        for word, n in words[name].items()
        if word not in others and SearchEnglish({}).stem(word) in word
    }
    return min(own, key=lambda word: (-own[word], word))


@pytest.mark.parametrize("name", first_of(CHAPTERS))
def test_search_finds_a_word_of_each_chapter(
    browser: Browser, site: str, name: str
) -> None:
    page = browser.new_page()
    page.goto(f"{site}index.html")
    page.locator(".bd-sidebar button.search-button-field").click()
    page.locator("#pst-search-dialog input").fill(word_of(name))
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results p.context")
    found = page.locator(f"#search-results li:has(a[href*='{name}.html'])")
    # It shows a sentence of the page with the word in it, not its furniture.
    context = " ".join(found.first.locator(".context").inner_text().split())
    assert SearchEnglish({}).stem(word_of(name)) in context.lower()
    assert not re.search("Contents|Light|Dark|import ", context)
    page.close()


def test_search_shows_sentences_and_not_the_furniture(
    browser: Browser, site: str
) -> None:
    page = browser.new_page()
    page.goto(f"{site}search.html?q=gelu")
    found = page.locator("#search-results li:has(a[href*='gelu.html'])")
    context = found.first.locator("p.context").inner_text()
    # The word is in the title, which the theme's menus and contents surround;
    # the first sentence with it is its definition in the margin.
    assert not re.search("Contents|Light|Dark|import ", context)
    assert "a standard normal number falls below it" in context
    page.close()


@pytest.mark.parametrize("name", first_of(EXECUTED))
def test_pages_read_well_from_the_disk(
    browser: Browser, book: Build, name: str
) -> None:
    page = browser.new_page()
    visit = Visit(page, book.html.as_uri() + "/")
    visit.open(f"{name}.html")
    visit.load_images()
    assert page.evaluate(UNSEEN_IMAGES) == []
    fonts = "[...document.fonts].map(f => [f.family, f.status])"
    found = {family for family, how in page.evaluate(fonts) if how == "loaded"}
    own = {"Book Mono", "STIX Two Text"}
    own |= {"STIX Two Math"} if "<math" in book.page(name) else set()
    assert own <= found
    colour = "getComputedStyle(document.querySelector('pre span.kn')).color"
    assert page.evaluate(colour) != page.evaluate(
        "getComputedStyle(document.querySelector('pre')).color"
    )
    assert visit.complaints == []
    page.close()
