"""The message where there is no browser."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from sphinx.errors import ExtensionError

from press.chromium import launch


def test_one_clear_line_where_there_is_no_browser(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setitem(os.environ, "PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    with (
        sync_playwright() as playwright,
        pytest.raises(ExtensionError, match="found none"),
    ):
        launch(playwright)
