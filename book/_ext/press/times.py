"""The share of the time that each page takes: a table, and a fair order.

`make times` measures the shares and keeps them with the sources, so that two
builds are the same.
"""

import csv

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.parallel import make_chunks

from press.project import BOOK, chapters
from press.tables import table

TIMES = BOOK / "times.csv"


class build_times(nodes.General, nodes.Element):  # noqa: N801
    """The place of the table of times."""


class BuildTimes(SphinxDirective):
    """A table of the share of time that each chapter takes."""

    def run(self) -> list[nodes.Node]:
        """Return its place, for titles are known when all pages are read."""
        self.env.note_dependency(str(TIMES))
        return [build_times()]


def shares() -> dict[str, int]:
    """Return the thousandths of all time that each page takes to be read."""
    with TIMES.open(encoding="utf-8") as file:
        return {page: int(share) for page, share in csv.reader(file)}


def fill(app: Sphinx, page: nodes.document, name: str) -> None:
    """Write the table of times where its place is."""
    for place in list(page.findall(build_times)):
        found = shares()
        whole = sum(found[page] for _, page in chapters(app.env))
        rows = [
            (
                f"{number}. {app.env.titles[page].astext()}",
                f"{100 * found[page] / whole:.0f} %",
            )
            for number, page in chapters(app.env)
        ]
        place.replace_self(table(("chapter", "share of the time"), rows))


def balance(app: Sphinx, env: BuildEnvironment, pages: list[str]) -> None:
    """Order the pages so that all readers of pages work about as long.

    Sphinx cuts the list into runs, and starts as many at once as it has jobs;
    the longest pages go to these, each to the one that has least to do.
    """
    weights = shares() if TIMES.exists() else {}
    sizes = [len(run) for run in make_chunks(pages, app.parallel)]
    runs: list[list[str]] = [[] for _ in sizes]

    def load(run: int) -> tuple[bool, int]:
        return run >= app.parallel, sum(weights.get(p, 1) for p in runs[run])

    for page in sorted(pages, key=lambda p: -weights.get(p, 1)):
        rooms = [i for i, size in enumerate(sizes) if len(runs[i]) < size]
        runs[min(rooms, key=load)].append(page)
    pages[:] = [page for run in runs for page in run]
