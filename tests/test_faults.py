"""Each fault fails the build, and the build says where and why."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SmallBook

MakeBook = Callable[..., SmallBook]


def test_a_sound_small_book_builds(small_book: MakeBook) -> None:
    book = small_book()
    book.write("from shortcuts import GELU\nGELU()", text="$x^2$")
    built = book.build()
    assert built.status == 0, built.output
    assert built.warnings == ""
    assert "GELU(approximate=" in built.page("index")


def test_a_false_assertion_fails_twice_in_a_row(small_book: MakeBook) -> None:
    book = small_book()
    book.write("assert 1 + 1 == 3, 'a false claim'")
    for _ in range(2):
        built = book.build()
        assert built.status != 0
        for words in (
            "index.md",
            "AssertionError",
            "1 + 1 == 3",
            "a false claim",
        ):
            assert words in built.output
        assert not (built.html / "index.html").exists()


@pytest.mark.parametrize(
    ("cell", "text", "words"),
    [
        ("1 / 0", "", "ZeroDivisionError"),
        ("import warnings; warnings.warn('beware')", "", "stderr was found"),
        ("import sys; print('oh', file=sys.stderr)", "", "stderr was found"),
        ("import os; os._exit(1)", "", "Kernel died"),
        ("1", "See {ref}`nowhere`.", "undefined label: 'nowhere'"),
        ("1", "See [there](nowhere.md).", "cross-reference target not found"),
        (
            "1",
            "As {cite:t}`nobody` says.",
            'could not find bibtex key "nobody"',
        ),
        ("1", "$$\\frac{1}$$", "formula '\\\\frac{1}'"),
    ],
)
def test_faults_of_a_page(
    small_book: MakeBook, cell: str, text: str, words: str
) -> None:
    book = small_book()
    book.write(cell, text=text)
    built = book.build()
    assert built.status != 0
    assert words in built.output
    assert "index.md" in built.output


def test_an_edited_module_runs_the_examples_again(
    small_book: MakeBook,
) -> None:
    book = small_book()
    book.write("from shortcuts import GELU\nprint(GELU.__doc__.split()[0])")
    assert "The" in book.build().page("index")
    unchanged = book.build()
    assert "Executing notebook" not in unchanged.output
    book.edit("activations.py", '"""The Gaussian', '"""Edited Gaussian')
    built = book.build()
    assert built.status == 0, built.output
    assert "Executing notebook" in built.output
    assert "Edited\n" in built.page("index")


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (
            "networks.py",
            "x + layer_output if fits else",
            "layer_output if fits else",
        ),
        ("activations.py", "return y.to(x.dtype)", "return x.relu()"),
        ("gradients.py", "return size.mean(", "return size.sum("),
        ("gradients.py", "grad.to_dense().abs()", "grad.to_dense()"),
    ],
    ids=["no shortcut", "ReLU for GELU", "sum for mean", "signed mean"],
)
def test_faults_of_the_package(
    small_book: MakeBook, module: str, old: str, new: str
) -> None:
    book = small_book("vanishing-gradients")
    book.edit(module, old, new)
    built = book.build()
    assert built.status != 0
    assert "vanishing-gradients.md" in built.output
    assert "AssertionError" in built.output


def test_the_kernel_takes_the_package_beside_the_book(
    small_book: MakeBook,
) -> None:
    book = small_book()
    book.write("import shortcuts\nprint(shortcuts.__file__)")
    module = Path(book.project, "code", "shortcuts", "__init__.py")
    assert str(module) in book.build().page("index")
