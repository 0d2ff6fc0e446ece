"""Fixtures of several tests: the built book, a browser, a small book."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright
from sphinx.errors import ExtensionError

from build import BUILD, is_fresh
from helpers import ROOT, Build, Quiet, RunCell, SmallBook, shared
from press.chromium import launch

# `make elsewhere` runs these, with packages that are not installed here.
collect_ignore = ["elsewhere"]
NO_BROWSER = os.environ.get("BROWSER") == "no"

# The same examples in every run, and no limit of time: machines are slow at
# times.
settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return the site of `make html`; where that is stale, build it."""
    with shared(tmp_path_factory, "book"):
        if not is_fresh():
            run = subprocess.run(
                [sys.executable, ROOT / "tools" / "build.py", "html"],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
                capture_output=True,
                text=True,
            )
            if run.returncode:
                pytest.fail(
                    f"the book does not build: {run.stdout}{run.stderr}",
                    pytrace=False,
                )
    return Build(BUILD / "html", 0, "", "")


# The book in a browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start a Chromium."""
    with sync_playwright() as playwright:
        try:
            chromium = launch(playwright)
        except ExtensionError as error:
            pytest.fail(str(error), pytrace=False)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def site(book: Build) -> Iterator[str]:
    """Serve the book, and return its address."""
    handler = partial(Quiet, directory=str(book.html))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


# A book to be broken


@pytest.fixture
def small_book(tmp_path: Path) -> SmallBook:
    """Return a small book of its own."""
    return SmallBook.copied_to(tmp_path / "project")


@pytest.fixture(scope="module")
def run_cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunCell]:
    """Return a function that runs a cell in a kernel, as the book does."""
    from one_cell import cell_runner  # Jupyter takes a while to import

    with cell_runner(tmp_path_factory.mktemp("cells")) as run:
        yield run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out tests that need a browser, where there shall be none."""
    for item in items:
        if NO_BROWSER and "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="BROWSER=no"))


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Name the tests left out."""
    if NO_BROWSER:
        words = "BROWSER=no: nobody has looked at the pages in a browser."
        terminalreporter.write_line(words)
