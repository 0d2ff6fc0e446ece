"""The README keeps its word: picture, chapters, commands, example."""

import os
import re
import subprocess
import sys

import pytest
import torch
import yaml

from helpers import ROOT, Build
from picture import PICTURES
from shortcuts.ensembles import Ensemble
from shortcuts.printed import NOTEBOOK_WITH, SIZES

README = (ROOT / "README.md").read_text(encoding="utf-8")


def labels(drawing: str) -> list[str]:
    """Return the words in a drawing."""
    return re.findall(r"<!-- (.*?) -->", drawing)


def test_the_pictures_are_those_of_the_book(book: Build) -> None:
    links = re.findall(r"\]\((\S*\.svg)\)", README)
    assert links == [f".github/{name}" for name in PICTURES]
    seen = set()
    for link, page in zip(links, PICTURES.values(), strict=True):
        image = re.findall(r'src="(_images/[^"]*\.svg)"', book.page(page))[0]
        drawn = labels((book.html / image).read_text(encoding="utf-8"))
        copied = labels((ROOT / link).read_text(encoding="utf-8"))
        assert copied == drawn, "make picture"
        seen |= {*drawn}
    assert {"0.00505", "0.000202", "0.207", "1.33"} < seen
    assert {"pre-norm", "post-norm", "no shortcuts"} < seen


def test_the_chapters_are_those_of_the_book() -> None:
    index = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    toctree = index.split(":caption: Chapters")[1].split("```")[0]
    rows = re.findall(
        r"^\| \[(\d+)\]\(book/(\S+)\.md\) \| (.*) \|$", README, re.M
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


COMMAND = re.compile(
    r"(?:^|[`;&]|whl/cpu |book/ )\s*(make [a-z][a-z ]*)", re.M
)


def commands(page: str) -> set[str]:
    """Return the calls of make that a page or a script names."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return {words.strip() for words in COMMAND.findall(text)}


def test_the_first_block_holds_two_commands() -> None:
    block = README.split("```sh\n")[1].split("```")[0]
    found = [line.partition("#")[0].strip() for line in block.splitlines()]
    assert found == ["make html", "make test"]


def test_every_command_is_a_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    for page in ("README.md", "CONTRIBUTING.md", "MAINTAINING.md", ".ci/run"):
        named = {
            target for words in commands(page) for target in words.split()[1:]
        }
        assert named
        assert named <= targets


def test_continuous_integration_runs_the_commands_of_the_readme() -> None:
    assert commands(".ci/run") == {
        "make html pdf epub",
        "make test",
        "make check",
    }
    assert commands(".ci/run") <= commands("README.md")
    workflow = ROOT / ".github" / "workflows" / "book.yml"
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    run = [s["run"] for s in jobs["build"]["steps"] if "run" in s]
    assert run[0] == ".ci/run"
    for words in commands(".ci/run"):
        assert not any(words in script for script in run)


def test_the_examples_print_what_they_say() -> None:
    examples = re.findall(r"```python\n(.*?)```", README, re.S)
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(examples)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "code")},
        capture_output=True,
        text=True,
        check=True,
    )
    # The first prints four layers at some of ten steps.
    head, *layers = run.stdout.splitlines()[:5]
    assert head.split()[:2] + head.split()[-1:] == ["delta", "0", "9"]
    assert [line.split()[0] for line in layers] == ["0", "1", "2", "3"]
    assert all(float(n) > 0 for line in layers for n in line.split()[1:])
    # The second prints the table of the notebook.
    *table, medians = run.stdout.splitlines()[5:]
    for line, printed in zip(table, NOTEBOOK_WITH.splitlines(), strict=True):
        assert line.split()[:-1] == printed.split()[:-1]
        assert float(line.split()[-1]) == pytest.approx(
            float(printed.split()[-1]), rel=2e-3
        )
    # The third prints medians of ten thousand networks.
    x = torch.tensor([[1.0, 0.0, -1.0]], dtype=torch.float64)
    found = Ensemble(SIZES, True, seeds=range(10_000)).measure(x)
    expected = found.gradients.median(dim=0).values.tolist()
    numbers = [float(n) for n in re.findall(r"[\d.]+(?:e-?\d+)?", medians)]
    assert numbers == pytest.approx(expected, rel=2e-2)
