"""The book of the tests, as it is written and as it is built."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import jupytext
import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from bs4 import BeautifulSoup, Tag
from filelock import FileLock
from playwright.sync_api import ConsoleMessage, Page, Response

from build import arguments

ROOT = Path(__file__).parent.parent


@contextmanager
def shared(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """Lend a place of all processes of tests, to one of them at a time."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with FileLock(folder / f"{name}.lock"):
        yield folder / name


def source(name: str) -> str:
    """Return a page as it is written."""
    return (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")


def parts(name: str, kind: str) -> list[Any]:
    """Return the cells of a page, of code, or of prose ("markdown")."""
    notebook = jupytext.reads(source(name), "md:myst")
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def cells(name: str) -> list[Any]:
    """Return the cells of a page that run."""
    return parts(name, "code")


def tags(cell: Any) -> list[str]:
    """Return the tags of a cell."""
    return list(cell.metadata.get("tags", []))


def shown(name: str) -> list[str]:
    """Return the code of the cells that a page shows, as it is written."""
    return [c.source for c in cells(name) if "remove-cell" not in tags(c)]


def entries(toctree: str) -> list[str]:
    """Return the pages that a table of contents on the landing page names."""
    listed = source("index").split(f":caption: {toctree}\n")[1].split("```")[0]
    return [page for page in listed.split() if page != "genindex"]


CHAPTERS = entries("Chapters")
PAGES = ["index", *CHAPTERS, *entries("Back matter")]
EXECUTED = [page for page in PAGES if "{code-cell" in source(page)]
# What an output looks like whose richest form is lost
REMAINS = re.compile(r"<(IPython\.|Figure size|matplotlib\.)| object at 0x")
each_chapter = pytest.mark.parametrize("name", CHAPTERS)
each_page = pytest.mark.parametrize("name", PAGES)


def first_of(values: Sequence[Any], count: int = 1) -> list[Any]:
    """Return parameters: the first for `make test`, all others for `check`."""
    rest = [pytest.param(v, marks=pytest.mark.check) for v in values[count:]]
    return [*values[:count], *rest]


def text_of(part: Tag) -> str:
    """Return the visible text of a part of a page, on one line."""
    seen = [s for s in part.strings if s.find_parent("annotation") is None]
    return " ".join("".join(seen).split())


@dataclass
class Build:
    """The result of one run of Sphinx."""

    html: Path
    status: int
    output: str  # progress, then warnings
    warnings: str
    soups: dict[str, BeautifulSoup] = field(default_factory=dict, repr=False)

    @property
    def run(self) -> Path:
        """Return the folder of all else that Sphinx has written."""
        kept = self.html.parent / "run"
        return kept if kept.exists() else self.html.parent

    def page(self, name: str) -> str:
        """Return the HTML of a page."""
        return (self.html / f"{name}.html").read_text(encoding="utf-8")

    def soup(self, name: str) -> BeautifulSoup:
        """Return a page, taken apart once."""
        if name not in self.soups:
            soup = BeautifulSoup(self.page(name), "html.parser")
            self.soups[name] = soup
        return self.soups[name]

    def listing(self, name: str) -> str:
        """Return the whole listing at the end of a chapter."""
        (block,) = self.soup(name).select("details.whole-listing pre")
        return block.get_text().rstrip("\n")

    def notebook(self, name: str) -> Any:
        """Return the executed notebook of a page."""
        folder = self.run / "jupyter_execute"
        return json.loads((folder / f"{name}.ipynb").read_text("utf-8"))

    @property
    def failed(self) -> bool:
        """Say whether an example has ended it."""
        return (self.run / "failure.txt").exists()

    def failure(self) -> str:
        """Return the reason that is kept for the end of the log."""
        return (self.run / "failure.txt").read_text(encoding="utf-8")


def build(
    project: Path, output: Path, *options: str, **environment: str
) -> Build:
    """Build the book of a project as `make html` does, with all checks on."""
    with TemporaryDirectory(prefix="book.") as temporary:  # for its logs
        quiet = {"NO_COLOR": "1", "TMPDIR": temporary}
        run = subprocess.run(
            [
                sys.executable,
                "-m",
                "sphinx",
                *arguments("html", project, output, *options),
            ],
            env=os.environ | quiet | environment,
            capture_output=True,
            text=True,
            timeout=900,  # a build that hangs is none
        )
    said, warned = (
        re.sub(r"\x1b\[[\d;]*m", "", text) for text in (run.stdout, run.stderr)
    )
    return Build(output / "html", run.returncode, said + warned, warned)


def without(*names: str) -> dict[str, str]:
    """Return the environment, less what has one of these in its name."""
    return {
        name: value
        for name, value in os.environ.items()
        if not any(part in name for part in names)
    }


class Quiet(SimpleHTTPRequestHandler):
    """A handler that prints no requests."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


# Ask for the contrast of what is marked, and for the rest.
AXE = """options => {
  const selector = "[data-first]";
  axe.configure({ rules: [{ id: "color-contrast", selector }] });
  return axe.run(document, options);
}"""
# The first of all text that is drawn alike, in places of the same kind.
MARK = """() => {
  for (const e of document.querySelectorAll("[data-first]"))
    delete e.dataset.first;
  const seen = new Set(), kinds = new Map();
  const kind = e => {
    if (!e) return "";
    if (!kinds.has(e)) {
      const s = getComputedStyle(e);
      const look = [s.color, s.backgroundColor, s.fontSize, s.fontWeight];
      const own = [e.tagName, e.className, ...look, s.opacity].join();
      kinds.set(e, `${kind(e.parentElement)}>${own}`);
    }
    return kinds.get(e);
  };
  for (const e of document.body.querySelectorAll("*")) {
    const texts = [...e.childNodes].filter(n => n.nodeType == 3);
    const words = texts.some(n => n.data.trim());
    if (words && e.checkVisibility() && !seen.has(kind(e))) {
      seen.add(kind(e));
      e.dataset.first = "";
    }
  }
}"""


@dataclass
class Visit:
    """A page that is open, and all that went wrong on it."""

    page: Page
    home: str
    complaints: list[str] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on(
            "requestfailed", lambda r: self.complaints.append(f"no {r.url}")
        )
        self.page.on("response", self.look)

    def hear(self, message: ConsoleMessage) -> None:
        """Note errors and warnings on the console."""
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def look(self, response: Response) -> None:
        """Note missing files, and requests to other hosts."""
        self.responses.append(response)
        missing = response.status >= 400
        if missing or not response.url.startswith(self.home):
            self.complaints.append(f"{response.status}: {response.url}")

    def open(self, path: str) -> None:
        """Go to a page, and wait until it has all that it asks for."""
        self.page.goto(self.home + path, wait_until="networkidle")

    def load_images(self) -> None:
        """Ask for images far below, too, as who comes near them does."""
        ask = "for (const i of document.images) i.loading = 'eager'"
        self.page.evaluate(ask)
        come = "[...document.images].every(i => i.complete)"
        self.page.wait_for_function(come)

    def axe(self, scheme: Literal["light", "dark"]) -> str:
        """Return axe's complaints about a page, or nothing.

        The scheme changes no more than colours. Of text that is drawn alike,
        in places of the same kind, the contrast of one will do.
        """
        # Colours change at once, not by and by.
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        shown = f"document.documentElement.dataset.theme == '{scheme}'"
        self.page.wait_for_function(shown)
        options: dict[str, Any] = {"resultTypes": ["violations"]}
        options["preload"] = False
        if scheme == "dark":
            options["runOnly"] = ["color-contrast"]
        else:  # this is off by default
            rules = {"label-content-name-mismatch": {"enabled": True}}
            options["rules"] = rules
        self.page.evaluate(MARK)
        self.page.evaluate(AXE_SCRIPT)
        found = AxeResults(self.page.evaluate(AXE, options))
        return found.generate_report() if found.violations_count else ""


RunCell = Callable[[str], str]  # what runs a cell, and returns its output


@dataclass
class SmallBook:
    """A project with one short chapter, to be broken."""

    project: Path

    @classmethod
    def copied_to(cls, project: Path) -> "SmallBook":
        """Copy all that this project is made of, but with other pages."""
        written = "*.md", "*.csv", "__pycache__"
        for folder in ("book", "code", "tests", "tools"):
            left_out = written if folder == "book" else written[-1:]
            shutil.copytree(
                ROOT / folder,
                project / folder,
                ignore=shutil.ignore_patterns(*left_out),
            )
        lock = "requirements.txt", "constraints.txt"
        for file in (
            "Makefile",
            "conf.py",
            "pyproject.toml",
            "LICENSE",
            *lock,
        ):
            shutil.copy(ROOT / file, project)
        for page in (ROOT / "tests" / "faults" / "small_book").iterdir():
            shutil.copy(page, project / "book")
        return cls(project)

    def edit(self, file: str, old: str, new: str) -> None:
        """Change one place of a file."""
        path = self.project / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file} holds {old!r} not once"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def add(self, page: str, text: str) -> None:
        """Write another page, a chapter behind the first."""
        path = self.project / "book" / f"{page}.md"
        path.write_text(text, encoding="utf-8")
        self.edit("book/index.md", "\nsample\n", f"\nsample\n{page}\n")

    def build(self, **environment: str) -> Build:
        """Build it, with one reader of pages; a second is incremental."""
        output = self.project / "_build"
        return build(self.project, output, "-j", "1", **environment)

    def test(
        self, *options: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run its tests, as `make test` does."""
        with TemporaryDirectory(prefix="book.") as own:
            command = [sys.executable, "-m", "pytest", "-p", "no:xdist"]
            return subprocess.run(
                [*command, f"--basetemp={own}/tests", *options],
                cwd=self.project,
                env=without("PYTEST", "BUILD")
                | {"NO_COLOR": "1"}
                | environment,
                capture_output=True,
                text=True,
            )
