"""`make` says why it cannot begin, and does not set up twice."""

import os
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from helpers import ROOT

OLD = (
    'case "$*" in --version) echo Python 3.8.1;; *version_info*) exit 1;; esac'
)
BARE = 'case "$*" in *ensurepip*) exit 1;; esac'


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person would, even if make has started these tests."""
    environment = {k: v for k, v in os.environ.items() if "MAKE" not in k}
    return subprocess.run(
        ["make", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "requirements.txt", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
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


def test_what_is_set_up_is_not_installed_again(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "ready").touch()
    assert "pip install" not in make(checkout, "--dry-run", "html").stdout
    os.utime(checkout / ".venv" / "ready", (0, 0))
    assert "pip install" in make(checkout, "--dry-run", "html").stdout


def test_what_is_installed_is_what_is_pinned() -> None:
    pins = re.findall(
        r"^([\w-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.M
    )
    assert pins
    for package, pin in pins:
        found = f"{package} {version(package)}"
        assert found.partition("+")[0] == f"{package} {pin}"


def test_help_names_every_target(checkout: Path) -> None:
    targets = (
        (ROOT / "Makefile").read_text().split(".PHONY: ")[1].split("\n")[0]
    )
    said = make(checkout, "help").stdout
    assert [line.split()[1] for line in said.splitlines()] == targets.split()
