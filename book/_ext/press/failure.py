"""A failed build: the first page that failed, and the end of the others."""

import multiprocessing
import re
from pathlib import Path

from docutils import nodes
from myst_nb.sphinx_ import Parser
from sphinx.application import Sphinx


class BookParser(Parser):
    """Reads a page, and keeps the reason of the first failure.

    Pages are read side by side, and what the others have still to say would
    bury it.
    """

    kept: Path  # where the reason is kept

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Read a page and run its examples."""
        try:
            super().parse(inputstring, document)
        except Exception as error:
            page = f"The page that failed: {document['source']}"
            error.add_note(page)
            reason = re.sub(
                r"\x1b\[[\d;]*m", "", str(error.__cause__ or error)
            )
            if not self.kept.exists():
                self.kept.write_text(f"{page}\n{reason}\n", encoding="utf-8")
            raise


def prepare(app: Sphinx) -> None:
    """Forget the failure of another build."""
    BookParser.kept = app.outdir.parent / "failure.txt"
    BookParser.kept.unlink(missing_ok=True)


def end_readers(app: Sphinx, error: Exception | None) -> None:
    """End the processes that still read pages when a page has failed.

    Sphinx only asks them to (`ParallelTasks.terminate` of sphinx.util.parallel
    sends a signal that nbclient's handlers can swallow), and then waits for
    ever. Their kernels end with them.
    """
    if error:
        for reader in multiprocessing.active_children():
            reader.kill()
