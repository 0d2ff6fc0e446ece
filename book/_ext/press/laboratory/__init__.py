"""The laboratory: a network whose knobs a reader of the site can turn.

Its page says what it shows first, and a script puts the laboratory in its
place. Presets are sections of that page. In a chapter, a few of its knobs
stand beside the figure that they explain; no other page loads the script.
"""

import re
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

SCRIPT = Path(__file__).with_name("laboratory.js")
COMMENT = re.compile(r"^ *(?://|/?\*).*\n", re.MULTILINE)  # alone in its line


class preset(nodes.Invisible, nodes.Element):  # noqa: N801  (docutils' way)
    """A state of the laboratory, which a section of its page describes.

    Or, in a chapter, the state in which a few knobs begin.
    """


class Laboratory(SphinxDirective):
    """The place of the laboratory; its content stands where no scripts run.

    With an argument, that of a few knobs, which the argument names. Then the
    content stands above them, everywhere, and its link to the laboratory
    carries along what they say.
    """

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[Any] = dict.fromkeys(("state", "panels"), str.strip)

    def run(self) -> list[nodes.Node]:
        """Return the place."""
        self.env.note_dependency(str(SCRIPT))
        words = nodes.container("", *self.parse_content_to_nodes())
        place = nodes.container("", words, ids=["lab"])
        if self.arguments:
            place["classes"].append("few")
            place += preset(knobs=self.arguments[0], **self.options)
        else:
            words["classes"].append("without-script")
        return [place]


class Preset(SphinxDirective):
    """The knobs that a preset turns, written as in an address."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the preset, for the script to find."""
        return [preset(state=self.arguments[0])]


def visit_preset(self: HTML5Translator, node: preset) -> None:
    """Write the state where the script looks for it."""
    if self.builder.name == "html":
        given = {
            f"data-{name}": node[name]
            for name in ("state", "knobs", "panels")
            if name in node
        }
        self.body.append(
            self.starttag(node, "span", "", CLASS="preset", **given)
        )
        self.body.append("</span>")
    raise nodes.SkipNode


def load(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Bring the script along, in the page: from a disk no module is loaded."""
    if app.builder.name == "html" and doctree and any(doctree.findall(preset)):
        script = COMMENT.sub("", SCRIPT.read_text(encoding="utf-8"))
        app.add_js_file(None, body=script, type="module")
        app.add_css_file("laboratory.css")
