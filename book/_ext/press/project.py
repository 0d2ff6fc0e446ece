"""The project around the book: its files, its pins, its history, its chapters.

What several modules of the machinery ask for is told here, once.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

ROOT = Path(__file__).parents[3]
BOOK = ROOT / "book"
CODE = ROOT / "code"  # where `import shortcuts` finds the package
PACKAGE = CODE / "shortcuts"
REQUIREMENTS = ROOT / "requirements.txt"
NAME = "shortcut-connections-measured"  # of the archive, the PDF and the EPUB
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in an archive: they have no date


class Pin(NamedTuple):
    """A line of requirements.txt: a package, its version and its purpose."""

    section: str  # the comment above its paragraph
    name: str
    version: str
    purpose: str


def pins() -> list[Pin]:
    """Read requirements.txt, whose comments are data: the page shows them."""
    found, section = [], ""
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            section = line.removeprefix("# ")
        elif pin := re.fullmatch(r"([\w-]+)==(\S+) *# (.*)", line):
            found.append(Pin(section, *pin.groups()))
        elif line:
            raise ValueError(
                "expected `name==version  # what for` in requirements.txt, "
                f"got {line!r}"
            )
    return found


def git(*words: str) -> str:
    """Ask the history of the book; without git or history, answer nothing.

    A checkout may belong to another user, and what the caller has set for git
    must not change its words.
    """
    run = ["git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}"]
    run += ["-c", "core.abbrev=10"]
    kept = {"GIT_CONFIG_GLOBAL": "/dev/null", "PATH": os.environ["PATH"]}
    try:
        done = subprocess.run(
            [*run, *words], env=kept, capture_output=True, text=True
        )
    except OSError:
        return ""
    return done.stdout.strip()


def date_of_sources() -> str:
    """Return date and name of the book's own last commit, if there is one."""
    top = git("rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != ROOT.resolve():
        return ""
    return git("log", "-1", "--no-show-signature", "--format=%cs (%h)")


def chapters(env: BuildEnvironment) -> list[tuple[int, str]]:
    """Return number and name of each chapter, in their order."""
    return sorted(
        (numbers[""][0], page)
        for page, numbers in env.toc_secnumbers.items()
        if numbers.get("")
    )


def executed(app: Sphinx, page: str) -> Any:
    """Return the notebook of a page as it has run; MyST-NB writes it there.

    It is None if the page has no cells.
    """
    path = app.outdir.parent / "jupyter_execute" / f"{page}.ipynb"
    if not path.exists():
        return None
    return nbformat.read(path, as_version=4)
