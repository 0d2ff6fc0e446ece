"""Reading time, descriptions, and words that lead to the neighbours.

A chapter says how long it takes to read and what the chapters before and after
it are about, in the words of the landing page; the index and the search, which
have no text of their own, get a description.
"""

import html
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx

from press.margins import drop_definitions
from press.project import chapters
from press.references import plain_signatures

DESCRIPTIONS = {
    "genindex": "Every term, function and class of the book, and where it is.",
    "search": "Search all pages of the book, and see the sentences found.",
}
WORDS_A_MINUTE = 200
LINES_A_MINUTE = 15  # of code


def minutes_to_read(page: nodes.document) -> int:
    """Estimate the minutes to read a chapter, its folds left out."""
    page = page.deepcopy()
    drop_definitions(page)
    for fold in list(page.findall(HideCodeCellNode)):
        fold.parent.remove(fold)
    words = lines = 0
    for node in page.findall(nodes.TextElement):
        if isinstance(node, nodes.literal_block):
            lines += node.astext().count("\n") + 1
        elif isinstance(node, nodes.paragraph | nodes.caption):
            words += len(node.astext().split())
    return round(words / WORDS_A_MINUTE + lines / LINES_A_MINUTE)


@cache
def blurbs(app: Sphinx) -> dict[str, str]:
    """Return the landing page's words about each chapter."""
    page = app.env.get_and_resolve_doctree(app.config.root_doc, app.builder)
    found = {}
    for item in page.findall(nodes.definition_list_item):
        for link in item.findall(nodes.reference):
            if link.get("refuri"):
                name = link["refuri"].partition("#")[0].removesuffix(".html")
                found[name] = item.children[-1].astext().replace("\n", " ")
    return found


def lead_on(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Add reading time, description and the neighbours' words to a page."""
    if page == "search":
        app.add_js_file("search.js", loading_method="defer")
    if page in DESCRIPTIONS:
        words = DESCRIPTIONS[page]
        description = f'<meta name="description" content="{words}" />'
        context["metatags"] = context.get("metatags", "") + description
    if app.builder.name != "html" or doctree is None:
        return
    if page in {name for _, name in chapters(app.env)}:
        time = f"About {minutes_to_read(doctree)} minutes to read"
        line = f'</h1>\n<p class="reading-time">{time}</p>'
        context["body"] = context["body"].replace("</h1>", line, 1)
    if '<dt class="sig' in context["body"]:
        context["body"] = plain_signatures(context["body"])
    for side in ("prev", "next"):
        link: Any = context.get(side)
        name = Path(link["link"]).stem if link else ""
        if name in blurbs(app):
            words = html.escape(blurbs(app)[name])
            title = f'{link["title"]}<span class="leads-to">{words}</span>'
            context[side] = link | {"title": title}
