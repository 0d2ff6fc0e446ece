"""Facts of the build: versions, the date of the sources, shares of time."""

import csv
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from docutils import nodes
from exercises import chapters
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from tables import table

ROOT = Path(__file__).parents[2]
TIMES = ROOT / "book" / "times.csv"  # written by `make times`


class build_times(nodes.General, nodes.Element):  # noqa: N801
    """The place of the table of times."""


def date_of_sources() -> str:
    """Return date and name of the last commit, whatever the clock says."""
    log = subprocess.run(
        ["git", "-C", ROOT, "log", "-1", "--format=%cs (%h)"],
        capture_output=True,
        text=True,
    )
    return log.stdout.strip() or "unknown: there is no history beside the book"


class BuildFacts(SphinxDirective):
    """A table of versions, and of the date of the sources."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        self.env.note_reread()
        text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
        pins = re.findall(r"^([\w-]+)==\S+ *# (.*)", text, re.MULTILINE)
        rows = [(n, version(n), why.replace("`", "")) for n, why in pins]
        return [
            table(
                ("what", "version", "what for"),
                [
                    ("sources", date_of_sources(), "the last commit, by git"),
                    ("Python", platform.python_version(), "runs all of it"),
                    *rows,
                ],
            )
        ]


class BuildTimes(SphinxDirective):
    """A table of the share of time that each chapter takes."""

    def run(self) -> list[nodes.Node]:
        """Return its place, for titles are known when all pages are read."""
        self.env.note_dependency(str(TIMES))
        return [build_times()]


def fill(app: Sphinx, page: nodes.document, name: str) -> None:
    """Write the table of times where its place is."""
    for place in list(page.findall(build_times)):
        with TIMES.open(encoding="utf-8") as file:
            times = dict(csv.reader(file))
        rows = [
            (f"{number}. {app.env.titles[page].astext()}", f"{times[page]} %")
            for number, page in sorted(chapters(app.env))
        ]
        place.replace_self(table(("chapter", "share of the time"), rows))


def write_times(app: Sphinx, error: Exception | None) -> None:
    """Write what share of the time each chapter has taken, if asked to."""
    if error or "TIMES" not in os.environ:
        return
    pages = [page for _, page in sorted(chapters(app.env))]
    ran = {p: NbMetadataCollector.get_exec_data(app.env, p) for p in pages}
    seconds = {page: data["runtime"] for page, data in ran.items()}
    with TIMES.open("w", encoding="utf-8", newline="") as file:
        for page in pages:
            share = round(100 * seconds[page] / sum(seconds.values()))
            csv.writer(file, lineterminator="\n").writerow([page, share])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_node(build_times)
    app.add_directive("build-facts", BuildFacts)
    app.add_directive("build-times", BuildTimes)
    app.connect("doctree-resolved", fill)
    app.connect("build-finished", write_times)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
