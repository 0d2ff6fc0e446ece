"""Install a browser, if there is none that starts: `make browser`.

A Chromium or Chrome of the system is taken as it is; else Debian's package is
tried, and then Playwright's own.
"""

import os
import subprocess
import sys

from playwright.sync_api import sync_playwright
from sphinx.errors import ExtensionError

from press.chromium import launch

AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
APT = [*AS_ROOT, "apt-get"]
PLAYWRIGHT = [sys.executable, "-m", "playwright", "install", "chromium"]
WAYS = [
    [[*APT, "update"], [*APT, "install", "--yes", "chromium"]],
    [[*PLAYWRIGHT, "--with-deps"]],
    [PLAYWRIGHT],
]


def starts() -> bool:
    """Say whether there is a browser that starts."""
    try:
        with sync_playwright() as playwright:
            launch(playwright).close()
    except ExtensionError:
        return False
    return True


def succeeds(command: list[str]) -> bool:
    """Run a command, and say whether it succeeded."""
    try:
        return subprocess.run(command).returncode == 0
    except OSError:
        return False


def main() -> None:
    """Go the ways to a browser, until there is one."""
    for way in WAYS:
        if starts():
            return
        all(map(succeeds, way))
    if not starts():
        sys.exit(
            "No browser: neither Chromium nor Chrome is here or can be "
            "installed. `make test BROWSER=no` runs what needs none."
        )


if __name__ == "__main__":
    main()
