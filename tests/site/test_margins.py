"""A wide page has a margin, a narrow one has not."""

import re

import pytest
from playwright.sync_api import Browser

from helpers import CHAPTERS, Build, each_chapter, text_of

BOXES = """found => found.map(e => {
  const box = e.getBoundingClientRect()
  return [box.left, box.right]
})"""


@each_chapter
def test_words_are_defined_where_they_first_stand(
    book: Build, name: str
) -> None:
    entries = book.soup("notation").select("dl.glossary > *")
    named = {
        text_of(term).rstrip("#"): text_of(said)
        for term, said in zip(entries[::2], entries[1::2], strict=True)
        if said.select_one(f"a[href^='{name}.html']")
    }
    notes = book.soup(name).select(".definition")
    said = dict(text_of(note).split(": ", 1) for note in notes)
    assert said.keys() <= named.keys()
    assert len(said) >= 0.5 * len(named)
    assert not any(re.search(r"\s\.</p>", str(note)) for note in notes)
    for term, words in said.items():
        assert named[term].startswith(words.removesuffix("."))


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_the_margin_is_beside_the_text(
    browser: Browser, site: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(f"{site}{CHAPTERS[0]}.html")
    text = page.locator("article.bd-article > section").evaluate_all(BOXES)
    ((left, right),) = text
    guesses = page.locator("p.margin").evaluate_all(BOXES)
    defined = page.locator(".definition").evaluate_all(BOXES)
    assert len(guesses) >= 2
    if width < 1200:
        assert not page.locator(".definition").first.is_visible()
        assert all(left <= g[0] and g[1] <= right for g in guesses)
    else:
        assert all(right <= note[0] for note in guesses + defined)
        assert all(note[1] <= width for note in guesses + defined)
    page.close()
