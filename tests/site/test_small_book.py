"""A small book with an address, with streams, without exercises.

Two small books are built, and all is asked of them.
"""

import re
from typing import Any

import nbformat
import pytest
from test_built import rows

from helpers import Build, SmallBook

ADDRESS = "https://example.org/book/"
# The page on a kernel that flushes whenever it likes.
STREAMS = """
```{code-cell}
import sys, time
sys.stdout.write("table:"); sys.stdout.flush(); time.sleep(0.6)
print("\\n 0 row")
```
"""
VALUES = """
for i in range(6):
    assert i * 0.5 < 2.75
torch.testing.assert_close(h, h + 1e-7)
assert torch.equal(h, h)
"""
# What is wrong with an exercise, and what the build says
NO_EXERCISES = {
    "of-no-level": (":difficulty: easy\n", "", "an exercise is one of"),
    "of-another": ("difficulty: easy", "difficulty: no", '"no" unknown'),
    "of-nothing": ("What does it add at zero?\n", "", "none found"),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build a small book that knows its address."""
    book = SmallBook.copied_to(tmp_path_factory.mktemp("small") / "project")
    claim = "assert added[-1] > 0.8\n"
    book.edit("book/sample.md", claim, claim + VALUES.lstrip())
    end = "\n## Sources"
    book.edit("book/sample.md", end, STREAMS + end)
    built = book.build(BOOK_URL=ADDRESS)
    assert built.status == 0, built.output
    return built


def notebook(built: Build) -> Any:
    """Return the notebook that can be taken along."""
    text = (built.html / "downloads" / "sample.ipynb").read_text("utf-8")
    return nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]


def test_claims_have_the_values_of_the_run(built: Build) -> None:
    first, *others = rows(built.soup("built"), "All claims")
    chapter = "1. What does a shortcut add?"
    assert first == [chapter, "In one line:", "added[-1] > 0.8", "0.8412"]
    assert ["i * 0.5 < 2.75", "0 to 2.5"] in others
    assert ["torch.equal(h, h)", "true"] in others
    (close,) = [row for row in others if "assert_close" in row[0]]
    assert re.fullmatch(r"largest difference: [\d.]+e-0[78]", close[1])


def test_streams_are_shown_as_they_were_printed(built: Build) -> None:
    (shown,) = built.soup("sample").find_all(
        lambda tag: tag.name == "pre" and tag.get_text().startswith("table:")
    )
    assert shown.get_text() == "table:\n 0 row\n"
    for cells in (built.notebook("sample")["cells"], notebook(built).cells):
        (cell,) = [c for c in cells if "table:" in "".join(c["source"])]
        (output,) = cell["outputs"]
        assert "".join(output["text"]) == "table:\n 0 row\n"


def test_pages_know_their_address(built: Build) -> None:
    page = built.soup("sample")
    (link,) = page.select("link[rel=canonical]")
    assert link["href"] == f"{ADDRESS}sample.html"
    (card,) = page.select("meta[property='og:image']")
    url = str(card["content"])
    assert url.startswith(ADDRESS)
    assert (built.html / url.removeprefix(ADDRESS)).is_file()
    sitemap = (built.html / "sitemap.xml").read_text("utf-8")
    pages = set(re.findall(rf"<loc>{ADDRESS}([^<]*)\.html</loc>", sitemap))
    assert pages == {"index", "sample", "bibliography", "built"}


def test_notebooks_install_the_package_from_there(built: Build) -> None:
    note, first, *others = notebook(built).cells
    assert ADDRESS in note.source
    install = r'%pip install --quiet "shortcuts-measured\[figures\] @ '
    wheel = re.fullmatch(rf'{install}{ADDRESS}(\S*)"', first.source)
    assert wheel
    assert (built.html / wheel[1]).is_file()
    assert any(f"]({ADDRESS}" in cell.source for cell in others)
    script = (built.html / "downloads" / "sample.py").read_text("utf-8")
    assert "\n# %pip install" in script  # a script installs nothing


def test_without_an_address_nothing_names_one(book: Build) -> None:
    assert not (book.html / "sitemap.xml").exists()
    assert not book.soup("index").select("link[rel=canonical]")
    for script in (book.html / "downloads").glob("*.py"):
        assert "%pip" not in script.read_text("utf-8")


def test_what_is_no_exercise(small_book: SmallBook) -> None:
    pages = small_book.project / "book"
    sample = (pages / "sample.md").read_text("utf-8")
    part = sample.split("## Exercises")[1].split("## Sources")[0]
    exercises = re.sub(r"```\{code-cell\}.*?```", "", part, flags=re.S)
    for page, (old, new, _) in NO_EXERCISES.items():
        assert exercises.count(old) == 1
        small_book.add(page, f"# No exercise\n{exercises.replace(old, new)}")
    built = small_book.build()
    assert built.status != 0
    for page, (*_, words) in NO_EXERCISES.items():
        assert re.search(rf"/{page}\.md:.*{words}", built.warnings)
