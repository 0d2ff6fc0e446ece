"""What every page has: few bytes of icons, and words that lead on.

The theme ships all of Font Awesome: a script of a megabyte and a half, which
is a table of icons and the code that draws them, and three fonts, which draw
them until the script has come. What stays is the code, and the icons in use.
"""

import html
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from exercises import chapters
from fontTools.subset import Options, Subsetter, load_font, save_font
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

SCRIPT = Path("_static", "scripts", "fontawesome.js")
# An icon in its table: name, size, other names, code point and outline.
ICON = re.compile(
    r'"?(?P<name>[\w-]+)"?:\[\d+,\d+,\[(?P<others>[^\]]*)\],"(?P<code>\w+)",'
    r'(?:"[^"]*"|\[[^\]]*\])\],?'
)
OWN = re.compile("[\ue000-\uf8ff]")  # what a style sheet draws by itself
# Of the pages that have no text of their own
SAID = {
    "genindex": "Every term, function and class of the book, and where it is.",
    "search": "Search all pages of the book, and see the sentences found.",
}
WORDS_A_MINUTE = 200
LINES_A_MINUTE = 15  # of code


def trim_icons(app: Sphinx, error: Exception | None) -> None:
    """Leave out the icons that no page uses."""
    if error or app.builder.name != "html":
        return
    path = app.outdir / SCRIPT
    files = [
        f for f in app.outdir.rglob("*.*") if f.suffix in (".html", ".js")
    ]
    texts = [f.read_text(encoding="utf-8") for f in files if f != path]
    used = {name for t in texts for name in re.findall(r"\bfa-([\w-]+)", t)}
    codes = set[int]()

    def keep(icon: re.Match[str]) -> str:
        names = {icon["name"], *re.findall(r'"([\w-]+)"', icon["others"])}
        if not names & used:
            return ""
        codes.add(int(icon["code"], 16))
        return icon[0]

    script = path.read_text(encoding="utf-8")
    small = ICON.sub(keep, script)
    if not codes or len(small) > len(script) / 5:
        raise ExtensionError(f"expected a table of icons in {SCRIPT}")
    path.write_text(small, encoding="utf-8")
    for style in app.outdir.rglob("*.css"):
        codes |= {ord(c) for c in OWN.findall(style.read_text("utf-8"))}
    for font in app.outdir.rglob("fa-*.woff2"):
        trim_font(font, codes)


def trim_font(path: Path, codes: set[int]) -> None:
    """Leave out the characters of a font that have other codes."""
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    options = Options(flavor="woff2")
    font = load_font(path, options)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    save_font(font, path, options)


def minutes_to_read(page: nodes.document) -> int:
    """Estimate how long a chapter takes, without what it folds away."""
    page = page.deepcopy()
    for fold in list(page.findall(HideCodeCellNode)):
        fold.parent.remove(fold)
    words = lines = 0
    for node in page.findall(nodes.TextElement):
        if isinstance(node, nodes.literal_block):
            lines += node.astext().count("\n") + 1
        elif isinstance(node, nodes.paragraph | nodes.caption):
            words += len(node.astext().split())
    return round(words / WORDS_A_MINUTE + lines / LINES_A_MINUTE)


def what_comes(app: Sphinx) -> Iterator[tuple[str, str]]:
    """Yield each chapter with what the landing page says of it."""
    page = app.env.get_and_resolve_doctree(app.config.root_doc, app.builder)
    for item in page.findall(nodes.definition_list_item):
        for link in item.findall(nodes.reference):
            if link.get("refuri"):
                name = link["refuri"].partition("#")[0].removesuffix(".html")
                yield name, item.children[-1].astext().replace("\n", " ")


def plain_signatures(body: str) -> str:
    """Make lines of parameters, which Sphinx writes as a list without terms.

    A screen reader would announce a list of definitions that define nothing.
    """

    def lines(match: re.Match[str]) -> str:
        return re.sub(r"(</?)dd>", r"\1span>", match[1])

    return re.sub(
        r"<dl>\s*((?:<dd>.*?</dd>\s*)+)</dl>", lines, body, flags=re.DOTALL
    )


def lead_on(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Say how long a chapter is, and what its neighbours are about."""
    if page == "search":
        app.add_js_file("search.js", loading_method="defer")
    if page in SAID:
        description = f'<meta name="description" content="{SAID[page]}" />'
        context["metatags"] = context.get("metatags", "") + description
    if app.builder.name != "html" or doctree is None:
        return
    if page in {name for _, name in chapters(app.env)}:
        time = f"About {minutes_to_read(doctree)} minutes to read"
        line = f'</h1>\n<p class="reading-time">{time}</p>'
        context["body"] = context["body"].replace("</h1>", line, 1)
    context["body"] = plain_signatures(context["body"])
    said = dict(what_comes(app))
    for side in ("prev", "next"):
        link: Any = context.get(side)
        name = Path(link["link"]).stem if link else ""
        if name in said:
            words = html.escape(said[name])
            title = f'{link["title"]}<span class="leads-to">{words}</span>'
            context[side] = link | {"title": title}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register what writes to the pages."""
    app.connect("html-page-context", lead_on, priority=400)
    app.connect("build-finished", trim_icons, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
