"""Chapters to take along: the notebook that ran, and the same as a script.

A notebook has the executed cells of a chapter, and between them its prose as
the page shows it, references and citations written out. The menu at the top of
a page offers both, and what is linked with `{take}` lies beside them.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
)
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import ReferenceRole
from sphinx.util.math import get_node_equation_number
from sphinx_markdown_builder.contexts import WrappedContext
from sphinx_markdown_builder.translator import MarkdownTranslator

from press import archive
from press.folds import CHECKS
from press.margins import drop_definitions
from press.project import NAME, chapters, executed

FOLDER = "downloads"
CELL = re.compile(r"^CELL(\d+)END$", re.MULTILINE)
# Not every console, and few redirected ones, can write a delta.
UTF8 = """\
import sys

if hasattr(sys.stdout, "reconfigure"):
    sys.stdout.reconfigure(encoding="utf-8")"""
KERNEL = {
    "name": "python3",
    "display_name": "Python 3",
    "language": "python",
}


class Prose(MarkdownTranslator):
    """A page as Markdown that any notebook program reads."""

    def visit_reference(self, node: nodes.reference) -> None:
        """Link to other sites, and to the book if its address is known."""
        uri = node.get("refuri", "")
        if node.get("internal") or not uri:
            base, page = self.config.html_baseurl, self.builder.current_docname
            here = uri if uri else f"{page}.html#{node['refid']}"
            uri = f"{base.rstrip('/')}/{here}" if base else ""
        ends = ("[", f"]({uri})") if uri else ("", "")
        self._push_context(WrappedContext(*ends))

    def depart_reference(self, node: nodes.reference) -> None:
        """Close the link."""
        self._pop_context()

    def visit_target(self, node: nodes.target) -> None:
        """Pass over a target of links."""

    def visit_preset(self, node: nodes.Element) -> None:
        """Leave out the knobs of the laboratory."""
        raise nodes.SkipNode

    def visit_admonition(self, node: nodes.admonition) -> None:
        """Write a box; its title is a line of its own."""
        title = node.pop(0).astext()
        self.add(f"**{title}**", 2, 2)

    def depart_admonition(self, node: nodes.admonition) -> None:
        """End the box."""

    def visit_title(self, node: nodes.title) -> None:
        """Write a title; that of the chapter has its number."""
        super().visit_title(node)
        numbers = self.builder.env.toc_secnumbers[self.builder.current_docname]
        if isinstance(node.parent.parent, nodes.document):
            self.add(f"{numbers[''][0]}. ")

    def depart_title(self, node: nodes.title) -> None:
        """End the line."""
        self._pop_context()

    def visit_math_block(self, node: nodes.math_block) -> None:
        """Write a formula with its number."""
        tag = ""
        if node["number"]:
            tag = rf" \tag{{{get_node_equation_number(self, node)}}}"
        self.add(f"$$\n{node.astext().strip()}{tag}\n$$", 2, 2)
        raise nodes.SkipNode

    def visit_HideCodeCellNode(self, node: nodes.Element) -> None:  # noqa: N802
        """Open a fold."""
        title = node["prompt_show"]
        self.add(f"<details><summary>{title}</summary>", 2, 2)

    def depart_HideCodeCellNode(self, node: nodes.Element) -> None:  # noqa: N802
        """Close the fold."""
        self.add("</details>", 2, 2)

    def unknown_visit(self, node: nodes.Node) -> None:
        """Refuse a node that Markdown cannot say."""
        raise ExtensionError(f"expected what Markdown can say, got {node}")


def prose_of(app: Any, page: str) -> Iterator[tuple[int | None, str]]:
    """Yield the prose of a page in pieces, each with the cell before it."""
    text = app.env.get_and_resolve_doctree(page, app.builder)
    numbers = app.env.toc_fignumbers.get(page, {})
    drop_definitions(text)
    for fold in list(text.findall(HideCodeCellNode)):
        if "whole-listing" in fold["classes"]:
            fold.parent.remove(fold)
        if CHECKS in fold["classes"]:  # a notebook shows the cell itself
            fold.replace_self(fold[0])
    for node in list(text.findall(nodes.container)):
        if node.get("nb_element") == "cell_code":
            place = nodes.paragraph("", f"CELL{node['cell_index']}END")
            node.replace_self([place, *captions(node, numbers)])
    for block in text.findall(nodes.literal_block):
        block["language"] = "python"  # there is no other
    # The translator asks the builder for these.
    app.builder.current_docname, app.builder.fignumbers = page, numbers
    prose = Prose(text, app.builder)
    text.walkabout(prose)
    first, *rest = CELL.split(prose.astext())
    yield None, first.strip()
    for index, words in zip(rest[::2], rest[1::2], strict=True):
        yield int(index), words.strip()


def captions(cell: nodes.container, numbers: Any) -> Iterator[nodes.paragraph]:
    """Yield the caption of a cell's figure, with its number."""
    for caption in cell.findall(nodes.caption):
        number = numbers["figure"][caption.parent["ids"][0]]
        title = nodes.strong("", f"Fig. {'.'.join(map(str, number))}")
        yield nodes.paragraph(
            "", "", title, nodes.Text(" "), *caption.children
        )


def head(config: Any) -> Iterator[nbformat.NotebookNode]:
    """Yield the cells before a chapter, which say how to get the package."""
    address = config.html_baseurl.rstrip("/")
    if address:
        url = f"{address}/{FOLDER}/{archive.wheel_name(config.release)}"
        yield new_markdown_cell(f"From *{config.project}*, {address}/")
        yield new_code_cell(
            f'%pip install --quiet "shortcuts-measured[figures] @ {url}"'
        )
    else:
        yield new_markdown_cell(
            f"From *{config.project}*. This notebook needs the package "
            "`shortcuts` of the distribution `shortcuts-measured`, which is "
            "part of the book: the archive on its first page holds it as a "
            "wheel. (`pip install shortcuts` would bring another package, "
            "from which nothing here can be imported.)"
        )


def code_cell(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return an executed cell without times and MyST's own options."""
    folded = "hide-cell" in cell.metadata.get("tags", ())
    return new_code_cell(
        cell.source,
        outputs=cell.outputs,
        execution_count=cell.execution_count,
        metadata={"jupyter": {"source_hidden": True}} if folded else {},
    )


def notebook_of(app: Sphinx, page: str) -> nbformat.NotebookNode:
    """Return the executed notebook of a chapter."""
    ran = executed(app, page).cells
    cells = [*head(app.config)]
    for index, words in prose_of(app, page):
        cells += [code_cell(ran[index])] if index is not None else []
        cells += [new_markdown_cell(words)] if words else []
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def script_of(notebook: nbformat.NotebookNode) -> str:
    """Return a notebook in the percent format, for any console."""
    cells = [new_code_cell(UTF8), *notebook.cells]
    whole = new_notebook(cells=cells, metadata=notebook.metadata)
    script: str = jupytext.writes(whole, "py:percent")
    return script


def write(app: Sphinx, error: Exception | None) -> None:
    """Write all that can be downloaded, once every page is there."""
    if error or app.builder.name != "html":
        return
    folder = app.outdir / FOLDER
    folder.mkdir(exist_ok=True)
    files = {}
    for _, page in chapters(app.env):
        notebook = notebook_of(app, page)
        forms = {
            f"notebooks/{page}.ipynb": nbformat.writes(notebook) + "\n",
            f"scripts/{page}.py": script_of(notebook),
        }
        for name, text in forms.items():
            files[name] = text.encode()
            (folder / Path(name).name).write_bytes(files[name])
    archive.write(folder, app.config.release, files)
    (app.outdir / ".nojekyll").touch()  # for who publishes from a branch


def add_buttons(
    app: Sphinx, page: str, template: str, context: dict[str, Any], _: Any
) -> None:
    """Offer the downloads of a page in the menu that the theme has."""
    files = {}
    if page in {name for _, name in chapters(app.env)}:
        files[f"{page}.ipynb"] = (
            ".ipynb",
            "The chapter as a notebook, executed",
        )
        files[f"{page}.py"] = ".py", "The chapter as a script"
    if page == app.config.root_doc:
        files[f"{NAME}.zip"] = ".zip", "All chapters and the package"
    for menu in context.get("header_buttons", ()):
        if menu["label"] == "download-buttons":
            menu["buttons"][:0] = [
                {
                    "type": "link",
                    "url": context["pathto"](f"{FOLDER}/{file}", 1),
                    "text": text,
                    "tooltip": tooltip,
                    "icon": "fas fa-file-code",
                    "label": f"download{text.replace('.', '-')}-button",
                }
                for file, (text, tooltip) in files.items()
            ]


class Take(ReferenceRole):
    """A link to the whole book as a zip, pdf or epub file."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the link."""
        url = f"{FOLDER}/{NAME}.{self.target}"
        link = nodes.reference("", self.title, refuri=url, classes=["take"])
        return [link], []


def unlink(app: Sphinx, page: nodes.document, name: str) -> None:
    """Replace links to files that this build does not make by their words."""
    is_site = app.builder.name == "html"
    made = {"zip", *app.config.editions.split(",")} if is_site else set()
    for link in list(page.findall(nodes.reference)):
        kind = link.get("refuri", "").rpartition(".")[2]
        if "take" in link["classes"] and kind not in made:
            link.parent.replace(link, link.children)
