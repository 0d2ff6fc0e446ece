"""The margin of a wide page: guesses, warnings, definitions.

A term of the glossary is defined in the chapter that the glossary names, where
its link stands. On a narrow page, on paper and in a notebook, guesses and
warnings are a part of the text, and definitions stay in the glossary.
"""

from functools import cache

from docutils import nodes
from sphinx.application import Sphinx

from press.project import chapters

GLOSSARY = "notation"  # the page that has it
MARGIN, DEFINITION = "margin", "definition"  # classes of the theme, and ours


@cache
def definitions(app: Sphinx) -> dict[tuple[str, str], nodes.paragraph]:
    """Return what each chapter has to define, by chapter and address."""
    if GLOSSARY not in app.env.found_docs:
        return {}
    glossary = app.env.get_and_resolve_doctree(GLOSSARY, app.builder)
    names = {name for _, name in chapters(app.env)}
    found = {}
    for item in glossary.findall(nodes.definition_list_item):
        term, *_ = item.findall(nodes.term)
        said, *_ = item.findall(nodes.paragraph)
        # It says itself, in parentheses, in which chapter that is.
        for link in said.findall(nodes.reference):
            chapter = link.get("refuri", "").partition(".html")[0]
            if chapter in names:
                address = f"{GLOSSARY}.html#{term['ids'][0]}"
                words = said.children[: said.index(link)]
                found[chapter, address] = definition(term.astext(), words)
                break
    return found


def definition(term: str, words: list[nodes.Node]) -> nodes.paragraph:
    """Return a term and the words that define it, up to a parenthesis."""
    last = ""  # where a line ends, a text does
    while not last and isinstance(words[-1], nodes.Text):
        last = words.pop().astext().rstrip("( \n")
    head = nodes.strong("", term), nodes.Text(": ")
    return nodes.paragraph("", "", *head, *words, nodes.Text(f"{last}."))


def fill(app: Sphinx, text: nodes.document, page: str) -> None:
    """Mark guesses and warnings, and set definitions beside their links."""
    if app.builder.name != "html" or page == GLOSSARY:
        return
    for warning in text.findall(nodes.warning):
        warning["classes"].append(MARGIN)
    for paragraph in text.findall(nodes.paragraph):
        if paragraph.astext().startswith("Guess first."):
            paragraph["classes"].append(MARGIN)
    for link in list(text.findall(nodes.reference)):
        said = definitions(app).get((page, link.get("refuri", "")))
        if said:
            part: nodes.Node = link
            while not isinstance(part.parent, nodes.section):
                part = part.parent
            note = nodes.container("", said.deepcopy())
            note["classes"] += [MARGIN, DEFINITION]
            part.parent.insert(part.parent.index(part), note)


def drop_definitions(text: nodes.Element) -> None:
    """Take definitions out of a text, whose own words they are not."""
    for note in list(text.findall(nodes.container)):
        if DEFINITION in note["classes"]:
            note.parent.remove(note)
