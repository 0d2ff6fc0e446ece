"""The built book: all examples ran, all tables stand, no page asks outside."""

import html
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Build

from shortcuts.printed import (
    BOOK_SECTION_WITHOUT,
    NOTEBOOK_WITH,
    NOTEBOOK_WITHOUT,
    read_printout,
)

CHAPTERS = [
    *("gradients", "gelu", "shortcut-network", "vanishing-gradients"),
    *("measuring", "products", "identity", "scaling"),
]
EXECUTED = ["index", *CHAPTERS]
PAGES = [*EXECUTED, "bibliography"]
# A cell: its options, which stand first in either of MyST's two ways, and its
# code.
CELL = re.compile(
    r"^```\{code-cell\}\n(?:---\n(?P<yaml>.*?)---\n)?(?P<short>(?::[^\n]*\n)*)"
    r"(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
each_chapter = pytest.mark.parametrize("name", CHAPTERS)
each_page = pytest.mark.parametrize("name", PAGES)


def source(name: str) -> str:
    return (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")


def cells(name: str) -> list[re.Match[str]]:
    return list(CELL.finditer(source(name)))


def prose(name: str) -> str:
    """Return a chapter without header, cells, formulas, code and roles."""
    text = CELL.sub("", source(name).split("---\n", 2)[2])
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
    return re.sub(r"\$[^$]*\$|\{[\w:]+\}`[^`]*`|`[^`]*`", "", text)


class Tags(HTMLParser):
    """Collect the tags of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        """Note a tag."""
        self.found.append((tag, {key: value or "" for key, value in attrs}))


def visible_text(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", page))


# The build


def test_it_builds_without_a_word_of_complaint(
    build_of_the_book: Build,
) -> None:
    assert build_of_the_book.status == 0, build_of_the_book.output
    assert build_of_the_book.warnings == ""


def test_the_tests_know_all_pages() -> None:
    toctrees = re.findall(r"```\{toctree\}\n(.*?)```", source("index"), re.S)
    lines = [line for toctree in toctrees for line in toctree.splitlines()]
    entries = [line for line in lines if line and not line.startswith(":")]
    assert entries == [*CHAPTERS, "bibliography"]
    files = {path for path in (ROOT / "book").rglob("*.*") if path.is_file()}
    others = {path for path in files if "_static" in path.parts}
    others.add(ROOT / "book" / "references.bib")
    assert files - others == {ROOT / "book" / f"{page}.md" for page in PAGES}


@pytest.mark.parametrize("name", EXECUTED)
def test_every_cell_ran_in_order(book: Build, name: str) -> None:
    notebook = json.loads(
        (book.html.parent / "jupyter_execute" / f"{name}.ipynb").read_text()
    )
    ran = [
        c["execution_count"]
        for c in notebook["cells"]
        if c["cell_type"] == "code"
    ]
    assert ran == list(range(1, len(cells(name)) + 1))
    assert ran


# What the pages show


def test_all_four_tables_are_there(book: Build) -> None:
    lines = re.findall(
        r"layers\.\d\.0\.weight has gradient mean of [\d.e-]+",
        visible_text(book.page("vanishing-gradients")),
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
    page = book.page("vanishing-gradients")
    (figure,) = re.findall(
        r'<figure[^>]*id="fig-redrawn".*?</figure>', page, re.S
    )
    (image,) = [a for tag, a in Tags(figure).found if tag == "img"]
    drawing = (book.html / image["src"]).read_text(encoding="utf-8")
    labels = re.findall(r"<!-- ([\d.]+) -->", drawing)
    for table in (BOOK_SECTION_WITHOUT, NOTEBOOK_WITH):
        for mean in read_printout(table).values():
            assert any(
                float(label) == pytest.approx(mean, rel=5e-3)
                for label in labels
            )


@each_page
def test_images_say_what_is_to_be_seen(book: Build, name: str) -> None:
    for tag, attributes in Tags(book.page(name)).found:
        if tag == "img":
            assert len(attributes["alt"]) > 40, attributes


@each_chapter
def test_figures_have_captions_and_are_cited(book: Build, name: str) -> None:
    names = re.findall(r"^ +name: (fig-[\w-]+)$", source(name), re.M)
    assert names
    figures = re.findall(r"<figure.*?</figure>", book.page(name), re.S)
    assert len(figures) == len(names) == source(name).count("mystnb:")
    for figure, label in zip(figures, names, strict=True):
        assert "<figcaption>" in figure
        assert f"{{numref}}`{label}`" in source(name)


@each_page
def test_no_page_asks_another_host(book: Build, name: str) -> None:
    loads = {"script": "src", "img": "src", "iframe": "src", "source": "src"}
    for tag, attributes in Tags(book.page(name)).found:
        url = attributes.get(loads.get(tag, ""), "")
        if tag == "link" and attributes.get("rel") != "canonical":
            url = attributes["href"]
        assert not re.match(r"(\w+:)?//", url), (tag, url)


def test_no_style_asks_another_host(book: Build) -> None:
    styles = list((book.html / "_static").rglob("*.css"))
    assert styles
    for style in styles:
        text = style.read_text(encoding="utf-8")
        for url in re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)", text):
            assert not re.match(r"(https?:)?//", url), (style, url)


@each_page
def test_formulas_are_mathml(book: Build, name: str) -> None:
    page = book.page(name)
    assert ("$" in source(name)) == ("<math" in page)
    assert not re.search(r"\\(frac|operatorname|mathbb|begin)\b", page)


@each_page
def test_one_search_field(book: Build, name: str) -> None:
    classes = [a.get("class", "") for _, a in Tags(book.page(name)).found]
    assert len([c for c in classes if "search-button-field" in c.split()]) == 1


@each_chapter
def test_copy_buttons_are_for_code_alone(book: Build, name: str) -> None:
    script = (book.html / "_static" / "copybutton.js").read_text(
        encoding="utf-8"
    )
    assert "div.highlight:not(.cell_output div.highlight) pre" in script
    assert "copybutton.js" in book.page(name)


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


@pytest.mark.parametrize("name", PAGES)
def test_code_that_is_shown_is_run(name: str) -> None:
    fences = set(
        re.findall(r"^ *(?:`{3,}|~{3,}|:{3,})(.+)$", source(name), re.M)
    )
    kinds = {fence.split("}")[0] + "}" for fence in fences}
    assert kinds <= {
        *("{code-cell}", "{literalinclude}", "{warning}", "{admonition}"),
        *("{toctree}", "{bibliography}"),
    }
    assert "+++" not in source(name)


@pytest.mark.parametrize("name", EXECUTED)
def test_cells_are_short_and_skip_nothing(name: str) -> None:
    assert source(name).count("```{code-cell") == len(cells(name)) > 0
    for cell in cells(name):
        code = cell["code"].rstrip()
        options = yaml.safe_load(cell["yaml"] or "") or {"mystnb": {}}
        assert options.keys() == {"mystnb"}, cell[0]
        assert options["mystnb"].keys() <= {"figure", "image"}, cell[0]
        assert cell["short"] in (
            "",
            ":tags: [hide-cell]\n",
            ":tags: [remove-cell]\n",
        )
        assert len(code.splitlines()) <= 22, code
        assert not re.search(r"^\s*[!%]|\?$", code, re.M), code
        if "remove-cell" in cell["short"]:  # it carries numbers to the prose
            words = set(re.findall(r"^\w+", code, re.M))
            assert words <= {"from", "glue", "first"}


@each_chapter
def test_shown_sources_fit_the_page(book: Build, name: str) -> None:
    for block in re.findall(r"<pre>(.*?)</pre>", book.page(name), re.S):
        for line in visible_text(block).splitlines():
            assert len(line) <= 79, line


@each_chapter
def test_chapters_assert_what_they_claim(name: str) -> None:
    checks = [c for c in cells(name) if re.search(r"\bassert", c["code"])]
    assert len(checks) >= len(cells(name)) / 2


@each_chapter
def test_chapters_close_as_the_others_do(name: str) -> None:
    headings = re.findall(r"^## (.*)$", source(name), re.M)
    assert headings[-3:] == ["What you have seen", "Exercises", "Sources"]
    exercises = source(name).split("## Exercises")[1].split("## Sources")[0]
    asked = len(re.findall(r"^\*\*\d\.\*\*", exercises, re.M))
    assert 2 <= asked <= 4
    assert exercises.count(":tags: [hide-cell]") == asked


@pytest.mark.parametrize("name", PAGES[:-1])
def test_numbers_in_the_prose_come_from_the_run(name: str) -> None:
    named = {"4.5", "4.12"}  # the listing and the figure
    assert set(re.findall(r"\d+\.\d+", prose(name))) <= named


def run_snippets(name: str, folder: Path) -> tuple[int, str, list[str]]:
    """Run a chapter's cells as one script; return what is in its folder."""
    shown = [c["code"] for c in cells(name) if "remove-cell" not in c["short"]]
    script = folder / "pasted.py"
    script.write_text("\n".join(shown), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-W", "error", script.name],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": str(ROOT / "code"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    return run.returncode, run.stderr, [p.name for p in folder.iterdir()]


@pytest.fixture(scope="session")
def pasted(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[int, str, list[str]]]:
    """Run the snippets of all chapters, one chapter a core at a time."""
    folders = [tmp_path_factory.mktemp(name) for name in CHAPTERS]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = pool.map(run_snippets, CHAPTERS, folders)
        return dict(zip(CHAPTERS, runs, strict=True))


@each_chapter
def test_snippets_run_alone(
    pasted: dict[str, tuple[int, str, list[str]]], name: str
) -> None:
    status, complaints, files = pasted[name]
    assert status == 0, complaints
    assert files == ["pasted.py"]  # they leave nothing behind
