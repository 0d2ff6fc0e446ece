"""Folds of a page: hints, solutions, checks, drawings and whole listings.

On the site a click opens them. Paper and e-readers take no clicks: there all
are open, but for whole listings, which repeat a chapter and are left out.
"""

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

CHECKS = "checks"  # of a cell that only holds thresholds: its tag, its fold


def fold(title: str, *content: nodes.Node, kind: str) -> nodes.Element:
    """Return content that is folded, as MyST-NB folds a solution."""
    found: nodes.Element = HideCodeCellNode("", *content, prompt_show=title)
    found["classes"].append(kind)
    return found


class Hint(SphinxDirective):
    """A folded hint."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the fold."""
        return [fold("Hint", *self.parse_content_to_nodes(), kind="hint")]


def fold_drawings(_: Sphinx, page: nodes.document, __: str) -> None:
    """Fold the code of each cell that draws a figure, below the figure."""
    for figure in list(page.findall(nodes.figure)):
        cell = figure.parent.parent
        if cell.get("nb_element") == "cell_code" and "hide_mode" not in cell:
            code = cell.pop(0)
            cell += fold("The code of this figure", code, kind="drawing")


def visit_fold(self: HTML5Translator, node: nodes.Element) -> None:
    """Open a fold."""
    kinds = " ".join(["fold", *node["classes"]])
    title = self.encode(node["prompt_show"])
    if self.builder.name == "html":
        self.body.append(self.starttag(node, "details", "", CLASS=kinds))
        self.body.append(f"<summary>{title}</summary>\n")
    elif "whole-listing" in node["classes"]:
        raise nodes.SkipNode
    else:
        self.body.append(self.starttag(node, "div", "", CLASS=kinds))
        self.body.append(f'<p class="fold-title">{title}</p>\n')


def depart_fold(self: HTML5Translator, node: nodes.Element) -> None:
    """Close a fold."""
    self.body.append(
        "</details>\n" if self.builder.name == "html" else "</div>\n"
    )
