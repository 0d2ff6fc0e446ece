"""What the two sources print and draw is on the pages, from the run."""

import re

import pytest

from helpers import Build
from shortcuts.printed import (
    BOOK_SECTION_WITHOUT,
    NOTEBOOK_WITH,
    NOTEBOOK_WITHOUT,
    read_printout,
)


def test_all_four_tables_are_there(book: Build) -> None:
    blocks = book.soup("vanishing-gradients").select(
        "pre:not(.whole-listing pre)"
    )
    lines = re.findall(
        r"layers\.\d\.0\.weight has gradient mean of [\d.e-]+",
        "\n".join(block.get_text() for block in blocks),
    )
    tables = [
        read_printout("\n".join(lines[i : i + 5]))
        for i in range(0, len(lines), 5)
    ]
    printed = [*map(read_printout, (BOOK_SECTION_WITHOUT, NOTEBOOK_WITHOUT))]
    # The run without shortcuts, its printed table; the run with them, its
    # printed one.
    assert len(tables) == 6
    assert tables[0] == pytest.approx(printed[0], rel=1e-4)
    assert tables[1] == pytest.approx(printed[1], rel=1e-4)
    assert tables[2] == printed[0]
    assert tables[3] == pytest.approx(read_printout(NOTEBOOK_WITH), rel=2e-3)
    assert tables[4] == pytest.approx(read_printout(NOTEBOOK_WITH), rel=1e-4)
    assert tables[5] == read_printout(NOTEBOOK_WITH)


def test_figure_4_12_is_there_and_holds_the_numbers_of_the_run(
    book: Build,
) -> None:
    page = book.soup("vanishing-gradients")
    (image,) = page.select("figure#fig-redrawn img")
    drawing = (book.html / str(image["src"])).read_text(encoding="utf-8")
    labels = re.findall(r"<!-- ([\d.]+) -->", drawing)
    for table in (BOOK_SECTION_WITHOUT, NOTEBOOK_WITH):
        for mean in read_printout(table).values():
            assert any(
                float(label) == pytest.approx(mean, rel=5e-3)
                for label in labels
            )
