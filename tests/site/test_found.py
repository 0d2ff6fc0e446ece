"""Pages are found, light, and lead on."""

import gzip
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont
from matplotlib.image import imread

from helpers import (
    CHAPTERS,
    PAGES,
    ROOT,
    Build,
    each_chapter,
    each_page,
    source,
    text_of,
)


def meta(page: BeautifulSoup, kind: str) -> str:
    """Return what a page says of itself, once."""
    (said,) = page.select(f"meta[name='{kind}'], meta[property='{kind}']")
    return str(said["content"])


# For search engines, and for whoever is sent a link


@each_page
def test_pages_describe_themselves(book: Build, name: str) -> None:
    page = book.soup(name)
    (title,) = page.select("head > title")
    assert "Shortcut Connections, Measured" in title.get_text()
    description = meta(page, "description")
    assert 50 < len(description) <= 210
    assert meta(page, "og:description") == description
    # It is the first sentence of the page, not its furniture.
    words = re.findall(r"\w+", description)[:4]
    (article,) = page.select("article")
    assert re.search(r"\W+".join(words), text_of(article)), description
    picture = imread(book.html / meta(page, "og:image"))
    assert picture.shape[:2] == (600, 1146)
    assert len({*map(tuple, picture.reshape(-1, picture.shape[2])[::97])}) > 9


@pytest.mark.parametrize("name", ["genindex", "search"])
def test_pages_without_a_text_have_a_description(
    book: Build, name: str
) -> None:
    assert len(meta(book.soup(name), "description")) > 50


def test_no_two_pages_say_the_same(book: Build) -> None:
    for kind in ("description", "og:title", "og:image"):
        said = [meta(book.soup(name), kind) for name in PAGES]
        assert len(said) == len({*said})


def test_there_is_an_icon(book: Build) -> None:
    (icon,) = book.soup("index").select("link[rel=icon]")
    drawing = (book.html / str(icon["href"])).read_text(encoding="utf-8")
    assert drawing.startswith("<svg")


# What comes


@each_chapter
def test_neighbours_say_what_they_are_about(book: Build, name: str) -> None:
    said = [
        re.findall(r"\w+", text_of(part))[:6]
        for part in book.soup(name).select(".prev-next-footer .leads-to")
    ]
    place = CHAPTERS.index(name)
    for neighbour in CHAPTERS[max(0, place - 1) : place + 2]:
        if neighbour != name:
            entry = source("index").split(f"{{ref}}`{neighbour}`\n: ")[1]
            assert re.findall(r"\w+", entry)[:6] in said


@each_chapter
def test_chapters_say_how_long_they_are(book: Build, name: str) -> None:
    (said,) = book.soup(name).select("h1 + p.reading-time")
    words = re.fullmatch(r"About (\d+) minutes to read", said.get_text())
    assert words
    # By the words and lines of its source, folds left out, within a factor.
    body = source(name).split("## Exercises")[0]
    code = sum(len(part.splitlines()) for part in body.split("```")[1::2])
    prose = sum(len(part.split()) for part in body.split("```")[::2])
    assert 0.6 < int(words[1]) / (prose / 200 + code / 15) < 1.4


def test_the_landing_page_is_alive(book: Build) -> None:
    (image,) = book.soup("index").select("article img[src$='.svg']")
    drawing = (book.html / str(image["src"])).read_text(encoding="utf-8")
    assert "animation: appear" in drawing


# Bytes


def test_the_script_of_icons_holds_what_is_used_and_little_more(
    book: Build,
) -> None:
    script = book.html / "_static" / "scripts" / "fontawesome.js"
    assert len(gzip.compress(script.read_bytes())) < 40_000
    text = script.read_text(encoding="utf-8")
    kept = {*re.findall(r'[{,]"?([a-z][\w-]+)"?:\[\d+,\d+,\[', text)}
    pages = [*PAGES, "genindex", "search"]
    classes = " ".join(
        str(icon.get("class"))
        for name in pages
        for icon in book.soup(name).select("[class*='fa-']")
    )
    used = {*re.findall(r"'fa[sb]?', 'fa-([\w-]+)'", classes)}
    assert len(used) >= 5
    assert used <= kept
    assert "magnifying-glass" in kept
    fonts = [*book.html.rglob("fa-*.woff2")]
    assert len(fonts) == 3
    assert sum(font.stat().st_size for font in fonts) < 10_000
    characters = TTFont(
        next(f for f in fonts if "solid" in f.name)
    ).getBestCmap()
    assert {0xF002, 0xF05A} <= characters.keys()  # a lens, and that of a note
    assert "wheelchair" not in kept


@pytest.mark.parametrize(
    ("font", "parts"),
    [("dejavu-sans-mono", "pre, code"), ("stix-two-math", "math")],
)
def test_fonts_have_every_character(
    book: Build, font: str, parts: str
) -> None:
    file = book.html / "_static" / "fonts" / f"{font}.woff2"
    text = "".join(
        part.get_text()
        for name in PAGES
        for part in book.soup(name).select(parts)
    )
    needed = {ord(char) for char in text if not char.isspace()}
    assert not needed - TTFont(file).getBestCmap().keys()


def test_the_theme_is_not_copied() -> None:
    templates = [*(ROOT / "book" / "_templates").iterdir()]
    assert sum(len(Path(t).read_text("utf-8")) for t in templates) < 2_000
