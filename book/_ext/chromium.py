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
    """Start a Chromium, or say how to get one."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    try:
        return playwright.chromium.launch(
            executable_path=program, args=OPTIONS
        )
    except Error as error:
        raise ExtensionError(
            "expected a browser, Chromium, and found none. "
            "On Debian and Ubuntu: make browser"
        ) from error
