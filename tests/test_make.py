"""`make` says why it cannot begin, and does not set up twice."""

import os
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

import oldest
from helpers import ROOT, without

OLD = (
    'case "$*" in --version) echo Python 3.8.1;; *version_info*) exit 1;; esac'
)
ELSEWHERE = "requirements", "constraints", "alone", "oldest"
BARE = 'case "$*" in *ensurepip*) exit 1;; esac'


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person would, even if make has started these tests."""
    return subprocess.run(
        ["make", *words],
        cwd=folder,
        env=without("MAKE", "BUILD", "VENV", "ELSEWHERE", "OLDEST"),
        capture_output=True,
        text=True,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    there = [f"tests/elsewhere/{name}.txt" for name in ELSEWHERE]
    (tmp_path / "tests" / "elsewhere").mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    for name in (
        *("Makefile", "pyproject.toml", "tools/oldest.py"),
        *("requirements.txt", "constraints.txt", *there),
    ):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("script", "line"),
    [
        (None, "The book needs Python 3.11 or newer; ./python is: no such"),
        (
            OLD,
            "The book needs Python 3.11 or newer; ./python is: Python 3.8.1.",
        ),
        (
            BARE,
            "./python has no module venv; on Debian and Ubuntu: apt install",
        ),
    ],
    ids=["missing", "too old", "without venv"],
)
@pytest.mark.parametrize("target", ["html", "test"])
def test_one_clear_line_for_a_python_that_will_not_do(
    checkout: Path, script: str | None, line: str, target: str
) -> None:
    if script is not None:
        python = checkout / "python"
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    run = make(checkout, target, "PYTHON=./python")
    assert run.returncode != 0
    said, *rest = run.stderr.splitlines()
    assert said.startswith(line)
    assert all(other.startswith("make: ***") for other in rest)
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("target", "folders"),
    [
        ("html", [".venv"]),
        ("oldest", [".venv-oldest", ".venv"]),
        ("elsewhere", [".venv-elsewhere", ".venv-oldest", ".venv"]),
    ],
)
def test_what_is_set_up_is_not_installed_again(
    checkout: Path,
    target: str,
    folders: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VENV", "/elsewhere")  # make hands on what it was given
    for folder in folders:
        (checkout / folder).mkdir()
        (checkout / folder / "ready").touch()
    assert "pip install" not in make(checkout, "--dry-run", target).stdout
    os.utime(checkout / folders[0] / "ready", (0, 0))
    run = make(checkout, "--dry-run", target).stdout
    assert f"{folders[0]}/bin/python -m pip install" in run
    for folder in folders[1:]:
        assert f"{folder}/bin/python -m pip install" not in run


def pins(name: str) -> dict[str, str]:
    """Return the versions of a file that pip reads."""
    text = (ROOT / name).read_text()
    return dict(re.findall(r"^([\w-]+)==(\S+)", text, re.M))


def test_what_is_installed_is_what_is_pinned() -> None:
    assert pins("requirements.txt")
    for package, pin in pins("requirements.txt").items():
        found = f"{package} {version(package)}"
        assert found.partition("+")[0] == f"{package} {pin}"


def test_help_names_every_target(checkout: Path) -> None:
    targets = (
        (ROOT / "Makefile").read_text().split(".PHONY: ")[1].split("\n")[0]
    )
    said = make(checkout, "help").stdout
    assert [line.split()[1] for line in said.splitlines()] == targets.split()


# What the book itself does not need


@pytest.mark.parametrize("name", ["requirements", "alone", "oldest"])
def test_pins_of_elsewhere_are_those_of_the_book(name: str) -> None:
    own, book = pins(f"tests/elsewhere/{name}.txt"), pins("requirements.txt")
    shared = own.keys() & book.keys() - {"scipy"}  # the oldest needs its own
    assert {package: own[package] for package in shared} == {
        package: book[package] for package in shared
    }
    assert ("torch" in own) == (name == "requirements")
    text = (ROOT / "tests" / "elsewhere" / f"{name}.txt").read_text()
    for line in text.splitlines():
        assert re.match(r"(#|[\w-]+==\S+ +# \w)|$", line), line


def test_what_elsewhere_brings_along_is_pinned() -> None:
    lock = pins("tests/elsewhere/constraints.txt")
    own = pins("tests/elsewhere/requirements.txt")
    assert len(lock) > len(own) > 0
    assert own.items() <= lock.items()


def test_the_oldest_versions_are_those_declared() -> None:
    project = {
        "dependencies": ["torch>=2.4,!=2.5", "numpy >= 1.26"],
        "optional-dependencies": {"figures": ["matplotlib>=3.9"]},
    }
    assert oldest.oldest(project) == [
        *("torch==2.4", "numpy==1.26", "matplotlib==3.9"),
    ]
    with pytest.raises(ValueError, match=r"lower bound .* of tqdm .* got ''"):
        oldest.oldest({"dependencies": ["tqdm"]})


def test_the_oldest_python(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 3.13\n")
    python.chmod(0o755)
    with pytest.raises(SystemExit, match=r"Python 3\.11; .*/python is: 3\.13"):
        oldest.main(str(python))
    with pytest.raises(SystemExit, match="is: no such program"):
        oldest.main(str(tmp_path / "none"))
