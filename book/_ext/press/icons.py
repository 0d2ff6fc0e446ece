"""The theme's icons, without those that no page uses.

The theme ships all of Font Awesome: a script of a megabyte and a half, which
is a table of icons and the code that draws them, and three fonts, which draw
them until the script has come. What stays is the code, and the icons in use.
"""

import logging
import re
from pathlib import Path

from fontTools.subset import Options, Subsetter, load_font, save_font
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

SCRIPT = Path("_static", "scripts", "fontawesome.js")
# An icon in its table: name, size, other names, code point and outline.
ICON = re.compile(
    r'"?(?P<name>[\w-]+)"?:\[\d+,\d+,\[(?P<others>[^\]]*)\],"(?P<code>\w+)",'
    r'(?:"[^"]*"|\[[^\]]*\])\],?'
)
OWN = re.compile("[\ue000-\uf8ff]")  # what a style sheet draws by itself
SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)


def trim(app: Sphinx, error: Exception | None) -> None:
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
    small = SOURCE_MAP.sub("", ICON.sub(keep, script))
    if not codes or len(small) > len(script) / 5:
        raise ExtensionError(f"expected a table of icons in {SCRIPT}")
    path.write_text(small, encoding="utf-8")
    path.with_suffix(".js.map").unlink(missing_ok=True)
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
