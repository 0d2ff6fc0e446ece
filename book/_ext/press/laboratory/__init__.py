"""The laboratory: a network whose knobs a reader of the site can turn.

Its page says what it shows first, and a script, which no other page loads,
puts the laboratory in its place. Presets are sections of that page.
"""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

SCRIPT = Path(__file__).with_name("laboratory.js")


class preset(nodes.Invisible, nodes.Element):  # noqa: N801  (docutils' way)
    """A state of the laboratory, which a section of its page describes."""


class Laboratory(SphinxDirective):
    """The place of the laboratory; its content stands where no scripts run."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the place."""
        self.env.note_dependency(str(SCRIPT))
        words = nodes.container("", *self.parse_content_to_nodes())
        words["classes"].append("without-script")
        return [nodes.container("", words, ids=["lab"])]


class Preset(SphinxDirective):
    """The knobs that a preset turns, written as in an address."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the preset, for the script to find."""
        return [preset(state=self.arguments[0])]


def visit_preset(self: HTML5Translator, node: preset) -> None:
    """Write the state where the script looks for it."""
    if self.builder.name == "html":
        given = {"CLASS": "preset", "data-state": node["state"]}
        self.body.append(self.starttag(node, "span", "", **given))
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
        script = SCRIPT.read_text(encoding="utf-8")
        app.add_js_file(None, body=script, type="module")
        app.add_css_file("laboratory.css")
