"""Every claim that the book asserts, and how it came out.

One table holds them all. On its page, a cell that only holds thresholds is
folded under a tick, which opens to the code and to what was measured.
"""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from press.folds import CHECKS, fold
from press.kernels import claims_of
from press.project import chapters
from press.rules import has_number
from press.tables import entry, table, table_of_rows

PLACE = "built"  # the page that has the table
SENTENCE = re.compile(r"(?<=[.?!:])\s+(?=[A-Z(])")


class claim_table(nodes.General, nodes.Element):  # noqa: N801
    """The place of the table."""


class ClaimTable(SphinxDirective):
    """The table of all claims."""

    def run(self) -> list[nodes.Node]:
        """Return its place, which is filled anew each time."""
        self.env.note_reread()
        return [claim_table()]


class Cell(NamedTuple):
    """A cell: its section, the sentence before it, and its claims."""

    section: nodes.section
    sentence: list[nodes.Node]
    node: nodes.container
    claims: list[dict[str, Any]]


def noted_on(app: Sphinx, page: str) -> list[dict[str, Any]]:
    """Return the claims of a page, of which one without cells has none."""
    file = claims_of(app, page)
    if not file.exists():
        return []
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return found


def cells_of(app: Sphinx, page: str) -> Iterator[Cell]:
    """Yield the cells of a page that claim something, in their order."""
    noted = noted_on(app, page)
    if not noted:
        return
    text = app.env.get_and_resolve_doctree(page, app.builder)
    section, sentence = nodes.section(), list[nodes.Node]()
    for node in text.findall(nodes.Element):
        if isinstance(node, nodes.section):
            section, sentence = node, [nodes.Text(node[0].astext())]
        elif isinstance(node, nodes.paragraph) and not is_hint(node):
            sentence = last_sentence(node)
        elif node.get("nb_element") == "cell_code":
            claims = [c for c in noted if c["cell"] == node["exec_count"]]
            if claims:
                yield Cell(section, sentence, node, claims)


def is_hint(node: nodes.Node) -> bool:
    """Say whether a paragraph is part of a hint."""
    return "hint" in node.parent.get("classes", ())


def last_sentence(paragraph: nodes.paragraph) -> list[nodes.Node]:
    """Return the last sentence of a paragraph, without its links."""
    found: list[nodes.Node] = []
    for child in reversed(paragraph.children):
        if isinstance(child, nodes.Text):
            *before, end = SENTENCE.split(child)
            found.append(nodes.Text(end))
            if before:
                break
        elif isinstance(child, nodes.reference):
            found.append(nodes.inline("", child.astext()))
        else:
            copy = child.deepcopy()
            for part in copy.findall(nodes.Element):
                part["ids"] = []  # a page has each of them once
            found.append(copy)
    return found[::-1]


def rows_of(app: Sphinx, here: str, number: int, page: str) -> list[nodes.row]:
    """Return the rows of a chapter, in the table on the page ``here``."""
    rows: list[nodes.row] = []
    for cell in cells_of(app, page):
        is_folded = is_check(cell.node)
        part = anchor(cell.node) if is_folded else cell.section["ids"][0]
        words = f"{number}. {cell.section[0].astext()}"
        head = [
            entry(link(app, here, page, part, words)),
            entry(cell.sentence),
        ]
        for field in head:
            field["morerows"] = len(cell.claims) - 1
        for claim in cell.claims:
            code = nodes.literal("", claim["claim"])
            row = nodes.row("", *head, entry(code), entry(value(app, claim)))
            if head and is_folded:
                row["ids"] = [f"{page}-{anchor(cell.node)}"]
            rows.append(row)
            head = []
    return rows


def fill(app: Sphinx, page: nodes.document, name: str) -> None:
    """Write the claims where their place is, a fold for each chapter."""
    head = "section", "what the text says", "what is asserted", "measured"
    for place in list(page.findall(claim_table)):
        folds = []
        for number, chapter in chapters(app.env):
            rows = rows_of(app, name, number, chapter)
            whole = table_of_rows(head, rows)
            whole["classes"].append("claims")
            title = app.env.titles[chapter].astext()
            said = f"{number}. {title} {len(rows)} claims"
            folds.append(fold(said, whole, kind="chapter"))
        place.replace_self(folds)


def link(
    app: Sphinx, here: str, page: str, part: str, words: str
) -> nodes.reference:
    """Return a link from the page ``here`` to a part of another page."""
    uri = app.builder.get_relative_uri(here, page)
    return nodes.reference("", words, internal=True, refuri=f"{uri}#{part}")


def is_check(cell: nodes.Element) -> bool:
    """Say whether a cell is to be folded under a tick."""
    return CHECKS in cell.get("cell_metadata", {}).get("tags", ())


def anchor(cell: nodes.Element) -> str:
    """Return the name of a folded cell's place on its page."""
    return f"checks-{cell['exec_count']}"


def fold_checks(app: Sphinx, text: nodes.document, name: str) -> None:
    """Fold the cells of a page that only hold thresholds, with a tick."""
    noted = noted_on(app, name)
    is_in_table = any(page == name for _, page in chapters(app.env))
    for cell in list(text.findall(nodes.container)):
        if not is_check(cell):
            continue
        claims = [c for c in noted if c["cell"] == cell["exec_count"]]
        said = "1 claim" if len(claims) == 1 else f"{len(claims)} claims"
        rows = [(nodes.literal("", c["claim"]), value(app, c)) for c in claims]
        found = fold(
            f"{said} checked",
            cell.deepcopy(),
            table(("asserted", "measured"), rows),
            kind=CHECKS,
        )
        found["ids"] = [anchor(cell)]
        if is_in_table:
            row = f"{name}-{anchor(cell)}"
            words = "In the table of all claims"
            found += nodes.paragraph(
                "", "", link(app, name, PLACE, row, words)
            )
        cell.replace_self(found)


def value(app: Sphinx, claim: dict[str, Any]) -> list[nodes.Node]:
    """Return what was measured, and a bar for how much room it has used."""
    found: list[nodes.Node] = [nodes.literal("", measured(claim["values"]))]
    share = room_used(claim)
    if share is not None and app.builder.name == "html":
        said = f"{share:.0%} of the way to its bound"
        bar = f'<meter value="{share:.2f}" title="{said}"></meter>'
        found += [nodes.Text(" "), nodes.raw("", bar, format="html")]
    return found


def room_used(claim: dict[str, Any]) -> float | None:
    """Return how near to its bound the nearest number of a claim is.

    It is 0 in the middle between two bounds, or far below one or above one,
    and 1 at a bound. A claim without a bound with a number in it has none.
    """
    shares = []
    for part in compared(ast.parse(claim["claim"], mode="eval").body):
        sides = [part.left, *part.comparators]
        bounds = [None, *(bound(side, claim) for side in sides), None]
        for place, side in enumerate(sides):
            low, high = bounds[place], bounds[place + 2]
            if isinstance(part.ops[0], ast.Gt | ast.GtE):
                low, high = high, low
            seen = claim["values"].get(ast.unparse(side), {})
            for number in seen.get("numbers", ()):
                if low is not None and high is not None:
                    middle, half = (low + high) / 2, (high - low) / 2
                    shares.append(abs(number - middle) / half)
                elif high is not None and high > 0 <= number:
                    shares.append(number / high)
                elif low is not None and 0.5 < low < number <= 1:
                    shares.append((1 - number) / (1 - low))  # of a whole
                elif low is not None and low > 0:
                    shares.append(low / number)
    return max(shares, default=None)


def compared(test: ast.expr) -> Iterator[ast.Compare]:
    """Yield the comparisons of sizes that all have to hold."""
    match test:
        case ast.BoolOp(ast.And(), parts):
            for part in parts:
                yield from compared(part)
        case ast.Call(ast.Name("all"), [ast.GeneratorExp(part)]):
            yield from compared(part)
        case ast.Compare(_, ops):
            for way in ((ast.Lt, ast.LtE), (ast.Gt, ast.GtE)):
                if all(isinstance(op, way) for op in ops):
                    yield test


def bound(side: ast.expr, claim: dict[str, Any]) -> float | None:
    """Return the number that a side of a comparison is, or is scaled by."""
    if not has_number(side):
        return None
    noted = claim["values"].get(ast.unparse(side), {}).get("numbers", ())
    if len(noted) == 1:
        return float(noted[0])
    if any(isinstance(part, ast.Name) for part in ast.walk(side)):
        return None
    return float(eval(ast.unparse(side)))


def measured(values: dict[str, dict[str, Any]]) -> str:
    """Return the measured sides of comparisons in words."""
    said = {
        what: (" to " if "many" in seen else ", ").join(
            dict.fromkeys(f"{number:.4g}" for number in seen["numbers"])
        )
        for what, seen in values.items()
    }
    if len(said) == 1 and "largest difference" not in said:
        return "".join(said.values())
    return (
        "; ".join(f"{what}: {ends}" for what, ends in said.items()) or "true"
    )
