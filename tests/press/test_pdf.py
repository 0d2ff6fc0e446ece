"""What Chromium does not always print."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from press.pdf import LINK, print_until_right

BOOK = """<html xmlns="http://www.w3.org/1999/xhtml"><body>
<p><a href="#here">once</a> and <a href="#here">again</a></p>
<p id="here">here</p></body></html>"""


def test_lost_links_are_printed_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    book = tmp_path / "book.xhtml"
    book.write_text(BOOK, encoding="utf-8")
    whole, calls = Page.pdf, list[int]()

    def losing_one(page: Page, **options: Any) -> bytes:
        calls.append(len(calls))
        if len(calls) == 2:
            page.evaluate(
                "document.querySelector('a').removeAttribute('href')"
            )
        return whole(page, **options)

    monkeypatch.setattr(Page, "pdf", losing_one)
    assert print_until_right(book).count(LINK) == 2
    assert len(calls) == 4
