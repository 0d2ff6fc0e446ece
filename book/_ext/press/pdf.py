"""The book on paper: all pages as one PDF, with page numbers that are right.

The pages are those for e-readers, their figures as drawings, one after the
other. On which page a heading stands is known only when all is printed, so
Chromium prints again, with the numbers of the time before.
"""

import html
import json
import logging
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from itertools import takewhile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import matplotlib
from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import Fit
from sphinx.errors import ExtensionError

from press.chromium import launch
from press.epub import XHTML, EBook

FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")
STYLES = "pygments.css", "epub.css", "book.css", "ereader.css", "paper.css"
# Parts of code that look like the rest; each would be an object of the PDF.
PLAIN = re.compile(r'<span class="(?:[nps]\w?|m[if]|o|w|pre)">([^<]*)</span>')
LOAD_FONTS = "Promise.all([...document.fonts].map(font => font.load()))"
FILL_IN = """numbers => {
  for (const span of document.querySelectorAll(".page"))
    span.textContent = `${numbers[span.dataset.to] ?? 0}`;
}"""
LINKED = """() => [...document.querySelectorAll("a[href^='#']")]
  .filter(link => link.getClientRects().length)
  .map(link => link.hash.slice(1))"""
NODE = re.compile(rb"\bnode\d{8}\b")
LINK = re.compile(rb"/Dest /([^\s/>]+)")
ElementTree.register_namespace("m", "http://www.w3.org/1998/Math/MathML")


class Paper(EBook):
    """Writes one PDF."""

    name = "paper"
    epilog = "The PDF is in %(outdir)s."

    def init(self) -> None:
        """Look for a browser first, and switch social cards off."""
        super().init()
        self.config.ogp_social_cards = {"enable": False}
        with sync_playwright() as playwright:
            launch(playwright).close()

    def copy_image_files(self) -> None:
        """Let figures stand still: paper does not wait for them."""
        super().copy_image_files()
        for figure in (self.outdir / self.imagedir).glob("*.svg"):
            text = figure.read_text(encoding="utf-8")
            still = re.sub(r"<style>@media.*?</style>", "", text)
            figure.write_text(still, encoding="utf-8")

    def handle_finish(self) -> None:
        """Put the pages together, print them, add outline and metadata."""
        self.get_toc()
        self.write_cover()
        for font in FONTS.glob("*.ttf"):  # no machine's own, so always these
            shutil.copy(font, self.outdir / "_static" / "fonts")
        printed = PdfReader(BytesIO(print_until_right(self.whole_book())))
        pdf = PdfWriter(clone_from=printed)
        chapter = None
        for level, uri, title in self.contents():
            place = printed.named_destinations[f"/{anchor(uri)}"]
            above = chapter if level > 1 else None
            item = pdf.add_outline_item(
                title=title,
                page_number=printed.get_destination_page_number(place),
                parent=above,
                fit=Fit.xyz(top=place.top),
            )
            chapter = above or item
        title, author = self.config.project, self.config.author
        pdf.metadata = {"/Title": title, "/Author": author}
        pdf.pdf_header = "%PDF-1.7"
        path = self.outdir / f"{self.config.epub_basename}.pdf"
        with path.open("wb") as file:
            pdf.write(file)

    def contents(self) -> Iterator[tuple[int, str, str]]:
        """Yield level, address and title of chapters and sections."""
        for entry in self.refnodes:
            if entry["level"] <= self.config.epub_tocdepth:
                title = html.unescape(entry["text"])
                yield entry["level"], entry["refuri"], title

    def whole_book(self) -> Path:
        """Write cover, contents and all pages as one page."""
        book = Element(f"{XHTML}html", lang=self.config.language)
        head, body = add(book, "head"), add(book, "body")
        add(head, "title", self.config.project)
        for name in STYLES:
            add(head, "link", rel="stylesheet", href=f"_static/{name}")
        add(body, "img", src="_static/cover.svg", alt="", id="cover")
        contents = add(body, "nav", id="contents")
        add(contents, "h1", "Contents")
        for level, uri, title in self.contents():
            line = add(contents, "p")
            line.set("class", f"level-{level}")
            add(line, "a", title, href=f"#{anchor(uri)}")
            add_number(line, anchor(uri))
            if "#" not in uri:
                body.append(self.part(uri))
                running = f"@top-left {{ content: {json.dumps(title)} }}"
                add(head, "style", f"@page {anchor(uri)} {{ {running} }}")
        path = self.outdir / "book.xhtml"
        ElementTree.register_namespace("", XHTML.strip("{}"))
        ElementTree.ElementTree(book).write(path, "utf-8")
        return path

    def part(self, page: str) -> Element:
        """Return a page as a part of the whole, with ids of its own."""
        text = PLAIN.sub(r"\1", (self.outdir / page).read_text("utf-8"))
        tree = ElementTree.fromstring(text)
        (part,) = tree.iterfind(f".//{XHTML}div[@role='main']")
        for element in part.iter():
            if name := element.get("id"):
                element.set("id", anchor(f"{page}#{name}"))
            uri = element.get("href", "://")
            if "://" not in uri:
                target = anchor(page + uri if uri[0] == "#" else uri)
                element.set("href", f"#{target}")
        for element in list(part.iter()):
            name_the_heading(element)
        if page.startswith("genindex"):
            for link in part.iterfind(f".//{XHTML}li/{XHTML}a"):
                add_number(link, link.get("href", "")[1:])
        part.attrib = {"id": anchor(page), "style": f"page: {anchor(page)}"}
        return part


def anchor(uri: str) -> str:
    """Return the id of a place of a page in the whole book."""
    page, _, place = uri.partition("#")
    return "--".join([Path(page).stem, place]).removesuffix("--")


def add(parent: Element, kind: str, text: str = "", **given: str) -> Element:
    """Add an element of XHTML."""
    element = SubElement(parent, XHTML + kind, given)
    element.text = text
    return element


def add_number(parent: Element, target: str) -> None:
    """Add a page number, which is not known yet."""
    add(parent, "span", "0").attrib = {"class": "page", "data-to": target}


def name_the_heading(section: Element) -> None:
    """Move the names of a section to the words of its heading, if it has one.

    It can begin at the foot of a page, and its heading stand on the next.
    """
    marks = [*takewhile(lambda e: e.tag == f"{XHTML}span", section)]
    heading = next(iter(section[len(marks) :]), None)
    if heading is None or not re.search(r"h\d$", heading.tag):
        return
    for mark in [section, *marks]:
        if name := mark.attrib.pop("id", ""):
            words = Element(f"{XHTML}span", id=name)
            words.text, heading.text = heading.text, ""
            words[:], heading[:] = heading, [words]


def print_until_right(book: Path) -> bytes:
    """Return the book as a PDF, in which the page numbers are those it has.

    A longer number may begin a line, and a line a page: then once more. Also
    once more if links were lost, as Chromium does every now and then: all
    that the page has must be there, and the most that were ever there must
    have come twice. The page is opened anew each time, for Chromium may print
    one differently the second time.
    """
    options: Any = {"prefer_css_page_size": True, "print_background": True}
    numbers: dict[str, int] = {}
    right = Counter[int]()
    with sync_playwright() as playwright, launch(playwright) as browser:
        page = browser.new_page(color_scheme="light")
        for _ in range(12):
            page.goto(book.as_uri())
            page.evaluate(LOAD_FONTS)
            page.evaluate(FILL_IN, numbers)
            wanted = Counter[str](page.evaluate(LINKED))
            pdf = page.pdf(tagged=True, **options)
            before, numbers = numbers, page_numbers(pdf)
            found = Counter(map(bytes.decode, LINK.findall(pdf)))
            if numbers == before and wanted <= found:
                right[found.total()] += 1
                if found.total() == max(right) and right[max(right)] > 1:
                    break
        else:
            moved = dict(numbers.items() - before.items())
            raise ExtensionError(
                f"expected twice the same pages, with {wanted.total()} links "
                f"or more, got {moved} moved, without {wanted - found}, and "
                f"of each number of links so many: {dict(right)}"
            )
    # Chromium counts the parts of a page from anywhere: count them from zero.
    parts = sorted({*NODE.findall(pdf)})
    counted = {part: b"node%08d" % n for n, part in enumerate(parts)}
    return NODE.sub(lambda found: counted[found[0]], pdf)


def page_numbers(pdf: bytes) -> dict[str, int]:
    """Return on which page each place is that something links to."""
    # Chromium's own count of objects is one too low; nothing is missing.
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    reader = PdfReader(BytesIO(pdf))
    return {
        name[1:]: (reader.get_destination_page_number(place) or 0) + 1
        for name, place in reader.named_destinations.items()
    }
