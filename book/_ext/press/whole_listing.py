"""A chapter as one listing that needs torch alone.

It is put together from the cells of the chapter and from what they use of the
package, as it is written there. Left out are drawings, programs that a cell
starts, the shapes in type hints (jaxtyping is not torch), and all but the
first lines of docstrings. What a cell shows by ending in it, the listing
prints.
"""

import ast
import re
import symtable
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from typing import NamedTuple

import libcst as cst
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from press.folds import fold
from press.project import PACKAGE

IMPORTS = (ast.Import, ast.ImportFrom)
WIDTH = 79
SHAPES = {"Bool", "Float", "Shaped", "Int"}
Statement = tuple[ast.stmt, str]  # and its lines
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
logger = logging.getLogger(__name__)


class Cell(NamedTuple):
    """A cell of a chapter, as its page shows it."""

    code: str
    heading: str  # of the section that begins with it, if one does
    shows: bool  # whether it ends in an expression that the page shows


class Piece(NamedTuple):
    """A statement at the top of a module of the package."""

    place: tuple[int, int]  # module and line
    code: str
    needs: frozenset[str]


class whole_listing(nodes.General, nodes.Element):  # noqa: N801
    """The place of a whole listing."""


class Plain(cst.CSTTransformer):
    """Take out shapes, and all but the first lines of docstrings."""

    def leave_Subscript(  # noqa: N802
        self, original_node: cst.Subscript, updated_node: cst.Subscript
    ) -> cst.BaseExpression:
        """Make ``Tensor`` of ``Float[Tensor, "batch features"]``."""
        value, index = updated_node.value, updated_node.slice[0].slice
        if isinstance(value, cst.Name) and value.value in SHAPES:
            return cst.ensure_type(index, cst.Index).value
        return updated_node

    def leave_Expr(  # noqa: N802
        self, original_node: cst.Expr, updated_node: cst.Expr
    ) -> cst.Expr:
        """Cut a string that stands alone to its first line."""
        text = updated_node.value
        if isinstance(text, cst.SimpleString) and "\n" in text.value:
            first, *_, last = text.value.split("\n")
            fits = len(first + last) <= WIDTH
            title = first + ('"""' if fits else f"\n{last}")
            return updated_node.with_changes(value=cst.SimpleString(title))
        return updated_node


def names_bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds where it stands."""
    names: set[str] = set()
    rest: list[ast.AST] = [statement]
    while rest:
        node = rest.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif not isinstance(node, (ast.Lambda, *COMPREHENSIONS)):
            rest += ast.iter_child_nodes(node)
    return names


def names_read(statement: ast.stmt) -> frozenset[str]:
    """Return the names that a statement reads from where it stands."""
    names: set[str] = set()
    rest = [symtable.symtable(ast.unparse(statement), "", "exec")]
    while rest:
        scope = rest.pop()
        rest += scope.get_children()
        names |= {
            symbol.get_name()
            for symbol in scope.get_symbols()
            if symbol.is_referenced()
            and (symbol.is_global() or scope.get_type() == "module")
        }
    return frozenset(names)


def names_imported(statement: ast.stmt) -> dict[str, tuple[str, str]]:
    """Return module and words of each name that a statement imports."""
    if isinstance(statement, ast.Import):
        return {
            a.asname or a.name: ("", ast.unparse(a)) for a in statement.names
        }
    if isinstance(statement, ast.ImportFrom):
        source = str(statement.module)
        return {
            alias.asname or alias.name: (source, ast.unparse(alias))
            for alias in statement.names
            if not source.startswith("shortcuts")
        }
    return {}


def statements(code: str) -> Iterator[Statement]:
    """Yield each statement with its lines, and the comments before it."""
    lines, start = code.splitlines(), 0
    for node in ast.parse(code).body:
        yield node, "\n".join(lines[start : node.end_lineno])
        start = node.end_lineno or 0


def modules() -> list[str]:
    """Return the modules of the package, none before one that it imports."""
    imported = {
        path.stem: re.findall(
            r"^from shortcuts\.(\w+) import", path.read_text("utf-8"), re.M
        )
        for path in sorted(PACKAGE.glob("*.py"))
        if path.stem != "__init__"
    }
    return [*TopologicalSorter(imported).static_order()]


@cache
def package() -> tuple[dict[str, Piece], dict[str, tuple[str, str]]]:
    """Return the package's statements and imports, by the names they bind.

    A name means the same in all of them, so one table of each will do.
    """
    pieces: dict[str, Piece] = {}
    imports: dict[str, tuple[str, str]] = {}
    for number, module in enumerate(modules()):
        text = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
        for node, lines in statements(
            cst.parse_module(text).visit(Plain()).code
        ):
            imports |= names_imported(node)
            piece = Piece(
                (number, node.lineno), lines.strip("\n"), names_read(node)
            )
            for name in names_bound(node):
                if name in pieces:
                    raise ValueError(f"the package defines {name} twice")
                pieces[name] = piece
    return pieces, imports


def undrawn(cell: Cell, drawings: set[str]) -> Iterator[Statement]:
    """Yield a cell's statements, without imports and uses of drawings.

    Names are added to the drawings, or taken away, as the cell assigns them.
    """
    for node, lines in statements(cell.code):
        if isinstance(node, IMPORTS):
            continue
        if names_read(node) & drawings:
            if isinstance(node, ast.Assign | ast.FunctionDef):
                drawings |= names_bound(node)
            continue
        drawings -= names_bound(node)
        is_last = node.end_lineno == cell.code.count("\n") + 1
        if is_last and cell.shows:
            lines = printed(node, lines)
        yield node, lines


def printed(node: ast.stmt, lines: str) -> str:
    """Return a last expression within a print, as a notebook shows it."""
    size = (node.end_lineno or 0) - node.lineno + 1
    *before, value = lines.rsplit("\n", size)
    return "\n".join([*before, f"print({value})"])


def reachable(names: set[str], pieces: dict[str, Piece]) -> set[str]:
    """Return names with all that the pieces of these names need."""
    found, rest = set[str](), set(names)
    while rest:
        name = rest.pop()
        found.add(name)
        if name in pieces:
            rest |= pieces[name].needs - found
    return found


def assemble(cells: Iterable[Cell]) -> str:
    """Return the whole listing of some cells.

    Raises:
        ValueError: if they give a name of the package a meaning of their own,
            or if more than torch is needed.
    """
    cells = list(cells)
    pieces, imports = package()
    drawings = {name for name in pieces if name.startswith("draw_")}
    drawings.add("subprocess")  # another program would need the package
    kept = [list(undrawn(cell, drawings)) for cell in cells]
    nodes_kept = [node for part in kept for node, _ in part]
    own = {name for node in nodes_kept for name in names_bound(node)}
    read = {name for node in nodes_kept for name in names_read(node)}
    needed = reachable(read - own, pieces)
    if strange := own & needed & pieces.keys():
        raise ValueError(f"expected other names than the package's: {strange}")
    for cell in cells:
        for node, _ in statements(cell.code):
            imports = imports | names_imported(node)
    blocks = import_lines(imports[name] for name in needed & imports.keys())
    code = {pieces[name] for name in needed & pieces.keys()}
    blocks += [f"\n{piece.code}\n" for piece in sorted(code)]
    for cell, part in zip(cells, kept, strict=True):
        blocks += [f"# {cell.heading}"] if cell.heading else []
        text = "\n".join(lines for _, lines in part).strip("\n")
        blocks += [text] if text else []
    return "\n\n".join(blocks)


def import_lines(imports: Iterable[tuple[str, str]]) -> list[str]:
    """Return import statements, those of the standard library first."""
    names = defaultdict(list)
    for module, words in sorted(imports):
        names[module].append(words)
    lines = [f"import {words}" for words in names.pop("", [])]
    lines += [f"from {m} import {', '.join(w)}" for m, w in names.items()]
    own: list[str] = []
    others: list[str] = []
    for line in lines:
        top = re.split(r"[ .]", line)[1]
        if top != "torch" and top not in sys.stdlib_module_names:
            raise ValueError(f"expected nothing but torch, got {line!r}")
        (others if top == "torch" else own).append(line)
    return ["\n".join(group) for group in (own, others) if group]


def cells_of(page: nodes.document) -> Iterator[Cell]:
    """Yield the cells that a page shows."""
    heading = ""
    for node in page.findall(nodes.Element):
        if isinstance(node, nodes.title):
            heading = node.astext()
        elif node.get("nb_element") == "cell_code":
            (source, *_) = node.findall(nodes.literal_block)
            kinds = {
                part["mime_type"]
                for part in node.findall(nodes.container)
                if "mime_type" in part
            }
            yield Cell(source.astext(), heading, kinds == {"text/plain"})
            heading = ""


class WholeListing(SphinxDirective):
    """A whole listing of the page, folded, at this place."""

    def run(self) -> list[nodes.Node]:
        """Return the place, which is filled when the page is read."""
        return [whole_listing()]


def fill(app: Sphinx, page: nodes.document) -> None:
    """Write the listing of a page that has a place for one.

    Where none can be made, `rules` may know a better reason, so the build goes
    on until it has said that, too.
    """
    for place in list(page.findall(whole_listing)):
        try:
            code = assemble(cells_of(page))
        except (SyntaxError, ValueError) as error:
            logger.warning("no whole listing: %s", error, location=page)
            place.parent.remove(place)
            continue
        block = nodes.literal_block(code, code, language="python")
        block["source"] = "the package"  # so it is code that runs
        place.replace_self(
            fold("The whole listing", block, kind="whole-listing")
        )
