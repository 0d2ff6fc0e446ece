"""The book for e-readers: an EPUB with a cover, and without a clock.

Sphinx's own takes the time of building into it, leaves out what a page holds
beyond text, and takes in files that no page asks for.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from docutils import nodes
from sphinx import addnodes
from sphinx.builders.epub3 import HTML_TAG, Epub3Builder

from press import cover
from press.project import EPOCH, date_of_sources

COVER = "_static/cover.png"
OPF = "{http://www.idpf.org/2007/opf}"
XHTML = "{http://www.w3.org/1999/xhtml}"
ElementTree.register_namespace("dc", "http://purl.org/dc/elements/1.1/")


class EBook(Epub3Builder):
    """Sphinx's EPUB, the same for the same sources, and with its cover."""

    html_tag = f'{HTML_TAG[:-1]} lang="en" xml:lang="en">'
    media_types = {**Epub3Builder.media_types, ".woff2": "font/woff2"}  # noqa: RUF012

    def add_css_file(self, filename: str, **options: Any) -> None:
        """Add a style sheet, but none of buttons or of MyST-NB."""
        if not filename.startswith(("copybutton", "mystnb")):
            super().add_css_file(filename, **options)

    def write_doc(self, docname: str, doctree: nodes.document) -> None:
        """Let signatures break anywhere: lists in terms are no XHTML."""
        for parameters in doctree.findall(addnodes.desc_parameterlist):
            parameters["multi_line_parameter_list"] = False
        super().write_doc(docname, doctree)

    def get_toc(self) -> None:
        """Collect the contents, with the numbers of the chapters."""
        super().get_toc()
        for entry in self.refnodes:
            page, _, section = entry["refuri"].partition("#")
            numbers = self.env.toc_secnumbers.get(page.rpartition(".")[0], {})
            if not section and numbers.get(""):
                entry["text"] = f"{numbers[''][0]}. {entry['text']}"

    def content_metadata(self) -> dict[str, Any]:
        """Date the book as its sources are dated."""
        day = date_of_sources()[:10] or "1980-01-01"
        return super().content_metadata() | {"date": f"{day}T00:00:00Z"}

    def handle_finish(self) -> None:
        """Write the book."""
        self.write_cover()
        super().handle_finish()

    def write_cover(self) -> None:
        """Draw the cover, for the screen and for paper."""
        drawing = cover.draw(self.config.project, self.config.copyright)
        for kind in ("png", "svg"):
            file = (self.outdir / COVER).with_suffix(f".{kind}")
            drawing.savefig(file, dpi=200, transparent=False)

    def build_content(self) -> None:
        """Write the manifest: the files named, and formulas marked."""
        asked = {self.outdir / COVER, *self.asked_for()}
        self.config.epub_exclude_files = [
            str(path.relative_to(self.outdir))
            for path in self.outdir.rglob("*.*")
            if path.suffix != ".xhtml" and path not in asked
        ]
        super().build_content()
        path = self.outdir / "content.opf"
        ElementTree.register_namespace("", OPF.strip("{}"))
        content = ElementTree.parse(path)
        for item in content.iterfind(f".//{OPF}manifest/{OPF}item"):
            name = item.get("href", "")
            if name == COVER:
                item.set("properties", "cover-image")
            elif name.endswith(".xhtml") and self.holds_formulas(name):
                item.set("properties", "mathml")
        (spine,) = content.iterfind(f".//{OPF}spine")
        listed = set[str | None]()
        for page in list(spine):
            # Sphinx lists the index twice, as a page and as the index.
            if page.get("idref") in listed:
                spine.remove(page)
            listed.add(page.get("idref"))
        content.write(path, "utf-8", xml_declaration=True)

    def asked_for(self) -> Iterator[Path]:
        """Yield the files that pages and style sheets name."""
        for path in self.outdir.rglob("*.xhtml"):
            for element in ElementTree.parse(path).iter():
                for uri in (element.get("src"), element.get("href")):
                    if name := (uri or "").partition("#")[0]:
                        yield Path(os.path.normpath(path.parent / name))
        for path in self.outdir.rglob("*.css"):
            text = path.read_text(encoding="utf-8")
            for name in re.findall(r'url\("?([^"#)?]+)', text):
                yield Path(os.path.normpath(path.parent / name))

    def holds_formulas(self, page: str) -> bool:
        """Say whether a page holds MathML."""
        path = self.outdir / page  # the contents are not written yet
        return path.exists() and "<math" in path.read_text(encoding="utf-8")

    def build_epub(self) -> None:
        """Put all into one file, without times."""
        names = ["mimetype", "META-INF/container.xml", "content.opf"]
        names += ["toc.ncx", *self.files]
        path = self.outdir / f"{self.config.epub_basename}.epub"
        with ZipFile(path, "w") as book:
            for name in names:
                how = ZIP_STORED if name == "mimetype" else ZIP_DEFLATED
                entry = ZipInfo(name, EPOCH)
                entry.external_attr = 0o644 << 16
                data = (self.outdir / name).read_bytes()
                book.writestr(entry, data, how)
