"""Pages are found, light, and lead on."""

import gzip
import re
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from matplotlib.image import imread

from helpers import CHAPTERS, PAGES, ROOT, Build, source

each_chapter = pytest.mark.parametrize("name", CHAPTERS)
each_page = pytest.mark.parametrize("name", PAGES)


def meta(page: str, kind: str) -> list[str]:
    """Return what a page says of itself."""
    return re.findall(
        rf'<meta (?:name|property)="{kind}" content="([^"]*)"', page
    )


# For search engines, and for whoever is sent a link


@each_page
def test_pages_describe_themselves(book: Build, name: str) -> None:
    page = book.page(name)
    title = re.findall(r"<title>(.*?)</title>", page)[0]
    assert "Shortcut Connections, Measured" in title
    (description,) = meta(page, "description")
    assert 50 < len(description) <= 210
    assert meta(page, "og:description") == [description]
    # It is the first sentence of the page, not its furniture.
    first = re.sub("<[^>]*>", "", page.split("</h1>")[-1])
    words = re.findall(r"\w+", description)[:4]
    assert re.search(r"\W+".join(words), first), description
    (card,) = meta(page, "og:image")
    picture = imread(book.html / card)
    assert picture.shape[:2] == (600, 1146)
    assert len({*map(tuple, picture.reshape(-1, picture.shape[2])[::97])}) > 9


@pytest.mark.parametrize("name", ["genindex", "search"])
def test_pages_without_a_text_have_a_description(
    book: Build, name: str
) -> None:
    (description,) = meta(book.page(name), "description")
    assert len(description) > 50


def test_no_two_pages_say_the_same(book: Build) -> None:
    for kind in ("description", "og:title", "og:image"):
        said = [meta(book.page(name), kind)[0] for name in PAGES]
        assert len(said) == len({*said})


def test_there_is_an_icon(book: Build) -> None:
    (icon,) = re.findall(
        r'<link rel="icon" href="([^"]*)"', book.page("index")
    )
    assert (book.html / icon).read_text(encoding="utf-8").startswith("<svg")


# What comes


@each_chapter
def test_neighbours_say_what_they_are_about(book: Build, name: str) -> None:
    footer = book.page(name).split("prev-next-footer")[1]
    place = CHAPTERS.index(name)
    for neighbour in CHAPTERS[max(0, place - 1) : place + 2]:
        if neighbour != name:
            entry = source("index").split(f"{{ref}}`{neighbour}`\n: ")[1]
            words = re.findall(r"\w+", entry)[:6]
            said = re.findall(r'class="leads-to">(.*?)</span>', footer, re.S)
            assert any(re.findall(r"\w+", text)[:6] == words for text in said)


@each_chapter
def test_chapters_say_how_long_they_are(book: Build, name: str) -> None:
    text = book.page(name).split("</h1>")[-1]
    (minutes,) = re.findall(
        r'^\s*<p class="reading-time">About (\d+) minutes to read</p>', text
    )
    # By the words and lines of its source, folds left out, within a factor.
    body = source(name).split("## Exercises")[0]
    code = sum(len(part.splitlines()) for part in body.split("```")[1::2])
    prose = sum(len(part.split()) for part in body.split("```")[::2])
    assert 0.6 < int(minutes) / (prose / 200 + code / 15) < 1.4


def test_the_landing_page_is_alive(book: Build) -> None:
    (image,) = re.findall(r'src="(_images/[^"]*\.svg)"', book.page("index"))
    drawing = (book.html / image).read_text(encoding="utf-8")
    assert "animation: grow" in drawing


# Bytes


def test_the_script_of_icons_holds_what_is_used_and_little_more(
    book: Build,
) -> None:
    script = book.html / "_static" / "scripts" / "fontawesome.js"
    assert len(gzip.compress(script.read_bytes())) < 40_000
    text = script.read_text(encoding="utf-8")
    kept = {*re.findall(r'[{,]"?([a-z][\w-]+)"?:\[\d+,\d+,\[', text)}
    used = {
        name
        for page in book.html.glob("*.html")
        for name in re.findall(
            r'class="[^"]*\bfa[sb]? fa-([\w-]+)', page.read_text("utf-8")
        )
    }
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


def test_the_theme_is_not_copied() -> None:
    templates = [*(ROOT / "book" / "_templates").iterdir()]
    assert sum(len(Path(t).read_text("utf-8")) for t in templates) < 2_000
