"""The browser that prints the book, and in which the tests look at it."""

import shutil

from playwright.sync_api import Browser, Error, Playwright
from sphinx.errors import ExtensionError

PROGRAMS = "chromium", "chromium-browser", "google-chrome"
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-sync", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
]


def launch(playwright: Playwright) -> Browser:
    """Start the system's Chromium or Chrome, or Playwright's own.

    Raises:
        ExtensionError: if there is none that starts.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    try:
        return playwright.chromium.launch(
            executable_path=program, args=OPTIONS
        )
    except Error as error:
        raise ExtensionError(
            "expected a browser, Chromium or Chrome, and found none that "
            "starts: `make browser` installs one"
        ) from error
