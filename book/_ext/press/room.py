"""Room for what comes late, so that nothing moves when it is there.

A drawing says how large it is before it has come. Fonts come within the style
sheet, without which no page is drawn: a file of its own comes a moment after
the text. And a page knows early whether it is light or dark, as borders
depend on it; the theme's own script comes last.
"""

import re
from base64 import b64encode
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

DRAWING = re.compile(r'src="_images/([^"]+\.svg)"')
SIZE = re.compile(r' width="([\d.]+)pt" height="([\d.]+)pt"')
FONT = re.compile(r"fonts/[\w-]+\.woff2")
# What the theme looks up next
LOOK = """<script>
  localStorage.mode ||= "auto";
  if (localStorage.mode === "auto")
    localStorage.theme =
      matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
</script>
"""


def keep(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Let a page know its look early, and how large its drawings are."""
    if app.builder.name != "html":
        return
    context["metatags"] = context.get("metatags", "") + LOOK
    files = {name: uri for uri, name in app.builder.images.items()}

    def sized(drawing: re.Match[str]) -> str:
        drawn = (app.srcdir / files[drawing[1]]).read_text(encoding="utf-8")
        size = SIZE.search(drawn)
        assert size
        width, height = (round(float(side) * 4 / 3) for side in size.groups())
        return f'{drawing[0]} width="{width}" height="{height}"'

    if doctree:
        context["body"] = DRAWING.sub(sized, context["body"])


def embed(app: Sphinx, exception: Exception | None) -> None:
    """Put the fonts into the style sheet."""
    static = app.outdir / "_static"
    if exception or app.builder.name != "html":
        return

    def data(font: re.Match[str]) -> str:
        packed = b64encode((static / font[0]).read_bytes()).decode()
        return f"data:font/woff2;base64,{packed}"

    sheet = static / "book.css"
    written = sheet.read_text(encoding="utf-8")
    sheet.write_text(FONT.sub(data, written), encoding="utf-8")
