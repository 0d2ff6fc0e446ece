"""Pages are found, light, and lead on."""

import gzip
import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont
from PIL import Image, ImageChops, ImageOps, ImageStat

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
from press.argument import WORDS

DRAWN = [name for name in PAGES if "  figure:" in source(name)]


def meta(page: BeautifulSoup, kind: str) -> str:
    """Return the page's own description, which stands there once."""
    (said,) = page.select(f"meta[name='{kind}'], meta[property='{kind}']")
    return str(said["content"])


# For search engines, and for whoever is sent a link
SIDES = "width", "height"


def card(book: Build, name: str) -> Image.Image:
    """Return the picture that a page is shared with."""
    file = book.html / meta(book.soup(name), "og:image")
    assert file.stat().st_size < 150_000
    return Image.open(BytesIO(file.read_bytes()))


def ink(picture: Image.Image) -> Image.Image:
    """Return what a picture shows on white, without its margins."""
    white = Image.new("RGBA", picture.size, "white")
    seen = Image.alpha_composite(white, picture.convert("RGBA")).convert("L")
    inked = ImageOps.invert(seen)
    return inked.crop(inked.getbbox())


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return how far two drawings differ, seen from afar: none is 0."""
    small, how = (80, 60), Image.Resampling.BOX
    far = [drawn.resize(small, how) for drawn in (one, other)]
    unlike = ImageStat.Stat(ImageChops.difference(*far)).mean[0]
    return unlike / ImageStat.Stat(far[0]).mean[0]


def first_figure(book: Build, name: str) -> tuple[Image.Image, str]:
    """Return the first figure that a page has drawn, and its alt text."""
    drawn, alt = next(
        (output["data"]["image/png"], cell["metadata"]["mystnb"])
        for cell in book.notebook(name)["cells"]
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    )
    return Image.open(BytesIO(b64decode(drawn))), alt["image"]["alt"]


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
    assert len(meta(page, "og:image:alt")) > 40
    size = [int(meta(page, f"og:image:{side}")) for side in SIDES]
    shared = card(book, name)
    assert shared.size == (*size,) == (1146, 600)
    assert sum(map(bool, shared.convert("L").histogram())) > 9


@pytest.mark.parametrize("name", ["genindex", "search"])
def test_pages_without_a_text_have_a_description(
    book: Build, name: str
) -> None:
    assert len(meta(book.soup(name), "description")) > 50


def test_no_two_pages_say_the_same(book: Build) -> None:
    for kind in ("description", "og:title", "og:image"):
        said = [meta(book.soup(name), kind) for name in PAGES]
        assert len(said) == len({*said})


@pytest.mark.parametrize("name", DRAWN)
def test_cards_show_a_title_and_a_figure(book: Build, name: str) -> None:
    shared = card(book, name)
    title, between, figure = (
        ink(shared.crop((left, 0, right, 560)))
        for left, right in ((0, 468), (468, 480), (480, 1146))
    )
    assert title.height > 90  # more than the name of the book
    assert not between.getbbox()
    drawn, alt = first_figure(book, name)
    # Not the two before: there heat maps meet, which are all ink.
    others, _ = first_figure(book, DRAWN[DRAWN.index(name) - 3])
    assert difference(ink(drawn), figure) < 0.4
    assert difference(ink(others), figure) > 0.8
    scale = figure.width / ink(drawn).width
    assert scale > 0.4
    assert figure.height / ink(drawn).height == pytest.approx(scale, rel=0.02)
    assert " ".join(alt.split()) in meta(book.soup(name), "og:image:alt")


def test_there_is_an_icon(book: Build) -> None:
    (icon,) = book.soup("index").select("link[rel=icon]")
    drawing = (book.html / str(icon["href"])).read_text(encoding="utf-8")
    assert drawing.startswith("<svg")


# Where one is, and what comes


@pytest.mark.parametrize("name", ["index", *CHAPTERS])
def test_a_map_leads_to_all_chapters(book: Build, name: str) -> None:
    page = book.soup(name)
    (line,) = page.select("nav.argument")
    stations = [(link["href"], link["aria-label"]) for link in line("a")]
    assert stations == [
        (
            "#" if chapter == name else f"{chapter}.html",
            meta(book.soup(chapter), "og:title"),
        )
        for chapter in CHAPTERS
    ]
    numbers = [int(link.get_text()) for link in line("a")]
    assert numbers == [*range(1, len(CHAPTERS) + 1)]
    words = [next(place.strings) for place in line("li")]
    assert words == [WORDS[c] for c in CHAPTERS if c in WORDS]
    # It says where one is, in words, too, and stands where the page begins.
    marks = line.select("[href='#'][aria-current=page] + strong")
    assert [*map(text_of, marks)] == ["you are here"] * (name in CHAPTERS)
    assert len(line.select("[aria-current], strong")) == 2 * len(marks)
    above = "h1 + .reading-time" if name in CHAPTERS else "h1 + p"
    assert page.select(f"{above} + nav.argument") == [line]


def test_the_map_is_nowhere_else(book: Build) -> None:
    for name in {*PAGES} - {"index", *CHAPTERS}:
        assert not book.soup(name).select("nav.argument")
    for file in (book.html / "downloads").glob("*.[ip]*y*"):
        assert "you are here" not in file.read_text("utf-8")


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
    ("fonts", "parts"),
    [
        (["dejavu-sans-mono"], "pre, code"),
        (["stix-two-math"], "math"),
        (["stix-two-text-regular", "stix-two-math"], "p, li, dt, h1, h2, td"),
        (["stix-two-text-bold"], "strong"),
        (["stix-two-text-italic"], "em"),
    ],
)
def test_fonts_have_every_character(
    book: Build, fonts: list[str], parts: str
) -> None:
    files = book.html / "_static" / "fonts"
    has = set[int]().union(
        *(TTFont(files / f"{font}.woff2").getBestCmap() for font in fonts)
    )
    others = [name for name in ("math", "pre", "code") if name not in parts]
    shown = {
        char
        for name in PAGES
        for part in book.soup(name).select(parts)
        for text in part.strings
        if not text.find_parent(others)
        for char in text
    }
    assert not {c for c in shown if ord(c) not in has} - {"\n", "\xa0"}


def test_the_theme_is_not_copied() -> None:
    templates = [*(ROOT / "book" / "_templates").iterdir()]
    assert sum(len(Path(t).read_text("utf-8")) for t in templates) < 2_000
