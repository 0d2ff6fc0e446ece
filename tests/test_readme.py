"""The README keeps its word: picture, chapters, commands, example."""

import os
import re
import subprocess
import sys

import pytest
import torch

from helpers import ROOT, Build
from shortcuts.ensembles import Ensemble
from shortcuts.printed import NOTEBOOK_WITH, SIZES

README = (ROOT / "README.md").read_text(encoding="utf-8")


def labels(drawing: str) -> list[str]:
    """Return what is written in a drawing."""
    return re.findall(r"<!-- (.*?) -->", drawing)


def test_the_picture_is_that_of_the_landing_page(book: Build) -> None:
    (image,) = re.findall(r'src="(_images/[^"]*\.svg)"', book.page("index"))
    drawn = labels((book.html / image).read_text(encoding="utf-8"))
    (link,) = re.findall(r"\]\((\S*\.svg)\)", README)
    assert labels((ROOT / link).read_text(encoding="utf-8")) == drawn, (
        "make picture"
    )
    assert {"0.00505", "0.000202", "0.207", "1.33"} < set(drawn)


def test_the_chapters_are_those_of_the_book() -> None:
    index = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    toctree = index.split(":caption: Chapters")[1].split("```")[0]
    rows = re.findall(
        r"^\| \[(\d)\]\(book/(\S+)\.md\) \| (.*) \|$", README, re.M
    )
    assert [slug for _, slug, _ in rows] == re.findall(
        r"^[\w-]+$", toctree, re.M
    )
    for position, (number, slug, question) in enumerate(rows, start=1):
        chapter = (ROOT / "book" / f"{slug}.md").read_text(encoding="utf-8")
        assert int(number) == position
        assert re.search(r"^# (.*)$", chapter, re.M)[1] == question  # type: ignore[index]


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "LICENSE-TEXT.md"]
)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https:)([^)]+)\)", text):
        assert (ROOT / link).exists(), link


def test_every_command_is_a_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    for page in (
        "README.md",
        "CONTRIBUTING.md",
        ".ci/run",
        ".github/workflows/book.yml",
    ):
        text = (ROOT / page).read_text(encoding="utf-8")
        named = set(
            re.findall(r"(?:`|^|run: |whl/cpu )make ([a-z]+)", text, re.M)
        )
        assert named
        assert named <= targets


def test_the_examples_print_what_they_say() -> None:
    examples = re.findall(r"```python\n(.*?)```", README, re.S)
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(examples)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "code")},
        capture_output=True,
        text=True,
        check=True,
    )
    # The first prints the table of the notebook.
    *table, medians = run.stdout.splitlines()
    for line, printed in zip(table, NOTEBOOK_WITH.splitlines(), strict=True):
        assert line.split()[:-1] == printed.split()[:-1]
        assert float(line.split()[-1]) == pytest.approx(
            float(printed.split()[-1]), rel=2e-3
        )
    # The second prints medians of ten thousand networks.
    x = torch.tensor([[1.0, 0.0, -1.0]], dtype=torch.float64)
    found = Ensemble(SIZES, True, seeds=range(10_000)).measure(x)
    expected = found.gradients.median(dim=0).values.tolist()
    numbers = [float(n) for n in re.findall(r"[\d.]+(?:e-?\d+)?", medians)]
    assert numbers == pytest.approx(expected, rel=2e-2)
