"""What a reader looks up is there: names, terms, sources, exercises."""

import html
import inspect
import re
from importlib import import_module
from types import ModuleType

import pytest
import sphobjinv

import inventory
import shortcuts
from helpers import CHAPTERS, EXECUTED, PAGES, ROOT, Build, SmallBook, source

each_chapter = pytest.mark.parametrize("name", CHAPTERS)
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
    text = " ".join(re.sub("<[^>]*>", "", book.page("api")).split())
    quoted = html.unescape(text)
    assert (
        "measure( x: Float[Tensor, 'samples n_in'], target: Float[T" in quoted
    )
    assert "activation: Callable[[], Module] = GELU, )" in quoted


def test_an_example_that_fails_ends_the_build(small_book: SmallBook) -> None:
    api = ROOT / "book" / "api.md"
    (small_book.project / "book" / "api.md").write_text(
        api.read_text("utf-8"), "utf-8"
    )
    small_book.edit("book/index.md", "bibliography\n", "bibliography\napi\n")
    small_book.edit("code/shortcuts/activations.py", "[-0.1588,", "[-0.1589,")
    built = small_book.build()
    assert built.status != 0
    assert re.search(r"api\.md.*AssertionError", built.failure(), re.S)


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
        linked = re.findall(r"notation\.html#term-([\w-]+)", book.page(name))
        assert len(linked) == len({*linked}) >= 3, name


def test_the_index_holds_terms_and_names(book: Build) -> None:
    page = book.page("genindex")
    for term in terms():
        assert f"<strong>{term}</strong>" in page
    for name in shortcuts.__all__:
        assert re.search(rf'"api\.html#shortcuts\.\w+\.{name}"', page)


def test_every_source_is_linked_and_cited(book: Build) -> None:
    entries = book.page("bibliography").split('<div class="citation"')[1:]
    listed = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    assert len(entries) == len(re.findall(r"^@", listed, re.M))
    cited = "".join(book.page(name) for name in EXECUTED)
    for entry in entries:
        label = re.findall(r'id="(\w+)"', entry)[0]
        assert 'href="https://' in entry, entry
        assert f"bibliography.html#{label}" in cited, entry


# torch's documentation


def test_names_of_torch_link_to_the_release_in_use(book: Build) -> None:
    links = {
        link
        for name in PAGES
        for link in re.findall(
            r'href="(https://docs\.pytorch[^"]*)"', book.page(name)
        )
    }
    base = "https://docs.pytorch.org/docs/2.13/"
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
    page, listed = book.page(name), book.page("exercises")
    found = list(EXERCISE.finditer(source(name)))
    assert len(found) == source(name).count("{exercise}") >= 2
    for i, match in enumerate(found, start=1):
        words = f"Exercise {number}.{i}. {match['title']}"
        level = f'<span class="level"> ({match["level"]})</span>'
        shown = page.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        assert re.search(f"{re.escape(words)}{re.escape(level)}", shown), words
        assert f'id="exercise-{i}"' in page
        link = f'href="{name}.html#exercise-{i}"'
        entry = re.search(f"{link}>(.*?)</li>", listed, re.S)
        assert entry
        text = re.sub(r"<[^>]*>", "", entry[1]).strip()
        text = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        assert text == f"{words} ({match['level']})"


def test_titles_of_exercises_differ() -> None:
    titles = [
        match["title"]
        for name in CHAPTERS
        for match in EXERCISE.finditer(source(name))
    ]
    assert len(titles) == len({*titles})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (":difficulty: easy\n", "", "an exercise is one of"),
        (
            "difficulty: easy",
            "difficulty: none",
            '"none" unknown; choose from',
        ),
        ("What does it add at zero?\n", "", "none found"),
    ],
)
def test_what_is_no_exercise(
    small_book: SmallBook, old: str, new: str, words: str
) -> None:
    small_book.edit("book/sample.md", old, new)
    built = small_book.build()
    assert built.status != 0
    assert words in built.warnings
