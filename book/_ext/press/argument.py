"""The map of the argument, at the head of each chapter and of the site.

It is a line with a station for each chapter, and below it in a word what the
chapters there are about. Paper and e-readers have their contents instead.
"""

import html
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from press.project import chapters

# The chapter at which each word begins, in the book or still to be written;
# one without a word of its own goes on with that before it.
WORDS = {
    "gradients": "size",
    "products": "product",
    "identity": "plus one",
    "scaling": "coherent mean, scale",
    "training": "training",
    "reach": "reach",
    "trained": "what was learned",
    "your-model": "your model",
    "transformer": "Transformers",
    "beyond": "beyond",
}


def words_with_chapters(
    env: BuildEnvironment,
) -> dict[str, list[tuple[int, str]]]:
    """Return the words of the book, each with its numbered chapters."""
    found, word = dict[str, list[tuple[int, str]]](), ""
    for number, page in chapters(env):
        word = WORDS.get(page, word)
        found.setdefault(word, []).append((number, page))
    return found


def add_map(
    app: Sphinx, page: str, template: str, context: dict[str, Any], _: Any
) -> None:
    """Add the map to a chapter, below its title, and to the landing page."""
    first = app.config.root_doc
    pages = {first, *(name for _, name in chapters(app.env))}
    if app.builder.name != "html" or page not in pages:
        return
    line = '<nav class="argument" aria-label="Map of the argument"><ol>\n'
    for word, there in words_with_chapters(app.env).items():
        line += f"<li>{word}<span>"
        for number, name in there:
            title = html.escape(f"{number}. {app.env.titles[name].astext()}")
            said = f'title="{title}" aria-label="{title}"'
            link = f'<a href="{context["pathto"](name)}" {said}'
            if name == page:
                link += ' aria-current="page"'
            line += f"{link}>{number}</a>"
            if name == page:
                line += "<strong>you are here</strong>"
        line += "</span></li>\n"
    line += "</ol></nav>"
    # Who does not know the book yet reads first what it is about.
    place = "</p>" if page == first else "</h1>"
    context["body"] = context["body"].replace(place, f"{place}\n{line}", 1)
