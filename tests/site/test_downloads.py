"""Downloads run elsewhere, and say the same as the page."""

import ast
import asyncio
import email
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import nbformat
import pytest
from nbclient import NotebookClient
from packaging.requirements import Requirement

from helpers import CHAPTERS, REMAINS, Build, each_chapter, shown, without

ARCHIVE = "shortcut-connections-measured"
FORMS = {"ipynb": "notebooks", "py": "scripts"}
# What MyST knows, and a notebook does not
RAW = re.compile(
    r"\{[\w:-]+\}`|^ *[`:~]{3,}\{|^\(\S+\)=$|\(eq-\S+\)|<span", re.M
)

# That all hold the cells of their page, `make test` sees; that they run
# elsewhere, a short one shows on every push, and the others do each week.
SHORT = "gelu"
OTHERS = [name for name in CHAPTERS if name != SHORT]
one_and_all = pytest.mark.parametrize(
    "name",
    [SHORT, *(pytest.param(n, marks=pytest.mark.faults) for n in OTHERS)],
)


@pytest.fixture(scope="module")
def unpacked(book: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the archive in an empty folder."""
    folder = tmp_path_factory.mktemp("reader")
    with ZipFile(book.html / "downloads" / f"{ARCHIVE}.zip") as archive:
        archive.extractall(folder)
    return folder / ARCHIVE


@pytest.fixture(scope="module")
def reader(unpacked: Path) -> dict[str, str]:
    """Install the wheel; return an environment with nothing else of ours."""
    (wheel,) = unpacked.glob("*.whl")
    installed = str(unpacked.parent / "installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    here = ["--no-index", "--target", installed, str(wheel)]
    subprocess.run([*pip, *here], check=True)
    return without("PYTHONUTF8") | {
        "PYTHONPATH": installed,
        "OMP_NUM_THREADS": "1",
    }


# Scripts


@pytest.mark.check
@one_and_all
def test_scripts_run(
    unpacked: Path, reader: dict[str, str], tmp_path: Path, name: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", unpacked / "scripts" / f"{name}.py"],
        cwd=tmp_path,
        # As where a Windows console is written to
        env=reader | {"PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [*tmp_path.iterdir()] == []  # it leaves nothing behind


def code_of(script: str) -> list[str]:
    """Return the cells of a script in the percent format."""
    parts = re.split(r"^# %%(.*)\n", script, flags=re.M)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [text.strip("\n") for kind, text in pairs if "[mark" not in kind]


@each_chapter
def test_scripts_are_the_cells_of_the_page(unpacked: Path, name: str) -> None:
    script = (unpacked / "scripts" / f"{name}.py").read_text(encoding="utf-8")
    compile(script, name, "exec")
    console, *code = code_of(script)
    assert 'sys.stdout.reconfigure(encoding="utf-8")' in console
    assert code == [cell.strip("\n") for cell in shown(name)]


# Notebooks


def held_by(unpacked: Path, name: str) -> Any:
    """Return a notebook as it was unpacked."""
    path = unpacked / "notebooks" / f"{name}.ipynb"
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def printed(notebook: Any) -> list[str]:
    """Return the outputs of a notebook, but for pictures."""
    found = []
    for cell in notebook["cells"]:
        lines = []
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" not in data:
                text = output.get("text") or data["text/plain"]
                lines += "".join(text).splitlines()
        found.append("\n".join(line for line in lines if line.strip()))
    return found


@pytest.mark.check
@one_and_all
def test_notebooks_run_and_show_what_they_held(
    unpacked: Path, reader: dict[str, str], name: str
) -> None:
    held = held_by(unpacked, name)
    place = {"metadata": {"path": str(unpacked / "notebooks")}}
    client = NotebookClient(held_by(unpacked, name), resources=place)
    # client.execute() would leave its event loop open, and this thread may
    # have one already, of a browser.
    with ThreadPoolExecutor(1) as thread:
        run = client.async_execute(env=reader)
        rerun = thread.submit(asyncio.run, run).result()
    assert any(printed(held))
    assert printed(rerun) == printed(held)


@each_chapter
def test_figures_of_notebooks_have_captions(unpacked: Path, name: str) -> None:
    held = held_by(unpacked, name)
    nbformat.validate(held)
    pictures = [c for c in held.cells if "image/png" in str(c.get("outputs"))]
    assert pictures
    captions = [c for c in held.cells if c.source.startswith("**Fig. ")]
    assert len(captions) == len(pictures)


@each_chapter
def test_nothing_of_a_notebook_is_raw(unpacked: Path, name: str) -> None:
    cells = held_by(unpacked, name).cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    assert [raw for text in texts for raw in RAW.findall(text)] == []
    text = "\n".join(texts)
    assert "pip install shortcuts" in texts[0]  # would bring another package
    assert len(text) > 4_000
    assert text.count("$$") % 2 == 0
    assert text.count("<details>") == text.count("</details>") >= 2
    assert re.search(r"^# \d+\. ", text, re.M)
    assert not re.search(r"\]\((?!https://)", text)  # nothing dangles
    assert not any("glue" in c.source for c in cells if c.cell_type == "code")


@each_chapter
def test_notebooks_hold_the_richest_form(unpacked: Path, name: str) -> None:
    for cell in held_by(unpacked, name).cells:
        for output in cell.get("outputs", ()):
            rich = {*output.get("data", {})} - {"text/plain"}
            seen = output.get("text") or output["data"]["text/plain"]
            assert rich or not REMAINS.search("".join(seen)), seen


def test_what_is_raw_would_be_seen() -> None:
    raw = "{ref}`gelu`", "```{hint}", "(gelu)=", "$$ (eq-rate)", "{py:func}`f`"
    assert all(RAW.search(f"text\n{words}\n") for words in raw)


# The archive


def test_the_archive_says_which_package_it_means(unpacked: Path) -> None:
    said = (unpacked / "README.md").read_text(encoding="utf-8")
    assert "`pip install shortcuts` would bring another package" in said


def top_modules(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).split(".")[0]


def test_the_archive_names_all_that_is_needed(unpacked: Path) -> None:
    lines = (unpacked / "requirements.txt").read_text().splitlines()
    *pins, wheel = lines
    assert (unpacked / wheel).is_file()
    named = {Requirement(pin).name for pin in pins}
    with ZipFile(unpacked / wheel) as archive:
        (metadata,) = [n for n in archive.namelist() if n.endswith("METADATA")]
        needs = email.message_from_bytes(archive.read(metadata))
    extra = {"extra": "figures"}
    for text in needs.get_all("Requires-Dist", []):
        requirement = Requirement(text)
        if not requirement.marker or requirement.marker.evaluate(extra):
            (pin,) = [
                p for p in pins if Requirement(p).name == requirement.name
            ]
            assert requirement.specifier.contains(pin.partition("==")[2])
    for script in (unpacked / "scripts").iterdir():
        found = {*top_modules(script.read_text(encoding="utf-8"))}
        assert found - {*sys.stdlib_module_names, "shortcuts"} <= named


def test_pages_offer_their_downloads(book: Build) -> None:
    folder = book.html / "downloads"
    with ZipFile(folder / f"{ARCHIVE}.zip") as archive:
        for name, (kind, place) in product(CHAPTERS, FORMS.items()):
            file = f"downloads/{name}.{kind}"
            assert book.soup(name).select(f"a[href='{file}']")
            archived = archive.read(f"{ARCHIVE}/{place}/{name}.{kind}")
            assert (book.html / file).read_bytes() == archived
    links = book.soup("index").select("a[href^='downloads/'][href$='.zip']")
    assert len(links) == 2  # in the menu and in the text


def test_pages_that_begin_with_a_line_are_served(book: Build) -> None:
    assert (book.html / ".nojekyll").is_file()  # by who takes Jekyll for that
