"""Any book of this kind: all examples ran, and chapters are well made."""

import re

import pytest
import yaml

from helpers import (
    CHAPTERS,
    EXECUTED,
    PAGES,
    ROOT,
    Build,
    cells,
    each_chapter,
    each_page,
    source,
    tags,
    text_of,
)

# The build


def test_every_file_is_a_page_of_the_book() -> None:
    files = {path for path in (ROOT / "book").rglob("*.*") if path.is_file()}
    folders = {"_ext", "_static", "_templates"}
    others = {path for path in files if folders & {*path.parts}}
    data = "references.bib", "torch.inv", "times.csv", "costs.csv"
    others |= {ROOT / "book" / name for name in data}
    assert files - others == {ROOT / "book" / f"{page}.md" for page in PAGES}


@pytest.mark.parametrize("name", EXECUTED)
def test_every_cell_ran_in_order(book: Build, name: str) -> None:
    ran = [
        cell["execution_count"]
        for cell in book.notebook(name)["cells"]
        if cell["cell_type"] == "code"
    ]
    assert ran == list(range(1, len(cells(name)) + 1))


# What the pages show


@each_page
def test_images_say_what_is_to_be_seen(book: Build, name: str) -> None:
    for image in book.soup(name).select("img"):
        assert len(image["alt"]) > 40, image


@each_chapter
def test_figures_have_captions_and_are_cited(book: Build, name: str) -> None:
    names = re.findall(r"^ +name: (fig-[\w-]+)$", source(name), re.M)
    assert names
    figures = book.soup(name).select("figure")
    assert len(figures) == len(names) == source(name).count("mystnb:")
    for figure, label in zip(figures, names, strict=True):
        assert figure.figcaption
        assert f"{{numref}}`{label}`" in source(name)


@each_page
def test_formulas_are_mathml(book: Build, name: str) -> None:
    page = book.page(name)
    assert "$" not in source(name) or "<math" in page
    assert not re.search(r"\\(frac|operatorname|mathbb|begin)\b", page)


# How the chapters are written


@pytest.mark.parametrize("name", EXECUTED)
def test_the_header_lets_nothing_pass(name: str) -> None:
    header = yaml.safe_load(source(name).split("---\n", 2)[1])
    assert header == {
        "file_format": "mystnb",
        "kernelspec": {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        },
    }


@each_page
def test_code_that_is_shown_is_run(name: str) -> None:
    fences = set(
        re.findall(r"^ *(?:`{3,}|~{3,}|:{3,})(.+)$", source(name), re.M)
    )
    kinds = {fence.split("}")[0] + "}" for fence in fences}
    assert kinds <= {
        *("{code-cell}", "{literalinclude}", "{warning}", "{admonition}"),
        *("{exercise}", "{hint}", "{whole-listing}"),
        *("{laboratory}", "{preset}"),
        *("{toctree}", "{bibliography}", "{glossary}", "{eval-rst}"),
        *("{exercise-list}", "{build-facts}", "{build-times}"),
        *("{claim-table}", "{csv-table}"),
    }
    assert "+++" not in source(name)


@pytest.mark.parametrize("name", sorted({*EXECUTED, *CHAPTERS}))
def test_cells_are_short_and_skip_nothing(name: str) -> None:
    assert source(name).count("```{code-cell") == len(cells(name)) > 0
    for cell in cells(name):
        code, options = cell.source, cell.metadata
        assert options.keys() <= {"mystnb", "tags"}, cell
        assert options.get("mystnb", {}).keys() <= {"figure", "image"}, cell
        assert len(tags(cell)) <= 1, cell
        assert {*tags(cell)} <= {"hide-cell", "remove-cell", "checks"}, cell
        assert len(code.splitlines()) <= 22, code
        assert not re.search(r"^\s*[!%]|\?$", code, re.M), code
        if "remove-cell" in tags(cell):  # it carries numbers to the prose
            words = set(re.findall(r"^\w+", code, re.M))
            assert words <= {"from", "glue", "first"}


@pytest.mark.parametrize("name", ["index", *CHAPTERS])
def test_the_code_of_a_figure_is_folded(book: Build, name: str) -> None:
    page = book.soup(name)
    drawn = [cell for cell in page.select("div.cell") if cell.find("figure")]
    named = [
        c for c in cells(name) if "figure" in c.metadata.get("mystnb", {})
    ]
    assert len(drawn) == len(named)
    for cell in drawn:
        if cell.find_parent("details"):
            continue  # with a solution
        (figure, summary, code) = cell.select("figure, summary, pre")
        assert text_of(summary) == "The code of this figure"
        assert summary.parent in [*code.parents]
        assert summary.parent not in [*figure.parents]


@each_chapter
def test_shown_sources_fit_the_page(book: Build, name: str) -> None:
    for block in book.soup(name).select("pre"):
        for line in block.get_text().splitlines():
            assert len(line) <= 79, line


@each_chapter
def test_chapters_assert_what_they_claim(name: str) -> None:
    checks = [c for c in cells(name) if re.search(r"\bassert", c.source)]
    assert len(checks) >= len(cells(name)) / 2


@each_chapter
def test_chapters_close_as_the_others_do(name: str) -> None:
    headings = re.findall(r"^## (.*)$", source(name), re.M)
    assert headings[-4:] == [
        "What you have seen",
        "For a model of yours",
        "Exercises",
        "Sources",
    ]
    yours = source(name).split("## For a model of yours")[1].split("## ")[0]
    assert yours.count("\n- ") == 3
    assert source(name).count("**Guess first.**") >= 1
    exercises = source(name).split("## Exercises")[1].split("## Sources")[0]
    _, *asked = exercises.split("```{exercise}")
    assert 2 <= len(asked) <= 4
    for exercise in asked:
        assert exercise.count("```{hint}") == 1
        assert ":tags: [hide-cell]" in exercise.split("```{hint}")[1]
    assert source(name).endswith("\n```{whole-listing}\n```\n")
