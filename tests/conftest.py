"""What several tests share: the book, built once, and small books to break."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# The same examples in every run, and no limit of time: machines are slow at
# times.
settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")

HEADER = """\
---
file_format: mystnb
kernelspec:
  name: python3
  display_name: Python 3
  language: python
---

"""


@dataclass
class Build:
    """What one run of Sphinx did."""

    html: Path
    status: int
    output: str  # progress, then warnings
    warnings: str

    def page(self, name: str) -> str:
        """Return the HTML of a page."""
        return (self.html / f"{name}.html").read_text(encoding="utf-8")

    def failure(self) -> str:
        """Return the reason that is kept for the end of the log."""
        return (self.html.parent / "failure.txt").read_text(encoding="utf-8")


def build(project: Path, output: Path, **environment: str) -> Build:
    """Build the book of a project as `make html` does, with all checks on."""
    options: list[str | Path] = ["-c", project, "-W", "-T", "-j", "auto"]
    options += ["-d", output / "doctrees", project / "book", output / "html"]
    run = subprocess.run(
        [sys.executable, "-m", "sphinx", *options],
        env=os.environ | {"NO_COLOR": "1"} | environment,
        capture_output=True,
        text=True,
    )
    said, warned = (
        re.sub(r"\x1b\[[\d;]*m", "", text) for text in (run.stdout, run.stderr)
    )
    return Build(output / "html", run.returncode, said + warned, warned)


@pytest.fixture(scope="session")
def build_of_the_book(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build the book itself, once for all tests."""
    return build(ROOT, tmp_path_factory.mktemp("book"))


@pytest.fixture
def book(build_of_the_book: Build) -> Build:
    """Return the built book, if there is one."""
    if build_of_the_book.status != 0:
        pytest.fail("the book does not build: see `make html`", pytrace=False)
    return build_of_the_book


@dataclass
class SmallBook:
    """A copy of the project with one page of its own, to be broken."""

    project: Path

    def write(
        self, cell: str, *, text: str = "", header: str = HEADER
    ) -> None:
        """Let the page hold a text and a cell."""
        page = f"{header}# A page\n\n{text}\n\n```{{code-cell}}\n{cell}\n```\n"
        (self.project / "book" / "index.md").write_text(page, encoding="utf-8")

    def edit(self, module: str, old: str, new: str) -> None:
        """Change the copy of a module of the package."""
        path = self.project / "code" / "shortcuts" / module
        source = path.read_text(encoding="utf-8")
        assert old in source, f"{module} no longer holds {old!r}"
        path.write_text(source.replace(old, new), encoding="utf-8")

    def build(self, **environment: str) -> Build:
        """Build it; a second call is incremental."""
        return build(self.project, self.project / "_build", **environment)


@pytest.fixture
def small_book(tmp_path: Path) -> Callable[..., SmallBook]:
    """Return a function that makes a small book, with chapters if named."""

    def make(*chapters: str) -> SmallBook:
        project = tmp_path / "project"
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "code", project / "code", ignore=ignore)
        shutil.copytree(
            ROOT / "book" / "_static", project / "book" / "_static"
        )
        for path in ("conf.py", "book/references.bib"):
            shutil.copy(ROOT / path, project / path)
        for chapter in chapters:
            shutil.copy(ROOT / "book" / f"{chapter}.md", project / "book")
        small = SmallBook(project)
        small.write("1 + 1")
        return small

    return make
