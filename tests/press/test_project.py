"""The date of the sources is that of the book's own last commit, or none."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from press import project

if shutil.which("git") is None:
    pytest.skip("there is no git", allow_module_level=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout of another book, which is asked about."""
    folder = tmp_path / "checkout"
    commit(folder, "2026-01-01")
    commit(folder, "2026-01-02")
    monkeypatch.setattr(project, "ROOT", folder)
    return folder


def commit(folder: Path, day: str) -> None:
    """Commit something on a day."""
    git: list[str | Path] = [
        "git",
        "-C",
        folder,
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@b.c",
    ]
    folder.mkdir(exist_ok=True)
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    for words in (
        ["add", "."],
        ["commit", "--quiet", "--allow-empty", "--message", day],
    ):
        subprocess.run(
            [*git, *words],
            env=os.environ | {"GIT_COMMITTER_DATE": f"{day} 12:00:00 +0000"},
            check=True,
        )


def test_the_last_commit(checkout: Path) -> None:
    date, _, name = project.date_of_sources().rstrip(")").partition(" (")
    assert date == "2026-01-02"
    head = subprocess.run(
        ["git", "-C", checkout, "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
    ).stdout
    assert len(name) == 10
    assert head.startswith(name)


def test_a_shallow_clone(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = project.date_of_sources()
    shallow = tmp_path / "shallow"
    words = ["clone", "--quiet", "--depth=1", f"file://{checkout}"]
    subprocess.run(["git", *words, shallow], check=True)
    monkeypatch.setattr(project, "ROOT", shallow)
    assert project.date_of_sources() == said != ""


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_checkout_of_another_user(checkout: Path) -> None:
    said = project.date_of_sources()
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 4242, 4242)
    assert project.date_of_sources() == said != ""


def test_what_the_caller_has_set(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = project.date_of_sources()
    commit(tmp_path / "another", "2025-12-31")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[core]\nabbrev = 4\n")
    for name, value in {
        "HOME": home,
        "GIT_DIR": tmp_path / "another" / ".git",
        "GIT_WORK_TREE": tmp_path / "another",
        "GIT_CEILING_DIRECTORIES": checkout,
        "GIT_TRACE": "1",
    }.items():
        monkeypatch.setenv(name, str(value))
    assert project.date_of_sources() == said != ""


def test_no_git(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert project.date_of_sources() == ""


def test_no_history(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    assert project.date_of_sources() == ""


def test_no_commit_yet(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    subprocess.run(["git", "init", "--quiet", checkout], check=True)
    assert project.date_of_sources() == ""


def test_the_history_of_another_project(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = checkout / "unpacked"
    unpacked.mkdir()
    monkeypatch.setattr(project, "ROOT", unpacked)
    assert project.date_of_sources() == ""
