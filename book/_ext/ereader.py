"""The book for e-readers: an EPUB with a cover, and without a clock.

Sphinx's own takes the time of building into it, leaves out what a page holds
beyond text, and takes in files that no page asks for.
"""

import os
import re
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from docutils import nodes
from facts import date_of_sources
from matplotlib.figure import Figure
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.epub3 import HTML_TAG, Epub3Builder
from takeaway import EPOCH

A4 = 8.27, 11.69  # inches
COVER = "_static/cover.png"


def draw_cover(title: str, rights: str) -> Figure:
    """Draw the title, figure 4.12 from a run, and the rights."""
    # No other builder needs these, and torch takes seconds to come.
    import torch

    from shortcuts import DeepNeuralNetwork, measure_gradients
    from shortcuts.figures import COLOURS, Column, draw_networks

    sizes, x = [3, 3, 3, 3, 3, 1], torch.tensor([[1.0, 0.0, -1.0]])
    columns = []
    for use_shortcut, name in ((False, "x = F(x)"), (True, "x = x + F(x)")):
        torch.manual_seed(123)
        model = DeepNeuralNetwork(sizes, use_shortcut)
        gradients = list(measure_gradients(model, x).values())
        columns.append(Column(name, sizes, model.bypassed, gradients))
    cover = draw_networks(*columns)
    cover.set_size_inches(A4)
    layout: Any = cover.get_layout_engine()
    layout.set(rect=(0.08, 0.15, 0.84, 0.45))
    ink: Any = {"color": COLOURS["ink"], "fontfamily": "STIXGeneral"}
    name, _, rest = title.partition(", ")
    words = name.replace(" ", "\n")
    big: Any = {"size": 58, "weight": "bold", "linespacing": 0.95}
    cover.text(0.1, 0.9, words, va="top", **big, **ink)
    cover.text(0.1, 0.74, rest, size=40, va="top", style="italic", **ink)
    cover.text(0.1, 0.07, rights, size=13, **ink)
    return cover


class EBook(Epub3Builder):
    """Sphinx's EPUB, the same for the same sources, and with its cover."""

    html_tag = f'{HTML_TAG[:-1]} lang="en" xml:lang="en">'
    media_types = {**Epub3Builder.media_types, ".woff2": "font/woff2"}  # noqa: RUF012

    def add_css_file(self, filename: str, **options: Any) -> None:
        """Leave out what styles buttons, or is not there in time."""
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
        date = re.match(r"\d{4}-\d\d-\d\d", date_of_sources())
        day = date[0] if date else "1980-01-01"
        return super().content_metadata() | {"date": f"{day}T00:00:00Z"}

    def handle_finish(self) -> None:
        """Write the book."""
        self.write_cover()
        super().handle_finish()

    def write_cover(self) -> None:
        """Draw the cover, for the screen and for paper."""
        cover = draw_cover(self.config.project, self.config.copyright)
        for kind in ("png", "svg"):
            file = (self.outdir / COVER).with_suffix(f".{kind}")
            cover.savefig(file, dpi=200, transparent=False)

    def build_content(self) -> None:
        """List what pages ask for, and say which pages hold formulas."""
        texts = {
            path: path.read_text(encoding="utf-8")
            for kind in ("*.xhtml", "*.css")
            for path in self.outdir.rglob(kind)
        }
        asked = {self.outdir / COVER} | {
            Path(os.path.normpath(path.parent / name))
            for path, text in texts.items()
            for name in re.findall(r'(?:src="|href="|url\("?)([^"#)?]+)', text)
        }
        self.config.epub_exclude_files = [
            str(path.relative_to(self.outdir))
            for path in self.outdir.rglob("*.*")
            if path.suffix != ".xhtml" and path not in asked
        ]
        super().build_content()
        special = {COVER: "cover-image"} | {
            path.name: "mathml"
            for path, text in texts.items()
            if "<math" in text
        }
        content = self.outdir / "content.opf"
        text = content.read_text(encoding="utf-8")
        for name, what in special.items():
            old = f'href="{name}" media-type'
            text = text.replace(old, f'properties="{what}" {old}')
        # Sphinx lists the index twice, as a page and as the index.
        once = "\n".join(dict.fromkeys(text.splitlines()))
        content.write_text(once, encoding="utf-8")

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


def setup(app: Sphinx) -> dict[str, Any]:
    """Replace Sphinx's own builder."""
    app.add_builder(EBook, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
