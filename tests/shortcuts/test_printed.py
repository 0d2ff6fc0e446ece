"""The printed tables: whole, and read as they are printed."""

import math

import pytest

from shortcuts.printed import (
    BOOK_SECTION_WITH,
    BOOK_SECTION_WITHOUT,
    NOTEBOOK_WITH,
    NOTEBOOK_WITHOUT,
    read_printout,
)


def test_each_table_has_its_five_layers() -> None:
    for printout in (
        BOOK_SECTION_WITH,
        BOOK_SECTION_WITHOUT,
        NOTEBOOK_WITH,
        NOTEBOOK_WITHOUT,
    ):
        table = read_printout(printout)
        assert list(table) == [f"layers.{i}.0.weight" for i in range(5)]


def test_a_few_figures_copied_from_the_sources_a_second_time() -> None:
    assert (
        read_printout(BOOK_SECTION_WITHOUT)["layers.0.0.weight"]
        == 0.00020173587836325169
    )
    assert list(read_printout(BOOK_SECTION_WITH).values()) == [
        0.22169792652130127,
        0.20694105327129364,
        0.32896995544433594,
        0.2665732502937317,
        1.3258541822433472,
    ]
    assert (
        read_printout(NOTEBOOK_WITHOUT)["layers.3.0.weight"]
        == 0.00139885104727
    )
    assert (
        read_printout(NOTEBOOK_WITH)["layers.4.0.weight"] == 1.3268063068389893
    )


def test_numbers_of_every_kind() -> None:
    lines = "a has gradient mean of 1e-05\nb has gradient mean of nan"
    table = read_printout(lines)
    assert table["a"] == 1e-05
    assert math.isnan(table["b"])


@pytest.mark.parametrize(
    "line",
    [
        "",
        "a has mean of 1",
        "a has gradient mean of",
        "so a has gradient mean of 1 now",
    ],
)
def test_a_line_that_reads_otherwise(line: str) -> None:
    with pytest.raises(
        ValueError, match="NAME has gradient mean of NUMBER"
    ) as error:
        read_printout(f"a has gradient mean of 1\n{line}\n")
    assert repr(line) in str(error.value)
