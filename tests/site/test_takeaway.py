"""What a reader takes along runs elsewhere, and says what the page says."""

import ast
import asyncio
import email
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import nbformat
import pytest
from nbclient import NotebookClient
from packaging.requirements import Requirement

from helpers import CHAPTERS, Build, SmallBook, shown

each_chapter = pytest.mark.parametrize("name", CHAPTERS)
ARCHIVE = "shortcut-connections-measured"
# What MyST knows, and a notebook does not
RAW = re.compile(
    r"\{[\w:-]+\}`|^ *[`:~]{3,}\{|^\(\S+\)=$|\(eq-\S+\)|<span", re.M
)


@pytest.fixture(scope="module")
def unpacked(book: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the archive in an empty folder, and install the wheel there."""
    folder = tmp_path_factory.mktemp("reader")
    with ZipFile(book.html / "downloads" / f"{ARCHIVE}.zip") as archive:
        archive.extractall(folder)
    (wheel,) = (folder / ARCHIVE).glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    here = ["--no-index", "--target", str(folder / "installed"), str(wheel)]
    subprocess.run([*pip, *here], check=True)
    return folder / ARCHIVE


@pytest.fixture(scope="module")
def reader(unpacked: Path) -> dict[str, str]:
    """Return an environment in which only what was installed can be found."""
    installed = str(unpacked.parent / "installed")
    return os.environ | {"PYTHONPATH": installed, "OMP_NUM_THREADS": "1"}


def in_pairs(work: Any, names: list[str]) -> dict[str, Any]:
    """Do something for all chapters, one a core at a time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(names, pool.map(work, names), strict=True))


# Scripts


@pytest.fixture(scope="module")
def ran(
    unpacked: Path,
    reader: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[subprocess.CompletedProcess[str], list[Path]]]:
    """Run every script in a folder of its own, and see what it leaves."""

    def run(name: str) -> Any:
        folder = tmp_path_factory.mktemp(name)
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                unpacked / "scripts" / f"{name}.py",
            ],
            cwd=folder,
            env=reader,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done, [*folder.iterdir()]

    return in_pairs(run, CHAPTERS)


@each_chapter
def test_scripts_run(ran: Any, name: str) -> None:
    done, left_behind = ran[name]
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert left_behind == []


def code_of(script: str) -> list[str]:
    """Return the cells of a script in the percent format."""
    parts = re.split(r"^# %%(.*)\n", script, flags=re.M)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [text.strip("\n") for kind, text in pairs if "[mark" not in kind]


@each_chapter
def test_scripts_are_the_cells_of_the_page(unpacked: Path, name: str) -> None:
    script = (unpacked / "scripts" / f"{name}.py").read_text(encoding="utf-8")
    assert code_of(script) == [cell.strip("\n") for cell in shown(name)]


# Notebooks


@pytest.fixture(scope="module")
def rerun(unpacked: Path, reader: dict[str, str]) -> dict[str, Any]:
    """Run every notebook again, where it was unpacked."""

    def run(name: str) -> Any:
        path = unpacked / "notebooks" / f"{name}.ipynb"
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        client = NotebookClient(
            notebook, resources={"metadata": {"path": str(path.parent)}}
        )
        # client.execute() would leave its event loop open.
        return asyncio.run(client.async_execute(env=reader))

    return in_pairs(run, CHAPTERS)


def printed(notebook: Any) -> list[str]:
    """Return what the cells of a notebook have shown, but for pictures."""
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


@each_chapter
def test_notebooks_run_and_show_what_they_held(
    unpacked: Path, rerun: Any, name: str
) -> None:
    path = unpacked / "notebooks" / f"{name}.ipynb"
    held = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(held)
    assert any(printed(held))
    assert printed(rerun[name]) == printed(held)
    pictures = [c for c in held.cells if "image/png" in str(c.get("outputs"))]
    assert pictures
    captions = [c for c in held.cells if c.source.startswith("**Fig. ")]
    assert len(captions) == len(pictures)


@each_chapter
def test_nothing_of_a_notebook_is_raw(unpacked: Path, name: str) -> None:
    path = unpacked / "notebooks" / f"{name}.ipynb"
    cells = nbformat.read(path, as_version=4).cells  # type: ignore[no-untyped-call]
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    assert [raw for text in texts for raw in RAW.findall(text)] == []
    text = "\n".join(texts)
    assert len(text) > 4_000
    assert text.count("$$") % 2 == 0
    assert text.count("<details>") == text.count("</details>") >= 2
    assert re.search(r"^# \d\. ", text, re.M)
    assert not re.search(r"\]\((?!https://)", text)  # nothing dangles
    assert not any("glue" in c.source for c in cells if c.cell_type == "code")


def test_what_is_raw_would_be_seen() -> None:
    raw = "{ref}`gelu`", "```{hint}", "(gelu)=", "$$ (eq-rate)", "{py:func}`f`"
    assert all(RAW.search(f"text\n{words}\n") for words in raw)


# The archive


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
    for name in CHAPTERS:
        for kind in ("ipynb", "py"):
            assert f'href="downloads/{name}.{kind}"' in book.page(name)
            file = book.html / "downloads" / f"{name}.{kind}"
            folder = {"ipynb": "notebooks", "py": "scripts"}[kind]
            with ZipFile(book.html / "downloads" / f"{ARCHIVE}.zip") as z:
                archived = z.read(f"{ARCHIVE}/{folder}/{name}.{kind}")
            assert file.read_bytes() == archived
    links = re.findall(r'href="(downloads/[^"]*\.zip)"', book.page("index"))
    assert len(links) == 2  # in the menu and in the text


# With an address, and without


def test_a_book_that_knows_its_address(small_book: SmallBook) -> None:
    address = "https://example.org/book/"
    built = small_book.build(BOOK_URL=address)
    assert built.status == 0, built.output
    text = (built.html / "downloads" / "sample.ipynb").read_text("utf-8")
    note, first, *_ = nbformat.reads(text, as_version=4).cells  # type: ignore[no-untyped-call]
    assert address in note.source
    wheel = re.fullmatch(
        rf'%pip install --quiet "shortcuts\[figures\] @ {address}(\S*)"',
        first.source,
    )
    assert wheel
    assert (built.html / wheel[1]).is_file()
    assert f"]({address}" in text
    script = (built.html / "downloads" / "sample.py").read_text("utf-8")
    assert "\n# %pip install" in script  # a script installs nothing
    page = built.page("sample")
    assert f'<link rel="canonical" href="{address}sample.html"' in page
    (card,) = re.findall(r'"og:image" content="([^"]*)"', page)
    assert card.startswith(address)
    assert (built.html / card.removeprefix(address)).is_file()
    sitemap = (built.html / "sitemap.xml").read_text("utf-8")
    pages = set(re.findall(rf"<loc>{address}([^<]*)\.html</loc>", sitemap))
    assert pages == {"index", "sample", "bibliography", "built"}


def test_a_book_that_does_not(book: Build) -> None:
    assert not (book.html / "sitemap.xml").exists()
    for name in CHAPTERS:
        assert 'rel="canonical"' not in book.page(name)
        assert "%pip" not in (
            book.html / "downloads" / f"{name}.py"
        ).read_text("utf-8")
