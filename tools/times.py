"""Measure anew the share of the time of each chapter: `make times`.

The shares are kept with the sources, so that two builds are the same.
"""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory

from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from press.project import ROOT, chapters
from press.times import TIMES


def seconds() -> dict[str, float]:
    """Run all pages one after the other, and return how long each took."""
    with TemporaryDirectory() as name, docutils_namespace():
        output = Path(name)
        app = Sphinx(
            *(ROOT / "book", ROOT, output / "html", output / "doctrees"),
            "html",
            parallel=1,
        )
        app.build()
        return {
            page: NbMetadataCollector.get_exec_data(app.env, page)["runtime"]
            for _, page in chapters(app.env)
        }


def main() -> None:
    """Write the shares, in percent."""
    found = seconds()
    with TIMES.open("w", encoding="utf-8", newline="") as file:
        for page, runtime in found.items():
            share = round(100 * runtime / sum(found.values()))
            csv.writer(file, lineterminator="\n").writerow([page, share])


if __name__ == "__main__":
    main()
