"""Every fault of FAULTS.md fails the build or a test, which say where and why.

Those in bold there are part of `make test`, a sample of each kind; `make
faults` puts in all of them.
"""

import json
import re
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from nbclient.exceptions import CellExecutionError

from build import BUILD, STAMP
from helpers import CHAPTERS, ROOT, Build, RunCell, SmallBook, cells
from press import kernels, versions


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading."""
    text = Path(__file__).with_name("FAULTS.md").read_text(encoding="utf-8")
    table = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\| (.*) \|$", table, re.M)[2:]
    return [[code(cell) for cell in line.split(" | ")] for line in lines]


def code(cell: str) -> str:
    """Return the code that a cell of a table stands for."""
    text = cell.strip("`").replace(r"\n", "\n").replace(r"\|", "|")
    text = "" if text == " " else text
    return re.sub(r"(\{[\w:]+\})'(.*?)'", r"\1`\2`", text)


def each(heading: str) -> pytest.MarkDecorator:
    """Have a test run for each row of a table, whose columns it is given."""
    cases = [
        pytest.param(
            *columns,
            id=what.strip("*"),
            marks=[] if what[0] == "*" else pytest.mark.faults,
        )
        for what, *columns in rows(heading)
    ]
    names = {
        "In the package": "module, old, new, chapter, test",
        "In a cell": "old, new, said",
        "In the laboratory": "old, new, test",
    }
    return pytest.mark.parametrize(names[heading], cases)


def script(chapter: str) -> str:
    """Return all code of a chapter."""
    return "\n".join(cell.source for cell in cells(chapter))


def test_every_fault_of_the_package_has_its_line() -> None:
    for what, module, old, *_ in rows("In the package"):
        source = (ROOT / f"code/shortcuts/{module}.py").read_text("utf-8")
        assert source.count(old) == 1, what


@each("In the package")
def test_a_fault_of_the_package(
    small_book: SmallBook,
    run_cell: RunCell,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    old: str,
    new: str,
    chapter: str,
    test: str,
) -> None:
    small_book.edit(f"code/shortcuts/{module}.py", old, new)
    run = small_book.test("-m", "", f"tests/shortcuts/{test}")
    assert f"FAILED tests/shortcuts/{test}" in run.stdout, run.stdout
    monkeypatch.setattr(kernels, "CODE", small_book.project / "code")
    with pytest.raises(CellExecutionError):
        run_cell(script(chapter))


@pytest.mark.parametrize(
    "chapter", sorted({chapter for *_, chapter, _ in rows("In the package")})
)
@pytest.mark.faults
def test_nothing_is_wrong_with_chapters(
    run_cell: RunCell, chapter: str
) -> None:
    run_cell(script(chapter))


@each("In a cell")
def test_a_fault_of_a_cell(
    small_book: SmallBook, old: str, new: str, said: str
) -> None:
    timeout = "nb_execution_timeout = "
    small_book.edit("conf.py", f"{timeout}60", f"{timeout}20")
    small_book.edit("book/sample.md", old, new)
    built = small_book.build()
    assert built.status != 0
    reason = built.failure()
    assert re.match(r"The page that failed: \S*/sample\.md\n", reason), reason
    assert said in reason


# A fault of a page is a warning, and a build shows all of them at once.


def named_for(page: str, text: str) -> str:
    """Give the labels of a copy of the sample names of their own."""
    labels = r"\b(sample|eq-shortcut|fig-added|what-you-have-seen)\b"
    return re.sub(labels, rf"\1-{page}", text)


def write_faulty_pages(book: SmallBook, sign: str) -> dict[str, Any]:
    """Write a page for each row that begins so; return what is said of it."""
    expected = {}
    sample = (book.project / "book" / "sample.md").read_text(encoding="utf-8")
    for what, old, new, said, test in rows("On a page"):
        if what.startswith(sign):
            assert sample.count(old) == 1, f"the sample holds {old!r} not once"
            page = re.sub(r"\W+", "-", what.strip("*").lower())
            book.add(page, named_for(page, sample.replace(old, new)))
            expected[page] = named_for(page, said), test
    return expected


@pytest.mark.parametrize(
    "sign", ["**", pytest.param("", marks=pytest.mark.faults)]
)
def test_the_build_notices_faults_of_pages(
    small_book: SmallBook, sign: str
) -> None:
    expected = write_faulty_pages(small_book, sign)
    built = small_book.build()
    assert built.status != 0
    assert not built.failed
    warnings = re.split(r"^(?=\S+\.md\b)", built.warnings, flags=re.M)
    silent = [
        (page, said)
        for page, (said, _) in expected.items()
        if not any(f"/{page}.md" in w and said in w for w in warnings)
    ]
    assert silent == [], built.warnings
    assert "/sample.md" not in built.warnings


def test_the_tests_notice_faults_of_pages(small_book: SmallBook) -> None:
    expected = write_faulty_pages(small_book, "")
    file = "tests/site/test_book.py"
    tests = {(page, t) for page, (_, t) in expected.items() if t != "-"}
    named = sorted({f"{file}::{test}" for _, test in tests})
    run = small_book.test("-m", "", *named)
    failed = set(re.findall(rf"^FAILED {file}::(\S+)", run.stdout, re.M))
    assert {f"{test}[{page}]" for page, test in tests} <= failed, run.stdout
    assert not any("[sample]" in test for test in failed)


@pytest.fixture
def laboratory(book: Build, tmp_path: Path) -> Path:
    """Return a copy of the site, whose script stands in the page."""
    shutil.copytree(book.html, tmp_path / "html")
    return tmp_path / "html" / "laboratory.html"


def look_at(page: Path, *tests: str) -> str:
    """Have tests look at a site as if it had been built of these sources."""
    folder = page.parent.parent
    site = versions.digest(page.parent.rglob("*"), folder)
    stamp = json.dumps({"sources": versions.stamp(), "site": site})
    place = folder / STAMP.relative_to(BUILD)
    place.parent.mkdir(exist_ok=True)
    place.write_text(stamp, encoding="utf-8")
    run = SmallBook(ROOT).test(
        *("-m", ""),  # all that they look at, in `make check` or not
        *(f"tests/site/test_laboratory.py::{test}" for test in tests),
        BUILD=str(folder),
    )
    return run.stdout


@each("In the laboratory")
def test_a_fault_of_the_laboratory(
    laboratory: Path, old: str, new: str, test: str
) -> None:
    site = SmallBook(laboratory.parent)
    site.edit(laboratory.name, old, new)
    said = look_at(laboratory, test)
    assert re.search(rf"^FAILED \S*::{test}", said, re.M), said


@pytest.mark.faults
def test_nothing_is_wrong_with_the_laboratory(laboratory: Path) -> None:
    tests = {test for *_, test in rows("In the laboratory")}
    said = look_at(laboratory, *sorted(tests))
    assert re.search(r"^=+ \d+ passed", said, re.M), said


# The tables themselves

IMPORT = r"^from (shortcuts\S*) import (?:\(([^)]*)\)|(.*))$"


def test_whatever_a_chapter_imports_has_a_fault() -> None:
    named = {row[0].strip("*").split(":")[0] for row in rows("In the package")}
    for chapter in CHAPTERS:
        for module, many, few in re.findall(IMPORT, script(chapter), re.M):
            for name in re.findall(r"\w+", many or few):
                value = getattr(import_module(module), name)
                is_a_class = isinstance(value, type)
                holds_data = is_a_class and issubclass(value, tuple)
                assert holds_data or name in named, f"{name} of {chapter}"


def test_what_the_last_table_names_is_there() -> None:
    files = (ROOT / "tests").rglob("test_*.py")
    tests = "".join(path.read_text(encoding="utf-8") for path in files)
    for *_, name in rows("Around the build"):
        assert f"\ndef {name}(" in tests, name
