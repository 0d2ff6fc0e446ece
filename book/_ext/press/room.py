"""Room for what comes late, so that nothing moves when it is there.

A drawing says how large it is before it has come. Fonts come within the style
sheet, and a script before the text shows it when they are read, which takes
some milliseconds. The script also knows whether the page is light or dark, as
borders depend on it.
"""

import re
from base64 import b64encode
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

DRAWING = re.compile(r'src="_images/([^"]+\.svg)"')
SIZE = re.compile(r' width="([\d.]+)pt" height="([\d.]+)pt"')
FONT = re.compile(r"fonts/[\w-]+\.woff2")
# The theme's own script, the last of all, sets mode and theme again.
EARLY = """{
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.mode = localStorage.mode || "auto";
  if (root.dataset.mode === "auto")
    root.dataset.theme = dark ? "dark" : "light";
  const fonts = [...document.fonts].filter(
    ({ family }) => /Book Mono|STIX Two/.test(family),
  );
  root.style.visibility = "hidden";
  Promise.all(fonts.map((font) => font.load())).finally(() => {
    root.style.visibility = "";
  });
}"""


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
    app.add_js_file(None, body=EARLY, priority=100)
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
