"""A chapter's whole listing runs alone and prints what the chapter prints."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_downloads import printed, top_modules

from helpers import Build, each_chapter, shown, without
from press.whole_listing import statements


def lines_of(notebook: Any) -> list[str]:
    """Return the printed output of the cells that a page shows."""
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", ())
        # A listing starts no other program: that would need the package.
        program = "on_two_processes(" in "".join(cell["source"])
        if "remove-cell" in tags or program:
            cell["outputs"] = []
    return [line for text in printed(notebook) for line in text.splitlines()]


@pytest.mark.check
@each_chapter
def test_it_prints_what_the_chapter_prints(
    book: Build, tmp_path: Path, name: str
) -> None:
    (tmp_path / "listing.py").write_text(book.listing(name), "utf-8")
    # The package cannot be found there.
    done = subprocess.run(
        [sys.executable, "-W", "error", "listing.py"],
        cwd=tmp_path,
        env=without("PYTHONPATH") | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert lines == lines_of(book.notebook(name)) != []


@each_chapter
def test_it_needs_torch_alone(book: Build, name: str) -> None:
    code = book.listing(name)
    # A progress bar is shown where tqdm is, and missed nowhere else.
    modules = {*top_modules(code)} - {"tqdm"}
    data = {"sklearn"} if "load_digits" in code else set()
    assert modules - sys.stdlib_module_names == {"torch"} | data


@each_chapter
def test_it_holds_the_chapter(book: Build, name: str) -> None:
    code = book.listing(name)
    for cell in shown(name):
        for node, lines in statements(cell):
            imports = isinstance(node, ast.Import | ast.ImportFrom)
            shows = isinstance(
                node, ast.Expr
            )  # a print has been put around it
            if not imports and not shows and "draw_" not in cell:
                words = r"\b(figure|axes|markers|both|subprocess)\b"
                left_out = re.search(words, lines)
                assert left_out or lines.strip("\n") in code, lines
