"""The versions that were tested together, and digests of the sources."""

import hashlib
import os
import platform
from collections.abc import Iterable
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.errors import ConfigError

from press.project import (
    BOOK,
    PACKAGE,
    REQUIREMENTS,
    ROOT,
    date_of_sources,
    pins,
)


def check() -> None:
    """Refuse to build with other versions than were tested together."""
    for pin in pins():
        found = installed(pin.name)
        if found.partition("+")[0] != pin.version:  # 2.13.0+cpu is 2.13.0
            raise ConfigError(
                f"expected {pin.name} {pin.version}, as requirements.txt "
                f"says, but {found} is installed: remove .venv and run make "
                "again"
            )


def fingerprint() -> str:
    """Return a digest of all that outputs depend on but the pages' text."""
    files = [*PACKAGE.rglob("*.py"), REQUIREMENTS]
    return digest(files, ROOT, platform.python_version())


def stamp() -> str:
    """Return a digest of all that a built book depends on."""
    folders = [ROOT / "code", BOOK]
    files = [path for folder in folders for path in folder.rglob("*")]
    names = "conf.py", "requirements.txt", "pyproject.toml", "LICENSE"
    files += [ROOT / name for name in names]
    said = (
        platform.python_version(),
        date_of_sources(),
        os.environ.get("BOOK_URL", ""),
        os.environ.get("ATEN_CPU_CAPABILITY", ""),
    )
    return digest(files, ROOT, *said)


def digest(files: Iterable[Path], folder: Path, *words: str) -> str:
    """Return a digest of some words and of files, with their names."""
    found = hashlib.sha256(repr(words).encode())
    for path in sorted(files):
        if path.is_file() and "__pycache__" not in path.parts:
            found.update(f"{path.relative_to(folder)}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
