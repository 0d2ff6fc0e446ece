"""Formulas: TeX becomes MathML, which browsers draw without any script."""

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)


def mathml(tex: str, node: nodes.Element, *, block: bool) -> str:
    """Turn TeX into MathML, which browsers draw without any script."""
    try:
        found = str(tex2mathml(tex, as_block=block))
        return found.replace("&ApplyFunction;", "\N{FUNCTION APPLICATION}")
    except MathError as error:
        logger.warning("formula %r: %s", tex, error, location=node)
        return ""


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    self.body.append(mathml(node.astext(), node, block=False))
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own, with its number if it has one."""
    # The theme lets the keyboard scroll what is of the second class.
    kinds = "math pst-scrollable-table-container"
    self.body.append(self.starttag(node, "div", CLASS=kinds))
    self.body.append(mathml(node.astext(), node, block=True))
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode
