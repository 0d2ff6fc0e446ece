"""What a reader takes along: notebooks, scripts, and one archive of all.

A notebook has the executed cells of a chapter, and between them its prose as
the page shows it, references and citations written out. The script is the same
notebook in the percent format. The archive holds all of them, the package as a
wheel, and the versions that the book was built with.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import jupytext
import nbformat
from docutils import nodes
from exercises import chapters
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

ROOT = Path(__file__).parents[2]
ARCHIVE = "shortcut-connections-measured"
FOLDER = "downloads"
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in an archive: they have no date
CELL = re.compile(r"^CELL(\d+)END$", re.MULTILINE)
README = """\
# Shortcut Connections, Measured: notebooks, scripts and package

    pip install -r requirements.txt

installs the package `shortcuts` from the wheel beside this file, and what the
book was built with. Each chapter is there twice: in `notebooks/`, with what it
printed when the book was built, to be opened with Jupyter or an editor that
knows notebooks; and in `scripts/`, to be run with Python or, cell by cell, in
an editor.

Text and figures: CC BY 4.0. Code: MIT.
"""


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
        """Pass over what others link to."""

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
        """Fold what the page folds."""
        title = node["prompt_show"]
        self.add(f"<details><summary>{title}</summary>", 2, 2)

    def depart_HideCodeCellNode(self, node: nodes.Element) -> None:  # noqa: N802
        """End the fold."""
        self.add("</details>", 2, 2)

    def unknown_visit(self, node: nodes.Node) -> None:
        """Refuse what would be lost."""
        raise ExtensionError(f"expected what Markdown can say, got {node}")


def notebook_of(app: Any, page: str) -> nbformat.NotebookNode:
    """Return the executed notebook of a chapter."""
    path = app.outdir.parent / "jupyter_execute" / f"{page}.ipynb"
    executed = nbformat.read(path, as_version=4).cells
    app.builder.current_docname = page
    app.builder.fignumbers = numbers = app.env.toc_fignumbers.get(page, {})
    text = app.env.get_and_resolve_doctree(page, app.builder)
    for listing in list(text.findall(HideCodeCellNode)):
        if "whole-listing" in listing["classes"]:
            listing.parent.remove(listing)
    for node in list(text.findall(nodes.container)):
        if node.get("nb_element") == "cell_code":
            place = nodes.paragraph("", f"CELL{node['cell_index']}END")
            node.replace_self([place, *captions(node, numbers)])
    for block in text.findall(nodes.literal_block):
        block["language"] = "python"  # there is no other
    prose = Prose(text, app.builder)
    text.walkabout(prose)
    first, *rest = CELL.split(prose.astext())
    cells = [*head(app), new_markdown_cell(first.strip())]
    for index, words in zip(rest[::2], rest[1::2], strict=True):
        cells.append(code_cell(executed[int(index)]))
        cells += [new_markdown_cell(words.strip())] if words.strip() else []
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def captions(cell: nodes.container, numbers: Any) -> Iterator[nodes.paragraph]:
    """Yield the caption of a cell's figure, with its number."""
    for caption in cell.findall(nodes.caption):
        number = numbers["figure"][caption.parent["ids"][0]]
        title = nodes.strong("", f"Fig. {'.'.join(map(str, number))}")
        yield nodes.paragraph(
            "", "", title, nodes.Text(" "), *caption.children
        )


def head(app: Sphinx) -> Iterator[nbformat.NotebookNode]:
    """Yield what stands before a chapter: how to get the package."""
    config = app.config
    if config.html_baseurl:
        url = (
            f"{config.html_baseurl.rstrip('/')}/{FOLDER}/{wheel_name(config)}"
        )
        yield new_markdown_cell(
            f"From *{config.project}*, {config.html_baseurl}"
        )
        yield new_code_cell(
            f'%pip install --quiet "shortcuts[figures] @ {url}"'
        )
    else:
        yield new_markdown_cell(
            f"From *{config.project}*. This notebook needs the package "
            "`shortcuts`, which is part of the book: the archive on its first "
            "page holds it as a wheel."
        )


def code_cell(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return an executed cell without times and MyST's own options."""
    outputs, streams = [], set()
    for output in cell.outputs:
        # MyST-NB has copied what later streams hold into the first.
        if output.output_type == "stream":
            if output.name in streams:
                continue
            streams.add(output.name)
        outputs.append(output)
    folded = "hide-cell" in cell.metadata.get("tags", ())
    return new_code_cell(
        cell.source,
        outputs=outputs,
        execution_count=cell.execution_count,
        metadata={"jupyter": {"source_hidden": True}} if folded else {},
    )


def wheel_name(config: Any) -> str:
    """Return the file name of the package's wheel."""
    return f"shortcuts-{config.release}-py3-none-any.whl"


def write_wheel(folder: Path) -> None:
    """Build the package's wheel; the same package makes the same bytes."""
    with tempfile.TemporaryDirectory() as copy:
        package = Path(copy) / "code" / "shortcuts"
        package.mkdir(parents=True)
        for file in sorted((ROOT / "code" / "shortcuts").glob("*.py")):
            (package / file.name).write_bytes(file.read_bytes())
        for name in ("pyproject.toml", "LICENSE"):
            (Path(copy) / name).write_bytes((ROOT / name).read_bytes())
        for path in Path(copy).rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        build = "from setuptools.build_meta import build_wheel"
        subprocess.run(
            [sys.executable, "-c", f"{build}; build_wheel({str(folder)!r})"],
            cwd=copy,
            env=os.environ | {"SOURCE_DATE_EPOCH": "315532800"},
            check=True,
            capture_output=True,
        )


def requirements(config: Any) -> str:
    """Return what notebooks need: the pins of the subject, and a kernel."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    subject = text.split("# The subject\n")[1].split("\n\n")[0]
    (kernel,) = re.findall(r"^ipykernel==\S+", text, re.MULTILINE)
    pins = re.findall(r"^[\w-]+==\S+", subject, re.MULTILINE)
    return "\n".join([*pins, kernel, f"./{wheel_name(config)}", ""])


def write_downloads(app: Sphinx, error: Exception | None) -> None:
    """Write all that can be downloaded, once every page is there."""
    if error or app.builder.name != "html":
        return
    folder = app.outdir / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_wheel(folder)
    wheel = wheel_name(app.config)
    files = {
        "README.md": README.encode(),
        "requirements.txt": requirements(app.config).encode(),
        wheel: (folder / wheel).read_bytes(),
    }
    for _, page in chapters(app.env):
        notebook = notebook_of(app, page)
        forms = {
            f"notebooks/{page}.ipynb": nbformat.writes(notebook) + "\n",
            f"scripts/{page}.py": jupytext.writes(notebook, "py:percent"),
        }
        for name, text in forms.items():
            files[name] = text.encode()
            (folder / Path(name).name).write_bytes(files[name])
    with ZipFile(folder / f"{ARCHIVE}.zip", "w") as archive:
        for name, data in sorted(files.items()):
            entry = ZipInfo(f"{ARCHIVE}/{name}", EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, ZIP_DEFLATED)


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
        files[f"{ARCHIVE}.zip"] = ".zip", "All chapters and the package"
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


class TakeRole(ReferenceRole):
    """A link to the archive; on paper, its words alone."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the link."""
        url = f"{FOLDER}/{ARCHIVE}.zip"
        link = nodes.reference("", self.title, refuri=url, classes=["take"])
        return [link], []


def unlink(app: Sphinx, page: nodes.document, name: str) -> None:
    """Take the links to downloads away where there are none."""
    if app.builder.name != "html":
        for link in list(page.findall(nodes.reference)):
            if "take" in link["classes"]:
                link.parent.replace(link, link.children)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register what writes the downloads, and what leads to them."""
    app.setup_extension("sphinx_markdown_builder")
    app.config.markdown_flavor = "github"
    app.add_role("archive", TakeRole())
    app.connect("doctree-resolved", unlink)
    app.connect("html-page-context", add_buttons, priority=900)
    app.connect("build-finished", write_downloads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
