"""The press: it makes pages, a PDF, an EPUB and downloads of the chapters.

One idea a module. Running the cells:

- `project` knows files, pins, history, chapters and executed notebooks,
- `versions` refuses others than were tested, and fingerprints the sources,
- `surroundings` shuts out what the caller has set,
- `kernels` starts a kernel for each page (`zygote` forks it, `recorder` notes
  there what assertions compare), and a second one where it does not come up,
- `rules` refuses what no page may hold, a typed decimal for instance,
- `failure` names the page that failed first, and ends the other readers.

What stands on the pages:

- `argument`, `exercises`, `folds`, `margins`, `whole_listing` and `laboratory`
  are for chapters,
- `claims`, `facts`, `times` fill `book/built.md`, with `tables`,
- `formulas`, `neighbours`, `numbered`, `references`, `icons` and `room` are
  for every page,
- `cards` is for whoever is sent a link to one.

What is taken along:

- `downloads` makes notebooks, with their prose, and scripts; `archive` packs,
- `epub` and `pdf` are builders; `cover` is theirs, `chromium` prints.

`extension` says what each of them listens to.
"""

from typing import Any

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything of the book's own."""
    from press import extension

    return extension.setup(app)
