"""One table of every claim that the book asserts, and how it came out."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from press.kernels import claims_of
from press.project import chapters
from press.tables import entry, table_of_rows

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
    claims: list[dict[str, Any]]


def cells_of(app: Sphinx, page: str) -> Iterator[Cell]:
    """Yield the cells of a page that claim something, in their order."""
    file = claims_of(app, page)
    if not file.exists():  # the page has no cells
        return
    noted = json.loads(file.read_text(encoding="utf-8"))
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
                yield Cell(section, sentence, claims)


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
            found.append(child.deepcopy())
    return found[::-1]


def rows_of(app: Sphinx, here: str) -> Iterator[nodes.row]:
    """Yield the rows of the table."""
    for number, page in chapters(app.env):
        for cell in cells_of(app, page):
            uri = app.builder.get_relative_uri(here, page)
            link = nodes.reference(
                "",
                f"{number}. {cell.section[0].astext()}",
                internal=True,
                refuri=f"{uri}#{cell.section['ids'][0]}",
            )
            head = [entry(link), entry(cell.sentence)]
            for part in head:
                part["morerows"] = len(cell.claims) - 1
            for claim in cell.claims:
                code = nodes.literal("", claim["claim"])
                value = nodes.literal("", measured(claim["values"]))
                yield nodes.row("", *head, entry(code), entry(value))
                head = []


def fill(app: Sphinx, page: nodes.document, name: str) -> None:
    """Write the table where its place is."""
    for place in list(page.findall(claim_table)):
        head = "section", "what the text says", "what is asserted", "measured"
        whole = table_of_rows(head, rows_of(app, name))
        whole["classes"].append("claims")
        place.replace_self(whole)


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
