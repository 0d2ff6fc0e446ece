"""The page on how the book is built tells what was really found."""

import ast
import csv
import html
import re
import subprocess
from importlib.metadata import version

from helpers import CHAPTERS, ROOT, Build, SmallBook, cells


def text_of(fragment: str) -> str:
    """Return what a reader sees of a piece of a page."""
    words = re.sub(r"<annotation.*?</annotation>|<[^>]*>", "", fragment)
    return " ".join(html.unescape(words).split())


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the fields of the table below a heading."""
    part = re.split(rf"<h[12]>{heading}<", page)[-1]
    table = part.split("<table")[1].split("</table")[0]
    return [
        [text_of(f) for f in re.findall(r"<td.*?>(.*?)</td>", row, re.S)]
        for row in table.split("<tr")[2:]
    ]


def assertions(name: str) -> list[str]:
    """Return what the cells of a page assert, in their order."""
    found = []
    for cell in cells(name):
        for node in ast.walk(ast.parse(cell["code"])):
            if isinstance(node, ast.Assert):
                found.append(((cell.start(), node.lineno), node.test))
            elif isinstance(node, ast.Expr) and "assert_close(" in (
                ast.unparse(node)
            ):
                found.append(((cell.start(), node.lineno), node.value))
    return [ast.unparse(node) for _, node in sorted(found, key=lambda f: f[0])]


# Claims


def test_every_assertion_is_in_the_table(book: Build) -> None:
    table = rows(book.page("built"), "Every claim of the book")
    where = ""
    found: dict[str, list[str]] = {}
    for *place, claim, measured in table:
        where = place[0].split(".")[0] if place else where
        found.setdefault(where, []).append(claim)
        assert measured
        if place:
            assert place[1]  # the sentence
    for number, name in enumerate(CHAPTERS, start=1):
        expected = [" ".join(claim.split()) for claim in assertions(name)]
        assert found[str(number)] == expected, name
    assert len(table) > 200


def test_claims_link_to_their_sections(book: Build) -> None:
    part = book.page("built").split('id="claims"')[1]
    links = re.findall(
        r'<td[^>]*><p><a [^>]*href="([\w-]+)\.html#([^"]*)"', part
    )
    assert {page for page, _ in links} == {*CHAPTERS}
    for page, anchor in links:
        assert f'id="{anchor}"' in book.page(page)


def test_the_values_are_those_of_the_run(small_book: SmallBook) -> None:
    small_book.edit(
        "book/sample.md",
        "assert added[-1] > 0.8\n",
        "assert added[-1] > 0.8\n"
        "for i in range(6):\n    assert i * 0.5 < 2.75\n"
        "torch.testing.assert_close(h, h + 1e-7)\n"
        "assert torch.equal(h, h)\n",
    )
    built = small_book.build()
    assert built.status == 0, built.output
    table = rows(built.page("built"), "All claims")
    first, *others = table
    assert first == [
        "1. What does a shortcut add?",
        "In one line:",
        "added[-1] > 0.8",
        "0.8412",
    ]
    assert ["i * 0.5 < 2.75", "0 to 2.5"] in others
    assert ["torch.equal(h, h)", "true"] in others
    (close,) = [row for row in others if "assert_close" in row[0]]
    assert re.fullmatch(r"largest difference: [\d.]+e-0[78]", close[1])


# Facts


def test_versions_are_those_in_use(book: Build) -> None:
    table = rows(book.page("built"), "What it was built with")
    found = {name: number for name, number, _ in table}
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    named = re.findall(r"^([\w-]+)==", pins, re.M)
    assert found.keys() == {"sources", "Python", *named}
    assert all(found[name] == version(name) for name in named)


def test_the_date_is_that_of_the_last_commit(book: Build) -> None:
    table = rows(book.page("built"), "What it was built with")
    found = {name: number for name, number, _ in table}["sources"]
    log = subprocess.run(
        ["git", "-C", ROOT, "log", "--format=%cs (%h)"],
        capture_output=True,
        text=True,
    ).stdout
    no_history = "unknown: there is no history beside the book"
    assert found == (log.splitlines() or [no_history])[0]


def test_every_chapter_has_its_share_of_time(book: Build) -> None:
    table = rows(book.page("built"), "How long each chapter takes")
    assert [row[0][0] for row in table] == [
        str(number) for number in range(1, len(CHAPTERS) + 1)
    ]
    shares = [int(row[1].removesuffix(" %")) for row in table]
    assert 97 <= sum(shares) <= 103
    with (ROOT / "book" / "times.csv").open(encoding="utf-8") as file:
        assert [page for page, _ in csv.reader(file)] == CHAPTERS
