"""The outputs and drawings of the two sources are on the pages."""

import re

import pytest

from helpers import Build
from shortcuts.printed import (
    BOOK_SECTION_WITH,
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
    printouts = [
        BOOK_SECTION_WITHOUT,
        NOTEBOOK_WITHOUT,
        BOOK_SECTION_WITH,
        NOTEBOOK_WITH,
    ]
    assert len(tables) == len(printouts)
    for table, printout in zip(tables, printouts, strict=True):
        assert table == pytest.approx(read_printout(printout), rel=1e-4)


def test_figure_4_12_is_there_and_holds_the_numbers_of_the_run(
    book: Build,
) -> None:
    page = book.soup("vanishing-gradients")
    (image,) = page.select("figure#fig-redrawn img")
    drawing = (book.html / str(image["src"])).read_text(encoding="utf-8")
    labels = re.findall(r"<!-- ([\d.]+) -->", drawing)
    for table in (BOOK_SECTION_WITHOUT, BOOK_SECTION_WITH):
        for mean in read_printout(table).values():
            assert any(
                float(label) == pytest.approx(mean, rel=5e-3)
                for label in labels
            )
