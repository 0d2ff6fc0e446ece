"""A chapter's whole listing runs alone and prints what the chapter prints."""

import ast
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from test_takeaway import printed, top_modules

from helpers import CHAPTERS, Build, shown
from press import whole_listing as listing
from press.whole_listing import Cell, assemble


@pytest.fixture(scope="module")
def ran(
    book: Build, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run all listings, where the package cannot be found."""

    def run(name: str) -> subprocess.CompletedProcess[str]:
        folder = tmp_path_factory.mktemp(name)
        (folder / "listing.py").write_text(book.listing(name), "utf-8")
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return subprocess.run(
            [sys.executable, "-W", "error", "listing.py"],
            cwd=folder,
            env=kept | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(CHAPTERS, pool.map(run, CHAPTERS), strict=True))


def lines_of(notebook: Any) -> list[str]:
    """Return what the cells that a page shows have printed."""
    for cell in notebook["cells"]:
        if "remove-cell" in cell["metadata"].get("tags", ()):
            cell["outputs"] = []
        # MyST-NB has copied what later streams hold into the first.
        streams = [o for o in cell.get("outputs", ()) if "text" in o]
        for output in streams[1:]:
            cell["outputs"].remove(output)
    return [line for text in printed(notebook) for line in text.splitlines()]


@pytest.mark.parametrize("name", CHAPTERS)
def test_it_prints_what_the_chapter_prints(
    book: Build, ran: Any, name: str
) -> None:
    done = ran[name]
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert lines == lines_of(book.notebook(name)) != []


@pytest.mark.parametrize("name", CHAPTERS)
def test_it_needs_torch_alone(book: Build, name: str) -> None:
    code = book.listing(name)
    # A progress bar is shown where tqdm is, and missed nowhere else.
    modules = {*top_modules(code)} - {"tqdm"}
    assert modules - sys.stdlib_module_names == {"torch"}


@pytest.mark.parametrize("name", CHAPTERS)
def test_it_holds_the_chapter(book: Build, name: str) -> None:
    code = book.listing(name)
    for cell in shown(name):
        for node, lines in listing.statements(cell):
            imports = isinstance(node, ast.Import | ast.ImportFrom)
            shows = isinstance(
                node, ast.Expr
            )  # a print has been put around it
            if not imports and not shows and "draw_" not in cell:
                of_drawing = re.search(r"\b(figure|axes|markers)\b", lines)
                assert of_drawing or lines.strip("\n") in code, lines


# How one is put together


def test_a_small_one() -> None:
    cells = [
        Cell("import torch\nfrom shortcuts import GELU", "", False),
        Cell("# ones\nh = torch.ones(2)\n\n# shown\nGELU()(h)", "Sums", True),
    ]
    code = assemble(cells)
    assert code.startswith("import math\n\nimport torch\nfrom torch import ")
    assert code.endswith(
        "# Sums\n\n# ones\nh = torch.ones(2)\n\n# shown\nprint(GELU()(h))"
    )
    assert code.count("class ") == 1
    assert "Float" not in code
    source = Path(listing.PACKAGE / "activations.py").read_text("utf-8")
    assert source.split("def extra_repr")[1] in code + "\n"


def test_drawings_are_left_out_with_all_that_hangs_on_them() -> None:
    code = assemble(
        [
            Cell("from shortcuts.figures import draw_networks", "", False),
            Cell("f = draw_networks()\nfor a in f.axes:\n    a", "", False),
            Cell("a = 1\nprint(a)", "", False),
        ]
    )
    assert code == "a = 1\nprint(a)"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "bypassed = 1\nDeepNeuralNetwork",
            "than the package's: {'bypassed'}",
        ),
        (
            "import numpy as np\nnp",
            "nothing but torch, got 'import numpy as np'",
        ),
    ],
)
def test_what_cannot_be_one(code: str, words: str) -> None:
    cells = [
        Cell("from shortcuts import DeepNeuralNetwork\n" + code, "", False)
    ]
    with pytest.raises(ValueError, match=words):
        assemble(cells)
