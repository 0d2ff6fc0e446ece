"""Whatever is broken fails the build and the tests, which say where and why.

The faults are those of FAULTS.md. A few of each kind, in bold there, are part
of `make test`; `make faults` puts in all of them.
"""

import os
import py_compile
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from helpers import CHAPTERS, ROOT, Build, SmallBook, cells


class Fault(NamedTuple):
    """A row of the first two tables."""

    what: str
    file: str
    old: str
    new: str
    page: str  # the chapter that fails
    said: str  # what the build says of it
    test: str  # the test that fails


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading."""
    text = (ROOT / "tests" / "faults" / "FAULTS.md").read_text(
        encoding="utf-8"
    )
    table = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [
        re.split(r" \| ", line)
        for line in re.findall(r"^\| (.*) \|$", table, re.M)[2:]
    ]


def code(cell: str) -> str:
    """Return what a cell of a table stands for."""
    text = cell.strip("`").replace(r"\n", "\n").replace(r"\|", "|")
    text = "" if text == " " else text
    return re.sub(r"(\{[\w:]+\})'(.*?)'", r"\1`\2`", text)


def faults() -> Iterator[Fault]:
    """Read the first two tables."""
    for what, module, old, new, page, test in rows("In the package"):
        edit = f"code/shortcuts/{module}.py", code(old), code(new)
        where = f"tests/{test}"
        yield Fault(what, *edit, page, "Error", where)
    for what, old, new, said, test in rows("In a chapter"):
        edit = "book/sample.md", code(old), code(new)
        where = f"tests/{test}"
        yield Fault(what, *edit, "sample", code(f"`{said}`"), where)


@pytest.fixture(
    params=[
        pytest.param(
            fault,
            id=fault.what.strip("*"),
            marks=[] if fault.what[0] == "*" else pytest.mark.faults,
        )
        for fault in faults()
    ]
)
def fault(request: pytest.FixtureRequest, small_book: SmallBook) -> Fault:
    """Put a fault into the small book."""
    fault: Fault = request.param
    small_book.edit(fault.file, fault.old, fault.new)
    if fault.page == "sample":
        timeout = "nb_execution_timeout = "
        small_book.edit("conf.py", f"{timeout}60", f"{timeout}20")
    else:
        page = f"{fault.page}.md"
        small_book.edit("book/index.md", "\nsample\n", f"\n{fault.page}\n")
        (small_book.project / "book" / "sample.md").unlink()
        shutil.copy(ROOT / "book" / page, small_book.project / "book")
    return fault


def test_the_build_notices(fault: Fault, small_book: SmallBook) -> None:
    built = small_book.build()
    assert built.status != 0
    # The page is named where the fault is, not only in the list of progress.
    complaint = rf"{fault.page}\.md\b.*?{re.escape(fault.said)}"
    said = built.failure() if built.failed else built.warnings
    assert re.search(complaint, said, re.S), said
    # Alone, a chapter has dead references: its examples have to fail before.
    assert built.failed or fault.page == "sample"


def test_the_tests_notice(fault: Fault, small_book: SmallBook) -> None:
    run = small_book.test(fault.test)
    assert run.returncode == 1, run.stdout
    assert f"FAILED {fault.test}" in run.stdout


@pytest.fixture
def laboratory(small_book: SmallBook) -> SmallBook:
    """Return a small book that has the laboratory."""
    page = ROOT / "book" / "laboratory.md"
    shutil.copy(page, small_book.project / "book")
    small_book.edit("book/index.md", "\nbuilt\n", "\nbuilt\nlaboratory\n")
    return small_book


@pytest.mark.parametrize(
    ("old", "new", "test"),
    [
        pytest.param(
            *row,
            id=what.strip("*"),
            marks=[] if what[0] == "*" else pytest.mark.faults,
        )
        for what, *row in rows("In the laboratory")
    ],
)
def test_the_laboratorys_tests_notice(
    laboratory: SmallBook, old: str, new: str, test: str
) -> None:
    laboratory.edit("book/_ext/laboratory.js", code(old), code(new))
    run = laboratory.test(f"tests/test_laboratory.py::{test}")
    assert run.returncode == 1, run.stdout
    assert re.search(rf"^FAILED \S*::{test}", run.stdout, re.M), run.stdout


@pytest.mark.faults
def test_nothing_is_wrong_in_the_laboratory(laboratory: SmallBook) -> None:
    tests = {row[-1] for row in rows("In the laboratory")}
    run = laboratory.test(*(f"tests/test_laboratory.py::{t}" for t in tests))
    assert run.returncode == 0, run.stdout


def test_nothing_is_wrong_without_a_fault(small_book: SmallBook) -> None:
    run = small_book.test("tests/test_book.py")
    assert run.returncode == 0, run.stdout


IMPORT = r"^from (shortcuts\S*) import (?:\(([^)]*)\)|(.*))$"


def test_whatever_a_chapter_imports_has_a_fault() -> None:
    named = {row[0].strip("*").split(":")[0] for row in rows("In the package")}
    for chapter in CHAPTERS:
        script = "\n".join(cell["code"] for cell in cells(chapter))
        for module, many, few in re.findall(IMPORT, script, re.M):
            for name in re.findall(r"\w+", many or few):
                value = getattr(import_module(module), name)
                holds_data = isinstance(value, type) and issubclass(
                    value, tuple
                )
                assert holds_data or name in named, f"{name} of {chapter}"


def test_the_last_table_names_tests_of_this_file() -> None:
    named = [row[-1] for row in rows("Around the build")]
    assert len(named) == len({*named})
    for name in named:
        assert callable(globals()[name])


# Around the build


def replace_a_cell(book: SmallBook, code: str) -> None:
    """Let the first cell of the small book do something else."""
    book.edit("book/sample.md", "import torch\n", f"import torch\n{code}\n")


def html_of(built: Build) -> dict[str, bytes]:
    """Return all that a build has written for readers."""
    assert built.status == 0, built.output
    return {
        str(path.relative_to(built.html)): path.read_bytes()
        for path in sorted(built.html.rglob("*"))
        if path.is_file()
    }


# A reader that does not hear that it shall end, and a kernel that does not see
# that its reader has ended.
READER = """
import signal, time
parse = BookParser.parse
def deaf(self, text, document):
    parse(self, text, document)
    if document["source"].endswith("late.md"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(9)
BookParser.parse = deaf
"""
KERNEL = """
import os, time
reader = os.getppid()
os.getppid = lambda: reader
time.sleep(9999)
"""


def test_a_false_claim_fails_a_second_time(small_book: SmallBook) -> None:
    replace_a_cell(small_book, "assert 1 + 1 == 3, 'a false claim'")
    for _ in range(2):
        built = small_book.build()
        assert built.status != 0
        assert not (built.html / "sample.html").exists()
        reason = built.failure()
        assert re.match(r"The page that failed: .*sample\.md\n", reason)
        assert "assert 1 + 1 == 3, 'a false claim'" in reason
        assert reason.rstrip().endswith("AssertionError: a false claim")


@pytest.mark.parametrize(
    ("conf", "cell"),
    [(READER, "1 + 1"), ("", KERNEL)],
    ids=["reader", "kernel"],
)
def test_a_failed_build_waits_for_no_page(
    small_book: SmallBook, conf: str, cell: str
) -> None:
    pages = small_book.project / "book"
    header = (pages / "sample.md").read_text("utf-8").split("(sample)=")[0]
    page = f"{header}# A late page\n\n```{{code-cell}}\n{cell}\n```\n"
    page += "".join(f"\n## Part {number}\n" for number in range(999))
    (pages / "late.md").write_text(page, encoding="utf-8")
    small_book.edit("book/index.md", "\nsample\n", "\nsample\nlate\n")
    wait = "import time; time.sleep(4)"
    replace_a_cell(small_book, f"{wait}; assert 1 + 1 == 3, 'a false claim'")
    with (small_book.project / "conf.py").open("a", encoding="utf-8") as file:
        file.write(conf)
    built = small_book.build()
    assert built.status != 0
    assert "AssertionError: a false claim" in built.failure()


def test_an_edited_module_runs_the_examples_again(
    small_book: SmallBook,
) -> None:
    replace_a_cell(
        small_book, "from shortcuts import GELU\nprint(GELU.__doc__)"
    )
    assert "The Gaussian" in small_book.build().page("sample")
    assert "Executing notebook" not in small_book.build().output
    module = "code/shortcuts/activations.py"
    small_book.edit(module, '"""The Gaussian', '"""An edited Gaussian')
    built = small_book.build()
    assert built.status == 0, built.output
    assert "An edited Gaussian" in built.page("sample")


@pytest.mark.faults
def test_compiled_code_of_another_time_is_not_used(
    small_book: SmallBook,
) -> None:
    module = small_book.project / "code" / "shortcuts" / "activations.py"
    replace_a_cell(
        small_book, "from shortcuts import GELU\nprint(GELU.__doc__)"
    )
    py_compile.compile(str(module))
    written = module.stat()
    file = "code/shortcuts/activations.py"
    small_book.edit(file, '"""The Gaussian', '"""THE Gaussian')
    os.utime(module, (written.st_atime, written.st_mtime))
    assert "THE Gaussian" in small_book.build().page("sample")


@pytest.mark.faults
def test_a_change_of_prose_runs_its_own_page_alone(
    small_book: SmallBook,
) -> None:
    pages = small_book.project / "book"
    header = (pages / "sample.md").read_text("utf-8").split("(sample)=")[0]
    second = f"{header}# Another page\n\n```{{code-cell}}\n1 + 1\n```\n"
    (pages / "second.md").write_text(second, encoding="utf-8")
    small_book.edit("book/index.md", "\nsample\n", "\nsample\nsecond\n")
    assert small_book.build().output.count("Executing notebook using") == 2
    small_book.edit(
        "book/second.md", "# Another page\n", "# Another\n\nMore.\n"
    )
    built = small_book.build()
    assert built.output.count("Executing notebook using") == 1
    assert "More." in built.page("second")


@pytest.mark.parametrize(
    ("cell", "name", "value"),
    [
        ("assert 1 + 1 == 3", "PYTHONOPTIMIZE", "1"),
        ("import warnings; warnings.warn('oh')", "PYTHONWARNINGS", "ignore"),
        ("import warnings; warnings.warn('oh')", "PYTHONSTARTUP", "quiet.py"),
    ],
)
def test_the_caller_cannot_switch_checks_off(
    small_book: SmallBook, cell: str, name: str, value: str
) -> None:
    replace_a_cell(small_book, cell)
    if value == "quiet.py":
        quiet = small_book.project / value
        quiet.write_text("import warnings; warnings.simplefilter('ignore')")
        value = str(quiet)
    built = small_book.build(**{name: value})
    assert built.status != 0
    assert cell in built.warnings


def test_the_kernel_takes_the_package_beside_the_book(
    small_book: SmallBook, tmp_path: Path
) -> None:
    code = "from inspect import getfile\nprint(getfile(GELU))"
    replace_a_cell(small_book, f"from shortcuts import GELU\n{code}")
    other = shutil.copytree(small_book.project / "code", tmp_path / "other")
    module = small_book.project / "code" / "shortcuts" / "activations.py"
    built = small_book.build(PYTHONPATH=str(other))
    assert str(module) in built.page("sample")


SILENT = """
from jupyter_client import AsyncKernelClient
wait, waits = AsyncKernelClient.wait_for_ready, []
async def silent(self, timeout=None):
    waits.append(self)
    await wait(self, timeout)
    if len(waits) <= {silent}:
        raise RuntimeError({message!r})
AsyncKernelClient.wait_for_ready = silent
"""


@pytest.mark.parametrize(
    ("message", "silent", "comes_up"),
    [
        ("Kernel didn't respond in 60 seconds", 1, True),
        ("Kernel died before replying to kernel_info", 1, True),
        ("Kernel didn't respond in 60 seconds", 2, False),
    ],
)
@pytest.mark.faults
def test_a_kernel_that_does_not_come_up_is_replaced_once(
    small_book: SmallBook, message: str, silent: int, comes_up: bool
) -> None:
    replace_a_cell(small_book, "print('it ' + 'ran')")
    with (small_book.project / "conf.py").open("a", encoding="utf-8") as conf:
        conf.write(SILENT.format(silent=silent, message=message))
    built = small_book.build()
    assert (built.status == 0) == comes_up, built.output
    if comes_up:
        assert "it ran" in built.page("sample")
        assert built.warnings == ""
    else:
        assert message in built.failure()


@pytest.fixture
def another_torch(tmp_path: Path) -> dict[str, str]:
    """Return an environment that says it holds a torch of the future."""
    info = tmp_path / "elsewhere" / "torch-99.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: torch\nVersion: 99.0\n")
    return {"PYTHONPATH": str(info.parent)}


def test_another_torch_is_refused(
    small_book: SmallBook, another_torch: dict[str, str]
) -> None:
    built = small_book.build(**another_torch)
    assert built.status != 0
    assert re.search(
        r"expected torch [\d.]+, as requirements.txt says, but 99.0 is "
        r"installed: remove .venv and run make again",
        built.warnings,
    )
    assert not (built.html / "index.html").exists()
    run = small_book.test(
        "tests/test_make.py::test_what_is_installed_is_what_is_pinned",
        **another_torch,
    )
    assert run.returncode == 1
    assert "torch 99.0" in run.stdout


def make_html(
    book: SmallBook, *before: str, **environment: str
) -> subprocess.Popen[str]:
    """Begin `make html`, with the packages that run this test."""
    made = ["make", "html", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/ready"]
    kept = {k: v for k, v in os.environ.items() if "MAKE" not in k}
    return subprocess.Popen(
        [*before, *made],
        cwd=book.project,
        env=kept | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a process group of its own, to be ended
    )


def made(book: SmallBook, *before: str, **environment: str) -> Build:
    """Run `make html` to its end."""
    run = make_html(book, *before, **environment)
    said, _ = run.communicate()
    folder = book.project / environment.get("BUILD", "_build")
    return Build(folder / "html", run.returncode, said, "")


@pytest.mark.parametrize(
    "end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
)
@pytest.mark.faults
def test_an_interrupted_build_leaves_nothing_and_can_be_run_again(
    small_book: SmallBook, tmp_path: Path, end: signal.Signals
) -> None:
    sound = html_of(made(small_book))
    os.mkfifo(tmp_path / "begun")
    begun = f"open({str(tmp_path / 'begun')!r}, 'w').close()"
    wait = f"import time; {begun}; time.sleep(1e6)"
    replace_a_cell(small_book, wait)
    run = make_html(small_book)
    (tmp_path / "begun").read_text()  # until the cell has got there
    os.killpg(run.pid, end)
    run.communicate()
    assert run.returncode != 0
    left = [*(small_book.project / "_build").iterdir()]
    assert len(left) == (end == signal.SIGKILL), left
    assert not (small_book.project / "_build" / "html").exists()
    small_book.edit("book/sample.md", f"{wait}\n", "")
    assert html_of(made(small_book)) == sound


@pytest.mark.faults
def test_two_builds_at_once_make_the_same_book(small_book: SmallBook) -> None:
    sound = html_of(made(small_book))
    runs = [make_html(small_book) for _ in range(2)]
    for run in runs:
        said, _ = run.communicate()
        assert run.returncode == 0, said
    built = Build(small_book.project / "_build" / "html", 0, "", "")
    assert html_of(built) == sound
    assert [*(small_book.project / "_build").iterdir()] == [built.html]


ELSEWHERE = {
    "LANG": "tr_TR.UTF-8",
    "LC_ALL": "tr_TR.UTF-8",
    "PYTHONHASHSEED": "1",
    "SOURCE_DATE_EPOCH": "1",
    "TZ": "Pacific/Kiritimati",
}


def test_another_place_makes_the_same_book(
    small_book: SmallBook, tmp_path: Path
) -> None:
    sound = html_of(made(small_book))
    project = tmp_path / "Größe & Maß, 'in Ruhe'"
    small_book.project.rename(project)
    assert html_of(made(SmallBook(project), **ELSEWHERE)) == sound


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(["taskset", "--cpu-list", "0"], id="one core"),
        pytest.param(
            [*("unshare", "--map-root-user", "--net"), "sh", "-c"],
            id="no network",
        ),
    ],
)
@pytest.mark.faults
def test_less_of_a_machine_makes_the_same_book(
    small_book: SmallBook, before: list[str]
) -> None:
    sound = html_of(made(small_book))
    if before[-1] == "-c":  # the kernels need the way to their own machine
        before = [*before, 'ip link set lo up && exec "$@"', "sh"]
    assert html_of(made(small_book, *before)) == sound


@pytest.mark.faults
def test_a_checkout_that_cannot_be_written_to(
    small_book: SmallBook, tmp_path: Path
) -> None:
    sound = html_of(made(small_book))
    shutil.rmtree(small_book.project / "_build")
    # Mounted for this build alone, read-only: root, too, cannot write there.
    before = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    before += ['mount --bind . . && mount -o remount,bind,ro . && cd "$PWD" &&'
               ' ! touch made 2>/dev/null && exec "$@"', "sh"]  # fmt: skip
    built = made(small_book, *before, BUILD=str(tmp_path / "out put"))
    assert html_of(built) == sound
    assert not (small_book.project / "_build").exists()


@pytest.mark.faults
def test_two_builds_of_the_book_are_the_same(
    book: Build, tmp_path: Path
) -> None:
    elsewhere = ELSEWHERE | {"BUILD": str(tmp_path / "out put")}
    first = html_of(book)
    second = html_of(made(SmallBook(ROOT), **elsewhere))
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
