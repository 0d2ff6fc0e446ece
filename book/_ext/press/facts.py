"""Facts of the build: the versions in use, and the date of the sources."""

import platform
from importlib.metadata import version

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from press.project import date_of_sources, pins
from press.tables import table

NO_DATE = "unknown: git tells no history of this book here"


class BuildFacts(SphinxDirective):
    """A table of versions, and of the date of the sources."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        self.env.note_reread()
        date = date_of_sources() or NO_DATE
        rows = [
            ("sources", date, "the last commit, by git"),
            ("Python", platform.python_version(), "runs all of it"),
        ]
        for pin in pins():
            what_for = pin.purpose.replace("`", "")
            rows.append((pin.name, version(pin.name), what_for))
        return [table(("what", "version", "what for"), rows)]
