"""The rules for pages and cells; a page that breaks one ends the build.

MyST-NB looks only at what a page shows, and forgives a cell whose tags or
whose page ask for it. So the notebooks that have run are looked at here.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from press.folds import CHECKS
from press.project import executed

TAGS = {"hide-cell", "remove-cell", CHECKS}  # of cells, and of a page
OPTIONS = {"tags", "mystnb", "figure", "image"}
HEADER = {"file_format", "kernelspec", "language_info", "source_map"}
CELL_PARTS = {"cell_input", "cell_output"}
NAMES_WITH_POINT = {"4.5", "4.12"}  # the listing and the figure
TYPED = re.compile(r"(?<![A-Z])\d*\.\d+|\de-?\d")
NUMBER = (
    r"(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|"
    r"(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|"
    r"(?:m|b)illions?)"
)
IN_WORDS = re.compile(
    rf"\b(?:{NUMBER}(?:-?fold| percent| orders of magnitude"
    r"| times (?:as|more|less|the|[a-z]+er)\b)"
    rf"|factor of (?:about |some )?(?:an? )?{NUMBER}"
    rf"|one [a-z]+ in {NUMBER})\b",
    re.IGNORECASE,
)
logger = logging.getLogger(__name__)


def check_pages(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of all that breaks a rule; a warning ends the build."""
    for page in sorted(env.found_docs):
        for fault in faults_of_text(env.get_doctree(page)):
            logger.warning(fault, location=page)
        cells: list[Any] = []
        if notebook := executed(app, page):
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
    """Yield a complaint for static code, raw markup, typed measurements."""
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
        text = " ".join(text.split())
        typed = {*TYPED.findall(text), *IN_WORDS.findall(text)}
        typed -= NAMES_WITH_POINT
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
    """Say whether a text is code, a formula, or a value from a run."""
    kinds = (nodes.literal, nodes.FixedTextElement, nodes.math)
    node = text.parent
    run = isinstance(node, kinds) or "pasted-text" in node["classes"]
    of_table = isinstance(node.parent, nodes.entry) and is_part_of_cell(node)
    return run or of_table or is_of_docstring(node)


def is_of_docstring(node: nodes.Node | None) -> bool:
    """Say whether a node is of the reference, where doctest runs examples."""
    while node is not None:
        said = str(node.source)
        if isinstance(node, addnodes.desc) or ":docstring of " in said:
            return True
        node = node.parent
    return False


def faults_of_cell(cell: Any) -> Iterator[str]:
    """Yield a complaint for unknown tags, errors, words on stderr."""
    for tag in sorted({*cell.metadata.get("tags", ())} - TAGS):
        yield f"the unknown tag {tag!r}"
    options = {*cell.metadata, *cell.metadata.get("mystnb", ())}
    for option in sorted(options - OPTIONS):
        yield f"the unknown option {option!r}"
    if cell.execution_count is None:
        yield "no run"
    try:
        code = ast.parse(cell.source)
    except SyntaxError:
        yield "code that only a notebook runs"
    else:
        if CHECKS in cell.metadata.get("tags", ()):
            yield from faults_of_checks(code, cell.outputs)
    for output in cell.outputs:
        if output.output_type == "error":
            yield f"the error {output.ename}: {output.evalue}"
        elif output.get("name") == "stderr":
            yield f"this on stderr:\n{output.text}"
    drawn = any("image/svg+xml" in o.get("data", ()) for o in cell.outputs)
    if drawn != ("mystnb" in cell.metadata):
        yield "a figure but no caption" if drawn else "a caption but no figure"


def faults_of_checks(code: ast.Module, outputs: list[Any]) -> Iterator[str]:
    """Yield a complaint for definitions and outputs in a fold of checks.

    Only thresholds may be folded: comparisons of size with a number, and what
    is computed for them. An equality, a shape, an order of measured values
    teaches, and stays.
    """
    if outputs:
        yield "an output that its fold hides"
    parts = [p for p in ast.walk(code) if isinstance(p, ast.stmt)]
    for part in parts:
        if not isinstance(part, ast.Assert | ast.Assign | ast.For):
            yield f"more than assertions in its fold: {ast.unparse(part)}"
        elif isinstance(part, ast.Assert) and not is_threshold(part.test):
            yield f"no threshold, but in a fold: {ast.unparse(part)}"


def is_threshold(test: ast.expr) -> bool:
    """Say whether a condition compares sizes with a number."""
    if isinstance(test, ast.BoolOp):
        return all(map(is_threshold, test.values))
    sizes = ast.Lt, ast.LtE, ast.Gt, ast.GtE
    return any(
        isinstance(part, ast.Compare)
        and all(isinstance(op, sizes) for op in part.ops)
        and any(map(has_number, [part.left, *part.comparators]))
        for part in ast.walk(test)
    )


def has_number(part: ast.expr) -> bool:
    """Say whether a side of a comparison is, or is scaled by, a number."""
    match part:
        case ast.Constant():
            return True
        case ast.UnaryOp():
            return has_number(part.operand)
        case ast.BinOp():
            return has_number(part.left) or has_number(part.right)
    return False
