"""Exercises: numbered within their chapter, and listed on one page."""

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from press.project import chapters

DIFFICULTIES = ("easy", "medium", "hard")


class exercise(nodes.General, nodes.Element):  # noqa: N801  (docutils' way)
    """An exercise: its title, its difficulty and its text."""


class exercise_list(nodes.General, nodes.Element):  # noqa: N801
    """The place where all exercises are listed."""


def difficulty(argument: str) -> str:
    """Return a difficulty, or refuse another word."""
    return directives.choice(argument, DIFFICULTIES)


class Exercise(SphinxDirective):
    """An exercise; its title is the argument, and it has a difficulty."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[Any] = {"difficulty": difficulty}

    def run(self) -> list[nodes.Node]:
        """Return the exercise, to be numbered when all pages are read."""
        if "difficulty" not in self.options:
            raise self.error(f"an exercise is one of {DIFFICULTIES}")
        self.assert_has_content()
        number = self.env.new_serialno("exercise") + 1
        node = exercise(
            "",
            *self.parse_content_to_nodes(),
            title=self.arguments[0],
            difficulty=self.options["difficulty"],
            number=number,
            ids=[f"exercise-{number}"],
        )
        self.set_source_info(node)
        return [node]


class ExerciseList(SphinxDirective):
    """A list of all exercises."""

    def run(self) -> list[nodes.Node]:
        """Return a place for the list, which is filled anew each time."""
        self.env.note_reread()
        return [exercise_list()]


def name_of(node: nodes.Element, chapter: int) -> str:
    """Return number and title, such as ``Exercise 5.2. Another target``."""
    return f"Exercise {chapter}.{node['number']}. {node['title']}"


def fill(app: Sphinx, page: nodes.document, name: str) -> None:
    """Give each exercise its number, and fill the list."""
    numbers = {page: number for number, page in chapters(app.env)}
    for node in list(page.findall(exercise)):
        title = nodes.rubric(
            "", name_of(node, numbers[name]), classes=["task"]
        )
        title["heading-level"] = 3
        title += nodes.inline(
            "", f" ({node['difficulty']})", classes=["level"]
        )
        whole = nodes.container("", title, *node.children, ids=node["ids"])
        whole["classes"].append("exercise")
        node.replace_self(whole)
    for place in list(page.findall(exercise_list)):
        place.replace_self(list_of_exercises(app, name))


def list_of_exercises(app: Sphinx, here: str) -> list[nodes.Node]:
    """Return a heading and a list for each chapter."""
    found: list[nodes.Node] = []
    for number, page in chapters(app.env):
        items = nodes.bullet_list()
        for node in app.env.get_doctree(page).findall(exercise):
            link = nodes.reference(
                "",
                name_of(node, number),
                internal=True,
                refuri=app.builder.get_relative_uri(here, page)
                + f"#{node['ids'][0]}",
            )
            level = nodes.inline("", f" ({node['difficulty']})")
            items += nodes.list_item("", nodes.paragraph("", "", link, level))
        title = nodes.rubric("", app.env.titles[page].astext())
        title["heading-level"] = 2
        found += [title, items] if items.children else []
    return found
