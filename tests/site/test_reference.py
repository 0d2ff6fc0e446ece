"""The reference has all names, terms, sources and exercises."""

import inspect
import re
from importlib import import_module
from importlib.metadata import version
from types import ModuleType

import pytest
import sphobjinv

import inventory
import shortcuts
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
    text_of,
)

MODULES = [
    import_module(f"shortcuts.{path.stem}")
    for path in sorted((ROOT / "code" / "shortcuts").glob("[a-z]*.py"))
]


def public_names(module: ModuleType) -> list[str]:
    """Return the functions and classes that a module defines."""
    return [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__
        and (inspect.isclass(value) or inspect.isfunction(value))
        and name[0] != "_"
    ]


# The API reference


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_every_public_name_has_an_entry_and_an_example(
    book: Build, module: ModuleType
) -> None:
    page = book.page("api")
    assert public_names(module)
    for name in public_names(module):
        assert f'id="{module.__name__}.{name}"' in page
        text = inspect.getdoc(getattr(module, name)) or ""
        _, _, example = text.partition("\nExample:\n")
        assert re.match(r" +>>> (import|from) ", example), name


def test_every_module_is_listed_and_its_examples_ran(book: Build) -> None:
    (cell,) = [
        c for c in book.notebook("api")["cells"] if c["cell_type"] == "code"
    ]
    (output,) = cell["outputs"]
    count = sum(
        (inspect.getsource(module)).count("\n    >>> ")
        + len(re.findall(r"\n {8,}>>> ", inspect.getsource(module)))
        for module in MODULES
    )
    assert "".join(output["text"]) == f"{count} lines of examples ran\n"


def test_shapes_can_be_read(book: Build) -> None:
    text = text_of(book.soup("api"))
    assert "measure( x: Float[Tensor, 'samples n_in'], target: Float[T" in text
    assert "activation: Callable[[], Module] = GELU, )" in text


@each_page
def test_attributes_say_what_they_are(book: Build, name: str) -> None:
    assert "Alias for field number" not in book.page(name)


def test_an_example_that_fails_fails_its_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (cell,) = cells("api")
    says = shortcuts.GELU.__doc__ or ""
    assert says.count("[-0.1588,") == 1
    wrong = says.replace("[-0.1588,", "[-0.1589,")
    monkeypatch.setattr(shortcuts.GELU, "__doc__", wrong)
    with pytest.raises(AssertionError):
        exec(cell.source, {})


# Words, sources, the index


def terms() -> list[str]:
    text = source("notation").split("```{glossary}\n")[1].split("\n```")[0]
    return re.findall(r"^(?! )(\S.*)$", text, re.M)


def test_terms_are_sorted_and_linked_where_they_first_stand(
    book: Build,
) -> None:
    assert len(terms()) > 30
    assert sorted(terms(), key=str.lower) == terms()
    for name in ["index", *CHAPTERS]:
        links = book.soup(name).select("a[href*='notation.html#term-']")
        linked = [link["href"] for link in links]
        assert len(linked) == len({*linked}) >= 3, name


def test_the_index_holds_terms_and_names(book: Build) -> None:
    page = book.soup("genindex")
    assert {*terms()} <= {bold.get_text() for bold in page.select("strong")}
    links = " ".join(str(link["href"]) for link in page.select("a[href]"))
    for name in shortcuts.__all__:
        assert re.search(rf"\bapi\.html#shortcuts\.\w+\.{name}\b", links)


def test_every_source_is_linked_and_cited(book: Build) -> None:
    entries = book.soup("bibliography").select("div.citation")
    listed = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    assert len(entries) == len(re.findall(r"^@", listed, re.M))
    cited = "".join(book.page(name) for name in EXECUTED)
    for entry in entries:
        assert entry.select("a[href^='https://']"), entry
        assert f'bibliography.html#{entry["id"]}"' in cited, entry


# torch's documentation


def test_names_of_torch_link_to_the_release_in_use(book: Build) -> None:
    links = {
        str(link["href"])
        for name in PAGES
        for link in book.soup(name).select("a[href*='docs.pytorch']")
    }
    release = re.match(r"\d+\.\d+", version("torch"))
    assert release
    base = f"https://docs.pytorch.org/docs/{release[0]}/"
    assert base + "generated/torch.nn.Linear.html#torch.nn.Linear" in links
    assert all(link.startswith(base) for link in links)
    assert len(links) >= 6


def test_the_inventory_holds_what_the_book_names() -> None:
    kept = sphobjinv.Inventory(str(inventory.FILE))
    names = {entry.name for entry in kept.objects}
    assert names == inventory.names_in_book() | inventory.ALIASES.keys()
    # Made anew from itself, with more in it, it is the same.
    more = sphobjinv.Inventory(str(inventory.FILE))
    more.objects.append(more.objects[0].evolve(name="torch.more"))
    text = inventory.shortened(more).data_file(contract=True)
    assert text == kept.data_file(contract=True)
    more.objects.clear()
    with pytest.raises(LookupError, match=r"not document \['torch.Tensor"):
        inventory.shortened(more)


# Exercises

EXERCISE = re.compile(
    r"```\{exercise\} (?P<title>[^\n]*)\n"
    r":difficulty: (?P<level>\w+)\n\n.*?\n```\n\n"
    r"```\{hint\}\n.*?\n```\n\n```\{code-cell\}\n:tags: \[hide-cell\]\n",
    re.DOTALL,
)


@each_chapter
def test_exercises_are_numbered_and_listed(book: Build, name: str) -> None:
    number = CHAPTERS.index(name) + 1
    page, listed = book.soup(name), book.soup("exercises")
    found = list(EXERCISE.finditer(source(name)))
    assert len(found) == source(name).count("{exercise}") >= 2
    for i, match in enumerate(found, start=1):
        words = f"Exercise {number}.{i}. {match['title']} ({match['level']})"
        (title,) = page.select(f"#exercise-{i} > h3")
        assert (
            text_of(title).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
            == words
        )
        (link,) = listed.select(f"a[href='{name}.html#exercise-{i}']")
        assert link.parent
        assert text_of(link.parent) == text_of(title)


def test_titles_of_exercises_differ() -> None:
    titles = [
        match["title"]
        for name in CHAPTERS
        for match in EXERCISE.finditer(source(name))
    ]
    assert len(titles) == len({*titles})
