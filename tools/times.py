"""Measure anew the share of the time of each page: `make times`.

The shares are kept with the sources, so that two builds are the same.
"""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from press.project import ROOT
from press.times import TIMES


def seconds() -> dict[str, float]:
    """Read all pages one after the other, and return how long each took."""
    found: dict[str, float] = {}
    with TemporaryDirectory() as name, docutils_namespace():
        output = Path(name)
        app = Sphinx(
            *(ROOT / "book", ROOT, output / "html", output / "doctrees"),
            "html",
            parallel=1,
        )

        def begin(app: Sphinx, page: str, _: list[str]) -> None:
            found[page] = -perf_counter()

        def end(app: Sphinx, _: object) -> None:
            found[app.env.docname] += perf_counter()

        app.connect("source-read", begin)
        app.connect("doctree-read", end, priority=900)
        app.build()
    return found


def main() -> None:
    """Write the shares, in thousandths."""
    found = seconds()
    with TIMES.open("w", encoding="utf-8", newline="") as file:
        for page, runtime in sorted(found.items()):
            share = round(1000 * runtime / sum(found.values()))
            csv.writer(file, lineterminator="\n").writerow([page, share])


if __name__ == "__main__":
    main()
