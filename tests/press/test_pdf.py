"""Printings in which Chromium has lost something."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from press.pdf import LINK, print_until_right

BOOK = """<html xmlns="http://www.w3.org/1999/xhtml"><body>
<p><a href="#here">once <i>or</i> twice</a> and <a href="#here">again</a></p>
<p id="here">here</p></body></html>"""


@pytest.mark.parametrize(
    ("lost", "calls_that_lose"),
    [
        ("a => a.removeAttribute('href')", {1, 2, 3}),
        ("a => a.textContent = 'a part'", {2, 4}),
    ],
)
def test_lost_links_are_printed_again(
    lost: str,
    calls_that_lose: set[int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    book = tmp_path / "book.xhtml"
    book.write_text(BOOK, encoding="utf-8")
    whole, calls = Page.pdf, list[int]()

    def losing_some(page: Page, **options: Any) -> bytes:
        calls.append(len(LINK.findall(whole(page, **options))))
        if len(calls) in calls_that_lose:
            page.eval_on_selector("a", lost)
        return whole(page, **options)

    monkeypatch.setattr(Page, "pdf", losing_some)
    whole_again = print_until_right(book)
    assert len(LINK.findall(whole_again)) == calls[0] > 2
    assert len(calls) == 5
