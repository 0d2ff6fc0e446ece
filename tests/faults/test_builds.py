"""Around a build: failures, settings of the caller, and places.

What works makes the same pages, byte for byte; what cannot work says why.
These are the last rows of FAULTS.md.
"""

import os
import py_compile
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from helpers import ROOT, Build, SmallBook, shared, without


def make_html(
    book: SmallBook, *before: str, **environment: str
) -> subprocess.Popen[str]:
    """Begin `make html`, with the packages that run this test."""
    made = ["make", "html", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/ready"]
    return subprocess.Popen(
        [*before, *made],
        cwd=book.project,
        env=without("MAKE", "BUILD") | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a process group of its own, to be ended
    )


def made(book: SmallBook, *before: str, **environment: str) -> Build:
    """Run `make html` to its end."""
    run = make_html(book, *before, **environment)
    said, _ = run.communicate(timeout=600)  # a build that hangs is none
    folder = book.project / environment.get("BUILD", "_build")
    return Build(folder / "html", run.returncode, said, said)


def html_of(built: Build) -> dict[str, bytes]:
    """Return all that a build has written for readers."""
    assert built.status == 0, built.output
    return {
        str(path.relative_to(built.html)): path.read_bytes()
        for path in sorted(built.html.rglob("*"))
        if path.is_file()
    }


def processes(book: SmallBook) -> list[str]:
    """Return the processes that a build of a book has started and not ended.

    Readers of pages, and what forks their kernels, have it in their words.
    """
    listed = psutil.process_iter(["cmdline"])
    words = [" ".join(process.info["cmdline"] or ()) for process in listed]
    return [line for line in words if str(book.project) in line]


def replace_a_cell(book: SmallBook, code: str) -> None:
    """Let the first cell of the small book do something else."""
    book.edit("book/sample.md", "import torch\n", f"import torch\n{code}\n")


def page(book: SmallBook, cell: str, more: str = "") -> str:
    """Return a page that has one cell."""
    sample = (book.project / "book" / "sample.md").read_text("utf-8")
    header = sample.split("(sample)=")[0]
    return f"{header}# A page\n\n```{{code-cell}}\n{cell}\n```\n{more}"


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> SmallBook:
    """Make a small book without a fault, once for all processes of tests."""
    with shared(tmp_path_factory, "sound") as project:
        book = SmallBook(project)
        if not book.project.exists():
            SmallBook.copied_to(book.project)
            built = made(book)
            assert built.status == 0, built.output
    return book


@pytest.fixture
def sound_html(sound: SmallBook) -> dict[str, bytes]:
    """Return what readers are given of the small book without a fault."""
    return html_of(Build(sound.project / "_build" / "html", 0, "", ""))


def test_nothing_is_wrong_without_a_fault(sound: SmallBook) -> None:
    run = sound.test("tests/site/test_book.py")
    assert run.returncode == 0, run.stdout


# Builds that fail, and incremental ones

# A reader that does not hear that it shall end, and a kernel that does not see
# that its reader has ended.
DEAF = """
import signal
from press.failure import BookParser
parse = BookParser.parse
def deaf(self, text, document):
    if document["source"].endswith("late.md"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    parse(self, text, document)
BookParser.parse = deaf
"""
LATE = """
import os, time
reader = os.getppid()
os.getppid = lambda: reader
open({begun!r}, "w").close()
time.sleep(9999)
"""
FALSE = "assert 1 + 1 == 3, 'a false claim'"


def left_of(book: SmallBook) -> set[str]:
    """Return the names of all that a build has left but its lock."""
    left = {path.name for path in (book.project / "_build").iterdir()}
    return left - {".lock"}


def test_a_failed_build_ends_and_leaves_nothing(
    small_book: SmallBook, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    begun = str(tmp_path / "begun")
    os.mkfifo(begun)
    small_book.add("late", page(small_book, LATE.format(begun=begun)))
    replace_a_cell(small_book, f"open({begun!r}).close()\n{FALSE}")
    timeout = "nb_execution_timeout = "  # the late page would end by itself
    small_book.edit("conf.py", f"{timeout}60", f"{timeout}9999")
    with (small_book.project / "conf.py").open("a", encoding="utf-8") as file:
        file.write(DEAF)
    built = made(small_book, TMPDIR=str(temporary))
    assert built.status != 0
    assert re.search(r"\nThe page that failed: .*sample\.md\n", built.output)
    assert FALSE in built.output
    assert "\nAssertionError: a false claim\n" in built.output
    assert processes(small_book) == []
    assert [*temporary.iterdir()] == []
    assert left_of(small_book) == set()


@pytest.mark.faults
def test_a_false_claim_fails_a_second_time(small_book: SmallBook) -> None:
    replace_a_cell(small_book, FALSE)
    for _ in range(2):
        built = small_book.build()
        assert built.status != 0
        assert not (built.html / "sample.html").exists()
        reason = built.failure()
        assert re.match(r"The page that failed: .*sample\.md\n", reason)
        assert reason.rstrip().endswith("AssertionError: a false claim")


def test_an_edited_module_runs_the_examples_again(
    small_book: SmallBook,
) -> None:
    replace_a_cell(
        small_book, "from shortcuts import GELU\nprint(GELU.__doc__)"
    )
    assert "The Gaussian" in small_book.build().page("sample")
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
    small_book.add("second", page(small_book, "1 + 1"))
    assert small_book.build().output.count("Executing notebook using") == 2
    small_book.edit("book/second.md", "# A page\n", "# Another\n\nMore.\n")
    built = small_book.build()
    assert built.output.count("Executing notebook using") == 1
    assert "More." in built.page("second")


# What the caller has set

SAID = """
from inspect import getfile
from warnings import warn
from shortcuts import GELU
warn(f"{getfile(GELU)} with assertions {'on' if __debug__ else 'off'}")
"""


def test_the_caller_changes_nothing_of_what_runs(
    small_book: SmallBook, tmp_path: Path
) -> None:
    replace_a_cell(small_book, SAID)
    other = shutil.copytree(small_book.project / "code", tmp_path / "other")
    quiet = tmp_path / "quiet.py"
    quiet.write_text("import warnings; warnings.simplefilter('ignore')")
    built = small_book.build(
        PYTHONOPTIMIZE="1",
        PYTHONPATH=str(other),
        PYTHONSTARTUP=str(quiet),
        PYTHONWARNINGS="ignore",
    )
    assert built.status != 0
    module = small_book.project / "code" / "shortcuts" / "activations.py"
    said = f"UserWarning: {module} with assertions on\n"
    assert said in built.warnings, built.warnings


def test_another_torch_is_refused(
    small_book: SmallBook, tmp_path: Path
) -> None:
    info = tmp_path / "elsewhere" / "torch-99.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: torch\nVersion: 99.0\n")
    another = {"PYTHONPATH": str(info.parent)}
    built = small_book.build(**another)
    assert built.status != 0
    assert re.search(
        r"expected torch [\d.]+, as requirements.txt says, but 99.0 is "
        r"installed: remove .venv and run make again",
        built.warnings,
    )
    assert not (built.html / "index.html").exists()
    run = small_book.test(
        "tests/test_make.py::test_what_is_installed_is_what_is_pinned",
        **another,
    )
    assert run.returncode == 1
    assert "torch 99.0" in run.stdout


ELSEWHERE = {
    "LANG": "tr_TR.UTF-8",
    "LC_ALL": "tr_TR.UTF-8",
    "PYTHONHASHSEED": "1",
    "SOURCE_DATE_EPOCH": "1",
    "TZ": "Pacific/Kiritimati",
}


def test_another_place_makes_the_same_book(
    small_book: SmallBook, sound_html: Mapping[str, bytes], tmp_path: Path
) -> None:
    project = tmp_path / "Größe & Maß: 'in Ruhe'"
    small_book.project.rename(project)
    assert html_of(made(SmallBook(project), **ELSEWHERE)) == sound_html


# What users have set for programs that the build uses
RAISES = "raise SystemExit('what a user has set was run')\n"
FIGURES = "savefig.dpi: 7\nlines.linewidth: 9\nno.such.key: 1\n"
KERNEL = '{"argv": ["false"], "display_name": "Mine", "language": "R"}'
AT_HOME = {
    ".config/matplotlib/matplotlibrc": FIGURES,
    ".docutils": "[general]\nsmart_quotes: false\ntoc_backlinks: false\n",
    ".gitconfig": "[log]\nshowSignature = true\ndate = relative\n",
    ".ipython/profile_default/ipython_config.py": RAISES,
    ".ipython/profile_default/startup/0.py": RAISES,
    ".jupyter/jupyter_config.py": RAISES,
    ".local/share/jupyter/kernels/python3/kernel.json": KERNEL,
    ".pydistutils.cfg": "[bdist_wheel]\nbuild_number = 7\n",
    "python/sitecustomize.py": RAISES,
    "python/torch/__init__.py": RAISES,
}


@pytest.fixture
def anothers_home(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which a user has set everything."""
    home = tmp_path / "home"
    for name, text in AT_HOME.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", home], check=True)
    return {
        "COLUMNS": "20",
        "DOCUTILSCONFIG": f"{home}/.docutils",
        "FORCE_COLOR": "1",
        "GIT_DIR": f"{home}/.git",
        "GIT_WORK_TREE": f"{home}",
        "HOME": f"{home}",
        "IPYTHONDIR": f"{home}/.ipython",
        "JUPYTER_CONFIG_DIR": f"{home}/.jupyter",
        "JUPYTER_PATH": f"{home}/.local/share/jupyter",
        "JUPYTER_PLATFORM_DIRS": "1",
        "MATPLOTLIBRC": f"{home}/.config/matplotlib/matplotlibrc",
        "MPLBACKEND": "TkAgg",
        "MPLCONFIGDIR": f"{home}/.config/matplotlib",
        "OMP_DISPLAY_ENV": "TRUE",
        "OMP_NUM_THREADS": "2",
        "PYTHONDEVMODE": "1",
        "PYTHONOPTIMIZE": "2",
        "PYTHONPATH": f"{home}/python",
        "PYTHONSTARTUP": f"{home}/.ipython/profile_default/startup/0.py",
        "PYTHONWARNINGS": "error",
    }


@pytest.mark.faults
def test_anothers_home_makes_the_same_book(
    small_book: SmallBook,
    sound_html: Mapping[str, bytes],
    anothers_home: dict[str, str],
) -> None:
    (small_book.project / "matplotlibrc").write_text(FIGURES)
    before = ["sh", "-c", 'umask 077 && exec "$@"', "sh"]
    built = made(small_book, *before, **anothers_home)
    assert html_of(built) == sound_html


# Machines


@pytest.fixture
def without_git(tmp_path: Path) -> str:
    """Return a PATH of all programs but git."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for place in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(place).glob("*"):
            (folder / program.name).unlink(missing_ok=True)
            (folder / program.name).symlink_to(program)
    (folder / "git").unlink(missing_ok=True)
    return str(folder)


@pytest.mark.faults
def test_a_machine_without_git_makes_the_same_book(
    small_book: SmallBook, sound_html: Mapping[str, bytes], without_git: str
) -> None:
    built = made(small_book, PATH=without_git)
    assert html_of(built) == sound_html
    assert "git tells no history of this book here" in built.page("built")


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
    small_book: SmallBook, sound_html: Mapping[str, bytes], before: list[str]
) -> None:
    if before[-1] == "-c":  # the kernels need the way to their own machine
        before = [*before, 'ip link set lo up && exec "$@"', "sh"]
    assert html_of(made(small_book, *before)) == sound_html


@pytest.mark.faults
def test_a_checkout_that_cannot_be_written_to(
    small_book: SmallBook, sound_html: Mapping[str, bytes], tmp_path: Path
) -> None:
    # Mounted for this build alone, read-only: root, too, cannot write there.
    before = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    before += ['mount --bind . . && mount -o remount,bind,ro . && cd "$PWD" &&'
               ' ! touch made 2>/dev/null && exec "$@"', "sh"]  # fmt: skip
    built = made(small_book, *before, BUILD=str(tmp_path / "out put"))
    assert html_of(built) == sound_html
    assert not (small_book.project / "_build").exists()


@pytest.mark.faults
def test_another_processor_makes_the_book(tmp_path: Path) -> None:
    other = {"ATEN_CPU_CAPABILITY": "default"}  # no fused multiply-add
    built = made(SmallBook(ROOT), BUILD=str(tmp_path / "build"), **other)
    assert built.status == 0, built.output
    run = SmallBook(ROOT).test("tests/shortcuts", **other)
    assert run.returncode == 0, run.stdout


# Builds that are ended, and builds at once


@pytest.mark.parametrize(
    "end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
)
@pytest.mark.faults
def test_an_interrupted_build_leaves_nothing_and_can_be_run_again(
    small_book: SmallBook,
    sound_html: Mapping[str, bytes],
    tmp_path: Path,
    end: signal.Signals,
) -> None:
    assert html_of(made(small_book)) == sound_html
    os.mkfifo(tmp_path / "begun")
    begun = f"open({str(tmp_path / 'begun')!r}, 'w').close()"
    wait = f"import time; {begun}; time.sleep(1e6)"
    replace_a_cell(small_book, wait)
    run = make_html(small_book)
    (tmp_path / "begun").read_text()  # until the cell has got there
    assert processes(small_book) != []
    os.killpg(run.pid, end)
    run.communicate(timeout=900)  # kernels, too, hold the pipe open
    assert run.returncode != 0
    assert processes(small_book) == []
    assert left_of(small_book) <= ({"run"} if end == signal.SIGKILL else set())
    small_book.edit("book/sample.md", f"{wait}\n", "")
    assert html_of(made(small_book)) == sound_html


@pytest.mark.faults
def test_two_builds_at_once_make_the_same_book(
    small_book: SmallBook, sound_html: Mapping[str, bytes]
) -> None:
    for run in [make_html(small_book) for _ in range(2)]:
        said, _ = run.communicate()
        assert run.returncode == 0, said
    html = small_book.project / "_build" / "html"
    assert html_of(Build(html, 0, "", "")) == sound_html
    assert left_of(small_book) == {"html", "run"}


@pytest.mark.faults
def test_two_builds_of_the_book_are_the_same(
    book: Build, tmp_path: Path
) -> None:
    elsewhere = ELSEWHERE | {"BUILD": str(tmp_path / "out put")}
    if any((book.html / "downloads").glob("*.pdf")):  # which leaves words
        book = made(SmallBook(ROOT), BUILD=str(tmp_path / "html alone"))
    first = html_of(book)
    second = html_of(made(SmallBook(ROOT), **elsewhere))
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
