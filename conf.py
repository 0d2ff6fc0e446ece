"""The whole Sphinx configuration. It reads no network and no clock.

A green build has to mean that every example ran just now, against the package
that lies beside this file, so nothing here caches, skips or forgives.
"""

import hashlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import matplotlib.font_manager  # noqa: F401  (see below: the kernels)
import nbformat
import psutil
from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from jupyter_client.manager import KernelManager
from myst_nb.sphinx_ import Parser
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ConfigError
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

ROOT = Path(__file__).parent
PACKAGE = ROOT / "code" / "shortcuts"
REQUIREMENTS = ROOT / "requirements.txt"
sys.path[:0] = [str(PACKAGE.parent), str(ROOT / "book" / "_ext")]
sys.dont_write_bytecode = True
TAGS = {"hide-cell", "remove-cell"}  # what a cell may ask for, and a page
OPTIONS = {"tags", "mystnb", "figure", "image"}
HEADER = {"file_format", "kernelspec", "language_info", "source_map"}
CELL_PARTS = {"cell_input", "cell_output"}
NAMES_WITH_POINT = {"4.5", "4.12"}  # the listing and the figure
logger = logging.getLogger(__name__)

# The book
project = "Shortcut Connections, Measured"
author = "The authors of Shortcut Connections, Measured"
copyright = "2026, the authors; text CC BY 4.0, code MIT"  # noqa: A001
version = release = "0.1.0"
language = "en"
source_suffix = {".md": "myst-nb"}
exclude_patterns = ["_*"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
    "sphinxext.opengraph",
    # The book's own
    *("folds", "exercises", "listing", "claims", "facts", "takeaway", "pages"),
    *("ereader", "paper", "laboratory"),
]
nitpicky = True
nitpick_ignore_regex = [
    # These have no inventory here that needs no network.
    ("py:.*", r"(collections|contextlib|jaxtyping|matplotlib|numbers)\..*"),
]
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_function_parentheses = False
python_maximum_signature_line_length = 60
intersphinx_mapping = {
    "torch": (
        f"https://docs.pytorch.org/docs/{installed('torch').rpartition('.')[0]}/",
        "torch.inv",
    )
}
numfig = True
bibtex_bibfiles = ["book/references.bib"]
bibtex_reference_style = "author_year"
myst_enable_extensions = ["deflist", "dollarmath"]

# Running the examples: always, in an empty folder, and any slip ends the build
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 60
nb_output_stderr = "error"
nb_merge_streams = True
nb_ipywidgets_js: dict[str, Any] = {}
nb_render_markdown_format = "gfm"  # a cell can show a table
nb_mime_priority_overrides = [
    ("epub", "image/svg+xml", None),  # not every e-reader draws SVG
    ("paper", "image/svg+xml", 1),
    ("paper", "text/plain", 2),
]
nb_code_prompt_show = "Solution"  # nothing but solutions is folded
nb_code_prompt_hide = "Solution"

# The kernels take the package from here and one thread each (tensors are tiny,
# and more threads cost time). What the caller has set for Python or Jupyter
# does not reach them: it could switch off assertions or warnings, or put
# another kernel or module in their place. Nor must a cell wait for
# matplotlib's first look at all fonts, and say so on stderr: the import above
# has it done before.
for name in (
    "PYTHONSTARTUP",
    "PYTHONPYCACHEPREFIX",
    "SOURCE_DATE_EPOCH",  # would set the year of the copyright
):
    os.environ.pop(name, None)
os.environ |= {
    "PYTHONPATH": str(PACKAGE.parent),
    "PYTHONDONTWRITEBYTECODE": "1",  # nor anything compiled of the package
    "OMP_NUM_THREADS": "1",
    "PYTHONOPTIMIZE": "",
    "PYTHONWARNINGS": "",
    "JUPYTER_PATH": "",
    "JUPYTER_PREFER_ENV_PATH": "1",
}
KernelManager.transport_encryption.default_value = "auto"

# The pages
html_theme = "sphinx_book_theme"
html_title = project
templates_path = ["book/_templates"]
html_static_path = ["book/_static"]
html_sidebars = {
    "**": ["home.html", "search-button-field.html", "sbt-sidebar-nav.html"]
}
html_css_files = ["book.css"]
html_favicon = "book/_static/favicon.svg"
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}

# Where the book stands, if anyone knows: with an address pages name it, a
# sitemap lists them, and notebooks install the package from there.
html_baseurl = ogp_site_url = os.environ.get("BOOK_URL", "")
ogp_social_cards = {
    "font": "DejaVu Sans",
    "line_color": "#0072b2",
    "site_url": html_baseurl,
}
ogp_enable_meta_description = True
if html_baseurl:
    extensions.append("sphinx_sitemap")
    sitemap_url_scheme = "{link}"
    sitemap_excludes = ["genindex.html", "search.html"]
html_theme_options = {"navbar_persistent": [], "show_toc_level": 2}
html_show_sourcelink = False
html_domain_indices = False  # the index has them
copybutton_selector = "div.cell_input pre, .whole-listing pre"
copybutton_exclude = ".linenos, .gp, .go"

# Paper and e-readers
epub_basename = "shortcut-connections-measured"
epub_uid = epub_identifier = f"{epub_basename}-{version}"
epub_description = (
    "Why deep networks need shortcut connections: an executed book"
)
epub_contributor = epub_publisher = author
epub_cover = ("_static/cover.png", "epub-cover.html")
epub_css_files = ["book.css", "ereader.css"]
epub_tocdepth = 2
epub_tocscope = "includehidden"
epub_tocdup = False
epub_show_urls = "no"


def check_versions() -> None:
    """Refuse to build with other versions than were tested together."""
    pins = re.findall(r"^([\w-]+)==(\S+)", REQUIREMENTS.read_text(), re.M)
    for package, pin in pins:
        found = installed(package)
        if found.partition("+")[0] != pin:  # torch 2.13.0+cpu is torch 2.13.0
            raise ConfigError(
                f"expected {package} {pin}, as requirements.txt says, but "
                f"{found} is installed: remove .venv and run make again"
            )


def sources_of_outputs() -> str:
    """Everything but the chapters themselves that their outputs depend on."""
    digest = hashlib.sha256()
    for source in [*sorted(PACKAGE.rglob("*.py")), REQUIREMENTS]:
        digest.update(source.read_bytes())
    digest.update(platform.python_version().encode())
    return digest.hexdigest()


class BookParser(Parser):  # type: ignore[misc]
    """Say which page failed first, and keep the reason for the end of the log.

    Pages are read side by side, and what the others have still to say would
    bury it.
    """

    failure: Path  # where the reason is kept

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Read a page and run its examples."""
        try:
            try:
                super().parse(inputstring, document)
            except RuntimeError as error:
                # About one kernel in a thousand does not come up: no example
                # has run yet, and another kernel is asked once.
                if not re.match(
                    "Kernel (didn't respond|died before replying)", str(error)
                ):
                    raise
                super().parse(inputstring, document)
        except Exception as error:
            page = f"The page that failed: {document['source']}"
            error.add_note(page)
            reason = re.sub(
                r"\x1b\[[\d;]*m", "", str(error.__cause__ or error)
            )
            if not self.failure.exists():
                self.failure.write_text(
                    f"{page}\n{reason}\n", encoding="utf-8"
                )
            raise


def check_pages(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of what no page may hold, and of cells that did not simply run.

    MyST-NB looks only at what a page shows, and forgives a cell whose tags or
    whose page ask for it. What has run is in the notebooks that it writes.
    """
    for page in sorted(env.found_docs):
        for fault in faults_of_text(env.get_doctree(page)):
            logger.warning(fault, location=page)
        path = app.outdir.parent / "jupyter_execute" / f"{page}.ipynb"
        cells: list[Any] = []
        if path.exists():
            notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
            cells = [c for c in notebook.cells if c.cell_type == "code"]
            for key in sorted(notebook.metadata.keys() - HEADER):
                logger.warning("the header has %r", key, location=page)
        if "orphan" in env.metadata[page]:
            logger.warning("no page may be an orphan", location=page)
        source = Path(env.doc2path(page)).read_text(encoding="utf-8")
        if source.count("{code-cell}") != len(cells):
            logger.warning("not every code-cell is a cell", location=page)
        for cell in cells:
            for fault in faults_of_cell(cell):
                message = "a cell has %s\nThe cell:\n%s"
                logger.warning(message, fault, cell.source, location=page)


def faults_of_text(page: nodes.document) -> Iterator[str]:
    """Yield what no cell has run or drawn, and no reader can check."""
    blocks = [
        b for b in page.findall(nodes.literal_block) if "source" not in b
    ]
    for block in [*blocks, *page.findall(nodes.doctest_block)]:
        if not is_part_of_cell(block) and not is_of_docstring(block):
            yield f"code is shown that is not run: {block.astext()}"
    for raw in page.findall(nodes.raw):
        yield f"raw markup: {raw.astext()}"
    images = [*page.findall(nodes.image)]
    for image in images:
        if not image.get("alt"):
            yield f"an image has no alt text: {image['uri']}"
    texts = [t for t in page.findall(nodes.Text) if not is_code_or_run(t)]
    for text in [*texts, *(image.get("alt", "") for image in images)]:
        typed = {*re.findall(r"\d*\.\d+|\de-?\d", text)} - NAMES_WITH_POINT
        if typed:
            yield f"numbers are typed, not run, {sorted(typed)} in: {text}"


def is_part_of_cell(node: nodes.Node | None) -> bool:
    """Say whether a cell holds a node, as its code or as an output."""
    while node is not None:
        if CELL_PARTS & {*getattr(node, "attributes", {}).get("classes", ())}:
            return True
        node = node.parent
    return False


def is_code_or_run(text: nodes.Text) -> bool:
    """Say whether a text was written by a machine, or for one."""
    kinds = (nodes.literal, nodes.FixedTextElement, nodes.math)
    node = text.parent
    run = isinstance(node, kinds) or "pasted-text" in node["classes"]
    of_table = isinstance(node.parent, nodes.entry) and is_part_of_cell(node)
    return run or of_table or is_of_docstring(node)


def is_of_docstring(node: nodes.Node | None) -> bool:
    """Say whether the reference shows this, whose examples are run."""
    while node is not None:
        said = str(node.source)
        if isinstance(node, addnodes.desc) or ":docstring of " in said:
            return True
        node = node.parent
    return False


def faults_of_cell(cell: Any) -> Iterator[str]:
    """Yield what a cell did, or did not do, that no cell may."""
    for tag in sorted({*cell.metadata.get("tags", ())} - TAGS):
        yield f"the unknown tag {tag!r}"
    options = {*cell.metadata, *cell.metadata.get("mystnb", ())}
    for option in sorted(options - OPTIONS):
        yield f"the unknown option {option!r}"
    if cell.execution_count is None:
        yield "no run"
    try:
        compile(cell.source, "", "exec")
    except SyntaxError:
        yield "code that only a notebook runs"
    for output in cell.outputs:
        if output.output_type == "error":
            yield f"the error {output.ename}: {output.evalue}"
        elif output.get("name") == "stderr":
            yield f"this on stderr:\n{output.text}"
    drawn = any("image/svg+xml" in o.get("data", ()) for o in cell.outputs)
    if drawn != ("mystnb" in cell.metadata):
        yield "a figure but no caption" if drawn else "a caption but no figure"


def end_readers(app: Sphinx, error: Exception | None) -> None:
    """End whoever still reads pages when one of them has failed.

    Sphinx asks them to end, but one whose kernel has just come to its end does
    not hear it, and would wait for ever to hand over what it has read. Their
    kernels see that they are alone, but only once they have started.
    """
    if error:
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def mathml(tex: str, node: nodes.Element, *, block: bool) -> str:
    """Turn TeX into MathML, which browsers draw without any script."""
    try:
        found = str(tex2mathml(tex, as_block=block))
        return found.replace("&ApplyFunction;", "\N{FUNCTION APPLICATION}")
    except MathError as error:
        logger.warning("formula %r: %s", tex, error, location=node)
        return ""


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    self.body.append(mathml(node.astext(), node, block=False))
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own, with its number if it has one."""
    # The theme lets the keyboard scroll what is of the second class.
    kinds = "math pst-scrollable-table-container"
    self.body.append(self.starttag(node, "div", CLASS=kinds))
    self.body.append(mathml(node.astext(), node, block=True))
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def visit_citation(self: HTML5Translator, node: nodes.citation) -> None:
    """Write an entry of the bibliography, in a role that is not deprecated."""
    HTML5Translator.visit_citation(self, node)
    self.body[-1] = self.body[-1].replace("doc-biblioentry", "listitem")


def setup(app: Sphinx) -> None:
    """Register what is the book's own."""
    check_versions()
    shutil.rmtree(PACKAGE / "__pycache__", ignore_errors=True)
    BookParser.failure = app.outdir.parent / "failure.txt"
    BookParser.failure.unlink(missing_ok=True)
    app.add_source_parser(BookParser, override=True)
    app.connect("env-updated", check_pages)
    app.connect("build-finished", end_readers)
    # A page that only imports the package is read again when the package
    # changes.
    app.add_config_value("fingerprint", sources_of_outputs(), "env", (str,))
    app.add_node(
        nodes.citation,
        override=True,
        html=(visit_citation, HTML5Translator.depart_citation),
    )
    app.add_html_math_renderer(
        "mathml", (visit_math, None), (visit_math_block, None)
    )
