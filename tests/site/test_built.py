"""The page on how the book is built tells what was really found."""

import ast
import re
from importlib.metadata import version

import pytest
from bs4 import Tag

from helpers import CHAPTERS, ROOT, Build, cells, each_chapter, tags, text_of
from press.claims import room_used
from press.facts import NO_DATE
from press.project import date_of_sources
from press.times import shares as shares_of_pages


def rows(page: Tag, heading: str) -> list[list[str]]:
    """Return the fields of all tables below a heading."""
    titles = page.select("article h1, article h2")
    (title,) = [t for t in titles if text_of(t).startswith(heading)]
    section = title.find_parent("section")
    assert isinstance(section, Tag)
    return [
        [text_of(field) for field in row.select("td")]
        for row in section.select("tbody tr")
    ]


def assertions(name: str) -> list[str]:
    """Return the assertions of a page, in their order."""
    found = []
    for place, cell in enumerate(cells(name)):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Assert):
                found.append(((place, node.lineno), node.test))
            elif isinstance(node, ast.Expr) and "assert_close(" in (
                ast.unparse(node)
            ):
                found.append(((place, node.lineno), node.value))
    return [ast.unparse(node) for _, node in sorted(found, key=lambda f: f[0])]


# Claims


def test_every_assertion_is_in_the_table(book: Build) -> None:
    table = rows(book.soup("built"), "Every claim of the book")
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
    links = [
        str(link["href"]).split(".html#")
        for link in book.soup("built").select("#claims td:first-child > p > a")
    ]
    assert {page for page, _ in links} == {*CHAPTERS}
    for page, anchor in links:
        assert f'id="{anchor}"' in book.page(page)


@each_chapter
def test_checks_are_folded_with_what_was_measured(
    book: Build, name: str
) -> None:
    folded = [cell for cell in cells(name) if "checks" in tags(cell)]
    folds = book.soup(name).select("details.checks")
    table = book.soup("built")
    assert len(folds) == len(folded)
    for fold, cell in zip(folds, folded, strict=True):
        (code,) = fold.select(".cell_input pre")
        assert code.get_text() == cell.source + "\n"
        claims = [
            [text_of(field) for field in row.select("td")]
            for row in fold.select("tbody tr")
        ]
        claimed = re.findall(r"\bassert ", cell.source)
        (summary,) = fold.select("summary")
        said = f"{len(claims)} claim{'s' * (len(claims) > 1)} checked"
        assert text_of(summary) == said
        assert len(claims) == len(claimed)
        assert all(re.search(r"\d", measured) for _, measured in claims)
        # It leads to its row of the table of all claims, and that leads back.
        (link,) = fold.select("a[href*='built.html']")
        (row,) = table.select(f"tr#{str(link['href']).split('#')[1]}")
        assert text_of(row.select("td")[2]) == claims[0][0]
        back, *_ = row.select("a")
        assert back["href"] == f"{name}.html#{fold['id']}"


@pytest.mark.parametrize(
    ("claim", "numbers", "used"),
    [
        ("0.4 < x < 0.6", [0.5], 0),
        ("0.4 < x < 0.6", [0.44, 0.52], 0.6),
        ("2 > x > 1", [1.75], 0.5),
        ("x > 10", [40.0, 100.0], 0.25),
        ("max(x) < 1 / 4", [], None),
        ("x < -1", [-5.0], None),
        ("x == 3", [3.0], None),
        ("x < 0.5 * y", [1.0], 0.25),
        ("x > 0.9", [0.95, 0.98], 0.5),
        ("a[x < 3] == 1", [9.0], None),
        ("x < 3 if a else x > 3", [1.0], None),
        ("all(x < 3 for x in a) and x > 1", [2.0], 2 / 3),
    ],
)
def test_how_much_room_a_claim_has_used(
    claim: str, numbers: list[float], used: float | None
) -> None:
    values = {"x": {"numbers": numbers}, "0.5 * y": {"numbers": [4.0]}}
    found = room_used({"claim": claim, "values": values})
    assert found == (used if used is None else pytest.approx(used))


def test_claims_with_a_bound_have_a_bar(book: Build) -> None:
    bars = book.soup("built").select("#claims meter")
    shares = [float(str(bar["value"])) for bar in bars]
    assert len(shares) > 100
    assert 0 <= min(shares) <= max(shares) <= 1  # all hold
    assert all(bar["title"] for bar in bars)
    assert not book.soup("built").select("#claims p > meter:first-child")


# Facts


def test_versions_are_those_in_use(book: Build) -> None:
    table = rows(book.soup("built"), "What it was built with")
    found = {name: number for name, number, _ in table}
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    named = re.findall(r"^([\w-]+)==", pins, re.M)
    assert found.keys() == {"sources", "Python", *named}
    assert all(found[name] == version(name) for name in named)


def test_the_date_is_that_of_the_last_commit(book: Build) -> None:
    table = rows(book.soup("built"), "What it was built with")
    found = {name: number for name, number, _ in table}["sources"]
    assert found == (date_of_sources() or NO_DATE)  # see test_project


def test_every_chapter_has_its_share_of_time(book: Build) -> None:
    table = rows(book.soup("built"), "How long each chapter takes")
    numbers = [int(re.findall(r"\d+", row[0])[0]) for row in table]
    assert numbers == [*range(1, len(CHAPTERS) + 1)]
    shares = [int(row[1].removesuffix(" %")) for row in table]
    assert 97 <= sum(shares) <= 103
    assert {*CHAPTERS} < shares_of_pages().keys()
