"""The card that a link to a page is shared with: its title and its figure.

sphinxext.opengraph draws it, with the objects of Matplotlib that it finds in
the environment. Here it finds new ones for each page, and its first figure.
"""

import hashlib
from base64 import b64decode
from functools import partial
from io import BytesIO
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.image import imread
from sphinx.application import Sphinx
from sphinxext.opengraph._social_cards import create_social_card_objects

from press.project import executed

PLACE = 0.42, 0.09, 0.56, 0.87  # of the figure: left, bottom, width, height
WIDTH = 410  # of the title beside it, in pixels


def first_figure(app: Sphinx, page: str) -> tuple[bytes, str] | None:
    """Return the first figure that a page has drawn, and its alt text."""
    ran = executed(app, page)
    for cell in ran.cells if ran else ():
        for output in cell.get("outputs", ()):
            if drawn := output.get("data", {}).get("image/png"):
                image = cell.metadata.get("mystnb", {}).get("image", {})
                return b64decode(drawn), image.get("alt", "")
    return None


def prepare(
    app: Sphinx, page: str, template: str, context: dict[str, Any], _: Any
) -> None:
    """Prepare the card of a page; its first figure is on it, if it has one."""
    if app.builder.name != "html":
        return
    settings: Any = app.config.ogp_social_cards
    look = {name: settings[name] for name in ("font", "line_color")}
    card = create_social_card_objects(**look)
    plt.close(card[0])
    found = first_figure(app, page)
    if found:
        show(found[0], *card)
        alt = f'"{app.env.titles[page].astext()}" and a figure: {found[1]}'
        meta = {"og:image:alt": " ".join(alt.split())}
        context["meta"] = (context["meta"] or {}) | meta
    # Its file is named by the settings: with another figure by another name.
    figure = hashlib.sha256(found[0]).hexdigest() if found else ""
    app.config.ogp_social_cards = settings | {"figure": figure}
    environment: Any = app.env
    environment.ogp_social_card_plt_objects = card


def show(
    figure: bytes, card: Any, site: Any, title: Any, description: Any, _: Any
) -> None:
    """Put a figure on the right of a card, and the words beside it."""
    axes = card.add_axes(PLACE)
    axes.imshow(imread(BytesIO(figure)))
    axes.set_axis_off()
    site.set_fontsize(17)
    title.set_fontsize(36)
    title._get_wrap_line_width = partial(int, WIDTH)
    description.set_visible(False)  # who shows the card has it beside
