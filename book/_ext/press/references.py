"""Entries of the reference and the bibliography, as screen readers want them.

Sphinx writes the parameters of a function as a list of definitions without
terms, and a source in a role that is deprecated.
"""

from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.writers.html5 import HTML5Translator


def plain_signatures(body: str) -> str:
    """Make lines of parameters, which Sphinx writes as a list without terms.

    A screen reader would announce a list of definitions that define nothing.
    """
    soup = BeautifulSoup(body, "html.parser")
    for parameters in soup.select("dt > dl, dt > em > dl"):
        for line in parameters.find_all("dd", recursive=False):
            line.name = "span"
        parameters.unwrap()
    return str(soup)


def visit_citation(self: HTML5Translator, node: nodes.citation) -> None:
    """Write an entry of the bibliography, in a role that is not deprecated."""
    HTML5Translator.visit_citation(self, node)
    self.body[-1] = self.body[-1].replace("doc-biblioentry", "listitem")


def drop_aliases(app: object, kind: str, name: str, *rest: Any) -> None:
    """Drop Python's words for a named tuple's field without a docstring."""
    *_, lines = rest
    if lines[:1] and lines[0].startswith("Alias for field number"):
        lines.clear()
