"""Each fault fails the build, and the build says where and why."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import HEADER, SmallBook

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
        assert not (built.html / "index.html").exists()
        reason = built.failure()
        assert re.match(r"The page that failed: .*index\.md\n", reason)
        assert "assert 1 + 1 == 3, 'a false claim'" in reason
        assert reason.rstrip().endswith("AssertionError: a false claim")


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import os; os._exit(1)", "Kernel died"),
        ("import warnings; warnings.warn('beware')", "UserWarning: beware"),
        ("import sys; print('oh', file=sys.stderr)", "this on stderr:\noh"),
        (
            ":tags: [remove-cell]\nimport sys; print('oh', file=sys.stderr)",
            "stderr:\noh",
        ),
        (":tags: [raises-exception]\n1 / 0", "error ZeroDivisionError"),
        (":tags: [raises-exception]\n1", "unknown tag 'raises-exception'"),
        (":tags: [skip-execution]\n1 / 0", "a cell has no run"),
        (":tags: [hide_cell]\n1", "unknown tag 'hide_cell'"),
    ],
)
def test_faults_of_a_cell(
    small_book: MakeBook, cell: str, reason: str
) -> None:
    book = small_book()
    book.write(cell)
    built = book.build()
    assert built.status != 0
    assert reason in built.output
    # The page is named where the fault is, not only in the list of progress.
    assert re.search(
        r"The page that failed: .*index\.md|index\.md: WARNING: a cell has",
        built.warnings,
    )
    if "os._exit" not in cell:
        assert cell.splitlines()[-1] in built.warnings


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("See {ref}`nowhere`.", "undefined label: 'nowhere'"),
        ("See [there](nowhere.md).", "cross-reference target not found"),
        ("As {cite:t}`nobody` says.", 'could not find bibtex key "nobody"'),
        ("![a picture](nothing.png)", "image file not readable: nothing.png"),
        ("$$\\frac{1}$$", "formula '\\\\frac{1}'"),
    ],
)
def test_faults_of_the_text(
    small_book: MakeBook, text: str, reason: str
) -> None:
    book = small_book()
    book.write("1", text=text)
    built = book.build()
    assert built.status != 0
    assert re.search(rf"index\.md.*{re.escape(reason)}", built.warnings)


def test_a_page_that_allows_errors(small_book: MakeBook) -> None:
    book = small_book()
    header = HEADER.replace(
        "kernelspec", "mystnb:\n  execution_allow_errors: true\nkernelspec"
    )
    book.write("assert 1 + 1 == 3, 'a false claim'", header=header)
    built = book.build()
    assert built.status != 0
    assert "AssertionError: a false claim" in built.warnings


@pytest.mark.parametrize(
    ("cell", "name", "value"),
    [
        ("assert 1 + 1 == 3, 'a false claim'", "PYTHONOPTIMIZE", "1"),
        (
            "import warnings; warnings.warn('beware')",
            "PYTHONWARNINGS",
            "ignore",
        ),
    ],
)
def test_the_caller_cannot_switch_checks_off(
    small_book: MakeBook, cell: str, name: str, value: str
) -> None:
    book = small_book()
    book.write(cell)
    built = book.build(**{name: value})
    assert built.status != 0
    assert cell in built.warnings


SILENT = """
from jupyter_client import AsyncKernelClient
wait, waits = AsyncKernelClient.wait_for_ready, []
async def silent(self, timeout=None):
    waits.append(self)
    await wait(self, timeout)
    if len(waits) <= {silent}:
        raise RuntimeError({message!r})
AsyncKernelClient.wait_for_ready = silent
"""


@pytest.mark.parametrize(
    ("message", "silent", "built"),
    [
        ("Kernel didn't respond in 60 seconds", 1, True),
        ("Kernel died before replying to kernel_info", 1, True),
        ("Kernel didn't respond in 60 seconds", 2, False),
    ],
)
def test_a_kernel_that_does_not_come_up_is_replaced_once(
    small_book: MakeBook, message: str, silent: int, built: bool
) -> None:
    book = small_book()
    book.write("print('it ' + 'ran')")
    with (book.project / "conf.py").open("a", encoding="utf-8") as conf:
        conf.write(SILENT.format(silent=silent, message=message))
    result = book.build()
    assert (result.status == 0) == built, result.output
    if built:
        assert "it ran" in result.page("index")
        assert result.warnings == ""
    else:
        assert message in result.failure()


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
    assert "vanishing-gradients.md" in built.failure()
    assert "AssertionError" in built.failure()


def test_the_kernel_takes_the_package_beside_the_book(
    small_book: MakeBook,
) -> None:
    book = small_book()
    book.write("import shortcuts\nprint(shortcuts.__file__)")
    module = Path(book.project, "code", "shortcuts", "__init__.py")
    assert str(module) in book.build().page("index")
